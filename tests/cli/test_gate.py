"""A gate before a server, as a user meets it: what is told, what opens it, and that no value of a header shows anywhere."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cli.conftest import AS_OF, base_environment
from siteward.platforms.fakery import GATE_KINDS, SandboxGate

if TYPE_CHECKING:
    from cli.conftest import Program, Result
    from siteward.platforms.fakery import Sandbox

HEADERS = "SITEWARD_STATS_HEADERS"
VALUE = "g4te-s3cret/value+1"
OPEN = {HEADERS: f"Sandbox-Gate: {VALUE}\nX-Second: sec0nd-value"}


@pytest.fixture
def gate(umami: Sandbox) -> SandboxGate:
    """The gate that stands before the sandbox."""
    umami.fake.gate = SandboxGate("401", VALUE)
    return umami.fake.gate


def shown(result: Result, checkout: Program) -> str:
    """Return everything that a run printed or left in the folder."""
    files = (path for path in sorted(checkout.folder.rglob("*")) if path.is_file())
    return "\n".join((result.out, result.err, *(path.read_text(encoding="utf-8", errors="replace") for path in files)))


def secrets_in(text: str) -> list[str]:
    """Return the forms of the values that stand in a text."""
    forms = (VALUE, quote(VALUE, safe=""), base64.b64encode(VALUE.encode()).decode()[:20], "sec0nd-value")
    return [form for form in forms if form in text]


@pytest.mark.parametrize("verb", [("plan",), ("drift",), ("doctor",), ("apply", "--yes")])
def test_a_gate_is_not_a_wrong_password(verb: tuple[str, ...], checkout: Program, gate: SandboxGate) -> None:
    """The rule, and the variable that opens it."""
    result = checkout(*verb)
    told = result.out + result.err
    assert result.code not in {0, 2}
    assert "gate-before-platform" in told
    assert HEADERS in told
    assert "password" not in told.partition("gate-before-platform")[2].partition("\n")[0]
    assert gate.value not in told


@pytest.mark.usefixtures("gate")
def test_the_headers_open_it_and_show_nowhere(checkout: Program) -> None:
    """Plan, apply, journal, and the log of requests; `doctor` tells the names."""
    plan = checkout("plan", *AS_OF, "-vv", "--out", "plan.json", "-o", "html:plan.html", **OPEN)
    assert plan.code in {2, 3}
    applied = checkout(
        "apply", "plan.json", *AS_OF, "-vv", "--yes", "--passwords-out", "passwords.txt", "--allow-delete", **OPEN
    )
    assert "gate-before-platform" not in applied.out + applied.err
    assert (checkout.folder / ".siteward" / "stats.jsonl").exists()
    doctor = checkout("doctor", "-vv", **OPEN)
    assert f"headers: from {HEADERS} (Sandbox-Gate, X-Second)" in doctor.out
    data = checkout("doctor", "-f", "json", **OPEN)
    assert data.json()["items"][0]["credentials"]["headers"] == f"{HEADERS} (Sandbox-Gate, X-Second)"
    for result in (plan, applied, doctor, data):
        assert secrets_in(shown(result, checkout)) == []


@pytest.mark.usefixtures("gate")
def test_doctor_tells_the_names_where_the_gate_stays_shut(checkout: Program) -> None:
    """Whoever set them sees that they were found."""
    result = checkout("doctor", **{HEADERS: "Sandbox-Gate: wr0ng-value"})
    assert f"headers: from {HEADERS} (Sandbox-Gate)" in result.out
    assert "did not open it" in result.out
    assert "wr0ng" not in result.out + result.err


@pytest.mark.usefixtures("gate")
def test_headers_that_cannot_be_sent_stop_before_anything_is_sent(checkout: Program, umami: Sandbox) -> None:
    """With the rule, every line that is wrong, and what is allowed."""
    umami.fake.gate = None
    result = checkout("plan", **{HEADERS: "Authorization: Basic s3cret\nno colon s3cret\nX-Method-Override: DELETE"})
    told = result.out + result.err
    assert "bad-headers" in told
    assert all(f"line {number}: " in told for number in (1, 2, 3))
    assert "`Name: value`" in told
    assert "s3cret" not in told
    assert umami.fake.calls == []


def test_the_sandbox_puts_up_a_gate_and_names_what_opens_it() -> None:
    """The line of JSON holds the header as the field of credentials that it is."""
    with subprocess.Popen(
        [sys.executable, "-m", "siteward", "sandbox", "umami", "--gate", "login"],
        env=base_environment(), stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        try:
            assert running.stdout is not None
            ready = json.loads(running.stdout.readline())
            name, _, value = ready["credentials"]["headers"].partition(": ")
            assert name == "Sandbox-Gate"
            assert len(value) > 16
        finally:
            running.terminate()
    assert running.returncode == 0


def test_the_sandbox_has_every_kind_of_gate(program: Program) -> None:
    """The option and the stand-in agree."""
    told = program("sandbox", "umami", "--gate", "none-such")
    assert told.code == 1
    assert all(f"'{kind}'" in told.err for kind in GATE_KINDS)
