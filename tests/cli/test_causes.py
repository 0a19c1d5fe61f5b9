"""The ticket of a membership, in everything that a person or program reads about what it gives; names in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF
from cli.repo import commit, edit

if TYPE_CHECKING:
    from cli.conftest import Program

BEFORE = "analysts: [anna, carla, dmitri,"
AFTER = "analysts: [anna, {user: CARLA, ticket: HR-77, reason: covers for Eve}, dmitri,"


@pytest.fixture
def asked(checkout: Program) -> Program:
    """The example in a repository; the newest commit gives one membership a ticket and a reason."""
    checkout.write(".siteward/\n", ".gitignore")
    edit(checkout, (BEFORE, "analysts: [anna, dmitri,"))
    commit(checkout)
    edit(checkout, ("analysts: [anna, dmitri,", AFTER))
    commit(checkout)
    return checkout


FORMS = {
    ("plan", *AS_OF): ("text", "markdown", "html", "csv", "json"),
    ("review", *AS_OF): ("text", "html", "csv", "json"),
    ("diff", "HEAD~1", *AS_OF): ("text", "markdown", "json"),
    ("matrix", *AS_OF): ("text", "html", "csv", "json"),
    ("explain", "Carla", "www.example.org", *AS_OF): ("text", "json"),
}


@pytest.mark.parametrize(
    ("words", "form"), [(words, form) for words, forms in FORMS.items() for form in forms], ids=str
)
def test_every_output_has_the_cause_of_a_membership(asked: Program, words: tuple[str, ...], form: str) -> None:
    more = ("-v",) if words[0] in {"review", "plan", "matrix"} and form == "text" else ()
    said = asked(*words, "--format", form, *more)
    assert "HR-77" in said.out, said.out[-3000:] + said.err
    assert "covers for Eve" in said.out


def test_a_person_is_chosen_in_any_letter_case(asked: Program) -> None:
    said = asked("apply", *AS_OF, "--yes", "--only", "user:CARLA", "--passwords-out", "passwords.txt")
    assert "nothing-chosen" not in said.out + said.err
    assert "carla" in said.out
    assert asked("explain", "CARLA", "www.example.org", *AS_OF).code == 0
