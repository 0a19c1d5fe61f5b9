"""The Umami stand-in's answers about sites: owning, moving, sharing them (API.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from siteward.platforms.umami.fake.ask import (
    PAGING,
    SEARCH,
    Ask,
    Listing,
    Order,
    RefusalError,
    Route,
    bad_request,
    database_error,
    may,
    no_such,
    page,
    sorting,
    unauthorized,
)
from siteward.platforms.umami.fake.rows import SINCE_3_2, WEBSITE, CrashError, Json, Website
from siteward.platforms.umami.fake.schema import (
    Schema,
    boolean,
    loose_uuid,
    mapping,
    nullable,
    optional,
    pattern,
    text,
    uuid,
)
from siteward.platforms.umami.fake.state import ident
from siteward.platforms.umami.fake.teams import member_row
from siteward.platforms.umami.fake.teams import row as team_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Beside: TypeAlias = Mapping[str, Callable[[Website], Json | None]]

_NAMES = Order(("name", "domain", "createdAt"))
_SHOWN: Json = {"overview": True, "events": True}


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about sites."""
    old = release == "2.20"
    listed = {**PAGING, **SEARCH, **sorting(release)}
    own = {**listed, "includeTeams": optional(text())}
    every_by = {"userId": loose_uuid, "includeOwnedTeams": optional(text()), "includeAllTeams": optional(text())}
    target = {"userId": optional(loose_uuid), "teamId": optional(loose_uuid)}
    site = "/api/websites/<site>"
    return {
        ("GET", "/api/admin/websites"): Route(every_of, {**every_by, **listed}) if old else Route(every, listed),
        ("GET", "/api/websites"): Route(lambda ask: sites_of(ask, ask.me.id), listed if old else own),
        ("POST", "/api/websites"): Route(create, _made(release)),
        ("GET", site): Route(show),
        ("POST", site): Route(update, _changed(release)),
        ("DELETE", site): Route(delete),
        ("POST", f"{site}/transfer"): Route(
            transfer, target if old else {"userId": optional(uuid), "teamId": optional(uuid)}
        ),
        ("POST", f"{site}/reset"): Route(reset),
        ("GET", "/api/teams/<team>/websites"): Route(team_sites, listed),
    }


def _made(release: str) -> Schema:
    old = release == "2.20"
    return {
        "name": text(100),
        "domain": text(500),
        "shareId": nullable(text(50)),
        "teamId": nullable(text() if old else uuid),
        "id": nullable(loose_uuid if old else uuid),
    }


def _changed(release: str) -> Schema:
    if release == "2.20":
        return {"name": text(), "domain": text(), "shareId": nullable(pattern(r"^[a-zA-Z0-9]{8,50}$"))}
    new = release in SINCE_3_2
    return {
        "name": optional(text(100 if new else None)),
        "domain": optional(text(500 if new else None)),
        "shareId": nullable(text(50)),
        "recorderEnabled" if new else "replayEnabled": optional(boolean),
        "replayConfig": nullable(mapping),
    }


def _row(ask: Ask, site: Website) -> Json:
    """Return a site's own columns."""
    shown: Json = {"id": site.id, "name": site.name, "domain": site.domain}
    if ask.fake.old:
        shown["shareId"] = site.share
    shown |= {
        "resetAt": site.reset,
        "userId": site.user,
        "teamId": site.team,
        "createdBy": site.by,
        "createdAt": site.created,
        "updatedAt": site.updated,
        "deletedAt": None,
    }
    if not ask.fake.old:
        shown |= {"recorderEnabled" if ask.fake.new else "replayEnabled": site.recorder, "replayConfig": site.replay}
    return shown


def _full(ask: Ask, site: Website) -> Json:
    """Return a site with its newest share link, which 2.x keeps among the columns."""
    shown = _row(ask, site)
    return shown if ask.fake.old else {**shown, "shareId": ask.state.slug(site.id)}


def _user(ask: Ask, user: str | None) -> Json | None:
    found = ask.state.users.get(user) if user else None
    return {"username": found.username, "id": found.id} if found else None


def _list(ask: Ask, sites: list[Website], order: Order, beside: Beside) -> Json:
    """List sites; `beside` names what is shown with each, as a function of it."""
    slugs = {share.entity: share.slug for share in sorted(ask.state.shares.values(), key=lambda share: share.created)}

    def full(site: Website) -> Json:
        shown = _row(ask, site)
        for key, column in beside.items():
            shown[key] = column(site)
        return shown if ask.fake.old else {**shown, "shareId": slugs.get(site.id)}

    return page(ask, Listing(sites, full, ("name", "domain"), order))


