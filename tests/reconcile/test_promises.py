"""The promises of apply, one by one; each test fails without the code that keeps it."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reconcile.small_world import (
    HERE,
    NOW,
    ROBOT,
    SMALL,
    TRAITS,
    Clock,
    File,
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
from siteward.access.change import Change
from siteward.access.model import Account, Key, account_key
from siteward.access.report import exit_code
from siteward.access.state import DeclaredUser
from siteward.platforms.interface import Bundle
from siteward.reconcile.apply.target import Acceptance, Progress
from siteward.reconcile.journal import journal, reading
from siteward.reconcile.journal.chain import follow
from siteward.reconcile.journal.files import write_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from siteward.access.state import Live

ANN_VIEW, ANN_EDIT, ANN_MANAGE = (grant("ann", "a.test", role) for role in ("view", "edit", "manage"))


# Promise 2: what the plan says and nothing else


def test_2_a_change_since_the_review_is_refused_in_three_columns(tmp_path: Path) -> None:
    """What changed since the review stays, and the outcome shows what was reviewed, what is, and what was wanted."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    server.set(ANN_MANAGE)
    report = rig.apply(plan)
    (outcome,) = report.outcomes
    assert outcome.status == "refused"
    assert (outcome.reviewed, outcome.now, outcome.wanted) == (ANN_VIEW, ANN_MANAGE, ANN_EDIT)
    assert server.told == []
    assert report.stale


def test_2_dependants_of_a_refused_step_are_skipped_and_name_it(tmp_path: Path) -> None:
    """An account that appeared meanwhile is somebody else's: what was to be granted to it is not granted."""
    rig, server, _ = one_instance(tmp_path, [], [Account("ann", "ann@a.test"), ANN_VIEW])
    plan = rig.plan()
    server.set(Account("ann", "stranger@a.test"))
    report = rig.apply(plan)
    assert statuses(report) == ["refused", "skipped"]
    assert "s1" in report.outcomes[1].message
    assert server.told == []


def test_2_an_account_that_somebody_made_meanwhile_gets_nothing(tmp_path: Path) -> None:
    """Whoever makes the account first, in time between review and apply, does not get what was meant for another."""
    rig, server, _ = one_instance(tmp_path, [], [ANN_VIEW])
    plan = rig.plan()
    server.set(Account("ann"))
    report = rig.apply(plan)
    assert statuses(report) == ["refused", "skipped"]
    assert server.told == []


def test_2_an_account_that_an_earlier_run_made_is_known(tmp_path: Path) -> None:
    """The same plan applied again finds the account of the first time, and goes on."""
    rig, server, file = one_instance(tmp_path, [], [ANN_VIEW])
    file.declared_users = {"ann": DeclaredUser(handle="ann", at=HERE)}
    plan = rig.plan()
    server.faults = {1: "failed"}
    assert statuses(rig.apply(plan)) == ["done", "failed"]
    assert statuses(rig.apply(plan)) == ["already", "done"]


def test_2_the_rest_goes_on(tmp_path: Path) -> None:
    """One stale step does not hold back the others, and then the run is no longer stale but in part applied."""
    bob = grant("bob", "b.test", "view")
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW, Account("bob")], [ANN_EDIT, bob])
    plan = rig.plan()
    server.set(ANN_MANAGE)
    report = rig.apply(plan)
    assert {key[2]: outcome.status for key, outcome in by_key(report).items()} == {"ann": "refused", "bob": "done"}
    assert not report.stale


