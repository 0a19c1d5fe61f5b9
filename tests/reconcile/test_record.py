"""What a run remembers: what it did itself; what others did stays as it was, until an apply settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconcile.small_world import HERE, NOW, Ask, File, Instance, InstanceRun, Server, admin, grant, world
from siteward.access.diagnostic import error
from siteward.access.model import Access, Account, account_key
from siteward.access.state import DeclaredUser, Listing, Live
from siteward.reconcile.drift import drift
from siteward.reconcile.journal import journal
from siteward.reconcile.journal.entries import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Memory

ROBOT, EVE = admin("robot"), admin("eve")
VIEW, EDIT, BOB = grant("ann", "a.test", "view"), grant("ann", "a.test", "edit"), grant("bob", "b.test", "view")
EVE_VIEW = grant("eve", "a.test", "view")


def applied(folder: Path, access: Access) -> tuple[InstanceRun, Server, File]:
    """Return a desk whose one instance is as its file wants it, after an apply of everything."""
    names = [account.name for account in access.accounts()]
    server, file = Server(), File(access, declared_users={name: DeclaredUser(handle=name, at=HERE) for name in names})
    server.hold(access)
    desk = InstanceRun(folder, (Instance(server, file),))
    desk.apply()
    return desk, server, file


def remembered(desk: InstanceRun) -> Memory:
    memory = journal.recall(desk.journal()).memory
    assert memory is not None
    return memory


def told(desk: InstanceRun) -> dict[str, str]:
    """Return drift: the kind by the words of the key."""
    (one,) = desk.instances
    memory = journal.recall(desk.journal()).memory
    fresh = one.plan(Ask(one.server), as_of=NOW, memory=memory)
    items = drift(fresh.plan, fresh.live, fresh.desired, memory)
    sides = ((item.kind, item.live or item.declared or item.journalled) for item in items)
    return {" ".join(side.key): kind for kind, side in sides if side is not None}


def test_an_apply_of_nothing_launders_nothing(tmp_path: Path) -> None:
    """Whoever became admin since, declared or not, is told after a run that was confined to something else."""
    desk, server, _ = applied(tmp_path, world(ROBOT, VIEW))
    server.set(admin("ann"), Account("eve"), EVE)
    before = told(desk)
    assert set(before.values()) == {"changed-since"}
    desk.apply(only=lambda *_: False)
    assert told(desk) == before


def test_the_record_is_as_old_as_what_it_keeps(tmp_path: Path) -> None:
    """Who did it is looked for from the time when it was not so yet."""
    desk, server, _ = applied(tmp_path, world(ROBOT, VIEW))
    since = remembered(desk).last_at
    server.set(EDIT)
    desk.apply(only=lambda *_: False)
    assert remembered(desk).last_at == since
    desk.apply()
    assert remembered(desk).last_at != since


def test_a_whole_plan_settles_what_the_file_has_come_to_want(tmp_path: Path) -> None:
    """What others did and the file now asks for is no drift any more once all of a plan was applied."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.wanted = world(ROBOT, EDIT)
    desk.apply(only=lambda *_: False)
    assert told(desk) == {"grant account ann site a.test": "changed-since"}
    desk.apply()
    assert told(desk) == {}


def test_what_a_mode_leaves_stays_told(tmp_path: Path) -> None:
    """What is held back, nobody has agreed to: an apply of everything else does not settle it."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.held = frozenset({EDIT.key})
    desk.apply()
    assert told(desk) == {"grant account ann site a.test": "changed-since"}


def test_an_account_nobody_saw_is_not_met(tmp_path: Path) -> None:
    """A declared login that somebody made live since is a first meeting still, until a plan with it was applied."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(Account("eve"))
    file.declared_users["eve"] = DeclaredUser(handle="eve", at=HERE)
    file.wanted = world(ROBOT, VIEW, EVE_VIEW, BOB)
    desk.apply(only=lambda _, step: "bob" in step.change.key)
    assert remembered(desk).accounts == {"robot", "ann", "bob"}
    desk.apply()
    assert remembered(desk).accounts == {"robot", "ann", "bob", "eve"}


def test_who_was_made_by_somebody_else_in_between_is_not_met(tmp_path: Path) -> None:
    """Where the plan was to make an account and it is there already, the refusal is not forgotten at the end."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    file.declared_users["eve"] = DeclaredUser(handle="eve", at=HERE)
    file.wanted = world(ROBOT, VIEW, EVE_VIEW)
    plan = desk.plan()
    server.set(Account("eve"))
    desk.apply(plan)
    assert "eve" not in remembered(desk).accounts
    assert told(desk)["account eve"] == "changed-since"


def test_who_may_be_somebody_else_is_never_met(tmp_path: Path) -> None:
    """An account under another address than the file's stays in doubt, from the first run on."""

    def mismatch(
        live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]:
        return [error("identity-mismatch", "another address", about=VIEW.key)]

    server = Server()
    server.hold(world(ROBOT, Account("ann")))
    declared_users = {each: DeclaredUser(handle=each, at=HERE) for each in ("ann", "robot")}
    desk = InstanceRun(
        tmp_path, (Instance(server, File(world(ROBOT, VIEW), declared_users=declared_users, guards=(mismatch,))),)
    )
    desk.apply()
    desk.apply()
    assert remembered(desk).accounts == {"robot"}