def _owner(ask: Ask) -> Beside:
    """Show whose a site is: the user, or the team with its owners alone."""

    def team(site: Website) -> Json | None:
        found = ask.state.teams.get(site.team) if site.team else None
        if found is None or found.deleted is not None:
            return None
        owners = [member_row(member) for member in ask.state.members.get(found.id, ()) if member.role == "team-owner"]
        return {**team_row(found), "teamUser" if ask.fake.old else "members": owners}

    return {"user": lambda site: _user(ask, site.user), "team": team}


def every(ask: Ask) -> Json:
    """List all sites (3.x)."""
    ask.must(ask.is_admin)
    order = Order(_NAMES.fields, by="createdAt", descending=True)
    return _list(ask, list(ask.state.websites.values()), order, _owner(ask))


def every_of(ask: Ask) -> Json:
    """List the sites of one account, and of its teams if asked for: all that 2.x has."""
    ask.must(ask.is_admin)
    user = ask.need("userId")
    roles = () if ask.get("includeAllTeams") else ("team-owner",)
    wide = ask.get("includeAllTeams") or ask.get("includeOwnedTeams")
    teams = {team.id for team in ask.state.teams_of(user, roles)} if wide else set()
    found = [website for website in ask.state.websites.values() if website.user == user or website.team in teams]
    return _list(ask, found, Order(), _owner(ask))


def sites_of(ask: Ask, user: str) -> Json:
    """List an account's own sites, and with `includeTeams` those of teams it owns (3.2: or manages)."""
    order = Order(_NAMES.fields) if ask.fake.release == "3.1" else Order(_NAMES.fields, by="name", told=True)
    if ask.get("includeTeams"):
        roles = ("team-owner", "team-manager") if ask.fake.new else ("team-owner",)
        teams = {team.id for team in ask.state.teams_of(user, roles)}
        found = [website for website in ask.state.websites.values() if website.user == user or website.team in teams]
        return _list(ask, found, order, {})
    found = [website for website in ask.state.websites.values() if website.user == user]
    return _list(ask, found, order, {"user": lambda site: _user(ask, site.user)})


def team_sites(ask: Ask, team: str) -> Json:
    """List a team's sites, for any member."""
    ask.must(ask.is_admin or ask.role_in(ident(team)))
    found = [website for website in ask.state.websites.values() if website.team == ident(team)]

    def maker(site: Website) -> Json | None:
        user = ask.state.users.get(site.by) if site.by else None
        return {"id": user.id, "username": user.username} if user else None

    return _list(ask, found, _NAMES, {"createUser": maker})


def create(ask: Ask) -> Json:
    """Create a site for the caller or a team; a taken slug fails after the site is there."""
    named = ask.get("teamId")
    team = ident(named) if named else None
    ask.must(not team or ask.is_admin or ask.may_in(team, "website:create"))
    ask.must(ask.is_admin or (ask.user and may(ask.user.role, "website:create")))
    slug = ask.get("shareId")
    if ask.fake.old and slug and any(website.share == slug for website in ask.state.websites.values()):
        raise CrashError
    site = ask.state.new_website(
        ask.need("name"),
        ask.need("domain"),
        by=ask.me.id,
        user=None if team else ask.me.id,
        team=team,
        id=ask.get("id"),
    )
    ask.fake.touch()
    if ask.fake.old:
        site.share = slug or None
    elif slug:
        ask.state.new_share(site.id, WEBSITE, site.name, slug, dict(_SHOWN))
    return _full(ask, site)


def _own_slug(ask: Ask, site: Website, slug: str | None) -> None:
    """Set the one share link that a site has in 2.x."""
    if slug and any(website.share == slug and website is not site for website in ask.state.websites.values()):
        raise RefusalError(500, beside={"name": "Error", "message": "That share ID is already taken."})
    site.share = slug


def may_see(ask: Ask, entity: str) -> bool:
    """Tell whether the one who asks may read a site: an admin, its people, or a share link."""
    if (ask.user and ask.is_admin) or (
        ask.share and (ask.share.get("websiteId") == entity or entity in _ids(ask.share))
    ):
        return True
    return may_touch(ask, entity, None)


def _ids(claims: Json) -> list[object]:
    found = claims.get("websiteIds")
    return found if isinstance(found, list) else []


