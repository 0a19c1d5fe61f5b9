"""What becomes of a bulk whose answer was lost, the whole way of a file: PHP goes on behind a gateway that gave up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest
from msgspec.structs import replace

from platforms.matomo.rig import BLOG, NOW, SHOP, SITES, STAGING, MatomoRig, given
from rig import Rig, by_key
from siteward.access.model import Account
from siteward.access.report import exit_code
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant
from siteward.platforms.matomo.fake import FAKE

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.wrappers import Request

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key
    from siteward.access.report import Report
    from siteward.platforms.fakery import FaultKind

BEN = WorldAccount(login="ben", email="ben@example.org")
CLEO = WorldAccount(login="cleo", email="cleo@example.org")
GRANT, ADD, INVITE = "UsersManager.setUserAccess", "UsersManager.addUser", "UsersManager.inviteUser"


@dataclass(slots=True)
class On(Fault):
    """A fault that hits the requests in which a method is called, bulks too."""

    called: str = ""

    def strikes(self, request: Request) -> bool:
        if self.called not in unquote_plus(unquote_plus(request.get_data(as_text=True))):
            return False
        self.seen += 1
        return self.seen > self.after and (not self.times or self.seen <= self.after + self.times)


def rig_of(folder: Path, onboarding: str = "password", **users: dict[str, str]) -> Rig:
    """Return a rig whose file gives ben and cleo roles on three sites, and accounts to `users`."""
    world = World(accounts=(BEN, CLEO), sites=SITES, grants=(WorldGrant(account="ben", site=SHOP, role="view"),))
    fake = FAKE.of(world, "5.3", clock=lambda: NOW)
    fake.lateness = 4
    wide = {"count": 1000, "percent": 100}
    people = {name: {"email": f"{name}@example.org"} for name in ("ben", "cleo", *users)}
    sites = [site.domain for site in SITES]
    return Rig(folder, fake, {
        "version": 1,
        "instances": {"it": {"platform": "matomo", "url": "http://127.0.0.1:1", "self": "root", "onboarding": onboarding}},
        "users": people,
        "grants": [{"to": list(people), "sites": sites, "role": "view"}],
        "policy": {
            "admins": {"min": 1},
            "limits": dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), wide),
        },
    })  # fmt: skip


def applied(rig: Rig, kind: FaultKind, called: str, times: int = 1) -> Report:
    plan = rig.plan().plan
    assert plan is not None
    rig.fake.faults.append(On(kind, called=called, times=times))
    return rig.apply(plan)


def sent(rig: Rig) -> int:
    return len([call for call in rig.fake.calls if call.wrote])


@pytest.mark.parametrize(("kind", "times"), [("503", 3), ("cut", 1), ("html", 1), ("late", 1), ("504-after-write", 1)])
def test_grants_are_all_given_whatever_became_of_the_answer(kind: FaultKind, times: int, tmp_path: Path) -> None:
    rig = rig_of(tmp_path)
    report = applied(rig, kind, GRANT, times=times)
    assert {outcome.status for outcome in report.outcomes} == {"done"}
    assert exit_code(report) == 0
    assert not rig.plan().plan.instances[0].steps  # type: ignore[union-attr]
    assert not rig.drift().drift


@pytest.mark.parametrize("onboarding", ["password", "invite"])
def test_accounts_that_come_late_are_waited_for_and_their_grants_go_on(onboarding: str, tmp_path: Path) -> None:
    """No mail goes out twice."""
    rig = rig_of(tmp_path, onboarding, zoe={})
    report = applied(rig, "late", INVITE if onboarding == "invite" else ADD)
    assert {outcome.status for outcome in report.outcomes} == {"done"}
    told = [mail.to for mail in rig.fake.state.mails]  # type: ignore[attr-defined]
    assert len(told) == (2 if onboarding == "invite" else 1)
    assert not rig.drift().drift


@pytest.mark.parametrize("kind", ["503", "cut"])
def test_what_sends_mails_is_never_sent_again(kind: FaultKind, tmp_path: Path) -> None:
    """It stays unknown, what depends on it is skipped, and the others get theirs."""
    rig = rig_of(tmp_path, "invite", zoe={})
    report = applied(rig, kind, INVITE)
    outcomes = by_key(report)
    assert outcomes["account", "zoe"].status == "unknown"
    assert {outcomes["grant", "account", "zoe", "site", site].status for site in (SHOP, BLOG, STAGING)} == {"skipped"}
    assert {outcomes["grant", "account", "cleo", "site", site].status for site in (SHOP, BLOG, STAGING)} == {"done"}
    assert not rig.fake.state.mails  # type: ignore[attr-defined]


def test_a_change_whose_mail_failed_is_done_where_it_shows(tmp_path: Path) -> None:
    """Matomo says no after the row was written; a person is told what to mend."""
    rig = rig_of(tmp_path, zoe={})
    rig.fake.state.mail_fails = True  # type: ignore[attr-defined]
    plan = rig.plan().plan
    assert plan is not None
    outcome = by_key(rig.apply(plan))["account", "zoe"]
    assert outcome.status == "done"
    assert "but reading shows that it took place" in outcome.message
    assert "mail settings" in (outcome.hint or "")


@pytest.mark.parametrize("comes", [True, False])
def test_the_next_plan_reads_first_and_only_the_same_objects_wait(tmp_path: Path, *, comes: bool) -> None:
    """Another person's new role is planned; the invitation is neither planned again before its time nor forgotten."""
    rig = rig_of(tmp_path, "invite", zoe={})
    rig.fake.lateness = 60  # reading goes on for some twenty requests
    applied(rig, "late" if comes else "cut", INVITE)
    rig.declare(
        {**rig.document, "grants": [*rig.document["grants"], {"to": ["ben"], "sites": [SHOP], "role": "manage"}]}
    )
    first = rig.plan()
    assert blocked(first) == {
        ("account", "zoe"): True,
        **dict.fromkeys(zoes(), True),
        ("grant", "account", "ben", "site", SHOP): False,
    }
    assert {diagnostic.code for diagnostic in all_of(first)} >= {"answers-lost", "write-unsettled"}
    assert "unfinished-run" not in {diagnostic.code for diagnostic in all_of(first)}
    assert first.next is None
    assert exit_code(rig.drift()) in {0, 2}
    while comes and rig.fake._late:
        rig.access()
    assert [item for item in rig.drift().drift if item.kind == "changed-since"] == []
    rig.now += timedelta(minutes=0 if comes else 11)
    (told,) = [diagnostic for diagnostic in all_of(rig.plan()) if diagnostic.code == "answers-lost"]
    assert told.message.endswith(
        "1 took place, 0 did not, 0 may still" if comes else "0 took place, 1 did not, 0 may still"
    )
    report = applied(rig, "cut", "no such method")
    assert {outcome.status for outcome in report.outcomes} == {"done"}
    assert not rig.plan().plan.instances[0].steps  # type: ignore[union-attr]
    assert len([mail for mail in rig.fake.state.mails if mail.to == "zoe@example.org"]) == 1  # type: ignore[attr-defined]


