"""`people refresh` as its users run it: from an export to a plan that ends the access of whoever left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment
from cli.repo import commit
from directory.slapd import PASSWORD, READER, SUFFIX, company, modify, serve

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_several_directories_are_one_answer_and_one_refusal_stops_no_other(staffed: Program) -> None:
    """In the report and in a file: what one directory says overwrites nothing of another, and what is refused is named."""
    path = staffed.folder / "access.yaml"
    rows = "\n".join(f"  {name}: {{file: people/{name}.csv}}" for name in ("partners", "board"))
    includes = "".join(f"\n  - {{path: people/{name}.yaml, directory: {name}}}" for name in ("partners", "board"))
    text = path.read_text().replace("directories:\n", f"directories:\n{rows}\n")
    path.write_text(text.replace("directory: staff}", f"directory: staff}}{includes}"))
    staffed.write("id,email,name\n7,pia@example.net,Pia\n", "people/partners.csv")
    both = staffed("people", "refresh", "-f", "json", "-o", "markdown:comment.md")
    assert both.code == 1
    document = both.json()
    assert [done["directory"] for done in document["directories"]] == ["partners", "staff"]
    assert document["refused"] == ["board"]
    assert "people/board.csv cannot be read" in both.err
    comment = (staffed.folder / "comment.md").read_text()
    assert all(told in comment for told in ("**staff** (", "**partners** (", "**board**: refused"))
    written = {file.name for file in (staffed.folder / "people").glob("*.yaml")}
    assert written == {"staff.yaml", "partners.yaml"}
    staffed.write("id,email,name\n8,bo@example.net,Bo\n", "people/board.csv")
    assert staffed("people", "refresh", "--check").code == 2
    assert staffed("people", "refresh").code == 0
    assert staffed("people", "refresh", "--check").code == 0


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


def test_directories_of_one_run_do_not_take_each_other_s_names(staffed: Program) -> None:
    """A name that the first has given is not given again, and the same number may be an id in both."""
    path = staffed.folder / "access.yaml"
    more = path.read_text().replace(
        "include:\n",
        "  guests: {file: people/guests.csv}\ninclude:\n  - {path: people/guests.yaml, directory: guests}\n",
    )
    path.write_text(more)
    staffed.write("id,email,name\n1,gina@example.org,Gina\n9,anna@example.com,Anna\n", "people/guests.csv")
    clash = staffed("people", "refresh")
    assert clash.code == 1, clash.out
    assert "listing-clash: `anna`" in clash.err
    assert not (staffed.folder / "people" / "guests.yaml").exists()
    assert staffed("people", "refresh", "guests", "--other", "anna-g=9").code == 0
    assert staffed("people", "refresh", "--check").code == 0
    checked = staffed("validate")
    assert checked.code == 0, checked.out


def test_a_file_that_cannot_be_read_or_written_is_said(staffed: Program) -> None:
    """In words, with the place, and nothing is half done; the next run goes on."""
    file = staffed.folder / "people" / "staff.yaml"
    file.mkdir()
    in_its_place = staffed("people", "refresh")
    assert (in_its_place.code, "people/staff.yaml cannot be read" in in_its_place.out) == (1, True), in_its_place.out
    file.rmdir()
    file.write_bytes(b"directory: staff\n# \xff\n")
    broken = staffed("people", "refresh")
    assert (broken.code, "is not UTF-8" in broken.out) == (1, True), broken.out
    file.unlink()
    path = staffed.folder / "access.yaml"
    path.write_text(path.read_text().replace("path: people/staff.yaml", "path: written/staff.yaml"))
    staffed.write("", "written")
    refused = staffed("people", "refresh")
    assert (refused.code, "written/staff.yaml cannot be" in refused.out) == (1, True), refused.out
    (staffed.folder / "written").unlink()
    assert staffed("people", "refresh").code == 0
    assert [name.name for name in (staffed.folder / "written").iterdir()] == ["staff.yaml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_said(staffed: Program) -> None:
    folder = staffed.folder / "people"
    folder.chmod(0o555)
    refused = staffed("people", "refresh")
    folder.chmod(0o755)
    assert (refused.code, "cannot be written" in refused.out) == (1, True), refused.out


def test_a_long_list_of_members_is_counted(staffed: Program) -> None:
    """One line for a group, whatever its size."""
    rows = "".join(f"{number},p{number}@example.org,P,Web Analytics\n" for number in range(1, 501))
    staffed.write("id,email,name,groups\n" + rows.replace("p1@", "anna@"), "people/staff.csv")
    refreshed = staffed("people", "refresh")
    assert refreshed.code == 0, refreshed.err
    assert max(map(len, refreshed.out.splitlines())) < 200
    assert "and 490 more" in refreshed.out


def test_the_whole_way_of_somebody_who_leaves(staffed: Program) -> None:
    """From the export to the pull request, to what ends and what stays, to the apply and its evidence."""
    path = staffed.folder / "access.yaml"
    text = path.read_text().replace("[anna]", "[carla]")
    service = "  - {to: etl, role: view, sites: shop.example.org}\n"
    text += service + "policy: {limits: {revocations: {percent: 100}}}\n"
    text += "users: {etl: {kind: service, owner: dmitri, keys: [{name: nightly, on: stats, holds: view}]}}\n"
    path.write_text(text)
    staff = STAFF.replace("anna", "carla").replace("ben", "dmitri").replace("Ben", "Dmitri")
    staffed.write(staff, "people/staff.csv")
    staffed.write(".siteward/\nbundle/\npw\nplan.json\n", ".gitignore")
    staffed.env["SITEWARD_JOURNAL_KEY"] = "a key that is long enough"
    leaver = ("--only", "user:dmitri", "--only", "user:etl")
    only = ("--only", "user:carla", *leaver)
    assert staffed("people", "refresh").code == 0
    commit(staffed)
    assert staffed("apply", "--yes", "--passwords-out", "pw", *only).code == 0
    staffed.write(staff.replace("2,dmitri@example.org,Dmitri,Web Analytics\n", ""), "people/staff.csv")
    asked = staffed("people", "refresh", "--check", "--format", "markdown")
    assert (asked.code, "| left | dmitri |" in asked.out.replace("`", "").replace("**", "")) == (2, True), asked.out
    assert staffed("people", "refresh").code == 0
    attended = staffed("plan", *leaver, "--base", "HEAD")
    assert (
        "key-stays: stats: the key `nightly` of `etl` on stats stays: its owner `dmitri` is suspended" in attended.out
    )
    path.write_text(text.replace(service, ""))
    commit(staffed, "people: dmitri left")
    diff = staffed("diff", "HEAD~1")
    assert (diff.code, "dmitri" in diff.out, "shop.example.org" in diff.out) == (2, True, True), diff.out
    plan = staffed("plan", *leaver, "--out", "plan.json", "--base", "HEAD~1")
    assert plan.code == 2, plan.out
    assert re.search(r"dmitri  +shop\.example\.org +team-view-only → none", plan.out), plan.out
    assert "key-stays: stats: the key `nightly` of `etl` on stats stays" in plan.out
    assert staffed("apply", "plan.json", "--yes", "--base", "HEAD~1").code == 0
    made = staffed("evidence", "make", "--user", "dmitri", "--to", "bundle")
    assert made.code == 0, made.out + made.err
    history = (staffed.folder / "bundle" / "history.csv").read_text(encoding="utf-8")
    assert re.search(r"dmitri.*lost.*shop\.example\.org", history), history
    assert staffed("evidence", "verify", "bundle").code == 0


@pytest.mark.parametrize(("privacy", "shown"), [("handles", "changed"), ("counts", "2 changed")])
@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_no_address_is_told_where_names_are_redacted(staffed: Program, form: str, privacy: str, shown: str) -> None:
    assert staffed("people", "refresh").code == 0
    staffed.write(STAFF.replace("anna@", "berg@").replace(",Anna,", ",Berg,"), "people/staff.csv")
    result = staffed("people", "refresh", "--check", "--format", form, "--privacy", privacy)
    assert result.code == 2
    assert shown in result.out if form != "json" else result.json()["format"] == "siteward.people/1"
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


def _interrupt(program: Program, begun: Callable[[], bool], *arguments: str) -> tuple[int, str]:
    """Start a refresh, send it a Ctrl-C once it has begun, and return its exit code and what it says of that.

    Nobody reads what it prints before that, and a page of it fills the pipe.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "siteward", "people", "refresh", *arguments], cwd=program.folder,
        env=base_environment() | program.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=4096,
    ) as running:  # fmt: skip
        try:
            while not begun():
                assert running.poll() is None, "it ended before it was interrupted"
                time.sleep(0.02)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=120)
        finally:
            running.kill()
    return running.returncode, said


