"""Answers for `explain` (why an account has access to a site) and `who-can` (the accounts with a power on a site)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.effective import Effect, effective, who_can
from siteward.access.explanation import Explanation, Grantee
from siteward.access.model import Access, Grant, Member, Power, Scope, Subject, grant_key
from siteward.access.state import through
from siteward.access.traits import is_site
from siteward.declaration.resolve import resolve
from siteward.declaration.selectors import deciding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.effective import Way
    from siteward.access.plan import InstancePlan
    from siteward.access.state import Origin
    from siteward.declaration.load import Declaration
    from siteward.reconcile.plan import Survey


def explain(
    declaration: Declaration, survey: Survey, plan: InstancePlan, user: str, site: str
) -> tuple[Explanation, ...]:
    """Return why `user` (a handle, login or e-mail) has or lacks access to `site` (a handle, domain or label).

    One explanation for each pair of an account and a scope that the two words mean; none where they mean nothing.
    `plan` is the instance's plan.
    """
    steps = {step.change.key: step for step in plan.steps}
    wishes = Access(survey.desired.access.values())
    explanations = []
    for account in accounts_of(survey, user):
        for scope in scopes_of(declaration, survey, site):
            key = grant_key(Subject("account", account), scope)
            live = effective(survey.live.access, survey.traits, account, scope)
            ways = effective(wishes, survey.traits, account, scope).ways
            wished = [(way.grant, _find_origin(survey, account, way)) for way in ways]
            wish, step = wished[0][0] if wished else None, steps.get(key)
            subsumed = survey.desired.subsumed.get(key)
            if wished and subsumed is not None:
                wished += [
                    (claim.wish, subsumed)
                    for claim in survey.desired.claims.get(key, ())[:1]
                    if isinstance(claim.wish, Grant)
                ]
            explanations.append(
                Explanation(
                    instance=survey.name,
                    account=account,
                    scope=scope,
                    person=_find_handle(survey, account),
                    wished=wish,
                    origin=(wished[0][1] if wished else None) or subsumed,
                    also=tuple(wished[1:]),
                    ended=survey.desired.ended.get(key),
                    live=live if live.ways else None,
                    pending=key in survey.live.pending,
                    step=step,
                    why_not=_explain_absence(declaration, survey, live) if wish is None else None,
                    why_kept=_explain_keeping(survey, plan, live, wish) if step is None else None,
                )
            )
    return tuple(explanations)


def holdings(declaration: Declaration, survey: Survey, power: Power, site: str) -> tuple[Grantee, ...]:
    """Return the accounts with at least `power` on `site`, live or by the declaration, the most powerful first."""
    grantees = [
        grantee for scope in scopes_of(declaration, survey, site) for grantee in _find_grantees(survey, power, scope)
    ]
    return tuple(
        sorted(grantees, key=lambda grantee: (-max(grantee.live_power, grantee.declared_power), grantee.account))
    )


def power_of(survey: Survey, role: str) -> Power | None:
    """Return the power that a word means on an instance: a power, a portable role or a native one; `None` for none."""
    if role in {power.word for power in Power} - {Power.NONE.word}:
        return Power[role.upper()]
    native = (role for roles in survey.traits.roles.values() for role in roles)
    return next((known.power for known in native if role in {known.name, known.portable}), None)


def accounts_of(survey: Survey, user: str) -> tuple[str, ...]:
    """Return the accounts of an instance that a handle, login or e-mail means; declared ones win over live ones."""
    word = user.casefold()
    declared = {
        name
        for name, declared_user in survey.desired.declared_users.items()
        if word in _fold_names(declared_user.handle, declared_user.email)
    }
    live = {
        account.name for account in survey.live.access.accounts() if word in _fold_names(account.name, account.email)
    }
    return tuple(sorted(declared or live))


def scopes_of(declaration: Declaration, survey: Survey, site: str) -> tuple[Scope, ...]:
    """Return the scopes of the live sites that a declared handle, a domain, a label or an id means."""
    declared = declaration.sites.get(site)
    words = {site.casefold()} | ({declared.domain.casefold()} if declared else set())
    pinned = declared.pins.get(survey.name) if declared else None
    return tuple(
        sorted(
            scope
            for scope, live in survey.live.sites.items()
            if (live.id == pinned if pinned is not None else words & {live.label.casefold(), *live.domains, live.id})
        )
    )


def _find_origin(survey: Survey, account: str, way: Way) -> Origin | None:
    """Return the origin of a wished grant, with the ticket and reason of the membership it comes through."""
    origins = survey.desired.origins
    origin = origins.get(way.grant.key)
    if origin is None or way.group is None:
        return origin
    return through(origin, origins.get(Member(way.group, account).key))


def _find_grantees(survey: Survey, power: Power, scope: Scope) -> Iterator[Grantee]:
    """Yield each account with at least `power` on a scope, live, by the declaration, or both."""
    wished = Access(survey.desired.access.values())
    declared = {effect.account: effect for effect in who_can(wished, survey.traits, power, scope)}
    live = {effect.account: effect for effect in who_can(survey.live.access, survey.traits, power, scope)}
    for account in sorted(declared.keys() | live.keys()):
        has, wish = live.get(account), declared.get(account)
        yield Grantee(
            instance=survey.name,
            account=account,
            scope=scope,
            person=_find_handle(survey, account),
            live=has.role if has else None,
            live_power=has.power if has else Power.NONE,
            through=_describe_way(has.ways[0].grant, has.ways[0].group) if has else None,
            declared=wish.role if wish else None,
            declared_power=wish.power if wish else Power.NONE,
            origin=_find_origin(survey, account, wish.ways[0]) if wish else None,
        )


def _describe_way(grant: Grant, group: str | None) -> str | None:
    """Return by which indirect way a grant is held, or `None` for a grant on the site itself."""
    if group is not None:
        return f"group {group}"
    return "account role" if grant.scope.kind == "instance" else None


def _find_handle(survey: Survey, account: str) -> str | None:
    """Return the handle of the declared user of an account, if it has one."""
    declared_user = survey.desired.declared_users.get(account)
    return declared_user.handle if declared_user else None


def _fold_names(*names: str | None) -> set[str]:
    return {name.casefold() for name in names if name}


def _explain_absence(declaration: Declaration, survey: Survey, live: Effect) -> str | None:
    """Return why the file grants an account nothing on a scope.

    Where access is live, only an exclusion is named: `_explain_keeping` gives the other reasons.
    """
    declared_user = survey.desired.declared_users.get(live.account)
    if declared_user is not None and declared_user.ending is None:
        exclusion = deciding(declaration, lambda without: _is_granted(without, survey, live.account, live.scope))
        if exclusion is not None:
            return f"{exclusion.words} ({exclusion.at})"
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
    """Return whether a declaration (one without some exclusion) grants an account access to a scope."""
    wishes = resolve(
        declaration, survey.name, survey.traits, survey.live, as_of=survey.as_of, memory=survey.memory
    ).access
    return bool(effective(wishes, survey.traits, account, scope).ways)


def _explain_keeping(survey: Survey, plan: InstancePlan, live: Effect, wish: Grant | None) -> str | None:
    """Return why no step takes live access that exceeds the declared one; `None` where none exceeds it."""
    if not live.ways or (wish is not None and survey.traits.power(wish) >= live.power):
        return None
    if survey.live.me is not None and live.account.casefold() == survey.live.me.casefold():
        return "this is the account in use here, which is never changed"
    unmanaged = next((account for account in plan.unmanaged if account.name == live.account), None)
    if unmanaged is not None:
        leave = "`ignore` names it" if unmanaged.ignored else "no declared user has this account"
        return f"{leave}, and such accounts are reported, not changed"
    return _explain_kept_grant(survey, plan, live.ways[0].grant)


def _explain_kept_grant(survey: Survey, plan: InstancePlan, held: Grant) -> str | None:
    """Return why a live grant of a declared user stays although the file does not grant it."""
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
