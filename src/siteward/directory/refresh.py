"""The refreshing of a directory's file: people are matched by their id alone, and whoever is missing is suspended.

A listing that lost more people than the owners allow, or lacks a witness, changes nothing. Nobody is taken out of the
file: who left stays there as suspended, under the id and handle of old.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access import limits
from siteward.access.diagnostic import Diagnostic, Span, join_some, problem
from siteward.access.policy import Limit
from siteward.declaration.directories import group_name, slug
from siteward.directory.listing import Listing, Person, incomplete

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_SHRINK = Limit(count=None, percent=2)
"""How many may be gone from one listing to the next where the directory says nothing (see `allowed`)."""

_FEWEST = 3
"""So many may always be gone where the directory says nothing."""


class Known(Struct, frozen=True, kw_only=True):
    """A person of the file, by the handle. `login` is the directory's, where it is another; `suspended` is true for one who left or is disabled."""

    handle: str
    id: str
    login: str | None = None
    email: str | None = None
    name: str | None = None
    suspended: bool = False
    until: str | None = None


class People(Struct, frozen=True, kw_only=True):
    """What a directory's file holds: people by handle, and the handles of each group's members."""

    users: Mapping[str, Known] = MappingProxyType({})
    groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Demands(Struct, frozen=True, kw_only=True):
    """What a listing of `directory` must keep: `at` is where the file says so.

    `shrink` bounds who may be gone, `at_least` how few may be there, `witnesses` are people who must be there, by
    handle, id or address. `taken` are the handles and groups of other files. `same` are the new ids of people, by
    handle, and `others` the handles of ids that are somebody new, as whoever refreshes has confirmed them.
    """

    directory: str
    at: Span
    shrink: Limit | None = None
    at_least: int | None = None
    witnesses: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    same: Mapping[str, str] = MappingProxyType({})
    others: Mapping[str, str] = MappingProxyType({})


class Change(Struct, frozen=True, order=True):
    """A line of what a refresh does: who (a handle or group), and what, in words."""

    what: str
    who: str
    detail: str = ""


