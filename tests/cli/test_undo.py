"""Taking a run back: the edit of the file first, then a plan of just that, and what does not come back."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import Program, start
from cli.repo import commit, edit, git
from cli.test_import import SETTINGS
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
instances:
  stats: {platform: matomo, url: URL, self: root}
sites:
  shop: {domain: shop.example.org}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
  cleo: {email: cleo@example.org}
groups:
  writers: [ben]
grants:
  - {to: anna, role: view, sites: shop}
  # ben writes the blog
  - {to: writers, role: edit, sites: blog, ticket: OPS-7, reason: writes there}
  - {to: cleo, role: view, sites: [shop, blog], until: 2026-08-31}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    world = World(
        accounts=tuple(
            WorldAccount(login=name, email=f"{name}@example.org") for name in ("anna", "ben", "cleo", "eve")
        ),
        sites=(WorldSite(name="shop", domain="shop.example.org"), WorldSite(name="blog", domain="blog.example.org")),
        grants=(WorldGrant(account="eve", site="shop.example.org", role="view"),),
    )
    fake = platforms.fake("matomo")
    with serve(fake.of(world, fake.releases[0], clock=lambda: datetime.now(UTC))) as served:
        yield served


@pytest.fixture
def company(tmp_path: Path, sandbox: Sandbox) -> Program:
    """A repository whose file gives anna, ben and cleo something, applied in March."""
    program = Program(tmp_path / "repo", moment="2026-03-01T12:00:00+00:00")
    program.folder.mkdir()
    program.write(FILE.replace("URL", sandbox.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    commit(program, "Give anna, ben and cleo access")
    assert program("apply", "--yes").code == 0
    return program


def change(company: Program, moment: str, *changes: tuple[str, str]) -> str:
    """Edit, commit and apply; return the id of the run."""
    company.moment = moment
    edit(company, *changes)
    commit(company, "Change access")
    said = company("apply", "--yes")
    assert said.code in {0, 3}, said.out + said.err
    return runs(company)[-1]


def runs(company: Program) -> list[str]:
    lines = (company.folder / ".siteward" / "stats.jsonl").read_text().splitlines()
    headers = [json.loads(line) for line in lines]
    return [header["run"] for header in headers if header.get("kind") == "run"]


def told(said: Any, code: str) -> list[str]:
    plan = said.json()["plan"]
    found = [*said.json()["diagnostics"], *(entry for part in plan["instances"] for entry in part["diagnostics"])]
    return [entry["message"] for entry in found if entry["code"] == code]


def steps(said: Any) -> list[tuple[str, Any, Any]]:
    plan = said.json()["plan"]
    accounts = [account["login"] for account in plan["tables"]["accounts"]]
    return [
        (accounts[(step["change"]["after"] or step["change"]["before"])["account"]],
         (step["change"]["before"] or {}).get("role"), (step["change"]["after"] or {}).get("role"))
        for part in plan["instances"]
        for step in part["steps"]
    ]  # fmt: skip


def test_a_run_is_taken_back_by_the_revert_of_its_commit(company: Program) -> None:
    """The patch first, the plan of just that; applied from a checkout that holds the edit, and from no other."""
    run = change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    company.moment = "2026-05-06T12:00:00+00:00"
    before = (company.folder / "access.yaml").read_text()
    said = company("undo", run, "--out", "undo.json")
    assert said.code == 2, said.out + said.err
    assert "-  - {to: anna, role: edit, sites: shop}\n+  - {to: anna, role: view, sites: shop}\n" in said.out
    assert "revert of commit" in said.err
    assert (company.folder / "access.yaml").read_text() == before
    refused = company("apply", "undo.json", "--yes")
    assert refused.code == 4, refused.out
    assert "refused" in refused.out
    written = company("undo", run[:12], "--write", "--out", "undo.json", "-f", "json")
    assert steps(written) == [("anna", "write", "view")]
    assert (company.folder / "access.yaml").read_text() == before.replace(
        "role: edit, sites: shop", "role: view, sites: shop"
    )
    commit(company, "Take it back")
    assert company("apply", "undo.json", "--yes").code == 0
    assert company("plan").code == 0
    again = company("undo", run, "-f", "json")
    assert (again.code, told(again, "undo-edit")) == (0, [f"run {run}: the file asks for what was before already"])
    assert steps(again) == []


def test_what_changed_since_is_named_and_left_alone(company: Program, sandbox: Sandbox) -> None:
    """Then the edit is of lines, for the rest alone; comments and order stay."""
    run = change(
        company, "2026-05-05T12:00:00+00:00",
        ("{to: anna, role: view", "{to: anna, role: edit"), ("writers: [ben]", "writers: [ben, anna]"),
    )  # fmt: skip
    change(company, "2026-06-05T12:00:00+00:00", ("{to: anna, role: edit", "{to: anna, role: manage"))
    company.moment = "2026-06-06T12:00:00+00:00"
    said = company("undo", run, "-f", "json", "--write")
    assert said.code == 2, said.out + said.err
    assert steps(said) == [("anna", "write", None)]
    assert "anna on shop.example.org: the run left write, and now it is admin" in told(said, "changed-since-run")[0]
    assert "{to: anna, role: manage, sites: shop}" in (company.folder / "access.yaml").read_text()
    assert "# ben writes the blog" in (company.folder / "access.yaml").read_text()
    commit(company, "Take it back")
    assert company("apply", "--yes").code == 0


def test_a_revoked_right_comes_back_with_its_end(company: Program) -> None:
    """By lines too, where the commit is not there any more."""
    run = change(
        company,
        "2026-05-05T12:00:00+00:00",
        ("  - {to: cleo, role: view, sites: [shop, blog], until: 2026-08-31}\n", ""),
    )
    company.moment = "2026-05-06T12:00:00+00:00"
    said = company("undo", run, "-f", "json")
    assert sorted(steps(said)) == [("cleo", None, "view")] * 2
    edit(company, ("# ben writes the blog", "# ben writes our blog"), ("reason: writes there}", "reason: writes here}"))
    commit(company, "Other words")
    said = company("undo", run, "-f", "json")
    assert "does not revert cleanly" in told(said, "undo-edit")[0]
    assert sorted(steps(said)) == [("cleo", None, "view")] * 2
    assert company("undo", run, "--write").code == 2
    text = (company.folder / "access.yaml").read_text()
    assert (
        len(
            re.findall(
                r"\{to: cleo, role: view, sites: \w+\.example\.org, reason: undo of run [\w-]+, until: '?2026-08-31'?\}",
                text,
            )
        )
        == 2
        or text.count("2026-08-31") == 2
    ), text


def test_what_has_ended_does_not_come_back(company: Program) -> None:
    """Not after its date, be it undone by revert or by lines."""
    run = change(
        company,
        "2026-05-05T12:00:00+00:00",
        ("  - {to: cleo, role: view, sites: [shop, blog], until: 2026-08-31}\n", ""),
    )
    company.moment = "2026-09-05T12:00:00+00:00"
    said = company("undo", run, "-f", "json")
    assert said.code == 2
    assert steps(said) == []
    messages = told(said, "not-undone")
    assert sum("gives it no more now" in message for message in messages) == 2
    assert sum("scheduled e-mail reports" in message for message in messages) == 2


def test_an_end_by_date_is_not_undone(company: Program) -> None:
    """The run that carried out an end gives no way back to what ended."""
    company.moment = "2026-09-05T12:00:00+00:00"
    assert company("apply", "--only", "dates", "--yes").code == 0
    said = company("undo", runs(company)[-1], "-f", "json")
    assert steps(said) == []
    assert told(said, "not-undone")[0].endswith("it had ended by its date")


@pytest.mark.parametrize("how", ["suspended", "absent", "gone"])
def test_nobody_who_was_suspended_or_left_comes_back(company: Program, how: str) -> None:
    """Neither by the run that did it nor by one before."""
    row = "  cleo: {email: cleo@example.org}\n"
    first = change(
        company,
        "2026-04-05T12:00:00+00:00",
        ("{to: cleo, role: view, sites: [shop, blog]", "{to: cleo, role: view, sites: [blog]"),
    )
    taken = ("  - {to: cleo, role: view, sites: [blog], until: 2026-08-31}\n", "")
    changes = [(row, f"  cleo: {{email: cleo@example.org, state: {how}}}\n")] if how != "gone" else [(row, ""), taken]
    second = change(company, "2026-05-05T12:00:00+00:00", *changes)
    company.moment = "2026-05-06T12:00:00+00:00"
    text = (company.folder / "access.yaml").read_text()
    for run in (first, second):
        said = company("undo", run, "-f", "json", "--write")
        assert said.code == 2, said.out
        assert steps(said) == []
        assert any("cleo" in message for message in told(said, "not-undone")), told(said, "not-undone")
        assert (company.folder / "access.yaml").read_text() == text


def test_a_creation_is_taken_back_but_the_account_stays(company: Program) -> None:
    """Its rights go; the mail that was sent, and the account, are told."""
    run = change(
        company, "2026-05-05T12:00:00+00:00",
        ("groups:", "  dora: {email: dora@example.org}\ngroups:"), ("{to: anna,", "{to: [anna, dora],"),
    )  # fmt: skip
    said = company("undo", run, "-f", "json", "--write")
    assert steps(said) == [("dora", "view", None)]
    assert any(message.startswith("dora: the account stays") for message in told(said, "not-undone"))
    assert "dora" not in (company.folder / "access.yaml").read_text()


def test_a_run_that_is_not_there_is_told_with_the_latest(company: Program) -> None:
    """In words, with what was likely meant; and so is the beginning of several."""
    change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    ids = runs(company)
    said = company("undo", ids[-1][:-3] + "xyz", "-f", "json")
    (found,) = said.json()["diagnostics"]
    assert (said.code, found["code"]) == (1, "no-such-run")
    assert f"did you mean {ids[-1]}?" in found["hint"]
    assert ids[0] in found["hint"]
    said = company("undo", "2026", "-f", "json")
    assert "beginning of several runs" in said.json()["diagnostics"][0]["message"]
    assert company("undo", "").code == 1


def test_a_run_of_another_server_is_not_undone(company: Program) -> None:
    """Nor one of an instance that the file has no more."""
    run = change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    path = company.folder / "access.yaml"
    text = path.read_text()
    path.write_text(re.sub("http://127.0.0.1:[0-9]+", "http://127.0.0.1:9", text))
    said = company("undo", run, "-f", "json")
    assert said.json()["diagnostics"][0]["code"] == "run-not-undone"
    assert "another server" in said.json()["diagnostics"][0]["message"]
    path.write_text(text.replace("stats:", "other:"))
    said = company("undo", run, "-f", "json")
    assert "the file has no instance of that name" in said.json()["diagnostics"][0]["message"]


def test_an_unsealed_run_is_not_undone_with_a_key(company: Program) -> None:
    """What nothing proves gives no ground; without any key it is undone."""
    run = change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    said = company("undo", run, "-f", "json", SITEWARD_JOURNAL_KEY="a key of some length")
    assert said.json()["diagnostics"][0]["code"] == "run-not-undone"
    assert company("undo", run).code == 2


def test_seals_that_nobody_checked_are_told(company: Program) -> None:
    """Without the key a sealed run is undone by an edit like any other, and nobody takes its lines for proven."""
    company.env["SITEWARD_JOURNAL_KEY"] = "a key of some length"
    (company.folder / ".siteward").rename(company.folder / "unsealed")
    run = change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    assert "not checked" not in company("undo", run).err
    said = company("undo", run, SITEWARD_JOURNAL_KEY="")
    assert said.code == 2
    assert "the seals (HMAC) of" in said.err
    assert "are not checked: SITEWARD_JOURNAL_KEY is not set" in said.err


def test_a_revert_that_would_change_more_is_none(company: Program) -> None:
    """A commit that also changed the policy is not reverted as a whole: only the lines are."""
    run = change(
        company, "2026-05-05T12:00:00+00:00",
        ("{to: anna, role: view", "{to: anna, role: edit"), ("groups:", "policy: {admins: {max: 3}}\ngroups:"),
    )  # fmt: skip
    said = company("undo", run, "-f", "json", "--write")
    assert "more than access" in told(said, "undo-edit")[0]
    assert steps(said) == [("anna", "write", "view")]
    assert "max: 3" in (company.folder / "access.yaml").read_text()


def test_files_that_were_not_committed_are_undone_by_lines(company: Program) -> None:
    """What the run took is not given back then: nobody knows until when it was given."""
    company.moment = "2026-05-05T12:00:00+00:00"
    edit(company, ("{to: anna, role: view", "{to: anna, role: edit"))
    assert company("apply", "--yes").code == 0
    said = company("undo", runs(company)[-1], "-f", "json")
    assert "no commit of its own" in told(said, "undo-edit")[0]
    assert steps(said) == [("anna", "write", "view")]


def test_the_patch_is_one(company: Program) -> None:
    """git takes it."""
    run = change(company, "2026-05-05T12:00:00+00:00", ("{to: anna, role: view", "{to: anna, role: edit"))
    said = company("undo", run, "-f", "json")
    (company.folder.parent / "edit.patch").write_text(said.err[said.err.index("--- a/") :])
    git(company, "apply", "--check", "--recount", "--unidiff-zero", "../edit.patch")


# A line that the import of each lived-in sandbox writes, of people whose access is of the platform's usual kind.
LINES = {"piwik-pro": "rosa], role: view, sites: example", "plausible": "ivan, role: edit, sites: [blog, docs]"}


@pytest.mark.parametrize("platform", LINES)
def test_a_revocation_is_taken_back_by_invitation_too(program: Program, platform: str) -> None:
    """What comes back by invitation is told as that; what the platform destroyed stays destroyed, and is told too."""
    with serve(start(platform)) as sandbox:
        program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        asked = ("import", "--instance", "stats", "--platform", platform, "--url", sandbox.url, *SETTINGS[platform])
        assert program(*asked).code == 0
        commit(program, "As it is")
        assert program("apply", "--yes").code == 0
        text = (program.folder / "access.yaml").read_text()
        (line,) = [line for line in text.splitlines(keepends=True) if LINES[platform] in line]
        run = change(program, "", (line, ""))
        said = program("undo", run, "--write", "--out", "undo.json", "-f", "json")
        assert said.code == 2, said.out + said.err
        assert [before for _, before, _ in steps(said)] == [None, None]
        lost = [message for message in told(said, "not-undone") if "mails ivan@example.org" in message]
        assert len(lost) == (2 if platform == "plausible" else 0)
        assert (program.folder / "access.yaml").read_text() == text
        commit(program, "Take it back")
        assert program("apply", "undo.json", "--yes").code == 0
        again = program("undo", run, "-f", "json")
        assert steps(again) == []
