"""Phrases that all outputs share: descriptions of changes, causes, places, totals and outcomes.

The text is independent of formats and unescaped; each renderer sends it through its own escapes.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, assert_never

from siteward.access.diagnostic import plural
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Key, Member, Resource, Scope, account_of, scope_of
from siteward.render.repeats import Occurrence, tell_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from siteward.access.certification import Confirmed
    from siteward.access.change import Change
    from siteward.access.dates import Due
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Cause, InstancePlan, Need, Plan, Risk, Step
    from siteward.access.report import DriftItem, DriftKind, Missing, Outcome, OutcomeStatus, Report, Summary
    from siteward.access.state import Origin

CAUSES: dict[Cause, str] = {
    "granted": "",
    "silence": "not in the file",
    "unmanaged": "unmanaged account",
    "renamed": "renamed",
    "public": "as `public` says",
    "expired": "expired",
    "not-yet": "begins later",
    "suspended": "suspended",
    "absent": "declared absent",
    "left": "left the file",
}
DUE: dict[Due, str] = {"end": "end date passed", "start": "start date reached"}
UNDOES = "undoes a change made outside"
SINCE: dict[bool | None, str] = {None: "", False: "because of this change", True: "was pending before"}
# In the order in which outcomes are shown: failures first.
OUTCOMES: dict[OutcomeStatus, str] = {
    "unknown": "unknown",
    "failed": "failed",
    "refused": "refused",
    "blocked": "blocked",
    "skipped": "skipped",
    "already": "already as wanted",
    "done": "applied",
}
WELL: frozenset[OutcomeStatus] = frozenset({"done", "already"})
# Real drift first.
DRIFT: dict[DriftKind, str] = {
    "changed-since": "changed since the last apply",
    "undeclared": "live and not in the file",
    "unapplied": "declared and not applied yet (not drift)",
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?!\d)", re.ASCII)
RISKS: dict[Risk, str] = {"low": "low risk", "medium": "medium risk", "high": "high risk"}
ARROW = " → "


def moment(at: datetime) -> str:
    """Return an instant to the second, or to the minute where it is a whole one, with its offset (`Z` for UTC)."""
    exact = "seconds" if at.second else "minutes"
    return at.isoformat(sep=" ", timespec=exact).replace("+00:00", "Z")


def day(fact: str) -> str:
    """Return the day of a time that a platform tells, in its own form; a text that begins with no day stays as it is."""
    return fact[:10] if _DAY.match(fact) else fact


def confirmed(last: Confirmed | None) -> str:
    """Return when, by whom and in which review a right was last confirmed; empty where it was not."""
    return f"{moment(last.at)} by {last.by} (review {last.review})" if last is not None else ""


def end(until: datetime) -> str:
    """Return the moment at which something ends; where that is midnight, the day before, which is the day in the file."""
    return _date(until - timedelta(days=1)) if _is_midnight(until) else moment(until)


def begin(since: datetime) -> str:
    """Return the moment at which something begins; where that is midnight, the day, as in the file."""
    return _date(since) if _is_midnight(since) else moment(since)


def _is_midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second) == (0, 0, 0)


def _date(at: datetime) -> str:
    """Return a day, with the word UTC where it is one there and not in a time zone of the policy."""
    return at.date().isoformat() + (" UTC" if at.tzinfo is UTC else "")


@lru_cache(maxsize=1024)
def place(scope: Scope) -> str:
    """Return a scope as outputs name it, which they do for each of its grants."""
    return "whole instance" if scope == EVERYWHERE else str(scope)


def declared_user(key: Key) -> str:
    """Return the account that the resource of a key is about, else the group."""
    name = account_of(key)
    if name is not None:
        return name
    return f"group {key[1] if key[0] == 'group' else key[2]}"


def where(key: Key) -> str:
    """Return the place of the resource of a key: a site, the whole instance, a group, or `account`."""
    scope = scope_of(key)
    if scope is not None:
        return place(scope)
    return f"group {key[1]}" if key[0] == "member" else key[0]


def value(resource: Resource | None) -> str:
    """Return the value of a resource in a few words: a role with extras, an e-mail address, membership."""
    if isinstance(resource, Grant):
        return " +".join((resource.role, *sorted(resource.extras))) if resource.extras else resource.role
    match resource:
        case None:
            return "none"
        case Member():
            return "member"
        case Account(email=email):
            return email or "exists"
        case Group(external=external):
            return f"members from {external}" if external else "exists"
        case _:
            assert_never(resource)


def subject_of_change(change: Change) -> str:
    """Return the resource that a change is about, without the person: a place, or `account` and `new account`."""
    side = change.before if change.after is None else change.after
    if isinstance(side, Grant):
        return place(side.scope)
    if isinstance(side, Account | Group):
        return f"new {change.key[0]}" if change.before is None else change.key[0]
    return where(change.key)


def movement(change: Change, arrow: str = ARROW) -> str:
    """Return the change of the value: ``view → admin``, ``edit → none``, ``view`` for a new grant, ``deleted``."""
    if change.before is None and isinstance(change.after, Grant):  # as nearly all
        return value(change.after)
    match change.before, change.after:
        case (Account() | Group()) as before, (Account() | Group()) as after:
            return ", ".join(_fields(before, after, arrow)) or "unchanged"
        case ((Account() | Group()), None):
            return "deleted"
        case None, Account(email=email):
            return email or ""
        case None, after:
            return value(after)
        case before, after:
            return f"{value(before)}{arrow}{value(after)}"


def _fields(before: Account | Group, after: Account | Group, arrow: str) -> Iterator[str]:
    named = ("name" if isinstance(after, Group) else "login", before.name, after.renamed or after.name)
    rest = (("e-mail", "email"), ("language", "language"), ("members from", "external"))
    for name, old, new in (named, *((word, getattr(before, at, None), getattr(after, at, None)) for word, at in rest)):
        if new is not None and old != new:
            yield f"{name} {old or 'none'}{arrow}{new}"


def sentence(change: Change) -> str:
    """Return a change as a phrase: ``ana: role on shop.example.org view → admin``."""
    on = subject_of_change(change)
    if isinstance(change.after or change.before, Grant):
        on = f"role on {on}"
    return f"{declared_user(change.key)}: {on} {movement(change)}".rstrip()


def release(platform: str, version: str, edition: str) -> str:
    """Return a platform with its version, and its edition unless that repeats the platform's name."""
    return " ".join(filter(None, (platform, version, "" if edition.casefold() == platform.casefold() else edition)))


