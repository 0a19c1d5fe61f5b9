"""Questions about instances that have been read: why has somebody access, and who can do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.effective import Effect, effective, who_can
from siteward.access.explanation import Explanation, Grantee
from siteward.access.model import Access, Grant, Power, Scope, Subject, grant_key
from siteward.access.traits import is_site
from siteward.declaration.resolve import resolve
from siteward.declaration.selectors import deciding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.plan import InstancePlan
    from siteward.declaration.load import Declaration
    from siteward.reconcile.plan import Survey


def explain(
    declaration: Declaration, survey: Survey, plan: InstancePlan, user: str, site: str
) -> tuple[Explanation, ...]:
    """Return why `user` (a handle, login or e-mail) has or lacks access to `site` (a handle, domain or label)."""
    steps = {step.change.key: step for step in plan.steps}
    wishes = Access(survey.desired.access.values())
    found = []
    for account in accounts_of(survey, user):
        for scope in scopes_of(declaration, survey, site):
            key = grant_key(Subject("account", account), scope)
            live = effective(survey.live.access, survey.traits, account, scope)
            wanted = [way.grant for way in effective(wishes, survey.traits, account, scope).ways]
            wish, step = wanted[0] if wanted else None, steps.get(key)
            origins = survey.desired.origins
            found.append(
                Explanation(
                    instance=survey.name,
                    account=account,
                    scope=scope,
                    person=_person(survey, account),
                    wished=wish,
                    origin=(origins.get(wish.key) if wish else None) or survey.desired.subsumed.get(key),
                    also=tuple((grant, origins.get(grant.key)) for grant in wanted[1:]),
                    ended=survey.desired.ended.get(key),
                    live=live if live.ways else None,
                    pending=key in survey.live.pending,
                    step=step,
                    why_not=_why_not(declaration, survey, live) if wish is None else None,
                    why_kept=_why_kept(survey, plan, live, wish) if step is None else None,
                )
            )
    return tuple(found)


def holdings(declaration: Declaration, survey: Survey, power: Power, site: str) -> tuple[Grantee, ...]:
    """Return everybody with at least `power` on `site`, live or by the declaration, the mightiest first."""
    found = [holding for scope in scopes_of(declaration, survey, site) for holding in _holdings(survey, power, scope)]
    return tuple(sorted(found, key=lambda holding: (-max(holding.live_power, holding.declared_power), holding.account)))


def power_of(survey: Survey, role: str) -> Power | None:
    """Return the power a word means on an instance: a power, a portable name, or a native role; `None` for neither."""
    if role in {power.word for power in Power} - {Power.NONE.word}:
        return Power[role.upper()]
    native = (role for roles in survey.traits.roles.values() for role in roles)
    return next((known.power for known in native if role in {known.name, known.portable}), None)


def accounts_of(survey: Survey, user: str) -> tuple[str, ...]:
    """Return the accounts of an instance that a handle, login or e-mail means."""
    folded = user.casefold()
    declared = {
        name for name, user in survey.desired.declared_users.items() if folded in _names(user.handle, user.email)
    }
    live = {account.name for account in survey.live.access.accounts() if folded in _names(account.name, account.email)}
    return tuple(sorted(declared or live))


def scopes_of(declaration: Declaration, survey: Survey, site: str) -> tuple[Scope, ...]:
    """Return the live sites that a declared handle, a domain or a label means."""
    declared = declaration.sites.get(site)
    wanted = {site.casefold()} | ({declared.domain.casefold()} if declared else set())
    pinned = declared.pins.get(survey.name) if declared else None
    return tuple(
        sorted(
            scope
            for scope, site in survey.live.sites.items()
            if (site.id == pinned if pinned is not None else wanted & {site.label.casefold(), *site.domains, site.id})
        )
    )


def _holdings(survey: Survey, power: Power, scope: Scope) -> Iterator[Grantee]:
    wished = Access(survey.desired.access.values())
    declared = {effect.account: effect for effect in who_can(wished, survey.traits, power, scope)}
    live = {effect.account: effect for effect in who_can(survey.live.access, survey.traits, power, scope)}
    for account in sorted(declared.keys() | live.keys()):
        mine, theirs = live.get(account), declared.get(account)
        key = theirs.ways[0].grant.key if theirs else None
        yield Grantee(
            instance=survey.name,
            account=account,
            scope=scope,
            person=_person(survey, account),
            live=mine.role if mine else None,
            live_power=mine.power if mine else Power.NONE,
            through=_through(mine.ways[0].grant, mine.ways[0].group) if mine else None,
            declared=theirs.role if theirs else None,
            declared_power=theirs.power if theirs else Power.NONE,
            origin=survey.desired.origins.get(key) if key else None,
        )


def _through(grant: Grant, group: str | None) -> str | None:
    if group is not None:
        return f"group {group}"
    return "account role" if grant.scope.kind == "instance" else None


def _person(survey: Survey, account: str) -> str | None:
    declared_user = survey.desired.declared_users.get(account)
    return declared_user.handle if declared_user else None


def _names(*names: str | None) -> set[str]:
    return {name.casefold() for name in names if name}


def _why_not(declaration: Declaration, survey: Survey, live: Effect) -> str | None:
    """Return why the file grants nothing; of what is live only an exclusion is told, the rest shows already."""
    declared_user = survey.desired.declared_users.get(live.account)
    if declared_user is not None and declared_user.ending is None:
        out = deciding(declaration, lambda without: _is_granted(without, survey, live.account, live.scope))
        if out is not None:
            return f"{out.words} ({out.at})"
    if live.ways:
        return None
    if declared_user is None:
        return "no declared user has this account, and it holds nothing there"
    if declared_user.ending is not None:
        return f"{declared_user.handle} is {declared_user.ending}"
    if survey.desired.managed is not None and live.scope not in survey.desired.managed:
        return "the instance's `manages` leaves this site out"
    return "no grant in force reaches this site for this user"


def _is_granted(declaration: Declaration, survey: Survey, account: str, scope: Scope) -> bool:
    """Return whether another declaration would give somebody access to a scope."""
    wishes = resolve(
        declaration, survey.name, survey.traits, survey.live, as_of=survey.as_of, memory=survey.memory
    ).access
    return bool(effective(wishes, survey.traits, account, scope).ways)


def _why_kept(survey: Survey, plan: InstancePlan, live: Effect, wish: Grant | None) -> str | None:
    """Return why nothing is planned although more is live than declared, if that is so."""
    if not live.ways or (wish is not None and survey.traits.power(wish) >= live.power):
        return None
    if survey.live.me is not None and live.account.casefold() == survey.live.me.casefold():
        return "this is the account in use here, which is never changed"
    unmanaged_account = next(
        (unmanaged_account for unmanaged_account in plan.unmanaged if unmanaged_account.name == live.account), None
    )
    if unmanaged_account is not None:
        leave = "`ignore` names it" if unmanaged_account.ignored else "no declared user has this account"
        return f"{leave}, and such accounts are reported, not changed"
    return _why_left(survey, plan, live.ways[0].grant)


def _why_left(survey: Survey, plan: InstancePlan, held: Grant) -> str | None:
    """Return why a grant of a declared user stays although the file does not grant it."""
    role, managed = survey.traits.role(held.scope.kind, held.role), survey.desired.managed
    if role is not None and not role.declarable:
        return f"{held.role} is a fact of the platform, which no plan takes away"
    if any(step.change.key == held.key for step in plan.held_back):
        return "the instance's mode holds back what would take it"
    if managed is None:
        return "the file has no `grants`, so nothing is managed"
    return (
        "the instance's `manages` leaves this site out" if is_site(held.scope) and held.scope not in managed else None
    )
