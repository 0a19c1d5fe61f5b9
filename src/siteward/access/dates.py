"""The changes that a date causes, told by comparing what would change without that date.

A change is caused by an end that has passed if it is not there, or is another one, while that end is left out; a change
is caused by a start that has come in the same way. An end takes, and gives only what an admin whose time is over had
under the admin role; a start gives. What a date gives, and the file at the last completed apply would not give today,
waits: nobody has agreed to it yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from siteward.access.change import Change, demoted, direction, is_regrant
from siteward.access.model import Grant, Key, Member, Resource
from siteward.access.state import Cause, Desired
from siteward.access.traits import Traits

Due = Literal["end", "start"]
"""The date that causes a change: an end that has passed, or a start that has come."""

Wished: TypeAlias = Mapping[Key, Resource | None]
"""The changes that a desired state asks for: by key, what should be there."""


class Alternatives(Struct, frozen=True, kw_only=True):
    """The desired state of the same moment by other files, each `None` where it does not differ.

    `endless` is without the ends that have passed; `unbegun` without the starts that came since the last completed
    apply; `recorded` is by the file of that apply, `None` where that is not known.
    """

    endless: Desired | None = None
    unbegun: Desired | None = None
    recorded: Desired | None = None


NO_ALTERNATIVES = Alternatives()


class Timing(Struct, frozen=True):
    """The date that causes a change, and whether the change `waits` for a plan of everything."""

    due: Due
    waits: bool = False


def find_timings(
    taken: Sequence[tuple[Change, Cause]],
    traits: Traits,
    *,
    endless: Wished | None,
    unbegun: Wished | None,
    recorded: Wished | None,
) -> Mapping[Key, Timing]:
    """Return the timing of each change that a date causes, by key; the three are as in `Alternatives`.

    `taken` are the changes that are made, each with its cause.
    """
    if endless is None and unbegun is None and all(cause != "expired" for _, cause in taken):
        return {}  # no date has any part in it
    dues: dict[Key, Due] = {}
    changes = [change for change, _ in taken]
    for change, cause in taken:
        if _ends(change, cause, traits, endless):
            dues[change.key] = "end"
        elif unbegun is not None and _differs(change, unbegun) and direction(change, traits) != "close":
            dues[change.key] = "start"
    demotions = {name: key for name, key in demoted(changes, traits).items() if dues.get(key) == "end"}
    for change in changes if demotions else ():
        if is_regrant(change, traits, demotions) and (endless is None or _differs(change, endless)):
            dues[change.key] = "end"
    return {
        change.key: Timing(dues[change.key], direction(change, traits) != "close" and _is_news(change, recorded))
        for change in changes
        if change.key in dues
    }


def _ends(change: Change, cause: Cause, traits: Traits, endless: Wished | None) -> bool:
    """Return whether an end takes this; a change of an account is never one."""
    if cause == "expired":
        return True
    takes = isinstance(change.before, Grant | Member) and direction(change, traits) != "open"
    return takes and endless is not None and _differs(change, endless)


def _differs(change: Change, others: Wished) -> bool:
    return change.key not in others or others[change.key] != change.after


def _is_news(change: Change, recorded: Wished | None) -> bool:
    """Return whether the file of the last completed apply would not make this change today, as far as is known."""
    return recorded is None or _differs(change, recorded)
