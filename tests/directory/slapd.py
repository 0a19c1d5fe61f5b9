"""A real OpenLDAP server on this machine, with a company in it; skipped in words where Debian's slapd is not installed."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from crossings.programs import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = "dc=example,dc=org"
ROOT = f"cn=root,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
PASSWORD = "correct-horse"
CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
moduleload back_mdb
pidfile {folder}/pid
{tls}
database mdb
maxsize 100000000
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
rootpw correct-horse
directory {folder}/data
index objectClass,entryUUID,uid,mail eq
{more}
access to attrs=userPassword by anonymous auth by * none
{access}
access to * by * read
"""


def find_slapd() -> str:
    """Return the path of the server; skips where it is not installed."""
    path = shutil.which("slapd", path="/usr/sbin:/usr/bin:/usr/local/libexec:/usr/lib/openldap")
    if path is None:
        pytest.skip("OpenLDAP's slapd is not installed (Debian: slapd)")
    return path


def person(number: int, branch: str = "People", mail: bool = True) -> str:  # noqa: FBT001, FBT002 — a line of data
    """Return the entry of a person as LDIF."""
    address = f"mail: p{number}@example.org\n" if mail else ""
    return (
        f"dn: uid=p{number},ou={branch},{SUFFIX}\nobjectClass: inetOrgPerson\nuid: p{number}\nsn: P\ncn: Person {number}\n"
        f"{address}entryUUID: {number:08x}-0000-1000-8000-000000000000\n\n"
    )


def company(people: int) -> str:
    """Return a company of so many people as LDIF: a reading account, a branch of people, one of leavers, two groups."""
    head = f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
    head += f"dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n\n"
    for branch in ("People", "Left", "Groups"):
        head += f"dn: ou={branch},{SUFFIX}\nobjectClass: organizationalUnit\nou: {branch}\n\n"
    rows = "".join(person(number) for number in range(1, people + 1))
    members = "".join(f"member: UID=P{number}, OU=People,{SUFFIX}\n" for number in range(1, people + 1))
    groups = f"dn: cn=all,ou=Groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: all\n{members}\n"
    groups += f"dn: cn=Web Analytics,ou=Groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: Web Analytics\nmember: uid=p1,ou=People,{SUFFIX}\n"
    groups += f"member: uid=ghost,ou=People,{SUFFIX}\nmember: cn=Web Analytics,ou=Groups,{SUFFIX}\n\n"
    return head + rows + groups


@contextmanager
def serve(folder: Path, data: str, *, more: str = "", access: str = "", tls: str = "") -> Iterator[int]:
    """Serve some data, and yield the port; `more` are lines of the database, `access` rules before the last one."""
    slapd = find_slapd()
    (folder / "data").mkdir(parents=True)
    config = folder / "slapd.conf"
    modules = "" if not shutil.os.path.isdir("/usr/lib/ldap") else "modulepath /usr/lib/ldap\n"  # type: ignore[attr-defined]
    config.write_text(modules + CONFIG.format(folder=folder, more=more, access=access, tls=tls))
    ldif = folder / "data.ldif"
    ldif.write_text(data)
    subprocess.run(
        [slapd, "-T", "add", "-q", "-f", str(config), "-l", str(ldif)], check=True, capture_output=True, timeout=120
    )
    address = f"{'ldaps' if tls else 'ldap'}://127.0.0.1"
    with listening(
        lambda port: [slapd, "-d", "0", "-f", str(config), "-h", f"{address}:{port}/"], folder / "log"
    ) as port:
        yield port


def modify(port: int, changes: str) -> None:
    """Carry out changes, in LDIF, as whoever runs the directory."""
    tool = shutil.which("ldapmodify")
    if tool is None:
        pytest.skip("OpenLDAP's tools are not installed (Debian: ldap-utils)")
    command = [tool, "-x", "-H", f"ldap://127.0.0.1:{port}", "-D", ROOT, "-w", PASSWORD]
    subprocess.run(command, input=changes.encode(), check=True, capture_output=True, timeout=120)