def test_2_what_is_already_as_wanted_is_not_sent(tmp_path: Path) -> None:
    """What somebody did by hand in the meantime is `already`."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    server.set(ANN_EDIT)
    assert statuses(rig.apply(plan)) == ["already"]
    assert server.told == []


def test_2_what_the_file_no_longer_wants_is_refused(tmp_path: Path) -> None:
    """The checkout is resolved again: a step it no longer asks for is refused, whatever the plan says."""
    rig, server, file = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    file.wanted = world(ROBOT, ANN_VIEW)
    assert statuses(rig.apply(plan)) == ["refused"]
    assert server.told == []


def test_2_what_the_file_wants_otherwise_now_is_refused(tmp_path: Path) -> None:
    """A step that the checkout now asks for with another role is refused, and shows the new wish."""
    rig, server, file = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    file.wanted = world(ROBOT, ANN_MANAGE)
    (outcome,) = rig.apply(plan).outcomes
    assert (outcome.status, outcome.wanted) == ("refused", ANN_MANAGE)
    assert server.told == []


def test_2_what_the_mode_now_holds_back_is_refused(tmp_path: Path) -> None:
    """A step that the instance's mode has come to hold back is refused, and says so."""
    rig, server, file = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    file.held = frozenset({ANN_VIEW.key})
    (outcome,) = rig.apply(plan).outcomes
    assert outcome.status == "refused"
    assert "mode" in outcome.message
    assert server.told == []


def test_2_guards_run_again_and_believe_no_verdict(tmp_path: Path) -> None:
    """A step that the plan calls harmless is judged by the guards of the checkout."""
    rig, server, file = one_instance(tmp_path, [admin("ann")], [Account("ann")])
    file.wanted = world(Account("ann"), Account("robot"))
    plan = rig.plan()
    file.guards = (keep_an_admin,)
    report = rig.apply(plan)
    assert statuses(report) == ["refused", "refused"]
    assert "admins-min" in report.outcomes[0].message
    assert server.told == []


def test_2_a_verdict_taken_out_of_the_plan_is_found_again(tmp_path: Path) -> None:
    """Whoever edits a block out of a plan and seals it anew gains nothing."""
    rig, server, file = one_instance(tmp_path, [admin("ann")], [Account("ann")])
    file.guards = (keep_an_admin,)
    file.wanted = world(Account("ann"), Account("robot"))
    plan = rig.plan()
    part = plan.instances[0]
    clean = replace(part, steps=tuple(replace(step, diagnostics=()) for step in part.steps))
    report = rig.apply(sealed(replace(plan, instances=(clean,))))
    assert set(statuses(report)) == {"refused"}
    assert server.told == []


def test_2_guards_judge_what_is_left_and_not_what_was_planned(tmp_path: Path) -> None:
    """Where the raise of a new admin is refused, the old one is not taken down either."""
    rig, server, file = one_instance(tmp_path, [], [])
    server.hold(world(admin("ann"), Account("bob"), Account("robot")))
    file.wanted = world(Account("ann"), admin("bob"), Account("robot"))
    file.guards = (keep_an_admin,)
    plan = rig.plan()
    assert not any(step.blocked for step in plan.instances[0].steps)
    server.remake("bob")
    report = rig.apply(plan)
    assert statuses(report) == ["refused", "refused"]
    assert server.told == []


def test_2_a_block_that_went_away_by_itself_was_not_reviewed(tmp_path: Path) -> None:
    """What was blocked when it was reviewed is not done because the world has moved."""
    rig, server, file = one_instance(tmp_path, [], [])
    server.hold(world(admin("ann"), Account("robot")))
    file.wanted = world(Account("ann"), Account("robot"))
    file.guards = (keep_an_admin,)
    plan = rig.plan()
    server.set(Account("bob"), admin("bob"))
    assert statuses(rig.apply(plan)) == ["refused"]
    assert server.told == []


def test_2_a_step_is_never_added(tmp_path: Path) -> None:
    """What only the checkout asks for now is not done, also where a reviewed step needs it."""
    rig, server, _ = one_instance(tmp_path, [Account("ann")], [ANN_VIEW])
    plan = rig.plan()
    server.hold(world(ROBOT))
    report = rig.apply(plan)
    assert statuses(report) == ["skipped"]
    assert "account ann" in report.outcomes[0].message
    assert server.told == []


def test_2_what_a_step_has_come_to_need_counts_beside_what_it_needed(tmp_path: Path) -> None:
    """An account that was given more since the review is not deleted: what it got was not reviewed for taking."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [])
    plan = rig.plan()
    server.set(grant("ann", "b.test", "edit"))
    report = rig.apply(plan)
    assert statuses(report) == ["done", "skipped"]
    assert "b.test" in report.outcomes[1].message
    assert account_key("ann") in server.state


def test_2_an_account_made_anew_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    """Ids are pinned: the same login with another id is refused."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    server.remake("ann")
    report = rig.apply(plan)
    assert statuses(report) == ["refused"]
    assert "recreated" in report.outcomes[0].message
    assert server.told == []


