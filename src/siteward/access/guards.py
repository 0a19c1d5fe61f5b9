"""Guards: small functions that check a proposal and yield diagnostics, errors for what must not be done.

A guard never raises. An error about a key blocks that step, an error without one blocks the instance. Guards run in
the order of `GUARDS`, and each knows the steps that those before it have blocked: an account that is not promoted after
all does not count as an admin. To add one, write a function and add its name there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.admins import AdminTimeline
from siteward.access.change import Change, deletes_account, demoted, direction, is_regrant
from siteward.access.diagnostic import Diagnostic, Severity, error, note, plural, warning
from siteward.access.gains import Gains
from siteward.access.identity import OtherAccount, describe_remade
from siteward.access.limits import Begun, Spending, budgets
from siteward.access.managers import warn_of_few
from siteward.access.model import Account, Grant, Key, account_key, account_of
from siteward.access.ownership import Proposed
from siteward.access.patterns import matching
from siteward.access.proposal import Proposal
from siteward.access.traits import Traits

CONFIRM = (
    "where `self` is right, set SITEWARD_<INSTANCE>_SELF to it beside the credentials, or accept this plan once: "
    "`--accept self` with a reason"
)
"""The hint while only the file names the account of the credentials; callers insert the name of the instance."""

DELETIONS = "deletions"
"""The word for the consent to delete the accounts of one plan: `--accept deletions=DIGEST`."""
FROM_ABSENCE = frozenset({"silence", "unmanaged", "left"})
"""The causes of removals that follow from something that is not in a listing or in the file."""


class Case(Struct, frozen=True, kw_only=True, dict=True):
    """A proposal, the consents of this run (see `judge`), and the keys that are blocked so far."""

    proposal: Proposal
    as_of: datetime
    accept: Mapping[str, str] = MappingProxyType({})
    allow_delete: bool = False
    confirmed: bool = False
    mails: int = 0
    remarks: tuple[Diagnostic, ...] = ()
    blocked: frozenset[Key] = frozenset()
    begun: Begun | None = None

    @cached_property
    def unreachable_steps(self) -> frozenset[Key]:
        """The keys of the steps that will not be done: those blocked, and those that depend on one."""
        return unreachable_steps(self.blocked, self.proposal)

    @cached_property
    def group_members(self) -> Mapping[str, tuple[str, ...]]:
        """The members of each of the platform's own groups, now or afterwards."""
        now, then = self.proposal.index.members, self.proposal.projected_index.members
        return {group: tuple(sorted({*now.get(group, ()), *then.get(group, ())})) for group in now.keys() | then.keys()}

    def affected(self, key: Key) -> tuple[str, ...]:
        """Return the accounts whose access a change of that key touches: its own, or its group's members."""
        name = account_of(key)
        if name is not None:
            return (name,)
        return self.group_members.get(key[2] if key[0] == "grant" else key[1], ())


def unreachable_steps(blocked: Iterable[Key], proposal: Proposal) -> frozenset[Key]:
    """Return the keys in `blocked` and those of all changes that depend on one of them, directly or not."""
    unreachable = set(blocked)
    if unreachable:
        for change in proposal.changes:
            if not unreachable.isdisjoint(proposal.needs.get(change.key, ())):
                unreachable.add(change.key)
    return frozenset(unreachable)


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
        begun=begun,
    )
    diagnostics: list[Diagnostic] = []
    for guard in GUARDS:
        news = tuple(guard(case))
        if news:
            diagnostics.extend(news)
            case = replace(case, blocked=case.blocked | _find_blocked(news))
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
    takes = any(proposed.cause == "silence" and proposed.change.after is None for proposed in case.proposal.proposed)
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


