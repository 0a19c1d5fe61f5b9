"""Matomo's answers, as far as access needs them, in one shape for all releases (API.md section 1.5).

What is not named here is dropped while parsing. The md5 passwords and tokens that 2.x puts into its user list are
not even asked for (`read`).
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from siteward.transport.errors import NotThePlatform

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


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UserRow(_Row):
    """A user; flags and numbers come as numbers, texts or booleans."""

    login: str
    email: str = ""
    superuser: Annotated[bool, Field(validation_alias="superuser_access")] = False
    created: Annotated[str | None, Field(validation_alias="date_registered")] = None
    last_seen: str | None = None
    invite_status: str | int = "active"
    invited_by: str | None = None
    invite_ends: Annotated[str | None, Field(validation_alias="invite_expired_at")] = None
    two_factor: Annotated[bool | None, Field(validation_alias="uses_2fa")] = None


class SiteRow(_Row):
    """A website."""

    id: Annotated[int, Field(validation_alias="idsite")]
    name: str = ""
    main_url: str = ""
    group: str = ""


class CapabilityRow(_Row):
    """A capability, and the roles it is part of."""

    id: str
    included: Annotated[tuple[str, ...], Field(validation_alias="includedInRoles")] = ()


Users = Annotated[tuple[UserRow, ...], BeforeValidator(_listed)]
Sites = Annotated[tuple[SiteRow, ...], BeforeValidator(_listed)]
Capabilities = Annotated[tuple[CapabilityRow, ...], BeforeValidator(_listed)]
Holders = Annotated[dict[str, tuple[int, ...]], BeforeValidator(_mapped)]
Flag = Annotated[bool, BeforeValidator(_unwrapped)]
Text = Annotated[str, BeforeValidator(_unwrapped)]

_ADAPTERS: dict[object, TypeAdapter[Any]] = {}


def parse(shape: Any, answer: object, what: str) -> Any:
    """Return an answer in its shape; raises `NotThePlatform` naming `what`, and never what was in it."""
    adapter = _ADAPTERS.get(shape)
    if adapter is None:
        adapter = _ADAPTERS[shape] = TypeAdapter(shape)
    try:
        return adapter.validate_python(answer)
    except ValidationError as wrong:
        where = "/".join(str(each) for each in wrong.errors(include_url=False, include_input=False)[0]["loc"])
        raise NotThePlatform(f"the answer to {what} is not what Matomo gives (at {where or 'its top'})") from None
