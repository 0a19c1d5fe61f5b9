"""One journal with a line of every kind, written by calls that never change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject
from siteward.access.plan import Plan
from siteward.access.state import Memory
from siteward.reconcile.journal.entries import Result
from siteward.reconcile.journal.journal import opened

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.reconcile.journal.entries import RunFacts

START = datetime(2027, 1, 10, 9, 0, 0, 120, tzinfo=UTC)
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
ANN, TEAM = Subject("account", "ann"), Subject("group", "Ünïon")
SITE = Scope("site", "shop.example.org")
CHANGES = {
    "s1": Change(None, Account(name="ann", email="ann@example.org", language="de")),
    "s2": Change(Grant(subject=ANN, scope=SITE, role="view"), Grant(subject=ANN, scope=SITE, role="edit", extras=frozenset({"b", "a"}))),
    "s3": Change(Group(name="Ünïon"), None),
    "s4": Change(None, Member(group="Ünïon", account="ann")),
    "s5": Change(Grant(subject=TEAM, scope=EVERYWHERE, role="admin"), None),
}  # fmt: skip
BEGINNING: RunFacts = {
    "platform": "umami",
    "origin": "https://stats.example.org",
    "users": {"ann": "ann", "bob": "Bob"},
    "accounts": ("Bob", "ann"),
    "sites": 3,
    "grants": 2,
}


CONFINED: RunFacts = {**BEGINNING, "allow_delete": True, "chosen": ("s1", "s2"), "lifted": ("s2",), "me": "robot"}


class Ticks:
    """A clock that goes on by a second and a bit with each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the next moment."""
        self.now += timedelta(seconds=1, microseconds=500_000)
        return self.now


def write_one_of_each(folder: Path) -> Path:
    """Write the journal of `stats` with every kind of line, at the defaults and beside them; return its path."""
    clock = Ticks()
    plan = Plan(tool="0.1.0", created=START, as_of=START, as_of_given=True, commit="ab12", dirty=True, digest=DIGEST)
    with opened(folder, "stats", key=None, clock=clock) as book:
        book.begin(plan, **CONFINED)
        book.waive("removals", plan.digest, "OPS-900: “ok”")
        book.intend(CHANGES)
        book.record(
            [Result(step="s1", status="done", sends=2), Result(step="s2", status="unknown", message="no answer")]
        )
        unfinished_at = book.path
    with unfinished_at.open("ab") as file:
        file.write(b'{"kind":"outc')
    with opened(folder, "stats", key=None, clock=clock) as book:
        if book.unfinished is None:
            raise ValueError("the run should have no end")
        book.go_on(book.unfinished, allow_delete=True, lifted=("s2", "s1"))
        book.resent("ann", "intent")
        book.resent("ann", "failed", "no mail server")
    with opened(folder, "stats", key=None, clock=clock) as book:
        book.begin(plan, **BEGINNING)
        book.end(
            {"done": 1, "skipped": 2},
            Memory(last=Access([change.after for change in CHANGES.values() if change.after is not None]), users={"ann": "ann"},
                   accounts=frozenset({"ann", "Bob"}), me="robot", sends={CHANGES["s2"].key: (2, START)}),
        )  # fmt: skip
    return book.path
