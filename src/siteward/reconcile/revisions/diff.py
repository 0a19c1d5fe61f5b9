"""Comparison of two revisions of the declaration by effective access; no server is contacted."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward import platforms
from siteward.access.diagnostic import note
from siteward.access.diff import Comparison, Revision, compare, merged, name_group
from siteward.declaration.dates import windows
from siteward.declaration.references import renamed_groups, renamed_users
from siteward.declaration.resolve import resolve
from siteward.reconcile.revisions.policy_changes import changed_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live
    from siteward.declaration.load import Declaration

MOST_MOMENTS = 50
"""The most moments at which access is compared; of more, those nearest to `as_of` are taken."""


class Question(Struct, frozen=True, kw_only=True):
    """The parameters of a comparison: names of both revisions, the moment, and the known sites by instance."""

    base: str
    head: str
    as_of: datetime
    sites: Mapping[str, Live] = MappingProxyType({})


def compared(base: Declaration | None, head: Declaration, question: Question) -> Comparison:
    """Return the access that the head gives and takes against the base; without a base, everything is given.

    Compared at `question.as_of` and at each later moment at which something begins.
    """
    moments = (question.as_of, *_find_beginnings(base, head, question.as_of))
    names = tuple(dict.fromkeys((*(base.instances if base else ()), *head.instances)))
    kept = moments[:MOST_MOMENTS]
    renamed = renamed_users(base, head) if base else {}
    groups = renamed_groups(base, head) if base else {}
    parts = [
        compare(
            name,
            _build_revision(base, name, kept, question, renamed | _name_subjects(base, head, groups)),
            _build_revision(head, name, kept, question),
        )
        for name in names
    ]
    return Comparison(
        base=question.base,
        head=question.head,
        as_of=question.as_of,
        movements=merged(parts),
        notices=(
            *(changed_rules(base, head) if base else ()),
            *(
                note("renamed", f"{former} is called {handle} now", at=head.users[handle].at)
                for former, handle in renamed.items()
            ),
            *(
                note("renamed", f"the group {former} is called {handle} now", at=head.groups[handle].at)
                for former, handle in groups.items()
            ),
            *_note_later(len(moments) - len(kept)),
        ),
        unresolved=tuple(name for name in names if name not in question.sites),
        instances=names,
        accounts=_merge_accounts(base, head),
    )


def _merge_accounts(base: Declaration | None, head: Declaration) -> dict[str, dict[str, str | None]]:
    """Return the account names of either revision, with their handles, by instance; the head's win."""
    before, after = base.accounts() if base is not None else {}, head.accounts()
    return {name: {**before.get(name, {}), **after.get(name, {})} for name in {**before, **after}}


def _build_revision(
    declaration: Declaration | None,
    name: str,
    moments: tuple[datetime, ...],
    question: Question,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Revision | None:
    """Return the access that a declaration wishes on an instance at each moment; `None` without that instance."""
    instance = declaration.instances.get(name) if declaration else None
    if declaration is None or instance is None:
        return None
    traits = platforms.widest_of(instance.platform)
    live = question.sites.get(name)
    return Revision(
        traits=traits,
        wished={moment: resolve(declaration, name, traits, live, as_of=moment) for moment in moments},
        renamed=renamed,
    )


def _name_subjects(base: Declaration | None, head: Declaration, groups: Mapping[str, str]) -> dict[str, str]:
    """Return the new subject of each renamed group, as movements name a group whose members nobody knows."""
    return (
        {
            name_group(base.groups[former].native or former): name_group(head.groups[handle].native or handle)
            for former, handle in groups.items()
        }
        if base is not None
        else {}
    )


def _find_beginnings(base: Declaration | None, head: Declaration, as_of: datetime) -> tuple[datetime, ...]:
    """Return the moments after `as_of`, in order, at which something begins by either revision."""
    revisions = (declaration for declaration in (base, head) if declaration is not None)
    starts = (window.start for declaration in revisions for window in windows(declaration))
    return tuple(sorted({start for start in starts if start is not None and start > as_of}))


def _note_later(count: int) -> Iterator[Diagnostic]:
    """Yield a note where `count` moments were too many to be compared."""
    if count > 0:
        yield note("later-not-told", f"what begins on {count} further days is out of scope")