def keep_myself(case: Case) -> Iterator[Diagnostic]:
    """Refuse every change to the account in use, directly or through its groups."""
    live = case.proposal.live
    groups = {group for group, members in case.group_members.items() if any(map(live.is_self, members))}
    for proposed in case.proposal.proposed:
        own = any(map(live.is_self, _logins_of(proposed)))
        shared = _group_of(proposed.key) in groups and direction(proposed.change, case.proposal.traits) != "open"
        if own or shared:
            yield error(
                "self-protected",
                f"{live.me} is the account in use here and is never changed",
                about=proposed.key,
            )


def keep_known_self(case: Case) -> Iterator[Diagnostic]:
    """Refuse to work as another account than the run before did, while only the file names it."""
    live, memory = case.proposal.live, case.proposal.memory
    before = memory.me if memory is not None else None
    if case.confirmed or live.me is None or before is None or _same_login(live.me, before, case.proposal.traits):
        return
    message = f"`self` names {live.me}, and the run before this one worked as {before}"
    if "self" in case.accept:
        yield warning("self-changed", f"{message}; accepted: {case.accept['self']}")
    elif case.proposal.proposed:
        yield error("self-changed", message, hint=CONFIRM)
    else:
        yield warning("self-changed", message, hint=CONFIRM)


def keep_owner(case: Case) -> Iterator[Diagnostic]:
    """Refuse to take the top role from an account that may be the one in use, while only the file names that one.

    An account with a lesser role cannot be the one in use, nor can one whose invitation is pending.
    """
    live, traits = case.proposal.live, case.proposal.traits
    if case.confirmed or traits.top is None:
        return
    tops = {grant.subject.name for grant in case.proposal.tops if grant.key not in live.pending}
    for proposed in case.proposal.proposed:
        name, change = account_of(proposed.key), proposed.change
        demotes = isinstance(change.before, Grant) and traits.is_top(change.before)
        keeps = isinstance(change.after, Grant) and traits.is_top(change.after)
        if name not in tops or keeps or not (demotes or deletes_account(change)):
            continue
        message = f"{traits.platform} does not show whose credentials these are, and they may be those of {name}"
        if "self" in case.accept:
            yield warning("self-unconfirmed", f"{message}; accepted: {case.accept['self']}", about=proposed.key)
        else:
            yield error("self-unconfirmed", message, about=proposed.key, hint=CONFIRM)


def _same_login(first: str, second: str, traits: Traits) -> bool:
    """Return whether two logins mean the same account on the platform."""
    folds = traits.folds_case or traits.login == "email"
    return first == second or (folds and first.casefold() == second.casefold())


def _logins_of(proposed: Proposed) -> Iterator[str]:
    """Yield the logins that a change is about, with the new one of a renamed account."""
    name = account_of(proposed.key)
    if name is not None:
        yield name
    if isinstance(proposed.change.after, Account) and proposed.change.after.renamed:
        yield proposed.change.after.renamed


def _group_of(key: Key) -> str | None:
    return key[2] if key[:2] == ("grant", "group") else key[1] if key[0] == "group" else None


def keep_protected(case: Case) -> Iterator[Diagnostic]:
    """Refuse every change, gains too, to accounts that a pattern of `protect` matches, declared or not."""
    patterns = case.proposal.policy.protect
    matches: dict[str, str | None] = {}
    for proposed in case.proposal.proposed:
        for name in (*case.affected(proposed.key), *_logins_of(proposed)):
            if name not in matches:
                matches[name] = matching(patterns, *_collect_names(case.proposal, name))
        names = (*case.affected(proposed.key), *_logins_of(proposed), *_wished_emails(proposed))
        pattern = next((match for name in names if (match := matches.get(name) or matching(patterns, name))), None)
        if pattern is not None:
            yield error("protected", f"protected by the pattern {pattern}", about=proposed.key)


def _collect_names(proposal: Proposal, name: str) -> tuple[str | None, ...]:
    """Return the login, e-mails and handle of an account, live and declared."""
    account, declared_user = proposal.live.access.get(account_key(name)), proposal.desired.declared_users.get(name)
    email = account.email if isinstance(account, Account) else None
    return (
        name,
        email,
        declared_user.handle if declared_user else None,
        declared_user.email if declared_user else None,
    )


