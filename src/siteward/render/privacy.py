"""Hiding who is meant, once, before anything is rendered.

`handles` keeps the names that the declaration gives to its own people and hides every e-mail address and every
other login; `counts` keeps nothing but the numbers. Excerpts of files go in both, for they hold addresses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.model import Account, Grant, Group, Key, Member, Power, Resource, Subject, account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Plan, Step, Stranger
    from siteward.access.report import DriftItem, Missing, Outcome, Report
    from siteward.access.state import Origin
    from siteward.render.options import Privacy

_T = TypeVar("_T")

HIDDEN_MAIL = "(e-mail hidden)"
OTHER_MAIL = "(another, hidden)"
_MAIL = re.compile(r"[^\s\"'`<>()\[\]{},;:=]+@[^\s\"'`<>()\[\]{},;:=]+")


def veil(report: Report, privacy: Privacy) -> Report:
    """Return `report` with what `privacy` does not allow taken out of it."""
    if privacy == "full":
        return report
    if privacy == "counts":
        plan = replace(report.plan, instances=(), diagnostics=()) if report.plan else None
        return replace(report, plan=plan, diagnostics=(), outcomes=(), drift=(), texts={}, journal=None, next=None)
    return _Veil(report).report()


class _Veil:
    """One report's pseudonyms, and the walk that puts them in place of the names."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._names = dict(_pseudonyms(report))
        known = sorted((each for each in self._names if each not in _words(report)), key=len, reverse=True)
        self._in_text = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, known))})(?![\w-])") if known else None

    def report(self) -> Report:
        full = self._report
        return replace(
            full,
            diagnostics=tuple(map(self._diagnostic, full.diagnostics)),
            plan=self._plan(full.plan) if full.plan else None,
            outcomes=tuple(map(self._outcome, full.outcomes)),
            drift=tuple(map(self._drift, full.drift)),
            next=_maybe(hide_mails, full.next),
            texts={},
        )

    def _name(self, name: str) -> str:
        return self._names.get(name, name)

    def _text(self, text: str) -> str:
        text = _MAIL.sub(lambda found: self._names.get(found.group(), HIDDEN_MAIL), text)
        return self._in_text.sub(lambda found: self._names[found.group()], text) if self._in_text else text

    def _plan(self, plan: Plan) -> Plan:
        return replace(
            plan,
            instances=tuple(map(self._instance, plan.instances)),
            diagnostics=tuple(map(self._diagnostic, plan.diagnostics)),
        )

    def _instance(self, instance: InstancePlan) -> InstancePlan:
        return replace(
            instance,
            me=_maybe(self._name, instance.me),
            steps=tuple(map(self._step, instance.steps)),
            held_back=tuple(map(self._step, instance.held_back)),
            strangers=tuple(map(self._stranger, instance.strangers)),
            waiting=tuple(map(self._key, instance.waiting)),
            diagnostics=tuple(map(self._diagnostic, instance.diagnostics)),
            unreadable=tuple(map(self._text, instance.unreadable)),
        )

    def _step(self, step: Step) -> Step:
        before, after = self._side(step.change.before), self._side(step.change.after)
        if (
            isinstance(before, Account)
            and isinstance(after, Account)
            and _mail(step.change.before) != _mail(step.change.after)
        ):
            after = replace(after, email=OTHER_MAIL)  # hidden alike, the two would look like no change at all
        return replace(
            step,
            change=Change(before, after),
            origin=_maybe(self._origin, step.origin),
            ids={},
            diagnostics=tuple(map(self._diagnostic, step.diagnostics)),
        )

    def _origin(self, origin: Origin) -> Origin:
        return replace(
            origin,
            via=tuple(map(self._text, origin.via)),
            reason=_maybe(self._text, origin.reason),
            others=tuple(map(self._origin, origin.others)),
        )

    def _stranger(self, stranger: Stranger) -> Stranger:
        return replace(stranger, name=self._name(stranger.name), email=None, facts={})

    def _outcome(self, outcome: Outcome) -> Outcome:
        return replace(
            outcome,
            step=self._step(outcome.step),
            message=self._text(outcome.message),
            hint=_maybe(self._text, outcome.hint),
            reviewed=self._side(outcome.reviewed),
            now=self._side(outcome.now),
            wanted=self._side(outcome.wanted),
        )

    def _drift(self, item: DriftItem) -> DriftItem:
        return replace(
            item,
            declared=self._side(item.declared),
            live=self._side(item.live),
            journalled=self._side(item.journalled),
            step=_maybe(self._step, item.step),
            note=_maybe(self._text, item.note),
        )

    def _diagnostic(self, said: Diagnostic) -> Diagnostic:
        return replace(
            said,
            message=self._text(said.message),
            about=_maybe(self._key, said.about),
            hint=_maybe(self._text, said.hint),
            suggestion=_maybe(self._text, said.suggestion),
            allowed=tuple(map(self._text, said.allowed)),
            who=_maybe(self._text, said.who),
        )

    def _key(self, key: Key) -> Key:
        name = account_of(key)
        return key if name is None else tuple(self._name(each) if each == name else each for each in key)

    def _side(self, resource: Resource | None) -> Resource | None:
        match resource:
            case None | Group() | Grant(subject=Subject(kind="group")):
                return resource
            case Account(name=name, email=email, renamed=renamed):
                mail = _maybe(_hide_mail, email)
                return replace(resource, name=self._name(name), email=mail, renamed=_maybe(self._name, renamed))
            case Member(account=account):
                return replace(resource, account=self._name(account))
            case Grant(subject=subject):
                return replace(resource, subject=Subject("account", self._name(subject.name)))


