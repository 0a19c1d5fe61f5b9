"""The translation of a role of the file into a role of one platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import NO_EXTRAS, Power
from siteward.access.traits import SITE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.traits import Role as NativeRole
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Role

PORTABLE: Mapping[str, Power] = {
    "view": Power.VIEW,
    "edit": Power.EDIT,
    "publish": Power.EDIT,
    "manage": Power.MANAGE,
    "admin": Power.ADMIN,
    "member": Power.NONE,
}
"""The role names that files may use on every platform, with their power."""

ACCOUNT_ROLES = ("admin", "member")
"""The portable names that are roles of an account, not of a site."""


class Meaning(Struct, frozen=True):
    """A role as the platform names it.

    `extras` are `None` where the platform has some and the file gives none: then live ones stay as they are. `power` is
    that of the role and its extras together. `via` names the declared role that led here.
    """

    role: NativeRole
    extras: frozenset[str] | None
    power: Power
    via: str | None = None


class Lack(Struct, frozen=True):
    """The reason why a platform has no such role, as the parts of a diagnostic; the hint names the nearest role."""

    message: str
    hint: str
    code: str = "role-not-on-platform"


class Elsewhere(Struct, frozen=True):
    """A role that is another platform's own, so that the grant does not reach this one."""

    platform: str


def meaning(
    roles: Mapping[str, Role], written: str, extras: frozenset[str] | None, traits: Traits, kind: str
) -> Meaning | Lack | Elsewhere:
    """Return the meaning of the role `written` on scopes of `kind` on a platform.

    `roles` are the file's own by handle; `extras` are the grant's, and are added to those of a declared role.
    """
    declared = roles.get(written)
    name, via = written, None
    if declared is not None:
        on = declared.on.get(traits.platform)
        if on is None:
            return Lack(
                f"the role `{written}` says nothing about {traits.platform}",
                f"add `{traits.platform}: …` to it, or narrow the grant with `on`",
            )
        name, via = on.role, f"role {written}"
        extras = extras if on.extras is None else on.extras | (extras or frozenset())
    platform, colon, native_name = name.partition(":")
    if colon and platform != traits.platform:
        return Elsewhere(platform)
    role = traits.role(kind, native_name) if colon else _find_role(traits, kind, name, declared=declared is not None)
    if role is None or not role.declarable:
        return _describe_lack(traits, kind, name)
    unknown = sorted((extras or frozenset()) - set(traits.extras))
    if unknown:
        return Lack(
            f"{traits.platform} has no extra `{unknown[0]}`"
            if traits.extras
            else f"{traits.platform} knows no extras beside roles",
            f"it has: {', '.join(sorted(traits.extras))}" if traits.extras else "leave `extras` out",
            "unknown-extra",
        )
    power = max((role.power, *(traits.extras[extra] for extra in extras or ())))
    travels = bool(traits.extras) and kind in SITE_KINDS
    return Meaning(role, extras if travels else NO_EXTRAS, power, via)


def _find_role(traits: Traits, kind: str, name: str, *, declared: bool) -> NativeRole | None:
    """Return the role of a portable name; inside a `declared` role also of a native name without prefix."""
    role = traits.native(kind, name)
    return traits.role(kind, name) if role is None and declared else role


def _describe_lack(traits: Traits, kind: str, name: str) -> Lack:
    """Return why a platform has no role of this name on a kind of scope, and the one nearest to it in power."""
    wanted = PORTABLE.get(name.rpartition(":")[2], Power.VIEW)
    if kind == "instance" and not traits.roles.get(kind):
        return Lack(f"{traits.platform} has no account roles", "name sites: there only sites can be granted")
    if kind == "instance" and any(traits.native(other, name) for other in ("site", "metasite")):
        return Lack(f"`{name}` is a role on sites, and the grant names none", "add `sites`")
    if kind != "instance" and traits.native("instance", name):
        return Lack(
            f"`{name}` is a role of the account, not of a site", "take `sites` away and name the instance with `on`"
        )
    candidates = [role for role in traits.roles.get(kind, ()) if role.declarable]
    if not candidates:
        return Lack(f"{traits.platform} grants nothing on a {kind}", "take it away, or narrow the grant with `on`")
    nearest = min(candidates, key=lambda role: (abs(role.power - wanted), role.power))
    where = {"instance": "as an account role", "metasite": "on meta sites"}.get(kind, "on sites")
    said = nearest.portable or f"{traits.platform}:{nearest.name}"
    same = f" ({nearest.name})" if nearest.portable and nearest.portable != nearest.name else ""
    return Lack(f"{traits.platform} has no role `{name}` {where}", f"the nearest it has is `{said}`{same}")
