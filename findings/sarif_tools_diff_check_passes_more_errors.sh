#!/bin/sh
# sarif-tools 3.0.5: `sarif --check error diff OLD NEW` ends with 0 where NEW has more errors than OLD, or other ones.
#
# The help says that the check fails for "an increase in issues at that level". What is counted is kinds of issue: a rule
# and its message, cut to 120 characters together. One more result of a kind that was there is told as one more
# occurrence, and the check passes. Where messages begin alike and name the person at the end, results about two people
# are one kind: "no changes", though one has gone and another has come. partialFingerprints (SARIF 2.1.0, 3.27.17), which
# are meant for telling results apart, differ here and are not looked at.
#
# Expected: exit code 0 in the first two cases and 1 in the others. Seen:
#   short messages, anna -> anna: 0, all levels: +0 +0
#   long messages, anna -> anna: 0, all levels: +0 +0
#   short messages, anna -> zoe: 1, all levels: +1 -1
#   long messages, anna -> zoe: 0, all levels: +0 +0
#   short messages, anna -> anna twice: 0, all levels: +0 +0
#   long messages, anna -> anna and zoe: 0, all levels: +0 +0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check 'sarif-tools==3.0.5'
"$folder/env/bin/python" - "$folder" > "$folder/seen" <<'PYTHON'
import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
WORDS = {"short": "not declared: ", "long": "a right on the production site is not in the declaration " * 2 + ": "}


def result(words, person, line):
    place = {"artifactLocation": {"uri": "access.yaml"}, "region": {"startLine": line}}
    return {
        "ruleId": "A1",
        "level": "error",
        "message": {"text": words + person},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"grant/v1": f"{person}:{line}"},
    }


def log(name, words, people):
    results = [result(words, person, line) for line, person in enumerate(people, start=1)]
    run = {"tool": {"driver": {"name": "review", "rules": [{"id": "A1"}]}}, "results": results}
    (FOLDER / name).write_text(json.dumps({"version": "2.1.0", "runs": [run]}), encoding="utf-8")


def compare(size, old, new, said):
    log("old.sarif", WORDS[size], old)
    log("new.sarif", WORDS[size], new)
    command = [FOLDER / "env/bin/sarif", "--check", "error", "diff", "old.sarif", "new.sarif"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    total = next(line for line in done.stdout.splitlines() if line.startswith("all levels"))
    print(f"{size} messages, {said}: {done.returncode}, {total}")


compare("short", ["anna"], ["anna"], "anna -> anna")
compare("long", ["anna"], ["anna"], "anna -> anna")
compare("short", ["anna"], ["zoe"], "anna -> zoe")
compare("long", ["anna"], ["zoe"], "anna -> zoe")
compare("short", ["anna"], ["anna", "anna"], "anna -> anna twice")
compare("long", ["anna"], ["anna", "zoe"], "anna -> anna and zoe")
PYTHON
cat "$folder/seen"
grep -E '^#   (short|long)' "$0" | cut -c5- | diff - "$folder/seen"
