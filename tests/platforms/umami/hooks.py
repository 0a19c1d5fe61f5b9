"""What a replay of Umami's recordings needs to know beside the recordings.

Accounts, sites and rows that the recording scripts made without recording it are made here, at the point where the
scripts made them. Passwords, of which the recordings keep the length alone, are the scripts' own.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from platforms.replay import INSTANT, UUID, Exchange, Hooks, Replay
from siteward.platforms.umami.fake import FAKE, UmamiFake
from siteward.platforms.umami.fake.worlds import FIRST_PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx

ADMIN = "41e2b680-648e-4b09-bcd7-3e2b10c06264"
PASSWORD = "Passw0rd!"
_PASSWORDS = {0: "", 4: "nope", 5: FIRST_PASSWORD, 8: "12345678", 9: PASSWORD, 11: "Brand-New-1", 12: "NewPassw0rd!"}
_MADE_UP = re.compile(r"(.)\1{7}-")
_SLUG = re.compile(r"/api/share/(?!id/)([A-Za-z0-9]{16})")
_STEPS = ("team-manager", "team-member", "team-view-only", "none")
_MATRIX = tuple((f"m.{role}.{step}", role) for role in ("user", "view-only") for step in _STEPS)

# (recording, before which exchange) → the accounts made there: (name, role).
_ACCOUNTS: Mapping[tuple[str, int], Sequence[tuple[str, str]]] = {
    ("01_auth", 27): [("tok.user", "user")],
    ("03_listing_paging", 2): [(f"list{at:02d}", ("user", "view-only")[at % 2]) for at in range(45)],
    ("04_teams_members", 2): [
        *((name, "user") for name in ("own.er", "man.ager", "mem.ber", "tv.only", "out.sider")),
        ("glob.viewer", "view-only"),
    ],
    ("05_hazards_dangling_escalation", 2): [("esc.view", "view-only"), ("u.two", "user")],
    ("06_websites_transfer_shares", 2): [("ann", "user"), ("bob", "user"), ("gview", "view-only")],
    ("07_permission_matrix", 3): [("m.owner", "user"), *_MATRIX, ("m.dummy", "user")],
    ("08_delete_user_cascade", 2): [("ann", "user"), ("bob", "user")],
    ("09_concurrency_idempotency", 6): [(f"race{at}", "user") for at in range(8)],
    ("11_scale_250u_30t_120w", 19): [
        (f"user{at:03d}@example.com", "view-only" if at % 4 == 0 else "user") for at in range(250)
    ],
    ("13_with_redis", 10): [("red.user", "user")],
    ("14_non_admin_token", 2): [("ann", "user"), ("bob", "user")],
    ("17_extras", 2): [(name, "user") for name in ("ann", "m1", "m2")],
    ("17_extras", 15): [("m3", "user")],
}
# Accounts whose ids no answer shows beside their names: (exchange, field of its body) that holds it.
_IDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "06_websites_transfer_shares": {"gview": (22, "userId")},
    "17_extras": {"m1": (13, "ownerId"), "m2": (14, "userId"), "m3": (15, "userId")},
}
# Logins whose token the scripts kept under another name than the account's.
_ALIASES = {
    ("02_users", 17): "longpw72",
    ("14_non_admin_token", 16): "ann-new",
    ("01_dev_tour", 7): "ann",
    ("01_dev_tour", 11): "ann",
}
# Logins that fail although the password is right.
_RIGHT = {("01_auth", 6), ("02_users", 21), ("14_non_admin_token", 17), ("01_dev_tour", 8)}


class UmamiHooks(Hooks):
    """Replays recordings of Umami 3.2, 3.1 and 2.20."""

    own = re.compile(rf"{UUID.pattern}|[A-Za-z0-9]{{16}}")
    volatile = (INSTANT, re.compile(r"auth:[0-9a-f]{32}"))
    loose = frozenset({"token", "password", "slug", "iat"})
    headers = ("content-type", "location", "allow", "access-control-allow-origin", "cache-control", "vary")

    def open(self, recording: str, exchanges: Sequence[Exchange]) -> UmamiFake:
        folder = PurePath(recording).parts[0]
        release = {"v3.1.0": "3.1", "v2.20.2": "2.20"}.get(folder, "3.2")
        fake = FAKE.fresh(release, clock=lambda: datetime.now(UTC))
        fake.redis = "redis" in recording
        return fake

    def start(self, replay: Replay) -> None:
        replay.memory |= {"tokens": {}, "ids": dict(_named(replay.exchanges)), "custom": "garbage"}

    def before(self, replay: Replay, exchange: Exchange) -> None:
        scenario = PurePath(exchange.recording).stem
        for name, role in _ACCOUNTS.get((scenario, exchange.seq), ()):
            account(replay, name, role)
        if exchange.actor and exchange.actor not in replay.memory["tokens"]:
            account(replay, exchange.actor)
        if special := _SPECIAL.get((scenario, exchange.seq)):
            special(replay, exchange)
        if scenario == "07_permission_matrix":
            _matrix(replay, exchange)
        if found := _SLUG.match(exchange.path):
            replay.twins.setdefault(found[1], replay.memory["slug"])
        for recorded in UUID.findall(f"{exchange.path} {exchange.body}"):
            if recorded not in replay.twins and recorded != ADMIN and not _MADE_UP.match(recorded):
                replay.twins[recorded] = _unrecorded(replay, exchange, recorded)

    def fill(self, replay: Replay, exchange: Exchange, name: str) -> str:
        kind, _, rest = name.partition(":")
        if kind == "token":
            return str(replay.memory["tokens"].get(rest) or replay.memory["custom"])
        if name == "share-token":
            return str(replay.memory["share-token"])
        if kind.lower().endswith("password"):
            return _password(exchange, int(rest.split()[0]))
        return super().fill(replay, exchange, name)

    def after(self, replay: Replay, exchange: Exchange, response: httpx.Response) -> None:
        if response.status_code != 200:
            return
        scenario = PurePath(exchange.recording).stem
        if exchange.path == "/api/auth/login":
            name = exchange.body.get("username", "admin")
            alias = _ALIASES.get((scenario, exchange.seq), name)
            replay.memory["tokens"][alias] = response.json()["token"]
        if exchange.path.startswith("/api/share/") and "token" in response.json():
            replay.memory["share-token"] = response.json()["token"]
        if exchange.path.endswith("/shares") and exchange.method == "POST":
            replay.memory["slug"] = response.json()["slug"]

    def ordered(self, exchange: Exchange, where: str) -> bool:
        return where == "body.data" and exchange.path.startswith("/api/admin/") and "v2" not in exchange.recording


def _password(exchange: Exchange, size: int) -> str:
    scenario = PurePath(exchange.recording).stem
    wrong = exchange.path == "/api/auth/login" and exchange.status == 401 and (scenario, exchange.seq) not in _RIGHT
    if wrong or (size == 5 and exchange.path != "/api/auth/login"):
        return "x" * size
    return _PASSWORDS.get(size, "p" * size)


def _named(exchanges: Sequence[Exchange]) -> Iterator[tuple[str, str]]:
    """Find the accounts' recorded ids: where a name stands beside one, and where an answer shows who asked."""
    shown = _IDS.get(PurePath(exchanges[0].recording).stem, {})
    for exchange in exchanges:
        yield from _pairs(exchange.answer)
        yield from ((name, exchange.body[key]) for name, (seq, key) in shown.items() if seq == exchange.seq)
        if exchange.actor and exchange.actor != "admin" and exchange.status == 200 and exchange.method == "POST":
            if exchange.path == "/api/teams":
                yield exchange.actor, exchange.answer[1]["userId"]
            elif exchange.path == "/api/teams/join":
                yield exchange.actor, exchange.answer["userId"]
            elif exchange.path == "/api/websites":
                yield exchange.actor, exchange.answer["createdBy"]


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _pairs(item)
    elif isinstance(value, dict):
        if "username" in value and "id" in value:
            yield value["username"], value["id"]
        for member in value.values():
            yield from _pairs(member)


