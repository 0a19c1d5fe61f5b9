"""Redacts names from reports, once, before anything is rendered.

`handles` keeps the handles of declared users and hides every e-mail address and every other account name; `counts` keeps
only the numbers. Both drop excerpts of files, which contain addresses.

Texts may name accounts that appear nowhere else in a report, so they are searched for every account name that the
instance is known to have (`Report.accounts`). Where these are not known, as for a saved plan that is shown, a
diagnostic keeps its rule and has the sentence of the catalogue instead of its message.
"""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from siteward.access.api_key import BY_PEOPLE
from siteward.access.catalog import sentence
from siteward.access.change import Change
from siteward.access.diagnostic import Accepted
from siteward.access.model import Account, Accounts, Grant, Group, Key, Member, Power, Resource, Subject, account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Need, Plan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, Missing, Outcome, Report
    from siteward.access.state import Origin
    from siteward.render.context import Privacy

_T = TypeVar("_T")

HIDDEN_MAIL = "(e-mail hidden)"
OTHER_MAIL = "(another, hidden)"
HIDDEN_ACCOUNT = "(account hidden)"
HIDDEN_KEY = "(name hidden)"
UNTOLD = "(not told)"
OUR_WORDS = frozenset({"siteward", *(power.word for power in Power)})
"""The program's name and the access levels: an account of such a name cannot be distinguished from the word in a text."""
# An apostrophe is part of an address between two letters only, so that quotes around an address stay.
_MAIL = r"(?:[^\s\"'`<>()\[\]{},;:=@]|(?<=\w)'(?=\w))+(?:@|%40)[^\s\"'`<>()\[\]{},;:=]+"
_DOMAIN = r"(?:@[^\s\"'`<>()\[\]{},;:=]+)?"
_PLAIN = re.compile(r"\w(?:[\w.-]*\w)?")
_WORD = r"\w[\w.-]*"
_ANY_MAIL = re.compile(_MAIL)


