#!/bin/sh
# sarif-tools 3.0.5 (PyPI): `sarif --check error summary LOG` counts results that are suppressed, and results that are gone.
#
# SARIF 2.1.0 keeps a finding that somebody accepted in the log, with `suppressions` of the status "accepted" (3.27.23:
# a reader takes such a result as suppressed), and a finding that is no longer there with `baselineState: absent`
# (3.27.24). Both kinds are counted here as errors, and `--check error` ends with their number as exit code; a log in
# which everything was accepted fails as one in which nothing was. A filter file may leave out results by the kind of
# their suppression; nothing in the help of `summary` says that one is needed. `csv` and `html` list them like the others.
#
# Expected: 1 for the open result, 0 for the other two. Seen:
#   open: exit code 1, error: 1
#   accepted: exit code 1, error: 1
#   absent: exit code 1, error: 1
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
KINDS = {
    "open": {"baselineState": "unchanged"},
    "accepted": {"suppressions": [{"kind": "external", "status": "accepted", "justification": "until the move"}]},
    "absent": {"baselineState": "absent"},
}
for kind, more in KINDS.items():
    result = {"ruleId": "no-owner", "level": "error", "message": {"text": "this service has no owner"}, **more}
    log = {"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
           "runs": [{"tool": {"driver": {"name": "check", "rules": [{"id": "no-owner"}]}}, "results": [result]}]}
    file = FOLDER / f"{kind}.sarif"
    file.write_text(json.dumps(log))
    done = subprocess.run([FOLDER / "env/bin/sarif", "--check", "error", "summary", file], capture_output=True, text=True)
    count = next(line for line in done.stdout.splitlines() if line.startswith("error:"))
    print(f"{kind}: exit code {done.returncode}, {count}")
PYTHON
cat "$folder/seen"
cat > "$folder/expected" <<'TEXT'
open: exit code 1, error: 1
accepted: exit code 1, error: 1
absent: exit code 1, error: 1
TEXT
diff "$folder/expected" "$folder/seen"
