"""What Matomo can express, by release (API.md section 7) and by the capabilities its plugins bring.

Everything that depends on the release is decided by `Version`.
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
# What the bundled TagManager brings (API.md section 2.1); other plugins add their own, which only a server can tell.
_KNOWN_CAPABILITIES = {
    "tagmanager_write": frozenset({WRITE, ADMIN}),
    "tagmanager_publish_live_container": frozenset({ADMIN}),
    "tagmanager_use_custom_templates": frozenset({ADMIN}),
}


def _capable(traits: Traits, included: dict[str, frozenset[str]]) -> Traits:
    """Add capabilities. One that only admins have anyway is as much as managing: it can put code on a site."""
    strong = {item for item, roles in included.items() if WRITE not in roles}
    extras = {name: Power.MANAGE if name in strong else Power.EDIT for name in included}
    return replace(traits, extras=extras, included=included, powerful=traits.powerful | strong)


WIDEST = _capable(
    Traits(
        platform=NAME,
        roles={"site": (_VIEW, _WRITE, _ADMIN), "instance": (_SUPERUSER,)},
        top=SUPERUSER,
        admin_excludes_grants=True,
        knows_self=False,
        keeps_case=True,
        onboarding=frozenset({"invite", "password"}),
        powerful=frozenset({SUPERUSER, ADMIN}),
        public_account=ANONYMOUS,
        last_seen=True,
        blind_spots=("group-permissions",),
    ),
    _KNOWN_CAPABILITIES,
)


def traits_of(version: Version, capabilities: Iterable[CapabilityRow], settings: Settings) -> Traits:
    """Return what one server can express, and how accounts begin there.

    The capabilities of the bundled TagManager are among it also while that is switched off: what people hold then
    sleeps, and is in force again as soon as it is on (rec 23).
    """
    traits = replace(
        WIDEST,
        version=version.text,
        edition=version.product,
        roles={"site": _site_roles(version), "instance": (_SUPERUSER,)},
        onboarding=frozenset({onboarding(version, settings.onboarding)}),
        last_seen=version.keeps_last_seen,
        powerful=frozenset({SUPERUSER, ADMIN}),
        blind_spots=(),
    )
    known = _KNOWN_CAPABILITIES if version.has_write_role else {}
    return _capable(traits, {**known, **{capability.id: frozenset(capability.included) for capability in capabilities}})


def plugin_of(capability: str) -> str:
    """Return the plugin that brings a capability, in words."""
    return "TagManager" if capability in _KNOWN_CAPABILITIES else "a plugin"


def onboarding(version: Version, wish: Onboarding | None) -> Literal["invite", "password"]:
    """Return how accounts begin: as the file says, else by invitation where the server can."""
    return wish or ("invite" if version.invites else "password")


def _site_roles(version: Version) -> tuple[Role, ...]:
    return (_VIEW, _WRITE, _ADMIN) if version.has_write_role else (_VIEW, _ADMIN)


# --- releases ---------------------------------------------------------------------------------------------------------

_OLDEST = (2, 2)  # `hasSuperUserAccess` came with it; before 2.1 there was one superuser, in the config file


class Version(Struct, frozen=True, order=True):
    """The release of one server: `text` as it calls itself, `number` for comparing."""

    number: tuple[int, int]
    text: str

    @property
    def product(self) -> str:
        """The name it went by."""
        return "Matomo" if self.number >= (3, 3) else "Piwik"

    @property
    def has_write_role(self) -> bool:
        """Tell whether there is the role `write`, and capabilities."""
        return self.number >= (3, 6)

    @property
    def invites(self) -> bool:
        """Tell whether people can be invited."""
        return self.number >= (4, 11)

    @property
    def keeps_last_seen(self) -> bool:
        """Tell whether users show when they last opened a page (API calls never count)."""
        return self.number >= (3, 0)

    @property
    def refuses_bad_tokens(self) -> bool:
        """Tell whether a token that is not valid is refused as such, with 401."""
        return self.number >= (5, 0)

    @property
    def ends_sessions(self) -> bool:
        """Tell whether somebody can be logged out of the web interface (developer changelog; read, not driven)."""
        return self.number >= (5, 9)

    @property
    def confirms_email(self) -> bool:
        """Tell whether changing an e-mail needs the password of the token's owner, a token being no session."""
        return self.number >= (3, 8)

    @property
    def confirms_superuser(self) -> bool:
        """Tell whether making and unmaking superusers needs that password."""
        return self.number >= (3, 10)

    @property
    def splits_early(self) -> bool:
        """Tell whether an entry of a bulk is decoded before it is split, so that `&` in a value damages it."""
        return self.number < (5, 0)

    @property
    def mails_creator(self) -> bool:
        """Tell whether the acting user gets a mail for each account made or deleted."""
        return self.number >= (4, 0)

    @property
    def mails_changed_email(self) -> bool:
        """Tell whether a changed e-mail is told to the old and the new address."""
        return self.number >= (3, 0)

    @property
    def reinvites_changed_email(self) -> bool:
        """Tell whether a pending user gets a new invitation instead."""
        return self.number >= (5, 2)

    @property
    def mails_public(self) -> bool:
        """Tell whether every superuser gets a mail when a site is opened to everybody."""
        return self.number >= (5, 1)

    @property
    def refuses_login_like_email(self) -> bool:
        """Tell whether a login may not be another user's e-mail."""
        return self.number >= (4, 0)


def version_of(text: str) -> Version:
    """Return the version that a server names; raises `NotThePlatformError` for none, or one that is too old."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise NotThePlatformError(f"the server calls its version {text[:40]!r}, which is none of Matomo's")
    version = Version((int(found[1]), int(found[2])), text)
    if version.number < _OLDEST:
        raise NotThePlatformError(f"{version.product} {text} is too old; 2.2 is the oldest that can be managed")
    return version
