"""Dead lines: grants and memberships that have ended, or that can never hold because of the dates of others.

They do no harm and make a file long: `validate` and `review` name them, and a review's decision `remove` takes them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import note
from siteward.access.window import ALWAYS, Window
from siteward.declaration.groups import cycle, expand
from siteward.declaration.window import write_edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.declared import Declaration, Grant, Group, Member
    from siteward.declaration.groups import People
    from siteward.declaration.source import Path


class DeadLine(Struct, frozen=True, kw_only=True):
    """A grant, or a member of a group, that gives nothing any more: what it says, and why it is dead.

    `path` leads to it in its file's data.
    """

    what: str
    why: str
    at: Span
    file: str
    path: Path
    ticket: str | None = None
    reason: str | None = None


def find_dead_lines(declaration: Declaration, as_of: datetime) -> tuple[DeadLine, ...]:
    """Return the dead grants and memberships at a moment, in the order of the files' sections.

    A line that names somebody who is not known, or whose row is in error, is not taken for dead.
    """
    if cycle(declaration.groups) is not None:
        return ()
    search = _Search(declaration, as_of, expand(declaration.groups))
    return (*search.grants(), *search.members())


def tell(lines: Iterable[DeadLine]) -> Iterator[Diagnostic]:
    """Yield a note about each dead line."""
    for line in lines:
        hint = "take it out by hand, or decide `remove` beside it in a review: siteward review -o review.csv"
        yield note("dead-line", f"{line.what}: {line.why}", at=line.at, hint=hint)


class _Search(Struct):
    """The search of one declaration; `_seen` has the windows of those whom names mean, by names."""

    declaration: Declaration
    as_of: datetime
    groups: Mapping[str, People]
    _seen: dict[tuple[str, ...], tuple[Window, ...] | None] = {}
    _undated: dict[tuple[str, ...], str | None] = {}

    def grants(self) -> Iterator[DeadLine]:
        """Yield the dead lines of `grants`."""
        faults = self.declaration.faults
        for grant in self.declaration.grants or ():
            if grant.at in faults.lines:
                continue
            why = self._why_grant(grant)
            if why is not None:
                where = ", ".join((*grant.sites, *grant.metasites)) or ", ".join(grant.on or ())
                yield DeadLine(
                    what=f"`{grant.role}` on {where} to {', '.join(grant.to)}", why=why, at=grant.at,
                    file=grant.source.file, path=grant.location.path, ticket=grant.ticket, reason=grant.reason,
                )  # fmt: skip

    def _why_grant(self, grant: Grant) -> str | None:
        if self._has_native(grant):
            return self._why(grant.window, (ALWAYS,))
        if grant.window is not ALWAYS:
            return self._why(grant.window, self._windows_of(grant.to))
        if grant.to not in self._undated:  # most lines have no dates of their own
            self._undated[grant.to] = self._why(ALWAYS, self._windows_of(grant.to))
        return self._undated[grant.to]

    def members(self) -> Iterator[DeadLine]:
        """Yield the dead members of groups."""
        for group in self.declaration.groups.values():
            if group.handle in self.declaration.faults.groups:
                continue
            for number, member in enumerate(group.members):
                why = (
                    None
                    if member.excludes or member.by is not None
                    else self._why(member.window, self._windows_of((member.name,)))
                )
                if why is not None:
                    yield _describe_member(group, member, number, why)

    def _has_native(self, grant: Grant) -> bool:
        """Return whether a grant is to a group that may be a platform's own, which has it whoever is in it."""
        native = any(instance.native for name, instance in self.declaration.instances.items() if grant.reaches(name))
        return native and not self.declaration.groups.keys().isdisjoint(grant.to)

    def _windows_of(self, names: tuple[str, ...]) -> tuple[Window, ...] | None:
        """Return the times of all whom names mean; `None` where somebody is not known, or nobody is meant."""
        if names not in self._seen:
            self._seen[names] = self._find_windows(names)
        return self._seen[names]

    def _find_windows(self, names: tuple[str, ...]) -> tuple[Window, ...] | None:
        users, faults, found = self.declaration.users, self.declaration.faults, list[Window]()
        for name in names:
            people = self.groups.get(name)
            if name in users and name not in faults.users:
                found.append(users[name].window)
            elif (
                people is None
                or name in faults.groups
                or self._is_open(name)
                or not people.keys() <= users.keys() - faults.users.keys()
            ):
                return None
            else:
                found += [way.window.meet(users[handle].window) for handle, ways in people.items() for way in ways]
        return tuple(found) or None

    def _is_open(self, name: str) -> bool:
        """Return whether a group has members that the file does not know, or none at all yet."""
        group = self.declaration.groups[name]
        return group.external or not group.members

    def _why(self, own: Window, windows: Sequence[Window] | None) -> str | None:
        """Return why a line within `own` gives nothing to people of these times; `None` where it may."""
        if own.end is not None and own.end <= self.as_of:
            return f"ended {self._write(own.end, last=True)}"
        met = [own.meet(window) for window in windows or ()]
        if not met or not all(window.empty or self._is_past(window) for window in met):
            return None
        if all(window.empty for window in met):
            first = met[0]
            start, end = self._write(first.start), self._write(first.end, last=True)
            return f"can never hold: it would begin {start}, and {_whose(met)} ends {end}"
        last = max(window.end for window in met if window.end is not None and not window.empty)
        whom = "whom it names" if len(met) == 1 else f"all {len(met)} whom it names"
        return f"{whom} ended by {self._write(last, last=True)}"

    def _is_past(self, window: Window) -> bool:
        return window.end is not None and window.end <= self.as_of

    def _write(self, moment: datetime | None, *, last: bool = False) -> str:
        return "at once" if moment is None else write_edge(moment, self.declaration.timezone, last=last)


def _whose(windows: Sequence[Window]) -> str:
    return "the time of whom it names" if len(windows) == 1 else "the time of each whom it names"


def _describe_member(group: Group, member: Member, number: int, why: str) -> DeadLine:
    source, path = group.source, group.member_path(number)
    return DeadLine(
        what=f"{member.name} in group {group.handle}", why=why, at=source.at(path), file=source.file, path=path,
        ticket=member.ticket, reason=member.reason,
    )  # fmt: skip
