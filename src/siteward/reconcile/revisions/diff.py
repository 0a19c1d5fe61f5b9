"""Two revisions of the declaration, held against each other by effective access; nothing is contacted."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward import platforms
from siteward.access.diagnostic import note
from siteward.access.diff import Comparison, Revision, compare, merged
from siteward.declaration.resolve import resolve
from siteward.reconcile.revisions.policy_changes import changed_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live
    from siteward.declaration.load import Declaration

MOST_MOMENTS = 50
"""How many days on which something begins are looked at, the nearest first."""


class Question(Struct, frozen=True, kw_only=True):
    """Which revisions are compared, by the names people gave them, at what moment, and against which known sites."""

    base: str
    head: str
    as_of: datetime
    sites: Mapping[str, Live] = MappingProxyType({})


def compared(base: Declaration | None, head: Declaration, question: Question) -> Comparison:
    """Return what the head gives and takes against the base; without a base, everything is given."""
    moments = (question.as_of, *_beginnings(base, head, question.as_of))
    names = tuple(dict.fromkeys((*(base.instances if base else ()), *head.instances)))
    kept = moments[:MOST_MOMENTS]
    renamed = _renamed(base, head) if base else {}
    parts = [
        compare(name, _revision(base, name, kept, question, renamed), _revision(head, name, kept, question))
        for name in names
    ]
    return Comparison(
        base=question.base,
        head=question.head,
        as_of=question.as_of,
        movements=merged(parts),
        notices=(
            *(changed_rules(base, head) if base else ()),
            *(note("renamed", f"{was} is called {now} now", at=head.users[now].at) for was, now in renamed.items()),
            *_unseen(len(moments) - len(kept)),
        ),
        unresolved=tuple(name for name in names if name not in question.sites),
        instances=names,
        accounts=_accounts(base, head),
    )


def _accounts(base: Declaration | None, head: Declaration) -> dict[str, dict[str, str | None]]:
    """Return the account names that either revision speaks of."""
    before, after = base.accounts() if base is not None else {}, head.accounts()
    return {name: {**before.get(name, {}), **after.get(name, {})} for name in {**before, **after}}


def _revision(
    declaration: Declaration | None,
    name: str,
    moments: tuple[datetime, ...],
    question: Question,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Revision | None:
    given = declaration.instances.get(name) if declaration else None
    if declaration is None or given is None:
        return None
    traits = platforms.load(given.platform).widest
    live = question.sites.get(name)
    return Revision(
        traits=traits,
        wished={moment: resolve(declaration, name, traits, live, as_of=moment) for moment in moments},
        renamed=renamed,
    )


def _renamed(base: Declaration, head: Declaration) -> dict[str, str]:
    """Return the handles of the base that the head names as the former ones of others."""
    return {
        former: user.handle
        for user in head.users.values()
        for former in user.previously
        if former in base.users and former not in head.users and user.handle not in base.users
    }


def _beginnings(base: Declaration | None, head: Declaration, as_of: datetime) -> tuple[datetime, ...]:
    """Return the moments after `as_of` at which something begins at either revision."""
    starts = (start for side in (base, head) if side is not None for start in _starts(side))
    return tuple(sorted({start for start in starts if start is not None and start > as_of}))


def _starts(declaration: Declaration) -> Iterator[datetime | None]:
    yield from (user.window.start for user in declaration.users.values())
    yield from (member.window.start for group in declaration.groups.values() for member in group.members)
    yield from (grant.window.start for grant in declaration.grants or ())


def _unseen(count: int) -> Iterator[Diagnostic]:
    if count > 0:
        yield note("later-not-told", f"what begins on {count} further days is out of scope")