def zoes() -> list[Key]:
    return [("grant", "account", "zoe", "site", site) for site in (SHOP, BLOG, STAGING)]


def all_of(report: Report) -> list[Diagnostic]:
    assert report.plan is not None
    (part,) = report.plan.instances
    return [*part.diagnostics, *(diagnostic for step in part.steps for diagnostic in step.diagnostics)]


def blocked(report: Report) -> dict[Key, bool]:
    assert report.plan is not None
    return {step.change.key: step.blocked for step in report.plan.instances[0].steps}


def slow(rig: MatomoRig, seconds: float) -> list[int]:
    """Let every mail cost so many seconds, and return the list of how many accounts each request makes."""
    made: list[int] = []
    now = [0.0]
    plain = rig.proxy.handle_request

    def handle_request(request: Any) -> Any:
        body = unquote_plus(unquote_plus(request.content.decode()))
        count = body.count("UsersManager.addUser")
        made.extend([count] if count else [])
        now[0] += seconds * count
        return plain(request)

    rig.proxy.handle_request = handle_request  # type: ignore[method-assign]
    link = rig.doors.writer._connection.link
    rig.doors.writer._connection = replace(rig.doors.writer._connection, link=replace(link, clock=lambda: now[0]))
    return made


@pytest.mark.parametrize(("seconds", "sizes"), [(1.0, [20, 20]), (2.0, [20, 10, 10]), (4.0, [20, 10, 5, 5])])
def test_slow_mails_make_later_requests_smaller(seconds: float, sizes: list[int]) -> None:
    """An answer of more than half of our time-out halves what the next request carries."""
    rig = MatomoRig.of("5.3", onboarding="password")
    live = rig.read()
    made = slow(rig, seconds)
    people = [given(Account(f"p{at:02}", f"p{at:02}@example.org")) for at in range(40)]
    assert {receipt.status for receipt in rig.write(*people, live=live)} == {"sent"}
    assert made == sizes
