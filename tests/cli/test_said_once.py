"""What a reviewer sees: each thing once, the dangerous first, and nothing that is another verb's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment
from cli.repo import commit

if TYPE_CHECKING:
    from httpx import Client

    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

HEAD = """\
version: 1
instances:
  stats: {{platform: umami, url: {url}, self: siteward, layout: per-site, accept_blind: [board-links]}}
"""


@pytest.fixture
def stats(program: Program, umami: Sandbox) -> Program:
    """A folder with the credentials of a sandbox at hand."""
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.env |= {"SITEWARD_STATS_URL": umami.url}
    return program


@pytest.mark.parametrize("verb", ["plan", "apply", "drift"])
def test_what_has_no_effect_in_the_file_is_told_by_validate_alone(stats: Program, umami: Sandbox, verb: str) -> None:
    """Whoever edits the file looks there; whoever reviews a plan has something else to look at."""
    rule = "policy: {rules: [{id: zoe-ends, match: {user: zoe}, require: [until]}]}\n"
    stats.write(HEAD.format(url=umami.url) + "users: {anna: {}}\ngroups: {spare: [anna]}\n" + rule)
    checked = stats("validate").out
    assert "unused-group" in checked
    assert "rule-of-nobody" in checked
    shown = stats(verb).out
    assert "unused-group" not in shown
    assert "rule-of-nobody" not in shown


NEWCOMER = "users: {{newcomer: {{}}}}\ngrants: [{{to: newcomer, role: view, sites: shop.example.org}}]\n"
LEAVER = (
    "users: {{{{tmp-agency: {{{{state: absent}}}}, anna: {{{{}}}}}}}}\n"
    "grants: [{{{{to: anna, role: admin, on: stats}}}}]\npolicy: {{{{protect: [{}]}}}}\n"
)


def declare(program: Program, umami: Sandbox, text: str) -> None:
    program.write((HEAD + text).format(url=umami.url))


def test_a_place_for_passwords_is_a_need_and_no_block(stats: Program, umami: Sandbox) -> None:
    """The plan is told whole; the option that apply needs is told once, in the summary and in the next command."""
    declare(stats, umami, NEWCOMER)
    plan = stats("plan", "--out", "plan.json")
    assert plan.code == 2
    assert "Apply needs: a file for 1 new password (`--passwords-out FILE`)\n" in plan.out
    assert "next: siteward apply plan.json --passwords-out FILE\n" in plan.out
    assert "1 account to create, 1 grant to add" in plan.out
    assert "Blocked" not in plan.out
    assert "0 errors" in plan.out
    assert stats("show", "plan.json").code == 2


def test_without_what_it_needs_apply_blocks(stats: Program, umami: Sandbox) -> None:
    """As ever: with exit code 3, and nothing is written."""
    declare(stats, umami, NEWCOMER)
    stats("plan", "--out", "plan.json")
    refused = stats("apply", "plan.json", "--yes")
    assert refused.code == 3
    assert "no-password-destination" in refused.out
    assert umami.fake.writes == 0
    assert stats("apply", "--yes").code == 3
    assert stats("apply", "plan.json", "--yes", "--passwords-out", "passwords.txt").code == 0


def test_the_consent_for_deletions_is_a_need_and_no_block(stats: Program, umami: Sandbox, admin: Client) -> None:
    """A deletion stands among what is taken, where a reviewer looks for it."""
    declare(stats, umami, LEAVER.format("root"))
    plan = stats("plan", "--out", "plan.json")
    assert plan.code == 2
    assert "Apply needs: consent to delete 1 account (`--allow-delete`)\n" in plan.out
    assert plan.out.rstrip().splitlines()[-2].endswith(" --allow-delete")
    assert "1 account to delete" in plan.out
    refused = stats("apply", "plan.json", "--yes")
    assert refused.code == 3
    assert "deletion-needs-consent" in refused.out
    assert "tmp-agency" in [user["username"] for user in admin.get("/api/admin/users?pageSize=100").json()["data"]]


def test_what_needs_more_than_apply_can_give_is_blocked(stats: Program, umami: Sandbox) -> None:
    """Somebody protected is not deleted, whoever consents."""
    declare(stats, umami, LEAVER.format("tmp-agency"))
    plan = stats("plan")
    assert plan.code == 3
    assert "Apply needs" not in plan.out


ENDED = """\
users: {{{{anna: {{{{}}}}, jonas: {{{{}}}}}}}}
grants:
  - {{{{to: anna, role: admin, on: stats}}}}
  - {{{{to: jonas, role: view, sites: docs.example.org, until: {}}}}}
