"""What a verb says to do next works as it is written, and a job that is stopped ends as tidily as one interrupted."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF
from cli.silence import silent, stopped

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox


def test_what_plan_says_to_do_next_does_it(checkout: Program) -> None:
    """Everything that the plan was asked with is in the command: as it stands it applies, and nothing is refused."""
    asked = (*AS_OF, "--allow-delete", "--passwords-out", "new passwords.txt", "--instance", "stats")
    first, _, then = checkout("plan", *asked, "--format", "json").json()["next"].partition(", then ")
    planned = checkout(*shlex.split(first)[1:], "--format", "json").json()
    assert planned["next"] == then
    program, *words = shlex.split(planned["next"])
    assert program == "siteward"
    done = checkout(*words, "--yes", "--format", "json")
    assert done.code == 0, done.out
    assert {outcome["status"] for outcome in done.json()["outcomes"]} <= {"done", "already"}


def test_blocked_steps_are_named_beside_the_next_command(checkout: Program) -> None:
    """What apply leaves is said where apply is named, as a comment: the line still works as it is written."""
    path = checkout.folder / "access.yaml"
    row = "  - {to: carla, role: admin, on: stats, ticket: T-1, reason: one more than may be}\n"
    path.write_text(path.read_text().replace("\npolicy:\n", f"{row}\npolicy:\n"), encoding="utf-8")
    asked = (*AS_OF, "--passwords-out", "p.txt", "--allow-delete")
    planned = checkout("plan", *asked, "--out", "plan.json", "--format", "json").json()
    blocked = [step for part in planned["plan"]["instances"] for step in part["steps"] if step["blocked"]]
    assert blocked
    count = f"{len(blocked)} blocked step{'' if len(blocked) == 1 else 's'}"
    command, comment = planned["next"].split("    # ")
    assert (comment, planned["exit_code"]) == (f"it leaves {count}", 3)
    assert shlex.split(planned["next"], comments=True) == shlex.split(command)
    assert f"    # it leaves {count}\n" in checkout("plan", *asked).out


@pytest.mark.parametrize("verb", [("plan",), ("apply",)])
def test_what_cannot_be_accepted_is_not_passed_over(verb: tuple[str, ...], checkout: Program) -> None:
    """A misspelt block would stay a block, and nobody would know why."""
    told = checkout(*verb, "--accept", "revocation=sha256:1", "--reason", "r")
    if verb == ("plan",):
        told = checkout(*verb, "--accept", "revocation", "--reason", "r")
    assert told.code == 1
    assert "did you mean 'revocations'?" in told.err


def test_a_job_that_is_stopped_says_what_it_did(checkout: Program, umami: Sandbox) -> None:
    """SIGTERM, as a forge sends it to a job that is cancelled: no step is begun any more, and the report comes."""
    with silent(
        umami.url, lambda method, path: method != "GET" and "/auth/" not in path and umami.fake.writes > 1
    ) as held:
        path = checkout.folder / "access.yaml"
        path.write_text(path.read_text().replace(umami.url, held.url))
        code, _, report = stopped(checkout, held, signal.SIGTERM, "apply", *AS_OF, "--yes", answers=True)
    assert code == 130
    assert {outcome["status"] for outcome in report["outcomes"]} >= {"done", "skipped"}
    assert report["next"] == "siteward apply --resume"


def test_an_expiry_run_with_nothing_due_says_so(checkout: Program) -> None:
    """Most nights nothing ends: one line, no plan, and success."""
    first = checkout("apply", *AS_OF, "--yes", "--only", "expiries")
    assert first.code == 0, first.out
    again = checkout("apply", *AS_OF, "--yes", "--only", "expiries")
    assert again.code == 0
    assert "Result:" not in again.out
    told = checkout("apply", *AS_OF, "--yes", "--only", "expiries", "--format", "json").json()
    assert [diagnostic["code"] for diagnostic in told["diagnostics"]] == ["nothing-chosen"]
