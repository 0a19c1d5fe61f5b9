"""Before the first admin is unmade, who is admin is read again: others may have changed it while the run wrote."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from chaos.facts import admins as admins_of
from rig import NOW, Rig, made, outcomes
from siteward import platforms
from siteward.access.plan import Plan
from siteward.access.policy import LIMIT_NAMES
from siteward.access.report import Report
from siteward.platforms.fakery import World, WorldAccount, WorldSite
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.entries import Result
from siteward.reconcile.journal.journal import Journal

TOPS = {"umami": "admin", "matomo": "superuser", "piwik-pro": "owner"}
OWN = {"umami": "siteward", "matomo": "root", "piwik-pro": "siteward@example.org"}


@dataclass
class Meanwhile(httpx.BaseTransport):
    """A way to a server on which somebody makes or unmakes an admin once a step is journalled as done."""

    rig: Rig
    login: str
    top: bool = False
    struck: bool = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = reading.path_of(self.rig.journals.folder, "it")
        if not self.struck and path.exists() and b'":"done"' in path.read_bytes():
            self.struck = True
            _set_admin(self.rig.fake, self.login, top=self.top)
        return self.rig.axe._inner.handle_request(request)


def _set_admin(fake: Any, login: str, *, top: bool) -> None:
    match fake.platform:
        case "umami":
            fake.state.names[login].role = "admin" if top else "user"
        case "matomo":
            fake.state.user(login).superuser = top
        case _:
            fake.state.named(login).role = "OWNER" if top else "USER"


def _login(platform: str, name: str) -> str:
    return f"{name}@example.org" if platforms.load(platform).widest.login == "email" else name


def _planned(
    folder: Path, platform: str, dan: Mapping[str, Any], tops: tuple[str, ...] = ("ana", "cleo")
) -> tuple[Rig, Plan]:
    """Return a rig and its plan: ana and ben are admins, `tops` shall be, and the policy asks for two.

    `dan` is what the file says of one more user, who gets a role on a site unless he is absent.
    """
    logins = {name: _login(platform, name) for name in ("ana", "ben", "cleo", "dan")}
    own = OWN[platform]
    admins = {logins["ana"], logins["ben"], own}
    here = () if platform == "matomo" else (own,)  # Matomo has its first superuser anyway
    world = World(
        accounts=tuple(
            WorldAccount(
                login=login,
                email=f"{login.partition('@')[0]}@example.org",
                role=TOPS[platform] if login in admins else None,
            )
            for login in (*here, *logins.values())
        ),
        sites=(WorldSite(name="shop.example.org", domain="shop.example.org"),),
        more={"self": own, "throttles": False} if platform == "piwik-pro" else {},
    )
    fake = platforms.fake(platform).of(world, platforms.fake(platform).releases[0], clock=lambda: NOW)
    layout = {"layout": "per-site"} if platform == "umami" else {}
    document = {
        "version": 1,
        "instances": {"it": {"platform": platform, "url": "http://127.0.0.1:1", "self": own, **layout}},
        "users": {**{name: {"email": f"{name}@example.org"} for name in logins}, "dan": dan},
        "grants": [
            {"to": list(tops), "role": "admin", "on": "it"},
            {"to": "ana" if "state" in dan else "dan", "role": "view", "sites": "shop.example.org"},
        ],
        "policy": {
            "admins": {"min": 2},
            "limits": {name: {"count": 100, "percent": 100} for name in LIMIT_NAMES},
        },
    }
    rig = Rig(folder, fake, document)
    rig.instance = replace(rig.instance, env={**rig.instance.env, "SITEWARD_IT_SELF": own}, self_account=own)
    return rig, made(rig)


def _applied(folder: Path, platform: str, unmade: str | None) -> tuple[Report, frozenset[str]]:
    """Apply while somebody unmakes an admin, or nobody; return the report, and who is admin then."""
    rig, reviewed = _planned(folder, platform, {"email": "dan@example.org"})
    if unmade:
        _under(rig, Meanwhile(rig, _login(platform, unmade)))
    report = rig.apply(reviewed)
    return report, frozenset(login.partition("@")[0] for login in admins_of(rig.fake))


def _under(rig: Rig, meanwhile: Meanwhile) -> None:
    rig.instance = replace(rig.instance, link=replace(rig.instance.link, transport=meanwhile))


@pytest.mark.parametrize("platform", TOPS)
@pytest.mark.parametrize("unmade", ["ana", "cleo"])
def test_an_admin_unmade_meanwhile_is_counted_before_another_is_unmade(
    unmade: str, platform: str, tmp_path: Path
) -> None:
    """Whether it is one of before, or the one that this run has just made."""
    report, left = _applied(tmp_path, platform, unmade)
    (outcome,) = (outcome for outcome in report.outcomes if outcome.step.change.key[2:3] == (_login(platform, "ben"),))
    assert outcome.status in {"refused", "skipped"}
    assert outcome.message
    assert "ben" in left
    assert len(left & {"ana", "ben", "cleo"}) == 2


@pytest.mark.parametrize("platform", TOPS)
def test_where_nobody_interferes_all_is_done(platform: str, tmp_path: Path) -> None:
    """Reading again changes nothing about a run that nobody disturbs."""
    report, left = _applied(tmp_path, platform, None)
    assert set(outcomes(report).values()) == {"done"}
    assert left & {"ana", "ben", "cleo"} == {"ana", "cleo"}


@pytest.mark.parametrize("platform", TOPS)
def test_every_step_has_an_outcome_where_the_disk_is_full(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one that reading again settles, since somebody else was there first, and that cannot be journalled."""
    rig, reviewed = _planned(tmp_path, platform, {"email": "dan@example.org"})
    steps = {step.change.key[2]: step.id for part in reviewed.instances for step in part.steps}
    bens = steps[_login(platform, "ben")]
    _under(rig, Meanwhile(rig, _login(platform, "ben")))
    record = Journal.record

    def fill(journal: Journal, results: Sequence[Result]) -> None:
        if bens in {result.step for result in results}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        record(journal, results)

    monkeypatch.setattr(Journal, "record", fill)
    report = rig.apply(reviewed)
    given = {outcome.step.id: outcome.status for outcome in report.outcomes}
    assert given.keys() == set(steps.values())
    assert given[bens] in {"already", "refused"}
    assert any(told.code == "journal-not-written" for told in report.diagnostics)


@pytest.mark.parametrize("platform", TOPS)
def test_an_account_that_became_admin_meanwhile_is_not_deleted(platform: str, tmp_path: Path) -> None:
    """What was reviewed is the deletion of somebody who is no admin."""
    rig, reviewed = _planned(
        tmp_path, platform, {"email": "dan@example.org", "state": "absent"}, ("ana", "ben", "cleo")
    )
    login = _login(platform, "dan")
    _under(rig, Meanwhile(rig, login, top=True))
    report = rig.apply(reviewed)
    (outcome,) = (outcome for outcome in report.outcomes if outcome.step.change.key == ("account", login))
    assert outcome.status in {"refused", "skipped"}
    assert outcome.message
    assert login in admins_of(rig.fake)
