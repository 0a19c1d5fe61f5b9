"""Resources as the files of the journal have them.

A run writes each of its grants up to three times: before it is sent, at the end, and in what the run leaves. So a grant is
given as a struct that msgspec writes itself, with its members in the order of their names.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from siteward.access.model import Grant, Resource, Scope, Subject
from siteward.access.serialize import shape

_encode: Final = shape(Resource).encode


class _GrantRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A grant; msgspec leaves out the one object that is a default, and no equal one."""

    extras: tuple[str, ...] | None = ()
    role: str
    scope: Scope | dict[str, str]
    subject: Subject
    type: str


def row_of(resource: Resource | None) -> Any:
    """Return a resource as data that can be written, `None` for none."""
    if not isinstance(resource, Grant):
        return None if resource is None else _encode(resource)
    scope = resource.scope
    return _GrantRow(
        extras=resource.listed_extras,
        role=resource.role,
        scope=scope if scope.name else {"kind": scope.kind},
        subject=resource.subject,
        type="grant",
    )
