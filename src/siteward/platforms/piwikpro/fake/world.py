"""The worlds that a Piwik PRO sandbox starts with, and how a neutral world becomes an account's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.piwikpro.fake.state import (
    BEGINNING,
    LICENSED,
    ApiKey,
    App,
    MetaSite,
    Person,
    State,
    UserGroup,
)

Ids: TypeAlias = Mapping[str, str]

CLIENT_ID, CLIENT_SECRET = "sandbox-client-id", "sandbox-client-secret"


class _More(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MoreGroup(_More):
    """A user group: its people by e-mail, its levels by app domain and by meta-site name."""

    name: str
    external_id: str | None = None
    members: tuple[str, ...] = ()
    sites: Mapping[str, str] = {}
    metasites: Mapping[str, str] = {}


class MoreMetaSite(_More):
    """A meta site: the domains of its apps, and the levels of people on it by e-mail."""

    name: str
    sites: tuple[str, ...] = ()
    grants: Mapping[str, str] = {}


class More(_More):
    """What a Piwik PRO world may hold besides: `self` is whose key the credentials are (else the first owner's).

    `elsewhere` are addresses that another Piwik PRO account has; without `throttles` there are no limits, for whoever
    drives the sandbox by a clock that stands still.
    """

    self: str | None = None
    groups: tuple[MoreGroup, ...] = ()
    metasites: tuple[MoreMetaSite, ...] = ()
    modules: Mapping[str, tuple[str, ...]] = {}
    languages: Mapping[str, str] = {}
    licensed: tuple[str, ...] = tuple(sorted(LICENSED))
    elsewhere: tuple[str, ...] = ()
    throttles: bool = True


def build(world: World) -> State:
    """Return the state that a neutral world means here. An account's `login` is its e-mail, a site's name its domain."""
    more = More.model_validate(world.more)
    state = State(licensed=frozenset(more.licensed), elsewhere={each.casefold() for each in more.elsewhere})
    state.throttles = more.throttles
    for at, account in enumerate(world.accounts):
        _add_person(state, account, more, at)
    app_ids = {site.domain: _add_app(state, site, at) for at, site in enumerate(world.sites)}
    ids = {person.email: person.id for person in state.people.values()}
    for grant in world.grants:
        state.levels["app", app_ids[grant.site], "user", ids[grant.account]] = grant.role
    for at, meta in enumerate(more.metasites):
        _add_meta(state, meta, app_ids, ids, at)
    for at, group in enumerate(more.groups):
        _add_group(state, group, app_ids, ids, at)
    owner = ids[more.self] if more.self else next(owner.id for owner in state.owners())
    state.keys[CLIENT_ID] = ApiKey(CLIENT_SECRET, owner)
    return state


def _add_person(state: State, account: WorldAccount, more: More, at: int) -> None:
    email = account.email or account.login
    role: Literal["OWNER", "USER"] = "OWNER" if account.role == "owner" else "USER"
    modules = set(more.modules.get(email, tuple(state.licensed)))
    person = Person(state.new_id(), email, role, _day(at), more.languages.get(email, "en-US"), modules)
    state.people[person.id] = person


def _add_app(state: State, site: WorldSite, at: int) -> str:
    app = App(site.id or state.new_id(), site.name, [f"https://{site.domain}"], _day(at), _day(at))
    state.apps[app.id] = app
    return app.id


def _add_meta(state: State, meta: MoreMetaSite, apps: Ids, people: Ids, at: int) -> None:
    made = MetaSite(state.new_id(), meta.name, _day(at), _day(at), [apps[site] for site in meta.sites])
    state.metas[made.id] = made
    for who, level in meta.grants.items():
        state.levels["meta-site", made.id, "user", people[who]] = level


def _add_group(state: State, group: MoreGroup, apps: Ids, people: Ids, at: int) -> None:
    members = {people[member] for member in group.members}
    made = UserGroup(state.new_id(), group.name, _day(at), _day(at), group.external_id, members)
    state.groups[made.id] = made
    metas = {meta.name: meta.id for meta in state.metas.values()}
    for site, level in group.sites.items():
        state.levels["app", apps[site], "user-group", made.id] = level
    for name, level in group.metasites.items():
        state.levels["meta-site", metas[name], "user-group", made.id] = level


def _day(at: int) -> datetime:
    return BEGINNING + timedelta(days=at)


FRESH = World(
    accounts=(WorldAccount(login="owner@example.org", role="owner"),),
    sites=(WorldSite(name="www.example.org", domain="www.example.org"),),
)


def _people(owners: str, users: str) -> tuple[WorldAccount, ...]:
    return tuple(
        WorldAccount(login=part, role=role)
        for role, names in (("owner", owners), (None, users))
        for part in names.split()
    )


def _levels(site: str, role: str, accounts: str) -> tuple[WorldGrant, ...]:
    return tuple(WorldGrant(account=part, site=f"{site}.example.org", role=role) for part in accounts.split())


LIVED_IN = World(
    accounts=_people(
        "siteward@example.org anna@example.org ben@example.org",
        "carla@example.org dmitri@example.org elif@example.org julia@example.org ivan@example.org marco@example.org "
        "lena@example.org rosa@example.org jonas@partner.test vera@agency.test it@agency.test mia@example.org "
        "bi@example.org ed@example.org",
    ),
    sites=tuple(
        WorldSite(name=f"{each}.example.org", domain=f"{each}.example.org")
        for each in ("shop", "blog", "docs", "staging", "internal", "www", "events")
    ),
    grants=(
        *_levels("shop", "view", "carla@example.org mia@example.org bi@example.org"),
        *_levels("shop", "manage", "ed@example.org"),
        *_levels("blog", "edit", "julia@example.org"),
        *_levels("blog", "edit-publish", "mia@example.org"),
        *_levels("docs", "edit", "marco@example.org"),
        *_levels("docs", "view", "lena@example.org"),
        *_levels("staging", "manage", "jonas@partner.test"),
        *_levels("internal", "edit", "ed@example.org"),
        *_levels("www", "view", "rosa@example.org it@agency.test"),
        *_levels("events", "view", "vera@agency.test"),
    ),
    more={
        "self": "siteward@example.org",
        "groups": [
            {
                "name": "analysts",
                "members": ["carla@example.org", "dmitri@example.org", "bi@example.org"],
                "sites": {"shop.example.org": "edit", "blog.example.org": "view"},
                "metasites": {"Europe": "view"},
            },
            {
                "name": "tag-editors",
                "external_id": "idp-tag-editors",
                "members": ["mia@example.org", "elif@example.org"],
                "sites": {"blog.example.org": "edit-publish"},
            },
        ],
        "metasites": [
            {
                "name": "Europe",
                "sites": ["shop.example.org", "blog.example.org"],
                "grants": {"mia@example.org": "view"},
            }
        ],
        "modules": {
            each: ["analytics"]
            for each in ["bi@example.org", "ed@example.org", "it@agency.test", "mia@example.org", "vera@agency.test"]
        },
        "languages": {"anna@example.org": "de-DE", "ben@example.org": "en-GB"},
    },
)
