#!/bin/sh
# ruamel.yaml 0.19.1 against the npm package yaml 2.8.1: a text that crosses from one to the other becomes a number.
#
# ruamel.yaml, round trip (YAML 1.2), writes the text `.5e3` without quotes and reads it as text again. In the core schema
# of YAML 1.2 (section 10.3.2) `.5e3` is a number, and yaml reads 500. `5e3` and `.5` are quoted, as they must be.
#
# Expected: what is text on one side is text on the other. Seen:
#   written by ruamel.yaml: a: .5e3
#   read by ruamel.yaml:    str
#   read by yaml:           number 500
#   written by ruamel.yaml: a: '5e3'
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check 'ruamel.yaml==0.19.1'
(cd "$folder" && npm install --silent --no-fund --no-audit yaml@2.8.1 >/dev/null)
"$folder/env/bin/python" - "$folder" > "$folder/seen" <<'PYTHON'
import sys
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML


def written(text):
    out = StringIO()
    YAML().dump({"a": text}, out)
    return out.getvalue()


Path(sys.argv[1], "a.yaml").write_text(written(".5e3"), encoding="utf-8")
print("written by ruamel.yaml:", written(".5e3").strip())
print("read by ruamel.yaml:   ", type(YAML(typ="safe").load(written(".5e3"))["a"]).__name__)
print("written by ruamel.yaml:", written("5e3").strip())
PYTHON
(cd "$folder" && node -e '
const value = require("yaml").parse(require("fs").readFileSync("a.yaml", "utf8")).a
console.log("read by yaml:          ", typeof value, value)
') >> "$folder/seen"
sort "$folder/seen" > "$folder/sorted"
sort > "$folder/wanted" <<'SEEN'
written by ruamel.yaml: a: .5e3
read by ruamel.yaml:    str
read by yaml:           number 500
written by ruamel.yaml: a: '5e3'
SEEN
cat "$folder/seen"
diff "$folder/wanted" "$folder/sorted"
