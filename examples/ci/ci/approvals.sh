#!/bin/sh
# Writes down who approved the change that was merged as this commit, as the forge tells it, to the file that
# SITEWARD_APPROVALS names. It lies outside of the checkout, where no branch can bring it along. A commit without a change
# leaves no file.
set -eu
umask 077
mkdir -p "$(dirname "$SITEWARD_APPROVALS")"
rm -f "$SITEWARD_APPROVALS"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ "${GITHUB_ACTIONS:-}" = true ]; then
    gh api "repos/$GITHUB_REPOSITORY/commits/$GITHUB_SHA/pulls" >"$folder/changes"
    number=$(python3 -c 'import json, sys; print(next((each["number"] for each in json.load(sys.stdin) if each["merged_at"]), ""))' <"$folder/changes")
    [ -n "$number" ] || exit 0
    gh api "repos/$GITHUB_REPOSITORY/pulls/$number" >"$folder/change"
    gh api --paginate "repos/$GITHUB_REPOSITORY/pulls/$number/reviews" | python3 ci/pages.py >"$folder/reviews"
else
    glab api "projects/$CI_PROJECT_ID/repository/commits/$CI_COMMIT_SHA/merge_requests" >"$folder/changes"
    number=$(python3 -c 'import json, sys; print(next((each["iid"] for each in json.load(sys.stdin) if each["state"] == "merged"), ""))' <"$folder/changes")
    [ -n "$number" ] || exit 0
    glab api "projects/$CI_PROJECT_ID/merge_requests/$number" >"$folder/change"
    glab api "projects/$CI_PROJECT_ID/merge_requests/$number/approvals" >"$folder/reviews"
fi
python3 - "$folder" >"$SITEWARD_APPROVALS" <<'EOF'
import datetime, json, os, pathlib, sys

folder = pathlib.Path(sys.argv[1])
change, reviews = (json.loads((folder / name).read_text()) for name in ("change", "reviews"))
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
told = {"format": "siteward.approvals/1", "told_at": now}
if os.environ.get("GITHUB_ACTIONS") == "true":
    last = {}  # what somebody said last counts; a remark takes no approval back
    for review in reviews:
        if review["state"] != "COMMENTED":
            last[review["user"]["login"]] = review
    run = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format(**os.environ)
    told |= {"forge": "github", "change": change["html_url"], "head": change["head"]["sha"], "run": run}
    told |= {"merged": change["merge_commit_sha"], "author": change["user"]["login"]}
    told |= {"merged_by": (change["merged_by"] or {}).get("login")}
    told["approvals"] = [
        {"by": who, "at": review["submitted_at"], "commit": review["commit_id"]}
        for who, review in last.items()
        if review["state"] == "APPROVED"
    ]
else:
    told |= {"forge": "gitlab", "change": change["web_url"], "head": change["sha"], "run": os.environ["CI_JOB_URL"]}
    told |= {"merged": change["merge_commit_sha"] or change["squash_commit_sha"], "author": change["author"]["username"]}
    told |= {"merged_by": (change["merge_user"] or {}).get("username")}
    told["approvals"] = [
        {"by": given["user"]["username"], "at": given.get("approved_at") or now, "commit": None}
        for given in reviews["approved_by"]
    ]
json.dump(told, sys.stdout)
EOF
