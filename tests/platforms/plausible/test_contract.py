"""The stand-ins against the written-down exchanges, one by one: status, keys, values, and the leading words of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from platforms.plausible.at import needs_postgres
from siteward.platforms.fakery import World, in_process
from siteward.platforms.plausible.fake import FAKE, PlausibleFake
from siteward.platforms.plausible.fake.forms import CommunityFake
from siteward.platforms.plausible.fake.more import MOST_GOALS
from siteward.platforms.plausible.fake.server import BURST, HOURLY
from siteward.platforms.plausible.fake.state import GUEST, Goal, Key, Transfer
from siteward.platforms.plausible.fake.worlds import KEY, PASSWORD, TEAM
from siteward.platforms.plausible.forms import totp

LINES = [
    json.loads(line)
    for line in (Path(__file__).parent / "recordings" / "examples.jsonl").read_text(encoding="utf-8").splitlines()
]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PERSONAL, STRANGE = "1f6e2f0a-9c1b-4f0e-8f58-0b6f7f7e2c11", "2c2f8f4e-52a4-4c5a-9be7-4f3b7d1f0e22"
Setup = Callable[[PlausibleFake], None]


def base() -> PlausibleFake:
    """A team Corp Web with two sites; shop has two guests and one who is invited; more in other teams."""
    fake = FAKE.of(World(more={"self": "robot@corp.example", "limits": False}), "cloud", clock=lambda: NOW)
    state = fake.state
    team = state.teams[state.keys[KEY].team or 0]
    team.name = "Corp Web"
    owner = next(iter(state.users.values()))
    owner.email = "owner@corp.example"
    for domain in ("corp.example", "shop.example", "corp.example/blog"):
        state.new_site(domain, team).timezone = {"shop.example": "Europe/Madrid"}.get(domain, "Etc/UTC")
    shop = state.site("shop.example")
    assert shop is not None
    state.new_guest(shop, state.new_user("abe@agency.example"), "editor")
    state.new_guest(shop, state.new_user("bea@agency.example"), "viewer")
    other = state.new_team("Strange", state.new_user("x@other.example"), STRANGE)
    for domain in ("other-team.example", "foreign.example"):
        state.new_site(domain, other)
    state.new_team_invitation(team, "future-admin@corp.example", "admin", owner.id)
    at = state.new_id()
    state.transfers[at] = Transfer(at, "next-owner@other.example", shop.id, owner.id)
    return fake


def sites(*domains: str) -> Setup:
    def change(fake: PlausibleFake) -> None:
        team = fake.state.teams[fake.state.keys[KEY].team or 0]
        kept = {site.domain: site for site in fake.state.sites.values() if site.team == team.id}
        fake.state.sites = {at: site for at, site in fake.state.sites.items() if site.team != team.id}
        for domain in domains:
            found = kept.get(domain) or fake.state.new_site(domain, team)
            fake.state.sites[found.id] = found

    return change


def invited(email: str, role: str = "viewer") -> Setup:
    def change(fake: PlausibleFake) -> None:
        shop = fake.state.site("shop.example")
        assert shop is not None
        fake.state.invite(shop, email, role, fake.state.keys[KEY].user)

    return change


def role(word: str) -> Setup:
    def change(fake: PlausibleFake) -> None:
        key = fake.state.keys[KEY]
        found = fake.state.member(key.team or 0, key.user)
        assert found is not None
        found.role = word

    return change


def features(*words: str) -> Setup:
    def change(fake: PlausibleFake) -> None:
        for team in fake.state.teams.values():
            team.features = set(words)

    return change


def locked(fake: PlausibleFake) -> None:
    for team in fake.state.teams.values():
        team.locked = True


def stats_key(fake: PlausibleFake) -> None:
    key = fake.state.keys[KEY]
    fake.state.keys[KEY] = Key(key.user, key.team, frozenset({"stats"}))


def old_key(fake: PlausibleFake) -> None:
    fake.state.keys[KEY] = Key(fake.state.keys[KEY].user, None)


def homeless(fake: PlausibleFake) -> None:
    fake.state.keys[KEY] = Key(fake.state.new_user("nobody@corp.example").id, None)


def two_teams(fake: PlausibleFake) -> None:
    """The personal team is the older one."""
    old_key(fake)
    own = fake.state.users[fake.state.keys[KEY].user]
    personal = fake.state.new_team("My personal sites", own, PERSONAL)
    personal.features = set()
    del fake.state.teams[personal.id]
    fake.state.teams[0] = replace(personal, id=0)
    found = fake.state.member(personal.id, own.id)
    assert found is not None
    found.team = 0


def guest_elsewhere(fake: PlausibleFake) -> None:
    sites("corp.example")(fake)
    old_key(fake)
    own = fake.state.users[fake.state.keys[KEY].user]
    team = fake.state.new_team("Host", fake.state.new_user("host@other.example"))
    guest_of = fake.state.new_site("guest-of.example", team)
    guest_of.id = -1
    fake.state.sites[-1] = guest_of
    fake.state.sites = {at: site for at, site in fake.state.sites.items() if at == site.id}
    fake.state.new_guest(guest_of, own, "viewer")


def renamed(fake: PlausibleFake) -> None:
    found = fake.state.site("corp.example")
    assert found is not None
    found.previous, found.renamed = "old-corp.example", NOW


def full(fake: PlausibleFake) -> None:
    for team in fake.state.teams.values():
        team.seats = len(fake.state.seated(team))


def used_up(hour: int, ten: int) -> Setup:
    def change(fake: PlausibleFake) -> None:
        fake.limits = True
        team, now = fake.state.keys[KEY].team, int(NOW.timestamp())
        fake.counted[(team, 3600, now // 3600)] = hour
        fake.counted[(team, 10, now // 10)] = ten

    return change


def props(fake: PlausibleFake) -> None:
    for site in fake.state.sites.values():
        site.props = ("author",)


def consolidated(fake: PlausibleFake) -> None:
    team = fake.state.teams[fake.state.keys[KEY].team or 0]
    fake.state.new_site("consolidated-view-domain", team).consolidated = True


def no_more_sites(fake: PlausibleFake) -> None:
    for team in fake.state.teams.values():
        team.most_sites = 0


def several_teams(fake: PlausibleFake) -> None:
    old_key(fake)
    own = fake.state.users[fake.state.keys[KEY].user]
    for name in ("one", "two"):
        fake.state.new_team(name, own)


def taken(fake: PlausibleFake) -> None:
    fake.state.new_site("taken.example", next(iter(fake.state.teams.values())))


def goals(*ids: int) -> Setup:
    known = {11: Goal("Visit /thanks", "page", None, "/thanks", {}), 12: Goal("Signup", "event", "Signup", None, {})}

    def change(fake: PlausibleFake) -> None:
        shop = fake.state.site("shop.example")
        assert shop is not None
        shop.goals.update({at: known[at] for at in ids})

    return change


def next_id(number: int) -> Setup:
    def change(fake: PlausibleFake) -> None:
        fake.state.last_id = number - 1

    return change


def too_many_goals(fake: PlausibleFake) -> None:
    shop = fake.state.site("shop.example")
    assert shop is not None
    shop.goals.update({at: Goal(str(at), "event", str(at), None, {}) for at in range(MOST_GOALS)})


def two_props(fake: PlausibleFake) -> None:
    for site in fake.state.sites.values():
        site.props = ("title", "author")


SETUPS: dict[str, Any] = {
    "auth: write on a consolidated": consolidated,
    "site create: domain taken": taken,
    "site create: site quota": no_more_sites,
    "site create: key user is viewer": role("viewer"),
    "site create: legacy key, no team_id": several_teams,
    "site create: key without provision": stats_key,
    "site delete: ok": role("owner"),
    "shared link put: plan without": features("stats", "sites"),
    "goals list": goals(11, 12),
    "goal put: event": goals(12),
    "goal put: page": next_id(13),
    "goal put: too many": too_many_goals,
    "goal put: custom_props": features("stats", "sites"),
    "goal delete": goals(12),
    "custom props list": two_props,
    "auth: stats-type key": stats_key,
    "auth: legacy key, key user is neither": old_key,
    "auth: owning team locked": locked,
    "auth: plan lacks Stats API": features(),
    "auth: plan lacks Sites API": features("stats"),
    "rate limit: hourly": used_up(HOURLY, 0),
    "rate limit: burst": used_up(0, BURST),
    "teams: legacy key, user belongs to no team": homeless,
    "teams: legacy key, newest team first": two_teams,
    "sites: none": sites(),
    "sites: newest first": sites("corp.example", "shop.example"),
    "sites: page": sites("a.example", "b.example", "c.example"),
    "sites: limit above": sites("corp.example"),
    "sites: legacy key with team_id of a team": guest_elsewhere,
    "sites: legacy key, team_id unknown": guest_elsewhere,
    "sites: legacy key, team_id of an existing": old_key,
    "sites: team-scoped": sites("corp.example"),
    "site get: ok": props,
    "site get: asked by the previous": renamed,
    "site get: key user has the billing": role("billing"),
    "guests list: accepted ones": invited("new@agency.example"),
    "guests list: page": invited("new@agency.example"),
    "guests list: key user has the billing": role("billing"),
    "guest put: repeat with another role on a pending": invited("cat@agency.example"),
    "guest put: key user is team editor": role("editor"),
    "guest put: seat limit": full,
    "guest delete: pending": invited("cat@agency.example"),
}
KEYS = {"auth: no Authorization": None, "auth: unknown key": "bogus", "auth: site-context endpoint without": "bogus"}


def listed(scenario: str, table: dict[str, Any]) -> Any:
    return next((setup for start, setup in table.items() if scenario.startswith(start)), None)


def sent(fake: PlausibleFake, line: dict[str, Any]) -> httpx.Response:
    key = next((credential for start, credential in KEYS.items() if line["scenario"].startswith(start)), KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    query = dict(line["query"])
    with httpx.Client(transport=in_process(fake), base_url="http://plausible.test", headers=headers) as http:
        if "after" in query and query["after"] != "not-a-cursor":
            first = http.get(line["path"], params={name: value for name, value in query.items() if name != "after"})
            query["after"] = first.json()["meta"]["after"]
        body = line["body"]
        if body and str(body.get("property", "")).startswith("<"):
            body = {**body, "property": "x" * 301}
        return http.request(line["method"], line["path"], params=query, json=body)


def same(recorded: Any, answered: Any, where: str = "body") -> list[str]:
    """Say where an answer is not the recorded one; cursors and generated ids only have to be there."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        wrong = [] if recorded.keys() == answered.keys() else [f"{where}: {sorted(recorded)} and {sorted(answered)}"]
        return wrong + [fault for key in recorded for fault in same(recorded[key], answered.get(key), f"{where}.{key}")]
    if isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        return [
            fault
            for at, pair in enumerate(zip(recorded, answered, strict=True))
            for fault in same(*pair, f"{where}[{at}]")
        ]
    if isinstance(recorded, str) and isinstance(answered, str):
        pattern = ".+".join(map(re.escape, recorded.split("[...]")))
        if re.fullmatch(pattern, answered) or recorded.startswith(("pa-", "g3Q")):
            return []
        if "/share/" in recorded and re.fullmatch(r".+/share/shop\.example\?auth=.{21}", answered):
            return []
    return [] if recorded == answered else [f"{where}: {answered!r} instead of {recorded!r}"]


