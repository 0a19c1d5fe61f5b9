"""Matomo's answers, as far as access needs them, in one shape for all releases (API.md section 1.5).

What is not named here is dropped while parsing. The md5 passwords and tokens that 2.x puts into its user list are
not even asked for (`read`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, field

from siteward.platforms.decode import (
    MisshapenError,
    Some,
    converted,
)
from siteward.transport.errors import NotThePlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def _unwrapped(value: object) -> object:
    """Return what an answer holds: 4.x and later put a scalar under `value` inside a bulk, older ones do not."""
    return value["value"] if isinstance(value, dict) and set(value) == {"value"} else value


def _mapped(value: object) -> object:
    """Return a map: PHP writes an empty one as a list, and ≤3.x wraps a flat one into a list."""
    match value:
        case []:
            return {}
        case [dict() as only]:
            return only
        case _:
            return value


def _listed(value: object) -> object:
    """Return a list, whether the server gave one or an object keyed by id."""
    return list(value.values()) if isinstance(value, dict) and "result" not in value else value


class UserRow(Struct, frozen=True):
    """A user; flags and numbers come as numbers, texts or booleans."""

    login: Some
    email: str = ""
    superuser: bool = field(default=False, name="superuser_access")
    created: str | None = field(default=None, name="date_registered")
    last_seen: str | None = None
    invite_status: str | int = "active"
    invited_by: str | None = None
    invite_ends: str | None = field(default=None, name="invite_expired_at")
    two_factor: bool | None = field(default=None, name="uses_2fa")


class SiteRow(Struct, frozen=True):
    """A website."""

    id: int = field(name="idsite")
    name: str = ""
    main_url: str = ""
    group: str = ""


class CapabilityRow(Struct, frozen=True):
    """A capability, and the roles it is part of."""

    id: Some
    included: tuple[str, ...] = field(default=(), name="includedInRoles")


class AccessRow(Struct, frozen=True):
    """A role or capability of one user on one site."""

    site: int
    access: str


class GroupRow(Struct, frozen=True):
    """A group of the plugin GroupPermissions."""

    id: int = field(name="idgroup")
    name: Some = ""


class MemberRow(Struct, frozen=True):
    """A member of such a group."""

    login: Some


class Form(Struct, Generic[T], frozen=True):
    """What an answer holds, and what brings all releases' ways to write it to one."""

    kind: type[T]
    unify: Callable[[object], object]


USER_LIST = Form(tuple[UserRow, ...], _listed)
USER_RECORD = Form(UserRow, _mapped)
SITE_LIST = Form(tuple[SiteRow, ...], _listed)
CAPABILITY_LIST = Form(tuple[CapabilityRow, ...], _listed)
ACCESS_LIST = Form(tuple[AccessRow, ...], _listed)
GROUP_LIST = Form(tuple[GroupRow, ...], _listed)
MEMBER_LIST = Form(tuple[MemberRow, ...], _listed)
ROLE_MAP: Form[Mapping[str, str]] = Form(dict[str, str], _mapped)
USER_MAP: Form[Mapping[str, tuple[int, ...]]] = Form(dict[str, tuple[int, ...]], _mapped)
FLAG = Form(bool, _unwrapped)
TEXT = Form(str, _unwrapped)


def parse(form: Form[T], answer: object, what: str) -> T:
    """Return an answer in its form; raises `NotThePlatformError` naming `what`, and never what was in it."""
    try:
        return converted(form.kind, form.unify(answer), lax=True)
    except MisshapenError as error:
        raise NotThePlatformError(f"the answer to {what} is not what Matomo gives ({error})") from None
