"""Rows of the grammar → what they declare. Dates become instants here, and policies are laid over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, cast

from msgspec import Struct

from siteward.access.diagnostic import problem
from siteward.access.model import Power
from siteward.declaration import document
from siteward.declaration.declared import EVERY, Bound, Grant, Group, Location, Member, Role, RoleOn, Site, User
from siteward.declaration.selector import parse
from siteward.declaration.window import ALWAYS, BadDateError, Window, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.source import Items, Path, Source, Table

R = TypeVar("R")
V = TypeVar("V")
POWERS: Mapping[str, Power] = {power.word: power for power in Power if power is not Power.NONE}


def listed(names: document.Names) -> list[str]:
    """Return the names, where one may stand alone."""
    return [names] if isinstance(names, str) else names


def _by_instance(value: V | dict[str, V]) -> dict[str, V]:
    """Return the values by instance, where one may stand for all."""
    return value if isinstance(value, dict) else {EVERY: value}


def _texts(words: Mapping[str, document.Word]) -> dict[str, str]:
    return {name: str(word) for name, word in words.items()}


def _text(word: document.Word | None) -> str | None:
    """Return what is said; blanks say nothing, and satisfy no rule."""
    return None if word is None else str(word).strip() or None


class Builder(Struct):
    """Turns the rows of one file into declared values and collects what is wrong with their dates."""

    source: Source
    zone: tzinfo
    diagnostics: list[Diagnostic] = []
    _moments: dict[tuple[str, str], datetime | BadDateError] = {}

    def sites(self, rows: Mapping[str, document.SiteRow], bound: Bound | None = None) -> Iterator[Site]:
        """Yield the sites; a file whose grants are bounded cannot open one to everybody."""
        for handle, row, at, location in self._rows("sites", rows):
            public = _by_instance(row.public)
            if bound is not None and any(public.values()):
                message = "this file may grant within bounds, and not open sites to everybody"
                self.diagnostics.append(problem("beyond-include", message, location.at("public"), related=(bound.at,)))
            yield Site(
                handle=handle,
                domain=row.domain,
                name=row.name,
                tags=frozenset(row.tags),
                pins=_texts(row.on),
                only=None if row.only is None else frozenset(listed(row.only)),
                public=public,
                at=at,
                location=location,
            )

    def users(self, rows: Mapping[str, document.UserRow]) -> Iterator[User]:
        """Yield the users."""
        for handle, row, at, location in self._rows("users", rows):
            yield User(
                handle=handle,
                email=row.email,
                name=row.name,
                kind=row.kind,
                logins=_texts(row.logins),
                states=_by_instance(row.state),
                window=self._window(row.from_, row.until, location),
                accounts=tuple(listed(row.accounts)),
                previously=tuple(listed(row.previously)),
                modules={name: tuple(listed(module)) for name, module in row.modules.items()},
                language=row.language,
                owner=row.owner,
                ticket=_text(row.ticket),
                reason=_text(row.reason),
                age=row.age,
                forge=row.forge,
                at=at,
                location=location,
            )

    def groups(self, rows: document.Groups) -> Iterator[Group]:
        """Yield the groups."""
        for handle, row, at, location in self._rows("groups", rows):
            if not isinstance(row, document.GroupRow):
                yield Group(handle=handle, members=self._members(row, location), at=at, location=location)
            elif row.members == "external":
                yield Group(handle=handle, native=row.native, external=True, at=at, location=location)
            else:
                members = self._members(row.members, location, "members")
                yield Group(handle=handle, members=members, native=row.native, at=at, location=location)

    def _members(self, rows: document.Members, location: Location, *deeper: str) -> tuple[Member, ...]:
        return tuple(
            Member(row.removeprefix("!"), ALWAYS, row.startswith("!"))
            if isinstance(row, str)
            else Member(
                row.user.removeprefix("!"),
                self._window(row.from_, row.until, location, *deeper, number),
                row.user.startswith("!"),
            )
            for number, row in enumerate([rows] if isinstance(rows, str) else rows)
        )

    def roles(self, rows: document.Roles) -> Iterator[Role]:
        """Yield the roles."""
        for handle, row, at, location in self._rows("roles", rows):
            on = {
                name: RoleOn(role)
                if isinstance(role, str)
                else RoleOn(role.role, None if role.extras is None else frozenset(role.extras))
                for name, role in row.items()
            }
            yield Role(handle=handle, on=on, at=at, location=location)

    def grants(self, rows: Sequence[tuple[int, document.GrantRow]], bound: Bound | None) -> Iterator[Grant]:
        """Yield the grants; each row comes with its number in the file."""
        if not rows:
            return
        items, mark, source = cast("Items", self.source.data["grants"]), self.source.mark, self.source
        for number, row in rows:
            location = Location(source, ("grants", number))
            window = ALWAYS if row.from_ is None and row.until is None else self._window(row.from_, row.until, location)
            yield Grant(
                to=tuple(listed(row.to)),
                role=row.role,
                sites=tuple(listed(row.sites)) if row.sites is not None else (),
                metasites=tuple(listed(row.metasites)) if row.metasites is not None else (),
                on=None if row.on is None else tuple(listed(row.on)),
                window=window,
                extras=None if row.extras is None else frozenset(row.extras),
                ticket=_text(row.ticket),
                reason=_text(row.reason),
                bound=bound,
                at=mark(items, number),
                location=location,
            )

    def bound(self, row: document.IncludeRow, at: Span) -> Bound | None:
        """Return what an included file may grant; `None` where nothing is said."""
        if row.sites is None and row.at_most is None:
            return None
        sites = None if row.sites is None else tuple(map(parse, listed(row.sites)))
        if sites is not None and all(site.excludes for site in sites):
            message = "the bounds of this include leave sites out and take none in"
            self.diagnostics.append(problem("only-exclusions", message, at, hint='begin them with "*"'))
        return Bound(sites=sites, at_most=POWERS[row.at_most] if row.at_most else None, at=at)

    def _rows(self, section: str, rows: Mapping[str, R]) -> Iterator[tuple[str, R, Span, Location]]:
        if not rows:
            return
        table = self._section(section)
        for number, handle in enumerate(table):
            row = rows.get(handle)
            if row is not None:
                yield handle, row, self.source.mark(table, number), Location(self.source, (section, handle))

    def _section(self, name: str) -> Table:
        return cast("Table", self.source.data[name])

    def _window(self, start: str | None, until: str | None, location: Location, *more: str | int) -> Window:
        if start is None and until is None:
            return ALWAYS
        begins = self._moment(start, "from", location, more) if start is not None else None
        ends = self._moment(until, "until", location, more) if until is not None else None
        window = Window(begins, ends)
        if window.empty:
            self.diagnostics.append(
                problem("ends-before-it-begins", f"until {until} is before from {start}", location.at(*more, "until"))
            )
            return ALWAYS
        return window

    def _moment(self, text: str, edge: Literal["from", "until"], location: Location, more: Path) -> datetime | None:
        found = self._moments.get((text, edge))
        if found is None:
            try:
                found = moment(text, self.zone, edge)
            except BadDateError as bad:
                found = bad
            self._moments[text, edge] = found
        if isinstance(found, BadDateError):
            self.diagnostics.append(problem(found.code, str(found), location.at(*more, edge), hint=found.hint))
            return None
        return found
