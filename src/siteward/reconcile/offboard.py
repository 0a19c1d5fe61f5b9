"""Offboarding: what of somebody's no edit of the files ends, until somebody says that it is done.

What reading shows is ticked by reading alone. All else stays open in the journal, and in drift, until it is said to be
done, by whom and why.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import UNLISTED
from siteward.access.diagnostic import Diagnostic, near, warning
from siteward.reconcile.journal.entries import Leaving, Offboarded
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.reading import path_of, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.api_key import HeldKey
    from siteward.declaration.load import Declaration
    from siteward.platforms.interface import Leftover
    from siteward.reconcile.apply.target import Clock, Journals
    from siteward.reconcile.journal.entries import Actor
    from siteward.reconcile.survey import Survey

OPEN = "offboarding-open"
"""The rule id of what is said of things that are still open."""
_KEY_ENDS = "delete it on the instance, and give what uses it another one"


class NotOffboardedError(Exception):
    """Somebody cannot be offboarded as asked; the message says why."""

    code = "not-offboarded"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Item(Struct, frozen=True, kw_only=True):
    """One thing of somebody's that no edit of the files ends.

    `id` is what the command line calls it, `instance` where it is, if it is on one. `state` is `unknown` where it would be
    read and was not. `by`, `how` and `reason` say who ticked it, and why.
    """

    id: str
    what: str
    ends: str = ""
    instance: str | None = None
    is_read: bool = False
    state: Literal["open", "done", "unknown"] = "open"
    by: str = ""
    how: str = ""
    reason: str = ""


# The checklist


def list_items(
    declaration: Declaration, surveys: Sequence[Survey], recorded: Mapping[str, Recorded], user: str
) -> tuple[Item, ...]:
    """Return what of a user's no edit ends: as it is now, and as the journals have it from when it was there."""
    live = {(key.listed.on, key.listed.name) for key in _keys_of(surveys, user) if key.listed and key.live is not None}
    found = _by_id((*_list_read(surveys, user), *_list_declared(declaration, user, live)))
    items = [_decide(item, recorded.get(item.id)) for item in found.values()]
    gone = [known for name, known in recorded.items() if name not in found]
    return (*items, *(_judge_gone(known, surveys) for known in gone))


def _by_id(items: Iterable[Item]) -> Mapping[str, Item]:
    """Return items by their ids; of several that would have the same one, all but the first get a number behind it."""
    found: dict[str, Item] = {}
    for item in items:
        name, number = item.id, 1
        while name in found:
            number += 1
            name = f"{item.id}-{number}"
        found[name] = replace(item, id=name)
    return found


def _list_read(surveys: Iterable[Survey], user: str) -> Iterator[Item]:
    """Yield what the platforms have of a user's accounts, and what of it nothing shows."""
    for survey in surveys:
        for account, declared in survey.desired.declared_users.items():
            if declared.handle != user:
                continue
            for left in survey.platform.leftovers(account, survey.live):
                yield _build_item(survey.name, left)
    for key in _keys_of(surveys, user):
        if key.live is not None:
            yield _build_key(key.instance, key)


def _keys_of(surveys: Iterable[Survey], user: str) -> Iterator[HeldKey]:
    yield from (key for survey in surveys for key in survey.keys if key.handle == user)


def _build_key(instance: str, key: HeldKey) -> Item:
    """Return a live key as a thing that reading ticks; one that no file lists is called by what tells it from others."""
    live = key.live
    told = json.dumps(
        [key.account, key.name, f"{live.made:%Y-%m-%dT%H:%M:%SZ}" if live is not None and live.made else ""]
    )
    name = key.name if key.listed is not None else f"{UNLISTED}{sha256(told.encode()).hexdigest()[:8]}"
    used = f", used by {key.listed.used_by}" if key.listed is not None and key.listed.used_by else ""
    made = f", made on {key.made:%Y-%m-%d}" if key.made is not None else ""
    return Item(
        id=f"key/{name}", what=f"the key `{key.name}` on {instance}{made}{used}", ends=_KEY_ENDS,
        instance=instance, is_read=True,
    )  # fmt: skip


def _build_item(instance: str, left: Leftover) -> Item:
    return Item(
        id=f"{instance}/{left.id}", what=left.what, ends=left.how, instance=instance, is_read=left.is_read
    )  # fmt: skip


def _list_declared(declaration: Declaration, user: str, live: Collection[tuple[str, str]]) -> Iterator[Item]:
    """Yield what the files say of a user beside their access: what they own, keys, and access elsewhere.

    Keys that are `live`, by instance and name, are read.
    """
    edit = "name another owner in the file"
    for service in declaration.users.values():
        if service.owner == user:
            yield Item(
                id=f"service/{service.handle}", what=f"owns the service {service.handle}", ends=edit, is_read=True
            )
    for group in declaration.groups.values():
        if user in group.owner:
            yield Item(id=f"group/{group.handle}", what=f"owns the group {group.handle}", ends=edit, is_read=True)
    for site in declaration.sites.values():
        if user in site.owner:
            yield Item(
                id=f"site/{site.handle}", what=f"owns the site {site.handle} ({site.domain})", ends=edit, is_read=True
            )
    known = declaration.users.get(user)
    for key in known.keys if known is not None else ():
        if (key.on, key.name) in live:
            continue
        used = f", used by {key.used_by}" if key.used_by else ""
        yield Item(
            id=f"key/{key.name}", what=f"the key `{key.name}` on {key.on}{used}", ends=_KEY_ENDS, instance=key.on
        )
    for number, text in enumerate(known.also if known is not None else (), start=1):
        yield Item(id=f"also/{_slug(text) or number}", what=text, ends="end it there; Siteward never touches it")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40].strip("-")