class Names:
    """The replacements for the account names of one instance, and the search for these names in texts.

    `names` maps account names to handles and pseudonyms; a handle maps to itself. `words` are kept in texts even if an
    account has such a name: the platform's own words, such as `admin` and `view`.
    """

    def __init__(self, names: Mapping[str, str], words: frozenset[str] = OUR_WORDS) -> None:
        self._names = names
        hidden = {name: shown for name, shown in names.items() if shown != name and name not in words}
        kept = {name: name for name in (*names.values(), *words)}
        # Patterns and logins in files may differ in case from the account's name.
        self._in_text = {name.casefold(): shown for name, shown in hidden.items()} | hidden | kept
        odd = [name for name in hidden if not _PLAIN.fullmatch(name) and not _ANY_MAIL.fullmatch(name)]
        parts = [_name_pattern(name) for name in sorted(odd, key=len, reverse=True)]
        self._pattern = re.compile("|".join((*parts, _MAIL, _WORD)), re.IGNORECASE)

    def name(self, name: str) -> str:
        """Return the replacement for an account name; `HIDDEN_ACCOUNT` for one that is not known."""
        return self._names.get(name, HIDDEN_ACCOUNT)

    def reviewer(self, by: str) -> str:
        """Return who decided, as a sheet says: a declared handle, the admins, nobody, or `someone`."""
        return by if by in {"", "admins"} or self._names.get(by) == by else SOMEONE

    def text(self, text: str) -> str:
        """Return a text with addresses hidden and account names replaced."""
        return self._pattern.sub(self._replace_match, text)

    def _replace_match(self, match: re.Match[str]) -> str:
        whole = match.group()
        for length in range(len(whole), len(whole.rstrip(".-")) - 1, -1):  # a full stop may end the sentence
            part = whole[:length]
            if (shown := self._in_text.get(part) or self._in_text.get(part.casefold())) is not None:
                return shown + whole[length:]
        if "@" not in whole and "%40" not in whole:
            return whole
        return HIDDEN_MAIL + whole[len(whole.rstrip(".-")) :]

    def origin(self, origin: Origin) -> Origin:
        """Return an origin with names replaced in everything that people wrote."""
        return replace(
            origin,
            via=tuple(map(self.text, origin.via)),
            ticket=_apply(self.text, origin.ticket),
            reason=_apply(self.text, origin.reason),
            others=tuple(map(self.origin, origin.others)),
        )

    def diagnostic(self, said: Diagnostic) -> Diagnostic:
        """Return a diagnostic with names replaced in its texts; what people called a key that no file lists is not told."""
        if said.code in BY_PEOPLE and said.at is None and said.thing:
            said = replace(said, message=said.message.replace(f"`{said.thing}`", f"`{HIDDEN_KEY}`", 1), thing=None)
        return replace(
            said,
            message=self.text(said.message),
            about=_apply(self.key, said.about),
            hint=_apply(self.text, said.hint),
            suggestion=_apply(self.text, said.suggestion),
            allowed=tuple(map(self.text, said.allowed)),
            who=_apply(self.text, said.who),
            thing=_apply(self.text, said.thing),
            waived=_apply(self._accepted, said.waived),
        )

    def _accepted(self, waived: Accepted) -> Accepted:
        return Accepted(self.text(waived.reason), waived.until)

    def wordless(self, said: Diagnostic) -> Diagnostic:
        """Return a diagnostic with its rule, place and effect, and the catalogue's sentence in place of its texts."""
        return replace(
            said,
            message=sentence(said.code),
            about=_apply(self.key, said.about),
            hint=None,
            suggestion=None,
            allowed=(),
            who=None,
            thing=None,
            waived=_apply(lambda waived: Accepted(UNTOLD, waived.until), said.waived),
        )

    def key(self, key: Key) -> Key:
        """Return a key with the account's name replaced."""
        name = account_of(key)
        return key if name is None else tuple(self.name(part) if part == name else part for part in key)

    def side(self, resource: Resource | None) -> Resource | None:
        """Return one side of a change with names replaced and addresses hidden."""
        match resource:
            case None | Group() | Grant(subject=Subject(kind="group")):
                return resource
            case Account(name=name, email=email, renamed=renamed):
                mail = _apply(_hide_mail, email)
                return replace(resource, name=self.name(name), email=mail, renamed=_apply(self.name, renamed))
            case Member(account=account):
                return replace(resource, account=self.name(account))
            case Grant(subject=subject):
                return replace(resource, subject=Subject("account", self.name(subject.name)))

    def step(self, step: Step) -> Step:
        """Return a step with names replaced, addresses hidden and platform ids removed."""
        before, after = self.side(step.change.before), self.side(step.change.after)
        if (
            isinstance(before, Account)
            and isinstance(after, Account)
            and _mail_of(step.change.before) != _mail_of(step.change.after)
        ):
            after = replace(after, email=OTHER_MAIL)  # equal placeholders would look like no change
        return replace(
            step,
            change=Change(before, after),
            origin=_apply(self.origin, step.origin),
            ids={},
            diagnostics=tuple(map(self.diagnostic, step.diagnostics)),
        )


class Pseudonyms:
    """The replacement for every account name: the handle of its declared user, or a number that is the same everywhere."""

    def __init__(self, accounts: Accounts, words: frozenset[str] = OUR_WORDS, first: Iterable[str] = ()) -> None:
        """Assign numbers to the accounts without a declared user, those of `first` before the others."""
        handles = {handle for known in accounts.values() for handle in known.values() if handle is not None}
        merged: dict[str, set[str | None]] = {}
        for known in accounts.values():
            for name, handle in known.items():
                merged.setdefault(name, set()).add(handle)
        foreign = {name for name, users in merged.items() if None in users or len(users) > 1} - handles
        order = (name for name in dict.fromkeys((*first, *merged)) if name in foreign)
        numbers = {name: f"account-{number}" for number, name in enumerate(order, 1)}
        everywhere = {
            name: numbers.get(name) or (min(filter(None, users), default=name)) for name, users in merged.items()
        }
        everywhere |= {handle: handle for handle in handles if handle not in everywhere}
        own = {
            instance: {name: handle or numbers.get(name, name) for name, handle in known.items()}
            for instance, known in accounts.items()
        }
        self._everywhere = Names(everywhere, words)
        self._own = {instance: Names(everywhere | names, words) for instance, names in own.items()}

    def of(self, instance: str | None) -> Names:
        """Return the replacements for an instance; those for texts of no instance where its accounts are not known."""
        return self._own.get(instance or "", self._everywhere)


