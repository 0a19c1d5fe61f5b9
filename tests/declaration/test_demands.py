"""What rules of the owners demand of a right beside its power: how long, beside which group, by which login, with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, read
from strategies import NOW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

FILE = """\
users: {anna: {<user>}}
groups: {developers: [{user: ANNA, <member>}], others: [developers], readers: [anna]}
grants: [{to: <to>, role: edit, sites: shop.example.org, <grant>}]
policy: {timezone: Europe/Berlin, rules: [{id: a-rule, match: {power: edit}, <demand>}]}
"""
WORDS = {"user": "name: Anna", "member": "reason: r", "to": "readers", "grant": "reason: r"}


def told(folder: Path, demand: str, words: Mapping[str, str] = WORDS, as_of: datetime | None = NOW) -> list[str]:
    """Return what the rule says of the file with these words in it; it is the 22nd of November 2026."""
    text = HEAD + FILE
    for word, written in {**WORDS, **words, "demand": demand}.items():
        text = text.replace(f"<{word}>", written)
    path = folder / "access.yaml"
    path.write_text(text, encoding="utf-8")
    found = read(path, as_of).diagnostics
    assert {diagnostic.code for diagnostic in found if diagnostic.blocks} <= {"a-rule"}, found
    return [diagnostic.message for diagnostic in found if diagnostic.code == "a-rule"]


TOO_LONG = ["`anna` may have `edit` for 90 days at most, by the rule a-rule"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ({}, True),
        ({"grant": "until: 2027-02-19"}, False),  # 89 days and some hours
        ({"grant": "until: 2027-02-20"}, True),
        ({"grant": "from: 2027-01-01, until: 2027-03-31"}, False),
        ({"grant": "from: 2027-01-01, until: 2027-04-01"}, True),
        ({"grant": "from: 2027-08-08, until: 2027-11-05"}, False),  # with a day of 25 hours
        ({"grant": "from: 2026-01-01, until: 2027-02-19"}, False),  # most of it is past
        ({"user": "until: 2026-12-31"}, False),
        ({"to": "developers", "member": "until: 2026-12-31"}, False),
        ({"to": "[developers, others]", "member": "until: 2027-12-31"}, True),
        ({"to": "[readers, developers]", "member": "until: 2026-12-31"}, True),
        ({"grant": "until: 2026-11-01"}, False),  # it is over
    ],
)
def test_a_right_lasts_as_long_as_a_rule_allows(tmp_path: Path, words: dict[str, str], *, refused: bool) -> None:
    """From now, or from its beginning, to its end by the line, the membership or the user; what has no end lasts too long."""
    assert told(tmp_path, "at_most_for: 90d", words) == TOO_LONG * refused


BESIDE = ["`anna` may not have `edit` and be in `developers` at the same time, by the rule a-rule"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ({}, True),
        ({"to": "anna"}, True),
        ({"member": "until: 2026-12-31", "grant": "from: 2027-01-01"}, False),
        ({"member": "until: 2027-01-01", "grant": "from: 2027-01-01"}, True),
        ({"member": "from: 2027-01-01", "grant": "until: 2026-12-31"}, False),
        ({"member": "until: 2026-11-01"}, False),
        ({"member": "from: 2027-01-01", "user": "until: 2026-12-31"}, False),
    ],
)
def test_a_right_is_not_held_beside_a_membership(tmp_path: Path, words: dict[str, str], *, refused: bool) -> None:
    """At the same time, by any path, in any letter case; not one after the other."""
    assert told(tmp_path, "not_with: {group: Developers}", words) == BESIDE * refused


def test_a_membership_through_another_group_counts(tmp_path: Path) -> None:
    assert told(tmp_path, "not_with: {group: others}") == [BESIDE[0].replace("developers", "others")]


def test_without_a_moment_no_time_is_judged(tmp_path: Path) -> None:
    """A file by itself has no now: plan and apply have one."""
    assert told(tmp_path, "at_most_for: 90d, not_with: {group: developers}", as_of=None) == []


@pytest.mark.parametrize(
    ("user", "refused"),
    [
        ("name: Anna", "anna"),
        ("logins: {stats: Anna@Example.org}", ""),
        ("logins: {stats: anna@partner.test}", "anna@partner.test"),
    ],
)
def test_the_login_of_the_account_is_like_what_a_rule_says(tmp_path: Path, user: str, refused: str) -> None:
    """As patterns are compared: in any letter case, `*` alone is special."""
    message = "`anna` may have `edit` only by a login like `*@example.org`, by the rule a-rule, and this is `{}`"
    assert told(tmp_path, 'login: "*@example.org"', {"user": user}) == [message.format(refused)] * bool(refused)


@pytest.mark.parametrize(
    ("attests", "refused"),
    [("{nda: 2026-11-22}", False), ("{nda: 2026-11-23}", True), ("{other: 2026-05-01}", True)],
)
def test_what_a_rule_requires_is_attested_by_now(tmp_path: Path, attests: str, *, refused: bool) -> None:
    """A name that somebody attests is as good as a field; a day to come is none yet."""
    others = "ben: {attests: {nda: 2026-01-01}}"
    message = "`anna` may have `edit` only with `nda` attested, by the rule a-rule"
    user = f"attests: {attests}}}, {others.removesuffix('}')}"
    assert told(tmp_path, "require: [nda, reason]", {"user": user}) == [message] * refused
