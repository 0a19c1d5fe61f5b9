"""The access review: what is held and why, and decisions that come back as an edit of the files."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from cli.closed import unreachable
from cli.conftest import AS_OF
from cli.repo import commit, edit, git
from documents import steps_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from cli.conftest import Program, Result

ALLOWED = (*AS_OF, "--allow-delete", "--passwords-out", "passwords.txt")


@pytest.fixture
def applied(checkout: Program) -> Program:
    """The example in a repository, carried out."""
    checkout.write(".siteward/\npasswords.txt\nreview.*\n", ".gitignore")
    commit(checkout)
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    return checkout


def review(program: Program) -> Any:
    return program("review", *AS_OF, "--format", "json").json()


def item(data: Any, who: str, where: str) -> Any:
    (found,) = (row for row in data["items"] if who in {row["person"], row["account"]} and row["where"] == where)
    return found


def decide(program: Program, words: Mapping[tuple[str, str], str], *arguments: str, form: str = "json") -> Result:
    """Give back a review in which some items are decided."""
    data = review(program)
    for (who, where), word in words.items():
        item(data, who, where)["decision"] = word
    path = program.folder / f"review.{form}"
    if form == "json":
        path.write_text(json.dumps(data))
    else:
        rows = list(csv.DictReader(StringIO(program("review", *AS_OF, "--format", "csv").out)))
        for row in rows:
            row["decision"] = next(judged["decision"] for judged in data["items"] if judged["id"] == row["id"])
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
    return program("review", *AS_OF, "--decisions", str(path), *arguments)


def steps(program: Program) -> set[tuple[str, str, str]]:
    data = program("plan", *ALLOWED, "--format", "json").json()
    found = steps_within(data["plan"])
    sides = ((step, step["change"]["after"] or step["change"]["before"]) for step in found)
    return {(step["action"], step["person"], side["scope"].get("name", "")) for step, side in sides}


def test_every_right_says_why_and_since_when(applied: Program) -> None:
    """Reason, ticket, place, commit, end, owner of a service: all in one item."""
    head = git(applied, "rev-parse", "HEAD")
    data = review(applied)
    rosa = item(data, "rosa", "events.example.org")
    assert (rosa["reason"], rosa["file"]) == ("runs the events", "access.yaml")
    assert rosa["commit"].startswith(head[:12])
    jonas = item(data, "jonas", "staging.example.org")
    assert jonas["until"].startswith("2027-02-28")
    assert {"outsider"} <= set(jonas["flags"].split())
    assert item(data, "reports", "docs.example.org")["owner"] == "anna"
    assert "undeclared" in item(data, "petra", "www.example.org")["flags"]
    assert "admin" in item(data, "breakglass-1", "whole instance")["flags"]


def test_what_is_not_committed_is_told(applied: Program) -> None:
    """A line that no commit brought says so."""
    edit(applied, ("[marco, lena], role: edit", "[marco, lena], role: view"))
    assert item(review(applied), "lena", "docs.example.org")["commit"] == "not committed"


def test_the_numbers_are_the_same_everywhere(applied: Program) -> None:
    """Text, table, page and data count the same items, under one digest."""
    data = review(applied)
    rows = list(csv.DictReader(StringIO(applied("review", *AS_OF, "--format", "csv").out)))
    assert len(rows) == len(data["items"])
    assert {row["digest"] for row in rows} == {data["digest"]}
    text, page = applied("review", *AS_OF).out, applied("review", *AS_OF, "--format", "html").out
    dead = sum(row["flags"] == "dead" for row in rows)
    assert dead == 1
    for shown in (text, page):
        assert f"{len(rows) - dead} grants" in shown
        assert "1 dead line" in shown
    assert data["digest"] in text
    assert data["digest"] in page


@pytest.mark.parametrize("form", ["json", "csv"])
def test_decisions_come_back_as_an_edit(applied: Program, form: str) -> None:
    """A right is taken from one of several, comments stay, and the next plan takes exactly that."""
    before = (applied.folder / "access.yaml").read_text()
    words = {("rosa", "events.example.org"): "revoke", ("anna", "whole instance"): "keep"}
    shown = decide(applied, words, form=form)
    assert shown.code == 0, shown.out + shown.err
    assert "-  - {to: rosa, role: manage, sites: events.example.org" in shown.out
    assert (applied.folder / "access.yaml").read_text() == before
    assert decide(applied, words, "--write", form=form).code == 0
    after = (applied.folder / "access.yaml").read_text()
    assert set(before.splitlines()) - set(after.splitlines()) == {
        "  - {to: rosa, role: manage, sites: events.example.org, reason: runs the events}"
    }
    assert steps(applied) == {("delete", "rosa", "events.example.org")}


def test_one_of_a_group_on_one_site(applied: Program) -> None:
    """Who is in a group by which others come too gets a line of their own; everybody else keeps the line."""
    result = decide(applied, {("carla", "shop.example.org"): "revoke"}, "--write")
    assert result.code == 0, result.out + result.err
    assert steps(applied) == {("delete", "carla", "shop.example.org")}
    text = (applied.folder / "access.yaml").read_text()
    assert 'analysts-without-carla: [analysts, "!carla"]' in text.replace("'", '"')


def test_all_that_a_group_gives(applied: Program) -> None:
    """Who loses everything that a group gives leaves the group, and no second group is made."""
    words = {("ivan", where): "revoke" for where in ("blog.example.org", "docs.example.org")}
    result = decide(applied, words, "--write")
    assert result.code == 0, result.out + result.err
    assert steps(applied) == {("delete", "ivan", "blog.example.org"), ("delete", "ivan", "docs.example.org")}
    assert "without" not in (applied.folder / "access.yaml").read_text()


def test_a_right_is_changed(applied: Program) -> None:
    """Another role, or an end, takes the place of what was."""
    words = {
        ("elif", "staging.example.org"): "change view until 2027-03-31",
        ("nadia", "internal.example.org"): "change until 2027-01-31",
    }
    result = decide(applied, words, "--write")
    assert result.code == 0, result.out + result.err
    assert steps(applied) == {("update", "elif", "staging.example.org")}
    data = review(applied)
    assert item(data, "elif", "staging.example.org")["until"].startswith("2027-03-31")
    assert item(data, "nadia", "internal.example.org")["until"].startswith("2027-01-31")


def test_an_account_that_nobody_declared(applied: Program) -> None:
    """Revoked as a whole it is declared suspended; in part it is left to people."""
    words = {("sven", where): "revoke" for where in ("whole instance", "careers.example.org")}
    result = decide(applied, words, "--write")
    assert result.code == 0, result.out + result.err
    assert ("delete", "sven", "careers.example.org") in steps(applied)
    part = decide(applied, {("tess", "careers.example.org"): "revoke", ("tess", "whole instance"): "keep"})
    assert part.code == 3
    assert "left to you: tess" in part.err


def test_a_file_of_another_team_is_edited_where_it_says_so(applied: Program) -> None:
    result = decide(applied, {("tessa", "shop.example.org"): "revoke"}, "--write")
    assert result.code == 0, result.out + result.err
    assert "b/examples/teams/shop.yaml" in result.out
    assert git(applied, "diff", "--name-only") == "examples/teams/shop.yaml"


def test_decisions_of_another_snapshot_are_refused(applied: Program, admin: httpx.Client) -> None:
    """When anything moved since, the edit is refused, and what moved is named."""
    data = review(applied)
    told = item(data, "rosa", "events.example.org")
    told["decision"] = "revoke"
    (applied.folder / "review.json").write_text(json.dumps(data))
    users = {user["username"]: user["id"] for user in admin.get("/api/admin/users?pageSize=1000").json()["data"]}
    sites = {website["domain"]: website for website in admin.get("/api/admin/websites?pageSize=1000").json()["data"]}
    admin.post(
        f"/api/teams/{sites['events.example.org']['teamId']}/users/{users['rosa']}", json={"role": "team-view-only"}
    )
    result = applied("review", *AS_OF, "--decisions", "review.json", "--write", "--format", "json")
    assert result.code == 4
    assert result.json()["diagnostics"][0]["code"] == "review-changed"
    assert told["id"] in result.json()["diagnostics"][0]["hint"]
    assert not git(applied, "status", "--porcelain")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "not a valid review"), ("nothing", "not a valid review"), ("decision,id,digest\nrevoke,1,sha256:1\nrevoke,2,sha256:2\n", "one digest"),
        ("decision,id,digest\nperhaps,1,sha256:1\n", "not a valid decision"), ("decision,id,digest\nchange,1,sha256:1\n", "not a valid decision"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_decision(checkout: Program, text: str, said: str) -> None:
    checkout.write(text, "review.txt")
    result = checkout("review", *AS_OF, "--decisions", "review.txt")
    assert result.code == 1
    assert said in result.out


def table(program: Program, *arguments: str, **env: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(program("review", *AS_OF, "--format", "csv", *arguments, **env).out)))


def given_back(program: Program, rows: list[dict[str, str]], **env: str) -> Result:
    with (program.folder / "review.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return program("review", *AS_OF, "--decisions", "review.csv", **env)


@pytest.mark.parametrize("column", ["account", "person", "where", "live", "instance"])
def test_a_table_sorted_by_some_columns_only_is_refused(checkout: Program, column: str) -> None:
    """The id alone would revoke what somebody else holds; row and column are named."""
    rows = table(checkout)
    at = next(at for at, row in enumerate(rows) if row["person"] == "rosa")
    rows[at]["decision"] = "revoke"
    rows[at][column] = "sven"
    result = given_back(checkout, rows)
    assert result.code == 1
    assert "bad-decisions" in result.out
    assert f"row {at + 2}, column {column}: 'sven'" in result.out


def test_a_review_with_fewer_names_comes_back_too(checkout: Program) -> None:
    """What privacy hid is no difference."""
    rows = table(checkout, "--privacy", "handles")
    hana = next(row for row in rows if row["person"] == "yasmin")
    hana["decision"] = "keep"
    assert hana["account"] == "yasmin"
    assert given_back(checkout, rows).code == 0


def test_an_id_given_twice_or_not_at_all_is_refused(checkout: Program) -> None:
    rows = table(checkout)
    rows[0]["decision"] = "keep"
    assert "stands in review.csv, row 2 already" in given_back(checkout, [*rows, rows[0]]).out
    assert "the id is missing" in given_back(checkout, [{**rows[0], "id": ""}, *rows[1:]]).out


def test_an_instance_that_is_missing_is_named_and_stays_as_it_is(checkout: Program) -> None:
    """In every form; and what somebody has there by the same line, which nobody reviewed, is not taken away."""
    env = unreachable(checkout)
    result = checkout("review", *AS_OF, "-o", "review.html", "-o", "review.json", **env)
    assert result.code == 1
    assert result.out.startswith("! eu was not read: ")
    assert ", 1 instance not read." in result.out
    assert "eu was not read: " in (checkout.folder / "review.html").read_text()
    (gap,) = json.loads((checkout.folder / "review.json").read_text())["incomplete"]
    assert gap["instance"] == "eu"
    rows = table(checkout, **env)
    assert (rows[0]["instance"], rows[0]["kind"], rows[0]["id"]) == ("eu", "not read", "")
    for row in rows:
        row["decision"] = "revoke" if (row["person"], row["where"]) == ("rosa", "events.example.org") else ""
    edit = given_back(checkout, rows, **env)
    assert edit.code == 0, edit.out + edit.err
    assert "+  - {to: rosa, role: manage, sites: events.example.org, reason: runs the events, on: eu}" in edit.out


def test_nobody_leaves_a_group_for_what_only_some_instances_showed(checkout: Program) -> None:
    """What the group gives on an instance that was not looked at is not known to be nothing."""
    env = unreachable(checkout)
    rows = table(checkout, **env)
    for row in rows:
        if row["person"] == "ivan" and row["where"] in {"blog.example.org", "docs.example.org"}:
            row["decision"] = "revoke"
    edit = given_back(checkout, rows, **env)
    assert edit.code == 0, edit.out + edit.err
    assert "without-ivan" in edit.out
    assert "{to: ivan" in edit.out
    assert "on: eu" in edit.out


DEAD = """
  - {to: rosa, role: view, sites: www.example.org, until: 2025-11-01, ticket: OLD-1}  # long ago
  - {to: jonas, role: view, sites: www.example.org, from: 2027-05-01}