def title(step: Step) -> str:
    """Return the handle of the person that a step is about, with the login where that differs."""
    login, handle = declared_user(step.change.key), step.person
    return login if handle is None or handle == login else name_with_login(handle, login)


def name_with_login(handle: str | None, login: str) -> str:
    """Return a handle with the login where that differs; the login alone where there is no handle."""
    return login if handle in {None, login} else f"{handle} (login {login})"


def because(step: Step) -> tuple[str, ...]:
    """Return the reasons for a step in phrases: its cause, the way through the file, ticket, reason and end.

    The place in the file is not among them: each renderer shows it in its own way.
    """
    dated = DUE[step.due] if step.due and step.cause != "expired" else ""
    reasons = tuple(filter(None, (CAUSES[step.cause], dated, *_reasons(step.origin))))
    known = reasons or (() if step.origin else ("live only",))
    return tuple(filter(None, (*known, UNDOES if step.undoes else "", SINCE[step.pending])))


def partial(plan: Plan | None) -> str:
    """Return the mark of a plan that `--only` confines; empty for a whole one."""
    return f"PARTIAL, only {', '.join(plan.only)}" if plan is not None and plan.only else ""


def _reasons(origin: Origin | None) -> Iterator[str]:
    if origin is None:
        return
    if origin.via:
        yield "via " + ", ".join(origin.via)
    if origin.ticket:
        yield origin.ticket
    if origin.reason:
        yield origin.reason
    if origin.until:
        yield f"until {end(origin.until)}"


