"""What Matomo can express, by release and by the capabilities its plugins bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.platforms.matomo.rows import CapabilityRow
    from siteward.platforms.matomo.settings import Onboarding, Settings
    from siteward.platforms.matomo.versions import Version

ANONYMOUS = "anonymous"
SUPERUSER = "superuser"
VIEW, WRITE, ADMIN = "view", "write", "admin"

_VIEW = Role(name=VIEW, power=Power.VIEW, portable="view")
_WRITE = Role(name=WRITE, power=Power.EDIT, portable="edit")
_ADMIN = Role(name=ADMIN, power=Power.MANAGE, portable="manage")
_SUPERUSER = Role(name=SUPERUSER, power=Power.ADMIN, portable="admin")
# What the bundled TagManager brings (API.md section 2.1); other plugins add their own, which only a server can tell.
_KNOWN_CAPABILITIES = {
    "tagmanager_write": frozenset({WRITE, ADMIN}),
    "tagmanager_publish_live_container": frozenset({ADMIN}),
    "tagmanager_use_custom_templates": frozenset({ADMIN}),
}


def _capable(traits: Traits, included: dict[str, frozenset[str]]) -> Traits:
    """Add capabilities. One that only admins have anyway is as much as managing: it can put code on a site."""
    strong = {each for each, roles in included.items() if WRITE not in roles}
    extras = {each: Power.MANAGE if each in strong else Power.EDIT for each in included}
    return replace(traits, extras=extras, included=included, powerful=traits.powerful | strong)


WIDEST = _capable(
    Traits(
        platform="matomo",
        roles={"site": (_VIEW, _WRITE, _ADMIN), "instance": (_SUPERUSER,)},
        top=SUPERUSER,
        admin_excludes_grants=True,
        knows_self=False,
        onboarding=frozenset({"invite", "password"}),
        powerful=frozenset({SUPERUSER, ADMIN}),
        public_account=ANONYMOUS,
        last_seen=True,
    ),
    _KNOWN_CAPABILITIES,
)


def traits_of(version: Version, capabilities: Iterable[CapabilityRow], settings: Settings) -> Traits:
    """Return what one server can express, and how accounts begin there."""
    traits = replace(
        WIDEST,
        version=version.text,
        edition=version.product,
        roles={"site": _site_roles(version), "instance": (_SUPERUSER,)},
        onboarding=frozenset({onboarding(version, settings.onboarding)}),
        last_seen=version.keeps_last_seen,
        powerful=frozenset({SUPERUSER, ADMIN}),
    )
    return _capable(traits, {each.id: frozenset(each.included) for each in capabilities})


def onboarding(version: Version, wish: Onboarding | None) -> Literal["invite", "password"]:
    """Return how accounts begin: as the file says, else by invitation where the server can."""
    return wish or ("invite" if version.invites else "password")


def _site_roles(version: Version) -> tuple[Role, ...]:
    return (_VIEW, _WRITE, _ADMIN) if version.has_write_role else (_VIEW, _ADMIN)
