"""The history of access, read from journals: what runs did, and what others changed between them; contacts nothing."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, plural, warning
from siteward.access.event import Event, Judged, Ran, classify, concerned
from siteward.access.known_names import merge_accounts
from siteward.access.model import Account, Accounts, Grant, Power, Resource, account_of
from siteward.access.serialize import CodecError
from siteward.reconcile.apply.admission import UNCHECKED, unchecked
from siteward.reconcile.apply.inputs import describe_trouble
from siteward.reconcile.journal import plans
from siteward.reconcile.journal.chain import JournalBrokenError, broken_by
from siteward.reconcile.journal.entries import (
    InvitationResent,
    Offboarded,
    PartsErased,
    ReviewClosed,
    RunAbandoned,
    RunEnded,
    RunResumed,
    RunStarted,
    StateRecorded,
    StepsFinished,
    StepsIntended,
)
from siteward.reconcile.journal.reading import STATES, path_of, read
from siteward.reconcile.journal.recorded import COME, GONE, read_changed
from siteward.reconcile.journal.runs import linked_names, pairs_of_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.access.model import Key
    from siteward.access.plan import Step
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.journal.chain import Record
    from siteward.reconcile.journal.entries import Actor, Entry
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.journal.runs import Marked


_UNSURE: Final = frozenset(
    {
        UNCHECKED, "evidence-not-sealed", "signature-not-checked", "no-journal", "unfinished-run", "older-not-proven",
    }
)  # fmt: skip
_WITHOUT_CAUSES: Final = "plan-not-kept"


def is_unsure(said: Iterable[Diagnostic], *, causes: bool) -> bool:
    """Return whether something may be missing from an answer of the journals, or is not proven, by what is said of it.

    `causes` is true where the causes of changes belong to what was asked for.
    """
    codes = {found.code for found in said}
    return not codes.isdisjoint(_UNSURE) or (causes and _WITHOUT_CAUSES in codes)


class Filter(Struct, frozen=True, kw_only=True):
    """The events that are asked for; what is `None` is not asked. `by` is an actor, or `others`.

    `users` are the handles, logins and addresses of one user, in small letters.

    `role` is a native role or, with `power`, at least that much, before or after.
    """

    users: frozenset[str] | None = None
    site: str | None = None
    role: str | None = None
    power: Power | None = None
    ticket: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    by: str | None = None

    def takes(self, event: Event, traits: Traits) -> bool:
        """Return whether an event is asked for, as far as it is known without its origin."""
        return (
            (self.since is None or event.at >= self.since)
            and (self.until is None or (event.since or event.at) <= self.until)
            and self._is_of_user(event)
            and (self.site is None or (event.scope is not None and event.scope.name.casefold() == self.site.casefold()))
            and self._has_role(event, traits)
            and self._is_by(event)
        )

    def takes_origin(self, event: Event) -> bool:
        """Return whether an event with its origin has the ticket that is asked for."""
        if self.ticket is None:
            return True
        return event.origin is not None and self.ticket in (event.origin.ticket or "").split("; ")

    def _is_of_user(self, event: Event) -> bool:
        if self.users is None:
            return True
        sides = (side for side in (event.change.before, event.change.after) if isinstance(side, Account))
        names = {event.account, event.person, *(side.email for side in sides)}
        return not self.users.isdisjoint(name.casefold() for name in names if name is not None)

    def _has_role(self, event: Event, traits: Traits) -> bool:
        if self.role is None and self.power is None:
            return True
        grants = [side for side in (event.change.before, event.change.after) if isinstance(side, Grant)]
        if self.power is None:
            return any(grant.role == self.role for grant in grants)
        return any(traits.power(grant) >= self.power for grant in grants)

    def _is_by(self, event: Event) -> bool:
        if self.by is None:
            return True
        if self.by == "others":
            return event.by_others
        names = (event.ran.actor if event.ran is not None else None, event.review.by if event.review else None)
        return self.by.casefold() in {name.casefold() for name in names if name is not None}


class History(Struct, frozen=True, kw_only=True):
    """The events that were asked for, oldest first, and what is wrong or not known of the journals (`said`).

    `names` are all names that the journals have for accounts, by instance, with the handle that a run had for each.
    """

    events: tuple[Event, ...] = ()
    said: tuple[Diagnostic, ...] = ()
    names: Accounts = MappingProxyType({})

    def accounts(self, declaration: Declaration) -> Accounts:
        """Return all account names of files and journals, with the handle of the user whom the file still has."""
        declared = declaration.accounts()
        kept = {
            instance: {name: handle if handle in declaration.users else None for name, handle in names.items()}
            for instance, names in self.names.items()
        }
        return merge_accounts(kept, declared)


def histories(journals: Journals, instances: Iterable[Instance], asked: Filter) -> History:
    """Return the events of instances that are asked for; a broken journal is an error in what is said."""
    found: dict[str, History] = {}
    for instance in instances:
        try:
            found[instance.name] = _read_history(journals, instance, asked)
        except JournalBrokenError as problem:
            found[instance.name] = History(said=(describe_trouble(instance.name, problem),))
    events = (event for history in found.values() for event in history.events)
    return History(
        events=tuple(sorted(events, key=lambda event: event.at)),
        said=tuple(told for history in found.values() for told in history.said),
        names={name: names for history in found.values() for name, names in history.names.items()},
    )


def _read_history(journals: Journals, instance: Instance, asked: Filter) -> History:
    """Return the events of one instance that are asked for. Raises `JournalBrokenError`."""
    path = path_of(journals.folder, instance.name)
    content = read(path, journals.key)
    traits = instance.platform.widest
    if asked.users is not None:
        asked = replace(asked, users=_with_names_of(content, asked.users))
    found = list(events_of(path, content.marked, content.chain.records, instance.name, traits))
    events = [event for event in found if asked.takes(event, traits)]
    told = list(_tell_gaps(path, content))
    events, lost = _with_origins(journals.folder, instance.name, events)
    if lost:
        words = f"the stored plan of {plural(lost, 'run')} is not there, so the cause of its changes is not known"
        told.append(warning(_WITHOUT_CAUSES, words))
    caused = {event.change.key for event in events if event.review is None and asked.takes_origin(event)}
    if asked.ticket is not None:
        events = [
            event for event in events if (event.change.key in caused if event.review else asked.takes_origin(event))
        ]
    return History(
        events=tuple(events), said=tuple(replace(diagnostic, instance=instance.name) for diagnostic in told),
        names={instance.name: _list_names(content, found)},
    )  # fmt: skip


def _list_names(content: JournalContent, events: Iterable[Event]) -> Mapping[str, str | None]:
    """Return the names of accounts in entries and events, with the handle that a run had for each."""
    begun = [entry for entry in content.entries if isinstance(entry, RunStarted)]
    names = {name for entry in begun for name in (*entry.accounts, *entry.users)}
    sides = (side for event in events for side in (event.change.before, event.change.after) if side is not None)
    for side in sides:
        names |= {account_of(side.key) or "", (side.renamed or "") if isinstance(side, Account) else ""}
    handles = {login: handle for entry in begun for handle, login in entry.users.items()}
    return {**dict.fromkeys(sorted(names - {""})), **handles}


def names_of(declaration: Declaration, name: str) -> frozenset[str]:
    """Return the handle, logins and addresses of the user whom the file has under a name, in small letters."""
    names = {name.casefold()}
    for user in declaration.users.values():
        known = (user.handle, user.email, *user.named_logins.values(), *user.previously)
        own = {known_name.casefold() for known_name in known if known_name}
        names |= own if names & own else set()
    return frozenset(names)


def _with_names_of(content: JournalContent, users: frozenset[str]) -> frozenset[str]:
    """Return the names of a user with those that the runs in a journal had for that user."""
    return frozenset(name.casefold() for name in linked_names(users, pairs_of_runs(content.entries)))


def _tell_gaps(path: Path, content: JournalContent) -> Iterator[Diagnostic]:
    """Yield what a journal cannot tell, or what it is not certain of."""
    if not content.standing.entries:
        yield warning("no-journal", f"there is no journal at {path}")
    if not content.standing.checked:
        yield unchecked(content.standing)
    if content.unfinished is not None:
        words = f"run {content.unfinished.began.run} has no end: what it was about to do last is not told"
        yield warning("unfinished-run", words, hint="siteward apply --resume")
    if erased := sum(entry.count for entry in content.entries if isinstance(entry, PartsErased)):
        yield warning("parts-erased", f"{plural(erased, 'part')} erased on request: what they said is missing here")


def _with_origins(folder: Path, instance: str, events: list[Event]) -> tuple[list[Event], int]:
    """Return events with the origins that the stored plans of their runs have, and how many of these are not there."""
    steps: dict[str, Mapping[str, Step]] = {}
    lost = 0
    for digest in dict.fromkeys(event.ran.plan for event in events if event.ran is not None and event.ran.plan):
        try:
            part = plans.kept_plan(folder, digest).instance(instance)
        except (OSError, ValueError):
            lost += 1
            continue
        steps[digest] = {step.id: step for step in part.steps} if part is not None else {}
    digests = [event.ran.plan if event.ran is not None else "" for event in events]
    found = [
        _with_origin(event, steps.get(plan, {}).get(event.step)) for event, plan in zip(events, digests, strict=True)
    ]
    return found, lost


def _with_origin(event: Event, step: Step | None) -> Event:
    if step is None:
        return event
    return replace(event, origin=step.origin, due=step.due, person=step.person or event.person)


class _Reading:
    """What the entries so far have said: the run that goes on, its intents, handles by login, the last record's moment."""

    def __init__(self) -> None:
        self.began: RunStarted | None = None
        self.actor: Actor | None = None
        self.intents: dict[str, Change] = {}
        self.handles: dict[str, str] = {}
        self.recorded: datetime | None = None

    def note(self, entry: Entry) -> None:
        """Take over what an entry says."""
        match entry:
            case RunStarted():
                self.began, self.actor, self.intents = entry, entry.actor, {}
                self.handles |= {login: handle for handle, login in entry.users.items()}
            case RunResumed():
                self.actor = entry.actor
            case RunEnded() | RunAbandoned():
                self.began = self.actor = None
            case StepsIntended():
                self.intents |= {intent.step: intent.change for intent in entry.steps}
            case _:
                pass


