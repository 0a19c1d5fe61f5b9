"""What ends soon by its date, and who answers for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from siteward.access.diagnostic import Span

Kind = Literal["user", "member", "grant"]


class Ending(Struct, frozen=True, kw_only=True):
    """A row of the file that ends: a user, a membership or a grant.

    `until` is the end as files write it: a day, or an instant. `who` are users and groups; `what` says in words what they lose. `owners` answer for it, users and groups; empty where
    the file names nobody.
    """

    end: datetime
    until: str
    kind: Kind
    who: tuple[str, ...]
    what: str
    owners: tuple[str, ...] = ()
    at: Span
    ticket: str | None = None
    reason: str | None = None


def by_owner(endings: Iterable[Ending]) -> dict[str, list[Ending]]:
    """Return what ends by owner, the next end first; under an empty name what nobody answers for, at the end.

    What several answer for stands under each.
    """
    found: dict[str, list[Ending]] = {}
    for ending in sorted(endings, key=lambda ending: (ending.end, ending.at)):
        for owner in ending.owners or ("",):
            found.setdefault(owner, []).append(ending)
    return dict(sorted(found.items(), key=lambda item: (not item[0], item[0])))