def location(step: Step) -> str:
    """Return the line that causes a step, as ``file:line``; empty if none does."""
    return f"{step.origin.at.file}:{step.origin.at.line}" if step.origin else ""


def headline(of: Summary) -> str:
    """Return the numbers of the plan's changes as one line."""
    parts = (
        (of.accounts_created, f"{plural(of.accounts_created, 'account')} to create"),
        (of.accounts_deleted, f"{plural(of.accounts_deleted, 'account')} to delete"),
        (of.grants_added, f"{plural(of.grants_added, 'grant')} to add"),
        (of.grants_raised, f"{of.grants_raised} to raise"),
        (of.grants_lowered, f"{of.grants_lowered} to lower"),
        (of.grants_revoked, f"{of.grants_revoked} to revoke"),
        (of.other_changes, plural(of.other_changes, "other change")),
        (of.blocked, f"{of.blocked} blocked"),
        (of.left_out, f"{plural(of.left_out, 'step')} left out by --only"),
        (of.unread, f"{plural(of.unread, 'instance')} not read"),
    )
    return ", ".join(text for count, text in parts if count) or _idle(of)


def _idle(of: Summary) -> str:
    """Return the line of a plan without changes; it does not claim more than was read."""
    if of.kept:
        return f"nothing to do, {of.kept} held back, {plural(of.errors, 'error')}"
    if of.differences:
        return f"nothing to do here, {differences(of.differences)}"
    if of.held_back:
        return f"nothing to do in this mode, {of.held_back} skipped"
    if of.unreadable:
        return f"nothing to do in what was read, {plural(of.unreadable, 'listing')} not read"
    if of.errors:
        return f"nothing can be done, {plural(of.errors, 'error')}"
    return "nothing to do in what the platform shows" if of.blind else "nothing to do"


def undeclared(*, declared: bool) -> str:
    """Return what is said of live access without a declared grant: of a declared person, or of an unmanaged account."""
    return "not granted in the file" if declared else "unmanaged"


def differences(count: int) -> str:
    """Return the number of differences between live and declared access that no step changes."""
    return f"{plural(count, 'difference')} that no step changes"


def held_back(instance: InstancePlan) -> str:
    """Return the heading of the steps that are left undone: by the mode, or because a row of the file is in error."""
    kept = sum(step.kept for step in instance.held_back)
    if not kept:
        return f"Skipped (mode {instance.mode})"
    return (
        "Held back (a row in error)"
        if kept == len(instance.held_back)
        else f"Held back (a row in error, or mode {instance.mode})"
    )


def consequences(of: Summary) -> tuple[str, ...]:
    """Return the plan's consequences in phrases: people affected, privileges, admins and mails."""
    parts = (
        (of.caused or of.pending, f"{plural(of.caused, 'step')} because of this change, {of.pending} pending before"),
        (of.people or of.sites, f"{plural(of.people, 'person', 'people')} and {plural(of.sites, 'site')} affected"),
        (of.powers_raised, f"{plural(of.powers_raised, 'privilege')} increased"),
        (of.admins_gained, f"{plural(of.admins_gained, 'admin')} gained"),
        (of.admins_lost, f"{plural(of.admins_lost, 'admin')} lost"),
        (of.losing_everything, f"{plural(of.losing_everything, 'person', 'people')} losing all access to an instance"),
        (of.mails, f"{plural(of.mails, 'mail')} to be sent"),
    )
    return tuple(text for count, text in parts if count)