def account(replay: Replay, name: str, role: str = "user") -> str:
    """Make an account and sign it in, as the scripts' helper did; returns its id."""
    fake = _fake(replay)
    user = fake.state.new_user(name, PASSWORD, role)
    if name in replay.memory["ids"]:
        replay.twins[replay.memory["ids"][name]] = user.id
    signed = replay.client.post("/api/auth/login", json={"username": name, "password": PASSWORD})
    replay.memory["tokens"][name] = signed.json()["token"]
    return user.id


def _fake(replay: Replay) -> UmamiFake:
    assert isinstance(replay.fake, UmamiFake)
    return replay.fake


def _unrecorded(replay: Replay, exchange: Exchange, recorded: str) -> str:
    """Make what the path or body names and no answer has shown: a site, or else an account."""
    state = _fake(replay).state
    if f"/api/websites/{recorded}" in exchange.path or f"'websiteId': '{recorded}'" in str(exchange.body):
        owner = state.names[exchange.actor or "admin"]
        team = replay.memory.get("team")
        if team:
            return state.new_website("mx", "mx", by=ADMIN, team=team).id
        return state.new_website(owner.username, owner.username, by=owner.id, user=owner.id).id
    if "/transfer" in exchange.path and exchange.actor in state.names:
        return state.names[exchange.actor].id
    return account(replay, f"unrecorded-{recorded[:8]}")


