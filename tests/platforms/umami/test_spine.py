"""The whole way of a file, with Umami at its end: a code that was known while somebody was closed out never lives on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec.structs import replace

from platforms.proxy import Page, Proxy
from platforms.umami.at import SHOP, fake_of
from rig import Rig, made
from siteward.access.report import exit_code
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.umami.fake import UmamiFake
from siteward.platforms.umami.fake.worlds import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

    from werkzeug.wrappers import Request

    from siteward.access.report import Report
    from siteward.platforms.umami.fake.rows import Session

DOCS = "docs.example.org"
CODE = "POST ^/api/teams/[^/]+$"
RANK = ("team-view-only", "team-member", "team-manager", "team-owner")
PEOPLE = ("anna", "ben", "carla")
WORLD = World(
    accounts=tuple(WorldAccount(login=person) for person in PEOPLE),
    sites=tuple(WorldSite(name=site, domain=site) for site in (SHOP, DOCS)),
    grants=(
        WorldGrant(account="anna", site=SHOP, role="team-view-only"),
        WorldGrant(account="ben", site=SHOP, role="team-manager"),
        WorldGrant(account="carla", site=DOCS, role="team-member"),
    ),
)
WIDE = {"count": 99, "percent": 100}
# Anna loses her only grant, Ben is lowered, Carla moves from one site to the other, and Dora is new.
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "instances": {
        "it": {
            "platform": "umami",
            "url": "http://127.0.0.1:1",
            "self": "siteward",
            "layout": "per-site",
            "accept_blind": ["board-links"],
        }
    },
    "users": {person: {"email": f"{person}@example.org"} for person in (*PEOPLE, "dora")},
    "policy": {
        "admins": {"min": 1},
        "limits": dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), WIDE),
    },
    "grants": [
        {"to": "ben", "role": "view", "sites": SHOP},
        {"to": ["carla", "dora"], "role": "view", "sites": SHOP},
    ],
}


@dataclass
class Witness(httpx.BaseTransport):
    """Notes for each team the code that stood when somebody was closed out last."""

    behind: httpx.BaseTransport
    fake: UmamiFake
    known: dict[str, str] = field(default_factory=dict)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        before = self._held()
        try:
            return self.behind.handle_request(request)
        finally:
            after = self._held()
            for (team, user), rank in before.items():
                if after.get((team, user), -1) < rank:
                    self.known[team] = self.fake.state.teams[team].code

    def _held(self) -> dict[tuple[str, str], int]:
        return {
            (team, row.user): RANK.index(row.role) for team, rows in self.fake.state.members.items() for row in rows
        }

    def living(self) -> list[str]:
        """Return the teams whose code still is one that somebody may know who was closed out."""
        return [team for team, code in self.known.items() if self.fake.state.teams[team].code == code]


@dataclass
class Watched(Rig):
    """A rig with a proxy and a witness before the server."""

    witness: Witness = field(init=False)
    proxy: Proxy = field(init=False)

    def declare(self, document: Any) -> None:
        super().declare(document)
        self.witness = Witness(self.axe, self.fake)  # type: ignore[arg-type]  # an Umami, as `_rig` makes it
        self.proxy = Proxy(self.witness)
        self.instance = replace(self.instance, link=replace(self.instance.link, transport=self.proxy))

    def done(self, *, resume: bool = False) -> Report:
        plan = self.plan().plan
        assert plan is not None
        return self.apply(plan, resume=resume)


def _rig(folder: Path) -> Watched:
    return Watched(folder, fake_of(WORLD), DOCUMENT)


def _statuses(report: Report) -> set[str]:
    return {outcome.status for outcome in report.outcomes}


def test_no_code_outlives_a_closing_that_a_crash_cut_off(tmp_path: Path) -> None:
    """Killed before or after any request of an apply: `--resume` ends it, the codes included."""
    whole = _rig(tmp_path / "whole")
    assert _statuses(whole.done()) == {"done"}
    assert whole.witness.known
    assert not whole.witness.living()
    wrote = whole.axe.wrote
    for number in range(wrote[0], wrote[-1] + 1):
        for after in (False, True):
            rig = _rig(tmp_path / f"{number}{after}")
            plan = rig.plan().plan
            assert plan is not None
            report = rig.cut_off(plan, number, after=after)
            assert _statuses(report) <= {"done", "already"}, (number, after)
            assert not rig.witness.living(), (number, after)
            assert rig.access() == whole.access()
            assert rig.plan().plan is not None


def test_a_closing_without_a_new_code_is_never_done_and_is_finished_later(tmp_path: Path) -> None:
    """A page for every code but the first: the exit is not 0, and `--resume` sets them as soon as it can."""
    rig = _rig(tmp_path)
    plan = rig.plan().plan
    assert plan is not None
    rig.proxy.pages.append(Page(CODE, after=1, times=0))
    report = rig.apply(plan)
    closings = [outcome for outcome in report.outcomes if outcome.status == "unknown"]
    assert {closing.step.change.key[2] for closing in closings} == {"anna", "ben", "carla"}
    assert all("the team's access code could not be set anew" in closing.message for closing in closings)
    assert exit_code(report) != 0
    assert len(rig.witness.living()) == 2

    rig.proxy.pages.clear()
    assert _statuses(rig.apply(plan, resume=True)) <= {"done", "already"}
    assert not rig.witness.living()


@pytest.mark.parametrize("fault", ["cut-after-writex0", "500-after-writex0"])
def test_a_lost_answer_to_a_closing_gets_its_new_code(fault: str, tmp_path: Path) -> None:
    """The answer is lost and cannot be read back at once; that the membership is closed the spine sees itself."""
    rig = _rig(tmp_path)
    plan = rig.plan().plan
    assert plan is not None
    rig.fake.faults.append(Fault.parse(f"{fault}:DELETE /api/teams"))
    rig.proxy.pages.append(Page(CODE, after=1, times=2))
    assert _statuses(rig.apply(plan)) == {"done"}
    assert not rig.witness.living()


@pytest.mark.parametrize("content", [b"<html>", b"", b'{"id": 7}'])
def test_an_account_whose_answer_says_nothing_gets_its_grants(content: bytes, tmp_path: Path) -> None:
    """Its id is looked for, at once or by name."""
    rig = _rig(tmp_path)
    rig.proxy.pages += [Page("POST ^/api/users$", passed=True, content=content), Page("GET ^/api/users/")]
    assert _statuses(rig.done()) == {"done"}


@dataclass(slots=True)
class Bounded(Fault):
    """A proxy that lets through one write after every `times` that it has answered 503 (nginx `limit_req` with its defaults)."""

    def strikes(self, request: Request) -> bool:
        if request.method not in {"POST", "DELETE"} or request.path.startswith("/api/auth/"):
            return False
        self.seen += 1
        return bool(self.seen % (self.times + 1))


@pytest.mark.parametrize("times", [1, 3])
def test_a_plan_is_applied_whole_behind_a_proxy_that_bounds_the_rate_by_503(times: int, tmp_path: Path) -> None:
    """Every write sets a state or makes a login, so each is sent again once it was seen undone; nobody is blamed later."""
    plain, rig = _rig(tmp_path / "plain"), _rig(tmp_path / "bounded")
    plain.done()
    rig.fake.faults.append(Bounded("503", times=times))
    report = rig.done()
    assert {outcome.status for outcome in report.outcomes} == {"done"}, [
        (outcome.status, outcome.message) for outcome in report.outcomes if outcome.status != "done"
    ]
    assert exit_code(report) == 0
    assert rig.access() == plain.access()
    assert rig.witness.living() == []
    assert not rig.drift().drift


def test_a_503_that_stays_says_what_to_do_at_the_proxy(tmp_path: Path) -> None:
    rig = _rig(tmp_path)
    rig.fake.faults.append(Fault("503", times=0, method="POST", path="/api/(users|teams)"))
    unknown = [outcome for outcome in rig.done().outcomes if outcome.status == "unknown"]
    assert unknown
    assert any("limit_req_status 429" in (outcome.hint or "") for outcome in unknown)


# -- with Redis; crossings/test_redis.py lets a real one end the sessions


@dataclass
class Ending(httpx.BaseTransport):
    """Lets something happen to the sessions right before the request of a number, and counts the requests."""

    behind: httpx.BaseTransport
    happens: Callable[[], None]
    at: int = 0
    count: int = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count == self.at:
            self.happens()
        return self.behind.handle_request(request)


def _with_redis(
    folder: Path, release: str = "3.2", at: int = 0, sessions: MutableMapping[str, Session] | None = None,
    happens: Callable[[], None] | None = None,
) -> tuple[Rig, Ending]:  # fmt: skip
    fake = fake_of(WORLD, release)
    fake.redis = True
    if sessions is not None:
        fake.state.sessions = sessions
    rig = Rig(folder, fake, DOCUMENT)
    ending = Ending(rig.axe, happens or fake.state.sessions.clear, at)
    rig.instance = replace(rig.instance, link=replace(rig.instance.link, transport=ending))
    return rig, ending


def costs_a_login_and_no_write_twice(
    folder: Path, every: int, sessions: MutableMapping[str, Session] | None = None,
    happens: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Apply anew with the sessions ended before one request in `every`: by `happens`, or as when Redis was emptied."""
    plain, counted = _with_redis(folder / "plain", sessions=sessions, happens=happens)
    before = plain.fake.writes
    assert _statuses(plain.apply(made(plain))) == {"done"}
    writes = plain.fake.writes - before
    for number in range(1, counted.count + 1, every):
        rig, _ = _with_redis(folder / str(number), at=number, sessions=sessions, happens=happens)
        before = rig.fake.writes
        assert _statuses(rig.apply(made(rig))) == {"done"}, number
        assert rig.fake.writes - before == writes, number
        assert rig.access() == plain.access(), number


