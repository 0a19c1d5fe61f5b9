"""Small worlds for examples: one instance, said in a line each, with the defaults that examples do not speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from rig import admin, subject, whole
from siteward.access.diagnostic import Diagnostic, Span
from siteward.access.guards import judge
from siteward.access.model import Access, Account, Grant, Resource, Scope, grant_key
from siteward.access.plan import compose
from siteward.access.policy import LIMIT_NAMES, Limit, Policy
from siteward.access.proposal import Proposal, manage
from siteward.access.state import DeclaredUser, Desired, Listing, Live, Memory, Site
from strategies import ME, NOW, UMAMI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan
    from siteward.access.traits import Traits

__all__ = [
    "AT",
    "BLOG",
    "OPEN",
    "SHOP",
    "admin",
    "codes",
    "declared_user",
    "grant",
    "judged",
    "key",
    "keys",
    "live",
    "planned",
    "proposed",
    "subject",
    "whole",
    "wish",
]  # fmt: skip
SHOP, BLOG = Scope("site", "shop.example.org"), Scope("site", "blog.example.org")
AT = Span("access.yaml", 7, 3)
OPEN = Policy(limits={name: Limit() for name in LIMIT_NAMES}, admins_min=1)


def grant(name: str, role: str, scope: Scope = SHOP, *extras: str) -> Grant:
    """Return a grant."""
    return Grant(subject(name), scope, role, frozenset(extras))


def key(name: str, scope: Scope = SHOP) -> Key:
    """Return the key of somebody's grant."""
    return grant_key(subject(name), scope)


def live(*resources: Resource, table: Traits = UMAMI) -> Live:
    """Return what the API shows: these, and ourselves."""
    mine: list[Resource] = [Account(ME)]
    if table.top:
        mine.append(admin(ME, table.top))
    places = (SHOP, BLOG)
    return Live(
        access=Access((*mine, *whole(resources).values())),
        sites={place: Site(id=place.name.partition(".")[0], label=place.name) for place in places},
        me=ME,
        listings=(Listing(name="users", rows=9, complete=True, proof="count"),),
    )


def wish(*resources: Resource, declared: Iterable[DeclaredUser] = ()) -> Desired:
    """Return what the file means: these; everybody in them is declared, and whoever is named besides."""
    access = whole(resources)
    declared_users = {account.name: DeclaredUser(account.name, AT) for account in access.accounts()}
    return Desired(
        access=access,
        declared_users=declared_users | {declared_user.handle: declared_user for declared_user in declared},
        managed=frozenset((SHOP, BLOG)),
    )


def declared_user(name: str, **said: object) -> DeclaredUser:
    """Return a declared user."""
    return replace(DeclaredUser(name, AT), **said)


NOBODY_YET = Memory()


def proposed(
    world: Live, desired: Desired, policy: Policy = OPEN, *, table: Traits = UMAMI, memory: Memory | None = NOBODY_YET
) -> Proposal:
    """Return what follows from a world and a wish."""
    return manage(world, desired, table, policy, memory)


def keys(proposal: Proposal) -> list[tuple[str, Key, str]]:
    """Return the proposed changes as verb, key and cause."""
    return [(proposed.change.action, proposed.key, proposed.cause) for proposed in proposal.proposed]


def codes(proposal: Proposal, **said: object) -> set[tuple[str, Key | None]]:
    """Return the errors of the guards, as code and what they are about."""
    return {(diagnostic.code, diagnostic.about) for diagnostic in judged(proposal, **said) if diagnostic.blocks}


def judged(proposal: Proposal, **said: object) -> tuple[Diagnostic, ...]:
    """Return what the guards say at the moment that the examples play."""
    return judge(proposal, as_of=NOW, **said)  # type: ignore[arg-type]


def planned(proposal: Proposal, *remarks: Diagnostic, **said: object) -> InstancePlan:
    """Return the composed plan of a proposal, after the platform's remarks and the guards."""
    found = (*remarks, *judged(proposal, remarks=remarks, **said))
    return compose(proposal, found, instance="stats", origin="https://stats.example.org")
