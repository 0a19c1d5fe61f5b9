"""What a world file of a Matomo may say beyond accounts, sites and grants: plugins, and what is rare in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from siteward.platforms.matomo.fake.state import INVITE_DAYS, UserGroup

if TYPE_CHECKING:
    from siteward.platforms.fakery import World
    from siteward.platforms.matomo.fake.state import State


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MoreGroup(_Strict):
    """A group of GroupPermissions; `access` are roles by the domain of a site."""

    name: str
    members: tuple[str, ...] = ()
    access: Mapping[str, Literal["view", "write", "admin"]] = {}


class MoreRow(_Strict):
    """A row of the access table as it is spelled; the site, named by its domain."""

    login: str
    site: str
    access: str


class More(_Strict):
    """What only Matomo knows.

    `plugins` are switched on or off beside what the release has; `groups` need GroupPermissions on. `collation` is that
    of the tables, `rows` are access rows beside the grants, under any spelling. `bulk_limit` is
    `API_bulk_request_limit`, which a release before 5.8 does not know, `invite_days` is `default_invite_user_token_expiry_days`,
    which one before 5.9 does not; `mail_fails` tells that no mail can be sent.
    `untrusted_host` is a 6.0 behind a proxy whose name it does not trust: it answers with a page of warning.
    """

    plugins: Mapping[Literal["TagManager", "GroupPermissions", "LoginLdap"], bool] = {}
    groups: tuple[MoreGroup, ...] = ()
    collation: Literal["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_uca1400_ai_ci"] = "utf8mb4_general_ci"
    rows: tuple[MoreRow, ...] = ()
    bulk_limit: int | None = None
    invite_days: int | None = None
    mail_fails: bool = False
    untrusted_host: bool = False


def before(state: State, world: World) -> More:
    """Set what must stand before anybody is added, and return the whole; raises `ValueError` for what is unknown."""
    more = More.model_validate(dict(world.more))
    state.collation = more.collation
    return more


def after(state: State, more: More, sites: Mapping[str, int]) -> None:
    """Add what stands on accounts and sites; raises `ValueError` for a site that the world does not have."""
    missing = {row.site for row in more.rows} | {goal for group in more.groups for goal in group.access}
    if missing - sites.keys():
        raise ValueError(f"no site {min(missing - sites.keys())!r}")
    for row in more.rows:
        state.add_rows(row.login, row.access, [sites[row.site]])
    for group in more.groups:
        access: dict[int, str] = {sites[domain]: role for domain, role in group.access.items()}
        state.groups[state.next("group")] = UserGroup(group.name, list(group.members), access)
    state.mail_fails = more.mail_fails
    if more.untrusted_host:
        state.settings["untrusted_host"] = "1"
    state.plugins |= {str(name): on for name, on in more.plugins.items()}
    if more.invite_days is not None:
        state.settings[INVITE_DAYS] = str(more.invite_days)
    if more.bulk_limit is not None:
        state.settings["API_bulk_request_limit"] = str(more.bulk_limit)
