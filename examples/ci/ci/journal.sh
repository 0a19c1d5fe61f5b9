#!/bin/sh
# Keeps the journal on a branch of its own: `journal.sh pull` before a run, `journal.sh push` after it, whatever became
# of the run. A journal that cannot be fetched stops the run: without it nobody knows who left.
set -eu
umask 077 # a journal that others may read is refused
branch=${JOURNAL_BRANCH:-siteward-journal}
folder=${JOURNAL_FOLDER:-.siteward}
export GIT_AUTHOR_NAME=siteward GIT_AUTHOR_EMAIL=siteward@localhost
export GIT_COMMITTER_NAME=siteward GIT_COMMITTER_EMAIL=siteward@localhost

case ${1:-} in
pull)
    found=0
    git ls-remote --exit-code --heads origin "refs/heads/$branch" >/dev/null || found=$?
    case $found in
    0)
        git fetch --quiet origin "+refs/heads/$branch:refs/remotes/origin/$branch"
        git worktree add --quiet -B "$branch" "$folder" "origin/$branch"
        ;;
    2) # the very first run: there is no such branch yet
        tree=$(git hash-object -t tree -w /dev/null)
        git worktree add --quiet -B "$branch" "$folder" "$(git commit-tree -m 'Begin the journal' "$tree")"
        ;;
    *)
        echo "the journal cannot be fetched" >&2
        exit 1
        ;;
    esac
    ;;
push)
    git -C "$folder" add --all -- . ':(exclude)*.lock'
    git -C "$folder" diff --cached --quiet || git -C "$folder" commit --quiet -m "${2:-A run}"
    git -C "$folder" push --quiet origin "HEAD:refs/heads/$branch"
    ;;
*)
    echo "usage: journal.sh pull | push [MESSAGE]" >&2
    exit 1
    ;;
esac
