"""Before the first admin is unmade, who is admin is read again: others may have changed it while the run wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from chaos.facts import admins as admins_of
from rig import NOW, Rig, made, outcomes
from siteward import platforms
from siteward.access.policy import LIMIT_NAMES
from siteward.access.report import Report
from siteward.platforms.fakery import World, WorldAccount, WorldSite
from siteward.reconcile.journal import journal

TOPS = {"umami": "admin", "matomo": "superuser", "piwik-pro": "owner"}
OWN = {"umami": "siteward", "matomo": "root", "piwik-pro": "siteward@example.org"}


@dataclass
class Meanwhile(httpx.BaseTransport):
    """A way to a server on which somebody unmakes an admin once a step is journalled as done."""

    rig: Rig
    login: str
    struck: bool = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = journal.path_of(self.rig.book.folder, "it")
        if not self.struck and path.exists() and b'"status":"done"' in path.read_bytes():
            self.struck = True
            _unmake(self.rig.fake, self.login)
        return self.rig.axe._inner.handle_request(request)


def _unmake(fake: Any, login: str) -> None:
    match fake.platform:
        case "umami":
            fake.state.names[login].role = "user"
        case "matomo":
            fake.state.user(login).superuser = False
        case _:
            fake.state.named(login).role = "USER"


def _login(platform: str, name: str) -> str:
    return f"{name}@example.org" if platforms.load(platform).widest.login == "email" else name


def _applied(folder: Path, platform: str, unmade: str | None) -> tuple[Report, frozenset[str]]:
    """Make cleo admin instead of ben; ana stays. The policy asks for two admins, and somebody may unmake one meanwhile.

    Return the report, and who is admin then.
    """
    logins = {name: _login(platform, name) for name in ("ana", "ben", "cleo", "dan")}
    own, top = OWN[platform], TOPS[platform]
    admins = [logins["ana"], logins["ben"], *([] if platform == "matomo" else [own])]
    world = World(
        accounts=tuple(
            WorldAccount(
                login=login, email=f"{login.partition('@')[0]}@example.org", role=top if login in admins else None
            )
            for login in (*([] if platform == "matomo" else [own]), *logins.values())
        ),
        sites=(WorldSite(name="shop.example.org", domain="shop.example.org"),),
        more={"self": own, "throttles": False} if platform == "piwik-pro" else {},
    )
    fake = platforms.fake(platform).of(world, platforms.fake(platform).releases[0], clock=lambda: NOW)
    wide = {name: {"count": 100, "percent": 100} for name in LIMIT_NAMES}
    document = {
        "version": 1,
        "instances": {
            "it": {"platform": platform, "url": "http://127.0.0.1:1", "self": own}
            | ({"layout": "per-site"} if platform == "umami" else {})
        },
        "users": {name: {"email": f"{name}@example.org"} for name in logins},
        "grants": [
            {"to": ["ana", "cleo"], "role": "admin", "on": "it"},
            {"to": "dan", "role": "view", "sites": "shop.example.org"},
        ],
        "policy": {"admins": {"min": 2}, "limits": wide},
    }
    rig = Rig(folder, fake, document)
    rig.instance = replace(rig.instance, env={**rig.instance.env, "SITEWARD_IT_SELF": own}, self_account=own)
    reviewed = made(rig)
    if unmade:
        link = replace(rig.instance.link, transport=Meanwhile(rig, logins[unmade]))
        rig.instance = replace(rig.instance, link=link)
    report = rig.apply(reviewed)
    return report, frozenset(login.partition("@")[0] for login in admins_of(fake))


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
