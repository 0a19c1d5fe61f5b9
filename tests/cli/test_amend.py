"""`grant`, `revoke` and `elevate` on the command line: a patch first, the file with `--write`, and words that help."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.conftest import ROOT, base_environment

if TYPE_CHECKING:
    from cli.conftest import Program

FILE = """\
version: 1
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}
policy: {timezone: Europe/Berlin}
sites:
  shop: {domain: shop.example.org, owner: ben}
users:
  anna: {email: anna@example.org, forge: {github: anna-berg}}
  ben: {email: ben@example.org}
grants:   # who may do what
  - {to: ben, role: view, sites: shop}  # OPS-1
"""
ROW = "  - {to: anna, role: edit, sites: shop, ticket: OPS-7}\n"


@pytest.fixture
def offline(program: Program) -> Program:
    """A file, and neither a server nor credentials."""
    program.write(FILE)
    program.moment = "2026-12-01T12:00:30+00:00"
    return program


def test_a_grant_is_shown_and_then_written(offline: Program) -> None:
    """The patch is one that `patch` takes; the file is not touched before `--write`, and no other byte is then."""
    words = ("grant", "anna", "edit", "on", "shop", "--ticket", "OPS-7")
    shown = offline(*words)
    path = offline.folder / "access.yaml"
    assert (shown.code, path.read_text()) == (0, FILE)
    assert f"+{ROW}" in shown.out
    assert "nothing written" in shown.err
    patched = subprocess.run(
        ["patch", "-o", "-", "access.yaml"],
        input=shown.out,
        cwd=offline.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert patched.stdout.endswith(FILE + ROW)
    path.chmod(0o640)
    done = offline(*words, "--write")
    assert (done.code, path.read_text(), path.stat().st_mode & 0o777) == (0, FILE + ROW, 0o640)
    assert "next: siteward plan" in done.err
    again = offline(*words, "--write")
    assert (again.code, again.out, path.read_text()) == (0, "", FILE + ROW)
    assert "already so: anna holds" in again.err
    taken = offline("revoke", "anna", "shop", "--write")
    assert (taken.code, path.read_text()) == (0, FILE)


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        ("4h", "2026-12-01T17:01:00+01:00"),
        ("30m", "2026-12-01T13:31:00+01:00"),
        ("2d", "2026-12-03"),
        ("+1w", "2026-12-08"),
    ],
)
def test_an_elevation_ends_at_a_moment(offline: Program, duration: str, written: str) -> None:
    """It is written as a day or a time of the file's zone, never relative; which run ends it is said."""
    done = offline("elevate", "anna", "admin", "on", "stats", "--for", duration, "--reason", "restore")
    assert done.code == 0, done.err
    assert f"+  - {{to: anna, role: admin, on: stats, until: {written}, reason: restore}}\n" in done.out
    assert "the first `siteward apply --only dates` after it takes the access away" in done.err
    assert "no job here runs it" in done.err


def test_the_job_that_ends_it_is_named(offline: Program) -> None:
    """With the times at which it starts."""
    (offline.folder / ".git").mkdir()
    job = 'on:\n  schedule:\n    - cron: "17 1 * * *"\njobs: {a: {steps: [{run: siteward apply --only dates --yes}]}}\n'
    offline.write(job, ".github/workflows/expiries.yml")
    done = offline("grant", "anna", "view", "shop", "--until", "+90d")
    assert "until: 2027-03-01" in done.out
    assert "that run is .github/workflows/expiries.yml (`17 1 * * *`, UTC)" in done.err


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (".github/workflows/siteward-dates.yml", "that run is .github/workflows/siteward-dates.yml (`"),
        (".gitlab-ci.yml", "that run is .gitlab-ci.yml (at the times of its schedule, UTC)"),
    ],
)
def test_the_job_of_the_recipes_is_known(recipe: str, said: str, offline: Program) -> None:
    """`init --ci` writes them; they call the program by a script of theirs."""
    (offline.folder / ".git").mkdir()
    offline.write((ROOT / "examples" / "ci" / recipe).read_text(encoding="utf-8"), recipe)
    done = offline("elevate", "anna", "admin", "on", "stats", "--for", "4h", "--reason", "restore")
    assert said in done.err
    assert "no job here" not in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grant", "anna", "view"), "name a site"),
        (("elevate", "anna", "admin", "stats", "--reason", "x"), "say how long"),
        (("elevate", "anna", "admin", "stats", "--reason", "x", "--for", "soon"), "write a number"),
        (("grant", "anna", "view", "shop", "--until", "2020-01-01"), "ends-before-it-begins"),
        (("grant", "anna", "view", "shop", "--until", "+999999w"), "bad-date"),
        (("grant", "anna", "view", "shop", "--until", "2027-02-30"), "bad-date"),
        (("grant", "anna", "view", "shop", "--until", "2027-02-03T10:00"), "instant-without-offset"),
        (("grant", "annna", "vieww", "shopp"), 'did you mean "anna"?'),
        (("revoke", "anna", "shopp"), 'did you mean "shop"?'),
    ],
)
def test_what_is_wrong_is_said_in_words(offline: Program, words: tuple[str, ...], said: str) -> None:
    """And nothing is written."""
    done = offline(*words, "--write") if "--write" not in words else offline(*words)
    assert done.code == 1
    assert said in done.out + done.err
    assert (offline.folder / "access.yaml").read_text() == FILE


