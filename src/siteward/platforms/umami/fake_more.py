"""The Umami stand-in's answers beside users, teams and sites: share links, boards, links, pixels, and the rest.

They matter for access because share links are public, and because what hangs on a site or an account decides
whether the account can be deleted (API.md sections 4 and 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from siteward.platforms.umami.fake_ask import (
    PAGING,
    SEARCH,
    Ask,
    Handler,
    Listing,
    Order,
    Refusal,
    Route,
    bad_request,
    may,
    page,
    sorting,
)
from siteward.platforms.umami.fake_shape import (
    Check,
    Shape,
    loose_uuid,
    mapping,
    nullable,
    one_of,
    optional,
    text,
    uuid,
)
from siteward.platforms.umami.fake_sites import may_see, may_touch
from siteward.platforms.umami.fake_state import BOARD, LINK, PIXEL, WEBSITE, Crash, Json, Share, Thing, ident, token

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["board", "link", "pixel"]
_KINDS: Mapping[Kind, int] = {"board": BOARD, "link": LINK, "pixel": PIXEL}
_BOARDS = one_of("mixed", "website", "pixel", "link", "open", "dashboard")
_REPORTS = one_of(
    "attribution", "breakdown", "funnel", "goal", "heatmap", "journey", "performance", "retention", "revenue", "utm"
)


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers beside users, teams and sites."""
    found = {
        ("GET", "/api/heartbeat"): Route(lambda _: {"ok": True}, open=True),
        ("GET", "/api/share/<slug>"): Route(open_share, open=True),
        ("POST", "/api/send"): Route(send, {"type": optional(text()), "payload": mapping}, open=True),
        ("POST", "/api/reports"): Route(create_report, _REPORT),
        ("POST", "/api/websites/<site>/segments"): Route(create_segment, _SEGMENT),
    }
    if release == "2.20":
        return found
    listed = {**PAGING, **SEARCH, **sorting(release)}
    shared = {"name": text(200), "parameters": optional(mapping)}
    found |= {
        ("GET", "/api/config"): Route(config, open=True),
        ("GET", "/api/share/id/<share>"): Route(show_share),
        ("POST", "/api/share/id/<share>"): Route(
            update_share, {"name": text(200), "slug": text(100), "parameters": mapping}
        ),
        ("DELETE", "/api/share/id/<share>"): Route(delete_share),
        ("GET", "/api/websites/<entity>/shares"): Route(shares, PAGING),
        ("POST", "/api/websites/<entity>/shares"): Route(_sharer(WEBSITE), shared),
        ("GET", "/api/websites/<site>/segments"): Route(
            segments, {"type": one_of("segment", "cohort"), **PAGING, **SEARCH}
        ),
    }
    for kind, made in _MADE.items():
        path, changed = f"/api/{kind}s", {key: optional(check) for key, check in made.items() if key in _COLUMNS}
        found |= {
            ("GET", path): Route(_lister(kind), listed),
            ("POST", path): Route(_maker(kind), made),
            ("GET", f"{path}/<entity>"): Route(show),
            ("POST", f"{path}/<entity>"): Route(update, changed),
            ("DELETE", f"{path}/<entity>"): Route(delete),
            ("GET", f"{path}/<entity>/shares"): Route(shares, PAGING),
            ("POST", f"{path}/<entity>/shares"): Route(_sharer(_KINDS[kind]), shared),
            ("GET", f"/api/teams/<team>/{kind}s"): Route(_team_lister(kind), listed),
        }
    return found


_COLUMNS = ("type", "name", "description", "url", "slug", "parameters")
_TEAM = {"teamId": nullable(uuid)}
_MADE: Mapping[Kind, Mapping[str, Check]] = {
    "board": {
        "type": _BOARDS,
        "name": text(100),
        "description": optional(text(500)),
        "parameters": optional(mapping),
        **_TEAM,
    },
    "link": {"name": text(100), "url": text(500), "slug": text(100), **_TEAM},
    "pixel": {"name": text(100), "slug": text(100), **_TEAM},
}
_REPORT: Shape = {
    "websiteId": loose_uuid,
    "type": _REPORTS,
    "name": text(200),
    "description": optional(text(500)),
    "parameters": mapping,
}
_SEGMENT: Shape = {"type": one_of("segment", "cohort"), "name": text(200), "parameters": mapping}


def config(ask: Ask) -> Json:
    """Return the public settings; the version is not among them, only whether 3.1 knows one."""
    shown: Json = {"cloudMode": False, "privateMode": False, "telemetryDisabled": True, "updatesDisabled": True}
    return shown if ask.fake.new else {**shown, "currentVersion": True}


