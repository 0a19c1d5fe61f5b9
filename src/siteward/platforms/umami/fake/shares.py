"""The Umami stand-in's answers about public links, and about the boards, links and pixels that have them too.

They matter for access because a public link is a grant that no list of users shows (API.md section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.umami.fake.ask import (
    PAGING,
    SEARCH,
    Ask,
    Handler,
    Listing,
    Order,
    RefusalError,
    Route,
    bad_request,
    may,
    no_such,
    page,
    sorting,
)
from siteward.platforms.umami.fake.rows import BOARD, LINK, PIXEL, WEBSITE, CrashError, Json, Kind, Share, Thing
from siteward.platforms.umami.fake.schema import Check, Schema, mapping, nullable, one_of, optional, text, uuid, whole
from siteward.platforms.umami.fake.sites import may_see, may_touch
from siteward.platforms.umami.fake.state import ident, token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS: Mapping[Kind, int] = {"board": BOARD, "link": LINK, "pixel": PIXEL}
_COLUMNS = ("type", "name", "description", "url", "slug", "parameters")
_BOARDS = one_of("mixed", "website", "pixel", "link", "open", said="Invalid input")
_TEAM = {"teamId": nullable(uuid)}
_MADE: Mapping[Kind, Mapping[str, Check]] = {
    "board": {
        "type": _BOARDS,
        "name": text(100),
        "description": optional(text(500)),
        "parameters": optional(mapping),
        **_TEAM,
    },
    "link": {"name": text(100), "url": text(500), "slug": text(100), "teamId": nullable(text()), "id": nullable(uuid)},
    "pixel": {"name": text(100), "slug": text(100), "teamId": nullable(text()), "id": nullable(uuid)},
}
_NAME, _SLUG = optional(text()), optional(text(least=8))
_CHANGED: Mapping[Kind, Schema] = {
    "board": {"type": optional(_BOARDS), "name": _NAME, "description": _NAME, "parameters": optional(mapping)},
    "link": {"name": _NAME, "url": _NAME, "slug": _SLUG},
    "pixel": {"name": _NAME, "slug": _SLUG},
}
_SORTED: Mapping[Kind, Order] = {
    "board": Order(("name", "description", "type", "createdAt")),
    "link": Order(("name", "slug", "url", "createdAt")),
    "pixel": Order(("name", "slug", "createdAt")),
}


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about public links; 2.x has one a site, among the site's columns."""
    found = {("GET", "/api/share/<slug>"): Route(open_share, open=True)}
    if release == "2.20":
        return found
    listed = {**PAGING, **SEARCH, **sorting(release)}
    shared = {"name": text(200), "parameters": optional(mapping)}
    made = {"entityId": uuid, "shareType": whole, "name": text(200), "slug": optional(text(100)), "parameters": mapping}
    changed = {"name": text(200), "slug": text(100), "parameters": mapping}
    found |= {
        ("POST", "/api/share"): Route(create_share, made),
        ("GET", "/api/share/id/<share>"): Route(show_share),
        ("POST", "/api/share/id/<share>"): Route(update_share, changed),
        ("DELETE", "/api/share/id/<share>"): Route(delete_share),
        ("GET", "/api/websites/<entity>/shares"): Route(shares, PAGING),
        ("POST", "/api/websites/<entity>/shares"): Route(_sharer(WEBSITE), shared),
    }
    for kind, number in _KINDS.items():
        path = f"/api/{kind}s"
        found |= {
            ("GET", path): Route(_lister(kind), listed),
            ("POST", path): Route(_maker(kind), _MADE[kind]),
            ("GET", f"{path}/<entity>"): Route(show),
            ("POST", f"{path}/<entity>"): Route(update, _CHANGED[kind]),
            ("DELETE", f"{path}/<entity>"): Route(delete),
            ("GET", f"{path}/<entity>/shares"): Route(shares, PAGING),
            ("POST", f"{path}/<entity>/shares"): Route(_sharer(number), shared),
            ("GET", f"/api/teams/<team>/{kind}s"): Route(_team_lister(kind), listed),
        }
    return found


def open_share(ask: Ask, slug: str) -> Json:
    """Hand out a pass for a public link; nothing but another APP_SECRET ends it."""
    if ask.fake.old:
        site = next((website for website in ask.state.websites.values() if website.share == slug), None)
        claims: Json | None = {"websiteId": site.id} if site else None
    else:
        share = next((share for share in ask.state.shares.values() if share.slug == slug), None)
        claims = _claims(ask, share) if share else None
    if claims is None:
        raise RefusalError(404)
    made = token(240)
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
    named = _named(thing.own)
    return {**claims, "boardId": share.entity, "websiteIds": named, "pixelIds": [], "linkIds": []}


