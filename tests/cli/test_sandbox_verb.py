"""The sandbox as a verb: what it is asked wrongly is said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Program

WORLDS = {
    "no yaml": ("not: [yaml", "not YAML"),
    "a list": ("- a\n", "the file:"),
    "empty": ("", "the file:"),
    "an unknown key": ("accounts: [{login: a, passwrod: x}]\n", "accounts.0.passwrod"),
    "a grant to nobody": (
        "sites: [{name: X, domain: x}]\ngrants: [{account: b, site: x, role: y}]\n",
        "no account 'b'",
    ),
    "a grant on nothing": ("accounts: [{login: b}]\ngrants: [{account: b, site: x, role: y}]\n", "no site 'x'"),
    "what the platform does not know": ("more: {orphans: [x], zzz: 1}\n", "zzz"),
}


@pytest.mark.parametrize("case", WORLDS)
def test_a_world_that_is_wrong_is_told(case: str, program: Program) -> None:
    """A world file that says too little, too much or what contradicts itself stops the sandbox with the place."""
    text, said = WORLDS[case]
    program.write(text, "world.yaml")
    result = program("sandbox", "umami", "--world", "world.yaml")
    assert result.code == 1
    assert "world.yaml" in result.err
    assert said in result.err


@pytest.mark.parametrize(
    "arguments",
    [("--port", "99999"), ("--latency", "-5"), ("--release", "9"), ("--fault", "nonsense"), ("--clock", "yesterday"),
     ("--world", "not-there.yaml"), ("--fresh", "--world", "w.yaml")],
)  # fmt: skip
def test_an_option_that_is_wrong_is_told(arguments: tuple[str, ...], program: Program) -> None:
    """So does an option that cannot be."""
    result = program("sandbox", "umami", *arguments)
    assert result.code == 1
    assert "error:" in result.err
