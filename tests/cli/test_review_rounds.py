"""Rounds of an access review: a sheet for each reviewer, decisions that leave a trace, and what moved in between."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from cli.conftest import Program
from cli.repo import commit, edit, git
from siteward import platforms
from siteward.access.documents import document_schema
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
policy:
  reviews: {admins: 30d, everybody: 90d}
instances:
  stats: {platform: umami, url: URL, self: siteward, layout: per-site, accept_blind: [board-links]}
sites:
  shop: {domain: shop.example.org, owner: anna}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
  carla: {email: carla@example.org}
  robot: {email: robot@example.org, kind: service, owner: ben}
groups:
  writers: {members: [ben], owner: [ben, carla]}
grants:
  - {to: anna, role: view, sites: shop}  # hers
  - {to: carla, role: view, sites: shop}
  - {to: writers, role: edit, sites: blog, ticket: OPS-7, reason: writes there}
  - {to: robot, role: view, sites: blog}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    names = ("anna", "ben", "carla", "robot", "eve")
    world = World(
        accounts=tuple(WorldAccount(login=name) for name in names),
        sites=(WorldSite(name="shop", domain="shop.example.org"), WorldSite(name="blog", domain="blog.example.org")),
        grants=(WorldGrant(account="eve", site="shop.example.org", role="view"),),
    )
    with serve(platforms.fake("umami").of(world, "3.2", clock=lambda: datetime.now(UTC))) as served:
        yield served


@pytest.fixture
def company(tmp_path: Path, sandbox: Sandbox) -> Program:
    program = Program(tmp_path / "repo", moment="2026-03-01T12:00:00+00:00")
    program.folder.mkdir()
    program.write(FILE.replace("URL", sandbox.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    commit(program, "Give access")
    return program


@pytest.fixture
def applied(company: Program) -> Program:
    assert company("apply", "--yes").code == 0
    company.moment = "2026-04-01T12:00:00+00:00"
    return company


def sheets(program: Program, name: str = "q2") -> Path:
    return program.folder / ".siteward" / "reviews" / name


def start(program: Program, name: str = "q2", reviewers: str = "by-owner", *more: str) -> Any:
    said = program("review", "start", name, "--reviewers", reviewers, "--due", "2026-04-30", *more)
    assert said.code == 0, said.out + said.err
    return json.loads((sheets(program).parent / f"{name}.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8-sig"))))


def decide(program: Program, file: str, *words: tuple[str, str, str], name: str = "q2") -> None:
    """Decide on the rights of accounts on a sheet, with a reason."""
    path = sheets(program, name) / file
    rows = rows_of(path)
    for account, decision, reason in words:
        found = [row for row in rows if row["account"] == account]
        assert found, account
        for row in found:
            row["decision"], row["decision reason"] = decision, reason
    with path.open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def decide_all(program: Program, name: str = "q2") -> None:
    """carla keeps ben and lets robot go (she stands on the admins' sheet, too); anna keeps carla and revokes eve."""
    decide(program, "anna.csv", ("carla", "keep", "still in sales"), ("eve", "revoke", "nobody knows her"), name=name)
    decide(program, "carla.csv", ("ben", "keep", ""), name=name)
    decide(program, "ben.csv", ("robot", "revoke", "unused, see OPS-12"), name=name)
    decide(program, "admins.csv", ("anna", "keep", ""), ("siteward", "keep", ""), name=name)


def journal_lines(program: Program) -> list[dict[str, Any]]:
    lines = (program.folder / ".siteward" / "stats.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("kind") == "review"]


def test_each_item_is_on_the_sheet_of_who_answers_for_it(applied: Program) -> None:
    """A service's owner, the owner of the group, of the site, else the admins; nobody is given their own right."""
    made = start(applied)
    found = {
        (sheet["reviewer"], row["account"])
        for sheet in made["sheets"]
        for row in rows_of(sheets(applied) / sheet["file"])
    }
    assert found == {
        ("anna", "carla"), ("anna", "eve"), ("carla", "ben"), ("ben", "robot"), ("admins", "anna"), ("admins", "siteward"),
    }  # fmt: skip
    assert (made["format"], made["name"], made["due"]) == ("siteward.review/1", "q2", "2026-04-30")
    jsonschema.validate(made, document_schema("review"))
    for sheet in made["sheets"]:
        path = sheets(applied) / sheet["file"]
        assert path.read_bytes().startswith(b"\xef\xbb\xbfdecision,decision reason,reviewer,id,")
        assert path.stat().st_mode & 0o077 == 0
        assert {row["reviewer"] for row in rows_of(path)} == {sheet["reviewer"]}


def test_a_round_is_of_those_who_are_asked_for(applied: Program) -> None:
    """Admins, services, or what the policy wants reviewed now; what is left out is counted, and closes with nobody."""
    made = start(applied, "q2", "by-owner", "--only", "admins", "--only", "services")
    on_sheets = {row["account"] for sheet in made["sheets"] for row in rows_of(sheets(applied) / sheet["file"])}
    assert on_sheets == {"robot", "siteward"}
    none = applied("review", "start", "q3", "--reviewers", "by-owner", "--due", "2026-04-30", "--only", "overdue")
    assert (none.code, none.err) == (0, "nothing to review: no right fits --only overdue\n")
    assert not sheets(applied, "q3").exists()
    decide(applied, "ben.csv", ("robot", "keep", "in use"))
    decide(applied, "admins.csv", ("siteward", "keep", ""))
    closed = applied("review", "close", "q2", "--write")
    assert closed.code == 0, closed.out + closed.err
    assert len(journal_lines(applied)) == 1
    assert applied("review", "status", "q2").code == 0


def test_a_file_names_the_reviewers(applied: Program) -> None:
    """By group, site, user and default; a wrong name is an error with a suggestion, and nothing is written."""
    applied.write("sites: {shop: ben}\nusers: {robot: carla}\ndefault: anna\n", "who.yaml")
    made = start(applied, "q2", "who.yaml")
    found = {
        sheet["reviewer"]: {row["account"] for row in rows_of(sheets(applied) / sheet["file"])}
        for sheet in made["sheets"]
    }
    assert found == {"ben": {"anna", "carla", "eve", "siteward"}, "carla": {"robot"}, "anna": {"ben", "siteward"}}
    applied.write("sites: {shpo: ben}\ndefault: bem\nitems: 3\n", "wrong.yaml")
    arguments = ("review", "start", "q3", "--reviewers", "wrong.yaml", "--due", "2026-04-30")
    assert "Expected `object`" in applied(*arguments).out
    applied.write("sites: {shpo: ben}\ndefault: bem\n", "wrong.yaml")
    said = applied(*arguments)
    assert said.code == 1
    assert "did you mean `shop`" in said.out
    assert "`bem` is no user or group" in said.out
    assert not (sheets(applied, "q3")).exists()


def test_status_says_who_is_missing_and_what_is_overdue(applied: Program) -> None:
    """Exit 2 while something is open, 3 once its day is over, 1 for a sheet that cannot be read; nothing is contacted."""
    start(applied)
    decide(applied, "ben.csv", ("robot", "keep", ""))
    said = applied("review", "status", "q2", "-f", "json", SITEWARD_STATS_PASSWORD="wrong")
    assert said.code == 2
    (made,) = said.json()["items"]
    assert {sheet["reviewer"]: sheet["waits"] for sheet in made["sheets"]} == {
        "admins": True, "anna": True, "ben": False, "carla": True,
    }  # fmt: skip
    applied.moment = "2026-05-01T12:00:00+00:00"
    late = applied("review", "status")
    assert late.code == 3
    assert "q2: overdue since 2026-04-30" in late.out
    assert late.out.count("missing") == 3
    (sheets(applied) / "ben.csv").write_bytes(b"\xff\xfe\x00")
    broken = applied("review", "status")
    assert (broken.code, "neither UTF-8 nor utf-16" in broken.out) == (1, True)
    gone = applied("review", "status", "q9")
    assert (gone.code, "no-such-review" in gone.out) == (1, True)


def test_a_review_leaves_a_trace(applied: Program) -> None:
    """Decisions become an edit and a line of the journal, keeps too, with the reviewer and who closed it."""
    start(applied)
    decide_all(applied)
    shown = applied("review", "close", "q2", GITHUB_ACTIONS="true", GITHUB_ACTOR="dora")
    assert shown.code == 0, shown.out + shown.err
    assert "-  - {to: robot, role: view, sites: blog}" in shown.out
    assert journal_lines(applied) == []
    assert not git(applied, "status", "--porcelain")
    written = applied("review", "close", "q2", "--write", GITHUB_ACTIONS="true", GITHUB_ACTOR="dora")
    assert written.code == 0, written.out + written.err
    (line,) = journal_lines(applied)
    assert (line["review"], line["due"], line["rest"]) == ("q2", "2026-04-30", None)
    assert "anna" not in json.dumps(line)
    asked = applied("history", "-f", "json", "--since", "2026-04-01").json()["items"]
    told = {(item["account"], item["review"]["decision"], item["review"]["by"], item["actor"]) for item in asked}
    assert told == {
        ("anna", "keep", "admins", "dora"), ("siteward", "keep", "admins", "dora"), ("carla", "keep", "anna", "dora"),
        ("eve", "revoke", "anna", "dora"), ("ben", "keep", "carla", "dora"), ("robot", "revoke", "ben", "dora"),
    }  # fmt: skip
    assert applied("journal", "verify").code in {0, 4}
    assert applied("review", "status", "q2").code == 0
    again = applied("review", "close", "q2", "--write")
    assert (again.code, again.out) == (0, "")
    assert len(journal_lines(applied)) == 1


def test_each_right_knows_when_it_was_last_confirmed(applied: Program) -> None:
    """In the listing, in `explain`; not what was revoked, and not once it has become another right."""
    start(applied)
    decide_all(applied)
    assert applied("review", "close", "q2", "--write").code == 0
    rows = {
        row["account"]: row["last confirmed"] for row in csv.DictReader(StringIO(applied("review", "-f", "csv").out))
    }
    assert rows["ben"] == "2026-04-01 12:00Z by carla (review q2)"
    assert rows["eve"] == rows["robot"] == ""
    assert "last confirmed: 2026-04-01 12:00Z by anna (review q2)" in applied("explain", "carla", "shop").out
    confirmed = applied("explain", "carla", "shop", "-f", "json").json()["items"][0]["confirmed"]
    assert confirmed == {"at": "2026-04-01 12:00Z", "by": "anna", "decision": "keep", "review": "q2"}
    page = applied("review", "-f", "html").out
    assert "last confirmed</th>" in page
    assert "by carla (review q2)" in page
    edit(applied, ("{to: carla, role: view", "{to: carla, role: edit"))
    commit(applied)
    assert applied("apply", "--yes", "--allow-delete").code == 0
    assert "last confirmed" not in applied("explain", "carla", "shop").out


def test_reviews_that_the_policy_asks_for_and_nobody_made_are_told(applied: Program) -> None:
    """In the listing, drift and the matrix, once the days are over; a review puts it off, each for its own right."""
    assert "review-overdue" not in applied("drift").out
    applied.moment = "2026-06-15T12:00:00+00:00"
    words = "5 rights not confirmed in time"
    for verb in (["drift"], ["matrix"], ["review"], ["matrix", "-f", "html"], ["review", "-f", "html"]):
        assert words in applied(*verb).out, verb
    (told,) = [
        said for said in applied("drift", "-f", "json").json()["diagnostics"] if said["code"] == "review-overdue"
    ]
    assert told["severity"] == "warning"
    assert "ben on blog.example.org (never)" in told["message"]
    hidden = applied("matrix", "--privacy", "handles").out
    assert words in hidden
    assert "eve" not in re.findall(r"\w+", hidden)
    start_due = applied("review", "start", "q3", "--reviewers", "by-owner", "--due", "2026-06-30")
    assert start_due.code == 0, start_due.out
    decide_all(applied, "q3")
    assert applied("review", "close", "q3", "--write").code == 0
    assert "2 rights not confirmed in time: robot on" in applied("matrix").out  # revoked, and still there
    commit(applied)
    assert applied("apply", "--yes").code == 0
    assert "not confirmed in time" not in applied("matrix").out


def test_what_moved_is_opened_again(applied: Program, sandbox: Sandbox) -> None:
    """Told with what was decided, and put on a new sheet as it is now; the others are taken, and lines may move."""
    start(applied)
    decide_all(applied)
    edit(applied, ("grants:\n", "grants:\n  # one line more\n"), ("{to: carla, role: view", "{to: carla, role: edit"))
    commit(applied)
    closed = applied("review", "close", "q2", "--write")
    assert closed.code == 2, closed.out + closed.err
    assert "opened again: carla on shop.example.org (stats) (anna.csv, row " in closed.err
    assert "decided was keep" in closed.err
    assert "7 decisions taken, 0 taken before, 1 still open" in closed.err
    (row,) = rows_of(sheets(applied) / "anna-2.csv")
    assert (row["account"], row["decision"], row["reviewer"]) == ("carla", "", "anna")
    assert applied("review", "status", "q2").code == 2
    decide(applied, "anna-2.csv", ("carla", "keep", "may write now"))
    last = applied("review", "close", "q2", "--write")
    assert last.code == 0, last.out + last.err
    assert applied("review", "status", "q2").code == 0
    assert len(journal_lines(applied)) == 2


def test_the_rest_is_revoked_by_nobody_and_that_is_said(applied: Program) -> None:
    start(applied)
    decide(applied, "carla.csv", ("ben", "keep", ""))
    assert applied("review", "close", "q2", "--rest", "revoke").code == 1
    said = applied("review", "close", "q2", "--write", "--rest", "revoke", "--reason", "nobody answered")
    assert said.code in {0, 3}, said.out + said.err
    assert "revoke for 7 that nobody decided" in said.err
    assert "robot" not in (applied.folder / "access.yaml").read_text().partition("grants:")[2]
    told = applied("history", "--user", "robot", "--since", "2026-04-01").out
    assert "reviewed: revoke" in told
    assert "nobody (review q2)" in told
    assert "nobody answered" in told


def test_what_is_noted_as_overdue_is_not_decided(applied: Program) -> None:
    """It is on record and stays open: it is noted once, and whoever decides late is heard."""
    start(applied)
    decide(applied, "carla.csv", ("ben", "keep", ""))
    close = ("review", "close", "q2", "--write")
    said = applied(*close, "--rest", "overdue", "--reason", "nobody answered")
    assert said.code == 2, said.out + said.err
    assert "1 decision taken, 7 noted as overdue, 0 taken before, 7 still open" in said.err
    assert "reviewed: overdue" in applied("history", "--user", "robot", "--since", "2026-04-01").out
    (made,) = (standing := applied("review", "status", "q2", "-f", "json")).json()["items"]
    assert standing.code == 2
    assert sum(sheet["decided"] for sheet in made["sheets"]) == 1
    again = applied(*close, "--rest", "overdue", "--reason", "nobody answered")
    assert "0 decisions taken, 0 noted as overdue, 1 taken before, 7 still open" in again.err
    decide(applied, "ben.csv", ("robot", "keep", ""))
    late = applied(*close)
    assert (late.code, "1 decision taken, 1 taken before, 6 still open" in late.err) == (2, True)
    start(applied, "q3")
    assert applied("review", "close", "q3", "--write", "--rest", "overdue", "--reason", "nobody").code == 2
    confirmed = [row["last confirmed"] for row in csv.DictReader(StringIO(applied("review", "-f", "csv").out))]
    assert sum("(review q2)" in cell for cell in confirmed) == 2, (
        "that nobody decided confirms nothing and takes nothing"
    )


def test_without_a_journal_nothing_is_started_or_closed(company: Program) -> None:
    said = company("review", "start", "q2", "--reviewers", "by-owner", "--due", "2026-04-30")
    assert (said.code, "no-journal" in said.out) == (1, True)
    assert not (company.folder / ".siteward" / "reviews").exists()


def test_a_close_that_was_cut_off_ends_the_same(applied: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between journal and edit, and between two files: the second close writes what is missing, and no line twice."""
    start(applied)
    decide_all(applied)
    whole = (applied.folder / "access.yaml").read_text()
    assert applied("review", "close", "q2", "--write").code == 0
    after = (applied.folder / "access.yaml").read_text()
    assert after != whole
    (applied.folder / "access.yaml").write_text(whole)  # as a crash before the edit has left it
    again = applied("review", "close", "q2", "--write")
    assert again.code == 0, again.out + again.err
    assert (applied.folder / "access.yaml").read_text() == after
    assert len(journal_lines(applied)) == 1


def test_sheets_that_fit_nothing_are_refused(applied: Program) -> None:
    """Of another review, sorted by some columns, one item on two sheets, and rows that were taken out are told."""
    start(applied)
    decide_all(applied)
    path, good = sheets(applied) / "anna.csv", (sheets(applied) / "anna.csv").read_text(encoding="utf-8-sig")
    rows = rows_of(path)
    path.write_text(good.replace(rows[0]["digest"], "sha256:" + "0" * 64))
    assert "a sheet of another review" in applied("review", "close", "q2", "--write").out
    path.write_text(good.replace("eve", "carla"))
    assert "sorted by some of its columns" in applied("review", "close", "q2", "--write").out
    (sheets(applied) / "ben.csv").write_text(good)
    path.write_text(good)
    assert "stands on another sheet too" in applied("review", "close", "q2", "--write").out
    assert journal_lines(applied) == []


def test_rows_that_were_taken_out_stay_open(applied: Program) -> None:
    start(applied)
    decide_all(applied)
    path = sheets(applied) / "anna.csv"
    path.write_text("".join(path.read_text(encoding="utf-8-sig").splitlines(keepends=True)[:-1]))
    said = applied("review", "close", "q2", "--write")
    assert said.code == 2
    assert "1 row taken out of the sheets" in said.err
    assert applied("review", "status", "q2").code == 2


def test_a_sheet_may_come_back_as_a_workbook(applied: Program) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="workbooks need the extra: pip install 'siteward[xlsx]'")
    start(applied, "q2", "by-owner", "--sheets", "xlsx")
    for path in sheets(applied).glob("*.xlsx"):
        book = openpyxl.load_workbook(path)
        for row in book.active.iter_rows(min_row=2):
            row[0].value = "keep"
        book.save(path)
    said = applied("review", "close", "q2", "--write")
    assert said.code == 0, said.out + said.err
    assert "8 decisions taken" in said.err


def test_a_name_is_taken_once_and_a_day_is_to_come(applied: Program) -> None:
    start(applied)
    arguments = ("review", "start", "q2", "--reviewers", "by-owner", "--due")
    assert "error review-exists: there is a review q2 already" in applied(*arguments, "2026-04-30").out
    assert "is over" in applied(*arguments, "2026-03-31").err
    assert "is no date" in applied(*arguments, "30.04.2026").err
    assert (
        "is no name for a review"
        in applied("review", "start", "../q2", "--reviewers", "by-owner", "--due", "2026-04-30").out
    )
    assert "behind the verb" in applied("review", "-f", "json", "status").out


def test_a_server_that_is_not_read_starts_and_closes_nothing(applied: Program) -> None:
    start(applied)
    decide_all(applied)
    wrong = {"SITEWARD_STATS_PASSWORD": "wrong"}
    assert applied("review", "start", "q3", "--reviewers", "by-owner", "--due", "2026-04-30", **wrong).code == 1
    assert applied("review", "close", "q2", "--write", **wrong).code == 1
    assert journal_lines(applied) == []


def test_the_commit_of_a_membership_is_the_membership_s(company: Program) -> None:
    """Not that of the line which gives the group something."""
    edit(company, ("{members: [ben], owner: [ben, carla]}", "{members: [ben, carla], owner: [ben, carla]}"))
    edit(company, ("members: [ben, carla]", "members:\n      - ben\n      - carla\n    #"))
    (company.folder / "access.yaml").write_text(
        FILE.replace(
            "  writers: {members: [ben], owner: [ben, carla]}",
            "  writers:\n    owner: ben\n    members:\n      - ben\n      - {user: carla, ticket: HR-9}",
        ).replace("URL", (company.folder / "access.yaml").read_text().partition("url: ")[2].partition(",")[0])
    )
    joined = commit(company, "Carla writes")
    assert company("apply", "--yes").code == 0
    found = {(row["person"], row["where"]): row for row in csv.DictReader(StringIO(company("review", "-f", "csv").out))}
    carla, ben = found["carla", "blog.example.org"], found["ben", "blog.example.org"]
    assert carla["commit"].startswith(joined[:12])
    assert "HR-9" in carla["ticket"]
    assert ben["file"] == carla["file"]


def test_sheets_with_fewer_names_come_back_too(applied: Program) -> None:
    """What privacy hid is no difference; and a sheet that lost a column is refused."""
    start(applied, "q2", "by-owner", "--privacy", "handles")
    text = (sheets(applied) / "anna.csv").read_text(encoding="utf-8-sig")
    assert "eve" not in re.findall(r"\w+", text)
    for path in sheets(applied).glob("*.csv"):
        rows = [{**row, "decision": "keep"} for row in rows_of(path)]
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    said = applied("review", "close", "q2", "--write")
    assert said.code == 0, said.out + said.err
    path = sheets(applied) / "anna.csv"
    path.write_text(path.read_text().replace(",live,", ",now,", 1))
    assert "has lost the column 'live'" in applied("review", "close", "q2", "--write").out
    assert (
        applied("review", "start", "q3", "--reviewers", "by-owner", "--due", "2026-04-30", "--privacy", "counts").code
        == 1
    )


def test_a_sealed_journal_is_not_gone_on_from_without_its_key(company: Program) -> None:
    """Neither started nor closed, and nothing is written; with the key the decisions are sealed."""
    key = {"SITEWARD_JOURNAL_KEY": "a key that is long enough"}
    assert company("apply", "--yes", **key).code == 0
    company.moment = "2026-04-01T12:00:00+00:00"
    refused = company("review", "start", "q2", "--reviewers", "by-owner", "--due", "2026-04-30")
    assert (refused.code, "SITEWARD_JOURNAL_KEY" in refused.out) == (1, True)
    assert company("review", "start", "q2", "--reviewers", "by-owner", "--due", "2026-04-30", **key).code == 0
    decide_all(company)
    refused = company("review", "close", "q2", "--write")
    assert refused.code == 1
    assert not git(company, "status", "--porcelain")
    assert journal_lines(company) == []
    assert company("review", "close", "q2", "--write", **key).code == 0
    assert all("seal" in line for line in journal_lines(company))


def test_another_apply_keeps_a_close_from_writing(applied: Program) -> None:
    """It is told, the files stay, and the next close goes on."""
    from filelock import FileLock

    start(applied)
    decide_all(applied)
    with FileLock(applied.folder / ".siteward" / "stats.lock"):
        busy = applied("review", "close", "q2", "--write")
    assert (busy.code, "journal-busy" in busy.out) == (1, True)
    assert not git(applied, "status", "--porcelain")
    assert applied("review", "close", "q2", "--write").code == 0


def test_files_that_cannot_be_written_leave_the_decisions_in_the_journal(applied: Program) -> None:
    """A link in the place of the file: refused in words; put back, a second close writes the edit."""
    start(applied)
    decide_all(applied)
    path = applied.folder / "access.yaml"
    real = path.rename(applied.folder / "real.yaml")
    path.symlink_to(real)
    said = applied("review", "close", "q2", "--write")
    assert said.code == 1
    path.unlink()
    real.rename(path)
    again = applied("review", "close", "q2", "--write")
    assert again.code == 0, again.out + again.err
    assert "robot, role: view" not in path.read_text()
    assert len(journal_lines(applied)) == 1
