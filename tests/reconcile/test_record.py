"""What a run remembers: what it did itself; what others did stays as it was, until an apply settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconcile.small_world import (
    BOB_VIEW,
    EDIT,
    HERE,
    NOW,
    ROBOT,
    VIEW,
    Ask,
    File,
    Instance,
    Server,
    SmallRig,
    admin,
    grant,
    one_instance,
    world,
)
from siteward.access.diagnostic import error
from siteward.access.model import Access, Account, account_key
from siteward.access.state import DeclaredUser, Listing, Live
from siteward.reconcile.drift import drift
from siteward.reconcile.journal import journal, reading
from siteward.reconcile.journal.entries import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Memory

EVE, EVE_VIEW = admin("eve"), grant("eve", "a.test", "view")


def applied(folder: Path, access: Access) -> tuple[SmallRig, Server, File]:
    """Return a rig whose one instance is as its file wants it, after an apply of everything."""
    names = [account.name for account in access.accounts()]
    server, file = Server(), File(access, declared_users={name: DeclaredUser(handle=name, at=HERE) for name in names})
    server.hold(access)
    rig = SmallRig(folder, (Instance(server, file),))
    rig.apply()
    return rig, server, file


def remembered(rig: SmallRig) -> Memory:
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    return memory


def told(rig: SmallRig) -> dict[str, str]:
    """Return drift: the kind by the words of the key."""
    (instance,) = rig.instances
    memory = reading.recall(rig.journal()).memory
    fresh = instance.plan(Ask(instance.server), as_of=NOW, memory=memory)
    items = drift(fresh.plan, fresh.live, fresh.desired, memory)
    sides = ((item.kind, item.live or item.declared or item.journalled) for item in items)
    return {" ".join(side.key): kind for kind, side in sides if side is not None}


def test_an_apply_of_nothing_launders_nothing(tmp_path: Path) -> None:
    """Whoever became admin since, declared or not, is told after a run that was confined to something else."""
    rig, server, _ = applied(tmp_path, world(ROBOT, VIEW))
    server.set(admin("ann"), Account("eve"), EVE)
    before = told(rig)
    assert set(before.values()) == {"changed-since"}
    rig.apply(only=lambda *_: False)
    assert told(rig) == before


def test_the_record_is_as_old_as_what_it_keeps(tmp_path: Path) -> None:
    """Who did it is looked for from the time when it was not so yet."""
    rig, server, _ = applied(tmp_path, world(ROBOT, VIEW))
    since = remembered(rig).last_at
    server.set(EDIT)
    rig.apply(only=lambda *_: False)
    assert remembered(rig).last_at == since
    rig.apply()
    assert remembered(rig).last_at != since


def test_a_whole_plan_settles_what_the_file_has_come_to_want(tmp_path: Path) -> None:
    """What others did and the file now asks for is no drift any more once all of a plan was applied."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.wanted = world(ROBOT, EDIT)
    rig.apply(only=lambda *_: False)
    assert told(rig) == {"grant account ann site a.test": "changed-since"}
    rig.apply()
    assert told(rig) == {}


def test_what_a_mode_leaves_stays_told(tmp_path: Path) -> None:
    """What is held back, nobody has agreed to: an apply of everything else does not settle it."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.held = frozenset({EDIT.key})
    rig.apply()
    assert told(rig) == {"grant account ann site a.test": "changed-since"}


def test_an_account_nobody_saw_is_not_met(tmp_path: Path) -> None:
    """A declared login that somebody made live since is a first meeting still, until a plan with it was applied."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(Account("eve"))
    file.declared_users["eve"] = DeclaredUser(handle="eve", at=HERE)
    file.wanted = world(ROBOT, VIEW, EVE_VIEW, BOB_VIEW)
    rig.apply(only=lambda _, step: "bob" in step.change.key)
    assert remembered(rig).accounts == {"robot", "ann", "bob"}
    rig.apply()
    assert remembered(rig).accounts == {"robot", "ann", "bob", "eve"}


def test_who_was_made_by_somebody_else_in_between_is_not_met(tmp_path: Path) -> None:
    """Where the plan was to make an account and it is there already, the refusal is not forgotten at the end."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    file.declared_users["eve"] = DeclaredUser(handle="eve", at=HERE)
    file.wanted = world(ROBOT, VIEW, EVE_VIEW)
    plan = rig.plan()
    server.set(Account("eve"))
    rig.apply(plan)
    assert "eve" not in remembered(rig).accounts
    assert told(rig)["account eve"] == "changed-since"


def test_who_may_be_somebody_else_is_never_met(tmp_path: Path) -> None:
    """An account under another address than the file's stays in doubt, from the first run on."""

    def mismatch(
        live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]:
        return [error("identity-mismatch", "another address", about=VIEW.key)]

    rig, _, file = one_instance(tmp_path, [Account("ann")], [VIEW, BOB_VIEW], mismatch)
    file.declared_users = {login: DeclaredUser(handle=login, at=HERE) for login in ("ann", "robot")}
    rig.apply()
    rig.apply()
    assert remembered(rig).accounts == {"robot", "bob"}


