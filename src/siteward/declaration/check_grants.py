"""Grants: what each asks of its platforms, and what the owners' policy says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity
from siteward.declaration.complain import problem
from siteward.declaration.roles import ACCOUNT_ROLES, PORTABLE, Elsewhere, Lack, Meaning
from siteward.declaration.selector import matcher, parse, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Power
    from siteward.access.policy import Rule
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Bound, Grant, Instance, User
    from siteward.declaration.people import Way
    from siteward.declaration.selector import Selector


def shapes(context: Context) -> Iterator[Diagnostic]:
    """A grant must be to somebody, and name sites, or instances for a role of the account."""
    for grant in context.declaration.grants or ():
        raw = grant.spot
        if not grant.to:
            yield problem("grant-to-nobody", "a grant to nobody", raw.at("to"), hint="name a user or a group")
        elif not context.people(grant) and all(each in context.groups for each in grant.to):
            yield problem(
                "grant-to-nobody",
                "nobody is in " + ", ".join(f"`{each}`" for each in grant.to),
                raw.at("to"),
                severity=Severity.WARNING,
            )
        for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
            if written and all(each.startswith("!") for each in written):
                yield problem(
                    "only-exclusions",
                    "every site is left out and none is named",
                    raw.at(key),
                    hint='name what they are left out of, such as "*"',
                )
        if grant.for_account and grant.on is None:
            yield _without_sites(grant)


def _without_sites(grant: Grant) -> Diagnostic:
    if grant.role in ACCOUNT_ROLES or ":" in grant.role:
        return problem(
            "account-role-without-on",
            f"`{grant.role}` without sites is a role of the account and needs `on`",
            grant.spot.key(),
            hint="name the instances: `on: [stats]`",
        )
    return problem(
        "grant-without-sites",
        "the grant names no sites",
        grant.spot.key(),
        hint="add `sites`; a role of the account needs `on` instead",
    )


def roles_on_platforms(context: Context) -> Iterator[Diagnostic]:
    """A role must exist on every platform the grant surely reaches."""
    said: set[tuple[int, str]] = set()
    for grant in context.declaration.grants or ():
        for instance in _surely_reached(context, grant):
            for kind in _kinds(grant):
                found = context.meaning(grant, instance, kind)
                if isinstance(found, Lack) and (id(grant), found.message) not in said and _is_known(context, grant):
                    said.add((id(grant), found.message))
                    yield problem(
                        found.code, found.message, grant.spot.at("role"), hint=found.hint, instance=instance.name
                    )
                elif isinstance(found, Elsewhere) and grant.on is not None and len(grant.on) == 1:
                    yield problem(
                        "role-of-another-platform",
                        f"`{grant.role}` is a role of {found.platform}, and {instance.name} is {instance.platform}",
                        grant.spot.at("role"),
                        instance=instance.name,
                    )


def _is_known(context: Context, grant: Grant) -> bool:
    return grant.role in PORTABLE or grant.role in context.declaration.roles or ":" in grant.role


def _kinds(grant: Grant) -> tuple[str, ...]:
    if grant.for_account:
        return ("instance",)
    return (*(("site",) if grant.sites else ()), *(("metasite",) if grant.metasites else ()))


def _surely_reached(context: Context, grant: Grant) -> Iterator[Instance]:
    """Yield the instances that the file alone shows the grant to reach: named, or all by a bare `*`."""
    if grant.on is not None or "*" in grant.sites or len(context.declaration.instances) == 1:
        yield from context.instances(grant).values()
        return
    pinned: set[str] = set()
    for written in grant.sites:
        site = context.declaration.sites.get(written)
        if site is not None:
            pinned |= set(site.pins) | (site.only or frozenset())
    for name, instance in context.declaration.instances.items():
        if name in pinned:
            yield instance


def wildcards(context: Context) -> Iterator[Diagnostic]:
    """A grant on a pattern carries at most what the policy allows patterns."""
    for grant in context.declaration.grants or ():
        pattern = next(
            (number for number, each in enumerate(grant.sites) if "*" in each and not each.startswith("!")), None
        )
        if pattern is None:
            continue
        for instance in context.instances(grant).values():
            found = context.meaning(grant, instance, "site")
            most = instance.policy.wildcards_at_most
            if isinstance(found, Meaning) and found.power > most:
                yield problem(
                    "wildcard-power",
                    f"`{grant.sites[pattern]}` may grant at most {most.word}, and "
                    f"`{grant.role}` is {found.power.word} on {instance.name}",
                    grant.spot.at("sites", pattern),
                    instance=instance.name,
                    hint="name the sites, or raise `policy.wildcards.at_most`",
                )
                break


def include_bounds(context: Context) -> Iterator[Diagnostic]:
    """What a bounded include grants must lie within its bounds."""
    for grant in context.declaration.grants or ():
        if grant.bound is not None:
            yield from _sites_within(context, grant, grant.bound)
            yield from _power_within(context, grant, grant.bound)


def _sites_within(context: Context, grant: Grant, bound: Bound) -> Iterator[Diagnostic]:
    if bound.sites is None:
        return
    if grant.for_account:
        yield problem(
            "beyond-include",
            "this file may grant on sites only, not roles of the account",
            grant.spot.key(),
            related=(bound.at,),
        )
    for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
        for number, each in enumerate(written):
            selector = parse(each)
            if not selector.excludes and not all(within(part, bound.sites) for part in _parts(context, selector)):
                allowed = tuple(part.written for part in bound.sites)
                yield problem(
                    "beyond-include",
                    f"this file may not grant on `{each}`",
                    grant.spot.at(key, number),
                    allowed=allowed,
                    related=(bound.at,),
                )


def _parts(context: Context, selector: Selector) -> list[Selector]:
    """Return the domains a selector means by the file, or itself."""
    sites = context.declaration.sites
    if selector.kind == "tag":
        return [parse(each.domain) for each in sites.values() if selector.text in each.tags]
    site = sites.get(selector.text) if selector.kind == "name" else None
    return [parse(site.domain)] if site is not None else [selector]


def _power_within(context: Context, grant: Grant, bound: Bound) -> Iterator[Diagnostic]:
    if bound.at_most is None:
        return
    for instance in context.instances(grant).values():
        for kind in _kinds(grant):
            found = context.meaning(grant, instance, kind)
            if isinstance(found, Meaning) and found.power > bound.at_most:
                yield problem(
                    "beyond-include",
                    f"this file may grant at most {bound.at_most.word}, and `{grant.role}` is "
                    f"{found.power.word} on {instance.name}",
                    grant.spot.at("role"),
                    related=(bound.at,),
                    instance=instance.name,
                )
                return


def rules(context: Context) -> Iterator[Diagnostic]:
    """Every rule of the owners holds on every grant and user that it matches."""
    instances = context.declaration.instances.values()
    if not any(each.policy.rules for each in instances):
        return
    said: set[tuple[str, str, str]] = set()
    for grant in context.declaration.grants or ():
        for instance in context.instances(grant).values():
            for rule in instance.policy.rules:
                for found in _ruled(context, grant, instance, rule):
                    key = (str(found.at), rule.id, found.message)
                    if key not in said:
                        said.add(key)
                        yield found


def _ruled(context: Context, grant: Grant, instance: Instance, rule: Rule) -> Iterator[Diagnostic]:
    match = rule.match
    if (
        match.get("instance", instance.name) != instance.name
        or match.get("platform", instance.platform) != instance.platform
    ):
        return
    for kind in _kinds(grant):
        found = context.meaning(grant, instance, kind)
        if not isinstance(found, Meaning) or ("power" in match and match["power"] != found.power.word):
            continue
        for handle, ways in context.people(grant).items():
            user = context.declaration.users[handle]
            if match.get("kind", user.kind) != user.kind:
                continue
            if "user" in match and not matcher(match["user"].casefold())(handle.casefold()):
                continue
            yield from _breaches(grant, user, ways, found.power, rule)


def _breaches(grant: Grant, user: User, ways: tuple[Way, ...], power: Power, rule: Rule) -> Iterator[Diagnostic]:
    related = (rule.at,) if rule.at else ()
    for field in rule.require:
        if not _given(field, grant, user, ways):
            yield problem(
                "policy-rule",
                f"{rule.id}: `{user.handle}` may have `{grant.role}` only with `{field}`",
                grant.spot.key(),
                hint=f"give `{field}` here or on the user",
                related=related,
            )
    if rule.at_most is not None and power > rule.at_most:
        yield problem(
            "policy-rule",
            f"{rule.id}: `{user.handle}` may have at most {rule.at_most.word}, and `{grant.role}` is {power.word}",
            grant.spot.at("role"),
            related=related,
        )


def _given(field: str, grant: Grant, user: User, ways: tuple[Way, ...]) -> bool:
    match field:
        case "until":
            return bool(grant.window.end or user.window.end or all(way.window.end for way in ways))
        case "from":
            return bool(grant.window.start or user.window.start or all(way.window.start for way in ways))
        case "ticket":
            return bool(grant.ticket or user.ticket)
        case "reason":
            return bool(grant.reason or user.reason)
        case "email":
            return bool(user.email)
        case _:
            return bool(user.owner)


def logins_needed(context: Context) -> Iterator[Diagnostic]:
    """Who is granted something where accounts are e-mails must have one."""
    said: set[tuple[str, str]] = set()
    for grant in context.declaration.grants or ():
        for instance in _surely_reached(context, grant):
            traits = context.traits.get(instance.name)
            if traits is None or traits.login != "email":
                continue
            for handle in context.people(grant):
                user = context.declaration.users[handle]
                if user.email is None and instance.name not in user.logins and (handle, instance.name) not in said:
                    said.add((handle, instance.name))
                    yield problem(
                        "email-needed",
                        f"`{handle}` needs an e-mail: it is the login on {instance.name}",
                        user.spot.key(),
                        related=(grant.at,),
                        instance=instance.name,
                    )


GRANT_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (
    shapes,
    roles_on_platforms,
    wildcards,
    include_bounds,
    rules,
    logins_needed,
)
