#!/bin/sh
# Lays a proposed declaration over the trusted checkout, as data: only YAML files, links as plain text, no code of the
# proposal. `proposed.sh REF HEAD`: REF is the merge that the forge made of it, HEAD the commit that was asked about.
set -eu
git fetch --quiet --no-tags origin "$1"
proposed=$(git rev-parse --verify --quiet "FETCH_HEAD^{commit}")
if ! git merge-base --is-ancestor "$2" "$proposed"; then
    echo "the proposal has moved on since this job was started; the job for the newer commit will plan it" >&2
    exit 1
fi
git ls-tree -r -z --name-only "$proposed" |
    grep -zE '\.ya?ml$' |
    GIT_LITERAL_PATHSPECS=1 xargs -0 git -c core.symlinks=false checkout --quiet "$proposed" --
