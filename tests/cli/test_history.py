"""The auditor's questions over some months: who had what, when, by whom and why, each answered by one command."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cli.conftest import Program
from cli.repo import commit, edit
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
instances:
  stats: {platform: umami, url: URL, self: siteward, layout: per-site, accept_blind: [board-links]}
sites:
  shop: {domain: shop.example.org}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
groups:
  writers: [ben]
grants:
  - {to: anna, role: view, sites: shop}
  - {to: writers, role: edit, sites: blog, ticket: OPS-7, reason: writes there}
"""
CI = {
    "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ben-cole", "GITHUB_TRIGGERING_ACTOR": "anna-berg", "GITHUB_RUN_ID": "17",
    "GITHUB_SERVER_URL": "https://forge.test", "GITHUB_REPOSITORY": "acme/access", "GITHUB_RUN_ATTEMPT": "2",
}  # fmt: skip
APPROVED: dict[str, Any] = {
    "format": "siteward.approvals/1", "forge": "github", "change": "https://forge.test/acme/access/pull/12", "head": "ab",
    "approvals": [{"by": "cleo", "at": "2026-03-01T09:00:00Z"}], "told_at": "2026-03-01T10:00:00Z",
}  # fmt: skip


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    world = World(
        accounts=(WorldAccount(login="anna"), WorldAccount(login="ben"), WorldAccount(login="eve")),
        sites=(WorldSite(name="shop", domain="shop.example.org"), WorldSite(name="blog", domain="blog.example.org")),
        grants=(WorldGrant(account="eve", site="shop.example.org", role="view"),),
    )
    with serve(platforms.fake("umami").of(world, "3.2", clock=lambda: datetime.now(UTC))) as served:
        yield served


