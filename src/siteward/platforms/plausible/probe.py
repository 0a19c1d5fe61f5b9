"""Detection of the Plausible edition, and of the rights of the credentials (API.md sections 1 and 3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.platforms.interface import Reach
from siteward.platforms.plausible.community import GRANTS_HINT, check, sees_secrets, snapshot
from siteward.platforms.plausible.native_state import folded
from siteward.platforms.plausible.roles import Edition, traits_of
from siteward.platforms.plausible.rows import ask
from siteward.platforms.plausible.session import SYSTEM, is_cloud
from siteward.platforms.plausible.sites_api import BASE, team_of
from siteward.transport.errors import ForbiddenError, NotThePlatformError, RedirectedError

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Reader
    from siteward.transport.sql import SqlReader

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_SURE_OF_ROLE = "only a write shows whether the key's user is owner or admin: a lower role is answered 404"


class _Build(Struct, frozen=True):
    version: str | None = None


class _System(Struct, frozen=True):
    build: _Build = _Build()


def probe(reader: Reader, settings: Settings) -> tuple[Traits, None]:
    """Return the traits of this server.

    With a key, the list of teams decides: a server with a Sites API answers it in JSON, Community Edition with a page.
    Raises `ForbiddenError` for a team that the credentials do not see, and
    `NotThePlatformError` for another edition than the credentials are for.
    """
    if reader.rows is not None:
        return _probe_community(reader, reader.rows), None
    try:
        team_of(reader, settings)
    except NotThePlatformError as problem:
        if reader.query(SYSTEM).status == 200:
            raise NotThePlatformError(
                "this is Plausible Community Edition, which has no Sites API",
                hint="write `edition: ce`, and give …_DATABASE_URL, …_EMAIL and …_PASSWORD",
            ) from problem
        raise
    return traits_of(_edition_with_sites_api(reader, settings)), None


def _edition_with_sites_api(reader: Reader, settings: Settings) -> Edition:
    """Return the edition of a server with a Sites API, as far as it is known.

    No answer shows it (API.md section 1). Plausible's own host is Cloud, whatever the file says; for another host the
    file's `edition` is taken, and without that it is not guessed.
    """
    if is_cloud(reader):
        return "cloud"
    return settings.edition if settings.edition in {"cloud", "enterprise"} else "cloud or enterprise"


def reach(reader: Reader, settings: Settings, traits: Traits) -> Reach:
    """Return who the credentials are and what they may do, for `doctor`."""
    if reader.rows is None:
        team = team_of(reader, settings)
        available = () if team.api_available else ("the team's plan has no Stats API: everything will be answered 402",)
        return Reach(
            account=None,
            role=None,
            may=(f"see the sites of team {team.name} ({team.id}) and their guests",),
            may_not=(
                "see members of the team, or whose key this is",
                "see which sites are public, or have shared links: look in the settings of each site",
                "change the role of a guest who has accepted",
            ),
            notes=(*available, _SURE_OF_ROLE, "writing needs a Sites key and the plan feature Sites API"),
        )
    state = snapshot(reader, settings, traits)
    role = state.members.get(folded(state.me or ""))
    writes = role in {"owner", "admin"}
    writing = ("invite, change and remove guests",) if writes else ()
    return Reach(
        account=state.me,
        role=f"team {role}" if role else None,
        may=("read everything about access in the database", *writing),
        may_not=(
            "change members of the team",
            *(() if writes else ("write: that needs an owner or admin of the team",)),
        ),
        notes=(f"the database role should be one that may only read: {GRANTS_HINT}", *_warn_of_secrets(reader.rows)),
    )


def _warn_of_secrets(rows: SqlReader) -> tuple[str, ...]:
    """Return in a sentence what of API keys the role may read and need not; nothing where it may not."""
    seen = sees_secrets(rows)
    return (
        (f"the role may read {', '.join(seen)} of api_keys, which nothing here asks for; take that away",)
        if seen
        else ()
    )


def _probe_community(reader: Reader, rows: SqlReader) -> Traits:
    """Return the traits of Community Edition.

    The edition is known by the missing Sites API, its version by `/api/system`; the tables are checked. Raises
    `ForbiddenError` or `NotThePlatformError` for anything else.
    """
    try:
        answer = reader.query(BASE)
    except RedirectedError as redirect:
        if "/register;" not in str(redirect):
            raise
        raise NotThePlatformError(
            "this Plausible Community Edition has no account yet, and leads everybody to /register",
            hint="make its first account there, and then Siteward's own",
        ) from redirect
    if answer.status == 401:
        raise ForbiddenError(
            "this Plausible has the Sites API, so it is not Community Edition",
            hint="write `edition: enterprise` (or `cloud`) and give …_API_KEY",
        )
    if answer.status not in {404, 406}:
        raise NotThePlatformError(f"{BASE} was answered {answer.status}, and not as Plausible does")
    version = ask(reader, SYSTEM, _System).build.version or ""
    found = _VERSION.match(version)
    if found and int(found[1]) < 3:
        raise NotThePlatformError(
            f"this is Plausible {version}, and before 3.0 there are no guests", hint="update Plausible"
        )
    keys_unseen = check(rows)
    return traits_of("ce", f"{found[1]}.{found[2]}" if found else "", keys_unseen)