def _wished_emails(proposed: Proposed) -> tuple[str, ...]:
    after = proposed.change.after
    return (after.email,) if isinstance(after, Account) and after.email else ()


def keep_identity(case: Case) -> Iterator[Diagnostic]:
    """Refuse what would give to an account that may be somebody else's, or change it, until it is confirmed.

    From one that is another than the known one of its login (`others`) what the file ends is still taken. Of one that
    no run knows and that has another e-mail (`mismatched`) everything stays as it is. Of accounts that a directory or
    sign-on makes (`managed_by`) both are warnings only.
    """
    others, mismatched = case.proposal.others, case.proposal.mismatched
    yield from _report_remade(case)
    blocked: dict[str, list[Key]] = {}
    for proposed in case.proposal.proposed:
        name = account_of(proposed.key) or ""
        if name in mismatched or (name in others and not _ends_access(proposed.change, case.proposal.traits)):
            blocked.setdefault(name, []).append(proposed.key)
        yield from _keep_named_account(proposed)
    for name, mismatch in mismatched.items():
        yield from _object(case, name, mismatch, blocked.get(name) or [account_key(name)])
    if not others:
        return
    wished = {account_of(key) for key in case.proposal.desired.access}
    for name, other in others.items():
        mismatch = _describe_other(case, other)
        if name not in blocked and name not in wished:
            mismatch = replace(mismatch, severity=Severity.WARNING)
        yield from _object(case, name, mismatch, blocked.get(name) or [account_key(name)])


def _report_remade(case: Case) -> Iterator[Diagnostic]:
    """Yield a warning about each account that a directory or sign-on has made anew, on each step that is about it."""
    for name, other in case.proposal.remade.items():
        keys = [proposed.key for proposed in case.proposal.proposed if account_of(proposed.key) == name]
        mismatch = describe_remade(other, case.proposal.desired.declared_users[name])
        yield from _object(case, name, mismatch, keys or [account_key(name)])


def _ends_access(change: Change, traits: Traits) -> bool:
    """Return whether a change only takes access, and leaves the account itself as it is."""
    return not isinstance(change.before or change.after, Account) and direction(change, traits) == "close"


def _keep_named_account(proposed: Proposed) -> Iterator[Diagnostic]:
    """Refuse to make an account for a user whose account the file names by an id that is not there."""
    user, made = proposed.declared_user, proposed.change.after
    if (
        proposed.change.before is None
        and isinstance(made, Account)
        and user is not None
        and user.account_id is not None
    ):
        yield error(
            "identity-gone",
            f"the account of {user.handle} with the id {user.account_id} is not there, and a new one has another id",
            about=proposed.key,
            at=user.at,
            hint="correct `ids` of this user, or take it away to have a new account made",
        )


def _describe_other(case: Case, other: OtherAccount) -> Diagnostic:
    """Return the objection to an account that is another than the known one of its login."""
    user = case.proposal.desired.declared_users.get(other.name)
    confirm = f'name its id, `ids: {{<instance>: "{other.now}"}}`, or accept it once: `--accept identity:{other.name}@<instance>=DIGEST`'
    return error(
        "identity-mismatch",
        f"{other}; nothing is given to it, and it is not changed or deleted",
        at=user.at if user is not None else None,
        hint=f"find out whose it is; if it is {user.handle if user is not None else 'the same person'}'s, {confirm}",
    )


def _object(case: Case, name: str, mismatch: Diagnostic, keys: Iterable[Key]) -> Iterator[Diagnostic]:
    """Yield an objection for each key, or a warning where whoever applies has confirmed the account."""
    reason = case.accept.get(f"identity:{name}")
    for key in keys:
        if reason is None:
            yield replace(mismatch, about=key)
        else:
            yield warning("identity-mismatch", f"{mismatch.message}; accepted: {reason}", about=key, at=mismatch.at)