"""


def test_the_summary_tells_how_much_is_declared(stats: Program, umami: Sandbox) -> None:
    """Siteward's own account aside, 2 of the 29 accounts of that server."""
    declare(stats, umami, ENDED.format("2099-01-01"))
    assert "6 % of live accounts are declared" in stats("plan").out
    assert "6 % of live accounts are declared" in stats("drift").out
    summary = stats("plan", "--format", "json").json()["summary"]
    assert (summary["declared"], summary["unmanaged"]) == (2, 27)


def test_the_summary_tells_when_dates_were_last_carried_out(stats: Program, umami: Sandbox) -> None:
    """Where a run has; before that there is nothing to say."""
    declare(stats, umami, ENDED.format("2099-01-01"))
    assert "dates were last" not in stats("plan").out
    assert stats("apply", "--as-of", "2026-12-01", "--yes").code == 0
    planned = stats("plan", "--as-of", "2027-01-01").out
    assert "dates were last carried out for 2026-12-01" in planned
    assert planned.count("dates were last") == 1


def test_people_read_times_in_the_zone_of_the_policy(stats: Program, umami: Sandbox) -> None:
    """And dates as the file has them; programs get UTC."""
    declare(stats, umami, ENDED.format("2099-01-31") + "policy: {{timezone: Europe/Berlin}}\n")
    planned = stats("plan", "--as-of", "2026-12-01").out
    assert "until 2099-01-31 · " in planned.replace("\n", " · ")
    assert "as of 2026-12-01 12:00+01:00" in planned
    document = stats("plan", "--as-of", "2026-12-01", "--format", "json").json()
    assert document["plan"]["as_of"] == "2026-12-01T11:00:00Z"
    stats("apply", "--as-of", "2026-12-01", "--yes")
    assert "dates were last carried out for 2026-12-01 12:00+01:00" in stats("drift", "--as-of", "2026-12-02").out


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "latin-1"])
def test_an_encoding_without_our_signs_ends_no_run(stats: Program, umami: Sandbox, encoding: str) -> None:
    """As that of a redirected stdout on Windows: words stand for the signs, and the exit code is the plan's."""
    declare(stats, umami, NEWCOMER)
    environment = base_environment() | stats.env | {"PYTHONIOENCODING": encoding}
    for form in ("text", "markdown", "html", "github"):
        command = [sys.executable, "-m", "siteward", "plan", "--format", form]
        done = subprocess.run(command, cwd=stats.folder, env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (2, b"")
        assert form != "text" or "add  newcomer" in done.stdout.decode(encoding)


def test_forges_get_paths_from_the_top_of_the_repository(program: Program) -> None:
    """A job may work in a folder of it, or be told one."""
    program.write("version: 1\ninstances: {}\nuser: {}\n", "infra/access/access.yaml")
    commit(program)
    told = program("-C", "infra/access", "validate", "--format", "github").out
    assert "::error file=infra/access/access.yaml,line=3," in told
    issues = program("-C", "infra/access", "validate", "--format", "gitlab").json()
    assert {issue["location"]["path"] for issue in issues} == {"infra/access/access.yaml"}
    assert "access.yaml:3" in program("-C", "infra/access", "validate").out
