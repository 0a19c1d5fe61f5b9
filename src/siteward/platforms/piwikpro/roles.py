"""The roles, traits, paths of levels, and languages of Piwik PRO (API.md sections 3, 6, 7 and 8).

It accepts a few languages, each with any region of ISO 3166-1 (API.md section 3).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits
from siteward.platforms.piwikpro.settings import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.model import Scope

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
    ids="unique",
    keeps_language=True,
    renames_groups=True,
    onboarding=frozenset({"invite"}),
    powerful=frozenset({OWNER, _MANAGE.name}),
    keys_unseen="no call lists API keys; their owners see them under Menu, Profile, API keys",
)
"""The traits with an owner's key on an instance with native groups."""


def owner_traits(*, native: bool) -> Traits:
    """Return the traits with an owner's key; without native groups, existing groups are read and never changed."""
    return WIDEST if native else replace(WIDEST, manages=frozenset({"account", "grant"}))


def manager_traits(*, manages: bool) -> Traits:
    """Return the traits with the key of a user who is no owner: grants on the apps that the user manages, if any.

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
    """Return whether these traits are of an owner's key, with which everything can be read."""
    return traits.accounts_listed


def level_path(scope: Scope, scope_id: str, subject: Literal["user", "user-group"], subject_id: str = "") -> str:
    """Return the path that lists the levels on a site or meta site, or with `holder_id` the one that sets a single level."""
    path = f"/api/access-control/v2/{ENTITY[scope.kind]}/{scope_id}/permission/{subject}"
    return f"{path}/{subject_id}" if subject_id else path


# --- languages --------------------------------------------------------------------------------------------------------


LANGUAGES = ("ca", "de", "en", "es", "fi", "fr", "nl", "sv")
REGIONS = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 — two hundred and forty-nine quoted words are no help
)
_TAG = re.compile(r"([a-z]{2,3})-([A-Z]{2})")


def objection(tag: str) -> str | None:
    """Return why Piwik PRO would refuse a language, or `None` if it accepts it."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return f"`{tag}` is not a valid language tag such as de-DE"
    if found[1] not in LANGUAGES:
        return f"Piwik PRO has no `{found[1]}`; it has {', '.join(LANGUAGES)}"
    if found[2] not in REGIONS:
        return f"`{found[2]}` is not a valid region of ISO 3166-1"
    return None
