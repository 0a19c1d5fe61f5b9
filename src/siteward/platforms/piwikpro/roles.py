"""What Piwik PRO can express, as data (API.md sections 3, 6, 7 and 8)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.model import Scope

NAME = "piwik-pro"
OWNER = "owner"
ON = "on"
NO_ACCESS = "no-access"
ENTITY: Mapping[str, Literal["app", "meta-site"]] = MappingProxyType({"site": "app", "metasite": "meta-site"})

_VIEW = Role(name="view", power=Power.VIEW, portable="view")
_EDIT = Role(name="edit", power=Power.EDIT, portable="edit")
_PUBLISH = Role(name="edit-publish", power=Power.EDIT, portable="publish")
_MANAGE = Role(name="manage", power=Power.MANAGE, portable="manage")

WIDEST = Traits(
    platform=NAME,
    version="current",
    roles=MappingProxyType(
        {
            "instance": (Role(name=OWNER, power=Power.ADMIN, portable="admin"),),
            "site": (_VIEW, _EDIT, _PUBLISH, _MANAGE),
            "metasite": (_VIEW, _EDIT, _MANAGE),
            "module": (Role(name=ON, power=Power.NONE),),
        }
    ),
    manages=frozenset({"account", "group", "member", "grant"}),
    top=OWNER,
    admin_excludes_grants=True,
    login="email",
    keeps_language=True,
    onboarding=frozenset({"invite"}),
    powerful=frozenset({OWNER, _MANAGE.name}),
)
"""All that an owner's key can do on an instance with native groups."""


def owner_traits(*, native: bool) -> Traits:
    """Return what can be done with an owner's key; without native groups those that are there are only looked at."""
    return WIDEST if native else replace(WIDEST, manages=frozenset({"account", "grant"}))


def manager_traits(*, manages: bool) -> Traits:
    """Return what can be done with the key of somebody who is no owner: the grants on apps it manages, if any.

    Such a key cannot list accounts, groups or modules (API.md section 3), so their absence proves nothing.
    """
    return replace(
        WIDEST,
        edition="per-app" if manages else "read-only",
        roles=MappingProxyType({kind: WIDEST.roles[kind] for kind in ("site", "metasite")}),
        manages=frozenset({"grant"}) if manages else frozenset(),
        top=None,
        admin_excludes_grants=False,
        accounts_listed=False,
        deletes=False,
        onboarding=frozenset(),
        blind_spots=("owners", "group-members", "modules", "sites-not-managed"),
    )


def listed(traits: Traits) -> bool:
    """Tell whether these traits are of an owner's key, with which everything can be read."""
    return traits.accounts_listed


def level_path(scope: Scope, scope_id: str, holder: Literal["user", "user-group"], holder_id: str = "") -> str:
    """Return the path under which levels on a site or meta site are listed, or that of one holder is set."""
    path = f"/api/access-control/v2/{ENTITY[scope.kind]}/{scope_id}/permission/{holder}"
    return f"{path}/{holder_id}" if holder_id else path