def leftovers(of: Summary) -> tuple[str, ...]:
    """Return in phrases what is not acted on: skipped, waiting, unmanaged, ignored, not read, blind spots."""
    admins = f", {plural(of.unmanaged_admins, 'admin')} among them" if of.unmanaged_admins else ""
    parts = (
        (of.held_back, f"{of.held_back} skipped by the mode"),
        (of.kept, f"{of.kept} held back, a row is in error"),
        (of.differences and (of.creates or of.updates or of.deletes or of.blocked), differences(of.differences)),
        (of.waiting, f"{of.waiting} waiting for somebody's acceptance"),
        (of.unmanaged, f"{plural(of.unmanaged, 'unmanaged account')}{admins}"),
        (of.ignored, f"{plural(of.ignored, 'account')} ignored"),
        (of.unreadable, f"{plural(of.unreadable, 'listing')} not read"),
        (of.blind, f"{plural(of.blind, 'blind spot')}"),
    )
    return tuple(text for count, text in parts if count)


def coverage(of: Summary) -> str:
    """Return the share of the live accounts that are declared; empty where there are none. It never rounds up."""
    live = of.declared + of.unmanaged
    if not live:
        return ""
    share = f"{100 * of.declared // live} % of" if of.unmanaged else "all"
    return f"{share} live accounts are declared"


def standing(report: Report, of: Summary) -> str:
    """Return how much is declared, and for which moment dates were last carried out; empty where neither is known."""
    return " · ".join(filter(None, (coverage(of), *dates(report)))) if report.plan is not None else ""


def is_told(said: Diagnostic) -> bool:
    """Return whether a diagnostic is told without being asked for: no note is, but for where new passwords are and who approved."""
    return bool(said.severity) or said.code in {"password-delivered", "approved-as-told"}


def needs(plan: Plan | None) -> str:
    """Return what whoever applies a plan has to give, with the options for it; empty where it needs nothing."""
    return " · ".join(_need(need) for need in plan.needs) if plan is not None else ""


def _need(need: Need) -> str:
    match need.need:
        case "passwords":
            return f"a file for {plural(need.steps, 'new password')} (`--passwords-out FILE`)"
        case "deletions":
            return f"consent to delete {plural(need.steps, 'account')} (`--allow-delete`)"
        case "approval":
            steps = plural(need.steps, "step")
            if not need.by:
                return f"approval for {steps}, which nobody there may give: name an `owner` of the site"
            return f"approval by {' or '.join(need.by)} for {steps}"


def labels(of: Summary) -> tuple[str, ...]:
    """Return labels for a forge to put on a change request, most urgent first."""
    parts = (
        (of.blocked or of.errors, "blocked"),
        (of.admins_gained or of.admins_lost, "admin"),
        (of.powers_raised, "escalation"),
        (of.deletes or of.grants_lowered, "removal"),
        (of.accounts_created, "new-account"),
        (of.unread or of.unreadable, "incomplete"),
        (of.differences, "differs"),
    )
    urgent = tuple(f"access:{name}" for count, name in parts if count)
    return urgent or (("access:routine",) if of.creates or of.updates else ("access:unchanged",))


def commit(plan: Plan) -> str:
    """Return the commit of a plan, and that its files differ from it if they do; empty if none is known."""
    return f"{plan.commit}{' with changes not committed' if plan.dirty else ''}" if plan.commit else ""


def not_read(gap: Missing) -> str:
    """Return the sentence about an instance that an answer does not show, or not completely."""
    return f"{gap.instance} was {not_seen(gap)}"


def not_seen(gap: Missing) -> str:
    """Return why an instance is missing or incomplete, without its name."""
    if gap.partly:
        return gap.why or "not read whole: more may be live than is shown here"
    return f"not read: {gap.why}" if gap.why else "not read"


def gap_data(gap: Missing) -> dict[str, str]:
    """Return an instance that an answer misses, as every JSON document lists it under `incomplete`."""
    return {"instance": gap.instance, "why": not_seen(gap)}


def weight(said: Diagnostic) -> tuple[int, str, int, int]:
    """Return by what diagnostics are sorted: severity, the worst first, then file, line and column."""
    at = said.at
    return (-said.severity, *((at.file, at.line, at.column) if at else ("", 0, 0)))