def open_share(ask: Ask, slug: str) -> Json:
    """Hand out a pass for a public link; nothing but another APP_SECRET ends it."""
    if ask.fake.old:
        site = next((each for each in ask.state.websites.values() if each.share == slug), None)
        claims: Json | None = {"websiteId": site.id} if site else None
    else:
        share = next((each for each in ask.state.shares.values() if each.slug == slug), None)
        claims = _claims(ask, share) if share else None
    if claims is None:
        raise Refusal(404)
    made = token(claims)
    kind: Json = {"type": "share"} if ask.fake.new else {}
    ask.state.passes[made] = {**claims, **kind, "iat": int(ask.fake.clock().timestamp())}
    return {**claims, "token": made}


def _claims(ask: Ask, share: Share) -> Json | None:
    claims: Json = {"shareId": share.id, "shareType": share.kind, "parameters": share.parameters}
    if share.kind == WEBSITE:
        return {**claims, "websiteId": share.entity} if share.entity in ask.state.websites else None
    thing = ask.state.things.get(share.entity)
    if thing is None:
        return None
    if share.kind != BOARD:
        return {**claims, "websiteId": share.entity, f"{thing.table}Id": share.entity}
    named = _named(thing)
    ids: list[object] = [each for each in named if not ask.fake.new or _own(ask, thing, each)]
    return {**claims, "boardId": share.entity, "websiteIds": ids, "pixelIds": [], "linkIds": []}


def _named(board: Thing) -> list[str]:
    """Return the site that a board names."""
    parameters = board.own.get("parameters")
    site = parameters.get("websiteId") if isinstance(parameters, dict) else None
    return [site] if isinstance(site, str) else []


def _own(ask: Ask, board: Thing, site: str) -> bool:
    """Tell whether a board and a site have the same owner, which closes the hole that 3.1 has."""
    found = ask.state.websites.get(site)
    return found is not None and (found.user, found.team) == (board.user, board.team)


def _share_row(share: Share) -> Json:
    return {
        "id": share.id,
        "entityId": share.entity,
        "name": share.name,
        "shareType": share.kind,
        "slug": share.slug,
        "parameters": share.parameters,
        "createdAt": share.created,
        "updatedAt": share.updated,
    }


def shares(ask: Ask, entity: str) -> Json:
    """List an object's public links, newest first."""
    ask.must(may_see(ask, entity))
    found = [each for each in ask.state.shares.values() if each.entity == ident(entity)]
    return page(ask, Listing(found, _share_row, order=Order(by="created", descending=True)))


def _sharer(kind: int) -> Handler:
    def create(ask: Ask, entity: str) -> Json:
        ask.must(may_touch(ask, entity, "website:update"))
        parameters = _json(ask, "parameters")
        made = ask.state.new_share(ident(entity), kind, ask.need("name"), ask.state.letters(16), parameters)
        ask.fake.touch()
        return _share_row(made)

    return create


def _json(ask: Ask, name: str) -> Json:
    found = ask.values.get(name)
    return found if isinstance(found, dict) else {}


def _the_share(ask: Ask, share: str, right: str | None) -> Share:
    found = ask.state.shares.get(ident(share))
    if found is None:
        raise Crash
    ask.must(may_touch(ask, found.entity, right))
    return found


def show_share(ask: Ask, share: str) -> Json:
    """Return a public link."""
    return _share_row(_the_share(ask, share, None))


def update_share(ask: Ask, share: str) -> Json:
    """Change a public link; passes made from it live on."""
    if ident(share) not in ask.state.shares:
        raise Refusal(404)
    found = _the_share(ask, share, "website:update")
    slug = ask.need("slug")
    if any(each.slug == slug and each is not found for each in ask.state.shares.values()):
        raise Crash
    found.name, found.slug, found.parameters = ask.need("name"), slug, _json(ask, "parameters")
    found.updated = ask.state.stamp()
    ask.fake.touch()
    return _share_row(found)


def delete_share(ask: Ask, share: str) -> Json:
    """Delete a public link; passes made from it live on."""
    del ask.state.shares[_the_share(ask, share, "website:delete").id]
    ask.fake.touch()
    return {"ok": True}


def _thing_row(thing: Thing) -> Json:
    """Return a board, link or pixel."""
    gone: Json = {} if thing.table == "board" else {"deletedAt": None}
    owner: Json = {"userId": thing.user, "teamId": thing.team}
    return {"id": thing.id, **thing.own, **owner, "createdAt": thing.created, "updatedAt": thing.updated, **gone}


def _lister(kind: Kind) -> Handler:
    return lambda ask: _things(ask, kind, user=ask.me.id)


