"""Plugins that own access: what sleeps while they are off, and what is beside Matomo's own rows (recordings 23, 26, 27)."""

from __future__ import annotations

import pytest

from platforms.matomo.desk import BLOG, SHOP, STAGING, Desk, given, grant, taken, world
from siteward.access.change import Change
from siteward.platforms.fakery import WorldAccount, WorldGrant

CAPABLE = ["5.3", "4.16", "3.14"]
BB = WorldAccount(login="bb", email="bb@example.org")
MIA = WorldAccount(login="mia", email="mia@example.org")
TAGS = "tagmanager_write"


def _off(release: str) -> Desk:
    """Return a desk at a server on which bb has view with a capability, and whose TagManager is then switched off."""
    grants = [WorldGrant(account="bb", site=SHOP, role="view", extras=(TAGS,)),
              WorldGrant(account="bb", site=BLOG, role="view"), WorldGrant(account="mia", site=SHOP, role="view")]  # fmt: skip
    desk = Desk.of(release, world([BB, MIA], grants))
    desk.fake.state.plugins["TagManager"] = False
    return desk


@pytest.mark.parametrize("release", CAPABLE)
def test_what_sleeps_is_read_and_told(release: str) -> None:
    live = _off(release).read()
    assert live.access[grant("bb", SHOP, "view").key] == grant("bb", SHOP, "view", TAGS)
    (said,) = live.findings
    assert (said.code, said.blocks) == ("capability-asleep", False)
    assert "TagManager" in said.message
    assert "bb" in said.message


@pytest.mark.parametrize("release", CAPABLE)
def test_a_plugin_that_is_off_blocks_its_people_alone(release: str) -> None:
    """And what sleeps is kept: a role written without it would destroy it."""
    desk = _off(release)
    live = desk.read()
    lost = Change(grant("bb", SHOP, "view", TAGS), grant("bb", SHOP, "write"))
    more = Change(grant("bb", BLOG, "view"), grant("bb", BLOG, "view", TAGS))
    fine = (Change(grant("mia", SHOP, "view"), grant("mia", SHOP, "write")), given(grant("bb", STAGING, "write")))
    said = [each for each in desk.review(lost, more, *fine, live=live) if each.blocks]
    assert [(each.code, each.about) for each in said] == [
        ("capability-asleep", lost.key),
        ("capability-asleep", more.key),
    ]
    statuses = {each.key: each.status for each in desk.write(lost, more, *fine, live=live)}
    assert {key for key, status in statuses.items() if status == "failed"} == {lost.key, more.key}
    assert {("bb", 1, "view"), ("bb", 1, TAGS), ("bb", 3, "write")} <= desk.rows("bb")
    desk.fake.state.plugins["TagManager"] = True
    assert desk.read().access[lost.key] == grant("bb", SHOP, "view", TAGS)


def test_taking_all_access_takes_what_sleeps_too() -> None:
    desk = _off("5.3")
    gone = taken(grant("bb", SHOP, "view", TAGS))
    assert desk.codes(gone) == []
    desk.write(gone)
    assert desk.rows("bb") == {("bb", 2, "view")}


def test_a_plugin_that_goes_off_between_two_readings_takes_nothing_away() -> None:
    desk = Desk.of("5.3", world([BB], [WorldGrant(account="bb", site=SHOP, role="view", extras=(TAGS,))]))
    live = desk.read()
    desk.fake.state.plugins["TagManager"] = False
    held = grant("bb", SHOP, "view", TAGS)
    assert desk.look(held.key, live=live) == {held.key: held}
