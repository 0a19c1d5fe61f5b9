"""A verb ends soon after a signal, whatever its servers do, and a verb that reads ends by itself as well."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF, base_environment, start
from cli.silence import silent, stopped
from siteward.platforms.fakery import serve
from siteward.reconcile.journal.entries import InvitationResent
from siteward.reconcile.journal.reading import read

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

FIRST, SECOND = signal.SIGINT, signal.SIGTERM
TWO = """\
version: 1
instances:
  {names}
"""
IMPATIENT = """\
from siteward.__main__ import main
from siteward.reconcile.apply import execute
execute.GRACE = 1.0
main()
"""
"""The program with one second, in the place of five, for what is in flight."""
STRIKE = """\
import importlib, signal, sys
where, _, name = sys.argv.pop(1).partition(":")
module = importlib.import_module(where)
called = getattr(module, name)
def strike(*arguments, **named):
    setattr(module, name, called)
    signal.raise_signal(signal.SIGINT)
    return called(*arguments, **named)
setattr(module, name, strike)
from siteward.__main__ import main
main()
"""


def declare(program: Program, url: str, names: tuple[str, ...]) -> None:
    """Declare instances at one address, with credentials at hand."""
    lines = [f"{name}: {{platform: umami, url: {url!r}, self: admin, layout: per-site}}" for name in names]
    program.write(TWO.format(names="\n  ".join(lines)))
    for name in names:
        program.env |= {f"SITEWARD_{name.upper()}_USERNAME": "admin", f"SITEWARD_{name.upper()}_PASSWORD": "x"}


def declare_matomo(program: Program, url: str, behind: Sandbox) -> None:
    """Declare a Matomo at an address, with the credentials of the sandbox behind it."""
    program.write(f"version: 1\ninstances:\n  eu: {{platform: matomo, url: '{url}', self: root, mode: add-only}}\n")
    program.env |= {f"SITEWARD_EU_{name.upper()}": value for name, value in behind.fake.credentials.items()}


def resends(program: Program) -> list[str]:
    """Return what the journal has of invitations that were sent again: the status in each of its lines."""
    path = program.folder / ".siteward" / "eu.jsonl"
    entries = read(path, None).entries if path.exists() else ()
    return [entry.status for entry in entries if isinstance(entry, InvitationResent)]


@pytest.mark.parametrize("number", [FIRST, SECOND])
@pytest.mark.parametrize("names", [("one",), ("one", "two")], ids=len)
def test_a_verb_that_reads_ends_at_the_first_signal(
    names: tuple[str, ...], number: signal.Signals, program: Program
) -> None:
    """It waits for no answer, in whichever thread, and says that it was interrupted."""
    with silent("", lambda _method, _path: True) as silence:
        declare(program, silence.url, names)
        code, _, report = stopped(program, silence, number, "plan")
    assert (code, report["exit_code"]) == (130, 130)
    assert [diagnostic["code"] for diagnostic in report["diagnostics"]] == ["interrupted"]


def test_a_verb_that_reads_has_a_time_of_its_own(program: Program) -> None:
    """Without a signal: it says while it waits that it will end, and ends with what it lacks."""
    with silent("", lambda _method, _path: True) as silence:
        declare(program, silence.url, ("one", "two"))
        result = program("plan", "--format", "json", SITEWARD_TIMEOUT="1")
    assert result.code == 1
    assert {diagnostic["code"] for diagnostic in result.json()["diagnostics"]} == {"out-of-time"}
    assert "still reading after 0.5 s; this run ends after 1 s (SITEWARD_TIMEOUT)" in result.err


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(text: str, checkout: Program) -> None:
    result = checkout("plan", SITEWARD_TIMEOUT=text)
    assert result.code == 1
    assert f"SITEWARD_TIMEOUT: '{text}' is no number of seconds" in result.err


def test_an_apply_waits_some_seconds_for_what_is_in_flight(checkout: Program, umami: Sandbox) -> None:
    """No more is begun; what has no answer by then is unknown, in the report and in the journal, and can be gone on with."""
    with silent(umami.url, lambda method, path: method != "GET" and "/auth/" not in path) as silence:
        for path in checkout.folder.rglob("*.yaml"):
            path.write_text(path.read_text().replace(umami.url, silence.url))
        code, took, report = stopped(checkout, silence, SECOND, "apply", *AS_OF, "--yes")
        writes = umami.fake.writes
        silence.late.set()
        silence.over.set()
        while umami.fake.writes == writes:
            time.sleep(0.01)
        resumed = checkout("apply", "--resume", *AS_OF, "--yes", "--format", "json").json()
    assert (code, writes) == (130, 0)
    assert took > 4
    words = {outcome["status"]: outcome["message"] for outcome in report["outcomes"]}
    assert {"unknown", "skipped"} <= words.keys() <= {"unknown", "skipped", "blocked", "failed"}
    assert "nothing more is sent" in words.get("failed", "nothing more is sent")  # it was to be in the same call
    assert report["next"] == "siteward apply --resume"
    assert '"unknown"' in (checkout.folder / ".siteward" / "stats.jsonl").read_text()
    went_on = {outcome["status"] for outcome in resumed["outcomes"]}
    assert "done" in went_on <= {"done", "already", "blocked"}  # the lost one came late, and is found


@pytest.mark.parametrize("number", [FIRST, SECOND])
def test_an_invitation_in_flight_is_waited_for_and_then_unknown(number: signal.Signals, program: Program) -> None:
    """As any write, for some seconds (one, here), and the journal knows that the mail may be out."""
    with (
        serve(start("matomo")) as matomo,
        silent(matomo.url, lambda _method, path: "resendInvite" in path) as silence,
    ):
        declare_matomo(program, silence.url, matomo)
        before = matomo.fake.writes
        resend = ("apply", "--resend", "tess@eu")
        code, took, report = stopped(program, silence, number, *resend, start_by=("-c", IMPATIENT))
        assert (code, report["exit_code"], report["interrupted"]) == (130, 130, True)
        assert took > 0.9
        assert [diagnostic["code"] for diagnostic in report["diagnostics"]] == ["outcome-unknown"]
        assert matomo.fake.writes == before
    assert resends(program) == ["intent", "unknown"]


def test_an_invitation_that_is_answered_in_time_was_sent(program: Program) -> None:
    """The signal waits for the answer, and the verb ends as interrupted all the same."""
    with (
        serve(start("matomo")) as matomo,
        silent(matomo.url, lambda _method, path: "resendInvite" in path) as silence,
    ):
        declare_matomo(program, silence.url, matomo)
        code, _, report = stopped(program, silence, SECOND, "apply", "--resend", "tess@eu", answers=True)
    assert (code, [diagnostic["code"] for diagnostic in report["diagnostics"]]) == (130, ["invitation-sent"])
    assert resends(program) == ["intent", "sent"]


def test_nothing_is_sent_again_where_a_signal_ends_the_reading(program: Program) -> None:
    """It waits for no answer there, and the journal has nothing of it."""
    with serve(start("matomo")) as matomo, silent(matomo.url, lambda _method, _path: True) as silence:
        declare_matomo(program, silence.url, matomo)
        code, _, _ = stopped(program, silence, FIRST, "apply", "--resend", "tess@eu")
    assert code == 130
    assert resends(program) == []


def struck(program: Program, moment: str, *arguments: str) -> tuple[int, str]:
    """Run a verb that gets a Ctrl-C as it calls a function, named `module:name`; return exit code and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", STRIKE, moment, *arguments],
        cwd=program.folder, env=base_environment() | program.env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("moment", "arguments", "ends"),
    [
        ("siteward.cli.startup:trim_startup", (), -FIRST),
        ("siteward.cli.app:_prepare_process", (), -FIRST),
        ("siteward.cli.app:_call", (), 130),
        ("siteward.cli.app:_report_problem", ("plan", "--no-such-option"), 130),
        ("siteward.cli.app:_flush", ("--version",), -FIRST),
        ("siteward.cli.app:_flush", ("plan", "--no-such-option"), -FIRST),
    ],
)
def test_a_signal_at_no_moment_leaves_a_trace(
    moment: str, arguments: tuple[str, ...], ends: int, program: Program
) -> None:
    """Neither while the program is loaded, nor while it says what was wrong, nor at its very end."""
    code, said = struck(program, moment, *arguments)
    assert (code, "Traceback" in said) == (ends, False), said