def _team_lister(kind: Kind) -> Handler:
    def team_things(ask: Ask, team: str) -> Json:
        ask.must(ask.is_admin or ask.role_in(ident(team)))
        return _things(ask, kind, team=ident(team))

    return team_things


def _things(ask: Ask, kind: Kind, *, user: str | None = None, team: str | None = None) -> Json:
    found = [
        each for each in ask.state.things.values() if each.table == kind and (each.user, each.team) == (user, team)
    ]
    return page(ask, Listing(found, _thing_row))


def _maker(kind: Kind) -> Handler:
    def create(ask: Ask) -> Json:
        team = ask.get("teamId")
        ask.must(not team or ask.is_admin or ask.may_in(team, "website:create"))
        ask.must(ask.is_admin or (ask.user and may(ask.user.role, "website:create")))
        slug = ask.get("slug")
        if slug is not None and any(each.own.get("slug") == slug for each in ask.state.things.values()):
            raise Crash
        own = {key: ask.values.get(key, _EMPTY.get(key)) for key in _MADE[kind] if key in _COLUMNS}
        return _thing_row(_insert(ask, kind, own, user=None if team else ask.me.id, team=team))

    return create


_EMPTY: Json = {"description": None, "parameters": {}}


def _insert(  # noqa: PLR0913 — a row has its columns
    ask: Ask,
    table: Literal["board", "link", "pixel", "report", "segment"],
    own: Json,
    *,
    user: str | None = None,
    team: str | None = None,
    site: str | None = None,
) -> Thing:
    now = ask.state.stamp()
    made = Thing(ask.state.new_id(), table, own, user, team, site, now, now)
    ask.state.things[made.id] = made
    ask.fake.touch()
    return made


def _the(ask: Ask, entity: str, right: str | None) -> Thing | None:
    ask.must(may_touch(ask, entity, right))
    return ask.state.things.get(ident(entity))


def show(ask: Ask, entity: str) -> Json | None:
    """Return a board, link or pixel."""
    found = _the(ask, entity, None)
    return _thing_row(found) if found else None


def update(ask: Ask, entity: str) -> Json:
    """Change a board, link or pixel."""
    found = _the(ask, entity, "website:update")
    if found is None:
        raise Refusal(500)
    found.own |= ask.values
    found.updated = ask.state.stamp()
    ask.fake.touch()
    return _thing_row(found)


def delete(ask: Ask, entity: str) -> Json:
    """Delete a board, link or pixel."""
    found = _the(ask, entity, "website:delete")
    if found is None:
        raise Crash
    del ask.state.things[found.id]
    ask.fake.touch()
    return {"ok": True}


def create_report(ask: Ask) -> Json:
    """Save a report on a site."""
    site = ask.need("websiteId")
    ask.must(may_touch(ask, site, "website:update"))
    own: Json = {key: ask.values.get(key) or "" for key in ("type", "name", "description", "parameters")}
    made = _insert(ask, "report", own, user=ask.me.id, site=site)
    return {
        "id": made.id,
        "userId": made.user,
        "websiteId": site,
        **own,
        "createdAt": made.created,
        "updatedAt": made.updated,
    }


def create_segment(ask: Ask, site: str) -> Json:
    """Save a segment on a site, which from then on keeps its owner from being deleted."""
    ask.must(may_touch(ask, site, "website:update"))
    if ident(site) not in ask.state.websites:
        raise Crash
    return _segment_row(_insert(ask, "segment", dict(ask.values), site=ident(site)))


def _segment_row(made: Thing) -> Json:
    return {
        "id": made.id,
        "websiteId": made.site,
        **made.own,
        "createdAt": made.created,
        "updatedAt": made.updated,
    }


def segments(ask: Ask, site: str) -> Json:
    """List a site's segments."""
    ask.must(may_see(ask, site))
    found = [each for each in ask.state.things.values() if each.table == "segment" and each.site == ident(site)]
    return page(ask, Listing([each for each in found if each.own["type"] == ask.get("type")], _segment_row))


def send(ask: Ask) -> Json:
    """Take in a tracking event; one with a revenue keeps the site's owner from being deleted."""
    payload = _json(ask, "payload")
    site = ask.state.websites.get(str(payload.get("website")))
    if site is None:
        raise bad_request("Website not found.")
    data = payload.get("data")
    if isinstance(data, dict) and "revenue" in data and "currency" in data:
        site.blocks += 1
    ask.fake.touch()
    return {"cache": token(payload)[:200], "sessionId": ask.state.new_id(), "visitId": ask.state.new_id()}