def test_stopped_while_it_tells_the_file_is_whole_and_said_to_be(staffed: Program) -> None:
    """It waits in the middle of that for whoever reads it; the file was replaced before."""
    rows = "".join(f"{at},p{at}@example.org,Somebody {at},\n" for at in range(3, 3000))
    staffed.write(STAFF + rows, "people/staff.csv")
    file = staffed.folder / "people" / "staff.yaml"
    code, said = _interrupt(staffed, file.exists)
    assert (code, "people/staff.yaml is written, and nothing more is done" in said) == (130, True), said
    assert file.read_text(encoding="utf-8").count("email:") == 2999
    assert sorted(path.name for path in file.parent.iterdir()) == ["staff.csv", "staff.yaml"]
    assert staffed("people", "refresh", "--check").code == 0


def test_stopped_while_a_server_is_silent_nothing_is_written(staffed: Program) -> None:
    """A server that takes the connection and says nothing: the program ends at once, and shows no credential."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=lambda: taken.append(silent.accept()[0]), daemon=True).start()
        row = f'staff: {{ldap: {{url: "ldap://127.0.0.1:{silent.getsockname()[1]}", base: "{SUFFIX}"}}}}'
        path = staffed.folder / "access.yaml"
        path.write_text(path.read_text().replace("staff: {file: people/staff.csv, expects: {people: [anna]}}", row))
        staffed.env |= {"SITEWARD_STAFF_BIND_DN": READER, "SITEWARD_STAFF_BIND_PASSWORD": PASSWORD}
        code, said = _interrupt(staffed, lambda: bool(taken))
    for connection in taken:
        connection.close()
    assert (code, "interrupted" in said, PASSWORD in said) == (130, True, False), said
    assert not (staffed.folder / "people" / "staff.yaml").exists()