def keep_expressible(case: Case) -> Iterator[Diagnostic]:
    """Refuse roles and extras that this server does not have, and roles that cannot be granted."""
    traits = case.proposal.traits
    for proposed in case.proposal.proposed:
        after = proposed.change.after
        if not isinstance(after, Grant):
            continue
        role = traits.role(after.scope.kind, after.role)
        unknown = sorted((after.extras or frozenset()) - set(traits.extras) - set(traits.included))
        if role is None or not role.declarable:
            has = tuple(role.name for role in traits.roles.get(after.scope.kind, ()) if role.declarable)
            message = f"{after.role} is not a role that can be given here; there are: {', '.join(has) or 'none'}"
            yield error("role-not-available", message, about=proposed.key, allowed=has)
        elif unknown:
            yield error("extra-not-available", f"there is no such right here: {', '.join(unknown)}", about=proposed.key)


def keep_accounts(case: Case) -> Iterator[Diagnostic]:
    """Refuse deletions without `state: absent` or `unmanaged: remove` in the file, or without a consent now."""
    for proposed in case.proposal.proposed:
        if not deletes_account(proposed.change):
            continue
        if proposed.cause not in {"absent", "unmanaged"}:
            yield error(
                "deletion-not-asked",
                "leaving is not deleting: say `state: absent` to have it deleted",
                about=proposed.key,
            )
        elif not case.allow_delete and DELETIONS not in case.accept:
            yield error(
                "deletion-needs-consent", "an account is deleted only with `--allow-delete`", about=proposed.key
            )


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
            f"this would leave fewer than {plural(policy.admins_min, 'active human admin')}",
            about=key,
            at=policy.admins_at,
            hint="an admin counts who is declared, active, no service, not the account in use, and does not end within 14 days",
        )
    for key in high:
        yield error(
            "too-many-admins",
            f"this would make more than {plural(policy.admins_max or 0, 'admin')}",
            about=key,
            at=policy.admins_at,
        )
    if before < policy.admins_min:
        yield warning(
            "below-min-admins",
            f"there {'is' if before == 1 else 'are'} {plural(before, 'active human admin')}, and the policy asks for {policy.admins_min}",
            at=policy.admins_at,
        )
    left = timeline.after(low | high)
    if policy.admins_max is not None and len(left) > policy.admins_max and not high:
        yield warning(
            "above-max-admins",
            f"there {'is' if len(left) == 1 else 'are'} {plural(len(left), 'admin')} in the end, and the policy allows {policy.admins_max}",
            at=policy.admins_at,
        )


def tell_managers(case: Case) -> Iterator[Diagnostic]:
    """Warn of sites that fewer persons may manage than the policy asks for."""
    yield from warn_of_few(case.proposal, case.unreachable_steps)


def keep_budgets(case: Case) -> Iterator[Diagnostic]:
    """Refuse a plan that removes or grants more at once than the policy's limits allow."""
    mails = case.mails + sum(
        remark.count
        for remark in case.remarks
        if remark.effect == "mail" and remark.about not in case.unreachable_steps
    )
    spending = Spending(case.proposal, case.unreachable_steps, mails)
    yield from budgets(spending, case.accept, case.begun)


def tell_reach(case: Case) -> Iterator[Diagnostic]:
    """Yield notes on steps on group grants (how many accounts they reach), and on a gap in an account's access."""
    traits = case.proposal.traits
    demotions = demoted(case.proposal.changes, traits)
    for proposed in case.proposal.proposed:
        group = _group_of(proposed.key)
        if group is not None and proposed.key[0] == "grant":
            people = len(case.affected(proposed.key))
            yield note(
                "reach",
                f"through group {group} this reaches {plural(people, 'account')}",
                about=proposed.key,
                count=people,
            )
        if is_regrant(proposed.change, traits, demotions):
            message = (
                "the account is without this for a moment: it can only be given once the account is no admin any more"
            )
            yield note("gap", message, about=proposed.key, effect="gap")


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
    keep_rules,
    keep_admins,
    keep_budgets,
    tell_managers,
    tell_reach,
)
