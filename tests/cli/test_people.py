"""`people refresh` as its users run it: from an export to a plan that ends the access of whoever left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from directory.slapd import PASSWORD, READER, SUFFIX, company, modify, serve

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
instances:
  stats: {{platform: umami, url: "{url}", layout: per-site, self: siteward, accept_blind: [board-links]}}
directories:
  staff: {{file: people/staff.csv, expects: {{people: [anna]}}}}
include:
  - {{path: people/staff.yaml, directory: staff}}
groups:
  analysts: {{from: {{directory: staff, group: Web Analytics}}}}
grants:
  - {{to: analysts, role: view, sites: shop.example.org}}
"""
STAFF = """\
id,email,name,groups
1,anna@example.org,Anna,Web Analytics
2,ben@example.org,Ben,Web Analytics
"""


@pytest.fixture
def staffed(checkout: Program, umami: Sandbox) -> Program:
    """A checkout whose people come from an export."""
    checkout.write(FILE.format(url=umami.url))
    checkout.write(STAFF, "people/staff.csv")
    return checkout


def test_from_the_export_to_the_end_of_access(staffed: Program) -> None:
    """Whoever is listed gets what the group gives; whoever leaves loses it and stays in the file as suspended."""
    path = staffed.folder / "access.yaml"
    path.write_text(path.read_text().replace("[anna]", "[carla]"))
    staff = STAFF.replace("anna", "carla").replace("ben", "dmitri").replace("Ben", "Dmitri")
    staffed.write(staff, "people/staff.csv")
    first = staffed("people", "refresh")
    assert first.code == 0, first.err
    assert staffed("validate").code == 0, staffed("validate").out
    applied = staffed(
        "apply", "--yes", "--passwords-out", "passwords.txt", "--only", "user:carla", "--only", "user:dmitri"
    )
    assert applied.code == 0, applied.out
    file = staffed.folder / "people" / "staff.yaml"
    written = file.read_bytes()
    assert (staffed("people", "refresh", "--check").code, file.read_bytes()) == (0, written)
    staffed.write(staff.replace("2,dmitri@example.org,Dmitri,Web Analytics\n", ""), "people/staff.csv")
    assert (staffed("people", "refresh", "--check").code, file.read_bytes()) == (2, written)
    refreshed = staffed("people", "refresh", "-f", "markdown")
    assert refreshed.code == 0
    assert "| left | `dmitri` | not in the listing any more |" in refreshed.out
    assert 'dmitri: {id: "2", email: dmitri@example.org, name: Dmitri, state: suspended}' in file.read_text()
    left = staffed("plan", "--only", "user:dmitri")
    assert left.code == 2, left.out
    assert "dmitri" in left.out
    assert staffed("apply", "--yes", "--only", "user:dmitri").code == 0
    assert staffed("plan", "--only", "user:dmitri").code == 0


def test_a_refused_export_writes_nothing_and_says_where(staffed: Program) -> None:
    """The witness is missing, one line has no id: everything at once would be too late for the first."""
    staffed.write(STAFF.replace("1,anna@example.org,Anna", ",cleo@example.org,Cleo"), "people/staff.csv")
    refused = staffed("people", "refresh")
    assert refused.code == 1
    assert "people/staff.csv:2:1" in refused.out
    staffed.write(STAFF.replace("1,anna@example.org,Anna", "3,cleo@example.org,Cleo"), "people/staff.csv")
    refused = staffed("people", "refresh")
    assert refused.code == 1
    assert "the listing lacks `anna`" in refused.out
    assert not (staffed.folder / "people" / "staff.yaml").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "told"),
    [
        ((", directory: staff}", "}"), (), "no `include` names the file that the people of `staff` are written to"),
        (("people/staff.csv", "people/none.csv"), (), "people/none.csv cannot be read"),
        (("people/staff.csv", "../staff.csv"), (), "no file that a directory can be read from"),
        (("people/staff.csv", "staff.xlsx"), (), "no file that a directory can be read from"),
        (("  staff: {file", "  other: {file"), ("staff",), "there is no directory 'staff'"),
        (("directories:\n", "directries:\n"), (), "directries"),
        (("", ""), ("--same", "anna"), "--same: write NAME=ID"),
        (("", ""), ("--same", "nobody=1"), "--same nobody=1: the file has no `nobody`"),
    ],
)
def test_what_cannot_be_refreshed_is_said(
    staffed: Program, change: tuple[str, str], arguments: tuple[str, ...], told: str
) -> None:
    path = staffed.folder / "access.yaml"
    path.write_text(path.read_text().replace(*change))
    refused = staffed("people", "refresh", *arguments)
    assert refused.code == (1 if "other" not in arguments else 0), refused.out
    assert told in refused.out + refused.err


