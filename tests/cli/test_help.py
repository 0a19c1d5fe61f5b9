"""The help of each verb: examples to copy, and only options that do something."""

import shlex

import click
import pytest
from click.testing import CliRunner

from siteward.cli.app import EXAMPLES, VERBS, main


def shown(*words: str) -> str:
    return CliRunner().invoke(main, [*words, "--help"], terminal_width=80).output


def subverbs() -> list[tuple[str, str]]:
    """Return the verbs within verbs."""
    context = main.make_context("siteward", ["validate"], resilient_parsing=True)
    commands = {verb: main.get_command(context, verb) for verb in VERBS}
    return [(verb, sub) for verb, group in commands.items() if isinstance(group, click.Group) for sub in group.commands]


@pytest.mark.parametrize("words", [(), *((verb,) for verb in VERBS), *subverbs()], ids=" ".join)
def test_a_help_fits_into_80_columns(words: tuple[str, ...]) -> None:
    """No line is broken by a terminal of the usual width, the examples among them."""
    assert [line for line in shown(*words).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("verb", "sub"), subverbs())
def test_each_verb_within_a_verb_has_an_example(verb: str, sub: str) -> None:
    """Its own, and none of its neighbours'."""
    examples = [line for line in map(str.strip, shown(verb, sub).splitlines()) if line.startswith("siteward ")]
    assert examples
    assert all(line.startswith(f"siteward {verb} {sub}") for line in examples)


def test_every_exit_code_is_in_the_help() -> None:
    """A line for each, with what it means."""
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130 "):
        assert any(line.strip().startswith(code) for line in shown().splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_an_example(verb: str) -> None:
    """A command to copy, which calls this very verb."""
    assert f"  siteward {verb}" in shown(verb)


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_understood(example: str) -> None:
    """Every verb and option in an example is one that the program has."""
    _, verb, *given = shlex.split(example.split(" > ", maxsplit=1)[0])
    context = main.make_context("siteward", [verb, *given])
    command = main.get_command(context, verb)
    if isinstance(command, click.Group) and not (command.invoke_without_command and given[0].startswith("-")):
        verb, *given = given
        command = command.get_command(context, verb)
    assert command is not None
    command.make_context(verb, given, parent=context, resilient_parsing=True)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in given if word.startswith("-")} <= known


@pytest.mark.parametrize(
    ("verb", "useless"),
    [
        *((verb, option) for verb in ("explain", "who-can", "doctor") for option in ("--group-by", "--exit-zero")),
        *((verb, "--group-by") for verb in ("validate", "matrix", "review", "diff")),
    ],
)
def test_an_option_that_would_do_nothing_is_not_there(verb: str, useless: str) -> None:
    """Neither in the help, nor accepted and ignored."""
    assert useless not in shown(verb)
    assert "--plain" in shown(verb)
