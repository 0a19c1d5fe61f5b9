"""What a file says about logins, and what it means for a Matomo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platforms.matomo.rig import NOW, SHOP, MatomoRig, world
from siteward.access.model import Access, Account
from siteward.access.policy import Policy
from siteward.access.proposal import manage
from siteward.access.state import Live
from siteward.declaration.load import load
from siteward.declaration.resolve import resolve
from siteward.platforms.fakery import WorldAccount, WorldGrant
from siteward.platforms.matomo.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.declaration.declared import Declaration

HEAD = 'version: 1\ninstances:\n  eu: {platform: matomo, url: "https://matomo.example.org", self: root}\n'


def _declared(folder: Path, text: str) -> Declaration:
    path = folder / "access.yaml"
    path.write_text(f"{HEAD}{text}", encoding="utf-8")
    loaded = load(
        path, settings_of={"matomo": PLATFORM.settings}.get, widest_of={"matomo": PLATFORM.widest}.get,
        platforms=("matomo",),
    )  # fmt: skip
    assert [diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks] == []
    assert loaded.declaration is not None
    return loaded.declaration


def _logins(folder: Path, users: str, *live: str) -> dict[str, str]:
    """Return the account that each declared user of a file is on a Matomo that has the accounts `live`."""
    declaration = _declared(folder, f"users:\n{users}grants: []\n")
    there = Live(access=Access(Account(login, f"{login}@example.org") for login in live), me="root")
    found = resolve(declaration, "eu", PLATFORM.widest, there, as_of=NOW)
    return {user.handle: login for login, user in found.declared_users.items()}


def test_a_login_is_made_as_it_is_written(tmp_path: Path) -> None:
    users = "  anna: {logins: {eu: Anna.Berg}}\n  Größe: {email: g@example.org}\n"
    assert _logins(tmp_path, users) == {"anna": "Anna.Berg", "Größe": "Größe"}
    assert _logins(tmp_path, users, "anna.berg") == {"anna": "anna.berg", "Größe": "Größe"}


@pytest.mark.parametrize("live", [("strasse", "straße"), ("strasse",), ("straße",), ()])
def test_sharp_s_and_two_s_are_two_people(tmp_path: Path, live: tuple[str, ...]) -> None:
    users = "  hans: {logins: {eu: straße}}\n  ida: {logins: {eu: strasse}}\n"
    assert _logins(tmp_path, users, *live) == {"hans": "straße", "ida": "strasse"}


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize("extras", [", extras: [tagmanager_write]", ""])
def test_a_plugin_that_is_switched_off_plans_no_revocation(tmp_path: Path, extras: str, *, is_on: bool) -> None:
    """Neither where the file names the capability nor where it does not speak of any."""
    people = [WorldAccount(login="bb", email="bb@example.org")]
    rig = MatomoRig.of(
        "5.3", world(people, [WorldGrant(account="bb", site=SHOP, role="view", extras=("tagmanager_write",))])
    )
    rig.fake.state.plugins["TagManager"] = is_on
    users = "users:\n  bb: {email: bb@example.org}\n"
    declaration = _declared(tmp_path, f"{users}grants:\n  - {{to: bb, role: view, sites: {SHOP}{extras}}}\n")
    live, traits = rig.read(), rig.probe()
    desired = resolve(declaration, "eu", traits, live, as_of=NOW)
    assert [diagnostic.code for diagnostic in desired.diagnostics if diagnostic.blocks] == []
    assert manage(live, desired, traits, Policy(), None).changes == ()