def test_a_renamed_account_keeps_its_past(tmp_path: Path) -> None:
    """The record goes with the account to its new login, and so does what others did to it before."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(admin("ann"))
    file.previously = {"anna": "ann"}
    file.wanted = world(ROBOT, grant("anna", "a.test", "view"))
    file.declared_users["anna"] = DeclaredUser(handle="ann", at=HERE)
    rig.apply(only=lambda _, step: step.change.key == account_key("ann"))
    assert told(rig) == {"grant account anna instance ": "changed-since"}
    assert remembered(rig).accounts == {"robot", "anna"}


def test_what_goes_with_a_deleted_account_is_ours(tmp_path: Path) -> None:
    """Deleting an account takes all that hung on it, also what no step was about."""
    rig, server, file = applied(tmp_path, world(ROBOT, BOB_VIEW, VIEW))
    file.wanted = world(ROBOT, BOB_VIEW)
    rig.apply(only=lambda _, step: "ann" in step.change.key)
    assert account_key("ann") not in server.access
    assert told(rig) == {}


def test_a_run_given_up_after_its_write_took_place_is_ours(tmp_path: Path) -> None:
    """What an interrupted run was about to do and did is not somebody else's after the next one either."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    file.wanted = world(ROBOT, EDIT)
    (step,) = rig.plan().instances[0].steps
    with journal.opened(rig.journals.folder, "stats", key=None, clock=rig.clock) as writer:
        writer.begin(
            rig.plan(), platform="small", origin="https://stats.test", users={}, accounts=(), sites=3, grants=1
        )
        writer.intend({step.id: step.change})
        server.set(EDIT)
    rig.apply(only=lambda *_: False)
    assert told(rig) == {}


def test_a_step_that_was_done_is_remembered_as_met_after_a_crash(tmp_path: Path) -> None:
    """What a run without an end did counts for whom it met."""
    rig, _, _ = applied(tmp_path, world(ROBOT, VIEW))
    with journal.opened(rig.journals.folder, "stats", key=None, clock=rig.clock) as writer:
        writer.begin(
            rig.plan(), platform="small", origin="https://stats.test", users={}, accounts=(), sites=3, grants=1
        )
        writer.intend({"s1": drifted_step(rig)})
        writer.record([Result(step="s1", status="done")])
    assert "eve" in remembered(rig).accounts


def drifted_step(rig: SmallRig) -> Change:
    """Return the change that would give eve her view."""
    rig.instances[0].file.wanted = world(ROBOT, VIEW, EVE_VIEW)
    return next(step.change for step in rig.plan().instances[0].steps if step.change.key == EVE_VIEW.key)


def test_mails_are_counted_anew_once_the_grant_was_taken(tmp_path: Path) -> None:
    """An invitation that nobody accepts is counted from run to run, and no longer once what it was for is revoked."""
    rig, server, file = applied(tmp_path, world(ROBOT))
    server.mails, server.pending = 1, frozenset({VIEW.key})
    file.wanted = world(ROBOT, VIEW)
    rig.apply()
    assert remembered(rig).sends[VIEW.key][0] == 1
    rig.apply()
    assert remembered(rig).sends[VIEW.key][0] == 1
    file.wanted = world(ROBOT, Account("ann"))
    rig.apply()
    assert VIEW.key not in server.state
    assert remembered(rig).sends == {}


def test_what_an_incomplete_reading_does_not_show_is_not_forgotten(tmp_path: Path) -> None:
    """Absence must be proven for the record too: what a listing was cut off before is still remembered as there."""
    rig, server, file = applied(tmp_path, world(ROBOT, VIEW, BOB_VIEW))
    del server.state[BOB_VIEW.key]
    file.wanted = world(ROBOT, VIEW, Account("bob"))
    server.listings = (Listing(name="grants", rows=2, complete=False, proof="page 2 was refused"),)
    rig.apply()
    assert BOB_VIEW.key in (remembered(rig).last or {})
    server.listings = (Listing(name="grants", rows=2, complete=True, proof="count"),)
    rig.apply()
    assert BOB_VIEW.key not in (remembered(rig).last or {})


def test_nothing_is_settled_while_the_instance_is_blocked(tmp_path: Path) -> None:
    """An objection to the whole instance leaves the record as it is, also where the file wants what others did."""

    def closed(
        live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]:
        return [error("over-budget", "not today")]

    rig, server, file = applied(tmp_path, world(ROBOT, VIEW))
    server.set(EDIT)
    file.wanted, file.guards = world(ROBOT, EDIT), (closed,)
    rig.apply()
    assert told(rig) == {"grant account ann site a.test": "changed-since"}
    file.guards = ()
    rig.apply()
    assert told(rig) == {}