def events_of(
    path: Path, marked: Sequence[Marked], records: Sequence[Record], instance: str, traits: Traits
) -> Iterator[Event]:
    """Yield all events that entries tell, oldest first, without their origins; the last of them are those of `records`.

    Raises `JournalBrokenError`.
    """
    reading, older = _Reading(), len(marked) - len(records)
    for number, (entry, is_sealed) in enumerate(marked, start=1):
        reading.note(entry)
        base = _Base(instance=instance, traits=traits, number=number, is_sealed=is_sealed, reading=reading)
        match entry:
            case StepsFinished():
                yield from _of_results(entry, base)
            case InvitationResent(status="sent"):
                account = Account(entry.login)
                yield replace(base.build_ours(entry, Change(account, account)), kind="invited")
            case Offboarded():
                yield from _of_offboarding(entry, base)
            case ReviewClosed():
                yield from _of_review(entry, base)
            case _:
                pass
        if number > older and isinstance(entry, STATES):
            if not isinstance(entry, StateRecorded) and reading.recorded is not None:
                yield from _of_others(path, records[number - older - 1], entry, base)
            reading.recorded = entry.at


class _Base(Struct, frozen=True, kw_only=True):
    """What all events of one entry share."""

    instance: str
    traits: Traits
    number: int
    is_sealed: bool
    reading: _Reading

    def build(self, entry: Entry, change: Change) -> Event:
        """Return the event of a change that an entry tells, as one that others made."""
        account = concerned(change)
        return Event(
            at=entry.at, instance=self.instance, number=self.number, is_sealed=self.is_sealed,
            kind=classify(change, self.traits), account=account, person=self.reading.handles.get(account), change=change,
            since=self.reading.recorded,
        )  # fmt: skip

    def build_ours(self, entry: Entry, change: Change) -> Event:
        """Return the event of a change that the run which goes on made."""
        return replace(self.build(entry, change), ran=_describe_run(self.reading.began, self.reading.actor), since=None)