SOMEONE = "someone"
"""What stands for people who may not be named."""


def redact(report: Report, privacy: Privacy) -> Report:
    """Return `report` redacted as `privacy` asks."""
    if privacy == "full":
        return report
    if privacy == "counts":
        plan = report.plan
        if plan is not None:
            only = tuple(word.partition(":")[0] for word in plan.only)
            plan = replace(plan, instances=(), diagnostics=(), only=only, needs=_without_names(plan.needs))
        return replace(
            report, plan=plan, diagnostics=(), outcomes=(), drift=(), texts={}, accounts=None, journal=None, next=None
        )
    return _Redaction(report).report()


def errors_of(report: Report, privacy: Privacy) -> tuple[Diagnostic, ...]:
    """Return the errors of a report, redacted as `privacy` asks, for commands that show them beside an answer."""
    every = (*report.diagnostics, *(report.plan.diagnostics if report.plan else ()), *_rows_in_error(report))
    errors = tuple(diagnostic for diagnostic in every if diagnostic.blocks)
    if privacy == "full":
        return errors
    names = Pseudonyms(_accounts(report))
    if privacy == "counts":
        return tuple(replace(names.of(None).wordless(error), instance=None) for error in errors)
    return tuple(names.of(error.instance).diagnostic(error) for error in errors)


def redact_text(text: str, accounts: Accounts, privacy: Privacy) -> str:
    """Return a text with lines of the files as `privacy` asks: with names hidden, and with counts nothing of it."""
    if privacy == "full":
        return text
    return "" if privacy == "counts" else Pseudonyms(accounts).of(None).text(text)


def _rows_in_error(report: Report) -> Iterator[Diagnostic]:
    """Yield the errors of rows of the file, each with the instance for which it leaves open what is declared."""
    for instance in report.plan.instances if report.plan is not None else ():
        if instance.flawed:
            yield from (replace(said, instance=instance.instance) for said in instance.diagnostics if said.local)