def test_a_renamed_account_keeps_its_past(tmp_path: Path) -> None:
    """The record goes with the account to its new login, and so does what others did to it before."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(admin("ann"))
    file.previously = {"anna": "ann"}
    file.wanted = world(ROBOT, grant("anna", "a.test", "view"))
    file.declared_users["anna"] = DeclaredUser(handle="ann", at=HERE)
    desk.apply(only=lambda _, step: step.change.key == account_key("ann"))
    assert told(desk) == {"grant account anna instance ": "changed-since"}
    assert remembered(desk).accounts == {"robot", "anna"}


def test_what_goes_with_a_deleted_account_is_ours(tmp_path: Path) -> None:
    """Deleting an account takes all that hung on it, also what no step was about."""
    desk, server, file = applied(tmp_path, world(ROBOT, BOB, VIEW))
    file.wanted = world(ROBOT, BOB)
    desk.apply(only=lambda _, step: "ann" in step.change.key)
    assert account_key("ann") not in server.access
    assert told(desk) == {}


def test_a_run_given_up_after_its_write_took_place_is_ours(tmp_path: Path) -> None:
    """What an interrupted run was about to do and did is not somebody else's after the next one either."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    file.wanted = world(ROBOT, EDIT)
    (step,) = desk.plan().instances[0].steps
    with journal.opened(desk.book.folder, "stats", key=None, clock=desk.clock) as book:
        book.begin(desk.plan(), platform="small", origin="https://stats.test", users={}, accounts=(), sites=3, grants=1)
        book.intend({step.id: step.change})
        server.set(EDIT)
    desk.apply(only=lambda *_: False)
    assert told(desk) == {}


def test_a_step_that_was_done_is_remembered_as_met_after_a_crash(tmp_path: Path) -> None:
    """What a run without an end did counts for whom it met."""
    desk, _, _ = applied(tmp_path, world(ROBOT, VIEW))
    with journal.opened(desk.book.folder, "stats", key=None, clock=desk.clock) as book:
        book.begin(desk.plan(), platform="small", origin="https://stats.test", users={}, accounts=(), sites=3, grants=1)
        book.intend({"s1": drifted_step(desk)})
        book.became([Result(step="s1", status="done")])
    assert "eve" in remembered(desk).accounts


def drifted_step(desk: InstanceRun) -> Change:
    """Return the change that would give eve her view."""
    desk.instances[0].file.wanted = world(ROBOT, VIEW, EVE_VIEW)
    return next(step.change for step in desk.plan().instances[0].steps if step.change.key == EVE_VIEW.key)


def test_mails_are_counted_anew_once_the_grant_was_taken(tmp_path: Path) -> None:
    """An invitation that nobody accepts is counted from run to run, and no longer once what it was for is revoked."""
    desk, server, file = applied(tmp_path, world(ROBOT))
    server.mails, server.pending = 1, frozenset({VIEW.key})
    file.wanted = world(ROBOT, VIEW)
    desk.apply()
    assert remembered(desk).sends[VIEW.key][0] == 1
    desk.apply()
    assert remembered(desk).sends[VIEW.key][0] == 1
    file.wanted = world(ROBOT, Account("ann"))
    desk.apply()
    assert VIEW.key not in server.state
    assert remembered(desk).sends == {}


def test_what_an_incomplete_reading_does_not_show_is_not_forgotten(tmp_path: Path) -> None:
    """Absence must be proven for the record too: what a listing was cut off before is still remembered as there."""
    desk, server, file = applied(tmp_path, world(ROBOT, VIEW, BOB))
    del server.state[BOB.key]
    file.wanted = world(ROBOT, VIEW, Account("bob"))
    server.listings = (Listing(name="grants", rows=2, complete=False, proof="page 2 was refused"),)
    desk.apply()
    assert BOB.key in (remembered(desk).last or {})
    server.listings = (Listing(name="grants", rows=2, complete=True, proof="count"),)
    desk.apply()
    assert BOB.key not in (remembered(desk).last or {})


def test_nothing_is_settled_while_the_instance_is_blocked(tmp_path: Path) -> None:
    """An objection to the whole instance leaves the record as it is, also where the file wants what others did."""

    def closed(
        live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]:
        return [error("over-budget", "not today")]

    desk, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.wanted, file.guards = world(ROBOT, EDIT), (closed,)
    desk.apply()
    assert told(desk) == {"grant account ann site a.test": "changed-since"}
    file.guards = ()
    desk.apply()
    assert told(desk) == {}
