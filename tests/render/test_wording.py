"""The words and the grammar of what people read: numbers agree with nouns, nothing is quoted twice, no name is said twice."""

import pytest

from siteward.access.certification import FLAGS
from siteward.access.diagnostic import Diagnostic, Severity, plural
from siteward.access.report import Summary
from siteward.render import certification, words
from siteward.render.safe import advice


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
