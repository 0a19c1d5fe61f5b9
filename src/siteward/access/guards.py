"""Guards: small functions that check a proposal and yield diagnostics, errors for what must not be done.

A guard never raises. An error about a key blocks that step, an error without one blocks the instance. Guards run in
the order of `GUARDS`, and each knows the steps that those before it have blocked: an account that is not promoted after
all does not count as an admin. To add one, write a function and add its name there. Those about whose account a step
touches stand in `account_guards`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace

from siteward.access.account_guards import (
    group_of,
    keep_identity,
    keep_known_self,
    keep_myself,
    keep_owner,
    keep_protected,
)
from siteward.access.admins import AdminTimeline
from siteward.access.approvals import NEEDED
from siteward.access.case import Case, unreachable_steps
from siteward.access.change import deletes_account, direction, is_regrant
from siteward.access.diagnostic import Diagnostic, error, note, plural, warning
from siteward.access.gains import Gains
from siteward.access.limits import Begun, Spending, budgets
from siteward.access.managers import warn_of_few
from siteward.access.model import Grant, Key
from siteward.access.proposal import Proposal

DELETION = "deletion-needs-consent"
"""The rule id of the error on a deletion that this run was not allowed."""
DELETIONS = "deletions"
"""The word for the consent to delete the accounts of one plan: `--accept deletions=DIGEST`."""
PASSWORDS = "no-password-destination"
_GIVEN_LATER = frozenset({DELETION, NEEDED, PASSWORDS})
"""The errors on steps that count towards the limits all the same: whoever applies may give what they lack."""
FROM_ABSENCE = frozenset({"silence", "unmanaged", "left"})
"""The causes of removals that follow from something that is not in a listing or in the file."""


def judge(  # noqa: PLR0913 — all but the proposal are named, and most optional
    proposal: Proposal,
    *,
    as_of: datetime,
    accept: Mapping[str, str] = MappingProxyType({}),
    allow_delete: bool = False,
    confirmed: bool = False,
    mails: int = 0,
    remarks: Iterable[Diagnostic] = (),
    begun: Begun | None = None,
) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of all guards on a proposal.

    `accept` maps the blocks that this run lifts (a limit's name, `empty` or `self`) to the reason; the caller has
    compared the digest. `confirmed` is true if more than the file names the account of the credentials. `remarks` are
    the diagnostics of the platform's review: a step they block counts as not done, mails they announce count towards
    the limit. `mails` is the number of further mails, `begun` what was there when the run that goes on began.
    """
    given = (*remarks, *proposal.diagnostics, *proposal.desired.diagnostics)
    case = Case(
        proposal=proposal,
        as_of=as_of,
        accept=accept,
        allow_delete=allow_delete,
        confirmed=confirmed or proposal.traits.knows_self,
        mails=mails,
        remarks=tuple(remarks),
        blocked=_find_blocked(given),
        refused=_find_blocked(said for said in given if said.code not in _GIVEN_LATER),
        begun=begun,
    )
    diagnostics: list[Diagnostic] = []
    for guard in GUARDS:
        news = tuple(guard(case))
        if news:
            diagnostics.extend(news)
            refused = _find_blocked(said for said in news if said.code not in _GIVEN_LATER)
            case = replace(case, blocked=case.blocked | _find_blocked(news), refused=case.refused | refused)
    return tuple(diagnostics)


def _find_blocked(diagnostics: Iterable[Diagnostic]) -> frozenset[Key]:
    return frozenset(
        diagnostic.about for diagnostic in diagnostics if diagnostic.blocks and diagnostic.about is not None
    )


