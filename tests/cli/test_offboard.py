"""Somebody leaves: the edit of the file, what no edit ends, who ticked it, and what drift and the history say of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import Program
from cli.repo import commit
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
instances:
  stats: {platform: PLATFORM, url: URL, self: SELF}
sites:
  shop: {domain: shop.example.org, owner: nora}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org}
  # nora looks after the shop
  nora: {email: nora@example.org, also: [ssh stats-host, "the shared password of the newsletter"]}
  robot: {email: robot@example.org, kind: service, owner: nora}
groups:
  writers: {members: [anna, nora], owner: nora}
grants:
  - {to: [anna, nora], role: view, sites: shop}
  - {to: nora, role: edit, sites: shop, until: 2027-12-31}
  - {to: writers, role: view, sites: blog}
  - {to: robot, role: view, sites: blog}
"""


def build(tmp_path: Path, sandbox: Sandbox, platform: str, me: str, **words: str) -> Program:
    program = Program(tmp_path / "repo", moment="2026-03-01T12:00:00+00:00")
    program.folder.mkdir()
    text = FILE.replace("URL", sandbox.url).replace("PLATFORM", platform).replace("SELF", me)
    for old, new in words.items():
        text = text.replace(old, new)
    program.write(text)
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    commit(program, "Give everybody access")
    return program


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    names = ("anna", "nora", "robot")
    world = World(
        accounts=tuple(WorldAccount(login=name, email=f"{name}@example.org") for name in names),
        sites=(WorldSite(name="shop", domain="shop.example.org"), WorldSite(name="blog", domain="blog.example.org")),
    )
    fake = platforms.fake("matomo")
    with serve(fake.of(world, fake.releases[0], clock=lambda: datetime.now(UTC))) as served:
        yield served


@pytest.fixture
def company(tmp_path: Path, sandbox: Sandbox) -> Program:
    program = build(tmp_path, sandbox, "matomo", "root")
    assert program("apply", "--yes").code == 0
    program.moment = "2026-05-05T12:00:00+00:00"
    return program


def items(said: Any) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in said.json()["items"]}


def entries(company: Program) -> list[dict[str, Any]]:
    lines = (company.folder / ".siteward" / "stats.jsonl").read_text().splitlines()
    return [item for line in map(json.loads, lines) for item in line.get("offboard", ())]


def test_the_edit_ends_everything_and_nobody_else_loses_anything(company: Program) -> None:
    """Shown first, and written only when that is asked for; the next apply ends the access."""
    before = (company.folder / "access.yaml").read_text()
    said = company("offboard", "nora")
    assert said.code == 2, said.out + said.err
    assert (company.folder / "access.yaml").read_text() == before
    assert "state: suspended" in said.out
    assert company("offboard", "nora@example.org", "--write", "--ticket", "HR-77").code == 2
    text = (company.folder / "access.yaml").read_text()
    (row,) = re.findall(r"  nora: .*", text)
    assert "state: suspended" in row
    assert re.search(r"until: '?2026-05-05'?", row)
    assert "ticket: HR-77" in row
    assert "# nora looks after the shop" in text
    assert "{to: [anna], role: view, sites: shop}" in text
    assert "2027-12-31" not in text
    commit(company, "nora leaves")
    assert company("apply", "--yes").code == 0
    again = company("offboard", "nora", "-f", "json")
    assert again.json()["patch"] is None
    assert company("validate").code == 0


def test_the_checklist_has_what_no_edit_ends(company: Program) -> None:
    """By platform, from the file, and access elsewhere; each with what ends it."""
    found = items(company("offboard", "nora", "-f", "json"))
    assert {name for name in found if name.startswith("stats/")} == {
        "stats/tokens", "stats/sessions", "stats/reports", "stats/segments", "stats/dashboards", "stats/annotations",
    } - ({"stats/sessions"} - found.keys())  # fmt: skip
    assert {name for name in found if not name.startswith("stats/")} == {
        "service/robot", "group/writers", "site/shop", "also/ssh-stats-host", "also/the-shared-password-of-the-newsletter",
    }  # fmt: skip
    assert all(item["state"] == "open" and item["ends"] for item in found.values())
    text = company("offboard", "nora").out
    assert "- [ ] `also/ssh-stats-host`: ssh stats-host" in text
    assert "- [ ] `stats/tokens`" in text


