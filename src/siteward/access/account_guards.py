"""Guards about whose account a step touches: the one in use, a protected one, or another person's.

They are called by `guards.judge`, and are as described there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from siteward.access.case import Case
from siteward.access.change import Change, deletes_account, direction
from siteward.access.diagnostic import Diagnostic, Severity, error, warning
from siteward.access.identity import OtherAccount, describe_remade
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


def keep_myself(case: Case) -> Iterator[Diagnostic]:
    """Refuse every change to the account in use, directly or through its groups."""
    live = case.proposal.live
    groups = {group for group, members in case.group_members.items() if any(map(live.is_self, members))}
    message = f"{live.me} is the account in use here and is never changed"
    for series in case.proposal.series:
        first = series[0]
        own = any(map(live.is_self, _logins_of(first)))
        shared = group_of(first.key) in groups and direction(first.change, case.proposal.traits) != "open"
        if own or shared:
            yield from [error("self-protected", message, about=proposed.key) for proposed in series]


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
    for series in case.proposal.series:  # of one: a top role is on one scope
        change, key = series[0].change, series[0].key
        name = account_of(key)
        demotes = isinstance(change.before, Grant) and traits.is_top(change.before)
        keeps = isinstance(change.after, Grant) and traits.is_top(change.after)
        if name not in tops or keeps or not (demotes or deletes_account(change)):
            continue
        message = f"{traits.platform} does not show whose credentials these are, and they may be those of {name}"
        if "self" in case.accept:
            yield warning("self-unconfirmed", f"{message}; accepted: {case.accept['self']}", about=key)
        else:
            yield error("self-unconfirmed", message, about=key, hint=CONFIRM)


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


def group_of(key: Key) -> str | None:
    """Return the platform's own group that a key is about, its grant or the group itself; `None` for any other key."""
    return key[2] if key[:2] == ("grant", "group") else key[1] if key[0] == "group" else None


def keep_protected(case: Case) -> Iterator[Diagnostic]:
    """Refuse every change, gains too, to accounts that a pattern of `protect` matches, declared or not."""
    patterns = case.proposal.policy.protect
    matches: dict[str, str | None] = {}
    for series in case.proposal.series if patterns else ():
        first = series[0]
        for name in (*case.affected(first.key), *_logins_of(first)):
            if name not in matches:
                matches[name] = matching(patterns, *_collect_names(case.proposal, name))
        names = (*case.affected(first.key), *_logins_of(first), *_wished_emails(first))
        pattern = next((match for name in names if (match := matches.get(name) or matching(patterns, name))), None)
        if pattern is not None:
            message = f"protected by the pattern {pattern}"
            yield from [error("protected", message, about=proposed.key) for proposed in series]


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
    for series in case.proposal.series:
        first = series[0]
        name = account_of(first.key) or ""
        if name in mismatched or (name in others and not _ends_access(first.change, case.proposal.traits)):
            blocked.setdefault(name, []).extend([proposed.key for proposed in series])
        yield from _keep_named_account(first)  # of one: an account is no grant
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