ROBOT = "robot@corp.example"
SECRET = "JBSWY3DPEHPK3PXP"


def community(line: dict[str, Any]) -> tuple[PlausibleFake, httpx.Response]:
    """Send a line to Community Edition, with what a browser had done before it."""
    needs_postgres()
    scenario = line["scenario"]
    more = {"self": ROBOT, **({"totp": SECRET} if "2FA" in scenario else {})}
    fake = FAKE.of(World(more=more), "ce-3", clock=lambda: NOW)
    assert isinstance(fake, CommunityFake)
    peopled(fake)
    body, path = dict(line["body"] or {}), line["path"].replace("V1StGXR8_Z5jdHi6B-myT", invitation(fake))
    path = path.replace("/u/17", f"/u/{guest_id(fake)}")
    with httpx.Client(transport=in_process(fake), base_url="http://plausible.test") as http:
        if scenario.startswith("CE probe"):
            kind = "application/json" if "json" in scenario else "*/*"
            return fake, http.request(line["method"], path, json=line["body"], headers={"Accept": kind})
        inside = not path.startswith(("/login", "/2fa")) and "not logged in" not in scenario
        if inside or path.startswith("/2fa"):
            sign_in(http, fake)
        if "sixth" in scenario:
            for _ in range(5):
                sign_in(http, fake, "bad")
        page = http.get("/2fa/verify" if path.startswith("/2fa") else "/sites" if inside else "/login")
        put_in = {
            "_csrf_token": token_of(page),
            "password": PASSWORD if body.get("password") == "<secret>" else "bad",
            "code": totp(SECRET, NOW.timestamp()),
        }
        form = {name: put_in.get(name, value) for name, value in body.items()}
        return fake, http.request(line["method"], path, data=form or None)