"""


@pytest.mark.parametrize("form", ["json", "csv"])
def test_dead_lines_are_removed_by_decision(applied: Program, form: str) -> None:
    """They stand in the sheet with why, and go from the file without anything else; the next plan has nothing new."""
    path = applied.folder / "access.yaml"
    before = path.read_text()
    anchor = "  - {to: vera, role: view, sites: events.example.org, ticket: IAM-288}\n"
    assert anchor in before
    member = "analysts: [anna, carla, dmitri, {user: jonas, until: 2027-02-28}"
    text = before.replace(anchor, anchor + DEAD.lstrip("\n"))
    path.write_text(text.replace(member, f"{member}, {{user: rosa, until: 2026-01-31, ticket: HR-3}}"))
    commit(applied)
    planned = steps(applied)
    dead = {row["where"]: row for row in review(applied)["items"] if row["flags"] == "dead"}
    assert {row["declared"] for row in dead.values()} == {
        "ended 2025-11-01",
        "ended 2026-01-31",
        "can never hold: it would begin 2027-05-01, and the time of whom it names ends 2027-03-31",
        "whom it names ended by 2026-10-31",
    }
    assert {row["ticket"] for row in dead.values()} == {"OLD-1", "HR-3", "IAM-288", ""}
    words = {("", where): "remove" for where in dead}
    assert decide(applied, words, "--write", form=form).code == 0
    assert path.read_text() == before.replace(anchor, "")
    assert not [row for row in review(applied)["items"] if row["flags"] == "dead"]
    assert steps(applied) == planned


def test_a_dead_line_whose_access_is_still_there_is_left_to_people(applied: Program) -> None:
    """Without the line the access would be taken by silence, which mode `add-only` does not do."""
    edit(applied, ("reason: runs the events}", "reason: runs the events, until: 2026-11-01}"))
    where = "`manage` on events.example.org to rosa"
    told = decide(applied, {("", where): "remove"})
    assert (told.code, "apply first, then remove it" in told.out + told.err) == (3, True)


@pytest.mark.parametrize(
    ("who", "where", "word"),
    [("", "`view` on events.example.org to vera", "revoke"), ("rosa", "events.example.org", "remove")],
)
def test_a_decision_is_for_what_it_is_about(applied: Program, who: str, where: str, word: str) -> None:
    said = decide(applied, {(who, where): word})
    assert said.code != 0
    assert "dead line" in said.out + said.err


def test_a_workbook_goes_to_a_file_and_comes_back(applied: Program) -> None:
    """By its suffix, or with `-f xlsx`; never to a terminal or a pipe, and an error is no workbook."""
    openpyxl = pytest.importorskip("openpyxl", reason="workbooks need the extra: pip install 'siteward[xlsx]'")
    assert applied("review", *AS_OF, "--format", "xlsx", "-o", "review.xlsx").out == ""
    first = (applied.folder / "review.xlsx").read_bytes()
    book = openpyxl.load_workbook(applied.folder / "review.xlsx")
    header = [cell.value for cell in book.active[1]]
    where, person = header.index("where"), header.index("person")
    for row in book.active.iter_rows(min_row=2):
        if (row[person].value, row[where].value) == ("rosa", "events.example.org"):
            row[0].value = "revoke"
    book.save(applied.folder / "review.xlsx")
    shown = applied("review", *AS_OF, "--decisions", "review.xlsx")
    assert (shown.code, "-  - {to: rosa, role: manage" in shown.out) == (0, True), shown.out + shown.err
    refused = applied("review", *AS_OF, "--format", "xlsx")
    assert (refused.code, "-o FILE.xlsx" in refused.err) == (1, True)
    failed = applied("review", *AS_OF, "-f", "xlsx", "-o", "failed.xlsx", SITEWARD_STATS_PASSWORD="wrong")
    assert failed.code == 1
    assert "error" in failed.out
    assert not (applied.folder / "failed.xlsx").exists()
    assert first.startswith(b"PK")