def test_a_token_that_ends_while_we_work_costs_a_login_and_no_write_twice(tmp_path: Path) -> None:
    """Reading, planning and applying included: with Redis a token lasts an hour, and a long apply is longer."""
    costs_a_login_and_no_write_twice(tmp_path, 4)


@pytest.mark.parametrize("release", ["3.2", "3.1", "2.20"])
def test_with_redis_nothing_that_was_taken_lives_on_in_a_session(release: str, tmp_path: Path) -> None:
    """Redis holds whose session it is, and no right: each request reads those in the database (recording 13_with_redis)."""
    rig, _ = _with_redis(tmp_path, release)
    fake = rig.fake
    assert isinstance(fake, UmamiFake)
    person = httpx.Client(transport=in_process(fake), base_url="http://umami.invalid")
    signed = person.post("/api/auth/login", json={"username": "anna", "password": PASSWORD})
    person.headers["authorization"] = f"Bearer {signed.json()['token']}"
    site = next(site.id for site in fake.state.websites.values() if site.domain == SHOP)
    assert person.get(f"/api/websites/{site}").status_code == 200
    assert _statuses(rig.apply(made(rig))) == {"done"}
    assert person.get(f"/api/websites/{site}").status_code == 401
    rig.declare({**DOCUMENT, "users": {**DOCUMENT["users"], "anna": {"state": "absent"}}})
    assert _statuses(rig.apply(made(rig))) == {"done"}
    assert person.post("/api/auth/verify").status_code == 401
