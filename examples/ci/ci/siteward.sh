#!/bin/sh
# One task of a job, the same on both forges: `siteward.sh instances | check | plan | join | apply | delete | dates | record
# | drift`. The environment says which instance (INSTANCE); what later steps and jobs need is handed on by `say`.
set -eu
umask 077

# Hand on a value: as an output on GitHub, as a variable of later jobs on GitLab.
say() {
    if [ -n "${GITHUB_OUTPUT:-}" ]; then
        echo "$1=$2" >>"$GITHUB_OUTPUT"
    else
        echo "${PREFIX}_$1=$2" >>outputs.env
    fi
}
if [ -n "${PREFIX:-}" ]; then # what a job before this one handed on
    DIGEST=$(printenv "${PREFIX}_digest" || :)
    DELETIONS=$(printenv "${PREFIX}_deletions" || echo 0)
fi

# Show a page where the forge has a place for it.
page() {
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$1" >>"$GITHUB_STEP_SUMMARY"
}

# Run siteward and show its page; leave with its exit code, but for those named first, which are no failure here.
run() {
    allowed=" $1 " page=$2
    shift 2
    rm -f "$page"
    code=0
    siteward "$@" --format text --output "markdown:$page" || code=$?
    [ ! -f "$page" ] || page "$page"
    case $allowed in
    *" $code "*) ;;
    *) exit "$code" ;;
    esac
}

# Show how many accounts the plan deletes, and whose.
deletions() {
    siteward show plan.json --only deletions --format text --output markdown:deletions.md || :
    page deletions.md
}

# Say where the new passwords are once the journal is pushed.
passwords() {
    [ -n "$(git -C .siteward status --porcelain passwords 2>/dev/null)" ] || return 0
    cat >passwords.md <<EOF
New passwords are on the branch \`${JOURNAL_BRANCH:-siteward-journal}\`, in the folder \`passwords\`, each for the key of its owner.
The owner opens theirs by
\`git fetch origin ${JOURNAL_BRANCH:-siteward-journal} && git show FETCH_HEAD:passwords/INSTANCE-LOGIN.age | age --decrypt --identity KEY\`
EOF
    cat passwords.md
    page passwords.md
}

task=${1:-}
[ -n "${GITHUB_OUTPUT:-}" ] || rm -f outputs.env # a clone that is kept has that of an earlier job
[ -f "${SITEWARD_APPROVALS:-}" ] || unset SITEWARD_APPROVALS # a commit without a change has none
case $task in
instances)
    say matrix "$(siteward instances --format github-matrix)"
    ;;
check) # no secret is at hand
    siteward validate --base "$BASE" --format "$FORMAT" --output gitlab:quality.json --output junit:validate.xml
    run "0 2" diff.md diff "$BASE"
    ;;
plan) # CODES are those after which the plan is looked at; an error stops here, unless there is a comment to tell it
    rm -f plan.json
    run "${CODES:-0 2 3}" plan.md plan --instance "$INSTANCE" --out plan.json
    found=$(python3 -c '
import json
plan = json.load(open("plan.json"))
said = [each["code"] for part in plan["instances"] for each in part["diagnostics"]]
print("begins-later" in said and 1 or 0)
print(sum(need["steps"] for need in plan["needs"] if need["need"] == "deletions"))
print(plan["digest"])')
    # shellcheck disable=SC2086 # three words, and none of them has a blank
    set -- $found
    say code "$code"
    say later "$1"
    say deletions "$2"
    say digest "$3"
    [ "$2" -eq 0 ] || deletions
    ;;
join) # what every instance's job planned, as one page; a job that left no plan is told by name
    listed=$(siteward instances --format json | python3 -c '
import json, sys
print(*("plan-" + row["instance"] + ".json" for row in json.load(sys.stdin)))')
    # shellcheck disable=SC2086 # names of instances have no blanks
    run "0 1 2 3 4" plan.md show $listed --output json:report.json --output gitlab-plan:widget.json
    say code "$code"
    ;;
apply) # deletions wait for an approval of their own
    part=
    [ "${DELETIONS:-0}" -eq 0 ] || part=--only=no-deletions
    trap passwords EXIT
    run 0 apply.md apply plan.json --instance "$INSTANCE" --expect "$DIGEST" --yes ${part:+"$part"}
    ;;
delete)
    if [ "${DELETIONS:-1}" -eq 0 ]; then
        echo "this plan deletes nobody"
        exit 0
    fi
    deletions
    run 0 delete.md apply plan.json --instance "$INSTANCE" --expect "$DIGEST" --yes --only deletions \
        --accept "deletions=$DIGEST" --reason "$REASON"
    ;;
dates) run 0 dates.md apply --instance "$INSTANCE" --only dates --yes ;;
record) run "0 2 3 4" record.md drift --instance "$INSTANCE" --record ;;
drift)
    run "0 1 2 3 4" drift.md drift --instance "$INSTANCE" --output junit:drift.xml
    say code "$code"
    ;;
*)
    echo "siteward.sh: there is no task '$task'" >&2
    exit 1
    ;;
esac
