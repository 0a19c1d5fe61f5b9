"""Renders notices: one Markdown text for each person whose access was changed, or ends soon. Nothing is sent.

A notice has one person's access and nobody else's, no password and no token. Its file is named by the handle where that
is a harmless name, else by a digest.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import Account, Grant, account_of
from siteward.render import words
from siteward.render.markdown_escape import code, prose
from siteward.render.privacy import hide_mails

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from siteward.access.change import Change
    from siteward.access.report import Outcome
    from siteward.render.context import Privacy

_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_MEANINGS = "If you did not expect this, ask whoever gave you this text. Do not answer with a password."


class Ending(Struct, frozen=True, kw_only=True):
    """A right that ends soon: whose it is, where and what, and when it is over."""

    instance: str
    person: str
    account: str
    grant: Grant
    until: datetime


class Notices(Struct, frozen=True, kw_only=True):
    """What notices are made of: what was done, what ends soon, the members of groups of platforms, and the addresses.

    `members` are the accounts in each group, by instance and group; `persons` the handles of accounts, by instance and
    account; `addresses` where each instance is.
    """

    outcomes: Sequence[Outcome]
    endings: Sequence[Ending]
    members: Mapping[tuple[str, str], Sequence[str]]
    persons: Mapping[tuple[str, str], str]
    addresses: Mapping[str, str]
    at: datetime
    zone: tzinfo


class _Line(Struct, frozen=True):
    instance: str
    text: str


class _Notice(Struct):
    """The lines of one person: what changed, and what ends soon."""

    name: str
    changed: list[_Line] = []
    ending: list[_Line] = []


def notices(given: Notices, privacy: Privacy = "full") -> Mapping[str, str]:
    """Return the text of each notice by the name of its file; none where names may not be shown."""
    if privacy == "counts":
        return {}
    people: dict[str, _Notice] = {}
    for outcome in given.outcomes:
        if outcome.status == "done":
            for person, account in _concerned(outcome, given):
                notice = people.setdefault(person or f"{outcome.instance}\0{account}", _Notice(person or account))
                notice.changed.append(_Line(outcome.instance, _tell_change(outcome)))
    for ending in given.endings:
        notice = people.setdefault(ending.person, _Notice(ending.person))
        notice.ending.append(_Line(ending.instance, _tell_end(ending, given.zone)))
    handles = set(given.persons.values()) | {ending.person for ending in given.endings}
    texts = {}
    for key, notice in people.items():
        known = key in handles
        text = "\n".join(_page(notice, given, hidden=privacy != "full" and not known)) + "\n"
        texts[_name_file(key, known=known)] = text if privacy == "full" else hide_mails(text)
    return texts


def _concerned(outcome: Outcome, given: Notices) -> Iterator[tuple[str | None, str]]:
    """Yield the handle, if there is one, and the account of everybody whose access a step changed."""
    change = outcome.step.change
    account = account_of(change.key)
    if account is not None:
        yield outcome.step.person or given.persons.get((outcome.instance, account)), account
    elif change.key[0] == "grant":
        for member in given.members.get((outcome.instance, change.key[2]), ()):
            yield given.persons.get((outcome.instance, member)), member


def _tell_change(outcome: Outcome) -> str:
    """Return one change in a line of Markdown."""
    change, origin = outcome.step.change, outcome.step.origin
    ticket = f" · {code(origin.ticket)}" if origin is not None and origin.ticket else ""
    return f"{_name_change(change)}{ticket}"


def _name_change(change: Change) -> str:
    match change.before, change.after:
        case None, Account():
            return "an account was made for you; how you get into it comes to you separately"
        case Account(), None:
            return "your account was deleted"
        case Account(), Account():
            return f"your account was changed: {code(words.movement(change))}"
        case before, None:
            return f"{code(words.where(change.key))}: {code(words.value(before))} was taken away"
        case None, after:
            return f"{code(words.where(change.key))}: you now have {code(words.value(after))}"
        case before, after:
            return f"{code(words.where(change.key))}: {code(words.value(before))} became {code(words.value(after))}"


def _tell_end(ending: Ending, zone: tzinfo) -> str:
    return (
        f"{code(words.where(ending.grant.key))}: {code(words.value(ending.grant))} ends with "
        f"{words.end(ending.until.astimezone(zone))}"
    )


def _page(notice: _Notice, given: Notices, *, hidden: bool) -> Iterator[str]:
    yield f"# Your access{'' if hidden else f', {code(notice.name)}'}"
    yield ""
    yield f"As of {words.moment(given.at.astimezone(given.zone))}."
    for title, lines in (("What has changed", notice.changed), ("What ends soon", notice.ending)):
        if lines:
            yield ""
            yield f"## {title}"
            yield from _list_lines(lines, given)
    yield ""
    yield prose(_MEANINGS)


def _list_lines(lines: Iterable[_Line], given: Notices) -> Iterator[str]:
    by_instance: dict[str, list[str]] = {}
    for line in lines:
        by_instance.setdefault(line.instance, []).append(line.text)
    for instance, texts in by_instance.items():
        yield ""
        yield f"{code(instance)}, {code(given.addresses.get(instance, ''))}".rstrip(", ")
        yield ""
        yield from (f"- {text}" for text in dict.fromkeys(texts))


def _name_file(key: str, *, known: bool) -> str:
    """Return the name of a file that is flat and harmless everywhere, and nobody else's in any letter case."""
    if known and _SAFE.fullmatch(key) and not _RESERVED.fullmatch(key):
        return f"{key}.md"
    return f"{'user' if known else 'account'}-{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.md"