def peopled(fake: CommunityFake) -> None:
    """Shop has a guest who is accepted and one who is invited; it goes to somebody else soon."""
    state = fake.state
    team = next(iter(state.teams.values()))
    next(iter(state.users.values())).email = "owner@corp.example"
    shop = state.new_site("shop.example", team)
    state.new_guest(shop, state.new_user("bea@agency.example"), "viewer")
    state.invite(shop, "new@agency.example", "viewer", 1)
    state.new_site("foreign.example", state.new_team("Other", state.new_user("x@other.example")))
    at = state.new_id()
    state.transfers[at] = Transfer(at, "next-owner@other.example", shop.id, 1)


def invitation(fake: PlausibleFake) -> str:
    return next(invitation.invitation_id for invitation in fake.state.guest_invitations.values())


def guest_id(fake: PlausibleFake) -> int:
    return next(user.id for user in fake.state.users.values() if user.email == "bea@agency.example")


def token_of(page: httpx.Response) -> str:
    found = re.search(r'csrf[-_]token" (?:value|content)="([^"]+)"', page.text)
    return found[1] if found else ""


def sign_in(http: httpx.Client, fake: PlausibleFake, password: str = PASSWORD) -> None:
    form = {"_csrf_token": token_of(http.get("/login")), "email": ROBOT, "password": password}
    http.post("/login", data=form)