def keep_whole_reading(case: Case) -> Iterator[Diagnostic]:
    """Refuse a reading that cannot be true: without the account in use, or empty where the last run saw something."""
    live, memory, traits = case.proposal.live, case.proposal.memory, case.proposal.traits
    if traits.accounts_listed:
        if live.me is None:
            yield error(
                "self-unknown", "it is not known whose credentials these are, so that account cannot be protected"
            )
        elif not any(live.is_self(account.name) for account in live.access.accounts()):
            yield error("self-not-listed", f"the list of accounts does not hold our own, {live.me}; it cannot be whole")
    hint = "if somebody took all of it away by hand, move the journal of this instance aside; else find out why"
    if memory is not None and memory.sites and not live.sites:
        yield error("implausible-reading", f"no site was listed where the last run saw {memory.sites}", hint=hint)
    if memory is not None and memory.grants and not live.grants_of_others:
        words = f"nobody but the account in use has a grant where the last run saw {memory.grants}"
        yield error("implausible-reading", words, hint=hint)


def keep_proven(case: Case) -> Iterator[Diagnostic]:
    """Refuse removals that follow from an absence, and deletions, while not everything was read to its proven end."""
    live = case.proposal.live
    if live.complete:
        return
    gaps = ", ".join((*live.unreadable, *(listing.name for listing in live.listings if not listing.complete)))
    for proposed in case.proposal.proposed:
        takes = isinstance(proposed.change.after, Grant) and direction(proposed.change, case.proposal.traits) != "open"
        absent = proposed.cause in FROM_ABSENCE and (proposed.change.after is None or takes)
        if absent or deletes_account(proposed.change):
            yield error(
                "incomplete-reading",
                f"this follows from an absence, and not everything was read ({gaps})",
                about=proposed.key,
            )


def keep_grants(case: Case) -> Iterator[Diagnostic]:
    """Refuse `grants: []`, the wish that nobody has anything, without an explicit consent."""
    takes = any(series[0].cause == "silence" and series[0].change.after is None for series in case.proposal.series)
    if case.proposal.desired.empty and takes:
        if "empty" in case.accept:
            yield warning(
                "empty-grants", f"`grants: []` takes everything from everybody; accepted: {case.accept['empty']}"
            )
        else:
            yield error(
                "empty-grants",
                "`grants: []` takes everything from everybody",
                hint="leave the key out to manage nothing, or accept this plan once: `--accept empty`",
            )


def keep_expressible(case: Case) -> Iterator[Diagnostic]:
    """Refuse roles and extras that this server does not have, and roles that cannot be granted."""
    traits, expressible = case.proposal.traits, set[tuple[str, str, frozenset[str] | None]]()
    for series in case.proposal.series:
        after = series[0].change.after
        if not isinstance(after, Grant) or (after.scope.kind, after.role, after.extras) in expressible:
            continue
        role = traits.role(after.scope.kind, after.role)
        unknown = sorted((after.extras or frozenset()) - set(traits.extras) - set(traits.included))
        keys = [proposed.key for proposed in series] if role is None or not role.declarable or unknown else []
        if role is None or not role.declarable:
            has = tuple(role.name for role in traits.roles.get(after.scope.kind, ()) if role.declarable)
            message = f"{after.role} is not a role that can be given here; there are: {', '.join(has) or 'none'}"
            yield from [error("role-not-available", message, about=key, allowed=has) for key in keys]
        elif unknown:
            message = f"there is no such right here: {', '.join(unknown)}"
            yield from [error("extra-not-available", message, about=key) for key in keys]
        else:
            expressible.add((after.scope.kind, after.role, after.extras))


def keep_accounts(case: Case) -> Iterator[Diagnostic]:
    """Refuse deletions without `state: absent` or `unmanaged: remove` in the file, or without a consent now."""
    for series in case.proposal.series:  # of one: an account is no grant
        if not deletes_account(series[0].change):
            continue
        if series[0].cause not in {"absent", "unmanaged"}:
            yield error(
                "deletion-not-asked",
                "leaving is not deleting: say `state: absent` to have it deleted",
                about=series[0].key,
            )
        elif not case.allow_delete and DELETIONS not in case.accept:
            yield error(DELETION, "an account is deleted only with `--allow-delete`", about=series[0].key)


