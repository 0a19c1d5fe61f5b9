"""Whom a grant is for on one instance: accounts, or groups of the platform, and since when and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import error
from siteward.access.model import Group, Member, Subject
from siteward.access.state import Claim, Origin
from siteward.declaration.people import DIRECT
from siteward.declaration.window import ALWAYS, last_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Span
    from siteward.access.state import Live
    from siteward.declaration.declared import Declaration
    from siteward.declaration.declared import Group as GroupLine
    from siteward.declaration.draft import Draft, Over
    from siteward.declaration.identity import Identity
    from siteward.declaration.people import People, Way
    from siteward.declaration.window import Window


class Standing(Struct, frozen=True):
    """Whether something holds now: the way it comes by and until when, or why it does not (`over`)."""

    way: Way | None = None
    until: datetime | None = None
    over: Over | None = None


PLAIN = Standing(DIRECT[0])


class Bearer(Struct, frozen=True):
    """Somebody a grant is for: the subject, the ways that lead to them, and the user behind, if one.

    `usual` is how they stand to a grant that has no dates of its own.
    """

    subject: Subject
    ways: tuple[Way, ...]
    identity: Identity | None
    usual: Standing


def standing(window: Window, ways: tuple[Way, ...], identity: Identity | None, at: Span, as_of: datetime) -> Standing:
    """Return whether what is said at `at`, within `window`, holds for somebody who is meant by these ways."""
    if identity is not None:
        if identity.ending is not None:
            return Standing(over=(identity.ending, identity.user.at))
        window = window.meet(identity.user.window)
    if window is ALWAYS and ways is DIRECT:
        return PLAIN
    meant = [(each, way) for way in ways if not (each := window.meet(way.window)).empty]
    now = next((way for each, way in meant if each.holds(as_of)), None)
    if now is not None:
        return Standing(now, last_end((each for each, _ in meant), as_of))
    past = any(each.end is not None and each.end <= as_of for each, _ in meant)
    return Standing(over=("expired" if past or not meant else "not-yet", at))


def ends(window: Window, ways: tuple[Way, ...]) -> bool:
    """Tell whether what holds within `window` for somebody who is meant by these ways is over one day."""
    return window.end is not None or all(way.window.end is not None for way in ways)


class Bearers(Struct):
    """Finds whom the `to` of a grant means on one instance, and wants the platform's own groups it needs."""

    declaration: Declaration
    instance: str
    people: Mapping[str, Identity]
    groups: Mapping[str, People]
    native: bool
    live: Live | None
    as_of: datetime
    draft: Draft
    _known: dict[tuple[str, ...], tuple[Bearer, ...]] = {}

    def of(self, names: tuple[str, ...]) -> tuple[Bearer, ...]:
        """Return the bearers of a grant to these users and groups."""
        found = self._known.get(names)
        if found is None:
            found = self._known[names] = tuple(self._find(names))
        return found

    def keep_named_groups(self) -> None:
        """Want the groups that the file says are the platform's, granted something or not."""
        for group in self.declaration.groups.values() if self.native else ():
            if group.native is not None:
                self._wanted_group(group)

    def _find(self, names: tuple[str, ...]) -> Iterator[Bearer]:
        users, ways = self.declaration.users, dict[str, tuple["Way", ...]]()
        for name in names:
            if name in users:
                ways[name] = (*ways[name], *DIRECT) if name in ways else DIRECT
                continue
            group = self.declaration.groups[name]
            if self.native:
                yield self._wanted_group(group)
            elif group.external:
                self._unknown_members(group)
            else:
                for handle, theirs in self.groups[name].items():
                    ways[handle] = (*ways.get(handle, ()), *theirs)
        yield from filter(None, (self._user(handle, theirs) for handle, theirs in ways.items()))

    def _user(self, handle: str, ways: tuple[Way, ...]) -> Bearer | None:
        identity = self.people.get(handle)
        user = self.declaration.users[handle]
        if identity is not None:
            usual = standing(ALWAYS, ways, identity, user.at, self.as_of)
            return Bearer(identity.subject, ways, identity, usual)
        if user.state(self.instance) == "active":
            message = f"`{handle}` needs an e-mail: it is the login on {self.instance}"
            self.draft.say(error("email-needed", message, at=user.at))
        return None

    def _unknown_members(self, group: GroupLine) -> None:
        message = f"the members of `{group.handle}` are known to a directory only, and {self.instance} cannot ask it"
        hint = "grant to users, or narrow the grant with `on`"
        self.draft.say(error("external-group", message, at=group.spot.key(), hint=hint))

    def _wanted_group(self, group: GroupLine) -> Bearer:
        """Want a group of the platform and those who are in it now."""
        name = group.native or group.handle
        self.draft.want(Group(name, self._directory(name) if group.external else None), Origin(group.at))
        for handle, ways in self.groups[group.handle].items():
            identity = self.people.get(handle)
            if identity is not None:
                self._member(name, group, identity, ways)
        return Bearer(Subject("group", name), DIRECT, None, PLAIN)

    def _member(self, name: str, group: GroupLine, identity: Identity, ways: tuple[Way, ...]) -> None:
        member = Member(name, identity.account)
        found = standing(ALWAYS, ways, identity, group.at, self.as_of)
        if found.way is not None:
            origin = Origin(group.at, found.way.via, until=found.until)
            self.draft.wanted.setdefault(identity.user.handle, origin)
            self.draft.want(member, origin)
            if found.until is not None and not ends(ALWAYS, ways):
                self.draft.claims[member.key] = (Claim(member, origin, ends=False),)
        elif found.over is not None:
            self.draft.ended.setdefault(member.key, found.over)

    def _directory(self, name: str) -> str:
        """Return what owns the members of an external group: as the platform names it, else the group's name."""
        have = self.live.access.get(("group", name)) if self.live is not None else None
        return have.external if isinstance(have, Group) and have.external else name
