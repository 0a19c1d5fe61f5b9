"""The promises of the design, 8 to 14, on the real Umami adapter: what holds while and after something is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec.structs import replace

from promises.small import (
    ADMINS,
    BLOG,
    LAB,
    SHOP,
    Small,
    codes,
    document,
    edit,
    fake,
    made,
    members,
    outcomes,
    part,
    rig,
    role,
    statuses,
    step,
    texts,
    view,
    written,
)
from rig import NOW, Killed
from siteward import platforms
from siteward.access.report import exit_code
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.instance import Instance
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Book
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.plan import Run, plan
from siteward.reconcile.project import validate
from siteward.transport.errors import InsecureError, OriginMismatchError, PlatformError
from siteward.transport.link import Link
from siteward.transport.secrets import Secret, dotenv

if TYPE_CHECKING:
    from pathlib import Path

BOTH = [ADMINS, edit("carla"), view("dora")]


@dataclass
class Deaf(httpx.BaseTransport):
    """A server that answers 200 and the wished role to every change of a membership, and changes nothing."""

    inner: httpx.BaseTransport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and "/users/" in request.url.path and "/teams/" in request.url.path:
            team, user = request.url.path.split("/")[-3::2]
            row = {"id": user, "teamId": team, "userId": user, "role": json.loads(request.content)["role"]}
            return httpx.Response(200, json=row, request=request)
        return self.inner.handle_request(request)


@dataclass
class Guillotine(httpx.BaseTransport):
    """Kills the run at the first request of a kind, before it is sent."""

    inner: httpx.BaseTransport
    method: str
    path: str

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == self.method and request.url.path.startswith(self.path):
            raise Killed
        return self.inner.handle_request(request)


# 8. Every write is read back.


def test_8_a_yes_that_changed_nothing_is_not_done(tmp_path: Path) -> None:
    """200 is no proof."""
    small = rig(tmp_path, grants=BOTH)
    reviewed = made(small)
    small.axe._inner = Deaf(small.axe._inner)
    assert "done" not in statuses(small.apply(reviewed))
    assert members(small.fake) == {"carla": "team-view-only", "dora": "team-member"}


# 9. The journal.


def killed(small: Small, at: int, *, after: bool) -> None:
    """Apply, and be killed around the write of that number."""
    rehearsal = rig(small.folder / "rehearsal", fake(), grants=small.document["grants"], users=small.document["users"])
    reviewed = made(rehearsal)
    rehearsal.axe.wrote.clear()
    start = rehearsal.axe._count
    rehearsal.apply(reviewed)
    mine = made(small)
    small.axe.at, small.axe.after = small.axe._count + rehearsal.axe.wrote[at] - start, after
    with pytest.raises(Killed):
        small.apply(mine)
    small.axe.at = 0


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before its answer"])
def test_9_a_killed_run_is_resumed_to_the_same_end(*, after: bool, tmp_path: Path) -> None:
    """The intent is on the disk before the write; resume settles by reading and finishes."""
    small = rig(tmp_path, users={"eva": {}}, grants=[*BOTH, view("eva", BLOG)])
    killed(small, 1, after=after)
    run = reading.recall(reading.path_of(small.book.folder, "it")).unfinished
    assert run is not None
    assert run.unsettled
    report = small.apply(made(small), resume=True)
    assert set(statuses(report)) <= {"done", "already"}
    assert made(small).instances[0].steps == ()
    assert report.journal_head == reading.recall(reading.path_of(small.book.folder, "it")).standing.head


def test_9_the_last_grant_gone_does_not_stand_in_the_way_of_resuming(tmp_path: Path) -> None:
    """What the interrupted run itself took is no implausible reading."""
    start = World(
        accounts=(WorldAccount(login="carla", role="view-only"),),
        sites=(WorldSite(name="Shop", domain=SHOP),),
        grants=(WorldGrant(account="carla", site=SHOP, role="team-view-only"),),
    )
    doc = document()
    doc["grants"] = [view("eva")]
    doc["users"] = {"carla": {"state": "absent"}, "eva": {"state": "suspended"}}
    small = Small(tmp_path, fake(start), doc)
    reviewed = made(small)
    server = small.axe._inner
    small.axe._inner = Guillotine(server, "DELETE", "/api/users/")
    with pytest.raises(Killed):
        small.apply(reviewed)
    assert members(small.fake) == {}
    small.axe._inner = server
    small.apply(reviewed, resume=True)
    assert "carla" not in small.fake.state.names


def halves(folder: Path) -> Small:
    """Four readers of the shop whose time is over, and four of the blog whom the file has dropped; half of all may go, each way."""
    late, dropped = [f"late{at}" for at in range(4)], [f"gone{at}" for at in range(4)]
    start = World(
        accounts=(
            *(WorldAccount(login=login, role="admin") for login in ("anna", "ben")),
            *(WorldAccount(login=login, role="view-only") for login in (*late, *dropped)),
        ),
        sites=(WorldSite(name="Shop", domain=SHOP), WorldSite(name="Blog", domain=BLOG)),
        grants=tuple(
            WorldGrant(account=login, site=site, role="team-view-only")
            for site, logins in ((SHOP, late), (BLOG, dropped))
            for login in logins
        ),
    )
    half = {"count": 99, "percent": 50}
    doc = document(grants=[ADMINS, view(late, until="2020-01-01")])
    doc["users"] = {login: {} for login in ("anna", "ben", *late, *dropped)}
    doc["policy"]["limits"] |= {"expiries": half, "revocations": half}
    return Small(folder, fake(start), doc)


def test_9_its_own_progress_never_makes_a_run_unresumable(tmp_path: Path) -> None:
    """Budgets in percent are of what was live when it began, wherever it is killed: half of ten, not of what is left."""
    rehearsal = halves(tmp_path / "rehearsal")
    reviewed = made(rehearsal)
    assert codes(reviewed.instances[0]) == set()
    start = rehearsal.axe.count
    assert set(statuses(rehearsal.apply(reviewed))) == {"done"}
    for number in rehearsal.axe.wrote:
        small = halves(tmp_path / str(number))
        mine = made(small)
        report = small.cut_off(mine, small.axe.count + number - start, after=True)
        assert set(statuses(report)) == {"done"}, number
        assert (members(small.fake), members(small.fake, BLOG)) == ({}, {})


def test_9_a_lost_answer_is_settled_by_reading_and_not_sent_again(tmp_path: Path) -> None:
    """A cut connection after the write: done, and once."""
    small = rig(tmp_path, grants=[ADMINS, view(["carla", "dora", "anna"])])
    small.fake.faults.append(Fault.parse("cut-after-write:POST /api/teams/.*/users$"))
    before = len(small.fake.calls)
    assert set(statuses(small.apply(made(small)))) == {"done"}
    added = [
        request for request in written(small.fake, before) if request.startswith("POST") and request.endswith("/users")
    ]
    assert len(added) == 1


@pytest.mark.parametrize("key", [None, Secret("a-key", "test")], ids=["plain", "keyed"])
def test_9_an_edited_journal_is_found_and_not_written_to(key: Secret | None, tmp_path: Path) -> None:
    """The chain finds it; with a key also whoever recomputes the seals."""
    small = rig(tmp_path, grants=BOTH)
    small.book = Book(folder=small.book.folder, key=key)
    small.apply(made(small))
    path = reading.path_of(small.book.folder, "it")
    path.write_text(path.read_text().replace("team-member", "team-manager", 1))
    with pytest.raises(JournalBrokenError):
        reading.recall(path, key)
    before = path.read_bytes()
    assert small.plan().plan is None
    small.book = Book(folder=small.book.folder, key=None)
    assert small.plan().plan is None
    assert path.read_bytes() == before


# 10. One failure isolates.


def test_10_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on(tmp_path: Path) -> None:
    """An account that cannot be made gets no grant, and says why; others get theirs."""
    small = rig(tmp_path, users={"eva": {}}, grants=[*BOTH, view("eva")])
    small.fake.faults.append(Fault.parse("500x0:POST /api/users$"))
    report = small.apply(made(small))
    assert statuses(report).count("done") == 2
    assert outcomes(report)["account eva"] == "failed"
    skipped = next(outcome for outcome in report.outcomes if outcome.status == "skipped")
    assert outcomes(report)["account eva"] in skipped.message
    assert exit_code(report) == 5


def test_10_failures_in_a_row_stop_the_instance(tmp_path: Path) -> None:
    """After so many nothing more is tried."""
    logins = [f"u{at}" for at in range(6)]
    small = rig(
        tmp_path, users={login: {} for login in logins}, grants=[ADMINS, view("carla"), edit("dora"), view(logins)]
    )
    small.fake.faults.append(Fault.parse("500x0:POST /api/users$"))
    tried = [status for status in statuses(small.apply(made(small), failures_in_a_row=2)) if status == "failed"]
    assert len(tried) == 2


def test_10_instances_fail_apart(tmp_path: Path) -> None:
    """One instance that cannot be read is an error of its own; the other has its plan."""
    doc = document(grants=[ADMINS, edit(["carla", "dora"], on="it")])
    doc["instances"]["other"] = {**doc["instances"]["it"], "url": "http://127.0.0.1:2"}
    small = Small(tmp_path, fake(), doc)
    broken = fake()
    broken.faults.append(Fault.parse("500x0:GET"))
    settings = small.project.declaration.instances["other"].settings
    assert settings is not None
    other = Instance(
        name="other", platform=platforms.load("umami"), settings=settings,
        link=Link(url="http://127.0.0.1:2", transport=in_process(broken), sleep=lambda _: None, tries=2),
        env={f"SITEWARD_OTHER_{name.upper()}": value for name, value in broken.credentials.items()},
    )  # fmt: skip
    allowance = Allowance(accept={}, allow_delete=True, passwords=small.passwords)
    report = plan(small.project, [small.instance, other], small.book, Run(created=NOW, as_of=NOW, allowance=allowance))
    assert report.plan is not None
    assert [instance.instance for instance in report.plan.instances] == ["it"]
    assert [diagnostic.instance for diagnostic in report.plan.diagnostics if diagnostic.blocks] == ["other"]
    assert exit_code(report) == 1


# 11. No secret anywhere.


def test_11_the_password_is_delivered_before_the_account_is_made_and_nowhere_else(tmp_path: Path) -> None:
    """On the disk, 0600, before the first write; in no plan, journal or message."""
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view("carla"), edit("dora"), view("eva")])
    killed(small, 0, after=False)
    out = tmp_path / "passwords.txt"
    assert "eva" not in small.fake.state.names
    assert out.stat().st_mode & 0o777 == 0o600
    (given,) = (json.loads(line)["password"] for line in out.read_text().splitlines())
    everything = texts(tmp_path, but=["passwords.txt"])
    for secret in (given, small.fake.credentials["password"]):
        assert secret not in everything


def test_11_without_a_destination_nobody_is_made(tmp_path: Path) -> None:
    """Creation is blocked, and the two ways are named."""
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view("carla"), edit("dora"), view("eva")])
    allowance = Allowance(accept={}, allow_delete=True, passwords=replace(small.passwords, out=None))
    report = plan(small.project, [small.instance], small.book, Run(created=NOW, as_of=NOW, allowance=allowance))
    blocked = next(step for step in part(report).steps if step.change.key == ("account", "eva"))
    (said,) = (diagnostic for diagnostic in blocked.diagnostics if diagnostic.blocks)
    assert said.code == "no-password-destination"
    assert "age" in (said.hint or "")
    assert "--passwords-out" in (said.hint or "")


def test_11_what_waits_for_a_destination_counts_in_the_budgets(tmp_path: Path) -> None:
    """Whoever names one has seen in the plan what the whole would spend: apply then brings no other objection."""
    limits: dict[str, Any] = {"policy": {"limits": {"escalations": {"count": 1}}}}
    manages = [{"to": "eva", "role": "manage", "sites": site} for site in ("shop.example.org", "blog.example.org")]
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view("carla"), edit("dora"), *manages], **limits)
    found = [
        part(plan(small.project, [small.instance], small.book, Run(created=NOW, as_of=NOW, allowance=allowance)))
        for out in (None, tmp_path / "passwords.txt")
        for allowance in [Allowance(accept={}, allow_delete=True, passwords=replace(small.passwords, out=out))]
    ]
    without, named = ({said.code for said in one.diagnostics if said.blocks} for one in found)
    assert without == named == {"limit-escalations"}


def test_11_a_refused_password_is_not_repeated(tmp_path: Path) -> None:
    """Errors are told without the credential."""
    small = rig(tmp_path)
    small.instance = replace(small.instance, env={**small.instance.env, "SITEWARD_IT_PASSWORD": "not-this-one-23"})
    report = small.plan()
    assert report.plan is None
    assert "not-this-one-23" not in repr(report)


# 12. Never "in sync" when something readable was not read.


def test_12_what_a_release_cannot_show_counts_until_it_is_accepted(tmp_path: Path) -> None:
    """Umami 2.20 hides teams without members and sites of nobody: in every summary, and no 0 until named."""
    small = rig(tmp_path, fake(release="2.20"))
    report = small.plan()
    spots = part(report).blind_spots
    assert spots
    assert part(report).steps == ()
    assert exit_code(report) == 4
    small.declare(document(instance={"accept_blind": sorted(spots)}))
    assert exit_code(small.plan()) == 0


def test_12_what_was_not_read_is_no_sync(tmp_path: Path) -> None:
    """A reading that failed leaves with an error, not with 0."""
    small = rig(tmp_path)
    assert exit_code(small.plan()) == 0
    small.fake.faults.append(Fault.parse("500x0:GET /api/admin/teams"))
    assert exit_code(small.plan()) != 0


# 13. A credential is bound to an origin.


@dataclass
class Spy(httpx.BaseTransport):
    """A server that remembers whether anything reached it."""

    answer: httpx.Response
    seen: int = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen += 1
        self.answer.request = request
        return self.answer


def opened(url: str, spy: Spy, small: Small, **env: str) -> type[PlatformError] | None:
    """Read an instance at that address; return what stopped it."""
    here = replace(small.instance, link=Link(url=url, transport=spy, sleep=lambda _: None, tries=1),
                   env={**small.instance.env, **env})  # fmt: skip
    try:
        with here.reading() as reader:
            here.platform.probe(reader, here.settings)
    except PlatformError as problem:
        return type(problem)
    return None


@pytest.mark.parametrize(
    ("url", "bond", "why"),
    [
        ("https://evil.example", "https://stats.example.org", OriginMismatchError),
        ("https://stats.example.org:8443", "https://stats.example.org", OriginMismatchError),
        ("https://stats.example.org", "", OriginMismatchError),
        ("http://stats.example.org", "http://stats.example.org", InsecureError),
    ],
)
def test_13_nothing_is_sent_elsewhere_or_in_the_clear(url: str, bond: str, why: type, tmp_path: Path) -> None:
    """Another host or port than the bond names, none named, or plain http: the server sees nothing."""
    spy = Spy(httpx.Response(200, json={}))
    bound = {"SITEWARD_IT_URL": bond} if bond else {}
    assert opened(url, spy, rig(tmp_path), **bound) is why
    assert spy.seen == 0


def test_13_no_redirect_to_another_origin_is_followed(tmp_path: Path) -> None:
    """The first answer is the last."""
    spy = Spy(httpx.Response(307, headers={"location": "https://evil.example/api/auth/login"}))
    assert opened("https://stats.example.org", spy, rig(tmp_path), SITEWARD_IT_URL="https://stats.example.org")
    assert spy.seen <= 2


def test_13_a_dotenv_is_refused_under_ci_and_names_no_command(tmp_path: Path) -> None:
    """What a branch brings along chooses neither credentials nor commands."""
    path = tmp_path / ".env"
    path.write_text("SITEWARD_IT_PASSWORD=x\n")
    path.chmod(0o600)
    assert dotenv(path, {}) == {"SITEWARD_IT_PASSWORD": "x"}
    with pytest.raises(InsecureError):
        dotenv(path, {"CI": "true"})
    path.write_text("SITEWARD_IT_PASSWORD_COMMAND=id\n")
    with pytest.raises(InsecureError):
        dotenv(path, {})


# 14. Umami's own traps.


def test_14_owning_satisfies_a_weaker_wish_and_is_reported(tmp_path: Path) -> None:
    """Petra owns the lab: a wish for less there is no step, and is told."""
    server = fake()
    lab = next(website.id for website in server.state.websites.values() if website.domain == LAB)
    doc = document(users={"petra": {}}, grants=[ADMINS, view("carla"), edit("dora"), view("petra", "lab")])
    doc["sites"] = {"lab": {"domain": LAB, "on": {"it": lab}}}
    found = part(Small(tmp_path, server, doc).plan())
    assert found.steps == ()
    assert "undeclarable-role" in {diagnostic.code for diagnostic in found.diagnostics}


def test_14_owning_cannot_be_declared(tmp_path: Path) -> None:
    """Nobody is made an owner by a file."""
    doc = document(grants=[{"to": "carla", "role": "umami:owner", "sites": SHOP}])
    path = tmp_path / "access.yaml"
    path.write_text(json.dumps(doc))
    report = validate(path)
    assert [diagnostic.code for diagnostic in report.diagnostics if diagnostic.blocks] == ["role-not-on-platform"]


def test_14_new_accounts_are_view_only(tmp_path: Path) -> None:
    """Not `user`, which could make sites and teams of its own."""
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view("carla"), edit("dora"), edit("eva")])
    small.apply(made(small))
    assert role(small.fake, "eva") == "view-only"


def test_14_user_is_left_alone_unless_granted_or_over(tmp_path: Path) -> None:
    """An existing `user` yields no step; `member` gives it, suspension takes it."""
    small = rig(tmp_path)
    small.fake.state.names["carla"].role = "user"
    assert made(small).instances[0].steps == ()
    small.declare(document(grants=[ADMINS, view("carla"), edit("dora"), {"to": "dora", "role": "member", "on": "it"}]))
    small.apply(made(small))
    assert role(small.fake, "dora") == "user"
    small.declare(document(users={"carla": {"state": "suspended"}}, grants=[ADMINS, edit("dora")]))
    small.apply(made(small))
    assert role(small.fake, "carla") == "view-only"


def test_14_a_site_that_cannot_be_moved_is_a_blocked_step_with_the_ways(tmp_path: Path) -> None:
    """A grant on a site of somebody else names what its owner or an admin can do by hand."""
    server = fake()
    lab = next(website.id for website in server.state.websites.values() if website.domain == LAB)
    doc = document(grants=[ADMINS, view("carla"), edit("dora"), view("dora", "lab")])
    doc["sites"] = {"lab": {"domain": LAB, "on": {"it": lab}}}
    small = Small(tmp_path, server, doc)
    blocked = step(made(small), "dora", f"{LAB}#{lab}")
    assert blocked.blocked
    said = next(diagnostic for diagnostic in blocked.diagnostics if diagnostic.blocks)
    assert said.hint
    assert small.fake.writes == 0
