"""Matomo's answers, as far as access needs them, in one shape for all releases (API.md section 1.5).

Parsing drops every field that is not named here. The md5 passwords and tokens that 2.x puts into its user list are
not even asked for (`read`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, field

from siteward.platforms.decode import MisshapenError, Some, converted
from siteward.transport.errors import NotThePlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class UserRow(Struct, frozen=True):
    """A user; `superuser` and `two_factor` come as numbers, texts or booleans, by release."""

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
    """A site with its main URL; `group` is the label under which the interface lists it."""

    id: int = field(name="idsite")
    name: str = ""
    main_url: str = ""
    group: str = ""


class CapabilityRow(Struct, frozen=True):
    """A capability, and the roles of which it is part."""

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


def _unwrap_scalar(value: object) -> object:
    """Return the scalar in an answer: 4.x and later put it under `value` inside a bulk, older ones do not."""
    return value["value"] if isinstance(value, dict) and set(value) == {"value"} else value


def _unify_map(value: object) -> object:
    """Return the map in an answer: PHP writes an empty one as a list, and ≤3.x wraps a flat one into a list."""
    match value:
        case []:
            return {}
        case [dict() as only]:
            return only
        case _:
            return value


def _unify_list(value: object) -> object:
    """Return the list in an answer, which some releases give as an object keyed by id; an error stays one."""
    return list(value.values()) if isinstance(value, dict) and "result" not in value else value


class Form(Struct, Generic[T], frozen=True):
    """The type of an answer, and the function that brings all releases' ways of writing it to one."""

    kind: type[T]
    unify: Callable[[object], object]


USER_LIST = Form(tuple[UserRow, ...], _unify_list)
USER_RECORD = Form(UserRow, _unify_map)
SITE_LIST = Form(tuple[SiteRow, ...], _unify_list)
CAPABILITY_LIST = Form(tuple[CapabilityRow, ...], _unify_list)
ACCESS_LIST = Form(tuple[AccessRow, ...], _unify_list)
GROUP_LIST = Form(tuple[GroupRow, ...], _unify_list)
MEMBER_LIST = Form(tuple[MemberRow, ...], _unify_list)
ROLE_MAP: Form[Mapping[str, str]] = Form(dict[str, str], _unify_map)
USER_MAP: Form[Mapping[str, tuple[int, ...]]] = Form(dict[str, tuple[int, ...]], _unify_map)
FLAG = Form(bool, _unwrap_scalar)
TEXT = Form(str, _unwrap_scalar)


def parse(form: Form[T], answer: object, method: str) -> T:
    """Return an answer in its form.

    Raises `NotThePlatformError` for another shape; the message names the method, and quotes nothing of the answer.
    """
    try:
        return converted(form.kind, form.unify(answer), lax=True)
    except MisshapenError as error:
        raise NotThePlatformError(f"the answer to {method} is not what Matomo gives ({error})") from None
