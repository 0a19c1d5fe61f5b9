"""Roles and traits of Matomo, by release (API.md section 7) and by the capabilities that its plugins bring.

`Version` decides everything that depends on the release.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits
from siteward.platforms.matomo.settings import NAME
from siteward.transport.errors import NotThePlatformError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.platforms.matomo.rows import CapabilityRow
    from siteward.platforms.matomo.settings import Onboarding, Settings

ANONYMOUS = "anonymous"
SUPERUSER = "superuser"
VIEW, WRITE, ADMIN = "view", "write", "admin"

_VIEW = Role(name=VIEW, power=Power.VIEW, portable="view")
_WRITE = Role(name=WRITE, power=Power.EDIT, portable="edit")
_ADMIN = Role(name=ADMIN, power=Power.MANAGE, portable="manage")
_SUPERUSER = Role(name=SUPERUSER, power=Power.ADMIN, portable="admin")
# The bundled TagManager's capabilities (API.md section 2.1); those of other plugins are known only from a server.
_KNOWN_CAPABILITIES = {
    "tagmanager_write": frozenset({WRITE, ADMIN}),
    "tagmanager_publish_live_container": frozenset({ADMIN}),
    "tagmanager_use_custom_templates": frozenset({ADMIN}),
}


def _add_capabilities(traits: Traits, included: dict[str, frozenset[str]]) -> Traits:
    """Return the traits with these capabilities, given the roles of which each is part.

    One that is part of `admin` only has the power to manage: it can put code on a site.
    """
    strong = {capability for capability, roles in included.items() if WRITE not in roles}
    extras = {capability: Power.MANAGE if capability in strong else Power.EDIT for capability in included}
    return replace(traits, extras=extras, included=included, powerful=traits.powerful | strong)


WIDEST = _add_capabilities(
    Traits(
        platform=NAME,
        roles={"site": (_VIEW, _WRITE, _ADMIN), "instance": (_SUPERUSER,)},
        top=SUPERUSER,
        admin_excludes_grants=True,
        knows_self=False,
        keeps_case=True,
        ids="date",
        onboarding=frozenset({"invite", "password"}),
        powerful=frozenset({SUPERUSER, ADMIN}),
        public_account=ANONYMOUS,
        last_seen=True,
        blind_spots=("group-permissions",),
        keys_unseen="no call lists tokens, in no release up to 6.0; their owners see them under Personal, Security",
    ),
    _KNOWN_CAPABILITIES,
)


def traits_of(version: Version, capabilities: Iterable[CapabilityRow], settings: Settings) -> Traits:
    """Return the traits of one server, which also say how accounts begin there.

    From 3.6 on they include the capabilities of the bundled TagManager even while it is switched off: people keep what
    they hold, and it is in force again as soon as the plugin is on (rec 23).
    """
    traits = replace(
        WIDEST,
        version=version.text,
        edition=version.product,
        roles={"site": _list_site_roles(version), "instance": (_SUPERUSER,)},
        onboarding=frozenset({choose_onboarding(version, settings.onboarding)}),
        last_seen=version.keeps_last_seen,
        powerful=frozenset({SUPERUSER, ADMIN}),
        blind_spots=(),
    )
    known = _KNOWN_CAPABILITIES if version.has_write_role else {}
    offered = {capability.id: frozenset(capability.included) for capability in capabilities}
    return _add_capabilities(traits, {**known, **offered})


def plugin_of(capability: str) -> str:
    """Return the plugin that brings a capability, in words for people; only TagManager is known by name."""
    return "TagManager" if capability in _KNOWN_CAPABILITIES else "a plugin"


def choose_onboarding(version: Version, wanted: Onboarding | None) -> Literal["invite", "password"]:
    """Return how new accounts begin: as the file says, else by invitation if the release can invite."""
    return wanted or ("invite" if version.invites else "password")


def _list_site_roles(version: Version) -> tuple[Role, ...]:
    return (_VIEW, _WRITE, _ADMIN) if version.has_write_role else (_VIEW, _ADMIN)


# --- releases ---------------------------------------------------------------------------------------------------------

_OLDEST = (2, 2)  # `hasSuperUserAccess` came with it; before 2.1 there was one superuser, in the config file


class Version(Struct, frozen=True, order=True):
    """The release of one server: `text` as the server gives it, `number` (major, minor) for comparing."""

    number: tuple[int, int]
    text: str

    @property
    def product(self) -> str:
        """The name of the product at that release."""
        return "Matomo" if self.number >= (3, 3) else "Piwik"

    @property
    def has_write_role(self) -> bool:
        """True if there are the role `write` and capabilities."""
        return self.number >= (3, 6)

    @property
    def invites(self) -> bool:
        """True if people can be invited."""
        return self.number >= (4, 11)

    @property
    def keeps_last_seen(self) -> bool:
        """True if the server keeps when a user last opened a page (API calls never count)."""
        return self.number >= (3, 0)

    @property
    def refuses_bad_tokens(self) -> bool:
        """True if an invalid token is refused as such, with 401."""
        return self.number >= (5, 0)

    @property
    def ends_sessions(self) -> bool:
        """True if a user can be logged out of the web interface (developer changelog; read, not driven)."""
        return self.number >= (5, 9)

    @property
    def confirms_email(self) -> bool:
        """True if changing an e-mail needs the password of the token's owner (API.md section 1.8)."""
        return self.number >= (3, 8)

    @property
    def confirms_superuser(self) -> bool:
        """True if making and unmaking superusers needs that password too (API.md section 1.8)."""
        return self.number >= (3, 10)

    @property
    def splits_early(self) -> bool:
        """True if an entry of a bulk is decoded before it is split, so that `&` in a value damages it."""
        return self.number < (5, 0)

    @property
    def mails_creator(self) -> bool:
        """True if the acting user gets a mail for each account made or deleted."""
        return self.number >= (4, 0)

    @property
    def mails_changed_email(self) -> bool:
        """True if the old and the new address are both told of a changed e-mail."""
        return self.number >= (3, 0)

    @property
    def reinvites_changed_email(self) -> bool:
        """True if a pending user gets a new invitation instead."""
        return self.number >= (5, 2)

    @property
    def mails_public(self) -> bool:
        """True if every superuser gets a mail when a site is made public."""
        return self.number >= (5, 1)

    @property
    def refuses_login_like_email(self) -> bool:
        """True if a login that is another user's e-mail is refused."""
        return self.number >= (4, 0)


def version_of(text: str) -> Version:
    """Return the version that a server gives; raises `NotThePlatformError` for no version, or one before 2.2."""
    number = re.match(r"(\d+)\.(\d+)", text)
    if not number:
        raise NotThePlatformError(f"the server calls its version {text[:40]!r}, which is none of Matomo's")
    version = Version((int(number[1]), int(number[2])), text)
    if version.number < _OLDEST:
        raise NotThePlatformError(f"{version.product} {text} is too old; 2.2 is the oldest that can be managed")
    return version