def _hide_mail(_: str) -> str:
    return HIDDEN_MAIL


def veil_missing(missing: Iterable[Missing], privacy: Privacy) -> tuple[Missing, ...]:
    """Return what could not be read, with its reasons as far as they may be told."""
    if privacy == "full":
        return tuple(missing)
    return tuple(replace(each, why="" if privacy == "counts" else hide_mails(each.why)) for each in missing)


def hide_mails(text: str) -> str:
    """Return text with every e-mail address hidden."""
    return _MAIL.sub(HIDDEN_MAIL, text)


def _mail(resource: Resource | None) -> str | None:
    return resource.email if isinstance(resource, Account) else None


def _maybe(change: Callable[[_T], _T], value: _T | None) -> _T | None:
    return None if value is None else change(value)


def _pseudonyms(report: Report) -> Iterator[tuple[str, str]]:
    """Yield each login that is not a handle, with the handle behind it or a number instead."""
    handles = _handles(report)
    known = set(handles.values())
    number = 0
    for name in dict.fromkeys(_logins(report)):
        if name in handles:
            yield name, handles[name]
        elif name not in known:
            number += 1
            yield name, f"account-{number}"


def _handles(report: Report) -> Mapping[str, str]:
    """Return the handle behind each login of a declared person."""
    steps = {account_of(each.change.key): each.person for each in _steps(report)}
    return {login: person for login, person in steps.items() if login is not None and person is not None}


def _steps(report: Report) -> Iterator[Step]:
    for instance in report.plan.instances if report.plan else ():
        yield from instance.steps
        yield from instance.held_back
    yield from (each.step for each in report.outcomes)
    yield from (each.step for each in report.drift if each.step)


def _logins(report: Report) -> Iterator[str]:
    for key in _keys(report):
        if (name := account_of(key)) is not None:
            yield name
    for step in _steps(report):
        for side in (step.change.before, step.change.after):
            if isinstance(side, Account) and side.renamed:
                yield side.renamed
    for instance in report.plan.instances if report.plan else ():
        yield from (each.name for each in instance.strangers)
        if instance.me:
            yield instance.me


def _keys(report: Report) -> Iterator[Key]:
    yield from (each.change.key for each in _steps(report))
    for item in report.drift:
        yield from (side.key for side in (item.declared, item.live, item.journalled) if side is not None)
    said = [*report.diagnostics, *(each for step in _steps(report) for each in step.diagnostics)]
    for instance in report.plan.instances if report.plan else ():
        yield from instance.waiting
        said += instance.diagnostics
    yield from (each.about for each in said if each.about is not None)


def _words(report: Report) -> frozenset[str]:
    """Return the words of the platforms themselves: an account of that name cannot be told from them in a text."""
    sides = (side for step in _steps(report) for side in (step.change.before, step.change.after))
    return frozenset({each.word for each in Power} | {each.role for each in sides if isinstance(each, Grant)})
