"""Setting levels on apps and meta sites, for people and groups (API.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from siteward.platforms.piwikpro.commands import Nowhere, group_id, person_id, receipt_of, repeatable
from siteward.platforms.piwikpro.roles import ENTITY, level_path

if TYPE_CHECKING:
    from siteward.access.model import Grant
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer


def set_level(writer: Writer, grant: Grant, level: str, live: Live) -> Receipt:
    """Set a level; there is no other way to revoke than `no-access` (API.md section 6)."""
    site = live.sites.get(grant.scope)
    if site is None:
        raise Nowhere(f"there is no {grant.scope}")
    name = grant.subject.name
    holder: Literal["user", "user-group"] = "user-group" if grant.subject.kind == "group" else "user"
    at = group_id(writer, name, live) if holder == "user-group" else person_id(writer, name, live)
    kind = f"{ENTITY[grant.scope.kind]}/permission/{holder}"
    body = {"data": {"type": kind, "attributes": {"permission": level}}}
    return receipt_of(writer, grant.key, repeatable(writer, "POST", level_path(grant.scope, site.id, holder, at), body))