def test_2_an_edited_plan_is_refused(tmp_path: Path) -> None:
    """The digest finds damage."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = replace(rig.plan(), commit="another")
    assert codes(rig.apply(plan)) == {"plan-damaged"}
    assert server.told == []
    assert server.reads == 1


def test_2_expect_ties_apply_to_the_reviewed_plan(tmp_path: Path) -> None:
    """Another plan than the expected one is refused, however well it is sealed; a short prefix is no digest."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    other = sealed(replace(plan, commit="another"))
    assert codes(rig.apply(other, expect=plan.digest)) == {"plan-unexpected"}
    few = rig.apply(plan, expect=plan.digest[: len("sha256:") + 15])
    assert codes(few) == {"plan-unexpected"}
    assert few.diagnostics[0].hint == ("--expect takes the digest, or at least its first 16 hex digits; it has 15 here")
    assert server.told == []
    assert statuses(rig.apply(plan, expect=plan.digest.removeprefix("sha256:")[:16])) == ["done"]


def test_2_an_old_plan_is_stale(tmp_path: Path) -> None:
    """A plan older than `max_age` is refused and called stale; one from the future is no way around that."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    rig.clock = Clock(NOW + timedelta(hours=25))
    report = rig.apply(plan)
    assert codes(report) == {"plan-too-old"}
    assert report.stale
    ahead = sealed(replace(plan, created=NOW + timedelta(days=30)))
    assert codes(rig.apply(ahead)) == {"plan-from-the-future"}
    assert server.told == []
    assert statuses(rig.apply(plan, max_age=timedelta(hours=48))) == ["done"]


def test_2_an_as_of_of_its_own_must_be_repeated(tmp_path: Path) -> None:
    """A plan made for another time is applied only by whoever says that time again."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    when = NOW + timedelta(days=90)
    plan = sealed(replace(rig.plan(), as_of=when, as_of_given=True))
    assert codes(rig.apply(plan)) == {"plan-as-of"}
    assert codes(rig.apply(plan, as_of=when + timedelta(days=1))) == {"plan-as-of"}
    assert codes(rig.apply(rig.plan(), as_of=when)) == {"plan-as-of"}
    assert server.told == []
    assert statuses(rig.apply(plan, as_of=when)) == ["done"]


