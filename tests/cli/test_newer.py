"""The program on sandboxes of releases that were only read about: what `doctor` and a plan say there."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cli.conftest import start
from siteward.platforms.fakery import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

OWN = {"umami": "layout: existing, self: siteward", "matomo": "self: root"}


@contextmanager
def declared(program: Program, platform: str, release: str, rest: str = "", more: str = "") -> Iterator[None]:
    """Serve the demo's server of a release and declare it as `it`."""
    with serve(start(platform, release=release)) as sandbox:
        program.env |= {f"SITEWARD_IT_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        program.write(
            f"version: 1\ninstances:\n  it: {{platform: {platform}, url: '{sandbox.url}', {OWN[platform]}{more}}}\n{rest}"
        )
        yield


@pytest.mark.parametrize(
    ("platform", "release", "said"),
    [
        ("umami", "3.2", "release 3.2: driven live and recorded (server 3.2.0; 2026-11-28)"),
        ("umami", "3.4", "release 3.4: read ("),
        ("matomo", "5.3", "release 5.3.0-alpha: driven live and recorded (server 5.3.0-alpha; 2026-11-28)"),
        ("matomo", "5.14", "release 5.14.1: read ("),
        ("matomo", "6.0", "release 6.0.0-b1: read ("),
    ],
)
def test_doctor_says_how_the_release_is_known(program: Program, platform: str, release: str, said: str) -> None:
    with declared(program, platform, release):
        notes = json.loads(program("doctor", "-f", "json").out)["items"][0]["notes"]
        shown = program("doctor").out
    (note,) = [note for note in notes if note.startswith("release ")]
    assert note.startswith(said)
    assert ("never driven live. Please report what differs" in note) is ("read" in said)
    assert f"note: {said[:20]}" in shown


@pytest.mark.parametrize(
    ("platform", "release", "noted"),
    [("umami", "3.2", False), ("umami", "3.3", True), ("matomo", "4.16", False), ("matomo", "6.0", True)],
)
def test_a_plan_notes_a_release_that_was_never_driven(
    program: Program, platform: str, release: str, *, noted: bool
) -> None:
    """A note, which changes no exit code."""
    with declared(program, platform, release):
        (instance,) = json.loads(program("plan", "-f", "json").out)["plan"]["instances"]
    told = [item for item in instance["diagnostics"] if item["code"] == "release-not-driven"]
    assert [item["severity"] for item in told] == (["note"] if noted else [])


SUSPENDED = """users: {carla: {email: carla@example.org, state: suspended}}
policy: {admins: {min: 1}}
"""


@pytest.mark.parametrize(("release", "keys"), [("3.3", False), ("3.4", True)])
def test_a_suspension_says_that_api_keys_stay(program: Program, release: str, *, keys: bool) -> None:
    """And what no list shows stands in the summary until `accept_blind` names it."""
    with declared(program, "umami", release, SUSPENDED):
        shown = program("plan", "--only", "user:carla", "-v").out
        assert ("API keys that carla made stay" in shown) is keys, shown
        assert ("api-keys" in shown) is keys
    with declared(program, "umami", release, SUSPENDED, ", accept_blind: [board-links, api-keys]"):
        assert program("validate").code in {0, 2}