def _named(board: Json) -> list[str]:
    """Return the site that a board names."""
    parameters = board.get("parameters")
    site = parameters.get("websiteId") if isinstance(parameters, dict) else None
    return [site] if isinstance(site, str) else []


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
    found = [share for share in ask.state.shares.values() if share.entity == ident(entity)]
    return page(ask, Listing(found, _share_row, order=Order(by="created", descending=True)))


def _sharer(kind: int) -> Handler:
    def create(ask: Ask, entity: str) -> Json:
        ask.must(may_touch(ask, entity, "website:update"))
        bare = ask.fake.release == "3.1" and kind != WEBSITE
        parameters = {} if bare else ask.json("parameters")
        made = ask.state.new_share(ident(entity), kind, ask.need("name"), ask.state.letters(16), parameters)
        ask.fake.touch()
        return _share_row(made)

    return create


def create_share(ask: Ask) -> Json:
    """Make a public link to any object, with a slug of one's own."""
    entity, kind = ask.need("entityId"), ask.values["shareType"]
    ask.must(may_touch(ask, entity, "website:update"))
    slug = ask.get("slug") or ask.state.letters(16)
    made = ask.state.new_share(entity, int(str(kind)), ask.need("name"), slug, ask.json("parameters"))
    ask.fake.touch()
    return _share_row(made)


def _the_share(ask: Ask, share: str, right: str | None) -> Share:
    found = ask.state.shares.get(ident(share))
    if found is None:
        raise CrashError
    ask.must(may_touch(ask, found.entity, right))
    return found


def show_share(ask: Ask, share: str) -> Json:
    """Return a public link."""
    return _share_row(_the_share(ask, share, None))


def update_share(ask: Ask, share: str) -> Json:
    """Change a public link; passes made from it live on."""
    if ident(share) not in ask.state.shares:
        raise RefusalError(404)
    found = _the_share(ask, share, "website:update")
    slug = ask.need("slug")
    if any(share.slug == slug and share is not found for share in ask.state.shares.values()):
        raise CrashError
    found.name, found.slug, found.parameters = ask.need("name"), slug, ask.json("parameters")
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
        thing for thing in ask.state.things.values() if thing.table == kind and (thing.user, thing.team) == (user, team)
    ]
    return page(ask, Listing(found, _thing_row))


_SEARCHED: Mapping[Kind, tuple[str, ...]] = {
    "board": ("name", "description"),
    "link": ("name", "url", "slug"),
    "pixel": ("name", "slug"),
}


def _maker(kind: Kind) -> Handler:
    def create(ask: Ask) -> Json:
        named = ask.get("teamId")
        team = ident(named) if named else None
        ask.must(not team or ask.is_admin or ask.may_in(team, "website:create"))
        ask.must(ask.is_admin or (ask.user and may(ask.user.role, "website:create")))
        slug, own = ask.get("slug"), {key: ask.values[key] for key in _COLUMNS if key in ask.values}
        taken = slug is not None and any(thing.own.get("slug") == slug and thing.table == kind for thing in _all(ask))
        if taken or ask.get("id") in ask.state.things or (kind == "board" and "description" not in own):
            raise CrashError
        if kind == "board":
            own |= {"type": "mixed" if own["type"] == "open" else own["type"], "parameters": ask.json("parameters")}
            if ask.fake.release != "3.1" and not all(may_touch(ask, entity, None) for entity in _named(own)):
                raise bad_request("Board contains inaccessible entities.")
        user = None if team else ask.me.id
        made = ask.state.new_thing(kind, own, user=user, team=team, id=ask.get("id"))
        ask.fake.touch()
        return _thing_row(made)

    return create


def _all(ask: Ask) -> Iterable[Thing]:
    return ask.state.things.values()


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
        raise no_such(ask, ask.request.path.split("/")[2].rstrip("s").capitalize())
    slug = ask.get("slug")
    if slug is not None and any(
        thing.own.get("slug") == slug and thing is not found and thing.table == found.table for thing in _all(ask)
    ):
        raise bad_request("That slug is already taken.")
    found.own |= ask.values
    found.updated = ask.state.stamp()
    ask.fake.touch()
    return _thing_row(found)


def delete(ask: Ask, entity: str) -> Json:
    """Delete a board, link or pixel."""
    found = _the(ask, entity, "website:delete")
    if found is None:
        raise CrashError
    del ask.state.things[found.id]
    ask.fake.touch()
    return {"ok": True}