class _Redaction:
    """The redaction of one report: its pseudonyms, and the functions that put them in place of names."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known = report.accounts or {}
        self._names = Pseudonyms(_accounts(report), _kept_words(report), (name for _, name in _logins(report)))

    def report(self) -> Report:
        """Return the redacted report."""
        full, names = self._report, self._names
        return replace(
            full,
            diagnostics=tuple(names.of(diagnostic.instance).diagnostic(diagnostic) for diagnostic in full.diagnostics),
            plan=self._plan(full.plan) if full.plan else None,
            outcomes=tuple(map(self._outcome, full.outcomes)),
            drift=tuple(map(self._drift, full.drift)),
            next=_apply(names.of(None).text, full.next),
            journal=_apply(hide_mails, full.journal),
            texts={},
            accounts=None,
        )

    def _step(self, step: Step, instance: str) -> Step:
        """Return a step without names; where an instance's names are not known, without what people wrote."""
        names = self._names.of(instance)
        shown = names.step(step)
        if instance in self._known:
            return shown
        diagnostics = tuple(map(names.wordless, step.diagnostics))
        return replace(shown, origin=_apply(_drop_written, shown.origin), diagnostics=diagnostics)

    def _plan(self, plan: Plan) -> Plan:
        return replace(
            plan,
            only=tuple(map(self._names.of(None).text, plan.only)),
            waived=tuple(replace(waived, about=self._waived(waived.about)) for waived in plan.waived),
            needs=_without_names(plan.needs) if self._report.accounts is None else plan.needs,
            instances=tuple(map(self._instance, plan.instances)),
            diagnostics=tuple(
                names.wordless(diagnostic) if self._report.accounts is None else names.diagnostic(diagnostic)
                for diagnostic in plan.diagnostics
                for names in (self._names.of(diagnostic.instance),)
            ),
        )

    def _waived(self, about: str) -> str:
        return UNTOLD if self._report.accounts is None else self._names.of(None).text(about)

    def _instance(self, instance: InstancePlan) -> InstancePlan:
        names, known = self._names.of(instance.instance), instance.instance in self._known
        return replace(
            instance,
            me=_apply(names.name, instance.me),
            steps=tuple(self._step(step, instance.instance) for step in instance.steps),
            held_back=tuple(self._step(step, instance.instance) for step in instance.held_back),
            left_out=tuple(self._step(step, instance.instance) for step in instance.left_out),
            unmanaged=tuple(_redact_unmanaged(account, names) for account in instance.unmanaged),
            waiting=tuple(map(names.key, instance.waiting)),
            diagnostics=tuple(map(names.diagnostic if known else names.wordless, instance.diagnostics)),
            unreadable=tuple(names.text(listing) if known else UNTOLD for listing in instance.unreadable),
            emptied=tuple(map(names.name, instance.emptied)),
        )

    def _outcome(self, outcome: Outcome) -> Outcome:
        names = self._names.of(outcome.instance)
        return replace(
            outcome,
            step=self._step(outcome.step, outcome.instance),
            message=names.text(outcome.message),
            hint=_apply(names.text, outcome.hint),
            reviewed=names.side(outcome.reviewed),
            now=names.side(outcome.now),
            wanted=names.side(outcome.wanted),
        )

    def _drift(self, item: DriftItem) -> DriftItem:
        names = self._names.of(item.instance)
        return replace(
            item,
            declared=names.side(item.declared),
            live=names.side(item.live),
            journalled=names.side(item.journalled),
            step=self._step(item.step, item.instance) if item.step else None,
            note=_apply(names.text, item.note),
        )


