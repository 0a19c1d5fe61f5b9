"""The whole way, with Plausible at its end: waiting for people, asking them again, phases of a role, and the laws."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platforms.plausible.at import ANNA, BEN, CARLA, SHOP, needs_postgres, world
from platforms.plausible.worlds import SETTINGS, worlds
from rig import NOW, Rig
from siteward import platforms
from siteward.access.report import Report, exit_code
from siteward.platforms.fakery import CannotStandInError, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.plausible.fake import FAKE, PlausibleFake
from siteward.platforms.plausible.platform import PLATFORM
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.plan import Run, plan
from siteward.render import render
from spine.wishes import wishes

RELEASES = ("cloud", "ce-3")


@dataclass
class Time:
    """The stand-in's clock, moved by the test."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


def document(grants: list[dict[str, Any]], users: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    known: Mapping[str, Any] = {name: {"email": f"{name}@example.org"} for name in ("anna", "ben", "carla")}
    instance = {
        "platform": "plausible",
        "url": "http://127.0.0.1:1",
        "self": "siteward@example.org",
        "accept_blind": ["team-members", "shared-links"],
        "team_members": {"olga@example.org": "owner"},
        **more,
    }
    limits = {limit: {"count": 99, "percent": 100} for limit in ("removals", "revocations", "expiries", "mails")}
    policy = {"timezone": "UTC", "limits": limits}
    return {"version": 1, "instances": {"it": instance}, "users": users or known, "grants": grants, "policy": policy}


@dataclass
class Scene:
    """A rig, its clock, and its stand-in."""

    rig: Rig
    time: Time
    fake: PlausibleFake
    said: list[Report] = field(default_factory=list)

    def plan(self, as_of: datetime | None = None) -> Report:
        """Plan for now, or for a moment that a person chose."""
        allowance = Allowance(accept={}, allow_delete=False, passwords=self.rig.passwords)
        run = Run(created=NOW, as_of=as_of or self.time.at, as_of_given=as_of is not None, allowance=allowance)
        return plan(self.rig.project, [self.rig.instance], self.rig.journals, run)

    def apply(self, as_of: datetime | None = None) -> Report:
        reviewed = self.plan(as_of).plan
        assert reviewed is not None
        options: dict[str, Any] = {"as_of": as_of} if as_of else {}
        report = self.rig.apply(reviewed, **options)
        self.said.append(report)
        return report

    def shown(self) -> list[str]:
        site = self.fake.state.site(SHOP)
        assert site is not None
        return sorted(f"{shown.email} {shown.role} {shown.status}" for shown in self.fake.state.shown(site))

    def steps(self, as_of: datetime | None = None) -> list[str]:
        plan = self.plan(as_of).plan
        assert plan is not None
        return [step.change.key[2] for part in plan.instances for step in part.steps]

    def codes(self) -> set[str]:
        plan = self.plan().plan
        assert plan is not None
        return {diagnostic.code for part in plan.instances for step in part.steps for diagnostic in step.diagnostics}


@contextmanager
def scene(
    grants: list[dict[str, Any]], release: str = "cloud", start: World | None = None, **more: Any
) -> Iterator[Scene]:
    if release == "ce-3":
        needs_postgres()
    time = Time()
    first = start or world({"limits": False})
    fake = FAKE.of(first, release, clock=time.now)
    with tempfile.TemporaryDirectory() as folder:
        yield Scene(Rig(Path(folder), fake, document(grants, **more)), time, fake)


def view(*people: str) -> list[dict[str, Any]]:
    return [{"to": list(people), "role": "view", "sites": SHOP}]


@pytest.mark.parametrize("release", RELEASES)
def test_an_invitation_that_waits_is_no_difference(release: str) -> None:
    """It counts as converging: told, and the exit is 0."""
    with scene(view("anna", "ben", "carla"), release) as at:
        assert exit_code(at.apply()) == 0
        assert f"{CARLA} viewer invited" in at.shown()
        report = at.plan()
        assert report.plan is not None
        assert not report.plan.instances[0].steps
        assert len(report.plan.instances[0].waiting) == 2
        assert exit_code(report) == 0


def test_what_can_never_be_seen_counts_until_somebody_lives_with_it() -> None:
    """Exit 4, and the name of the blind spot, until `accept_blind` says it."""
    with scene(view("anna", "ben"), accept_blind=[]) as at:
        assert exit_code(at.plan()) == 4
    with scene(view("anna", "ben")) as at:
        assert exit_code(at.plan()) == 0


@pytest.mark.parametrize("release", RELEASES)
def test_nobody_is_mailed_for_ever(release: str) -> None:
    """A scheduled apply, invitations that end: two mails, then a finding, and never a third."""
    with scene(view("anna", "ben", "carla"), release) as at:
        at.apply()
        for hours in (30, 73, 120, 147, 250, 400):
            at.time.at = NOW + timedelta(hours=hours)
            at.fake.expire(CARLA)
            at.apply()
        assert at.fake.state.mails.count(CARLA) == 2
        assert "did-not-accept" in at.codes()
        assert exit_code(at.plan()) == 3


def test_who_accepted_begins_anew() -> None:
    """Invited, accepted, taken away by the file, invited again: that is not somebody who does not answer."""
    with scene(view("anna", "ben", "carla"), invitations={"max_sends": 1}) as at:
        for _ in range(3):
            at.rig.declare(document(view("anna", "ben", "carla"), invitations={"max_sends": 1}))
            assert exit_code(at.apply()) == 0
            at.fake.accept(CARLA)
            at.apply()
            at.rig.declare(document(view("anna", "ben"), invitations={"max_sends": 1}))
            assert exit_code(at.apply()) == 0
        assert at.fake.state.mails.count(CARLA) == 6


@pytest.mark.parametrize("release", RELEASES)
def test_a_role_has_phases_and_only_the_moment_moves(release: str) -> None:
    """Editor until one date, viewer after it, gone after another: all from one file."""
    grants = [
        {"to": "anna", "role": "edit", "sites": SHOP, "until": "2026-12-31"},
        {"to": "anna", "role": "view", "sites": SHOP, "from": "2027-01-01", "until": "2027-03-31"},
        *view("ben"),
    ]
    with scene(grants, release, role_change="reinvite") as at:
        found = []
        for moment in (NOW, datetime(2027, 1, 15, tzinfo=UTC), datetime(2027, 4, 15, tzinfo=UTC)):
            at.apply(moment)
            at.fake.accept(ANNA)
            found.append([entry for entry in at.shown() if entry.startswith(ANNA)])
            assert at.steps(moment) == []
        assert found == [[f"{ANNA} editor accepted"], [f"{ANNA} viewer accepted"], []]


def test_a_role_that_only_a_person_can_change_stays_and_is_told() -> None:
    """The default: blocked with the way to do it; everything else goes on."""
    grants = [{"to": "anna", "role": "edit", "sites": SHOP}, *view("ben", "carla")]
    with scene(grants) as at:
        report = at.apply()
        assert exit_code(report) == 3
        assert f"{ANNA} viewer accepted" in at.shown()
        assert f"{CARLA} viewer invited" in at.shown()
        assert at.codes() == {"role-change-manual", "existing-account"}  # as long as it stays open, nobody knows her


def test_a_put_that_keeps_the_old_role_is_never_reported_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the answer says, reading decides."""
    with scene(view("anna", "ben", "carla")) as at:
        real = at.fake.state.__class__.invite

        def another(state: Any, site: Any, email: str, _role: str, inviter: int) -> None:
            real(state, site, email, "editor", inviter)

        monkeypatch.setattr(at.fake.state.__class__, "invite", another)
        report = at.apply()
        assert {outcome.status for outcome in report.outcomes} == {"failed"}
        assert exit_code(report) == 5


def test_a_deletion_that_does_nothing_is_never_reported_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """`deleted: true`, and the guest is still there."""
    with scene(view("ben")) as at:
        monkeypatch.setattr(at.fake.state.__class__, "remove", lambda *_: False)
        report = at.apply()
        assert {outcome.status for outcome in report.outcomes} == {"failed"}


def test_the_team_is_shown_as_unmanaged_and_never_touched() -> None:
    """Community Edition: members stand there with their role, and no policy takes it."""
    with scene(view("anna", "ben"), "ce-3", unmanaged="revoke") as at:
        report = at.plan()
        assert report.plan is not None
        part = report.plan.instances[0]
        assert {unmanaged_account.name for unmanaged_account in part.unmanaged} == {
            "owner@example.org",
            "olga@example.org",
        }
        assert not part.steps
        assert not part.blind_spots


def test_a_declared_member_needs_no_guest_grant_and_keeps_the_role() -> None:
    """Covered by the role in the team: told, and no step."""
    users = {"olga": {"email": "olga@example.org"}, "ben": {"email": BEN}, "anna": {"email": ANNA}}
    with scene(view("anna", "ben"), "ce-3") as at:
        at.rig.declare(document(view("anna", "ben", "olga"), users))
        assert at.steps() == []
        report = at.plan()
        assert report.plan is not None
        assert "undeclarable-role" in {diagnostic.code for diagnostic in report.plan.instances[0].diagnostics}


def test_a_plan_tells_how_long_the_limits_make_it() -> None:
    """Sixty in ten seconds: what does not fit takes longer, and the plan says so."""
    people = [f"p{n}" for n in range(90)]
    users = {person: {"email": f"{person}@example.org"} for person in people}
    with scene(view("anna")) as at:
        declared = document(view(*people), users)
        declared["policy"]["limits"]["mails"] = {
            "count": 99
        }  # a plan that spends more than it may takes no time at all
        at.rig.declare(declared)
        report = at.plan()
        assert report.plan is not None
        assert report.plan.instances[0].seconds >= 10


@pytest.mark.parametrize("release", RELEASES)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 5)
def test_the_laws_hold_while_people_accept_and_invitations_end(release: str, data: st.DataObject) -> None:
    """Between two runs some accept and some invitations end; a plan still changes nothing, and apply converges."""
    start = data.draw(worlds(release))
    wish = data.draw(
        wishes(
            "plausible",
            platforms.load("plausible").widest,
            start,
            {**SETTINGS, "invitations": {"max_sends": 9, "resend_after": "1h"}},
        )
    )
    time = Time()
    fake = FAKE.of(start, release, clock=time.now)
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), fake, wish)
        for _ in range(3):
            writes = fake.writes
            reviewed = rig.plan().plan
            assert reviewed is not None
            assert fake.writes == writes
            report = rig.apply(reviewed)
            assert {outcome.status for outcome in report.outcomes} <= {"done", "already", "blocked", "skipped"}
            left = {outcome.step.change.key for outcome in report.outcomes if outcome.status in {"blocked", "skipped"}}
            again = rig.plan().plan
            assert again is not None
            assert {step.change.key for part in again.instances for step in part.steps} <= left
            time.at += timedelta(hours=data.draw(st.sampled_from((1, 80))))
            for email in sorted({invitation.email for invitation in fake.state.invitations.values()}):
                if data.draw(st.booleans()):
                    fake.accept(email)


def test_the_table_names_its_releases() -> None:
    """What the README lists is what has a stand-in."""
    assert PLATFORM.releases == FAKE.releases


@pytest.mark.parametrize("accepted", [[], ["team-members", "shared-links"]])
def test_every_plan_says_that_it_knows_the_guest_layer_only(accepted: list[str]) -> None:
    """Also where the owners live with it: "in sync" is never more than it says."""
    with scene(view("anna", "ben"), accept_blind=accepted) as at:
        report = at.plan()
        for form in ("text", "markdown", "html", "json"):
            assert "guest layer only" in render(form, report)


@pytest.mark.parametrize("release", ["cloud", "enterprise"])
def test_a_report_names_the_edition_of_the_sandbox(release: str) -> None:
    """It stands at an address that shows no edition: the report names its own among the possible ones, or the file's."""
    for edition, shown in (("auto", "cloud or enterprise"), (release, release)):
        with scene(view("anna"), release, edition=edition) as at:
            report = at.plan()
            assert report.plan is not None
            assert report.plan.instances[0].edition == f"{shown}, guest layer only"
            for form in ("text", "markdown", "html", "json"):
                assert f"{shown}, guest layer only" in render(form, report)


def test_without_a_postgresql_the_sandbox_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a machine that has none skips the tests that need it."""
    pytest.importorskip("psycopg")
    from siteward.platforms.plausible.fake import cluster

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(cluster, "DEBIAN", tmp_path)
    monkeypatch.setattr(cluster, "cluster", cluster.cluster.__wrapped__)
    with pytest.raises(CannotStandInError, match="apt-get install postgresql"):
        cluster.cluster()


def test_a_port_that_another_program_took_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can keep one for PostgreSQL, so the next one is tried, and it is not called missing."""
    needs_postgres()
    from siteward.platforms.plausible.fake import cluster

    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as free:
        taken, port = other.getsockname()[1], free.getsockname()[1]
        free.close()
        ports = iter((taken, port))
        monkeypatch.setattr(cluster, "_free_port", lambda: next(ports))
        monkeypatch.setattr(cluster, "cluster", cache(cluster.cluster.__wrapped__))
        made = cluster.cluster()
        made.stop()
    assert made.port == port


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at_write", [0, 1])
def test_a_role_that_was_cut_off_halfway_is_finished(release: str, at_write: int, *, after: bool) -> None:
    """Withdrawn, and the process killed before the new invitation went out: resume sends it."""
    grants = [{"to": "ben", "role": "edit", "sites": SHOP}, *view("anna")]
    with scene(grants, release) as whole:
        assert exit_code(whole.apply()) == 0
        writes = list(whole.rig.axe.wrote)
    with scene(grants, release) as at:
        reviewed = at.plan().plan
        assert reviewed is not None
        report = at.rig.cut_off(reviewed, writes[at_write], after=after)
        assert [outcome.status for outcome in report.outcomes] == ["done"]
        assert f"{BEN} editor invited" in at.shown()
        assert at.steps() == []


@pytest.mark.parametrize("email", ["ana@example.org", "Ana@Example.org"])
def test_the_only_guest_may_be_cut_off_halfway_too(email: str, tmp_path: Path) -> None:
    """Where nobody else is a guest, the moment in between looks as if a reading had lost everybody; it has not."""
    small = World(
        accounts=(WorldAccount(login=email),),
        sites=(WorldSite(name="a.example.org", domain="a.example.org"),),
        grants=(WorldGrant(account=email, site="a.example.org", role="editor", status="invited"),),
        more={"limits": False, "joining": []},
    )
    document = {
        "version": 1,
        "instances": {
            "it": {
                "platform": "plausible",
                "url": "http://127.0.0.1:1",
                "self": "siteward@example.org",
                "role_change": "reinvite",
                "accept_blind": ["team-members", "shared-links"],
            }
        },
        "users": {"ana": {"email": email}},
        "grants": [{"to": "ana", "role": "view", "sites": "a.example.org"}],
    }

    def rig(name: str) -> Rig:
        return Rig(tmp_path / name, FAKE.of(small, "enterprise", clock=lambda: NOW), document)

    whole = rig("whole")
    reviewed = whole.plan().plan
    assert reviewed is not None
    whole.apply(reviewed)
    first, second = whole.axe.wrote
    for at, after in ((first, True), (second, False)):
        killed = rig(f"killed{at}{after}")
        plan = killed.plan().plan
        assert plan is not None
        report = killed.cut_off(plan, at, after=after)
        assert [outcome.status for outcome in report.outcomes] == ["done"], [
            outcome.message for outcome in report.outcomes
        ]
