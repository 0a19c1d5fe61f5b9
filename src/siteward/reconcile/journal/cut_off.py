"""The memory that runs without an end leave: what they are known to have changed, added to that of the run before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.change import patch
from siteward.access.model import Account, Grant, account_of
from siteward.access.renames import at_rest, touched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.change import Change
    from siteward.access.state import Memory
    from siteward.reconcile.journal.runs import Run


def add_run(memory: Memory, run: Run) -> Memory:
    """Return a memory that includes the known changes of a run without an end."""
    done = run.done
    met = {name for change in done.values() for key in touched(change) if (name := account_of(key)) is not None}
    made: dict[str, str | None] = {
        name: None for step in run.unsettled if (name := find_made(run.intents[step].change))
    }
    made |= {name: run.results[step].account_id for step, change in done.items() if (name := find_made(change))}
    memory = know_made(memory, made)
    sends = dict(memory.sends)
    for step, change in done.items():
        if count := run.results[step].sends:
            sends[change.key] = (sends.get(change.key, (0, None))[0] + count, run.began.at)
    intended = [intent.change for intent in run.intents.values()]
    # A role that is changed by removing and granting it anew is missing too between the two calls.
    unsettled = {run.intents[step].change.key for step in run.unsettled}
    taken = sum(
        isinstance(change.before, Grant) and (change.after is None or change.key in unsettled) for change in intended
    )
    sent = {key for change in intended for key in touched(change)}
    return replace(
        memory,
        unsettled=(*(write for write in memory.unsettled if not touched(write.change) & sent), *run.open),
        accounts=memory.accounts | set(run.began.accounts) | met,
        users={**memory.users, **run.began.users},
        sites=run.began.sites,
        grants=max(0, run.began.grants - taken),
        last=None if memory.last is None else at_rest(patch(memory.last, done.values())),
        sends=sends,
    )


def find_made(change: Change) -> str | None:
    """Return the login of the account that a change makes, `None` for any other change."""
    return change.after.name if change.before is None and isinstance(change.after, Account) else None


def know_made(memory: Memory, made: Mapping[str, str | None]) -> Memory:
    """Return a memory with the ids of accounts that were made anew, by login; it forgets the former ids of these."""
    kept = {login: id_ for login, id_ in memory.identities.items() if login not in made}
    return replace(memory, identities={**kept, **{login: id_ for login, id_ in made.items() if id_ is not None}})
