"""A verb in a fork of the process that has loaded the program does and says what it does as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment, forks

if TYPE_CHECKING:
    from cli.conftest import Program


@pytest.mark.parametrize(
    ("arguments", "stdin", "moment"),
    [
        (("plan", "--as-of", "2026-12-01", "--offline", "--live", "none.json"), "", ""),
        (("validate",), "", ""),
        (("validate",), "", "2031-01-01T00:00:00+00:00"),
        (("show", "-"), "no plan", ""),
        (("apply", "--no-such-option"), "", ""),
    ],
)
def test_a_fork_is_as_a_process_of_its_own(
    arguments: tuple[str, ...], stdin: str, moment: str, checkout: Program
) -> None:
    """Exit code, output and errors, with input and at another moment."""
    env = base_environment() | checkout.env
    forked = forks().call(arguments, checkout.folder, env, stdin=stdin, moment=moment)
    assert forked == checkout.start(arguments, env, stdin=stdin, moment=moment)


def test_what_an_interpreter_looks_at_when_it_starts_takes_one_of_its_own() -> None:
    """Such as the encoding of what is printed."""
    assert forks().suits(base_environment() | {"SITEWARD_STATS_URL": "x", "CI": "true"})
    assert not forks().suits(base_environment() | {"PYTHONIOENCODING": "latin-1"})
    assert not forks().suits(base_environment() | {"LC_ALL": "C", "TZ": "UTC"})