def _decide(item: Item, known: Recorded | None) -> Item:
    """Return an item with what the journal has decided of it; what reading shows is open whatever anybody said."""
    if item.is_read or known is None or known.leaving.decision == "open":
        return item
    told = known.leaving
    return _with(item, "done", told)


def _judge_gone(known: Recorded, surveys: Iterable[Survey]) -> Item:
    """Return an item of the journal that is not there now: by reading it is done, else it is as it was decided."""
    told = known.leaving
    instance = told.item.partition("/")[0]
    item = Item(id=told.item, what=told.what, instance=known.instance, is_read=told.is_read)
    if not told.is_read:
        return _with(item, told.decision, told)
    survey = next((survey for survey in surveys if survey.name == instance), None)
    on_platform = instance not in _DECLARED
    if on_platform and (survey is None or not survey.live.complete):
        return _with(item, "unknown", told)
    return _with(item, "done", Leaving(item=told.item, decision="done", what=told.what, how="reading"))


_DECLARED = frozenset({"service", "group", "site", "key", "also"})


def _with(item: Item, state: Literal["open", "done", "unknown"], told: Leaving) -> Item:
    return replace(item, state=state, by=told.by, how=told.how, reason=told.reason)


# The journal


class Recorded(Struct, frozen=True, kw_only=True):
    """The last decision on a thing, and the instance whose journal has it."""

    instance: str
    leaving: Leaving


def recall_all(journals: Journals, declared: Iterable[str]) -> Mapping[str, Mapping[str, Recorded]]:
    """Return the last decisions that the journals have, by user and thing. Raises `JournalBrokenError`."""
    found: dict[str, dict[str, Recorded]] = {}
    for instance in declared:
        for entry in read(path_of(journals.folder, instance), journals.key).entries:
            if isinstance(entry, Offboarded):
                for leaving in entry.items:
                    found.setdefault(entry.user, {})[leaving.item] = Recorded(instance=instance, leaving=leaving)
    return found


def journals_of(journals: Journals, declared: Iterable[str]) -> tuple[str, ...]:
    """Return the instances that have a journal. Raises `JournalBrokenError`."""
    return tuple(name for name in declared if read(path_of(journals.folder, name), journals.key).standing.entries)


def record(journals: Journals, clock: Clock, user: str, items: Iterable[Item], names: Sequence[str]) -> int:
    """Write open or done things into the journals, with who runs this; return how many. Raises the errors of `TROUBLE`.

    What is on no instance, or on one without a journal, stands in that of the first of `names`.
    """
    by_journal: dict[str, list[Leaving]] = {}
    for item in items:
        place = item.instance if item.instance in names else names[0]
        by_journal.setdefault(place or "", []).append(_build_leaving(item, journals.actor))
    for name, leaving in by_journal.items():
        with opened(journals.folder, name, key=journals.key, clock=clock) as journal:
            journal.offboard(user, leaving)
    return sum(map(len, by_journal.values()))


def _build_leaving(item: Item, actor: Actor | None) -> Leaving:
    by, how = (actor.triggered_by or actor.actor, actor.how) if actor is not None else ("", "")
    if item.how == "reading":
        by, how = "", item.how
    return Leaving(
        item=item.id, decision="done" if item.state == "done" else "open", what=item.what, is_read=item.is_read,
        by=by, how=how, reason=item.reason,
    )  # fmt: skip


def is_news(item: Item, known: Recorded | None) -> bool:
    """Return whether the journals do not have a thing as it is: not yet, or with another decision."""
    decision = "done" if item.state == "done" else "open"
    return item.state != "unknown" and (known is None or known.leaving.decision != decision)


def find_item(items: Sequence[Item], asked: str) -> Item:
    """Return the item that the command line names, and that somebody may tick. Raises `NotOffboardedError`."""
    found = next((item for item in items if item.id == asked), None)
    if found is None:
        meant = near(asked, [item.id for item in items])
        hint = f"did you mean {meant}?" if meant else f"there are {', '.join(item.id for item in items) or 'none'}"
        raise NotOffboardedError(f"there is no item {asked}", hint)
    if found.is_read:
        raise NotOffboardedError(f"{asked} is ticked by reading alone, and it is {found.state}", found.ends or None)
    return found


# Drift


def tell_open(declaration: Declaration, surveys: Sequence[Survey], journals: Journals) -> Iterator[Diagnostic]:
    """Yield a warning for each user whose offboarding the journals have, and of whom something is still open."""
    names = [survey.name for survey in surveys]
    for user, recorded in recall_all(journals, names).items():
        items = list_items(declaration, surveys, recorded, user)
        left = [item.id for item in items if item.state != "done"]
        if left:
            words = f"{user} has left, and this is open: {', '.join(left)}"
            hint = f"siteward offboard {user}; tick what is done with --done ITEM --reason TEXT"
            yield warning(OPEN, words, hint=hint, count=len(left))