def by_weight(said: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics sorted by severity, the worst first, then by place."""
    return sorted(said, key=weight)


def findings(of: Summary) -> str:
    """Return the numbers of errors and warnings."""
    silent = f" ({waived(of)})" if of.waived else ""
    return f"{plural(of.errors, 'error')}, {plural(of.warnings, 'warning')}{silent}"


def waived(of: Summary) -> str:
    """Return the number of warnings that waivers silence; empty where there is none."""
    return f"{plural(of.waived, 'warning')} waived" if of.waived else ""


def results(of: Summary) -> str:
    """Return the number of steps by outcome: ``applied 14, failed 1``."""
    parts = [f"{OUTCOMES[status]} {of.outcomes[status]}" for status in reversed(OUTCOMES) if of.outcomes.get(status)]
    if of.left_out:
        parts.append(f"{plural(of.left_out, 'step')} left out by --only")
    return ", ".join(parts) or "nothing was done"


def three(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """Return the reviewed, the live and the wanted value of a refused step, each after its name; else nothing.

    An outcome without these values was refused by a guard after revalidation, so that the live value is as reviewed.
    """
    if outcome.status != "refused":
        return ()
    sides = (outcome.reviewed, outcome.now, outcome.wanted)
    if sides == (None, None, None):
        change = outcome.step.change
        sides = (change.before, change.before, change.after)
    return tuple(zip(("reviewed", "now", "wanted"), map(value, sides), strict=True))


def dates(report: Report) -> tuple[str, ...]:
    """Return for which moment dates were last carried out, by instance, where that is no warning."""
    said = (found for found in report.diagnostics if found.code == "dates-carried-out" and not found.severity)
    return tuple(f"{told.where}{told.said.message}" for told in tell_once(map(Occurrence, said)))


def drifted(of: Summary) -> str:
    """Return the numbers of drift by kind."""
    parts = [f"{of.drift[kind]} {phrase}" for kind, phrase in DRIFT.items() if of.drift.get(kind)]
    if of.unread:
        parts.append(f"{plural(of.unread, 'instance')} not read")
    return ", ".join(parts) or _no_drift(of)


def _no_drift(of: Summary) -> str:
    """Return the sentence where no drift was found; it does not claim more than could be judged."""
    if of.differences:
        return differences(of.differences)
    if of.errors:
        return f"cannot be told whole, {plural(of.errors, 'error')}"
    if of.unreadable:
        return "no drift in what was read"
    return "no drift in what the platform shows" if of.blind else "no drift"


def verdict(code: int, *, confined: bool = False, left_out: int = 0) -> str:
    """Return the meaning of an exit code in a few words; that of a `confined` run never says that all is done."""
    if confined and not code:
        rest = f", {plural(left_out, 'step')} left out" if left_out else ""
        return f"what --only names is done{rest}"
    return {
        0: "nothing to do, or all is done",
        1: "error in usage, file, credentials or connectivity",
        2: "differences",
        3: "blocked by a guard or rule",
        4: "stale, or something readable was not read",
        5: "partly applied",
        130: "interrupted",
    }.get(code, "unknown")


def unread(instance: InstancePlan) -> tuple[str, ...]:
    """Return the listings of an instance that were not read, or not completely."""
    incomplete = (
        f"{listing.name}: no proof that all of it was read" for listing in instance.listings if not listing.complete
    )
    return (*instance.unreadable, *incomplete)


def unseen(instance: InstancePlan) -> tuple[str, ...]:
    """Return the blind spots of an instance's platform that the declaration does not accept."""
    return tuple(spot for spot in instance.blind_spots if spot not in instance.accepted_blind)


def by_outcome(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes sorted by instance, failures first."""
    order = list(OUTCOMES)
    return sorted(outcomes, key=lambda outcome: (outcome.instance, order.index(outcome.status)))


def key_of(item: DriftItem) -> Key:
    """Return the key of the resource that drifted; raises `ValueError` for an item without any side."""
    side = item.live or item.declared or item.journalled
    if side is None:
        raise ValueError("a piece of drift needs at least one side")
    return side.key
