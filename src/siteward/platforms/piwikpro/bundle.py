"""Grouping of changes by the calls that carry them, and their cost at 60 writes a minute.

The members of a group share one, and the modules of a person (API.md sections 4 and 8). `cost` compares with the other
way to keep the same access: groups of the platform, or personal grants.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from siteward.access.change import patch
from siteward.access.diagnostic import note, warning
from siteward.access.model import Grant, Group, Member
from siteward.platforms.interface import Bundle
from siteward.platforms.piwikpro.roles import ENTITY
from siteward.platforms.piwikpro.session import SECONDS_A_WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Access, Scope
    from siteward.access.state import Live

MOST_MEMBERS = 500
"""No size is stated for a member list; half of what other lists allow is taken."""


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:  # noqa: ARG001 — the grouping does not depend on the live state
    """Return the changes grouped by the calls that carry them, in their order."""
    return _group_by_call(changes)


def _group_by_call(changes: Sequence[Change]) -> list[Bundle]:
    shared: dict[tuple[str, ...], list[Change]] = {}
    for number, change in enumerate(changes):
        shared.setdefault(_shared_call(change) or ("alone", str(number)), []).append(change)
    parts = [
        tuple(together[at : at + MOST_MEMBERS])
        for together in shared.values()
        for at in range(0, len(together), MOST_MEMBERS)
    ]
    return [Bundle(changes=part) for part in parts]


def calls(changes: Sequence[Change]) -> int:
    """Return the number of writes that a set of changes takes."""
    return sum(_count_writes(bundle.changes) for bundle in _group_by_call(changes))


def _shared_call(change: Change) -> tuple[str, ...] | None:
    """Return what identifies the shared call that carries a change, or `None` if it goes alone."""
    side = change.after if change.after is not None else change.before
    match side:
        case Member(group=group):
            return ("members", group, change.action)
        case Grant(scope=scope, subject=subject) if scope.kind == "module":
            return ("modules", subject.name)
        case _:
            return None


def _count_writes(changes: Sequence[Change]) -> int:
    """Return the number of calls of a group: a new group that is tied to a directory takes two."""
    after = changes[0].after
    return 2 if isinstance(after, Group) and after.external and changes[0].before is None else 1


# --- cost -------------------------------------------------------------------------------------------------------------


_WORTH_A_WORD = 60.0
"""If the other way saves at least this many seconds, the diagnostic is a warning, not a note."""


def cost(changes: Sequence[Change], live: Access, *, native: bool) -> Iterator[Diagnostic]:
    """Yield one diagnostic with the number of writes and the time, this way and the other; none for no changes.

    `native` says whether groups of the platform are managed.
    """
    if not changes:
        return
    this = calls(changes)
    other = _count_with_personal_grants(changes, live) if native else _count_with_groups(changes)
    way = "personal grants" if native else "native groups"
    said = f"{_describe_cost(this)} at 60 a minute"
    if other != this:
        cheaper = "cheaper" if other < this else "dearer"
        said += f"; with {way} it would be {_describe_cost(other)}, which is {cheaper}"
    hint = f"`native: {str(not native).lower()}` on the instance" if other < this else None
    say = warning if (this - other) * SECONDS_A_WRITE >= _WORTH_A_WORD else note
    yield say("cost", said, hint=hint)


def _describe_cost(writes: int) -> str:
    minutes = writes * SECONDS_A_WRITE / 60
    time = f"about {minutes:,.0f} min" if minutes >= 1.5 else f"about {writes * SECONDS_A_WRITE:.0f} s"
    return f"{writes:,} write{'' if writes == 1 else 's'}, {time}"


def _count_with_groups(changes: Sequence[Change]) -> int:
    """Return the number of calls if all accounts that gain the same levels had them through one group.

    A group costs one call to make, one for its members and one for each level; it pays from two people on.
    """
    gains: defaultdict[str, set[tuple[Scope, str]]] = defaultdict(set)
    for change in changes:
        after = change.after
        if change.before is not None or not isinstance(after, Grant) or after.scope.kind not in ENTITY:
            continue
        if after.subject.kind == "account":
            gains[after.subject.name].add((after.scope, after.role))
    people_by_levels = Counter(frozenset(gain) for gain in gains.values())
    personal = sum(map(len, gains.values()))
    grouped = sum(min(people * len(levels), 2 + len(levels)) for levels, people in people_by_levels.items())
    return calls(changes) - personal + grouped


def _count_with_personal_grants(changes: Sequence[Change], live: Access) -> int:
    """Return the number of calls if each member had the levels of its groups as personal grants."""
    after = patch(live, changes)
    members: defaultdict[str, set[str]] = defaultdict(set)
    scopes: defaultdict[str, set[Scope]] = defaultdict(set)
    for access in (live, after):
        for member in access.members():
            members[member.group].add(member.account)
        for grant in access.grants():
            if grant.subject.kind == "group":
                scopes[grant.subject.name].add(grant.scope)
    pairs: set[tuple[str, Scope]] = set()
    rest = []
    for change in changes:
        side = change.after or change.before
        match side:
            case Member(group=group, account=account):
                pairs |= {(account, scope) for scope in scopes[group]}
            case Grant(subject=subject, scope=scope) if subject.kind == "group":
                pairs |= {(account, scope) for account in members[subject.name]}
            case _:
                rest += [] if change.key[0] == "group" else [change]
    return calls(rest) + len(pairs)
