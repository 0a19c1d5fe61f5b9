"""A change of every kind of resource, and a clock, for journals that have a line of every kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope, Subject

START = datetime(2027, 1, 10, 9, 0, 0, 120, tzinfo=UTC)
ANN, TEAM = Subject("account", "ann"), Subject("group", "Ünïon")
SITE = Scope("site", "shop.example.org")
CHANGES = {
    "s1": Change(None, Account(name="ann", email="ann@example.org", language="de")),
    "s2": Change(Grant(subject=ANN, scope=SITE, role="view"), Grant(subject=ANN, scope=SITE, role="edit", extras=frozenset({"b", "a"}))),
    "s3": Change(Group(name="Ünïon"), None),
    "s4": Change(None, Member(group="Ünïon", account="ann")),
    "s5": Change(Grant(subject=TEAM, scope=EVERYWHERE, role="admin"), None),
}  # fmt: skip


class Ticks:
    """A clock that goes on by a second and a bit with each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the next moment."""
        self.now += timedelta(seconds=1, microseconds=500_000)
        return self.now
