#!/bin/sh
# Tells what others changed in one issue for each instance, updates it in place, and closes it when nothing is left of it:
# `issue.sh CODE`. CODE is the exit code of drift, drift.md its page.
set -eu
code=$1
title="Access drift: $INSTANCE"

# Print the number of the open issue of that title.
number_of() {
    python3 -c 'import json, sys
print(next((each[sys.argv[1]] for each in json.load(sys.stdin) if each["title"] == sys.argv[2]), ""))' "$1" "$title"
}

if [ "${GITHUB_ACTIONS:-}" = true ]; then
    issues="repos/$GITHUB_REPOSITORY/issues"
    number=$(gh api --paginate "$issues?labels=access-drift&state=open" | python3 ci/pages.py | number_of number)
    update() { gh api --method PATCH "$issues/$number" --field body=@drift.md; }
    close() { gh api --method PATCH "$issues/$number" --raw-field state=closed; }
    open() { gh api --method POST "$issues" --raw-field "title=$title" --field body=@drift.md --raw-field "labels[]=access-drift"; }
else
    issues="projects/$CI_PROJECT_ID/issues"
    number=$(glab api --paginate "$issues?labels=access-drift&state=opened" | python3 ci/pages.py | number_of iid)
    update() { glab api --method PUT "$issues/$number" --field description=@drift.md; }
    close() { glab api --method PUT "$issues/$number" --raw-field state_event=close; }
    open() { glab api --method POST "$issues" --raw-field "title=$title" --field description=@drift.md --raw-field labels=access-drift; }
fi

if [ "$code" -eq 0 ]; then
    [ -z "$number" ] || close >/dev/null
elif [ -n "$number" ]; then
    update >/dev/null
else
    open >/dev/null
fi
case $code in 0 | 2 | 3 | 4) ;; *) exit "$code" ;; esac
