"""The declared values, built from the rows of the grammar.

`Builder` turns the rows of one file into sites, users, groups, roles and grants; dates become instants. It collects
diagnostics instead of raising, as `instances` and `directories` do, which build what stands in the root file alone.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from msgspec import Struct

from siteward.access.api_key import ApiKey
from siteward.access.diagnostic import problem
from siteward.access.model import Power
from siteward.access.window import ALWAYS, Window
from siteward.declaration import document
from siteward.declaration.declared import (
    EVERY,
    Bound,
    Grant,
    Group,
    Intake,
    Location,
    Member,
    Role,
    RoleOn,
    Site,
    User,
)
from siteward.declaration.selector import parse, takes_none_in
from siteward.declaration.window import BadDateError, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.declared import State
    from siteward.declaration.source import Items, Source, Table


R = TypeVar("R")
V = TypeVar("V")
INTAKES: tuple[Literal["all", "kind", "tag", "directory"], ...] = ("all", "kind", "tag", "directory")
"""The keys of `from` of which one says whom a group takes in."""

_NONE: Mapping[str, Any] = MappingProxyType({})
"""An empty table, which all rows that say nothing share."""
_NO_TAGS: frozenset[str] = frozenset()
POWERS: Mapping[str, Power] = {power.word: power for power in Power if power is not Power.NONE}


def listed(names: document.Names | None) -> tuple[str, ...]:
    """Return names as a tuple; a single one may be written without brackets, and none may be left out."""
    return (names,) if isinstance(names, str) else tuple(names) if names else ()


def days_of(duration: document.Duration | None) -> int | None:
    """Return a duration in days, if there is one."""
    return None if duration is None else int(duration[:-1])


def _by_instance(value: V | dict[str, V] | None) -> Mapping[str, V]:
    """Return a value by instance; a single one that stands for all is put under `EVERY`."""
    if value is None:
        return _NONE
    return value or _NONE if isinstance(value, dict) else {EVERY: value}


def _write_words(words: Mapping[str, document.Word] | None) -> Mapping[str, str]:
    return {name: str(word) for name, word in words.items()} if words else _NONE


def _strip(word: document.Word | None) -> str | None:
    """Return a text without blanks around it; `None` where nothing is left, so that blanks satisfy no rule."""
    return None if word is None else str(word).strip() or None


class Builder(Struct):
    """A builder of the declared values of one file, which collects diagnostics. `zone` is where its days begin."""

    source: Source
    zone: tzinfo
    diagnostics: list[Diagnostic] = []
    _moments: dict[tuple[str, str], datetime | BadDateError] = {}

    def sites(self, rows: Mapping[str, document.SiteRow], bound: Bound | None = None) -> Iterator[Site]:
        """Yield the sites; one that is open to everybody is refused in a file whose grants have a `bound`."""
        for handle, row, at, location in self._locate_rows("sites", rows):
            public = _by_instance(row.public)
            if bound is not None and any(public.values()):
                message = "this file may grant within bounds, and not open sites to everybody"
                self.diagnostics.append(problem("beyond-include", message, location.at("public"), related=(bound.at,)))
            yield Site(
                handle=handle,
                domain=row.domain,
                name=row.name,
                tags=frozenset(row.tags) if row.tags else _NO_TAGS,
                pins=_write_words(row.on),
                only=None if row.only is None else frozenset(listed(row.only)),
                public=public,
                owner=listed(row.owner),
                at=at,
                source=self.source,
            )

    def users(self, rows: Mapping[str, document.UserRow], bound: Bound | None = None) -> Iterator[User]:
        """Yield the users, in the order of the file; `bound` is that of the file's grants."""
        for handle, row, at, location in self._locate_rows("users", rows):
            yield User(
                handle=handle,
                email=row.email,
                name=row.name,
                id=_strip(row.id),
                kind=row.kind,
                tags=frozenset(row.tags) if row.tags else _NO_TAGS,
                logins=_write_words(row.logins),
                ids=_write_words(row.ids),
                states=_by_instance(cast("State | dict[str, State] | None", row.state)),
                managed_by=_by_instance(row.managed_by),
                window=self._build_window(row.from_, row.until, location),
                accounts=listed(row.accounts),
                previously=listed(row.previously),
                modules={name: listed(module) for name, module in row.modules.items()} if row.modules else _NONE,
                language=row.language,
                owner=row.owner,
                ticket=_strip(row.ticket),
                reason=_strip(row.reason),
                age=row.age,
                forge=row.forge or _NONE,
                keys=self._build_keys(row.keys, location) if row.keys else (),
                also=tuple(row.also) if row.also else (),
                attests=self._build_attests(row.attests, location) if row.attests else _NONE,
                bound=bound,
                at=at,
                source=self.source,
            )

    def _build_keys(self, rows: Sequence[document.KeyRow], location: Location) -> tuple[ApiKey, ...]:
        return tuple(
            ApiKey(
                name=row.name,
                on=row.on,
                holds=POWERS[row.holds] if row.holds else None,
                rotates=days_of(row.rotates),
                since=self.parse_moment(row.since, "from", location, "keys", number, "since") if row.since else None,
                used_by=row.used_by,
            )
            for number, row in enumerate(rows)
        )

    def _build_attests(self, dates: Mapping[str, str], location: Location) -> dict[str, datetime]:
        """Return the moments since which a user has what the names say, without those that are refused."""
        attests: dict[str, datetime] = {}
        for name, date in dates.items():
            if name in document.REQUIREMENTS:
                message, hint = f"`{name}` is something that rules require of every user", "take another name"
                self.diagnostics.append(problem("wrong-value", message, location.key("attests", name), hint=hint))
            since = self.parse_moment(date, "from", location, "attests", name)
            if since is not None:
                attests[name] = since
        return attests

    def groups(self, rows: document.Groups, bound: Bound | None = None) -> Iterator[Group]:
        """Yield the groups, in the order of the file; `bound` is that of the file's grants."""
        for handle, row, at, location in self._locate_rows("groups", rows):
            if not isinstance(row, document.GroupRow):
                members = self._members(row, location)
                yield Group(handle=handle, members=members, bound=bound, at=at, source=self.source)
                continue
            external = row.members == "external"
            intakes = tuple(self._build_intakes(row, location))
            if external and intakes:
                message = "a directory beside the platform knows the members; `from` adds none to them"
                self.diagnostics.append(problem("wrong-value", message, location.at("members")))
            elif row.members is None and not row.from_:
                hint = "list them, or say with `from` whom the group takes in"
                self.diagnostics.append(problem("missing-key", "`members` is missing", location.key(), hint=hint))
            yield Group(
                handle=handle,
                members=() if external or row.members is None else self._members(row.members, location, "members"),
                intakes=intakes,
                native=row.native,
                external=external,
                owner=listed(row.owner),
                description=row.description,
                ticket=_strip(row.ticket),
                previously=listed(row.previously),
                bound=bound,
                at=at,
                source=self.source,
            )

    def _build_intakes(self, row: document.GroupRow, location: Location) -> Iterator[Intake]:
        """Yield whom a group takes in by itself; what names nobody, or two at once, is refused."""
        alone = isinstance(row.from_, document.FromRow)
        for number, term in enumerate([row.from_] if isinstance(row.from_, document.FromRow) else row.from_):
            place = ("from",) if alone else ("from", number)
            given = [by for by in INTAKES if getattr(term, by) is not None]
            if len(given) != 1 or (term.directory is None) != (term.group is None):
                message = "`from` says one thing at a time: all, kind or tag, or directory and group"
                hint = "write several as a list: [{tag: lead}, {kind: vendor}]"
                self.diagnostics.append(problem("wrong-value", message, location.at(*place), hint=hint))
            else:
                yield Intake(given[0], getattr(term, given[0]), term.group, place)

    def _members(self, rows: document.Members, location: Location, *deeper: str) -> tuple[Member, ...]:
        return tuple(
            Member(row.removeprefix("!"), ALWAYS, row.startswith("!"))
            if isinstance(row, str)
            else Member(
                row.user.removeprefix("!"),
                self._build_window(row.from_, row.until, location, *deeper, number),
                row.user.startswith("!"),
                _strip(row.ticket),
                _strip(row.reason),
            )
            for number, row in enumerate([rows] if isinstance(rows, str) else rows)
        )

    def roles(self, rows: document.Roles) -> Iterator[Role]:
        """Yield the roles, in the order of the file."""
        for handle, row, at, _ in self._locate_rows("roles", rows):
            on = {
                name: RoleOn(role)
                if isinstance(role, str)
                else RoleOn(role.role, None if role.extras is None else frozenset(role.extras))
                for name, role in row.items()
            }
            yield Role(handle=handle, on=on, at=at, source=self.source)

    def grants(self, rows: Sequence[tuple[int, document.GrantRow]], bound: Bound | None) -> Iterator[Grant]:
        """Yield the grants; each row comes with its number in the file, and `bound` is the including file's."""
        if not rows:
            return
        items, mark, source = cast("Items", self.source.data["grants"]), self.source.mark, self.source
        for number, row in rows:
            window = ALWAYS
            if row.from_ is not None or row.until is not None:
                window = self._build_window(row.from_, row.until, Location(source, ("grants", number)))
            yield Grant(
                to=listed(row.to),
                role=row.role,
                sites=listed(row.sites),
                metasites=listed(row.metasites),
                on=None if row.on is None else listed(row.on),
                window=window,
                extras=None if row.extras is None else frozenset(row.extras),
                ticket=_strip(row.ticket),
                reason=_strip(row.reason),
                bound=bound,
                at=mark(items, number),
                source=source,
                number=number,
            )

    def bound(self, row: document.IncludeRow, at: Span) -> Bound | None:
        """Return the bounds of an included file; `None` where its entry sets none. `at` is the place of the entry."""
        if row.sites is None and row.at_most is None:
            return None
        sites = None if row.sites is None else tuple(map(parse, listed(row.sites)))
        if row.sites is not None and takes_none_in(listed(row.sites)):
            message = "the bounds of this include leave sites out and take none in"
            self.diagnostics.append(problem("only-exclusions", message, at, hint='begin them with "*"'))
        return Bound(sites=sites, at_most=POWERS[row.at_most] if row.at_most else None, at=at)

    def _locate_rows(self, section: str, rows: Mapping[str, R]) -> Iterator[tuple[str, R, Span, Location]]:
        """Yield the handle, row and place of each valid row of a section."""
        if not rows:
            return
        table = cast("Table", self.source.data[section])
        for number, handle in enumerate(table):
            row = rows.get(handle)
            if row is not None:
                yield handle, row, self.source.mark(table, number), Location(self.source, (section, handle))

    def _build_window(self, start: str | None, until: str | None, location: Location, *more: str | int) -> Window:
        """Return the window of a value at `location`, or of its part at `more`; `ALWAYS` where it is refused."""
        if start is None and until is None:
            return ALWAYS
        begins = self.parse_moment(start, "from", location, *more, "from") if start is not None else None
        ends = self.parse_moment(until, "until", location, *more, "until") if until is not None else None
        window = Window(begins, ends)
        if window.empty:
            self.diagnostics.append(
                problem("ends-before-it-begins", f"until {until} is before from {start}", location.at(*more, "until"))
            )
            return ALWAYS
        return window

    def parse_moment(
        self, text: str, edge: Literal["from", "until"], location: Location, *more: str | int
    ) -> datetime | None:
        """Return the instant of the date at `more`; `None`, with a diagnostic, where it is refused.

        Equal dates are parsed once.
        """
        instant = self._moments.get((text, edge))
        if instant is None:
            try:
                instant = moment(text, self.zone, edge)
            except BadDateError as bad:
                instant = bad
            self._moments[text, edge] = instant
        if isinstance(instant, BadDateError):
            self.diagnostics.append(problem(instant.code, str(instant), location.at(*more), hint=instant.hint))
            return None
        return instant
