#!/bin/sh
# Keeps the journal on a branch of its own: `journal.sh pull` before a run, `journal.sh push` after it, whatever became
# of the run. A journal that cannot be fetched stops the run: without it nobody knows who left.
#
# Jobs of several instances may pull and push at once: each instance has files of its own, so what others pushed
# meanwhile goes below what is pushed now. A clone that is kept from job to job is no hindrance, and what an earlier job
# could not push goes with the next. Where nothing helps, a copy is left in the folder journal-not-pushed.
set -eu
umask 077 # a journal that others may read is refused
branch=${JOURNAL_BRANCH:-siteward-journal}
folder=${JOURNAL_FOLDER:-.siteward}
copy=${JOURNAL_COPY:-journal-not-pushed}
ours=refs/heads/$branch
theirs=refs/remotes/origin/$branch
export GIT_AUTHOR_NAME=siteward GIT_AUTHOR_EMAIL=siteward@localhost
export GIT_COMMITTER_NAME=siteward GIT_COMMITTER_EMAIL=siteward@localhost

stop() {
    echo "$1" >&2
    exit 1
}

# Fetch the branch: 0 it is here, 2 there is none, anything else: nobody knows.
fetch() {
    git ls-remote --exit-code --heads origin "$ours" >/dev/null || return $?
    git fetch --quiet origin "+$ours:$theirs" || return 1
}

# Nothing may change the bytes of a journal, on any machine.
attributes='* -text'

# Print the first commit of a journal. It is the same wherever it is made, so that two first runs agree.
begin() {
    blob=$(printf '%s\n' "$attributes" | git hash-object -w --stdin)
    tree=$(printf '100644 blob %s\t.gitattributes\n' "$blob" | git mktree)
    GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' git commit-tree -m 'Begin the journal' "$tree"
}

# Make the folder that `siteward init` left the first commits of the branch, where nobody has pushed a journal yet.
adopt() {
    found=0
    fetch || found=$?
    case $found in
    0) stop "$folder is not from the branch $branch, which is there already: move it away, and \`journal.sh pull\`" ;;
    2) ;;
    *) stop "the journal cannot be fetched" ;;
    esac
    ! git rev-parse --verify --quiet "$ours" >/dev/null ||
        stop "the branch $branch of this clone has a journal already: move $folder away, and \`journal.sh pull\`"
    git worktree prune
    git worktree add --quiet --no-track -b "$branch" "$folder.first" "$(begin)"
    cp -Rp "$folder/." "$folder.first/"
    rm -rf "$folder"
    git worktree move "$folder.first" "$folder"
}

# Commit what lies in the folder.
record() {
    [ -e "$folder/.gitattributes" ] || printf '%s\n' "$attributes" >"$folder/.gitattributes"
    git -C "$folder" add --all -- . ':(exclude)*.lock'
    git -C "$folder" diff --cached --quiet || git -C "$folder" commit --quiet -m "$1"
}

# Put the commits since $2 on top of $1; where they do not fit, leave them as they were and fail.
move() {
    git -C "$folder" rebase --quiet --onto "$1" "$2" && return
    git -C "$folder" rebase --abort
    return 1
}

# Leave a copy of the folder, to be kept as an artifact, and stop.
give_up() {
    rm -rf "$copy"
    cp -R "$folder" "$copy"
    rm -f "$copy/.git"
    stop "the journal could not be pushed: $1; a copy is in $copy, keep it"
}

case ${1:-} in
pull)
    known=$(git rev-parse --verify --quiet "$theirs" || :)
    found=0
    fetch || found=$?
    case $found in
    0) onto=$theirs ;;
    2) onto=$(begin) ;; # the very first run: there is no such branch yet
    *) stop "the journal cannot be fetched" ;;
    esac
    if [ -e "$folder/.git" ]; then
        record 'Left by an earlier run'
        git worktree remove --force "$folder"
    elif [ -e "$folder" ] && ! rmdir "$folder"; then
        stop "$folder is there already and is not from the branch $branch; move it away first"
    fi
    git worktree prune # the folder may have been cleaned away
    left=
    if git rev-parse --verify --quiet "$ours" >/dev/null; then
        left=$(git rev-list "$ours" --not "$onto" ${known:+"$known"})
    fi
    if [ -z "$left" ]; then
        git worktree add --quiet --no-track -B "$branch" "$folder" "$onto"
    else # an earlier run could not push
        git worktree add --quiet "$folder" "$branch"
        move "$onto" "${known:-$onto}" ||
            stop "the branch $branch of this clone holds what was never pushed and does not fit what was; compare both"
    fi
    ;;
push)
    [ -e "$folder" ] || stop "there is no journal in $folder; \`journal.sh pull\` comes first"
    [ -e "$folder/.git" ] || adopt
    record "${2:-A run}"
    tries=0
    refused=0
    until git -C "$folder" push --quiet origin "HEAD:$ours"; do
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || give_up "others were faster each time"
        if fetch && ! git -C "$folder" merge-base --is-ancestor "$theirs" HEAD; then
            move "$theirs" "$theirs" || give_up "others changed the same instance's journal"
        else # nobody was faster
            refused=$((refused + 1))
            [ "$refused" -lt 4 ] || give_up "the repository refuses it"
            sleep "$refused"
        fi
    done
    git update-ref "$theirs" "$(git -C "$folder" rev-parse HEAD)"
    rm -rf "$copy"
    ;;
*)
    echo "usage: journal.sh pull | push [MESSAGE]" >&2
    exit 1
    ;;
esac