@pytest.mark.parametrize("change", [{"origin": "https://evil.test"}, {"platform": replace(SMALL, name="other")}])
def test_2_a_plan_of_another_origin_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """The plan names where it was made; nothing is sent, or even asked, anywhere else."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    rig.instances = (dataclasses.replace(rig.instances[0], **change),)  # type: ignore[arg-type]  # one of the two
    report = rig.apply(plan)
    assert codes(report) == {"plan-other-origin"}
    assert statuses(report) == ["skipped"]
    assert (server.told, server.reads) == ([], 1)


def test_an_instance_that_was_not_chosen_is_left_out(tmp_path: Path) -> None:
    """Of a plan for two instances one may be applied: the other is named, and nothing about it is wrong."""
    servers, both = (Server(), Server()), ("mat", "stats")
    for instance_server in servers:
        instance_server.hold(world(ROBOT))
    rig = SmallRig(
        tmp_path,
        tuple(
            Instance(server, File(world(ROBOT, ANN_EDIT)), name=name, declared=both)
            for server, name in zip(servers, both, strict=True)
        ),
    )
    plan = rig.plan()
    alone = dataclasses.replace(rig, instances=rig.instances[:1])
    report = alone.apply(plan)
    assert exit_code(report) == 0
    assert [(diagnostic.code, diagnostic.instance) for diagnostic in report.diagnostics] == [
        ("instance-left-out", "stats")
    ]
    assert {outcome.instance for outcome in report.outcomes} == {"mat"}
    assert servers[0].access == world(ROBOT, ANN_EDIT)
    assert servers[1].told == []
    assert not rig.journal("stats").exists()


def test_an_instance_that_the_file_does_not_have_is_an_error(tmp_path: Path) -> None:
    """A plan for what was taken out of the file is not left out by choice."""
    servers = (Server(), Server())
    for server in servers:
        server.hold(world(ROBOT))
    pair = [
        Instance(server, File(world(ROBOT)), name=name) for server, name in zip(servers, ("mat", "stats"), strict=True)
    ]
    plan = SmallRig(tmp_path, tuple(pair)).plan()
    pair[0].declared = ("mat",)
    report = SmallRig(tmp_path, (pair[0],)).apply(plan)
    assert codes(report) == {"plan-unknown-instance"}
    assert exit_code(report) == 1


def test_2_an_acceptance_names_this_plan(tmp_path: Path) -> None:
    """A budget is lifted for the plan whose digest is named, with a reason that the journal keeps; it dies with it."""
    gone = [grant("ann", site, "view") for site in ("a.test", "b.test", "c.test")]
    rig, server, file = one_instance(tmp_path, gone, [Account("ann")])
    file.guards = (few_removals,)
    plan = rig.plan()
    assert statuses(rig.apply(plan)) == ["blocked"] * 3
    other = Acceptance(digest="sha256:" + "0" * 64, reason="media was sold")
    assert codes(rig.apply(plan, accept={"removals": other})) == {"accept-other-plan"}
    unsaid = Acceptance(digest=plan.digest, reason=" ")
    assert codes(rig.apply(plan, accept={"removals": unsaid})) == {"accept-without-reason"}
    assert server.told == []
    good = Acceptance(digest=plan.digest[:23], reason="media was sold, OPS-900")
    assert statuses(rig.apply(plan, accept={"removals": good})) == ["done"] * 3
    last = reading.runs(rig.journal())[-1]
    assert last.claimed.accept["removals"] == "media was sold, OPS-900"


def test_2_a_changed_file_is_told(tmp_path: Path) -> None:
    """Whoever applies from other files than the plan's hears of it."""
    rig, _, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    plan = rig.plan()
    rig.config = "sha256:other"
    assert codes(rig.apply(plan)) == {"config-changed"}


def test_2_only_some_steps(tmp_path: Path) -> None:
    """What a run is confined to is done, the others get no outcome, and what needs them is skipped."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT, grant("bob", "b.test", "view")])
    report = rig.apply(only=lambda _instance, step: step.change.key[0] == "grant")
    assert {key[2]: outcome.status for key, outcome in by_key(report).items()} == {"ann": "done", "bob": "skipped"}
    assert account_key("bob") not in server.state


# Promise 7: leaving is not deleting


def test_7_deletion_needs_its_own_word(tmp_path: Path) -> None:
    """A deletion that the plan shows as blocked goes ahead with `allow_delete` and not otherwise."""
    rig, server, file = one_instance(tmp_path, [Account("ann")], [])
    file.guards = (delete_only_if_allowed,)
    plan = rig.plan()
    assert statuses(rig.apply(plan)) == ["blocked"]
    assert account_key("ann") in server.state
    assert statuses(rig.apply(plan, allow_delete=True)) == ["done"]
    assert account_key("ann") not in server.state


def test_7_an_account_is_read_once_more_before_it_is_deleted(tmp_path: Path) -> None:
    """What changes while the plan is applied is not deleted."""
    rig, server, _ = one_instance(tmp_path, [Account("ann", "ann@a.test"), ANN_VIEW], [])
    server.when_told = lambda bundle: server.set(Account("ann", "new@a.test"))
    report = rig.apply()
    assert statuses(report) == ["done", "refused"]
    assert account_key("ann") in server.state


# Promise 8: every write is read back


def test_8_a_platform_that_says_yes_and_does_nothing_is_found_out(tmp_path: Path) -> None:
    """200 is no proof: what reading does not show is `failed`, and says what stands there."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    server.faults = {0: "lies"}
    (outcome,) = rig.apply().outcomes
    assert (outcome.status, outcome.now) == ("failed", ANN_VIEW)
    assert "view on a.test" in outcome.message


