#!/bin/sh
# junit2html 31.1.4 (PyPI): three ways in which `--max-failures N` and `--max-skipped N` are not what the help says.
#
# The help: "Exit non-zero if FAILURES or more test cases are failures", the same for skipped ones, "no effect with
# --merge". Seen:
# - in the ordinary use, a report and the page to write, neither option does anything; they are looked at only with
#   `--summary-matrix` or `--report-matrix`.
# - there, the exit code is the number of failures, and a process hands on its last eight bits: 256 failures end with 0.
# - the number of skipped test cases is compared with the limit of failures, which is 0 where none is given: with
#   `--max-skipped 5` one skipped test case is too many, and with `--max-failures 9` beside it six are not.
#
# Expected: other than zero in the first, second and fourth case, zero in the third. Seen:
#   one failure, page, at most 1: 0
#   256 failures, matrix, at most 1: 0
#   one skipped, matrix, at most 5: 1
#   six skipped, matrix, at most 5, failures at most 9: 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check 'junit2html==31.1.4'
report() {
    echo '<testsuites><testsuite name="rights">' > "$folder/$1.xml"
    count=0
    while [ "$count" -lt "$2" ]; do
        echo "<testcase classname=\"shop\" name=\"case $count\"><$3 message=\"it differs\"/></testcase>" >> "$folder/$1.xml"
        count=$((count + 1))
    done
    echo '</testsuite></testsuites>' >> "$folder/$1.xml"
}
report one 1 failure
report many 256 failure
report skip 1 skipped
report skips 6 skipped
told() {
    title=$1
    shift
    code=0
    "$folder/env/bin/junit2html" "$@" > "$folder/said" 2>&1 || code=$?
    echo "$title: $code"
}
{
    told "one failure, page, at most 1" "$folder/one.xml" "$folder/one.html" --max-failures 1
    told "256 failures, matrix, at most 1" "$folder/many.xml" --summary-matrix --max-failures 1
    told "one skipped, matrix, at most 5" "$folder/skip.xml" --summary-matrix --max-skipped 5
    told "six skipped, matrix, at most 5, failures at most 9" "$folder/skips.xml" --summary-matrix --max-skipped 5 \
        --max-failures 9
} > "$folder/seen"
cat "$folder/seen"
cat > "$folder/expected" <<'TEXT'
one failure, page, at most 1: 0
256 failures, matrix, at most 1: 0
one skipped, matrix, at most 5: 1
six skipped, matrix, at most 5, failures at most 9: 0
TEXT
diff "$folder/expected" "$folder/seen"