def test_what_is_done_is_ticked_by_whoever_says_so(company: Program) -> None:
    """In the journal, with who and why; the rest stays open, and drift and the history tell both."""
    assert company("offboard", "nora", "--write").code == 2
    assert {entry["decision"] for entry in entries(company)} == {"open"}
    said = company(
        "offboard", "nora", "--done", "also/ssh-stats-host", "--reason", "key removed, HR-77", "-f", "json",
        GITHUB_ACTIONS="true", GITHUB_ACTOR="ben-cole",
    )  # fmt: skip
    assert said.code == 2, said.out
    done = items(said)["also/ssh-stats-host"]
    assert (done["state"], done["by"], done["how"], done["reason"]) == (
        "done", "ben-cole", "GITHUB_ACTOR", "key removed, HR-77",
    )  # fmt: skip
    count = len(entries(company))
    assert "- [x] `also/ssh-stats-host`" in company("offboard", "nora").out
    company("offboard", "nora", "--record")
    assert len(entries(company)) == count
    (told,) = [one for one in company("drift", "-f", "json").json()["diagnostics"] if one["code"] == "offboarding-open"]
    assert "stats/tokens" in told["message"]
    assert "also/ssh-stats-host" not in told["message"]
    events = [
        event
        for event in company("history", "--user", "nora", "-f", "json").json()["items"]
        if event["kind"] == "offboarded"
    ]
    assert events[-1]["message"] == "also/ssh-stats-host done: key removed, HR-77"
    assert events[-1]["actor"] == "ben-cole"
    assert company("journal", "verify").code == 0


def test_what_is_read_is_ticked_by_reading_alone(company: Program) -> None:
    """Saying so is refused while it is there; once it is gone, it is done."""
    company("offboard", "nora", "--write")
    refused = company("offboard", "nora", "--done", "service/robot", "--reason", "handed over", "-f", "json")
    assert (refused.code, refused.json()["diagnostics"][0]["code"]) == (1, "not-offboarded")
    assert "ticked by reading alone" in refused.json()["diagnostics"][0]["message"]
    path = company.folder / "access.yaml"
    path.write_text(path.read_text().replace("kind: service, owner: nora", "kind: service, owner: anna"))
    found = items(company("offboard", "nora", "-f", "json"))
    assert (found["service/robot"]["state"], found["service/robot"]["how"]) == ("done", "reading")
    assert found["group/writers"]["state"] == "open"


def test_once_all_is_done_there_is_nothing_left(company: Program) -> None:
    """The verb leaves with 0, and drift says nothing; also after the user's row is gone."""
    company("offboard", "nora", "--write")
    path = company.folder / "access.yaml"
    path.write_text(path.read_text().replace("owner: nora", "owner: anna"))
    commit(company, "nora leaves, anna takes over")
    company("apply", "--yes")
    for name, item in items(company("offboard", "nora", "-f", "json")).items():
        if item["state"] == "open":
            assert company("offboard", "nora", "--done", name, "--reason", "done, HR-77").code in {0, 2, 3}
    said = company("offboard", "nora")
    assert said.code == 0, said.out
    assert "offboarding-open" not in company("drift", "-v").out
    text = path.read_text()
    path.write_text(re.sub(r"  nora: .*\n", "", text))
    commit(company, "nora is gone")
    assert company("offboard", "nora").code == 0
    assert "offboarding-open" not in company("drift", "-v").out


def test_wrong_names_are_told(company: Program) -> None:
    """Users and items, with what was likely meant."""
    said = company("offboard", "norra", "-f", "json")
    assert said.json()["diagnostics"][0]["hint"] == "did you mean nora?"
    said = company("offboard", "nora", "--done", "stats/token", "--reason", "x", "-f", "json")
    assert said.json()["diagnostics"][0]["hint"] == "did you mean stats/tokens?"
    assert company("offboard", "nora", "--done", "stats/tokens").code == 1


def test_without_a_journal_it_is_said(tmp_path: Path, sandbox: Sandbox) -> None:
    """The checklist is shown all the same; what is to be kept has no place yet."""
    program = build(tmp_path, sandbox, "matomo", "root")
    assert program("offboard", "nora").code in {2, 3}
    said = program("offboard", "nora", "--record", "-f", "json")
    assert (said.code, said.json()["diagnostics"][0]["code"]) == (1, "not-offboarded")
    assert not (program.folder / ".siteward" / "stats.jsonl").exists()


def test_names_are_hidden_where_that_is_asked_for(company: Program) -> None:
    """The patch quotes the file; with counts nobody is named."""
    said = company("offboard", "nora", "--privacy", "handles").out
    assert "nora@example.org" not in said
    assert "is not shown" in said
    assert "nora" not in company("offboard", "nora", "--privacy", "counts").out


