"""A row in error gives nothing and takes nothing; everybody else's lines, ends and suspensions go on."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rig import NOW, Rig, part
from siteward import platforms
from siteward.access.report import exit_code
from siteward.platforms.fakery import Fake, World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siteward.access.report import Report

PEOPLE = ("anna", "ben", "carla", "dora")
SHOP, BLOG = "shop.example.org", "blog.example.org"
PLATFORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "umami": ("3.2", {"self": "siteward", "layout": "per-site", "accept_blind": ["board-links"]}),
    "matomo": ("5.3", {"self": "root"}),
    "piwik-pro": ("current", {"self": "siteward@example.org"}),
    "plausible": (
        "enterprise",
        {
            "self": "siteward@example.org",
            "accept_blind": ["team-members", "shared-links"],
            "team_members": {"olga@example.org": "owner"},
        },
    ),
}


def document(platform: str) -> dict[str, Any]:
    """Four people on two sites: anna and ben by a group, carla until a date, dora by herself."""
    return {
        "version": 1,
        "instances": {"it": {"platform": platform, "url": "http://127.0.0.1:1"} | PLATFORMS[platform][1]},
        "users": {name: {"email": f"{name}@example.org"} for name in PEOPLE},
        "groups": {"team": ["anna", "ben"]},
        "sites": {"shop": {"domain": SHOP, "tags": ["prod"]}, "blog": {"domain": BLOG}},
        "policy": {"admins": {"min": 1}, "limits": {"removals": {"percent": 100}, "revocations": {"percent": 100}}},
        "grants": [
            {"to": "team", "role": "view", "sites": "shop"},
            {"to": "carla", "role": "view", "sites": "shop", "until": "2026-12-24"},
            {"to": "dora", "role": "view", "sites": ["shop", "blog"]},
        ],
    }


ROLES = {"umami": "team-view-only", "matomo": "view", "piwik-pro": "view", "plausible": "viewer"}
BY_EMAIL = {"piwik-pro", "plausible"}


def world(platform: str, *, shop: str = SHOP) -> World:
    """Return the world in which all of that is live already."""
    emails = {name: f"{name}@example.org" for name in PEOPLE}
    logins = emails if platform in BY_EMAIL else {name: name for name in PEOPLE}
    grants = [(name, shop) for name in PEOPLE] + [("dora", BLOG)]
    accounts = tuple(WorldAccount(login=logins[name], email=emails[name]) for name in PEOPLE)
    if platform == "piwik-pro":
        accounts = (WorldAccount(login="siteward@example.org", role="owner"), *accounts)
    if platform == "plausible":
        accounts = (WorldAccount(login="olga@example.org", role="owner"),)
    more: dict[str, object] = {"self": "siteward@example.org", "throttles": False} if platform == "piwik-pro" else {}
    return World(
        accounts=accounts,
        sites=(WorldSite(name=shop, domain=shop), WorldSite(name=BLOG, domain=BLOG)),
        grants=tuple(WorldGrant(account=logins[name], site=site, role=ROLES[platform]) for name, site in grants),
        more={"limits": False} if platform == "plausible" else more,
    )


def fake_of(platform: str, start: World) -> Fake:
    """Return a sandbox of a platform that holds a world."""
    fake: Fake = platforms.fake(platform).of(start, PLATFORMS[platform][0], clock=lambda: NOW)
    return fake


def rig_of(folder: Path, platform: str) -> Rig:
    """Return a rig on which the file was applied once, so that its journal knows everybody."""
    rig = Rig(folder, fake_of(platform, world(platform)), document(platform))
    report = rig.plan()
    assert part(report).steps == (), [str(step.change.key) for step in part(report).steps]
    assert report.plan is not None
    rig.apply(report.plan)
    return rig


def moves(report: Report) -> set[tuple[str, ...]]:
    """Return the keys of all steps that may be done, without kind."""
    return {(step.change.key[2].removesuffix("@example.org"), *step.change.key[3:]) for step in part(report).runnable}


def _without(path: str) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        del data["grants"][int(path)]

    return edit


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        node = data
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return edit


ERRORS: dict[str, Callable[[dict[str, Any]], None]] = {
    "an unknown person in the line": _set("grants", 0, "to", to=["team", "xavier"]),
    "the person misspelt": _set("grants", 0, "to", to="taem"),
    "a site that is nowhere": _set("grants", 0, "sites", to="shup.example.org"),
    "one site of two that is nowhere": _set("grants", 0, "sites", to=["shop", "shup.example.org"]),
    "a role that does not exist": _set("grants", 0, "role", to="veiw"),
    "a wrong type": _set("grants", 0, "role", to=5),
    "a line that is no line": _set("grants", 0, to="team"),
    "an unknown key in the line": _set("grants", 0, "untill", to="2027-01-01"),
    "a date that is none": _set("grants", 0, "until", to="soon"),
    "an unknown member of the group": _set("groups", "team", to=["ana", "ben"]),
    "a member that is no name": _set("groups", "team", to=["ben", 5]),
    "a group that is no group": _set("groups", "team", to=5),
    "a group that holds itself": _set("groups", "team", to=["anna", "team"]),
    "a user row that is no row": _set("users", "anna", to=5),
    "an e-mail that is none": _set("users", "anna", "email", to=5),
    "an unknown key of a user": _set("users", "anna", "emial", to="x"),
    "two users of one address": _set("users", "ben", "email", to="anna@example.org"),
    "a site row in error": _set("sites", "shop", "domain", to=5),
    "an exclusion that is nowhere": _set("grants", 0, "sites", to=["*", "!shup.example.org"]),
    "a tag of a site in error": lambda data: (
        _set("grants", 0, "sites", to="tag:prod")(data),
        _set("sites", "shop", "tags", to=5)(data),
    )[0],
    "a rule that the line breaks": _set(
        "policy", "rules", to=[{"id": "no-shop", "match": {"user": "a*", "site": "shop"}, "require": ["ticket"]}]
    ),
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("error", ERRORS)
def test_a_row_in_error_takes_nothing_from_anybody_it_names(error: str, platform: str, tmp_path: Path) -> None:
    """Nobody of the group is revoked, and nobody gains; the error is in report and exit code."""
    rig = rig_of(tmp_path, platform)
    data = document(platform)
    ERRORS[error](data)
    rig.declare(data)
    report = rig.plan()
    assert [name for name, *_ in moves(report) if name in {"anna", "ben"}] == []
    assert moves(report) == set()
    assert exit_code(report) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("error", ERRORS)
def test_the_lines_and_ends_of_others_go_on_beside_a_row_in_error(error: str, platform: str, tmp_path: Path) -> None:
    """carla's date ends, dora gains on the blog's side; both are applied, and the exit stays 1."""
    rig = rig_of(tmp_path, platform)
    data = document(platform)
    ERRORS[error](data)
    data["grants"].append({"to": "carla", "role": "view", "sites": BLOG})
    rig.declare(data)
    later = NOW + timedelta(days=60)
    report = rig.plan(as_of=later)
    assert ("carla", "site", SHOP) in moves(report) or error in DOUBTS_ABOUT_SHOP
    assert ("carla", "site", BLOG) in moves(report)
    assert not {name for name, *_ in moves(report)} & {"anna", "ben"}


DOUBTS_ABOUT_SHOP = {"a site row in error", "a tag of a site in error"}
"""Here carla's own line cannot be resolved either: which site her end is about is not known."""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_somebody_whom_no_row_in_error_names_is_taken_from(platform: str, tmp_path: Path) -> None:
    """dora's line is taken out beside an error about anna: dora loses, anna does not."""
    rig = rig_of(tmp_path, platform)
    data = document(platform)
    data["users"]["anna"]["emial"] = "x"
    del data["grants"][2]
    rig.declare(data)
    report = rig.plan()
    assert {name for name, *_ in moves(report)} == {"dora"}
    assert report.plan is not None
    done = rig.apply(report.plan)
    assert {outcome.status for outcome in done.outcomes} == {"done"}
    left = {
        grant.subject.name.removesuffix("@example.org") for grant in rig.access().grants() if grant.scope.name == SHOP
    }
    assert {"anna", "ben", "carla"} <= left


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_renamed_site_takes_nothing(platform: str, tmp_path: Path) -> None:
    """The live site has another name than yesterday: nobody on it is revoked, and the line is told."""
    rig = rig_of(tmp_path, platform)
    later = Rig(tmp_path, fake_of(platform, world(platform, shop="store.example.org")), document(platform))
    assert later.journals == rig.journals
    report = later.plan()
    assert moves(report) == set()
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (_set("instances", "it", "layuot", to="x"), "unknown-key"),
        (_set("polcy", to={}), "unknown-key"),
        (_set("policy", "admins", to=5), "wrong-type"),
        (_set("version", to=7), "unknown-value"),
    ],
)
def test_what_is_wrong_outside_rows_stops_everything(
    edit: Callable[[dict[str, Any]], None], code: str, tmp_path: Path
) -> None:
    """Nothing can be planned by a file whose instances, policy, version or sections are not what they seem."""
    from siteward.access.report import Report
    from siteward.reconcile.project import open_project

    rig = rig_of(tmp_path, "matomo")
    data = deepcopy(document("matomo"))
    edit(data)
    import json

    (rig.folder / "access.yaml").write_text(json.dumps(data), encoding="utf-8")
    opened = open_project(rig.folder / "access.yaml", "plan")
    assert isinstance(opened, Report)
    assert code in {diagnostic.code for diagnostic in opened.diagnostics}
