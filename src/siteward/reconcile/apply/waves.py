"""The order of a run: steps in waves, of which none depends on another, and when all is read again in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.change import deletes_account, demoted
from siteward.access.model import Account, Grant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.plan import Step
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.interface import Bundle, Platform


def take_wave(rest: Sequence[Step], needs: Mapping[str, Collection[str]]) -> list[Step]:
    """Return the next steps of one kind, in order, of which none needs another that is still to be done."""
    waiting = {step.id for step in rest}
    wave: list[Step] = []
    kind = ""
    for step in rest:
        own = _classify(step)
        needed = needs[step.id]
        if (not needed or waiting.isdisjoint(needed)) and own == (kind or own):
            kind = own
            wave.append(step)
        elif wave:
            break
    return wave


def _classify(step: Step) -> str:
    """Return `make`, `open` or `close`: a step that closes access never shares a call with one that opens some."""
    if isinstance(step.change.after, Account) and step.change.before is None:
        return "make"
    return "close" if step.change.after is None or step.after_power < step.before_power else "open"


def bundled(platform: Platform, steps: Mapping[Change, Step], live: Live) -> Sequence[Bundle]:
    """Return the bundles in which a platform sends the changes of steps.

    Raises `RuntimeError` where it drops, doubles or adds a change, which is a fault of the adapter.
    """
    bundles = platform.bundle(tuple(steps), live) if steps else ()
    sent = [change for bundle in bundles for change in bundle.changes]
    if len(sent) != len(steps) or not steps.keys() <= set(sent):
        raise RuntimeError(f"{platform.name} did not bundle exactly what it was given")
    return bundles


def may_unmake_admin(step: Step, traits: Traits) -> bool:
    """Return whether a step takes a top role, or deletes an account that may have got one meanwhile.

    Others may have made and unmade admins while this run wrote, one that it made just before among them, so the first
    such step after a write waits until all is read and judged again.
    """
    unmakes = may_reveal_grants(step, traits) and bool(demoted((step.change,), traits))
    return unmakes or deletes_account(step.change)


def may_reveal_grants(step: Step, traits: Traits) -> bool:
    """Return whether a step takes a top role, under which a platform may have hidden or wiped other grants."""
    before = step.change.before
    return isinstance(before, Grant) and traits.is_top(before)
