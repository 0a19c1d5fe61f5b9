"""Detection of a server's release, capabilities and plugins, and of the rights of the token, with one bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.platforms.interface import Reach
from siteward.platforms.matomo.groups import ALL_GROUPS, BLIND_SPOT, PLUGIN
from siteward.platforms.matomo.roles import SUPERUSER, Version, traits_of, version_of
from siteward.platforms.matomo.rows import CAPABILITY_LIST, FLAG, TEXT, parse
from siteward.platforms.matomo.rpc import Call, Failed, ask, refusal, token_of
from siteward.transport.errors import ForbiddenError

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.matomo.rows import CapabilityRow
    from siteward.platforms.matomo.settings import Settings
    from siteward.transport.http import Reader

# `getPiwikVersion` works on every release seen and is deprecated; a release that drops it has the other (section 7).
PREFLIGHT = (
    Call("UsersManager.hasSuperUserAccess"),
    Call("API.getPiwikVersion"),
    Call("API.getMatomoVersion"),
    Call("UsersManager.getAvailableCapabilities"),
    PLUGIN,
    ALL_GROUPS,
)

# As it is shipped, this plugin takes every password and none for a confirmation (rec 27#8-11).
LDAP = Call("API.isPluginActivated", {"pluginName": "LoginLdap"})


def is_on(answer: object) -> bool:
    """Return whether `API.isPluginActivated` was answered yes; a server that refuses the call has no such plugin."""
    return not isinstance(answer, Failed) and parse(FLAG, answer, "isPluginActivated")


def probe(reader: Reader, settings: Settings) -> tuple[Traits, None]:
    """Return the traits of the server, after one request, and no seed: `read` asks for none of these answers.

    Raises `UnauthenticatedError` for a bad token where the server reports it (5.x), and `ForbiddenError` for the token
    of somebody who is no superuser; up to 4.x a bad token looks like that too (API.md section 1.2).
    """
    superuser, piwik_version, matomo_version, capabilities, has_groups, groups = ask(reader, PREFLIGHT)
    if isinstance(superuser, Failed) or not parse(FLAG, superuser, "hasSuperUserAccess"):
        valid = (
            not isinstance(piwik_version, Failed)
            and version_of(parse(TEXT, piwik_version, "getPiwikVersion")).refuses_bad_tokens
        )
        doubt = "" if valid else ", or it is not valid: Matomo up to 4.x does not report which"
        raise ForbiddenError(
            f"this token is not a superuser's{doubt}",
            hint="make a token for an account of its own that is a superuser, and name that account in `self`",
        )
    version = _parse_version(reader, piwik_version, matomo_version)
    traits = traits_of(version, _parse_capabilities(capabilities), settings)
    hidden = is_on(has_groups) and isinstance(groups, Failed)
    return (replace(traits, blind_spots=(BLIND_SPOT,)) if hidden else traits), None


def _parse_version(reader: Reader, piwik_version: object, matomo_version: object) -> Version:
    answer = matomo_version if isinstance(piwik_version, Failed) else piwik_version
    if isinstance(answer, Failed):
        raise refusal(reader, answer.words, 200)
    return version_of(parse(TEXT, answer, "getPiwikVersion"))


def _parse_capabilities(answer: object) -> tuple[CapabilityRow, ...]:
    """Return the capabilities that the server offers; a release before 3.6 has no such method."""
    return () if isinstance(answer, Failed) else parse(CAPABILITY_LIST, answer, "getAvailableCapabilities")


def reach(reader: Reader, settings: Settings, traits: Traits) -> Reach:
    """Return the account of the credentials and its rights, for `doctor`; may ask whether LoginLdap is on.

    Raises `PlatformError`.
    """
    version = version_of(traits.version)
    may, may_not = ["read every account, site and grant", "create and delete accounts", "give and take site access"], []
    needs_confirmation = "make and unmake superusers, change e-mail addresses"
    lacks_password = version.confirms_superuser and not token_of(reader).has_password
    ldap = lacks_password and is_on(ask(reader, (LDAP,))[0])
    if not lacks_password or ldap:
        may.append(needs_confirmation)
    else:
        may_not.append(
            f"{needs_confirmation}: these need the password of {settings.self_login}, the credential PASSWORD"
        )
    may.append("invite people" if version.invites else "make accounts with a password; invitations came with 4.11")
    notes = ["whose token this is cannot be asked; `self` is compared with the list of superusers"]
    if version.mails_creator:
        notes.append("every account made or deleted mails the token's owner, so give it an address of its own")
    if ldap:
        notes.append("LoginLdap is on, which asks for no password unless it was set to")
    return Reach(
        account=settings.self_login,
        role=SUPERUSER,
        may=tuple(may),
        may_not=(*may_not, "see or revoke tokens: no call of the API does"),
        notes=tuple(notes),
    )