def _matrix(replay: Replay, exchange: Exchange) -> None:
    """Do what the matrix script did as admin where the actor could not."""
    state = _fake(replay).state
    if exchange.seq == 4:
        replay.memory["team"] = replay.twins[exchange.path.split("/")[3]]
    team, dummy = replay.memory.get("team"), state.names.get("m.dummy")
    if team is None or dummy is None:
        return
    step = exchange.note.rpartition(": ")[2]
    if step in {"member.add", "member.role", "member.remove"} and exchange.path.count("/") == 5:
        replay.twins.setdefault(exchange.path.rpartition("/")[2], dummy.id)
    if step == "member.add":
        replay.twins.setdefault(exchange.body["userId"], dummy.id)
        state.members[team] = [member for member in state.members[team] if member.user != dummy.id]
    if step == "member.role" and not state.member(team, dummy.id):
        state.new_member(team, dummy.id, "team-view-only")
    if step == "site.take_to_self" and state.member(team, dummy.id):
        state.members[team] = [member for member in state.members[team] if member.user != dummy.id]


def _second_half(replay: Replay, _exchange: Exchange) -> None:
    """Recording 08 begins anew, with one account for each thing that may block a deletion."""
    release = _fake(replay).release
    replay.use(FAKE.fresh(release, clock=lambda: datetime.now(UTC)))
    signed = replay.client.post("/api/auth/login", json={"username": "admin", "password": FIRST_PASSWORD})
    replay.memory["tokens"] = {"admin": signed.json()["token"]}
    deleted = [
        exchange.path.rpartition("/")[2]
        for exchange in replay.exchanges
        if exchange.note.startswith("delete user whose")
    ]
    for kind, recorded in zip(
        ("segment", "revenue", "report", "board", "link", "pixel", "replay"), deleted, strict=True
    ):
        user = account(replay, f"k.{kind}")
        replay.twins[recorded] = user
        site = _fake(replay).state.new_website(kind, kind, by=user, user=user)
        site.blocks = int(kind in {"revenue", "replay"})
        for exchange in replay.exchanges:
            if exchange.actor == f"k.{kind}" and kind in {"segment", "report"}:
                named = exchange.body.get("websiteId") or exchange.path.split("/")[3]
                replay.twins[named] = site.id