def _without_names(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Return needs without the people who may give an approval; those that differ in nothing else stand as one."""
    steps: Counter[str] = Counter()
    kinds = {need.need: replace(need, by=(SOMEONE,) if need.by else ()) for need in needs}
    for need in needs:
        steps[need.need] += need.steps
    return tuple(replace(need, steps=steps[kind]) for kind, need in kinds.items())


def _drop_written(origin: Origin) -> Origin:
    """Return an origin without tickets and reasons, which may name anybody."""
    return replace(origin, ticket=None, reason=None, others=tuple(map(_drop_written, origin.others)))


def _redact_unmanaged(account: UnmanagedAccount, names: Names) -> UnmanagedAccount:
    return replace(account, name=names.name(account.name), email=None, facts={})


def _name_pattern(name: str) -> str:
    """Return the pattern of a name that is not part of a longer word."""
    left, right = r"(?<!\w)" if name[:1].isalnum() else "", r"(?!\w)" if name[-1:].isalnum() else ""
    return f"{left}{re.escape(name)}{right}{_DOMAIN}"


def _hide_mail(_: str) -> str:
    return HIDDEN_MAIL


def redact_missing(
    missing: Iterable[Missing], privacy: Privacy, accounts: Accounts = MappingProxyType({})
) -> tuple[Missing, ...]:
    """Return the instances that were not read, with their reasons redacted; `counts` leaves no reasons."""
    if privacy == "full":
        return tuple(missing)
    names = Pseudonyms(accounts)
    return tuple(
        replace(gap, why="" if privacy == "counts" else names.of(gap.instance).text(gap.why)) for gap in missing
    )


def redact_said(
    said: Iterable[Diagnostic], privacy: Privacy, accounts: Accounts = MappingProxyType({})
) -> tuple[Diagnostic, ...]:
    """Return diagnostics beside an answer with names redacted; `counts` leaves of each what the catalogue says."""
    if privacy == "full":
        return tuple(said)
    names = Pseudonyms(accounts)
    shown = ((told, names.of(told.instance or "")) for told in said)
    return tuple(by.wordless(told) if privacy == "counts" else by.diagnostic(told) for told, by in shown)


def hide_mails(text: str) -> str:
    """Return a text with every e-mail address hidden."""
    return _ANY_MAIL.sub(HIDDEN_MAIL, text)


def _mail_of(resource: Resource | None) -> str | None:
    return resource.email if isinstance(resource, Account) else None


def _apply(change: Callable[[_T], _T], value: _T | None) -> _T | None:
    """Return the changed value; `None` for `None`."""
    return None if value is None else change(value)


def _accounts(report: Report) -> Accounts:
    """Return every account name by instance, with its handle: those in the report, then the others that are known."""
    accounts: dict[str, dict[str, str | None]] = {}
    known, people = report.accounts or {}, _people(report)
    for instance, name in _logins(report):
        handles = accounts.setdefault(instance, {})
        if handles.get(name) is None:
            handles[name] = known.get(instance, {}).get(name) or people.get((instance, name))
    for instance, names in known.items():
        handles = accounts.setdefault(instance, {})
        for name, handle in names.items():
            handles.setdefault(name, handle)
    return accounts


def _people(report: Report) -> Mapping[tuple[str, str], str]:
    """Return the handle behind each account that a step is about."""
    steps = {(instance, account_of(step.change.key)): step.person for instance, step in _steps(report)}
    return {
        (instance, name): person
        for (instance, name), person in steps.items()
        if name is not None and person is not None
    }


def _steps(report: Report) -> Iterator[tuple[str, Step]]:
    for instance in report.plan.instances if report.plan else ():
        yield from ((instance.instance, step) for step in (*instance.steps, *instance.held_back, *instance.left_out))
    yield from ((outcome.instance, outcome.step) for outcome in report.outcomes)
    yield from ((item.instance, item.step) for item in report.drift if item.step)


def _logins(report: Report) -> Iterator[tuple[str, str]]:
    for instance, key in _keys(report):
        if (name := account_of(key)) is not None:
            yield instance, name
    for instance, step in _steps(report):
        for side in (step.change.before, step.change.after):
            if isinstance(side, Account) and side.renamed:
                yield instance, side.renamed
    for part in report.plan.instances if report.plan else ():
        yield from ((part.instance, account.name) for account in part.unmanaged)
        yield from ((part.instance, name) for name in (part.me, *part.emptied) if name)


def _keys(report: Report) -> Iterator[tuple[str, Key]]:
    """Yield the instance and the key of everything that a report is about."""
    yield from ((instance, step.change.key) for instance, step in _steps(report))
    sides = [(item.instance, side) for item in report.drift for side in (item.declared, item.live, item.journalled)]
    sides += [
        (outcome.instance, side)
        for outcome in report.outcomes
        for side in (outcome.reviewed, outcome.now, outcome.wanted)
    ]
    yield from ((instance, side.key) for instance, side in sides if side is not None)
    said = [(diagnostic.instance or "", diagnostic) for diagnostic in report.diagnostics]
    said += [(instance, diagnostic) for instance, step in _steps(report) for diagnostic in step.diagnostics]
    for part in report.plan.instances if report.plan else ():
        yield from ((part.instance, key) for key in part.waiting)
        said += [(part.instance, diagnostic) for diagnostic in part.diagnostics]
    said += [(diagnostic.instance or "", diagnostic) for diagnostic in (report.plan.diagnostics if report.plan else ())]
    yield from ((instance, diagnostic.about) for instance, diagnostic in said if diagnostic.about is not None)


def _kept_words(report: Report) -> frozenset[str]:
    """Return the words that texts keep even if an account has such a name: the report's roles and our own words."""
    sides = (side for _, step in _steps(report) for side in (step.change.before, step.change.after))
    return OUR_WORDS | {side.role for side in sides if isinstance(side, Grant)}
