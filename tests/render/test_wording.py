"""The words and the grammar of what people read: numbers agree with nouns, nothing is quoted twice, no name is said twice."""

import re
from typing import get_args

import pytest
from msgspec import convert

from siteward.access.certification import FLAGS
from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, Severity, plural
from siteward.access.model import Account, Group
from siteward.access.report import DriftKind, OutcomeStatus, Summary
from siteward.render import certification, words
from siteward.render.safe import advice


def test_a_renaming_tells_both_names() -> None:
    """Of an account its logins, of a group its names, and what else changes with it."""
    account = Change(Account("ann", "a@x.org"), Account("ann", "b@x.org", renamed="anna"))
    assert words.movement(account) == "login ann → anna, e-mail a@x.org → b@x.org"
    group = Change(Group("readers"), Group("readers", "idp", "analysts"))
    assert words.movement(group) == "name readers → analysts, members from none → idp"


@pytest.mark.parametrize(
    ("count", "nouns", "said"),
    [
        (1, ("person", "people"), "1 person"),
        (2, ("person", "people"), "2 people"),
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (1, ("entry", "entries"), "1 entry"),
        (3, ("entry", "entries"), "3 entries"),
    ],
)
def test_a_noun_agrees_with_its_number(count: int, nouns: tuple[str, ...], said: str) -> None:
    """One person, two people."""
    assert plural(count, *nouns) == said


@pytest.mark.parametrize(("suggestion", "said"), [("view", '"view"'), ('"*.example.org"', '"*.example.org"')])
def test_a_suggestion_is_quoted_once(suggestion: str, said: str) -> None:
    """A suggestion that carries the quotes YAML needs gets no second pair."""
    found = Diagnostic(code="unquoted", severity=Severity.ERROR, message="m", suggestion=suggestion)
    assert advice(found)[0] == f"did you mean {said}?"


@pytest.mark.parametrize(
    ("platform", "version", "edition", "said"),
    [
        ("matomo", "5.3.0-alpha", "Matomo", "matomo 5.3.0-alpha"),
        ("umami", "3.2", "self-hosted", "umami 3.2 self-hosted"),
        ("plausible", "", "enterprise", "plausible enterprise"),
    ],
)
def test_a_release_names_its_platform_once(platform: str, version: str, edition: str, said: str) -> None:
    """An edition called as the platform is no news."""
    assert words.release(platform, version, edition) == said


def test_each_flag_of_a_review_has_a_count_that_agrees() -> None:
    """`1 public grant`, `2 public grants`, `121 grants that differ`: for every flag there is."""
    assert set(certification.COUNTED) == set(FLAGS)
    assert certification.counted({"public": 1, "differs": 121}) == (
        "1 public grant",
        "121 grants that differ from what is declared",
    )
    assert certification.counted({"public": 2, "differs": 1}) == (
        "2 public grants",
        "1 grant that differs from what is declared",
    )


def test_what_is_left_alone_is_called_unmanaged_and_skipped() -> None:
    """The file's own words: `unmanaged`, `mode`."""
    said = words.leftovers(Summary(held_back=1, unmanaged=1, unmanaged_admins=1))
    assert said == ("1 skipped by the mode", "1 unmanaged account, 1 admin among them")
    assert words.consequences(Summary(powers_raised=1)) == ("1 privilege increased",)


COUNTED = tuple(name for name in Summary.__struct_fields__ if isinstance(getattr(Summary(), name), int))
_ONE_BUT_SEVERAL = re.compile(r"\b1 (?:\w+ )?(?:\w+[^s\W]s|people)\b")
_SEVERAL_BUT_ONE = re.compile(
    r"\b[02] (?:\w+ )?(?:account|admin|change|difference|error|grant|instance|listing|mail|person|privilege|site|spot|step|warning)\b"
)


def told_of(of: Summary) -> tuple[str, ...]:
    """Everything that is said of the numbers of a run."""
    lines = (words.headline(of), words.findings(of), words.drifted(of), words.results(of), words.coverage(of))
    return (
        *lines,
        *words.consequences(of),
        *words.leftovers(of),
        words.verdict(0, confined=True, left_out=of.left_out),
    )


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", COUNTED)
def test_every_number_of_a_run_agrees_with_its_noun(name: str, count: int) -> None:
    """Whichever number is none, one or two, and whatever the others are."""
    for others in (0, 1, 2):
        of = convert({**dict.fromkeys(COUNTED, others), name: count}, Summary)
        for line in told_of(of):
            assert not _ONE_BUT_SEVERAL.search(line), line
            assert not _SEVERAL_BUT_ONE.search(line), line


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", [*get_args(DriftKind), *get_args(OutcomeStatus)])
def test_the_numbers_of_drift_and_outcomes_agree(kind: str, count: int) -> None:
    of = Summary(drift={kind: count}) if kind in get_args(DriftKind) else Summary(outcomes={kind: count})  # type: ignore[dict-item]  # one of the two
    for line in (words.drifted(of), words.results(of)):
        assert not _ONE_BUT_SEVERAL.search(line.replace("1 changed", "1 change")), line
        assert not _SEVERAL_BUT_ONE.search(line), line


@pytest.mark.parametrize("line", ["1 accounts", "1 people", "1 unmanaged accounts", "2 grant", "0 blind spot"])
def test_what_does_not_agree_is_seen(line: str) -> None:
    assert _ONE_BUT_SEVERAL.search(line) or _SEVERAL_BUT_ONE.search(line)
