"""What a directory lists: its people and groups, and the exception for an export that cannot be believed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Span, problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_PEOPLE = 200_000
"""The most people in one listing."""

MAX_TEXT = 1_000
"""The most characters of a value that is read from a listing."""


class Person(Struct, frozen=True, kw_only=True):
    """A person of a listing. `id` stays for good; `handle` is what the directory calls the person, if it does.

    `login` is what servers that ask the directory call the person; only LDAP tells it. `active` is false for somebody who
    is disabled there; `until` is the last day, as YYYY-MM-DD. `at` is the place in the export.
    """

    id: str
    handle: str | None = None
    login: str | None = None
    email: str | None = None
    name: str | None = None
    active: bool = True
    until: str | None = None
    at: Span


class Listing(Struct, frozen=True, kw_only=True):
    """The people of a directory, and the ids of the members of its groups by the group's name.

    `told` are sentences about what the export does not say; `strays` are members of groups that are nobody in it, as
    the export names them, by group. `absences` says of ids that were asked for one by one why they are not in it.
    """

    people: tuple[Person, ...]
    groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    told: tuple[str, ...] = ()
    strays: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    absences: Mapping[str, str] = MappingProxyType({})


class ListingError(Exception):
    """An export that is not taken; `diagnostics` say why, each with its place."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(diagnostic.message for diagnostic in diagnostics))
        self.diagnostics = diagnostics


def malformed(message: str, at: Span, *, hint: str | None = None) -> Diagnostic:
    """Return the error about a part of an export that is not as its format demands."""
    return problem("listing-malformed", message, at, hint=hint)


def incomplete(message: str, at: Span, *, hint: str | None = None) -> Diagnostic:
    """Return the error about an export that does not hold everybody, or does not prove it."""
    return problem("listing-incomplete", message, at, hint=hint)


def collect(people: Iterable[Person], faults: Iterable[Diagnostic]) -> tuple[Person, ...]:
    """Return the people of a listing; raises `ListingError` with all `faults`, and for an id that stands there twice."""
    found, seen, wrong = list(people), dict[str, Person](), list(faults)
    for person in found:
        first = seen.setdefault(person.id, person)
        if first is not person:
            hint = f"first at {first.at}; one id is one person"
            wrong.append(malformed(f"the id `{person.id}` stands there twice", person.at, hint=hint))
    if len(found) > MAX_PEOPLE:
        wrong.append(malformed(f"{len(found):,} people; {MAX_PEOPLE:,} is the most", found[0].at))
    if wrong:
        raise ListingError(*wrong)
    return tuple(found)