def test_the_last_admin_is_not_let_go(tmp_path: Path, sandbox: Sandbox) -> None:
    """The guard that keeps an admin blocks it, and that is said."""
    program = build(
        tmp_path,
        sandbox,
        "matomo",
        "root",
        **{"grants:": "policy: {admins: {min: 1}}\ngrants:\n  - {to: nora, role: admin, on: stats}"},
    )
    assert program("apply", "--yes").code == 0
    program.moment = "2026-05-05T12:00:00+00:00"
    said = program("offboard", "nora")
    assert said.code == 3, said.out
    assert "**blocked**" in said.out


def test_two_lines_that_read_alike_are_two_items(tmp_path: Path, sandbox: Sandbox) -> None:
    """Neither hides the other."""
    program = build(
        tmp_path, sandbox, "matomo", "root", **{'"the shared password of the newsletter"': "SSH stats host"}
    )
    found = items(program("offboard", "nora", "-f", "json"))
    assert {"also/ssh-stats-host", "also/ssh-stats-host-2"} <= found.keys()


def test_it_is_erased_with_the_person(company: Program) -> None:
    """What the journal says of their leaving goes too, and the journal still verifies."""
    company("offboard", "nora", "--write", "--state", "absent")
    commit(company, "nora leaves")
    assert company("apply", "--yes", "--allow-delete").code == 0
    path = company.folder / "access.yaml"
    path.write_text(re.sub(r"  nora: .*\n", "", path.read_text().replace("owner: nora", "owner: anna")))
    commit(company, "nora is gone")
    assert company("apply", "--yes").code == 0
    said = company("journal", "erase", "--user", "nora", "--reason", "asked for, HR-78")
    assert said.code == 0, said.out
    assert "ssh-stats-host" not in (company.folder / ".siteward" / "stats.jsonl").read_text()
    assert company("journal", "verify").code == 0
    assert "offboarding-open" not in company("drift", "-v").out


def test_nothing_is_kept_of_an_edit_that_cannot_be_written(company: Program) -> None:
    """A file that is a link is not written through, and the journal stays as it was."""
    path = company.folder / "access.yaml"
    path.rename(company.folder / "real.yaml")
    path.symlink_to("real.yaml")
    said = company("offboard", "nora", "--write", "-f", "json")
    assert (said.code, said.json()["diagnostics"][0]["code"]) == (1, "cannot-write")
    assert entries(company) == []


PEOPLE = """\
directory: corp
users:
  nora: {id: "1", email: nora@example.org}
"""


def test_the_file_of_a_directory_is_left_to_the_directory(company: Program) -> None:
    """Their lines elsewhere go; who suspends them is said, and `--write` leaves the written file as it is."""
    text = (company.folder / "access.yaml").read_text()
    head = "version: 1\ninclude: [{path: people.yaml, directory: corp}]\ndirectories: {corp: {file: corp.csv}}\n"
    row = next(line for line in text.splitlines(keepends=True) if line.startswith("  nora:"))
    company.write(text.replace("version: 1\n", head).replace(row, ""))
    company.write(PEOPLE, "people.yaml")
    done = company("offboard", "nora", "--write", "--ticket", "HR-7")
    assert (done.code, "people refresh corp" in done.err) == (2, True), done.err
    assert (company.folder / "people.yaml").read_text() == PEOPLE
    left = (company.folder / "access.yaml").read_text().partition("groups:")[2].replace("owner: nora", "")
    assert "nora" not in left


def test_what_an_alias_repeats_is_no_traceback(company: Program) -> None:
    """The places are named, as other edits name them."""
    text = (company.folder / "access.yaml").read_text()
    text = text.replace("to: [anna, nora]", "to: &who [anna, nora]").replace("to: writers", "to: *who")
    company.write(text)
    done = company("offboard", "nora")
    assert done.code == 1
    assert "not-offboarded" in done.out
    assert "is repeated at" in done.out


def test_a_sealed_journal_without_its_key_leaves_nothing_half_done(company: Program) -> None:
    """With `--record` nothing is written; with `--write` alone the file is, and what is missing is said."""
    key = "0123456789" * 4
    assert company("apply", "--yes", SITEWARD_JOURNAL_KEY=key).code == 0
    assert company("offboard", "nora", "--record", SITEWARD_JOURNAL_KEY=key).code == 2
    before = (company.folder / "access.yaml").read_text()
    refused = company("offboard", "anna", "--record", "--write")
    assert (refused.code, "SITEWARD_JOURNAL_KEY" in refused.out) == (1, True)
    assert (company.folder / "access.yaml").read_text() == before
    written = company("offboard", "anna", "--write")
    assert (written.code, "not in the journal" in written.err) == (2, True), written.out
    assert (company.folder / "access.yaml").read_text() != before