def test_a_link_out_of_the_folder_is_not_followed(staffed: Program) -> None:
    """Nor is one written through."""
    outside = staffed.folder.parent / "outside.csv"
    outside.write_text(STAFF)
    export = staffed.folder / "people" / "staff.csv"
    export.unlink()
    export.symlink_to(outside)
    refused = staffed("people", "refresh")
    assert refused.code == 1
    assert "leads out of the folder" in refused.out
    export.unlink()
    export.write_text(STAFF)
    target = staffed.folder.parent / "target.yaml"
    target.write_text("directory: staff\n")
    (staffed.folder / "people" / "staff.yaml").symlink_to(target)
    staffed("people", "refresh")
    assert target.read_text() == "directory: staff\n"


@pytest.mark.parametrize(("privacy", "shown"), [("handles", "changed"), ("counts", "2 changed")])
@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_no_address_is_told_where_names_are_redacted(staffed: Program, form: str, privacy: str, shown: str) -> None:
    assert staffed("people", "refresh").code == 0
    staffed.write(STAFF.replace("anna@", "berg@").replace(",Anna,", ",Berg,"), "people/staff.csv")
    result = staffed("people", "refresh", "--check", "--format", form, "--privacy", privacy)
    assert result.code == 2
    assert shown in result.out or form == "json"
    assert "@" not in result.out
    assert "Berg" not in result.out


def test_a_server_is_asked_with_the_credentials_of_the_directory(
    staffed: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From LDAP to the file; whoever is gone is told by the word that fits, and a cut listing changes nothing."""
    limits = f'limits dn.exact="{READER}" size.prtotal=unlimited'
    with serve(tmp_path_factory.mktemp("slapd"), company(600), more=limits) as port:
        row = f'staff: {{ldap: {{url: "ldap://127.0.0.1:{port}", base: "{SUFFIX}"}}, expects: {{at_least: 500}}}}'
        path = staffed.folder / "access.yaml"
        path.write_text(path.read_text().replace("staff: {file: people/staff.csv, expects: {people: [anna]}}", row))
        missing = staffed("people", "refresh")
        assert (missing.code, "SITEWARD_STAFF_BIND_DN" in missing.out + missing.err) == (1, True)
        staffed.env |= {"SITEWARD_STAFF_BIND_DN": READER, "SITEWARD_STAFF_BIND_PASSWORD": PASSWORD}
        first = staffed("people", "refresh")
        assert first.code == 0, first.out + first.err
        file = staffed.folder / "people" / "staff.yaml"
        written = file.read_text()
        assert "staff-web-analytics: {members: [p1]}" in written
        modify(port, f"dn: uid=p9,ou=People,{SUFFIX}\nchangetype: delete\n")
        second = staffed("people", "refresh")
        assert "left p9 gone from the directory" in " ".join(second.out.split())
        assert staffed("people", "refresh", "--check").code == 0
        assert PASSWORD not in file.read_text() + second.out + second.err
    with serve(tmp_path_factory.mktemp("slapd"), company(600)) as port:
        path.write_text(re.sub(r"127\.0\.0\.1:\d+\", base", f'127.0.0.1:{port}", base', path.read_text()))
        before = file.read_bytes()
        cut = staffed("people", "refresh")
        assert cut.code == 1
        assert "ended the listing early" in cut.out + cut.err
        assert file.read_bytes() == before