def _race(replay: Replay, _exchange: Exchange) -> None:
    """Recording 09 added eight members twelve times each at once; so many of each got in."""
    state = _fake(replay).state
    listed = next(exchange.answer["data"] for exchange in replay.exchanges if exchange.seq == 6)
    for row in listed:
        if row["role"] != "team-owner":
            state.new_member(replay.twins[row["teamId"]], state.names[row["user"]["username"]].id, row["role"])


def _more_teams(replay: Replay, _exchange: Exchange) -> None:
    """Recording 09 then made teams and accounts in bursts."""
    for _ in range(5):
        _fake(replay).state.new_team("dupteam", ADMIN)


def _scale(replay: Replay, _exchange: Exchange) -> None:
    """Recording 11: 30 teams of 21, 120 sites; the members of the two teams that it shows are as it shows them."""
    state = _fake(replay).state
    shown = next(exchange.answer["data"] for exchange in replay.exchanges if exchange.path == "/api/admin/teams")
    known = {team["name"]: team["members"] for team in shown}
    others = [name for name in (f"Team {number:02d}" for number in range(30)) if name not in known]
    teams = []
    for team_name in (*others, *reversed(known)):
        team, _ = state.new_team(team_name, ADMIN)
        teams.append(team.id)
        names = [(member["user"]["username"], member["role"]) for member in known.get(team.name, ())][1:]
        for name, role in names or [(f"user{at:03d}@example.com", "team-member") for at in range(20)]:
            state.new_member(team.id, state.names[name].id, role)
    for number in range(120):
        team_id = teams[number % 30] if number < 110 else None
        owner = None if team_id else ADMIN
        state.new_website(f"Site {number}", f"site{number}.example.com", by=ADMIN, user=owner, team=team_id)


def _expired(replay: Replay, _exchange: Exchange) -> None:
    """Recording 13 deletes all keys, which is what an hour does."""
    _fake(replay).state.sessions.clear()


def _loaded(replay: Replay, _exchange: Exchange) -> None:
    """Recording 17 gives the site a revenue and a replay."""
    for site in _fake(replay).state.websites.values():
        site.blocks = 2


def _legacy_name(replay: Replay, exchange: Exchange) -> None:
    """The tour between the releases writes a mixed-case name into the database."""
    state = _fake(replay).state
    state.rename(state.names["ann.bigger"], "Legacy.User")


def _twin(name: str, recorded: str) -> Callable[[Replay, Exchange], None]:
    """Make an account that recording 20 shows under an id which a later account of its name has not."""

    def make(replay: Replay, _exchange: Exchange) -> None:
        replay.memory["ids"].pop(name, None)
        replay.twins[recorded] = account(replay, name)

    return make


def _marked(replay: Replay, _exchange: Exchange) -> None:
    """Recording 20 marks a team and an account as deleted in the database."""
    fake = _fake(replay)
    team = next(team for team in fake.state.teams.values() if team.name == "T2")
    team.deleted = fake.state.names["mem"].deleted = fake.state.stamp()
    fake.touch()


_SPECIAL: Mapping[tuple[str, int], Callable[[Replay, Exchange], None]] = {
    ("01_dev_tour", 8): _legacy_name,
    ("08_delete_user_cascade", 21): _second_half,
    ("09_concurrency_idempotency", 6): _race,
    ("09_concurrency_idempotency", 23): _more_teams,
    ("11_scale_250u_30t_120w", 19): _scale,
    ("13_with_redis", 13): _expired,
    ("17_extras", 4): _loaded,
    ("20_questions", 26): _twin("uli", "c49eb93d-094e-4603-87e3-e32f3733069a"),
    ("20_questions", 43): _twin("mem", "6d0ff985-8a0a-4c70-86f3-7d0837212778"),
    ("20_questions", 66): _marked,
}