def test_8_a_lost_answer_is_settled_by_reading(tmp_path: Path) -> None:
    """A write whose answer was lost is sent once, and done where reading shows it."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    server.faults = {0: "lost-done"}
    assert statuses(rig.apply()) == ["done"]
    assert len(server.told) == 1


def test_8_what_cannot_be_read_back_is_unknown(tmp_path: Path) -> None:
    """Where reading fails too, nothing is claimed, the run keeps no end, and resume settles it."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    server.unlooking = True
    report = rig.apply()
    assert statuses(report) == ["unknown"]
    assert report.next == "siteward apply --resume"
    assert reading.recall(rig.journal()).unfinished is not None
    server.unlooking = False
    assert statuses(rig.resume()) == ["done"]
    assert len(server.told) == 1
    assert reading.recall(rig.journal()).unfinished is None


def test_8_what_is_gone_again_at_the_end_is_not_done(tmp_path: Path) -> None:
    """What a later write of the same run takes back is told as failed."""
    rig, server, _ = one_instance(tmp_path, [], [ANN_VIEW, grant("bob", "b.test", "view")])
    rig.plan()

    def wipe(_bundle: object) -> None:
        if len(server.told) == 3:
            server.state.pop(ANN_VIEW.key, None)

    server.when_told = wipe
    report = rig.apply()
    assert by_key(report)[ANN_VIEW.key].status == "failed"


def test_8_what_wakes_when_an_admin_is_taken_down_is_not_overwritten(tmp_path: Path) -> None:
    """After a demotion the world is read again: a hidden role that came back is refused, not written over."""
    rig, server, file = one_instance(tmp_path, [admin("ann")], [ANN_VIEW])
    server.wakes = (ANN_MANAGE,)
    file.wanted = world(ROBOT, ANN_VIEW)
    plan = rig.plan()
    part = plan.instances[0]
    raise_, drop = part.steps
    turned = (replace(drop, id="s1", depends_on=()), replace(raise_, id="s2", depends_on=("s1",)))
    rig.instances[0].turned = True
    report = rig.apply(sealed(replace(plan, instances=(replace(part, steps=turned),))))
    assert {key: outcome.status for key, outcome in by_key(report).items()} == {
        admin("ann").key: "done",
        ANN_VIEW.key: "refused",
    }
    assert server.state[ANN_VIEW.key] == ANN_MANAGE


def test_8_what_appears_meanwhile_is_told(tmp_path: Path) -> None:
    """What nobody planned and the end shows is a warning: plan again."""
    rig, server, file = one_instance(tmp_path, [admin("ann")], [Account("ann")])
    server.wakes = (ANN_MANAGE,)
    file.wanted = world(ROBOT, Account("ann"))
    report = rig.apply()
    assert statuses(report) == ["done"]
    assert [(diagnostic.code, diagnostic.instance, diagnostic.count) for diagnostic in report.diagnostics] == [
        ("appeared", "stats", 1)
    ]


def test_8_an_end_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Where the last reading fails, that is said, and what the run is known to have done is remembered."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    server.when_told = lambda _bundle: setattr(server, "unreadable", 1)
    report = rig.apply()
    assert (statuses(report), codes(report)) == (["done"], {"end-not-read"})
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert memory.last == world(ROBOT, ANN_EDIT)


# The order of writes


def test_a_call_knows_what_is_still_to_come(tmp_path: Path) -> None:
    """With each bundle goes what the run will do after it: neither what it did before, nor what it carries now."""
    rig, server, _ = one_instance(tmp_path, [], [ANN_VIEW])
    ahead: list[list[Key]] = []
    server.when_told = lambda bundle: ahead.append([change.key for change in bundle.ahead(None)])
    rig.apply()
    assert ahead == [[ANN_VIEW.key], []]


def test_what_the_review_put_first_goes_first(tmp_path: Path) -> None:
    """Where the fresh order differs from the reviewed one, a step still waits for what it was reviewed to need."""
    bob = grant("bob", "a.test", "view")
    rig, server, _ = one_instance(tmp_path, [Account("ann"), Account("bob")], [ANN_VIEW, bob])
    plan = rig.plan()
    (part,) = plan.instances
    first, second = part.steps
    turned = (replace(first, depends_on=("s2",)), second)
    assert statuses(rig.apply(sealed(replace(plan, instances=(replace(part, steps=turned),))))) == ["done", "done"]
    assert [[change.key for change in told] for told in server.told] == [[bob.key], [ANN_VIEW.key]]