class Refreshed(Struct, frozen=True, kw_only=True):
    """The people that the file is to hold, what changes by it, and what speaks against it."""

    people: People
    changes: tuple[Change, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def refresh(listing: Listing, before: People, demands: Demands) -> Refreshed:
    """Return what the file is to hold after a listing, and why not, if there is an error among the diagnostics."""
    diagnostics = [*_missing_witnesses(listing, before, demands)]
    handles = _name_all(listing, before, demands, diagnostics)
    users: dict[str, Known] = {}
    for person in listing.people:
        handle = handles.get(person.id)
        if handle is not None:
            users[handle] = Known(
                handle=handle,
                id=person.id,
                login=None if person.login == handle else person.login,
                email=person.email,
                name=person.name,
                suspended=not person.active,
                until=person.until,
            )
    for handle, known in before.users.items():
        if handle not in users:
            users[handle] = replace(known, suspended=True)
    groups = _name_groups(listing, handles, demands, diagnostics)
    after = People(users=dict(sorted(users.items())), groups=groups)
    changes = tuple(sorted(_compare(before, after, listing)))
    diagnostics += _too_many_gone(before, after, demands)
    return Refreshed(people=after, changes=changes, diagnostics=tuple(diagnostics))


def _missing_witnesses(listing: Listing, before: People, demands: Demands) -> Iterator[Diagnostic]:
    """Yield an error for an empty listing, for one of too few people, and for each witness who is not in it."""
    there = [person for person in listing.people if person.active]
    if not there:
        yield incomplete("the listing holds nobody", demands.at, hint="export it anew")
        return
    if demands.at_least is not None and len(there) < demands.at_least:
        yield incomplete(f"the listing holds {len(there):,} people, and `at_least` is {demands.at_least:,}", demands.at)
    known_as = {value for person in there for value in (person.id, person.email, suggest(person)) if value}
    ids = {person.id for person in there}
    for witness in demands.witnesses:
        known = before.users.get(witness)
        if witness not in known_as and (known is None or known.id not in ids):
            message = f"the listing lacks `{witness}`, whom every complete one holds"
            yield incomplete(
                message, demands.at, hint="export it anew; if the person left, name another one in `expects`"
            )


def allowed(before: int, shrink: Limit | None) -> int:
    """Return how many of `before` people may be gone: the less of count and percent, which allows two at least."""
    if shrink is None:
        return max(_FEWEST, limits.allowed(DEFAULT_SHRINK, before) or 0)
    most = limits.allowed(shrink, before)
    return before if most is None else most


def _too_many_gone(before: People, after: People, demands: Demands) -> Iterator[Diagnostic]:
    """Yield an error where more people are gone, or groups empty, than may be."""
    there = [handle for handle, known in before.users.items() if not known.suspended]
    gone = [handle for handle in there if after.users[handle].suspended]
    emptied = [name for name, members in before.groups.items() if members and not after.groups.get(name)]
    most = allowed(len(there), demands.shrink)
    for number, of, names in ((len(gone), "people are", gone), (len(emptied), "groups are empty or", emptied)):
        if number > most:
            shown = ", ".join(names[:10]) + (f" and {number - 10} more" if number > 10 else "")
            message = f"{number:,} {of} gone at once, and `shrink` allows {most:,}: {shown}"
            hint = "a listing that was cut looks like this; raise `shrink` of the directory if they are gone"
            yield incomplete(message, demands.at, hint=hint)


def _name_all(listing: Listing, before: People, demands: Demands, diagnostics: list[Diagnostic]) -> dict[str, str]:
    """Return the handle of each id; who has one keeps it, and a newcomer under an old one stops the refresh."""
    handles = {known.id: handle for handle, known in before.users.items()}
    diagnostics += _judge_confirmed(listing, before, demands)
    for handle, id_ in demands.same.items():
        if handle in before.users:
            handles.pop(before.users[handle].id, None)
            handles[id_] = handle
    used = {*handles.values(), *before.users}
    listed = {person.id for person in listing.people}
    for person in sorted(listing.people, key=lambda person: person.id):
        if person.id in handles:
            continue
        suspect = _find_same(person, before, listed)
        if suspect is not None and person.id not in demands.others:
            diagnostics.append(_changed(person, suspect))
            continue
        handle = demands.others.get(person.id) or _free(suggest(person), used)
        if handle in demands.taken:
            message = f"`{handle}` stands in another file of yours and in the directory"
            hint = f"give the person there `id: {person.id}` here instead, or confirm another name with --other NAME={person.id}"
            diagnostics.append(problem("listing-clash", message, person.at, hint=hint))
        used.add(handle)
        handles[person.id] = handle
    return handles


def _judge_confirmed(listing: Listing, before: People, demands: Demands) -> Iterator[Diagnostic]:
    """Yield an error about each confirmation that is about nobody."""
    ids = {person.id for person in listing.people}
    for handle, id_ in demands.same.items():
        if handle not in before.users:
            yield problem(
                "wrong-value",
                f"--same {handle}={id_}: the file has no `{handle}`",
                None,
                word=handle,
                known=before.users,
            )
        if id_ not in ids:
            yield problem("wrong-value", f"--same {handle}={id_}: the listing has no such id", None)
    for id_, handle in demands.others.items():
        if id_ not in ids:
            yield problem("wrong-value", f"--other {handle}={id_}: the listing has no such id", None)
        if handle in before.users:
            yield problem("wrong-value", f"--other {handle}={id_}: the file has a `{handle}` already", None)


def _find_same(person: Person, before: People, listed: set[str]) -> Known | None:
    """Return the person of the file who has the handle or address of a newcomer, and is missing from the listing."""
    wanted = suggest(person)
    for handle, known in before.users.items():
        if known.id in listed:
            continue
        if handle == wanted or (person.email and known.email and person.email.casefold() == known.email.casefold()):
            return known
    return None


def _changed(person: Person, known: Known) -> Diagnostic:
    """Return the error about a newcomer who may be somebody of the file under a new id."""
    message = f"`{known.handle}` is gone, and somebody with the same name or address is there under another id"
    hint = f"the same person: --same {known.handle}={person.id}; somebody else: --other {known.handle}-2={person.id}"
    return problem("identity-changed", message, person.at, hint=hint)


def suggest(person: Person) -> str:
    """Return the handle that a newcomer is to have: what the directory says, else from the address, else the id."""
    written = person.handle or (person.email or "").partition("@")[0] or person.id
    return slug(written) or slug(person.id) or "somebody"


def _free(wanted: str, used: set[str]) -> str:
    """Return a handle nobody has: the wanted one, else with the first number from 2 on."""
    if wanted not in used:
        return wanted
    return next(name for number in range(2, len(used) + 3) if (name := f"{wanted}-{number}") not in used)


def _name_groups(
    listing: Listing, handles: Mapping[str, str], demands: Demands, diagnostics: list[Diagnostic]
) -> dict[str, tuple[str, ...]]:
    """Return the handles of each group's members, by the name that the group has in the file."""
    groups: dict[str, tuple[str, ...]] = {}
    active = {person.id for person in listing.people if person.active}
    written: dict[str, str] = {}
    for name, ids in sorted(listing.groups.items()):
        called = group_name(demands.directory, name)
        if called in demands.taken or written.setdefault(called, name) != name:
            message = f"the group `{name}` would be called `{called}`, as another one is"
            diagnostics.append(problem("listing-clash", message, demands.at, hint="rename one of the two"))
        groups[called] = tuple(sorted(handles[id_] for id_ in ids if id_ in handles and id_ in active))
    return groups


def _compare(before: People, after: People, listing: Listing) -> Iterator[Change]:
    """Yield what changes, person by person and group by group."""
    there = {person.id for person in listing.people}
    for handle, now in after.users.items():
        was = before.users.get(handle)
        if was is None:
            yield Change("added", handle, "suspended" if now.suspended else "")
            continue
        if was.suspended != now.suspended:
            absence = listing.absences.get(now.id, "not in the listing any more")
            why = "disabled there" if now.id in there else absence
            yield Change("left", handle, why) if now.suspended else Change("back", handle)
        for name in ("id", "login", "email", "name", "until"):
            if getattr(was, name) != getattr(now, name):
                yield Change(
                    "changed", handle, f"{name}: {getattr(was, name) or 'none'} → {getattr(now, name) or 'none'}"
                )
    for name in sorted({*before.groups, *after.groups}):
        old, new = before.groups.get(name, ()), after.groups.get(name, ())
        joined, parted = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        words = [f"+{handle}" for handle in joined] + [f"-{handle}" for handle in parted]
        if words or (name in before.groups) != (name in after.groups):
            lost = name in before.groups and name not in after.groups
            yield Change("group lost" if lost else "group", name, join_some(words) if words else "")
