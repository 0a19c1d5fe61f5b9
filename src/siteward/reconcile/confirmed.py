"""Decisions of reviews as the journals have them: when each right was last confirmed and by whom, and what is overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.certification import Confirmations, Confirmed, Horizon, identify, review
from siteward.access.diagnostic import plural, warning
from siteward.access.model import Account, Grant, Member, account_of
from siteward.reconcile.events import events_of
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.entries import ReviewClosed
from siteward.reconcile.journal.reading import STATES, path_of, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.certification import Item, Review
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.event import Event, Judged
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.journal.entries import Reviewed
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.survey import Survey

_SHOWN = 10
"""So many rights are named in one finding."""


def taken_before(journals: Journals, instances: Iterable[str], name: str) -> Mapping[str, Reviewed]:
    """Return the decisions of a round that the journals have, by item. Raises `JournalBrokenError`."""
    return {
        decided.item: decided
        for instance in instances
        for entry in read(path_of(journals.folder, instance), journals.key).entries
        if isinstance(entry, ReviewClosed) and entry.review == name
        for decided in entry.decisions
    }


def confirmations(journals: Journals, instances: Iterable[Instance], as_of: datetime) -> Confirmations:
    """Return what the journals say of reviews by a moment; a journal that is broken says nothing, and is told elsewhere."""
    last: dict[str, Confirmed] = {}
    since: dict[str, datetime] = {}
    known: dict[str, datetime] = {}
    for instance in instances:
        try:
            content = read(path_of(journals.folder, instance.name), journals.key)
            first = next((entry.at for entry in content.entries if isinstance(entry, STATES)), None)
            if first is not None:
                known[instance.name] = first
            _follow(content, instance, as_of, last, since)
        except JournalBrokenError:
            continue
    return Confirmations(last=last, since=since, known_since=known)


def _follow(
    content: JournalContent, instance: Instance, as_of: datetime, last: dict[str, Confirmed], since: dict[str, datetime]
) -> None:
    """Follow the entries of a journal: decisions confirm, and what becomes another right is not confirmed any more."""
    traits = instance.platform.widest
    decided: dict[str, Judged] = {}
    found = events_of(content.standing.path, content.marked, content.chain.records, instance.name, traits)
    for event in found:
        if event.at > as_of:
            break
        if event.review is not None:
            _note_decision(event, last, decided)
        elif event.status == "done":
            _note_change(event, last, decided, since)


def _note_decision(event: Event, last: dict[str, Confirmed], decided: dict[str, Judged]) -> None:
    told = event.review
    if told is None or told.decision == "overdue" or not isinstance(event.change.after, Grant):
        return  # that nobody decided takes no earlier confirmation away
    last.pop(told.item, None)
    if told.decision.partition(" ")[0] in {"keep", "change"}:
        right = event.change.after
        last[told.item] = Confirmed(
            at=event.at, by=told.by, decision=told.decision, review=told.name,
            role=right.role if told.decision == "keep" else None,
        )  # fmt: skip
        decided[told.item] = told


def _note_change(
    event: Event, last: dict[str, Confirmed], decided: dict[str, Judged], since: dict[str, datetime]
) -> None:
    """Forget the confirmation of a right that came, went or became another one."""
    side = event.change.after or event.change.before
    account = account_of(event.change.key)
    match side:
        case Grant() if account is not None:
            item = identify(event.instance, account, side.scope)
            if event.kind == "gained":
                since[item] = event.at
            changed_by_it = item in last and last[item].decision != "keep" and event.kind not in {"gained", "lost"}
            if not changed_by_it:
                last.pop(item, None)
        case Member() if event.kind == "left":
            for item in [item for item, told in decided.items() if (told.account, told.group) == (account, side.group)]:
                last.pop(item, None)
        case Account() if event.kind in {"created", "deleted"}:
            for item in [item for item, told in decided.items() if told.account == account]:
                last.pop(item, None)
        case _:
            pass


def confirmed_on(
    journals: Journals, instances: Iterable[Instance], surveys: Iterable[Survey], as_of: datetime
) -> Confirmations:
    """Return what the journals of surveyed instances say of reviews, with the days that the policies allow."""
    days = {survey.name: survey.proposal.policy.reviews for survey in surveys}
    chosen = [instance for instance in instances if instance.name in days]
    return replace(confirmations(journals, chosen, as_of), days=days)


def warn_overdue(
    declaration: Declaration,
    journals: Journals,
    instances: Iterable[Instance],
    surveys: Iterable[Survey],
    as_of: datetime,
) -> tuple[Diagnostic, ...]:
    """Return the warnings about rights that no review has confirmed in time, where the policy asks for reviews."""
    asked = [survey for survey in surveys if survey.proposal.policy.reviews]
    if not asked:
        return ()
    from siteward.reconcile.certify import ledgers  # noqa: PLC0415 — it loads the editor of files

    confirmed = confirmed_on(journals, instances, asked, as_of)
    return tell_overdue(review(ledgers(declaration, asked), Horizon(as_of=as_of), confirmed=confirmed), confirmed)


def tell_overdue(made: Review, confirmed: Confirmations) -> tuple[Diagnostic, ...]:
    """Return a warning for each instance on which rights of a review are overdue, or nothing can be known of that."""
    return tuple(_tell_overdue(made, confirmed))


def _tell_overdue(made: Review, confirmed: Confirmations) -> Iterator[Diagnostic]:
    for instance, days in confirmed.days.items():
        if days and instance not in confirmed.known_since:
            words = (
                "`policy.reviews` says how often access is reviewed, and there is no journal that knows of any review"
            )
            yield replace(warning("no-journal", words, hint="`siteward apply` begins it"), instance=instance)
        items = [item for item in made.items if item.instance == instance and "overdue" in item.flags]
        if items:
            more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
            named = ", ".join(map(_name_item, items[:_SHOWN]))
            words = f"{plural(len(items), 'right')} not confirmed in time: {named}{more}"
            hint = "siteward review start NAME --reviewers by-owner --due DATE"
            yield replace(warning("review-overdue", words, hint=hint), instance=instance)


def _name_item(item: Item) -> str:
    last = f"last on {item.confirmed.at:%Y-%m-%d}" if item.confirmed else "never"
    where = "the whole instance" if item.scope.kind == "instance" else item.scope.name
    return f"{item.handle or item.account} on {where} ({last})"
