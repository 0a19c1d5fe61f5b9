"""Answers for `explain` (why an account has access to a site) and `who-can` (the accounts with a power on a site)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import compare, effective
from siteward.access.explanation import Explanation, Grantee
from siteward.access.model import EVERYWHERE, Grant, Member, Power, Scope, Subject, account_of, grant_key, scope_of
from siteward.access.standing import covered
from siteward.access.state import through
from siteward.access.traits import is_site
from siteward.declaration.selectors import deciding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.effective import Agreement, Comparison, Effect, Index, Way
    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan
    from siteward.access.state import Origin
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration
    from siteward.reconcile.survey import Survey


def explain(
    declaration: Declaration, survey: Survey, plan: InstancePlan, user: str, site: str | None
) -> tuple[Explanation, ...]:
    """Return why `user` (a handle, login or e-mail) has or lacks access to `site` (a handle, domain or label).

    One explanation for each pair of an account and a scope that the two words mean; none where they mean nothing.
    Without a site, all that the user has or is to have there, or lost by a word of the file; the whole instance where
    that is nothing. `plan` is the instance's plan.
    """
    compared = compare(survey.desired, survey.live, survey.traits)
    return tuple(
        _explain_pair(declaration, survey, plan, compared, account, scope)
        for account in accounts_of(survey, user)
        for scope in (
            scopes_of(declaration, survey, site)
            if site is not None
            else _list_scopes(survey, plan, compared, account) or (EVERYWHERE,)
        )
    )


def _list_scopes(survey: Survey, plan: InstancePlan, compared: Comparison, account: str) -> tuple[Scope, ...]:
    """Return the scopes on which an account has something, is to have it, or has it ended or changed by name."""
    keys = {*survey.desired.ended, *survey.desired.awaited, *(step.change.key for step in plan.steps)}
    named = {scope for key in keys if account_of(key) == account and (scope := scope_of(key)) is not None}
    return tuple(sorted(named | compared.live.ways(account).keys() | compared.wish.ways(account).keys()))


def _explain_pair(
    declaration: Declaration, survey: Survey, plan: InstancePlan, compared: Comparison, account: str, scope: Scope
) -> Explanation:
    """Return why an account has or lacks access to a scope."""
    key = grant_key(Subject("account", account), scope)
    step = next((step for step in plan.steps if step.change.key == key), None)
    live = effective(survey.live.access, survey.traits, account, scope, compared.live)
    ways = effective(compared.grounds.wanted, survey.traits, account, scope, compared.wish).ways
    wished = [(way.grant, _find_origin(survey, account, way)) for way in ways]
    wish, origin = wished[0] if wished else (None, None)
    also = wished[1:]
    return Explanation(
        instance=survey.name,
        account=account,
        scope=scope,
        agreement=compared.agreement(account, scope),
        person=_find_handle(survey, account),
        wished=wish,
        origin=origin or survey.desired.subsumed.get(key),
        also=(*also, *(_list_subsumed(survey, key) if wish is not None else ())),
        ended=survey.desired.ended.get(key),
        live=live if live.ways else None,
        pending=key in survey.live.pending,
        step=step,
        why_not=_explain_absence(declaration, survey, live) if wish is None else None,
        why_kept=_explain_keeping(survey, plan, compared, live) if step is None else None,
        keys=tuple(held for held in survey.keys if held.account == account),
    )


def _list_subsumed(survey: Survey, key: Key) -> Iterator[tuple[Grant, Origin | None]]:
    """Yield the declared grants that the role on the whole instance includes, with their places."""
    if key in survey.desired.subsumed:
        for claim in survey.desired.claims.get(key, ()):
            if isinstance(claim.wish, Grant):
                yield claim.wish, claim.origin


class Right(Struct, frozen=True):
    """A right that is no role: an extra (a capability) that travels with roles, or a module of the platform."""

    kind: Literal["extra", "module"]
    name: str


def holdings(declaration: Declaration, survey: Survey, right: Power | Right, site: str | None) -> tuple[Grantee, ...]:
    """Return the accounts with at least that power, or with that right, on `site`, the most powerful first.

    They have it live, by the declaration, or both. Without a site, wherever they have it: a right on the whole instance
    stands once, and not on each site.
    """
    compared = compare(survey.desired, survey.live, survey.traits)
    pairs = _pairs_on(survey, compared, scopes_of(declaration, survey, site)) if site is not None else _pairs(compared)
    grantees = (_find_grantee(survey, compared, right, account, scope, own=site is None) for account, scope in pairs)
    return tuple(
        sorted(
            filter(None, grantees),
            key=lambda grantee: (-max(grantee.live_power, grantee.declared_power), grantee.account, grantee.scope),
        )
    )


def _pairs_on(survey: Survey, compared: Comparison, scopes: Iterable[Scope]) -> Iterator[tuple[str, Scope]]:
    """Yield every account of an instance with each of some scopes."""
    sides = (survey.live.access, compared.live), (compared.grounds.wanted, compared.wish)
    names = {
        name for access, index in sides for name in (*index.by_account, *(known.name for known in access.accounts()))
    }
    for scope in scopes:
        yield from ((account, scope) for account in sorted(names))


def _pairs(compared: Comparison) -> Iterator[tuple[str, Scope]]:
    """Yield every account of an instance with each scope on which it has something, live or by the declaration."""
    for account in sorted(compared.live.by_account.keys() | compared.wish.by_account.keys()):
        scopes = compared.live.ways(account).keys() | compared.wish.ways(account).keys()
        yield from ((account, scope) for scope in sorted(scopes))


def right_of(survey: Survey, word: str) -> Power | Right | None:
    """Return what a word means on an instance: a power, a role, an extra or a module; `None` for none.

    In the form `platform:word` it means something on instances of that platform alone.
    """
    platform, colon, name = word.rpartition(":")
    if colon and platform != survey.traits.platform:
        return None
    power = power_of(survey, name)
    if power is not None:
        return power
    if name in survey.traits.extras:
        return Right("extra", name)
    scopes = {grant.scope for access in (survey.live.access, survey.desired.access) for grant in access.grants()}
    return Right("module", name) if Scope("module", name) in scopes else None


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


def _find_grantee(
    survey: Survey, compared: Comparison, right: Power | Right, account: str, scope: Scope, *, own: bool
) -> Grantee | None:
    """Return an account with a power or right on a scope, live, by the declaration, or both; `None` where it has neither.

    With `own`, what comes from the role on the whole instance counts there alone.
    """
    sides = (survey.live.access, compared.live), (compared.grounds.wanted, compared.wish)
    has, wish = (effective(access, survey.traits, account, scope, index) for access, index in sides)
    if own:
        has, wish = _leave_instance_out(has), _leave_instance_out(wish)
    if not any(
        _holds(effect, index, right, survey.traits, own=own)
        for effect, (_, index) in zip((has, wish), sides, strict=True)
    ):
        return None
    return Grantee(
        instance=survey.name,
        account=account,
        scope=scope,
        person=_find_handle(survey, account),
        live=has.role,
        live_power=has.power,
        through=_describe_way(has.ways[0].grant, has.ways[0].group) if has.ways else None,
        declared=wish.role,
        declared_power=wish.power,
        origin=_find_origin(survey, account, wish.ways[0]) if wish.ways else None,
        extras=_list_extras(has, compared.live, right),
        declared_extras=_list_extras(wish, compared.wish, right),
        agreement=_agree(compared, account, scope, right),
    )


def _leave_instance_out(effect: Effect) -> Effect:
    """Return effective access on a scope without what comes from the role on the whole instance."""
    ways = tuple(way for way in effect.ways if way.grant.scope == effect.scope)
    return replace(effect, ways=ways, power=ways[0].power if ways else Power.NONE)


def _holds(effect: Effect, index: Index, right: Power | Right, traits: Traits, *, own: bool) -> bool:
    """Return whether effective access has at least a power, or has a right by an extra, a role or a module.

    With `own`, a module counts on itself, and not on each site that the account has.
    """
    if not effect.ways:
        return False
    if isinstance(right, Power):
        return effect.power >= max(right, Power.VIEW)
    grants = [way.grant for way in effect.ways]
    if any(map(traits.is_top, grants)):
        return True
    if right.kind == "module" and own:
        return effect.scope == Scope("module", right.name)
    if right.kind == "module":
        return bool(index.ways(effect.account).get(Scope("module", right.name)))
    including = traits.included.get(right.name, frozenset())
    return any(right.name in (grant.extras or ()) or grant.role in including for grant in grants)


def _list_extras(effect: Effect, index: Index, right: Power | Right) -> frozenset[str]:
    """Return the rights beside the role, and the module that was asked for where it is open."""
    extras = frozenset(extra for way in effect.ways for extra in way.grant.extras or ())
    is_module = isinstance(right, Right) and right.kind == "module"
    if is_module and index.ways(effect.account).get(Scope("module", right.name)):
        return extras | {right.name}
    return extras


def _agree(compared: Comparison, account: str, scope: Scope, right: Power | Right) -> Agreement:
    """Return how live and declared agree on a scope, and on the module that was asked for."""
    found = compared.agreement(account, scope)
    if found == "same" and isinstance(right, Right) and right.kind == "module":
        return compared.agreement(account, Scope("module", right.name))
    return found


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
    if survey.desired.managed is not None and is_site(live.scope) and live.scope not in survey.desired.managed:
        return "the instance's `manages` leaves this site out"
    waiting = _find_waiting(survey, live.account, live.scope)
    where = "reaches this site for this user" if is_site(live.scope) else "gives this user anything here"
    return (
        f"no grant in force {where}"
        if waiting is None
        else f"it is granted ({waiting.at}), and waits for the account, which is made elsewhere (`managed_by`)"
    )


def _find_waiting(survey: Survey, account: str, scope: Scope) -> Origin | None:
    """Return the origin of a grant on a scope that waits for an account which something else has yet to make."""
    awaited, subject = survey.desired.awaited, Subject("account", account)
    for key, origin in awaited.items():
        if key in {grant_key(subject, scope), grant_key(subject, EVERYWHERE)}:
            return origin
        group = Subject("group", key[1])
        if key == ("member", group.name, account) and survey.desired.access.grant(group, scope) is not None:
            return origin
    return None


def _is_granted(declaration: Declaration, survey: Survey, account: str, scope: Scope) -> bool:
    """Return whether a declaration (one without some exclusion) grants an account access to a scope."""
    return bool(effective(survey.desired_by(declaration).access, survey.traits, account, scope).ways)


def _explain_keeping(survey: Survey, plan: InstancePlan, compared: Comparison, live: Effect) -> str | None:
    """Return why no step takes live access that exceeds the declared one; `None` where none exceeds it."""
    declared = [grant for grant, _ in compared.wish.ways_to(live.account, live.scope, survey.traits)]
    beyond = next((way for way in live.ways if not covered(way.grant, declared, survey.traits)), None)
    if beyond is None:
        return None
    if survey.live.is_self(live.account):
        return "this is the account in use here, which is never changed"
    unmanaged = next((account for account in plan.unmanaged if account.name == live.account), None)
    if unmanaged is not None:
        leave = "`ignore` names it" if unmanaged.ignored else "no declared user has this account"
        return f"{leave}, and such accounts are reported, not changed"
    kept = _explain_kept_grant(survey, plan, beyond.grant)
    if kept is None and beyond.group is not None and not _is_planned(plan, live.account, beyond):
        return f"held by group {beyond.group}, which no step here changes"
    return kept


def _is_planned(plan: InstancePlan, account: str, way: Way) -> bool:
    """Return whether a step changes a grant of a group, or who is in it."""
    keys = {way.grant.key, Member(way.group or "", account).key}
    return any(step.change.key in keys for step in plan.steps)


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
