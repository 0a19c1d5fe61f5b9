#!/bin/sh
# ldif 4.3.0 (PyPI): a record that deletes an entry is returned as an entry, and names of one attribute are two.
#
# LDIF (RFC 2849) has two kinds of record: an entry, and a change, which a line `changetype:` tells. `LDIFParser.parse`,
# strict as by default, returns both alike, as pairs of a name and attributes: a person who is deleted is one more person,
# with an attribute called `changetype`. A rename (`modrdn`) is one too, under the old name. Attribute names do not
# depend on case (RFC 4512, 2.5), and the dictionary of an entry is a plain one: of two addresses written `mail` and
# `MAIL`, `record["mail"]` has one.
#
# Expected: the second and third record refused or told apart, and two addresses. Seen:
#   uid=anna: mail ['anna@example.org']
#   uid=anna: MAIL ['a.b@example.org']
#   uid=bo: changetype ['delete']
#   uid=cy: changetype ['modrdn'], newrdn ['uid=cyd'], deleteoldrdn ['1']
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check 'ldif==4.3.0'
cat > "$folder/entries.ldif" <<'LDIF'
dn: uid=anna,dc=example,dc=org
mail: anna@example.org
MAIL: a.b@example.org
LDIF
cat > "$folder/changes.ldif" <<'LDIF'
dn: uid=bo,dc=example,dc=org
changetype: delete

dn: uid=cy,dc=example,dc=org
changetype: modrdn
newrdn: uid=cyd
deleteoldrdn: 1
LDIF
"$folder/env/bin/python" - "$folder" > "$folder/seen" <<'PYTHON'
import sys
from pathlib import Path

from ldif import LDIFParser

for name in ("entries", "changes"):
    with Path(sys.argv[1], f"{name}.ldif").open("rb") as file:
        for dn, record in LDIFParser(file).parse():
            told = [f"{key} {value}" for key, value in record.items()]
            for line in told if name == "entries" else [", ".join(told)]:
                print(f"{dn.partition(',')[0]}: {line}")
PYTHON
cat "$folder/seen"
cat > "$folder/expected" <<'TEXT'
uid=anna: mail ['anna@example.org']
uid=anna: MAIL ['a.b@example.org']
uid=bo: changetype ['delete']
uid=cy: changetype ['modrdn'], newrdn ['uid=cyd'], deleteoldrdn ['1']
TEXT
diff "$folder/expected" "$folder/seen"
