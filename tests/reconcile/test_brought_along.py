"""What changes while a run writes: what a platform brings along is the run's, what somebody does is drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconcile.small_world import HERE, TRAITS, File, Instance, Server, SmallRig, admin, grant, world
from siteward.access.model import Access, Account, Power
from siteward.access.state import DeclaredUser
from siteward.access.traits import Role
from siteward.reconcile.journal import reading

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.model import Resource

OWNER = Role(name="owner", power=Power.MANAGE, declarable=False)
OWNED = replace(TRAITS, roles={**TRAITS.roles, "site": (*TRAITS.roles["site"], OWNER)})
AT_FIRST = world(
    admin("robot"), grant("ann", "a.test", "view"), grant("ann", "c.test", "view"), grant("bob", "b.test", "view"),
    Account("cleo"),
)  # fmt: skip
WANTED = grant("ann", "a.test", "edit")


def recorded(folder: Path, *meanwhile: Resource, gone: tuple[Resource, ...] = ()) -> Access:
    """Return the record after a run that gave ann a role on a.test, while which something else changed."""
    declared_users = {name: DeclaredUser(handle=name, at=HERE) for name in ("robot", "ann", "bob")}
    server, file = Server(), File(AT_FIRST, declared_users=declared_users, traits=OWNED)
    server.hold(AT_FIRST)
    rig = SmallRig(folder, (Instance(server, file),))
    rig.apply()
    file.wanted = Access({**AT_FIRST, WANTED.key: WANTED}.values())

    def change(_bundle: object) -> None:
        server.set(*meanwhile)
        for resource in gone:
            del server.state[resource.key]

    server.when_told = change
    rig.apply()
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert memory.last is not None
    assert memory.last[WANTED.key] == WANTED
    return memory.last


@pytest.mark.parametrize(
    "brought",
    [
        grant("ann", "b.test", "owner"),  # of the account that was written to
        grant("bob", "a.test", "owner"),  # on the site that was written to
    ],
)
def test_a_fact_that_came_with_a_write_is_the_runs_own(tmp_path: Path, brought: Resource) -> None:
    """What cannot be declared, and came to the account or the site that was written to, came with the write."""
    assert recorded(tmp_path, brought)[brought.key] == brought


@pytest.mark.parametrize(
    "done_by_others",
    [
        grant("bob", "c.test", "owner"),  # neither the account nor the site that was written to
        grant("bob", "a.test", "manage"),  # a role that is given and taken by people
        grant("ann", "b.test", "manage"),
        grant("ann", "c.test", "manage"),  # one that was there, raised
        Account("bob", "eve@a.test"),
        Account("eve"),
    ],
)
def test_what_others_did_meanwhile_is_not_the_runs_own(tmp_path: Path, done_by_others: Resource) -> None:
    """The record has it as before, so that drift tells it."""
    before = AT_FIRST.get(done_by_others.key)
    assert recorded(tmp_path, done_by_others).get(done_by_others.key) == before


def test_what_vanished_with_a_write_is_the_runs_own(tmp_path: Path) -> None:
    """A platform takes along what hangs on the account that was written to."""
    held = grant("ann", "c.test", "view")
    assert held.key not in recorded(tmp_path, gone=(held,))


def test_what_vanished_elsewhere_is_not_the_runs_own(tmp_path: Path) -> None:
    """Somebody has taken it."""
    held = grant("bob", "b.test", "view")
    assert recorded(tmp_path, gone=(held,))[held.key] == held


def test_an_account_that_its_first_grant_made_is_the_runs_own(tmp_path: Path) -> None:
    """A platform makes it on the way, with no step of its own."""
    given, made = grant("dan", "a.test", "view"), Account("dan")
    server, file = Server(), File(AT_FIRST, traits=OWNED)
    server.hold(AT_FIRST)
    rig = SmallRig(tmp_path, (Instance(server, file),))
    rig.apply()
    file.wanted = Access({**AT_FIRST, given.key: given}.values())
    server.when_told = lambda _bundle: server.set(made)
    rig.apply()
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert memory.last is not None
    assert memory.last.get(made.key) == made
