"""Writes of earlier runs whose answers were lost: what has become of them, and what waits until that is known.

    sent ──── reading shows it ───────────▶ settled: it counts as ours, as if it had been answered
       └───── ten minutes, not shown ─────▶ settled: it did not take place
       └───── before that, not shown ─────▶ still open: steps on the same objects wait, others go on

A run that was cut off did not look for its last write; `apply --resume` does, so nothing waits for that one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, warning
from siteward.access.model import Access, Account, Group, account_of
from siteward.access.renames import touched
from siteward.reconcile.apply.revalidate import reached
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import plans
from siteward.reconcile.journal.cut_off import find_made, know_made
from siteward.reconcile.journal.entries import NOT_BEGUN
from siteward.transport.patience import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live, Memory, Unsettled
    from siteward.reconcile.journal.runs import Run

_LONGEST = timedelta(seconds=LONGEST)


def settled(memory: Memory | None, live: Live) -> Memory | None:
    """Return a memory in which the unsettled changes that reading shows count as made by us.

    The ids that accounts had before such a change made them anew are forgotten.
    """
    if memory is None:
        return None
    shown = [earlier.change for earlier in late(memory, live)]
    if not shown:
        return memory
    keys = {key for change in shown for key in touched(change)}
    names = {name for key in keys if (name := account_of(key)) is not None}
    last = None if memory.last is None else _as_live(memory.last, keys, live)
    memory = know_made(memory, {name: None for change in shown if (name := find_made(change))})
    return replace(memory, last=last, accounts=memory.accounts | names)


def _as_live(last: Access, keys: Iterable[Key], live: Live) -> Access:
    record = last.to_dict()
    for key in keys:
        now = live.access.get(key)
        if now is None:
            record.pop(key, None)
        else:
            record[key] = now
    return Access.of(record)


def still_open(memory: Memory | None, live: Live, now: datetime) -> tuple[Unsettled, ...]:
    """Return the writes that may still take effect: their answers were lost, and reading does not show them."""
    known = memory.unsettled if memory is not None else ()
    return tuple(
        earlier
        for earlier in known
        if earlier.lost and now < earlier.sent + _LONGEST and not reached(earlier.change, live.access)
    )


def reasons_to_wait(changes: Iterable[Change], writes: Sequence[Unsettled]) -> Mapping[Key, str]:
    """Return, for the changes of the same objects as open writes, why they wait.

    Those are changes of the same thing, of all that hangs on an account or group that was written, and of the account or
    group on which something was written. Letter case does not count: a login may come back in another spelling.
    """
    if not writes:
        return {}
    by_key = {key: write for write in writes for key in _folded(touched(write.change))}
    by_maker = {owner: write for write in writes for owner in _folded(_makes(write.change))}
    by_owner = {owner: write for write in writes for owner in _folded(_owners(write.change))}
    found = {}
    for change in changes:
        same = (by_key.get(key) for key in _folded(touched(change)))
        its_own = (by_maker.get(owner) for owner in _folded(_owners(change)))
        its_things = (by_owner.get(owner) for owner in _folded(_makes(change)))
        wait = next(filter(None, (*same, *its_own, *its_things)), None)
        if wait is not None:
            found[change.key] = (
                f"what was sent at {wait.sent:%H:%MZ} got no answer, and may take effect until "
                f"{wait.sent + _LONGEST:%H:%MZ}; this waits until reading tells"
            )
    return found


def late(memory: Memory | None, live: Live) -> tuple[Unsettled, ...]:
    """Return the unsettled writes that reading shows."""
    known = memory.unsettled if memory is not None else ()
    return tuple(earlier for earlier in known if reached(earlier.change, live.access))


def _folded(keys: Iterable[tuple[str, ...]]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(part.casefold() for part in key) for key in keys)


def _makes(change: Change) -> frozenset[tuple[str, str]]:
    """Return the account or group that a change makes, alters or deletes, if it does."""
    side = change.after if change.after is not None else change.before
    match side:
        case Account(name=name):
            return frozenset({("account", name)})
        case Group(name=name):
            return frozenset({("group", name)})
        case _:
            return frozenset()


def _owners(change: Change) -> frozenset[tuple[str, str]]:
    """Return the accounts and groups that a change has to do with."""
    key = change.key
    found = {("account", name) for touched_key in touched(change) if (name := account_of(touched_key)) is not None}
    if key[0] in {"group", "member"}:
        found.add(("group", key[1]))
    elif key[0] == "grant" and key[1] == "group":
        found.add(("group", key[2]))
    return frozenset(found)


def is_cut_off(run: Run, folder: Path) -> bool:
    """Return whether a run without an end has more left to do than to settle writes whose answers were lost.

    It has where a step of its plan has no result, or was not begun because somebody interrupted it.
    """
    try:
        part = plans.kept_plan(folder, run.began.plan).instance(run.began.instance or "")
    except (OSError, ValueError):
        return True
    steps = [step.id for step in part.steps] if part is not None else []
    chosen = steps if run.began.chosen is None else list(run.began.chosen)
    results = run.results
    return any(step not in results or results[step].message == NOT_BEGUN for step in chosen) or not chosen


def remarks_on_open_ends(
    memory: Memory | None,
    live: Live,
    changes: Iterable[Change],
    now: datetime,
    *,
    cut_off: bool,
    unfinished: bool,
    blocks: bool,
) -> tuple[Diagnostic, ...]:
    """Return what is to be said of a run without an end: what it has left open, and which steps wait for that.

    `blocks` is true where what waits is an error on its step: where something is to be applied.
    """
    found = []
    if cut_off:
        hint = f"{RESUME} finishes it"
        found.append(warning("unfinished-run", "an apply was interrupted here and not finished", hint=hint))
    lost = [earlier for earlier in (memory.unsettled if memory is not None else ()) if earlier.lost]
    waiting = still_open(memory, live, now)
    if lost and unfinished:
        found.append(_describe_lost(lost, live, len(waiting)))
    hint = "siteward plan, a few minutes later"
    waits = reasons_to_wait(changes, waiting)
    found += [
        error("write-unsettled", why, hint=hint, about=key)
        if blocks
        else warning("write-unsettled", why, hint=hint, about=key)
        for key, why in waits.items()
    ]
    return tuple(found)


def _describe_lost(lost: Sequence[Unsettled], live: Live, waiting: int) -> Diagnostic:
    shown = sum(reached(earlier.change, live.access) for earlier in lost)
    words = (
        f"answers that an earlier apply lost: {len(lost)}; of these writes {shown} took place, "
        f"{len(lost) - shown - waiting} did not, {waiting} may still"
    )
    return warning("answers-lost", words, hint=f"{RESUME} writes down what became of them")
