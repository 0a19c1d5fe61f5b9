"""What would be desired without the dates that have passed: the alternatives by which due changes are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.dates import Alternatives
from siteward.declaration.dates import without_ends, without_starts
from siteward.declaration.resolve import resolve

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration


def find_alternatives(
    declaration: Declaration,
    instance: str,
    traits: Traits,
    live: Live,
    desired: Desired,
    *,
    as_of: datetime,
    memory: Memory | None,
    recorded: Declaration | None = None,
) -> Alternatives:
    """Return what would be desired at `as_of` without some dates; `desired` is what is, by `declaration`.

    `recorded` is the declaration of the last completed apply, `None` where it is not known.
    """
    since = memory.completed.as_of if memory is not None and memory.completed is not None else None
    others = (without_ends(declaration, as_of), without_starts(declaration, since, as_of))
    endless, unbegun = (
        None if other is None else resolve(other, instance, traits, live, as_of=as_of, memory=memory)
        for other in others
    )
    known = None
    if recorded is declaration:
        known = desired
    elif recorded is not None and instance in recorded.instances:
        known = resolve(recorded, instance, traits, live, as_of=as_of, memory=memory)
    return Alternatives(endless=endless, unbegun=unbegun, recorded=known)