def test_steps_that_wait_for_each_other_are_not_sent(tmp_path: Path) -> None:
    """A plan in which two steps need each other is wrong; neither is done, and both say why."""
    rig, server, _ = one_instance(
        tmp_path, [Account("ann"), Account("bob")], [ANN_VIEW, grant("bob", "a.test", "view")]
    )
    plan = rig.plan()
    (part,) = plan.instances
    first, second = part.steps
    turned = (replace(first, depends_on=("s2",)), replace(second, depends_on=("s1",)))
    report = rig.apply(sealed(replace(plan, instances=(replace(part, steps=turned),))))
    assert statuses(report) == ["skipped", "skipped"]
    assert server.told == []


def test_what_closes_never_shares_a_call_with_what_opens(tmp_path: Path) -> None:
    """Of two changes on one site, which the platform would carry in one call, the opening one goes first."""
    bob = grant("bob", "a.test", "view")
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW, Account("bob")], [Account("ann"), bob])
    rig.apply()
    assert [[change.key for change in told] for told in server.told] == [[bob.key], [ANN_VIEW.key]]


def test_a_later_call_knows_what_earlier_ones_did(tmp_path: Path) -> None:
    """The picture that an adapter is given follows the run: the accounts that were made, and their ids, are in it."""
    rig, server, _ = one_instance(tmp_path, [], [ANN_VIEW])
    rig.apply()
    before, after = server.lives
    assert account_key("ann") not in before.access
    assert account_key("ann") in after.access
    assert after.ids.keys() == {account_key("ann"), account_key("robot")}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda changes: changes[1:],
        lambda changes: (*changes, changes[0]),
        lambda changes: (*changes, Change(None, grant("eve", "a.test", "manage"))),
    ],
    ids=["less", "twice", "more"],
)
def test_2_an_adapter_bundles_what_it_was_given_and_nothing_else(tmp_path: Path, spoil: Any) -> None:
    """A platform that drops, doubles or invents a change is a fault of the program, found before anything is sent."""
    rig, server, _ = one_instance(
        tmp_path, [Account("ann"), Account("bob")], [ANN_VIEW, grant("bob", "b.test", "view")]
    )
    (instance,) = rig.instances

    def bundle(changes: Sequence[Change], _live: Live) -> Sequence[Bundle]:
        return [Bundle(changes=tuple(spoil(tuple(changes))))]

    instance.platform = replace(SMALL, bundle=bundle)
    with pytest.raises(RuntimeError, match="small did not bundle exactly what it was given"):
        rig.apply()
    assert server.told == []


# Promise 9: the journal before and after each write


def test_9_the_intent_is_on_the_disk_before_the_write(tmp_path: Path) -> None:
    """When the platform hears of a change, the journal has it already, and no word yet of what came of it."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    seen: list[list[str]] = []
    server.when_told = lambda _bundle: seen.append(_kinds(rig.journal()))
    rig.apply()
    assert seen == [["run", "state", "intent"]]
    assert _kinds(rig.journal()) == ["run", "state", "intent", "outcome", "end"]


def test_9_the_head_is_in_the_report(tmp_path: Path) -> None:
    """The chain's head is told, so that somebody can keep it elsewhere."""
    rig, _, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    report = rig.apply()
    assert report.journal == str(rig.journal())
    assert report.journal_head == reading.recall(rig.journal()).standing.head


def test_9_a_broken_journal_is_not_written_to(tmp_path: Path) -> None:
    """Nothing is sent to an instance whose journal does not verify."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    rig.apply()
    told, text = len(server.told), rig.journal().read_bytes()
    server.set(ANN_VIEW)
    rig.journal().write_bytes(text.replace(b"a.test", b"b.test", 1))
    report = rig.apply()
    assert codes(report) == {"journal-broken"}
    assert statuses(report) == ["skipped"]
    assert len(server.told) == told


def test_9_one_apply_at_a_time(tmp_path: Path) -> None:
    """A second apply on the same instance is turned away and told who is at work."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    with journal.opened(rig.journals.folder, "stats", key=None, clock=rig.clock):
        report = rig.apply()
    assert codes(report) == {"journal-busy"}
    assert "process" in report.diagnostics[0].message
    assert server.told == []