def _describe_run(began: RunStarted | None, actor: Actor | None) -> Ran:
    """Return the run that a journal has begun, and who let it go on last; an invitation sent again belongs to none."""
    approvals = actor.approvals.approvals if actor is not None and actor.approvals is not None else ()
    ran = Ran(
        run="", plan="", actor=(actor.triggered_by or actor.actor) if actor is not None else None,
        how=actor.how if actor is not None else None, approvers=tuple(told.by for told in approvals),
    )  # fmt: skip
    return (
        ran if began is None else replace(ran, run=began.run, plan=began.plan, commit=began.commit, dirty=began.dirty)
    )


def _of_results(entry: StepsFinished, base: _Base) -> Iterator[Event]:
    for result in entry.results:
        change = base.reading.intents.get(result.step)
        if change is not None:
            event = base.build_ours(entry, change)
            yield replace(event, step=result.step, status=result.status, message=result.message)


def _of_offboarding(entry: Offboarded, base: _Base) -> Iterator[Event]:
    """Yield what was decided of things that somebody who left had."""
    login = next((login for login, handle in base.reading.handles.items() if handle == entry.user), entry.user)
    account = Account(login)
    for leaving in entry.items:
        why = f": {leaving.reason}" if leaving.reason else ""
        ran = Ran(run="", plan="", actor=leaving.by or None, how=leaving.how or None)
        event = replace(base.build(entry, Change(account, account)), kind="offboarded", person=entry.user, since=None)
        yield replace(event, ran=ran, message=f"{leaving.item} {leaving.decision}{why}")


def _of_review(entry: ReviewClosed, base: _Base) -> Iterator[Event]:
    """Yield the decisions of a review, each on the right as it was then; who closed it stands where a run has who ran it."""
    for decided in entry.decisions:
        judged = Judged(
            name=entry.review, item=decided.item, decision=decided.decision, by=decided.by, reason=decided.reason,
            account=account_of(decided.right.key) or "", group=decided.group, rest=not decided.by,
        )  # fmt: skip
        event = base.build(entry, Change(decided.right, decided.right))
        yield replace(event, kind="reviewed", ran=_describe_run(None, entry.actor), since=None, review=judged)


def _of_others(path: Path, record: Record, entry: Entry, base: _Base) -> Iterator[Event]:
    """Yield the changes that others have made since the record before."""
    for part in record.read_parts():
        sides: dict[Key, dict[str, Resource]] = {}
        try:
            for sign, resource in read_changed(part, "others"):
                sides.setdefault(resource.key, {})[sign] = resource
        except CodecError as problem:
            raise broken_by(path, record.line, problem) from None
        for both in sides.values():
            yield base.build(entry, Change(both.get(GONE), both.get(COME)))
