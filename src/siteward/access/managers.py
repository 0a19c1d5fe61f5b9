"""The persons who may manage each site once a plan is done, against the number that the owners ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from siteward.access.change import patch
from siteward.access.diagnostic import Diagnostic, join_some, plural, warning
from siteward.access.effective import Index
from siteward.access.model import EVERYWHERE, Account, Grant, Key, Power, Scope, account_key
from siteward.access.proposal import Proposal


def warn_of_few(proposal: Proposal, unreachable_steps: Collection[Key]) -> Iterator[Diagnostic]:
    """Yield one warning about all managed sites that fewer persons may manage than the policy asks for.

    The steps in `unreachable_steps` will not be done. A platform that has no such role on a site is passed over.
    """
    policy, roles = proposal.policy, proposal.traits.roles.get("site", ())
    if not policy.managers_min or all(role.power < Power.MANAGE for role in roles):
        return
    managers, managed = _find_managers(proposal, unreachable_steps), proposal.desired.managed or ()
    everywhere = managers.get(EVERYWHERE, frozenset())
    few = sorted(
        scope.name
        for scope in managed
        if scope.kind == "site" and len(managers.get(scope, frozenset()) | everywhere) < policy.managers_min
    )
    if few:
        have, them = ("has", "it") if len(few) == 1 else ("have", "them")
        least = plural(policy.managers_min, "person", "persons")
        message = f"{plural(len(few), 'site')} {have} fewer than {least} to manage {them}: {join_some(few)}"
        hint = "grant `manage` there; a manager counts who is declared, active and no service"
        yield warning("too-few-managers", message, at=policy.managers_at, hint=hint, count=len(few))


def _find_managers(proposal: Proposal, unreachable_steps: Collection[Key]) -> Mapping[Scope, frozenset[str]]:
    """Return the persons who may manage each scope after the steps, through groups too; `EVERYWHERE` holds the admins."""
    index = proposal.projected_index
    if unreachable_steps:
        done = (change for change in proposal.changes if change.key not in unreachable_steps)
        index = Index(patch(proposal.live.access, done))
    found: dict[Scope, set[str]] = defaultdict(set)
    for grant in index.access.grants():
        if proposal.traits.power(grant) >= Power.MANAGE:
            found[grant.scope].update(filter(lambda name: _counts(name, proposal), _accounts_of(grant, index)))
    return {scope: frozenset(names) for scope, names in found.items()}


def _accounts_of(grant: Grant, index: Index) -> Collection[str]:
    return index.members.get(grant.subject.name, ()) if grant.subject.kind == "group" else (grant.subject.name,)


def _counts(name: str, proposal: Proposal) -> bool:
    """Return whether an account is that of a declared person who can use it."""
    user, account = proposal.desired.declared_users.get(name), proposal.live.access.get(account_key(name))
    if user is None or user.kind == "service" or user.ending is not None or proposal.live.is_self(name):
        return False
    return name not in proposal.others and (not isinstance(account, Account) or account.status == "active")