def test_9_a_journal_that_cannot_be_written_stops_its_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a line on the disk nothing is sent."""
    rig, server, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    count = 0

    def full(handle: int, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(28, "No space left on device")
        write_all(handle, data)

    monkeypatch.setattr("siteward.reconcile.journal.journal.write_all", full)
    report = rig.apply()
    assert codes(report) == {"journal-not-written"}
    assert server.told == []
    assert len(report.outcomes) == 1


# Promise 10: one failure isolates


def test_10_what_depends_on_a_failure_is_skipped_and_named(tmp_path: Path) -> None:
    """The account that could not be made gets no grants; the others do."""
    rig, server, _ = one_instance(tmp_path, [], [ANN_VIEW, grant("bob", "b.test", "view")])
    server.faults = {0: "failed"}
    report = rig.apply()
    found = {key: outcome for key, outcome in by_key(report).items() if "ann" in key}
    assert [outcome.status for outcome in found.values()] == ["failed", "skipped"]
    assert "s1" in found[ANN_VIEW.key].message
    assert {outcome.status for key, outcome in by_key(report).items() if "bob" in key} == {"done"}


def test_10_failures_in_a_row_stop_the_instance(tmp_path: Path) -> None:
    """After five failed writes one after the other no sixth is tried, and the rest says why."""
    rig, server, _ = one_instance(tmp_path, [], [Account(f"u{at}") for at in range(9)])
    server.always = "failed"
    report = rig.apply()
    assert statuses(report) == ["failed"] * 5 + ["skipped"] * 4
    assert len(server.told) == 5
    assert "5 failures in a row" in report.outcomes[-1].message


def test_10_a_success_between_failures_counts(tmp_path: Path) -> None:
    """Only failures without a success between them stop an instance."""
    rig, server, _ = one_instance(tmp_path, [], [Account(f"u{at}") for at in range(9)])
    server.faults = dict.fromkeys((0, 1, 2, 3, 5, 6, 7, 8), "failed")
    assert statuses(rig.apply()).count("failed") == 8


def test_10_instances_fail_apart(tmp_path: Path) -> None:
    """An instance that nobody answers for is an error of its own; the other one is done."""
    rig, _, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    other = Server()
    other.hold(world(ROBOT, ANN_VIEW))
    rig.instances = (Instance(other, File(world(ROBOT, ANN_EDIT)), name="dead"), *rig.instances)
    plan = rig.plan()
    other.unreadable = 1
    report = rig.apply(plan)
    assert statuses(report) == ["skipped", "done"]
    assert [(diagnostic.code, diagnostic.instance) for diagnostic in report.diagnostics] == [("unreachable", "dead")]
    assert not report.stale


def test_10_an_interruption_finishes_the_call_in_flight(tmp_path: Path) -> None:
    """Ctrl-C once: the write that is out is finished and journalled, nothing more is sent, resume does the rest."""
    rig, server, _ = one_instance(tmp_path, [], [Account(f"u{at}") for at in range(3)])
    server.faults = {1: "interrupt"}
    report = rig.apply()
    assert report.interrupted
    assert statuses(report) == ["done", "done", "skipped"]
    assert report.next == "siteward apply --resume"
    server.faults = {}
    assert statuses(rig.resume()) == ["done", "done", "done"]
    assert len(server.told) == 3


# Promise 11: no secret, and a password is with its recipient first


def with_passwords(rig: SmallRig, file: File) -> None:
    file.traits = replace(TRAITS, onboarding=frozenset({"password"}))


def test_11_without_a_destination_nothing_is_made(tmp_path: Path) -> None:
    """An account whose password has nowhere to go is blocked before anything runs, with the two ways named."""
    rig, server, file = one_instance(tmp_path, [], [ANN_VIEW])
    with_passwords(rig, file)
    report = rig.apply()
    assert statuses(report) == ["refused", "skipped"]
    assert "no-password-destination" in report.outcomes[0].message
    assert "age" in str(report.outcomes[0].hint)
    assert "--passwords-out" in str(report.outcomes[0].hint)
    assert server.told == []


def test_11_the_password_is_on_the_disk_before_the_account_is(tmp_path: Path) -> None:
    """When the platform hears of the account, its password is in the file, 0600; it is nowhere else."""
    rig, server, file = one_instance(tmp_path, [], [ANN_VIEW])
    with_passwords(rig, file)
    out = tmp_path / "passwords.txt"
    seen: list[str] = []
    server.when_told = lambda bundle: seen.extend([out.read_text()] if bundle.passwords else [])
    report = rig.apply(passwords=replace(rig.passwords, out=out))
    password = server.passwords["ann"]
    assert statuses(report) == ["done", "done"]
    assert [json.loads(line)["password"] for line in seen] == [password]
    assert out.stat().st_mode & 0o777 == 0o600
    assert password not in repr(report)
    for path in tmp_path.rglob("*"):
        assert path == out or path.is_dir() or password.encode() not in path.read_bytes()


def test_11_an_undelivered_password_makes_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file turns out not to take the password, the account is not made."""
    rig, server, file = one_instance(tmp_path, [], [ANN_VIEW])
    with_passwords(rig, file)
    out = tmp_path / "passwords.txt"

    def spoil(progress: Progress) -> None:
        if progress.outcome is None and not out.exists():
            out.touch(mode=0o600)
            out.chmod(0o644)

    report = rig.apply(passwords=replace(rig.passwords, out=out), tell=spoil)
    assert statuses(report) == ["failed", "skipped"]
    assert server.told == []