def keep_bounds(case: Case) -> Iterator[Diagnostic]:
    """Refuse steps that take what lies beyond the bounds of the file that declares the account."""
    beyond = case.proposal.desired.beyond
    if beyond:
        yield from (beyond[proposed.key] for proposed in case.proposal.proposed if proposed.key in beyond)


def keep_rules(case: Case) -> Iterator[Diagnostic]:
    """Refuse what the owners' rules forbid, and report standing access that breaks one."""
    yield from Gains(case.proposal, case.as_of).objections()


def keep_admins(case: Case) -> Iterator[Diagnostic]:
    """Refuse steps after which there would be fewer admins than the policy's minimum, or more than its maximum."""
    if case.proposal.traits.top is None:
        return
    timeline = AdminTimeline(case.proposal, case.as_of, case.unreachable_steps)
    policy = case.proposal.policy
    before = len(timeline.counted)
    low, high = timeline.objections()
    for key in low:
        yield error(
            "too-few-admins",
            f"this would leave fewer than {plural(policy.admins_min, 'active human admin')}{timeline.name_counted()}",
            about=key,
            at=policy.admins_at,
            hint="an admin counts who is declared, active, no service, not the account in use, and does not end within 14 days",
        )
    left = timeline.after(low | high)
    for key in high:
        yield error(
            "too-many-admins",
            f"this would make more than {plural(policy.admins_max or 0, 'admin')}; these count: {timeline.name(left)}",
            about=key,
            at=policy.admins_at,
        )
    if before < policy.admins_min:
        yield warning(
            "below-min-admins",
            f"there {'is' if before == 1 else 'are'} {plural(before, 'active human admin')}{timeline.name_counted()}, and the policy asks for {policy.admins_min}",
            at=policy.admins_at,
        )
    if policy.admins_max is not None and len(left) > policy.admins_max and not high:
        yield warning(
            "above-max-admins",
            f"there {'is' if len(left) == 1 else 'are'} {plural(len(left), 'admin')} in the end, and the policy allows {policy.admins_max}: {timeline.name(left)}",
            at=policy.admins_at,
        )


def tell_managers(case: Case) -> Iterator[Diagnostic]:
    """Warn of sites that fewer persons may manage than the policy asks for."""
    yield from warn_of_few(case.proposal, case.unreachable_steps)


def keep_budgets(case: Case) -> Iterator[Diagnostic]:
    """Refuse a plan that removes or grants more at once than the policy's limits allow.

    What waits for a consent, an approval or a destination for passwords counts: who gives it has seen what the whole
    would spend.
    """
    left_out = unreachable_steps(case.refused, case.proposal)
    mails = case.mails + sum(
        remark.count for remark in case.remarks if remark.effect == "mail" and remark.about not in left_out
    )
    spending = Spending(case.proposal, left_out, mails)
    yield from budgets(spending, case.accept, case.begun)


def tell_reach(case: Case) -> Iterator[Diagnostic]:
    """Yield notes on steps on group grants (how many accounts they reach), and on a gap in an account's access."""
    traits, demotions = case.proposal.traits, case.proposal.demotions
    for series in case.proposal.series:
        group = group_of(series[0].key)
        if group is not None and series[0].key[0] == "grant":
            people = len(case.affected(series[0].key))
            message = f"through group {group} this reaches {plural(people, 'account')}"
            yield from [note("reach", message, about=proposed.key, count=people) for proposed in series]
        if is_regrant(series[0].change, traits, demotions):
            message = (
                "the account is without this for a moment: it can only be given once the account is no admin any more"
            )
            yield from [note("gap", message, about=proposed.key, effect="gap") for proposed in series]


Guard = Callable[[Case], Iterable[Diagnostic]]
GUARDS: tuple[Guard, ...] = (
    keep_whole_reading,
    keep_proven,
    keep_grants,
    keep_myself,
    keep_known_self,
    keep_owner,
    keep_protected,
    keep_identity,
    keep_expressible,
    keep_accounts,
    keep_bounds,
    keep_rules,
    keep_admins,
    keep_budgets,
    tell_managers,
    tell_reach,
)
