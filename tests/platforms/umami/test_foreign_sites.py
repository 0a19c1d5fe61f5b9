"""Sites of other people or of nobody: matched by id alone, and told by name wherever one was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from platforms.umami.at import SHOP, fake_of
from rig import Rig, made, part
from siteward.platforms.fakery import World, WorldAccount, WorldSite

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic

HERS, NOBODYS = "bens.example.org", "legacy.example.org"
WORLD = World(
    accounts=(WorldAccount(login="anna"), WorldAccount(login="ben", role="user")),
    sites=(
        WorldSite(name="Shop", domain=SHOP),
        WorldSite(name="Bens", domain=HERS, owner="ben"),
        WorldSite(name="Legacy", domain=NOBODYS),
    ),
    more={"orphans": [NOBODYS]},
)

BLOCK = {
    "platform": "umami", "url": "http://127.0.0.1:1", "self": "siteward", "layout": "per-site",
    "accept_blind": ["board-links"],
}  # fmt: skip


def _said(folder: Path, written: Any, **more: Any) -> list[Diagnostic]:
    block = BLOCK | more.pop("block", {})
    document = {
        "version": 1,
        "instances": {"it": block},
        "users": {"anna": {}, "ben": {}},
        "policy": {"admins": {"min": 1}},
        "grants": [{"to": "anna", "role": "view", "sites": written}],
        **more,
    }
    report = Rig(folder, fake_of(WORLD), document).plan()
    assert report.plan is not None
    found = (*report.diagnostics, *report.plan.instances[0].diagnostics)
    return [diagnostic for diagnostic in found if diagnostic.code in {"unknown-site", "matches-nothing", "skips-sites"}]


@pytest.mark.parametrize(
    ("written", "whose"), [(HERS, "ben"), ("Bens", "ben"), (NOBODYS, "nobody"), ("legacy", "nobody")]
)
def test_a_name_says_whose_the_site_is(written: str, whose: str, tmp_path: Path) -> None:
    """Not "no site is called": it is there, and how to mean it is said."""
    (told,) = _said(tmp_path, written)
    assert told.code == "unknown-site"
    assert f"(belongs to {whose}), matched by id alone" in told.message
    assert "with its id" in (told.hint or "")


def test_a_declared_site_says_it_too(tmp_path: Path) -> None:
    """By its handle, whose domain is somebody else's site."""
    (told,) = _said(tmp_path, "blog", sites={"blog": {"domain": HERS}})
    assert "belongs to ben" in told.message


def test_a_pattern_says_how_many_it_skipped_and_why(tmp_path: Path) -> None:
    """A note, since the pattern does what it may."""
    (told,) = _said(tmp_path, "*.example.org")
    assert told.code == "skips-sites"
    assert not told.blocks
    assert "skips 2 sites: " in told.message
    assert "(belongs to ben)" in told.message
    assert "(belongs to nobody)" in told.message


def test_a_pattern_that_matches_nothing_else_says_it_as_well(tmp_path: Path) -> None:
    """It would seem to be a typo otherwise."""
    (told,) = _said(tmp_path, "bens.*")
    assert told.code == "matches-nothing"
    assert "(belongs to ben)" in told.message


@pytest.mark.parametrize(
    ("sites", "block"),
    [(["*.example.org", f"!{HERS}", f"!{NOBODYS}"], {}), (["*.example.org"], {"manages": [SHOP]})],
)
def test_what_is_left_out_on_purpose_is_not_told(sites: list[str], block: dict[str, Any], tmp_path: Path) -> None:
    """Neither by the grant nor by `manages`."""
    assert _said(tmp_path, sites, block=block) == []


def test_a_site_that_does_not_exist_is_unknown_still(tmp_path: Path) -> None:
    """Nothing bears that name."""
    (told,) = _said(tmp_path, "typo.example.org")
    assert told.message == "no site of it is called `typo.example.org`"


def test_a_pattern_that_matches_nothing_holds_back_no_more_after_a_run_that_left_all_as_it_was(tmp_path: Path) -> None:
    """Two plans judge one world alike: the sites of others were no sites of the pattern before the run either."""
    world = World(
        accounts=(WorldAccount(login="anna", role="admin"), WorldAccount(login="ben", role="user")),
        sites=(WorldSite(name="Bens", domain=HERS, owner="ben"),),
    )
    rig = Rig(
        tmp_path,
        fake_of(world),
        {
            "version": 1,
            "instances": {"it": BLOCK | {"accept_blind": ["board-links", "api-keys"]}},
            "users": {"anna": {}, "carla": {}},
            "policy": {"admins": {"min": 1}, "limits": {"revocations": {"percent": 100}}},
            "grants": [{"to": "carla", "role": "admin", "on": "it"}, {"to": "anna", "role": "view", "sites": "*"}],
        },
    )
    first = rig.plan()
    assert ("grant", "account", "anna", "instance", "") in [step.change.key for step in part(first).steps]
    rig.apply(made(rig), only=lambda _instance, step: step.change.key[1] == "carla")
    then = part(rig.plan())
    assert then.held_back == ()
    assert ("grant", "account", "anna", "instance", "") in [step.change.key for step in then.steps]
