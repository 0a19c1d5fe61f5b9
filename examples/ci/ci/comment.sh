#!/bin/sh
# Tells the plan of a proposal in one comment, which is updated in place, and labels the proposal: `comment.sh CODE`.
# CODE is the exit code of the plan, plan.md its page, report.json its labels. Nothing is told where nothing differs.
# The job fails where the plan does, and where the comment cannot name every raised privilege and every removal.
set -eu
code=$1

# Print one value of JSON on stdin, by an expression of Python over `data`.
of_json() {
    python3 -c "import json, sys; data = json.load(sys.stdin); print($1)" "${2:-}"
}

if [ "${GITHUB_ACTIONS:-}" = true ]; then
    request="repos/$GITHUB_REPOSITORY/issues/$CHANGE"
    author="github-actions[bot]"
    every() { gh api --paginate "$request/comments" | python3 ci/pages.py; }
    update() { gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$1" --field body=@plan.md; }
    post() { gh api --method POST "$request/comments" --field body=@plan.md; }
    labels() { gh api --paginate "$request/labels" | python3 ci/pages.py | of_json '*(each["name"] for each in data)'; }
    add() { gh api --method POST "$request/labels" --field "labels[]=$1"; }
    drop() { gh api --method DELETE "$request/labels/$1"; }
    login='each["user"]["login"]'
else
    request="projects/$CI_PROJECT_ID/merge_requests/$CHANGE"
    author=$NOTE_AUTHOR
    every() { glab api --paginate "$request/notes" | python3 ci/pages.py; }
    update() { glab api --method PUT "$request/notes/$1" --field body=@plan.md; }
    post() { glab api --method POST "$request/notes" --field body=@plan.md; }
    labels() { glab api "$request" | of_json '*data["labels"]'; }
    add() { glab api --method PUT "$request" --raw-field "add_labels=$1"; }
    drop() { glab api --method PUT "$request" --raw-field "remove_labels=$1"; }
    login='each["author"]["username"]'
fi

ours="$login == sys.argv[1] and each['body'].startswith(('<!-- siteward:plan', '<!-- siteward:show'))"
mine=$(every | of_json "next((each['id'] for each in data if $ours), '')" "$author")
if [ -n "$mine" ]; then
    update "$mine" >/dev/null
elif [ "$code" -ne 0 ]; then
    post >/dev/null
fi

wanted=$(of_json '*data["labels"]' <report.json)
there=$(labels)
for label in $there; do
    case " $wanted " in
    *" $label "*) ;;
    *) case $label in access:*) drop "$label" >/dev/null ;; esac ;;
    esac
done
for label in $wanted; do
    case " $there " in
    *" $label "*) ;;
    *) add "$label" >/dev/null ;;
    esac
done

if grep -qx '<!-- siteward:not-everything-fits -->' plan.md; then
    echo "the comment does not name every change that matters: make the proposal smaller" >&2
    exit 1
fi
case $code in 0 | 2) ;; *) exit "$code" ;; esac