def shape_of(recorded: Any, answer: httpx.Response) -> list[str]:
    """Say where a page, a redirect or the cookies are not as recorded."""
    if isinstance(recorded, str):
        return [] if answer.text.startswith("<") else ["no page"]
    if "_location" not in recorded:
        return same(recorded, answer.json())
    place = answer.headers.get("location")
    wrong = [] if place == recorded["_location"] else [f"leads to {place}"]
    given = {cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")}
    return wrong + [f"no cookie {cookie}" for cookie in recorded.get("_set_cookie", ()) if cookie not in given]


@pytest.mark.parametrize("line", LINES, ids=lambda line: re.sub(r"\W+", "-", line["scenario"])[:60])
def test_every_exchange_is_answered_as_it_is_written(line: dict[str, Any]) -> None:
    """Nothing is left out."""
    if line["scenario"].startswith(("web:", "CE probe:")):
        fake, answer = community(line)
        assert answer.status_code == line["status"], answer.text
        assert not shape_of(line["response"], answer)
        return
    fake = base()
    if setup := listed(line["scenario"], SETUPS):
        setup(fake)
    answer = sent(fake, line)
    assert answer.status_code == line["status"], answer.text
    assert not same(line["response"], answer.json())


def test_the_exchanges_are_all_there() -> None:
    """Every entry of the tables is about something."""
    assert len(LINES) == 118
    for start in (*SETUPS, *KEYS):
        assert any(line["scenario"].startswith(start) for line in LINES), start


def test_a_put_over_a_team_invitation_destroys_it() -> None:
    """What the answer does not show: the invitation as admin is one as guest now."""
    fake = base()
    line = next(line for line in LINES if "pending TEAM invitation" in line["scenario"])
    assert sent(fake, line).status_code == 200
    team = next(team for team in fake.state.teams.values() if team.identifier == TEAM)
    parent = fake.state.parent(team.id, "future-admin@corp.example")
    assert parent is not None
    assert parent.role == GUEST


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, the last six of its eight digits; the stand-in and the adapter share this function."""
    assert totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", seconds) == code
