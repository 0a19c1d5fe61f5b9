"""What a file says about logins, and what it means for a Matomo."""

from __future__ import annotations

from pathlib import Path

import pytest

from platforms.matomo.desk import NOW
from siteward.access.model import Access, Account
from siteward.access.state import Live
from siteward.declaration.load import load
from siteward.declaration.resolve import resolve
from siteward.platforms.matomo.platform import PLATFORM

HEAD = 'version: 1\ninstances:\n  eu: {platform: matomo, url: "https://matomo.example.org", self: root}\n'


def _logins(folder: Path, users: str, *live: str) -> dict[str, str]:
    """Return the account that each declared user of a file is on a Matomo that has the accounts `live`."""
    path = folder / "access.yaml"
    path.write_text(f"{HEAD}users:\n{users}grants: []\n", encoding="utf-8")
    loaded = load(
        path, settings_of={"matomo": PLATFORM.settings}.get, widest_of={"matomo": PLATFORM.widest}.get,
        platforms=("matomo",),
    )  # fmt: skip
    assert [each for each in loaded.diagnostics if each.blocks] == []
    assert loaded.declaration is not None
    there = Live(access=Access(Account(each, f"{each}@example.org") for each in live), me="root")
    found = resolve(loaded.declaration, "eu", PLATFORM.widest, there, as_of=NOW)
    return {each.handle: login for login, each in found.holders.items()}


def test_a_login_is_made_as_it_is_written(tmp_path: Path) -> None:
    users = "  anna: {logins: {eu: Anna.Berg}}\n  Größe: {email: g@example.org}\n"
    assert _logins(tmp_path, users) == {"anna": "Anna.Berg", "Größe": "Größe"}
    assert _logins(tmp_path, users, "anna.berg") == {"anna": "anna.berg", "Größe": "Größe"}


@pytest.mark.parametrize("live", [("strasse", "straße"), ("strasse",), ("straße",), ()])
def test_sharp_s_and_two_s_are_two_people(tmp_path: Path, live: tuple[str, ...]) -> None:
    users = "  hans: {logins: {eu: straße}}\n  ida: {logins: {eu: strasse}}\n"
    assert _logins(tmp_path, users, *live) == {"hans": "straße", "ida": "strasse"}
