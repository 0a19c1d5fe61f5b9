#!/bin/sh
# Lays a proposed declaration over the trusted checkout, as data: only YAML files, links as plain text, no code of the
# proposal, and nothing of what the jobs themselves are made of. A file that the proposal takes away is taken away.
# `proposed.sh REF HEAD`: REF is the merge that the forge made of it, HEAD the commit that was asked about.
set -eu

# Read paths that end in a zero byte; keep those of the declaration. Folders and files with a dot in front are the forge's.
declaration() {
    grep -zE '\.ya?ml$' | grep -zvE '^(ci/|\.)|/\.|(^|/)action\.ya?ml$' || :
}

git fetch --quiet --no-tags origin "$1"
proposed=$(git rev-parse --verify --quiet "FETCH_HEAD^{commit}")
if ! git merge-base --is-ancestor "$2" "$proposed"; then
    echo "the proposal has moved on since this job was started; the job for the newer commit will plan it" >&2
    exit 1
fi
# -r: without a path, git would lay the whole proposal over the checkout, with its code.
git ls-files -z | declaration | xargs -0 -r rm -f --
git ls-tree -r -z --name-only "$proposed" | declaration |
    GIT_LITERAL_PATHSPECS=1 xargs -0 -r git -c core.symlinks=false checkout --quiet "$proposed" --
