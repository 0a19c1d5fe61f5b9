"""Resume: a run without an end goes on with what it was allowed, and with nothing more."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reconcile.small_world import (
    NOW,
    ROBOT,
    TRAITS,
    Clock,
    Crash,
    FaultKind,
    File,
    Guard,
    Instance,
    Server,
    SmallRig,
    admin,
    by_key,
    codes,
    delete_only_if_allowed,
    few_removals,
    grant,
    keep_an_admin,
    one_instance,
    sealed,
    statuses,
    world,
)
from siteward.access.codec import encode
from siteward.access.diagnostic import error
from siteward.access.model import Account, account_key
from siteward.reconcile.apply.target import Acceptance
from siteward.reconcile.journal import journal, plans, reading
from siteward.reconcile.journal.entries import Result
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from siteward.access.model import Resource
    from siteward.reconcile.journal.entries import RunFacts

KEY = Secret("a key that is long enough")
THREE = [grant("ann", site, "view") for site in ("a.test", "b.test", "c.test")]
TWO = [grant(name, "a.test", "view") for name in ("ann", "bob")]


def crashed(
    folder: Path,
    live: Iterable[Resource],
    wanted: Iterable[Resource],
    *guards: Guard,
    at: int = 0,
    how: FaultKind = "crash-after",
    key: Secret | None = None,
    **options: Any,
) -> tuple[SmallRig, Server, File]:
    """Return a rig at which an apply went down at write `at`; `key` seals its journal."""
    rig, server, file = one_instance(folder, live, wanted, *guards, key=key)
    plan = rig.plan()
    if accept := options.pop("accept", None):
        options["accept"] = {accept: Acceptance(digest=plan.digest, reason="OPS-900")}
    if as_of := options.get("as_of"):
        plan = sealed(replace(plan, as_of=as_of, as_of_given=True))
    server.faults = {at: how}
    with pytest.raises(Crash):
        rig.apply(plan, **options)
    server.faults = {}
    return rig, server, file


def test_what_was_in_flight_is_settled_by_reading_and_not_sent_again(tmp_path: Path) -> None:
    """The write whose outcome nobody wrote down is found to be done; the rest is sent once."""
    rig, server, _ = crashed(tmp_path, [], TWO)
    report = rig.resume()
    assert set(statuses(report)) == {"done"}
    assert "reading shows it" in report.outcomes[0].message
    sent = [change for told in server.told for change in told]
    assert len(sent) == len(set(sent))
    assert reading.recall(rig.journal()).unfinished is None


def test_the_last_attempt_is_the_one_that_counts(tmp_path: Path) -> None:
    """What failed first, was tried again by resume and then lost, is settled by reading and not by its first word."""
    rig, server, _ = crashed(tmp_path, [], [Account("ann"), Account("bob")], at=1)
    run = reading.recall(rig.journal()).unfinished
    assert run is not None
    server.state.pop(account_key("ann"))
    with journal.opened(rig.journals.folder, "stats", key=None, clock=rig.clock) as writer:
        writer.go_on(run, rig.plan())
        writer.record([Result(step="s1", status="failed")])
    server.faults = {2: "crash-after"}
    with pytest.raises(Crash):
        rig.resume()
    server.faults = {}
    assert statuses(rig.resume()) == ["done", "done"]


def test_what_was_done_before_is_told_as_done(tmp_path: Path) -> None:
    """The report of the resumed run is that of the whole run."""
    rig, _, _ = crashed(tmp_path, [], TWO, at=1)
    report = rig.resume()
    assert statuses(report) == ["done"] * 4
    assert "before the interruption" in report.outcomes[0].message


def test_what_somebody_took_back_meanwhile_is_not_done_again(tmp_path: Path) -> None:
    """What this run had done and somebody has undone since is refused: it is no longer as reviewed."""
    rig, server, _ = crashed(tmp_path, [Account("ann"), Account("bob")], [Account("ann", "ann@a.test"), *TWO], at=1)
    done = reading.recall(rig.journal()).unfinished
    assert done is not None
    assert next(iter(done.done.values())).key == account_key("ann")
    server.set(Account("ann"))
    told = len(server.told)
    outcome = by_key(rig.resume())[account_key("ann")]
    assert outcome.status == "refused"
    assert "somebody has changed it since" in outcome.message
    assert all(account_key("ann") != change.key for changes in server.told[told:] for change in changes)


def test_what_was_accepted_is_accepted_still(tmp_path: Path) -> None:
    """In a sealed journal, a budget lifted when the run began need not be lifted again, though by now it would not be exceeded either."""
    live: list[Resource] = [Account("ann"), *THREE]
    rig, server, _ = crashed(tmp_path, live, [Account("ann")], few_removals, accept="removals", key=KEY)
    assert statuses(rig.resume()) == ["done"] * 3
    assert server.access == world(ROBOT, Account("ann"))


def test_what_was_accepted_holds_where_nothing_was_sent_yet(tmp_path: Path) -> None:
    """Nor where the crash came before the first write took place."""
    live: list[Resource] = [Account("ann"), *THREE]
    rig, _, _ = crashed(tmp_path, live, [Account("ann")], few_removals, accept="removals", how="crash-before", key=KEY)
    assert statuses(rig.resume()) == ["done"] * 3


def test_deletion_once_allowed_is_allowed_still(tmp_path: Path) -> None:
    """`allow_delete` goes with a sealed run."""
    live: list[Resource] = [Account("ann"), Account("bob")]
    rig, server, _ = crashed(tmp_path, live, [], delete_only_if_allowed, allow_delete=True, key=KEY)
    assert statuses(rig.resume()) == ["done", "done"]
    assert server.access == world(ROBOT)


def test_what_was_not_allowed_is_not_allowed_by_resuming(tmp_path: Path) -> None:
    """A step that was blocked when the run began stays blocked, also when resume is given more."""
    live: list[Resource] = [Account("ann"), Account("bob"), grant("bob", "a.test", "view")]
    rig, server, _ = crashed(tmp_path, live, [Account("bob")], delete_only_if_allowed)
    report = rig.resume()
    assert by_key(report)[account_key("ann")].status == "blocked"
    assert account_key("ann") in server.state


def test_guards_run_again(tmp_path: Path) -> None:
    """What the world has made dangerous since is refused."""
    rig, server, _ = crashed(tmp_path, [admin("ann"), Account("bob")], [Account("ann"), Account("bob", "bob@a.test")])
    server.state.pop(ROBOT.key)
    rig.instances[0].file.guards = (keep_an_admin,)
    report = rig.resume()
    assert by_key(report)[admin("ann").key].status == "refused"
    assert admin("ann").key in server.state


def test_what_the_run_was_confined_to_confines_it_still(tmp_path: Path) -> None:
    """Steps left out with `only` are left out by resume."""
    rig, server, _ = crashed(tmp_path, [], TWO, only=lambda _name, step: "ann" in step.change.key)
    assert {key[-1] if key[0] == "account" else key[2] for key in by_key(rig.resume())} == {"ann"}
    assert account_key("bob") not in server.state


def test_the_moment_goes_with_the_run(tmp_path: Path) -> None:
    """An `as_of` that was repeated when a sealed run began need not be repeated again."""
    rig, _, _ = crashed(tmp_path, [], TWO, as_of=NOW + timedelta(days=90), key=KEY)
    assert set(statuses(rig.resume())) == {"done"}


def test_a_run_too_old_is_not_resumed(tmp_path: Path) -> None:
    """A plan ages while its run lies there."""
    rig, server, _ = crashed(tmp_path, [], TWO)
    told = len(server.told)
    rig.clock = Clock(NOW + timedelta(hours=30))
    report = rig.resume()
    assert codes(report) == {"plan-too-old"}
    assert report.stale
    assert len(server.told) == told


def test_a_plan_that_was_edited_meanwhile_is_not_resumed(tmp_path: Path) -> None:
    """The stored plan is held to the digest in the journal."""
    rig, server, _ = crashed(tmp_path, [], TWO)
    (stored,) = rig.journals.folder.glob("*.plan.json")
    text = stored.read_bytes()
    stored.write_bytes(text.replace(b"b.test", b"c.test").replace(b"ann", b"bob"))
    told = len(server.told)
    assert codes(rig.resume()) <= {"plan-lost", "plan-unexpected", "plan-damaged"}
    stored.unlink()
    assert codes(rig.resume()) == {"plan-lost"}
    assert len(server.told) == told


def test_there_may_be_nothing_to_resume(tmp_path: Path) -> None:
    """Where every run has its end, resume says so and does nothing."""
    rig, _, _ = one_instance(tmp_path, [], [])
    assert codes(rig.resume()) == {"nothing-to-resume"}
    rig.apply()
    assert codes(rig.resume()) == {"nothing-to-resume"}


def test_a_new_plan_gives_up_the_old_run(tmp_path: Path) -> None:
    """Who applies another plan instead ends the wait, and is told."""
    rig, server, file = crashed(tmp_path, [], TWO)
    assert "run-given-up" in codes(rig.apply())
    assert server.access == file.wanted
    assert codes(rig.resume()) == {"nothing-to-resume"}


def test_a_run_of_another_plan_lends_nothing(tmp_path: Path) -> None:
    """What was accepted for one plan does not hold for the plan that is resumed, in whose name nobody accepted it."""
    rig, server, _ = crashed(tmp_path, THREE, [Account("ann")], few_removals, at=1, accept="removals")
    told = len(server.told)
    other = Server()
    other.hold(world(ROBOT))
    rig.instances = (*rig.instances, Instance(other, File(world(ROBOT, TWO[0])), name="other"))
    server.set(*THREE)
    later = rig.plan()
    plans.keep_plan(rig.journals.folder, later)
    known: RunFacts = {
        "platform": "small",
        "origin": "https://stats.test",
        "users": {},
        "accounts": (),
        "sites": 3,
        "grants": 0,
    }
    with journal.opened(rig.journals.folder, "other", key=None, clock=rig.clock) as writer:
        writer.begin(later, **known)
    report = rig.resume()
    assert {(outcome.instance, outcome.status) for outcome in report.outcomes} == {
        ("stats", "blocked"),
        ("other", "done"),
    }
    assert "run-given-up" in codes(report)
    assert len(server.told) == told


def test_the_stored_plan_stays_whole_where_an_instance_is_begun_by_resuming(tmp_path: Path) -> None:
    """One instance is finished, one was cut off, and one never begun: the plan that all three name is theirs still."""
    rig, server, _ = one_instance(tmp_path, [], TWO)
    others = (Server(), Server())
    for name, other in zip(("first", "never"), others, strict=True):
        other.hold(world(ROBOT))
        rig.instances = (Instance(other, File(world(ROBOT, *TWO)), name=name), *rig.instances)
    server.faults = {1: "crash-before"}
    reviewed = rig.plan()
    with pytest.raises(Crash):
        rig.apply(reviewed)
    for suffix in (".jsonl", ".last.json"):
        rig.journal("never").with_suffix("").with_suffix(suffix).unlink()
    server.faults = {}
    assert {outcome.instance for outcome in rig.resume().outcomes} == {"stats", "never"}
    assert plans.kept_plan(rig.journals.folder, reviewed.digest) == reviewed


@pytest.mark.parametrize("became", ["same", "longer", "cut", "empty", "gone", "pipe"])
def test_what_is_stored_is_the_plan_whatever_became_of_its_file(became: str, tmp_path: Path) -> None:
    """The file that a plan was read from may be another by the time that it is stored."""
    rig, _, _ = one_instance(tmp_path, [], TWO)
    plan, document = rig.plan(), tmp_path / "plan.json"
    content = b"".join(encode(plan))
    if became == "pipe":
        os.mkfifo(document)
    elif became != "gone":
        document.write_bytes({"same": content, "longer": content + b" ", "cut": content[:-9], "empty": b""}[became])
    assert codes(rig.apply(plan, document=document)) == set()
    assert plans.path_of_plan(rig.journals.folder, plan.digest).read_bytes() == content


def test_a_password_is_delivered_anew_where_the_account_was_not_made(tmp_path: Path) -> None:
    """After a crash before the account was made, it is made with a password that its owner has."""
    rig, server, file = one_instance(tmp_path, [], TWO[:1])
    file.traits = replace(TRAITS, onboarding=frozenset({"password"}))
    where = replace(rig.passwords, out=tmp_path / "passwords.txt")
    server.faults = {0: "crash-before"}
    with pytest.raises(Crash):
        rig.apply(passwords=where)
    server.faults = {}
    assert set(statuses(rig.resume(passwords=where))) == {"done"}
    assert server.passwords["ann"] in (tmp_path / "passwords.txt").read_text().splitlines()[-1]


# What whoever applies lifts


def test_what_waits_for_a_lifted_block_is_lifted_with_it(tmp_path: Path) -> None:
    """A plan shows the grants of an account without a password destination as blocked with it; both are lifted."""
    rig, _, file = one_instance(tmp_path, [], TWO[:1])
    file.traits = replace(TRAITS, onboarding=frozenset({"password"}))
    plan = rig.plan()
    (part,) = plan.instances
    blocked = tuple(
        replace(step, diagnostics=(error(code, "", about=step.change.key),))
        for step, code in zip(part.steps, ("no-password-destination", "depends-on-blocked"), strict=True)
    )
    plan = sealed(replace(plan, instances=(replace(part, steps=blocked),)))
    assert statuses(rig.apply(plan)) == ["blocked", "blocked"]
    report = rig.apply(plan, passwords=replace(rig.passwords, out=tmp_path / "passwords.txt"))
    assert statuses(report) == ["done", "done"]
    assert report.plan is not None
    assert not any(step.blocked for step in report.plan.instances[0].steps)
    assert not any(outcome.step.blocked for outcome in report.outcomes)


def test_a_run_of_before_base_paths_is_finished_below_one(tmp_path: Path) -> None:
    """Its plan and journal hold the host alone; the same host with a path is taken for it, with a remark."""
    rig, _, _ = crashed(tmp_path, [], TWO)
    rig.instances[0].origin = "https://stats.test/umami"
    report = rig.resume()
    assert set(statuses(report)) == {"done"}
    assert "journal-without-path" in codes(report)


@pytest.mark.parametrize("origin", ["https://stats.test:8443", "https://other.test", "https://other.test/umami"])
def test_a_run_is_not_finished_on_another_server(origin: str, tmp_path: Path) -> None:
    """Whatever the path is."""
    rig, server, _ = crashed(tmp_path, [], TWO)
    before = len(server.told)
    rig.instances[0].origin = origin
    assert "plan-other-origin" in codes(rig.resume())
    assert len(server.told) == before


def test_a_plan_of_before_base_paths_is_made_again(tmp_path: Path) -> None:
    """Nobody can say which of the servers of a host it was reviewed for."""
    rig, server, _ = one_instance(tmp_path, [], TWO)
    plan = rig.plan()
    rig.instances[0].origin = "https://stats.test/umami"
    assert "plan-other-origin" in codes(rig.apply(plan))
    assert server.told == []
