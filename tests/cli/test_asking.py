"""Before anything is done at a terminal, apply shows it and asks, as loudly as the risk is high."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

ALLOWED = ("--as-of", "2026-12-01", "--allow-delete", "--passwords-out", "passwords.txt")
LOWERED = """
version: 1
instances:
  stats: {platform: umami, url: 'URL', self: siteward, layout: per-site, accept_blind: [board-links]}
users: {anna: {}, ben: {}, jonas: {}}
grants:
  - {to: [anna, ben], role: admin, on: stats}
  - {to: jonas, role: view, sites: shop.example.org}
  - {to: jonas, role: edit, sites: staging.example.org}
policy: {admins: {min: 1}}
"""


def typed(program: Program, words: str, *arguments: str) -> tuple[int, str, str]:
    """Run with a terminal to type at; return the exit code, stdout and stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "siteward", *arguments],
        cwd=program.folder, env=base_environment() | program.env,
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        os.close(theirs)
        os.write(ours, f"{words}\n".encode())
        out, err = running.communicate(timeout=120)
        os.close(ours)
    assert "Traceback" not in err, err
    return running.returncode, out, err


@pytest.mark.parametrize("answer", ["no", "y", "", "yes", "Stats"])
def test_high_risk_asks_for_the_name(answer: str, checkout: Program, umami: Sandbox) -> None:
    """Anything but the instance's name is a no, and a no is said to be one."""
    code, out, err = typed(checkout, answer, "apply", *ALLOWED)
    assert "Plan:" in out
    assert "\nexit " not in out, "the verb is not over where it asks"
    assert "\nnext: " not in out
    assert "Type 'stats'" in err
    assert (code, umami.fake.writes) == (130, 0)
    assert "nothing was changed" in err


def test_the_name_is_a_yes(checkout: Program, umami: Sandbox) -> None:
    """And the name lets it through."""
    code, out, _ = typed(checkout, "stats", "apply", *ALLOWED)
    assert code == 0, out
    assert umami.fake.writes > 0


def test_low_risk_asks_for_a_letter(program: Program, umami: Sandbox) -> None:
    """One `y` is enough where little can go wrong; an empty answer is no."""
    program.write(LOWERED.replace("URL", umami.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    code, _, err = typed(program, "", "apply")
    assert "apply? [y/N]" in err
    assert (code, umami.fake.writes) == (130, 0)
    assert typed(program, "y", "apply")[0] == 0


def test_json_keeps_stdout_and_still_shows_what_it_asks(checkout: Program, umami: Sandbox) -> None:
    """Who asks for JSON sees the plan on stderr before being asked."""
    code, out, err = typed(checkout, "no", "apply", *ALLOWED, "--format", "json")
    assert code == 130
    assert "Plan:" in err
    assert "Plan:" not in out
    assert umami.fake.writes == 0


def test_a_block_that_is_lifted_is_asked_about_too(checkout: Program, umami: Sandbox) -> None:
    """A plan that is wholly blocked, with its block accepted, is not carried out unasked."""
    path = checkout.folder / "access.yaml"
    path.write_text(path.read_text().replace("removals: {count: 5, percent: 20}", "removals: {count: 0}"))
    checkout("plan", *ALLOWED, "--out", "plan.json")
    digest = checkout("show", "plan.json", "--format", "json").json()["plan"]["digest"]
    lifted = ("apply", "plan.json", *ALLOWED, "--accept", f"removals={digest}", "--reason", "meant")
    mute = checkout(*lifted)
    assert mute.code == 1
    assert "--yes" in mute.err
    assert typed(checkout, "no", *lifted)[0] == 130
    assert umami.fake.writes == 0
    assert typed(checkout, "stats", *lifted)[0] == 0