def may_touch(ask: Ask, entity: str, right: str | None) -> bool:
    """Tell whether the one who asks may do something with a site, board, link or pixel."""
    if ask.is_admin:
        return True
    found = ask.state.websites.get(ident(entity)) or ask.state.things.get(ident(entity))
    if found is None and ask.fake.old:
        raise CrashError
    return found is not None and ask.may_on(found.user, found.team, right)


def show(ask: Ask, site: str) -> Json | None:
    """Return a site, or to an admin null for one that is not there."""
    ask.must(may_see(ask, site))
    found = ask.state.websites.get(ident(site))
    return _full(ask, found) if found else None


def _the(ask: Ask, site: str) -> Website:
    found = ask.state.websites.get(ident(site))
    if found is None:
        raise CrashError
    return found


def update(ask: Ask, site: str) -> Json:
    """Change a site; who owns it cannot be changed here."""
    ask.must(may_touch(ask, site, "website:update"))
    found = ask.state.websites.get(ident(site))
    if found is None:
        raise bad_request("Website not found.") if ask.fake.new else no_such(ask, "Website")
    name, domain, slug = ask.get("name"), ask.get("domain"), ask.get("shareId")
    for column, most in ((name, 100), (domain, 500)):
        if len(column or "") > most:
            raise _too_long(ask, most)
    if ask.fake.old and ask.has("shareId"):
        _own_slug(ask, found, slug)
    recorder = ask.values.get("recorderEnabled", ask.values.get("replayEnabled"))
    if name is not None or domain is not None or recorder is not None or ask.has("replayConfig"):
        found.name = found.name if name is None else name
        found.domain = found.domain if domain is None else domain
        found.recorder = found.recorder if recorder is None else bool(recorder)
        found.replay = ask.values.get("replayConfig", found.replay)  # type: ignore[assignment]  # its schema is checked
        _written(ask, found)
    if ask.has("shareId") and not ask.fake.old:
        _reshare(ask, found, slug)
    return _full(ask, found)


def _too_long(ask: Ask, most: int) -> RefusalError:
    cause: Json = {"originalCode": "22001", "originalMessage": f"value too long for type character varying({most})"}
    error = {"name": "DriverAdapterError", "cause": {**cause, "kind": "LengthMismatch"}}
    return database_error(ask, "P2000", "Website", {"driverAdapterError": error})


def _written(ask: Ask, site: Website) -> None:
    site.updated = ask.state.stamp()
    ask.state.written(site)
    ask.fake.touch()


def _reshare(ask: Ask, site: Website, slug: str | None) -> None:
    """Take all share links away (null), or make one more."""
    if slug is None:
        ask.state.shares = {key: share for key, share in ask.state.shares.items() if share.entity != site.id}
    elif any(share.slug == slug for share in ask.state.shares.values()):
        raise bad_request("That share ID is already taken.")
    elif slug:
        ask.state.new_share(site.id, WEBSITE, site.name, slug, dict(_SHOWN))
    ask.fake.touch()


def delete(ask: Ask, site: str) -> Json:
    """Delete a site with all its statistics."""
    ask.must(may_touch(ask, site, "website:delete"))
    ask.state.delete_website(_the(ask, site).id)
    ask.fake.touch()
    return {"ok": True}


def transfer(ask: Ask, site: str) -> Json:
    """Move a site: to oneself out of a team one owns, or one's own into a team one owns or manages.

    No admin override, but where `admin_transfers` says so.
    """
    user, team = ask.get("userId"), ask.get("teamId")
    if not (user or team):
        raise bad_request()
    found = ask.state.websites.get(ident(site))
    if found is None:
        raise CrashError if ask.fake.old else unauthorized()
    if ask.fake.admin_transfers and ask.is_admin:
        found.user, found.team = user, None if user else team
    elif user:
        ask.must(found.team and user == ask.me.id and ask.may_in(found.team, "transfer-to-user"))
        found.user, found.team = user, None
    else:
        ask.must(found.user and found.user == ask.me.id and ask.may_in(str(team), "transfer-to-team"))
        found.user, found.team = None, team
    _written(ask, found)
    return _row(ask, found)


def reset(ask: Ask, site: str) -> Json:
    """Throw a site's statistics away."""
    ask.must(may_touch(ask, site, "website:update"))
    found = _the(ask, site)
    found.reset = ask.state.stamp()
    found.blocks = 0
    _written(ask, found)
    return {"ok": True}