def test_who_grants_themselves_something_is_told_before(offline: Program) -> None:
    """By the name on the forge."""
    done = offline("grant", "anna", "edit", "shop", SITEWARD_ACTOR="anna-berg")
    assert done.code == 0
    assert "grants-oneself" in done.err
    other = offline("grant", "anna", "edit", "shop", SITEWARD_ACTOR="ben")
    assert "grants-oneself" not in other.err


def test_a_link_is_not_written_through(offline: Program) -> None:
    """The file and the link stay as they are."""
    path = offline.folder / "access.yaml"
    path.rename(offline.folder / "real.yaml")
    path.symlink_to("real.yaml")
    done = offline("grant", "anna", "edit", "shop", "--write")
    assert done.code == 1
    assert "is a link" in done.out
    assert (offline.folder / "real.yaml").read_text() == FILE


def test_words_of_an_argument_stay_words(offline: Program) -> None:
    """Whatever stands in them is printed as a value and read again as the same."""
    odd = 'it\'s: "no" # comment, {a: b} [c] !tag &x *y\n- {to: ben, role: admin, on: stats}'
    done = offline("grant", "anna", "edit", "shop", "--reason", odd, "--ticket", "0123", "--write")
    assert done.code == 0, done.err
    assert offline("validate").code == 0
    assert (offline.folder / "access.yaml").read_text().count("\n") == FILE.count("\n") + 1
    assert "ticket: '0123'" in (offline.folder / "access.yaml").read_text()


def test_an_end_in_hours_is_told_as_everywhere(offline: Program) -> None:
    """As other outputs write a moment, in the time zone of the file; programs get it as the file has it."""
    offline.write(FILE + "  - {to: anna, role: edit, sites: shop, until: '2026-12-01T12:21:00Z'}\n")
    assert "  2026-12-01 13:21+01:00  " in offline("ending").out
    assert ",2026-12-01T13:21:00+01:00," in offline("ending", "-f", "csv").out


def test_a_grant_to_who_is_suspended_says_so(offline: Program) -> None:
    """And not that there is no such site."""
    offline.write(FILE.replace("users:", "users:\n  gone: {state: suspended}", 1))
    refused = offline("grant", "gone", "view", "shop")
    assert refused.code == 1
    assert "would give gone nothing: the file has `state: suspended`" in refused.out + refused.err


def test_who_has_nothing_left_loses_nothing(offline: Program) -> None:
    """A leaver whose row has an end, as `offboard` writes it, is in no list of what ends."""
    offline.write(FILE.replace("users:", "users:\n  gone: {state: suspended, until: 2026-12-02}", 1))
    assert offline("ending").out == "nothing ends\n"


def test_what_ends_soon_is_listed_by_owner(offline: Program) -> None:
    """In every form, with the day as the file writes it."""
    offline.write(FILE + "  - {to: anna, role: edit, sites: shop, until: 2026-12-10, ticket: OPS-9, reason: =x}\n")
    shown = offline("ending")
    assert (shown.code, shown.out.splitlines()[0]) == (0, "ben: 1 row")
    assert "2026-12-10  9 days  anna  edit on shop  access.yaml:12:5  OPS-9" in shown.out
    assert offline("ending", "--within", "3d").out == "nothing ends\n"
    rows = offline("ending", "-f", "csv").out.splitlines()
    assert rows[1] == "ben,2026-12-10 23:00Z,2026-12-10,9,grant,anna,edit on shop,access.yaml,12,OPS-9,'=x"
    assert "| 2026-12-10 | 9 days | anna |" in offline("ending", "-f", "markdown").out
    (owner,) = offline("ending", "-f", "json").json()["owners"]
    assert (owner["owner"], owner["items"][0]["at"]) == ("ben", "access.yaml:12:5")
    assert "anna" not in offline("ending", "--privacy", "counts").out


@pytest.mark.parametrize(
    "content", [FILE.replace("\n", "\r\n"), FILE.rstrip("\n"), FILE.replace("\n", "\r\n").rstrip()]
)
def test_the_patch_is_right_for_every_line_end(offline: Program, content: str) -> None:
    """Also for a file without a last line break: applied by git, it is what `--write` writes."""
    path = offline.folder / "access.yaml"
    path.write_bytes(content.encode())
    subprocess.run(["git", "init", "-q"], cwd=offline.folder, check=True)
    shown = subprocess.run(
        [sys.executable, "-m", "siteward", "grant", "anna", "edit", "shop"],
        cwd=offline.folder, env=base_environment(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    subprocess.run(["git", "apply", "-"], input=shown, cwd=offline.folder, check=True)
    patched = path.read_bytes()
    path.write_bytes(content.encode())
    assert offline("grant", "anna", "edit", "shop", "--write").code == 0
    assert path.read_bytes() == patched
    row = b"  - {to: anna, role: edit, sites: shop}"
    end = b"\r\n" if b"\r\n" in patched else b"\n"
    last = end if content.endswith("\n") else b""
    assert patched == content.encode() + (row + last if last else end + row)