def test_11_the_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Journal, memory and plan hold names and addresses: nobody else may read them."""
    rig, _, _ = one_instance(tmp_path, [ANN_VIEW], [ANN_EDIT])
    rig.apply()
    assert rig.journals.folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in rig.journals.folder.iterdir() if path.is_file()]
    assert len(files) >= 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_every_step_is_told_before_and_after(tmp_path: Path) -> None:
    """Whoever listens hears of each step when it is about to be sent and when it is settled."""
    rig, _, _ = one_instance(tmp_path, [], [ANN_VIEW])
    heard: list[tuple[str, str, int, int]] = []

    def hear(progress: Progress) -> None:
        heard.append((progress.step.id, progress.outcome.status if progress.outcome else "", progress.at, progress.of))

    rig.apply(tell=hear)
    assert heard == [("s1", "", 0, 2), ("s1", "done", 1, 2), ("s2", "", 1, 2), ("s2", "done", 2, 2)]


# The exit code


def test_the_exit_code_says_how_it_went(tmp_path: Path) -> None:
    """All done: 0. Nothing done because of staleness: 4. Part done: 5. An error: 1. Blocked by a guard: 3."""
    rig, server, file = one_instance(tmp_path, [ANN_VIEW, Account("bob")], [ANN_EDIT, grant("bob", "b.test", "view")])
    plan = rig.plan()
    server.set(ANN_MANAGE)
    only_ann = rig.apply(plan, only=lambda _name, step: "ann" in step.change.key)
    assert exit_code(only_ann) == 4
    assert exit_code(rig.apply(plan)) == 5
    assert exit_code(rig.apply()) == 0
    server.unreadable = 1
    assert exit_code(rig.apply(plan)) == 1
    assert exit_code(rig.apply(plan, max_age=timedelta(0))) == 4
    file.guards = (delete_only_if_allowed,)
    file.wanted = world(ROBOT, ANN_EDIT)
    server.hold(world(ROBOT, ANN_EDIT, Account("bob")))
    plan = rig.plan()
    assert exit_code(rig.apply(plan)) == 3
    assert exit_code(rig.apply(plan, allow_delete=True)) == 0


def test_a_lifted_step_that_fails_is_told_as_such(tmp_path: Path) -> None:
    """What was blocked when it was reviewed, was lifted, and failed, is a failure: 5, not 3."""
    rig, server, file = one_instance(tmp_path, [Account("ann"), Account("bob")], [])
    file.guards = (delete_only_if_allowed,)
    server.faults = {0: "failed"}
    assert exit_code(rig.apply(allow_delete=True)) == 5


def _kinds(path: Path) -> list[str]:
    return [record.header["kind"] for record in follow(path, None).records]
