"""Questions about instances that have been read: why has somebody access, and who can do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.answer import Explanation, Holding
from siteward.access.effective import effective, who_can
from siteward.access.model import Access, Grant, Power, Scope, Subject, grant_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.plan import InstancePlan
    from siteward.declaration.load import Declaration
    from siteward.reconcile.plan import Survey


def explain(
    declaration: Declaration, survey: Survey, plan: InstancePlan, user: str, site: str
) -> tuple[Explanation, ...]:
    """Return why `user` (a handle, login or e-mail) has or lacks access to `site` (a handle, domain or label)."""
    steps = {each.change.key: each for each in plan.steps}
    found = []
    for account in accounts_of(survey, user):
        for scope in scopes_of(declaration, survey, site):
            key = grant_key(Subject("account", account), scope)
            live = effective(survey.live.access, survey.traits, account, scope)
            wish = survey.desired.access.get(key)
            found.append(
                Explanation(
                    instance=survey.name,
                    account=account,
                    scope=scope,
                    person=_person(survey, account),
                    wished=wish if isinstance(wish, Grant) else None,
                    origin=survey.desired.origins.get(key) or survey.desired.subsumed.get(key),
                    ended=survey.desired.ended.get(key),
                    live=live if live.ways else None,
                    pending=key in survey.live.pending,
                    step=steps.get(key),
                    why_not=None if wish is not None or live.ways else _why_not(survey, account, scope),
                )
            )
    return tuple(found)


def holdings(declaration: Declaration, survey: Survey, power: Power, site: str) -> tuple[Holding, ...]:
    """Return everybody with at least `power` on `site`, live or by the declaration, the mightiest first."""
    found = [holding for scope in scopes_of(declaration, survey, site) for holding in _holdings(survey, power, scope)]
    return tuple(sorted(found, key=lambda each: (-max(each.live_power, each.declared_power), each.account)))


def power_of(survey: Survey, role: str) -> Power | None:
    """Return the power a word means on an instance: a power, a portable name, or a native role; `None` for neither."""
    if role in {each.word for each in Power} - {Power.NONE.word}:
        return Power[role.upper()]
    native = (each for roles in survey.traits.roles.values() for each in roles)
    return next((each.power for each in native if role in {each.name, each.portable}), None)


def accounts_of(survey: Survey, user: str) -> tuple[str, ...]:
    """Return the accounts of an instance that a handle, login or e-mail means."""
    folded = user.casefold()
    declared = {name for name, each in survey.desired.holders.items() if folded in _names(each.handle, each.email)}
    live = {each.name for each in survey.live.access.accounts() if folded in _names(each.name, each.email)}
    return tuple(sorted(declared or live))


def scopes_of(declaration: Declaration, survey: Survey, site: str) -> tuple[Scope, ...]:
    """Return the live sites that a declared handle, a domain or a label means."""
    declared = declaration.sites.get(site)
    wanted = {site.casefold()} | ({declared.domain.casefold()} if declared else set())
    pinned = declared.pins.get(survey.name) if declared else None
    return tuple(
        sorted(
            scope
            for scope, each in survey.live.sites.items()
            if (each.id == pinned if pinned is not None else wanted & {each.label.casefold(), *each.domains, each.id})
        )
    )


def _holdings(survey: Survey, power: Power, scope: Scope) -> Iterator[Holding]:
    wished = Access(survey.desired.access.values())
    declared = {each.account: each for each in who_can(wished, survey.traits, power, scope)}
    live = {each.account: each for each in who_can(survey.live.access, survey.traits, power, scope)}
    for account in sorted(declared.keys() | live.keys()):
        mine, theirs = live.get(account), declared.get(account)
        key = theirs.ways[0].grant.key if theirs else None
        yield Holding(
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
    holder = survey.desired.holders.get(account)
    return holder.handle if holder else None


def _names(*names: str | None) -> set[str]:
    return {each.casefold() for each in names if each}


def _why_not(survey: Survey, account: str, scope: Scope) -> str:
    holder = survey.desired.holders.get(account)
    if holder is None:
        return "no declared user has this account, and it holds nothing there"
    if holder.ending is not None:
        return f"{holder.handle} is {holder.ending}"
    if survey.desired.managed is not None and scope not in survey.desired.managed:
        return "the instance's `manages` leaves this site out"
    return "no grant in force reaches this site for this user"