@pytest.fixture
def company(tmp_path: Path, sandbox: Sandbox) -> Program:
    """A repository whose file gives anna and ben something; months pass by the program's clock."""
    program = Program(tmp_path / "repo", moment="2026-03-01T12:00:00+00:00")
    program.folder.mkdir()
    program.write(FILE.replace("URL", sandbox.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    commit(program, "Give anna and ben access")
    return program


def meddle(sandbox: Sandbox) -> None:
    """Make eve an admin in the web interface, as somebody who does not use the file."""
    state: Any = sandbox.fake
    state.state.names["eve"].role = "admin"


@pytest.fixture
def months(company: Program, sandbox: Sandbox) -> Program:
    """March: a first apply, re-run by anna-berg. April: somebody makes eve an admin. May: anna may edit, by OPS-9."""
    approvals = company.folder.parent / "approvals.json"
    approvals.write_text(json.dumps(APPROVED))
    approvals.chmod(0o600)
    assert company("apply", "--yes", SITEWARD_APPROVALS=str(approvals), **CI).code == 0
    company.moment = "2026-04-10T03:00:00+00:00"
    meddle(sandbox)
    assert "state-recorded" in company("drift", "--record", "-v").out
    company.moment = "2026-05-05T12:00:00+00:00"
    edit(
        company,
        (
            "{to: anna, role: view, sites: shop}",
            "{to: anna, role: edit, sites: shop, ticket: OPS-9, reason: as eve asked}",
        ),
    )
    commit(company, "Let anna edit")
    assert company("apply", "--yes").code == 0
    company.moment = "2026-06-01T12:00:00+00:00"
    return company


@pytest.fixture
def reviewed(months: Program) -> Program:
    """June: a review. cleo keeps what anna has, revokes eve and dora lets ben edit until August; it is closed by ben-cole."""
    start = months("review", "start", "2026-q2", "--reviewers", "by-owner", "--due", "2026-06-30")
    assert start.code == 0, start.out + start.err
    path = months.folder / ".siteward" / "reviews" / "2026-q2" / "admins.csv"
    rows = list(csv.DictReader(StringIO(path.read_text(encoding="utf-8-sig"))))
    decided = {
        "anna": ("keep", "still writes the reports", "cleo"), "eve": ("revoke", "nobody knows her", "cleo"),
        "ben": ("change until 2026-08-31", "his contract ends", "dora"), "siteward": ("keep", "", "cleo"),
    }  # fmt: skip
    for row in rows:
        row["decision"], row["decision reason"], row["reviewer"] = decided[row["account"]]
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    months.moment = "2026-06-20T12:00:00+00:00"
    closed = months("review", "close", "2026-q2", "--write", **{**CI, "GITHUB_TRIGGERING_ACTOR": "ben-cole"})
    assert closed.code == 0, closed.out + closed.err
    commit(months, "Decisions of the review 2026-q2")
    done = months("apply", "--yes")
    assert (done.code, "too-few-admins" in done.out) == (3, True), done.out  # nobody else is an admin: that right stays
    months.moment = "2026-07-01T12:00:00+00:00"
    return months


def items(program: Program, *asked: str) -> list[dict[str, Any]]:
    said = program("history", "-f", "json", *asked)
    assert said.code == 0, said.out + said.err
    found: list[dict[str, Any]] = said.json()["items"]
    return found


def test_who_got_what_when_why_and_by_whom(months: Program) -> None:
    """With the line of the file at that commit, the way, the ticket, the commit, who ran it and who approved, as told."""
    (event,) = items(months, "--user", "ben")
    assert (event["kind"], event["after"]["role"], event["status"]) == ("gained", "team-member", "done")
    assert (event["ticket"], event["reason"], event["via"]) == ("OPS-7", "writes there", ["group writers"])
    assert event["at_file"] == "access.yaml:14:5"
    assert (event["actor"], event["how"], event["approvers"]) == ("anna-berg", "GITHUB_ACTOR", ["cleo"])
    assert re.fullmatch("[0-9a-f]{40}", event["commit"])
    text = months("history", "--user", "ben").out
    for words in ("2026-03-01 12:00Z", "gained", "OPS-7", "anna-berg (GITHUB_ACTOR), approved by cleo (as told)"):
        assert words in text


def test_each_filter_leaves_what_it_asks_for(months: Program) -> None:
    """By site, role, ticket, time and actor; others' changes are between the two records around them."""
    assert {event["account"] for event in items(months, "--site", "shop")} == {"anna"}
    assert [event["kind"] for event in items(months, "--ticket", "OPS-9")] == ["raised"]
    assert [event["account"] for event in items(months, "--role", "edit")] == ["ben", "eve", "anna"]
    (others,) = items(months, "--by", "others")
    assert (others["account"], others["kind"], others["since"], others["at"]) == (
        "eve", "gained", "2026-03-01 12:00Z", "2026-04-10 03:00Z",
    )  # fmt: skip
    assert {event["account"] for event in items(months, "--by", "anna-berg")} == {"anna", "ben"}
    assert [event["kind"] for event in items(months, "--since", "2026-05-01")] == ["raised"]
    assert {event["account"] for event in items(months, "--until", "2026-03-01")} == {"anna", "ben", "eve"}
    assert items(months, "--user", "nobody") == []


def test_every_format_has_every_event(months: Program) -> None:
    """The same events in each; a page that a browser opens from a file."""
    count = len(items(months))
    rows = list(csv.DictReader(StringIO(months("history", "-f", "csv").out)))
    assert len(rows) == count
    assert {row["account"] for row in rows} == {"anna", "ben", "eve"}
    assert months("history", "-f", "markdown").out.count("\n| ") == count + 1
    page = months("history", "-f", "html").out
    assert page.count('<tr role="row"><td') == count
    assert "<script" not in page
    edit(months, ("version: 1\n", "version: 1\npolicy: {timezone: Europe/Berlin}\n"))
    assert "2026-05-05 14:00+02:00" in (shown := months("history").out)
    assert not re.search(r":\d\dZ", shown), "people read the time zone in which they ask"
    assert {item["at"][-1] for item in items(months)} == {"Z"}


def test_names_are_hidden_where_that_is_asked_for(months: Program) -> None:
    """Undeclared logins and who ran it; with counts nobody at all."""
    shown = months("history", "--privacy", "handles").out
    assert "anna" in shown
    assert not {"eve", "anna-berg", "cleo"} & set(re.findall(r"[\w-]+", shown))
    counted = months("history", "--privacy", "counts").out
    assert "anna" not in counted
    assert "events, not shown" in counted


def test_a_recording_that_has_stopped_is_told(months: Program) -> None:
    """Where somebody records between applies; a week is no gap, and who has never recorded is not urged."""
    months.moment = "2026-05-13T11:00:00+00:00"  # the apply of the 5th recorded it too
    assert "state-of" in months("drift", "-v").out
    assert "record-overdue" not in months("drift", "-v").out
    months.moment = "2026-05-13T13:00:00+00:00"
    said = months("drift", "-f", "json").json()
    (told,) = (told for told in said["diagnostics"] if told["code"] == "record-overdue")
    assert (told["severity"], told["instance"]) == ("warning", "stats")
    assert "last recorded on 2026-05-05 12:00Z, 8 days ago" in told["message"]
    assert "state-recorded" in months("drift", "--record", "-v").out
    assert "record-overdue" not in months("drift", "-v").out


def test_who_never_records_between_applies_is_not_urged_to(company: Program, sandbox: Sandbox) -> None:
    """Also not where an apply has found the changes of others, and has recorded them when it began."""
    assert company("apply", "--yes").code == 0
    meddle(sandbox)
    edit(company, ("{to: anna, role: view, sites: shop}", "{to: anna, role: edit, sites: shop}"))
    company.moment = "2026-03-02T12:00:00+00:00"
    assert company("apply", "--yes").code == 0
    company.moment = "2026-06-01T12:00:00+00:00"
    said = company("drift", "-f", "json").json()
    assert [told["severity"] for told in said["diagnostics"] if told["code"] == "state-of"] == ["note"]


def test_a_former_login_in_a_text_is_hidden_too(months: Program) -> None:
    """Whoever the journals know: a reason may name somebody whom the file no longer has."""
    assert "as eve asked" in months("history").out
    shown = {
        form: months("history", "--privacy", "handles", "-f", form).out for form in ("text", "json", "csv", "html")
    }
    assert [form for form, text in shown.items() if re.search(r"\beve\b", text)] == []


def test_who_had_what_on_a_past_date(months: Program) -> None:
    """From the record of that time and the file of the run then in force; today's state is nowhere."""
    asked = ("who-can", "edit", "shop.example.org")
    march = months(*asked, "--at", "2026-03-15", "-f", "json").json()
    assert {item["account"] for item in march["items"]} == {"siteward"}
    april = months(*asked, "--at", "2026-04-15", "-f", "json").json()
    assert {item["account"] for item in april["items"]} == {"eve", "siteward"}
    may = months(*asked, "--at", "2026-05-06", "-f", "json").json()
    assert {item["account"] for item in may["items"]} == {"anna", "eve", "siteward"}
    (told,) = march["incomplete"]
    assert "shown as recorded on 2026-03-01 12:00Z" in told["why"]
    assert "the next record is of 2026-04-10 03:00Z" in told["why"]
    assert "declared is what commit" in told["why"]


def test_every_asking_verb_takes_a_past_date(months: Program, sandbox: Sandbox) -> None:
    """Without a request to the server."""
    calls = len(sandbox.fake.calls)
    for verb in (["explain", "anna", "shop"], ["matrix"], ["matrix", "-f", "csv"], ["review", "-f", "csv"]):
        said = months(*verb, "--at", "2026-03-15")
        assert said.code in {0, 4}, said.out + said.err
        assert "shown as recorded on 2026-03-01" in re.sub(r"\s+", " ", said.out), said.out
        assert "team-view-only" in said.out or "view" in said.out
    assert len(sandbox.fake.calls) == calls
    page = months("matrix", "--html", "--at", "2026-03-15").out
    assert "shown as recorded" in page


def test_what_was_declared_then_is_said_not_to_be_recorded_where_nobody_knows(company: Program) -> None:
    """Files that were not committed: nothing of today's file is shown as that of then."""
    edit(company, ("role: view, sites: shop", "role: view, sites: blog"))
    assert company("apply", "--yes").code == 0
    edit(company, ("role: view, sites: blog", "role: edit, sites: shop"))
    company.moment = "2026-06-01T12:00:00+00:00"
    said = company("who-can", "view", "blog.example.org", "--at", "2026-03-02", "-f", "json").json()
    assert "what the file asked for then is not recorded" in said["incomplete"][0]["why"]
    assert {item["declared"] for item in said["items"]} == {None}


def test_a_date_before_the_first_record_has_no_answer(months: Program) -> None:
    """And none to come; both are errors in words, and so is a past date under `--as-of`."""
    said = months("who-can", "view", "shop.example.org", "--at", "2026-02-28")
    assert said.code == 1
    assert "the first is of 2026-03-01 12:00Z" in re.sub(r"\s+", " ", said.out + said.err)
    assert "nothing is recorded of the future" in months("matrix", "--at", "2027-01-01").err
    for verb in (["who-can", "view", "shop"], ["explain", "anna", "shop"], ["matrix"], ["review"]):
        refused = months(*verb, "--as-of", "2026-03-15")
        assert refused.code == 1, refused.out
        assert "--at 2026-03-15 shows what was recorded" in re.sub(r"\s+", " ", refused.err)
    assert months("plan", "--as-of", "2026-03-15").code in {0, 2, 3}


def test_an_edited_journal_answers_nothing(months: Program) -> None:
    """Every one of these commands names the line, and shows nothing of it."""
    path = months.folder / ".siteward" / "stats.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"', b"'", 1)
    path.write_bytes(b"".join(lines))
    for verb in (
        ["history"],
        ["who-can", "view", "shop.example.org", "--at", "2026-03-15"],
        ["matrix", "--at", "2026-03-15"],
    ):
        said = months(*verb)
        assert said.code == 1
        assert "stats.jsonl:4: " in re.sub(r"\s+", " ", said.out + said.err)


def test_nothing_is_recorded_while_a_run_is_open_or_before_the_first(company: Program) -> None:
    """A state without a run to compare with is no record; what to do is said."""
    said = company("drift", "--record", "-v")
    assert said.code == 1
    assert "not-recorded" in said.out


def test_what_a_run_takes_back_was_told_before(company: Program, sandbox: Sandbox) -> None:
    """A rise that somebody made and the next apply took back stands in the history, as somebody else's doing."""
    assert company("apply", "--yes").code == 0
    with httpx.Client(base_url=sandbox.url) as http:
        token = http.post("/api/auth/login", json=sandbox.fake.credentials).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        users = {user["username"]: user["id"] for user in http.get("/api/admin/users?pageSize=100").json()["data"]}
        sites = {site["domain"]: site for site in http.get("/api/admin/websites?pageSize=100").json()["data"]}
        team = sites["shop.example.org"]["teamId"]
        raised = http.post(f"/api/teams/{team}/users/{users['anna']}", json={"role": "team-manager"})
        assert raised.status_code == 200
    assert company("apply", "--yes").code == 0
    told = [(event["kind"], event["by_others"]) for event in items(company, "--user", "anna", "--role", "manage")]
    assert told == [("raised", True), ("lowered", False)]


def test_a_user_is_found_by_every_name(months: Program) -> None:
    """By address and login in any letter case, as by handle."""
    for name in ("ben@example.org", "BEN"):
        assert items(months, "--user", name) == items(months, "--user", "ben")


def test_what_may_be_missing_is_no_clean_exit(months: Program) -> None:
    """Plans that would tell the ticket are gone, or there is no journal: 4, as where seals were not checked."""
    for path in (months.folder / ".siteward").glob("*.plan.json"):
        path.unlink()
    said = months("history", "--ticket", "OPS-7")
    assert (said.code, "is not there, so the cause" in said.out) == (4, True)
    assert months("history", "--user", "ben").code == 0
    said = months("history", "--journal-dir", "elsewhere")
    assert (said.code, "there is no journal" in said.out) == (4, True)
    said = months("journal", "verify", "--instance", "stats", "--journal-dir", "elsewhere", "--head", "ab")
    assert (said.code, "no-journal" in said.out) == (1, True)


def test_dates_beyond_all_calendars_are_words(months: Program) -> None:
    """No traceback at either end."""
    for option, date in (("--until", "9999-12-31"), ("--since", "0001-01-01")):
        assert months("history", option, date).code in {0, 1}
    assert months("matrix", "--at", "9999-12-31").code == 1


@pytest.mark.parametrize("spoil", ["inside", "mode", "link", "json", "format", "gone"])
def test_approvals_that_a_branch_could_have_written_are_refused(company: Program, spoil: str) -> None:
    """Before anything is sent: they are evidence only where the job itself has fetched them."""
    path = company.folder.parent / "approvals.json"
    if spoil == "inside":
        path = company.folder / "approvals.json"
    data = {**APPROVED, **({"format": "siteward.approvals/2"} if spoil == "format" else {})}
    if spoil == "link":
        path.with_name("elsewhere.json").write_text(json.dumps(data))
        path.symlink_to(path.with_name("elsewhere.json"))
    elif spoil != "gone":
        path.write_text("{" if spoil == "json" else json.dumps(data))
        path.chmod(0o644 if spoil == "mode" else 0o600)
    said = company("apply", "--yes", SITEWARD_APPROVALS=str(path))
    assert (said.code, "bad-approvals" in said.out) == (1, True), said.out
    assert not (company.folder / ".siteward" / "stats.jsonl").exists()


def test_the_story_goes_on_with_a_departure_and_an_undo(months: Program, sandbox: Sandbox) -> None:
    """June: ben leaves, and what is open is told until it is done. July: May is taken back, from a file that says so."""
    left = months("offboard", "ben", "--write", "--ticket", "HR-9", "-f", "json")
    assert left.code == 2, left.out + left.err
    ids = [item["id"] for item in left.json()["items"]]
    assert {"stats/tokens", "stats/share-tokens"} <= set(ids)
    commit(months, "ben leaves")
    assert months("apply", "--yes", "-o", "notice:notices").code == 0
    assert "was taken away" in (months.folder / "notices" / "ben.md").read_text()
    (lost,) = [event for event in items(months, "--ticket", "HR-9") if event["kind"] == "lost"]
    assert (lost["account"], lost["after"]) == ("ben", None)
    assert "offboarding-open" in months("drift").out
    for name in ids:
        assert months("offboard", "ben", "--done", name, "--reason", "looked after, HR-9", **CI).code in {0, 2}
    assert "offboarding-open" not in months("drift", "-v").out
    done = [event for event in items(months, "--user", "ben") if event["kind"] == "offboarded"]
    assert {(event["actor"], event["how"]) for event in done[len(ids) :]} == {("anna-berg", "GITHUB_ACTOR")}
    assert months("evidence", "make", "--user", "ben", "--to", "bundle").code == 0
    told = json.loads((months.folder / "bundle" / "history.json").read_text())["items"]
    assert [event["message"] for event in told if event["kind"] == "offboarded"] == [event["message"] for event in done]
    assert months("evidence", "verify", "bundle").code in {0, 4}

    months.moment = "2026-07-01T12:00:00+00:00"
    (raised,) = items(months, "--ticket", "OPS-9")
    said = months("undo", raised["run"], "--write")
    assert said.code == 2, said.out + said.err
    commit(months, "Take back what May gave anna")
    assert months("undo", raised["run"], "--out", "undo.json").code == 2
    assert months("apply", "undo.json", "--yes").code == 0
    assert [event["kind"] for event in items(months, "--user", "anna")][-1] == "lowered"
    held = months("who-can", "edit", "shop.example.org", "-f", "json").json()["items"]
    assert "anna" not in {item["account"] for item in held}
    assert months("plan").code == 0


def test_who_reviewed_it_last_and_what_did_they_say(reviewed: Program) -> None:
    """By one command: the decision, why, by whom as the sheet has it, in which review, and who closed it."""
    told = [item for item in items(reviewed, "--user", "anna", "--site", "shop") if item["review"]]
    assert [(item["review"]["decision"], item["review"]["reason"], item["review"]["by"]) for item in told] == [
        ("keep", "still writes the reports", "cleo")
    ]
    assert (told[0]["actor"], told[0]["at"], told[0]["after"]["role"]) == (
        "ben-cole",
        "2026-06-20 12:00Z",
        "team-member",
    )
    text = re.sub(r"\s+", " ", reviewed("history", "--user", "anna", "--site", "shop").out)
    words = "reviewed: keep shop.example.org: team-member cleo (review 2026-q2), closed by ben-cole (GITHUB_ACTOR)"
    assert words in text, text
    assert "last confirmed: 2026-06-20 12:00Z by cleo (review 2026-q2)" in reviewed("explain", "anna", "shop").out
    assert {item["account"] for item in items(reviewed, "--by", "dora")} == {"ben"}
    for form in ("csv", "markdown", "html"):
        assert "still writes the reports" in reviewed("history", "--user", "anna", "-f", form).out


def test_what_a_review_decided_was_carried_out(reviewed: Program) -> None:
    """A revoke is followed by the run that took the right away, and a change by its end in the file."""
    kinds = [item["kind"] for item in items(reviewed, "--user", "eve", "--since", "2026-06-01")]
    assert kinds[:1] == ["reviewed"]
    assert "lost" in kinds
    asked = reviewed("explain", "ben", "blog", "-f", "json").json()["items"][0]
    assert asked["origin"]["until"].startswith("2026-09-01")
    assert asked["confirmed"]["decision"] == "change until 2026-08-31"
    assert reviewed("explain", "eve", "shop", "-f", "json").json()["items"][0]["confirmed"] is None


def test_reviewers_are_hidden_where_that_is_asked_for(reviewed: Program) -> None:
    """Who is declared nowhere is someone; the decision stays."""
    shown = reviewed("history", "--user", "anna", "--privacy", "handles").out
    assert "reviewed: keep" in shown
    assert not {"cleo", "ben-cole", "dora"} & set(re.findall(r"[\w-]+", shown))
    assert "cleo" not in reviewed("explain", "anna", "shop", "--privacy", "handles").out


def test_a_reviewer_can_be_erased(reviewed: Program) -> None:
    """With the decisions that name them; the journal still verifies, and says how many parts are gone."""
    said = reviewed("journal", "erase", "--user", "dora", "--reason", "asked for, DPO-3")
    assert said.code == 0, said.out
    assert "dora" not in (reviewed.folder / ".siteward" / "stats.jsonl").read_text()
    assert "journal-verified" in reviewed("journal", "verify", "-v").out
    told = [item["account"] for item in items(reviewed, "--by", "ben-cole") if item["review"]]
    assert "ben" not in told
    assert "anna" in told
