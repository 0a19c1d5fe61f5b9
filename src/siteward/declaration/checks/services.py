"""Checks of services and keys: who answers for them, how long they last, and keys that outlive the right of their holder.

What the file says of keys is an inventory, and is compared with the file itself here; where a platform shows keys, a plan
compares both (`siteward.access.key_inventory`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, problem
from siteward.access.model import Power
from siteward.declaration.declared import EVERY
from siteward.declaration.roles import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Declaration, Grant, User


def owners(context: Context) -> Iterator[Diagnostic]:
    """Report owners of services that are no user of the file."""
    for user in context.declaration.users.values():
        if user.owner is not None and not context.known("users", user.owner) and not context.some_include_is_missing():
            yield problem(
                "unknown-user",
                f"there is no user `{user.owner}`",
                user.location.at("owner"),
                word=user.owner,
                known=context.declaration.users,
            )


def unattended(context: Context) -> Iterator[Diagnostic]:
    """Warn of a service whose owner is gone or not named, and of one that may manage sites without an end."""
    services = {user.handle: user for user in context.declaration.users.values() if user.kind == "service"}
    active = {handle: user for handle, user in services.items() if user.state(EVERY) == "active"}
    lasting = _find_lasting(context, active)
    for handle, user in active.items():
        ends = f"it may {lasting[handle].word} without an end" if handle in lasting else None
        for why, hint in (
            (_describe_owner(context, user), "name a person as `owner` who is there"),
            (ends, "give it an `until`, or less"),
        ):
            if why is not None:
                message = f"nobody looks after the service `{handle}`: {why}"
                yield problem("service-unattended", message, user.location.key(), hint=hint, severity=Severity.WARNING)


def _describe_owner(context: Context, user: User) -> str | None:
    """Return what is wrong with the owner of a service; `None` where somebody answers for it, or that cannot be told."""
    if user.owner is None:
        return "it has no `owner`"
    owner = context.declaration.users.get(user.owner)
    if owner is None:  # told by `owners`, or in a file that could not be read
        return None
    if owner.kind == "service":
        return f"its owner `{owner.handle}` is {'itself' if owner is user else 'a service'}"
    absences = [_describe_absence(owner, name, context.as_of) for name in (EVERY, *context.declaration.instances)]
    gone = absences[0] or (absences[-1] if all(absences[1:]) else None)
    return f"its owner `{owner.handle}` {gone}" if gone else None


def _describe_absence(user: User, instance: str, as_of: datetime | None) -> str | None:
    """Return why somebody has no access on an instance at a moment; `None` for somebody who is there."""
    state = user.state(instance)
    if state != "active":
        return f"is {state}"
    start, end = user.window.start, user.window.end
    if as_of is not None and end is not None and end <= as_of:
        return "has ended"
    return "has not begun" if as_of is not None and start is not None and as_of < start else None


def _find_lasting(context: Context, users: Mapping[str, User]) -> Mapping[str, Power]:
    """Return the most power above `edit` that each of these users has without an end, by handle."""
    lasting: dict[str, Power] = {}
    for grant, handle in _list_grants(context, users):
        ways = context.people(grant)[handle]
        ends = grant.window.end is not None or users[handle].window.end is not None
        if ends or all(way.window.end is not None for way in ways):
            continue
        power = max((power for _, power in _list_powers(context, grant)), default=Power.NONE)
        if power > Power.EDIT:
            lasting[handle] = max(power, lasting.get(handle, power))
    return lasting


def _list_grants(context: Context, users: Mapping[str, User]) -> Iterator[tuple[Grant, str]]:
    """Yield each grant with each of these users whom it is for."""
    if not users:
        return
    names = {*users, *(name for name, people in context.groups.items() if not users.keys().isdisjoint(people))}
    for grant in context.declaration.grants or ():
        if not names.isdisjoint(grant.to):
            yield from ((grant, handle) for handle in context.people(grant) if handle in users)


def _list_powers(context: Context, grant: Grant) -> Iterator[tuple[str, Power]]:
    """Yield the instances that a grant may reach, with the power that it gives there."""
    kind = "site" if grant.sites else "metasite" if grant.metasites else "instance"
    for name, instance in context.instances(grant).items():
        means = context.meaning(grant, instance, kind)
        if isinstance(means, Meaning):
            yield name, means.power


def keys_left(context: Context) -> Iterator[Diagnostic]:
    """Warn of keys whose holder has no access any more, or less than the key carries."""
    users = {user.handle: user for user in context.declaration.users.values() if user.keys}
    powers: dict[tuple[str, str], Power] = {}
    for grant, handle in _list_grants(context, users):
        for name, power in _list_powers(context, grant):
            powers[handle, name] = max(power, powers.get((handle, name), power))
    for user in users.values():
        for number, key in enumerate(user.keys):
            why = _describe_absence(user, key.on, context.as_of)
            most = powers.get((user.handle, key.on), Power.NONE)
            if why is None and key.holds is not None and key.holds > most:
                why = f"may {most.word} there, and the key carries {key.holds.word}" if most else "has no right there"
            why = f"`{user.handle}` {why}" if why is not None else _describe_gone_owner(context, user)
            if why is not None:
                message = f"the key `{key.name}` of `{user.handle}` on {key.on} stays: {why}"
                hint = "no change of access ends a key: delete it on the platform, then take the row out"
                at = user.location.at("keys", number, "name")
                yield problem("key-stays", message, at, hint=hint, severity=Severity.WARNING, instance=key.on)


def _describe_gone_owner(context: Context, user: User) -> str | None:
    """Return that whoever answers for a service is gone, who may still have its keys; `None` where that is not so."""
    return _describe_owner(context, user) if user.kind == "service" and user.owner is not None else None


def keys_overdue(context: Context) -> Iterator[Diagnostic]:
    """Warn of keys that should have been made anew, and of those that were made on a day to come, where a moment is given."""
    if context.as_of is None:
        return
    yield from overdue(context.declaration, context.as_of)
    for user in context.declaration.users.values():
        for number, key in enumerate(user.keys):
            if key.since is not None and key.since > context.as_of:
                message = f"the key `{key.name}` of `{user.handle}` on {key.on} is said to be made on {key.since:%Y-%m-%d}, a day to come"
                at = user.location.at("keys", number, "since")
                hint = "write the day on which it was made: from then on its rotation is counted"
                yield problem("key-made-later", message, at, hint=hint, severity=Severity.WARNING, instance=key.on)


def overdue(declaration: Declaration, as_of: datetime) -> Iterator[Diagnostic]:
    """Yield a warning about each key that is older at a moment than it may be."""
    for user in declaration.users.values():
        for number, key in enumerate(user.keys):
            due = key.find_due()
            if due is not None and due <= as_of:
                message = f"the key `{key.name}` of `{user.handle}` on {key.on} was to be made anew by {due:%Y-%m-%d}"
                hint = "make a new one, delete the old one, and write the day as `since`"
                at = user.location.at("keys", number, "rotates")
                yield problem("key-overdue", message, at, hint=hint, severity=Severity.WARNING, instance=key.on)


SERVICE_CHECKS: tuple[Callable[[Context], Iterable[Diagnostic]], ...] = (
    owners,
    unattended,
    keys_left,
    keys_overdue,
)
