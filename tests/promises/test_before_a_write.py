"""The promises of the design, 1 to 7, on the real Umami adapter: what keeps a plan from doing harm."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import (
    ADMINS,
    LAB,
    SHOP,
    Small,
    Somebody,
    codes,
    deletion,
    document,
    edit,
    fake,
    made,
    members,
    part,
    rig,
    role,
    statuses,
    step,
    view,
    world,
    written,
)
from rig import NOW, sealed
from siteward.access import codec
from siteward.access.change import Change
from siteward.access.model import Grant
from siteward.platforms.fakery import Fault, WorldAccount, WorldGrant
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Acceptance
from siteward.reconcile.plan import Run, drift
from siteward.transport.errors import ReadOnlyError

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.platforms.fakery import World


def deciding(*logins: str, **more: Any) -> World:
    """The small world with more accounts."""
    base = world(**more)
    return base.model_copy(
        update={"accounts": (*base.accounts, *(WorldAccount(login=login, role="view-only") for login in logins))}
    )


# 1. Reading commands change no access: their transport refuses what is not named as reading.


def test_1_a_plan_and_drift_write_nothing(tmp_path: Path) -> None:
    """Neither a plan full of changes nor drift makes the server write."""
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view(["eva", "dora"])])
    assert made(small).instances[0].steps
    allowance = Allowance(accept={}, allow_delete=True, passwords=small.passwords)
    drift(small.project, [small.instance], small.journals, Run(created=NOW, as_of=NOW, allowance=allowance))
    assert small.fake.writes == 0


@pytest.mark.parametrize(
    "path", ["/api/users", "/api/teams", "/api/teams/join", "/api/users/{carla}", "/api/websites", "/api/auth/logout"]
)
def test_1_the_reading_transport_refuses_to_write(path: str, tmp_path: Path) -> None:
    """A call that the adapter has not named never leaves, whoever asks for it."""
    small = rig(tmp_path)
    server = small.fake
    with small.instance.reading() as reader:
        with pytest.raises(ReadOnlyError):
            reader.call(path.format(carla=server.state.names["carla"].id), json={"role": "admin"})
        assert {call.path for call in server.calls} <= {"/api/auth/login"}
    assert server.writes == 0


# 2. Apply does what the plan says and nothing else.


def test_2_what_changed_since_is_refused_with_three_sides(tmp_path: Path) -> None:
    """A moved object is refused, showing reviewed, now and wanted; the rest goes on."""
    small = rig(tmp_path, grants=[ADMINS, edit("carla"), view("dora")])
    plan = made(small)
    Somebody(small.fake).sets("carla", "team-manager")
    report = small.apply(plan)
    refused = next(outcome for outcome in report.outcomes if outcome.status == "refused")
    sides = [getattr(side, "role", None) for side in (refused.reviewed, refused.now, refused.wanted)]
    assert sides == ["team-view-only", "team-manager", "team-member"]
    assert members(small.fake) == {"carla": "team-manager", "dora": "team-view-only"}


def test_2_what_depends_on_the_refused_is_not_done(tmp_path: Path) -> None:
    """Who was created by somebody else meanwhile gets nothing of what was meant for ours."""
    small = rig(tmp_path, users={"eva": {}}, grants=[ADMINS, view("carla"), edit("dora"), view("eva")])
    plan = made(small)
    Somebody(small.fake).makes("eva")
    report = small.apply(plan)
    assert set(statuses(report)) == {"refused", "skipped"}
    assert "eva" not in members(small.fake)


def test_2_what_is_already_as_wanted_is_skipped(tmp_path: Path) -> None:
    """What somebody did by hand is not sent again."""
    small = rig(tmp_path, grants=[ADMINS, view("carla"), view("dora")])
    plan = made(small)
    Somebody(small.fake).sets("dora", "team-view-only")
    before = len(small.fake.calls)
    assert statuses(small.apply(plan)) == ["already"]
    assert written(small.fake, before) == []


def test_2_it_vetoes_what_the_checkout_no_longer_wants_and_adds_nothing(tmp_path: Path) -> None:
    """The file of today refuses steps of yesterday's plan; its own new wishes wait for a plan of their own."""
    small = rig(tmp_path, grants=[ADMINS, edit("carla"), edit("dora")])
    plan = made(small)
    small.declare(document(grants=[ADMINS, view("carla"), view("dora")]))
    assert statuses(small.apply(plan)) == ["refused"]
    assert members(small.fake) == {"carla": "team-view-only", "dora": "team-member"}


def test_2_what_the_checkout_wants_otherwise_now_is_refused(tmp_path: Path) -> None:
    """A step of the reviewed plan is not done when the file has come to ask for another role."""
    small = rig(tmp_path, grants=[ADMINS, edit("carla"), edit("dora")])
    plan = made(small)
    small.declare(document(grants=[ADMINS, {**edit("carla"), "role": "manage"}, edit("dora")]))
    assert statuses(small.apply(plan)) == ["refused"]
    assert members(small.fake)["carla"] == "team-view-only"


def test_2_guards_run_again_and_believe_no_verdict(tmp_path: Path) -> None:
    """A block taken out of the plan, or a guard that came since, holds all the same."""
    protecting: dict[str, Any] = {"protect": ["carla"]}
    small = rig(tmp_path, grants=[ADMINS, edit("carla"), edit("dora")], policy=protecting)
    plan = made(small)
    (blocked,) = plan.instances[0].steps
    assert codes(blocked) == {"protected"}
    clean = codec.seal(
        replace(plan, instances=(replace(plan.instances[0], steps=(replace(blocked, diagnostics=()),)),))
    )
    assert set(statuses(small.apply(clean))) <= {"refused", "blocked"}
    free = rig(tmp_path / "free", small.fake, grants=[ADMINS, edit("carla"), edit("dora")])
    later = made(free)
    free.declare(document(grants=[ADMINS, edit("carla"), edit("dora")], policy=protecting))
    assert statuses(free.apply(later)) == ["refused"]
    assert small.fake.writes == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"max_age": timedelta(0)}, "plan-too-old"),
        ({"expect": "sha256:" + "0" * 64}, "plan-unexpected"),
        ({"as_of": NOW + timedelta(days=9)}, "plan-as-of"),
        ({"accept": {"removals": Acceptance(digest="0" * 64, reason="x")}}, "accept-other-plan"),
    ],
)
def test_2_a_plan_that_is_not_the_reviewed_one_is_refused(options: Any, code: str, tmp_path: Path) -> None:
    """Too old, unexpected, of another moment, or accepted for another plan: nothing is sent."""
    small = rig(tmp_path, grants=[ADMINS, edit(["carla", "dora"])])
    report = small.apply(made(small), **options)
    assert code in {diagnostic.code for diagnostic in report.diagnostics}
    assert report.outcomes == ()
    assert small.fake.writes == 0


def test_2_the_expected_digest_lets_it_through(tmp_path: Path) -> None:
    """And the right digest does not stand in the way."""
    small = rig(tmp_path, grants=[ADMINS, edit(["carla", "dora"])])
    plan = made(small)
    assert statuses(small.apply(plan, expect=plan.digest)) == ["done"]


def test_2_an_edited_plan_is_found_by_its_digest(tmp_path: Path) -> None:
    """The digest finds damage."""
    small = rig(tmp_path, grants=[ADMINS, edit(["carla", "dora"])])
    plan = made(small)
    step, *others = plan.instances[0].steps
    assert isinstance(step.change.after, Grant)
    more = replace(step.change.after, role="team-manager")
    part = replace(plan.instances[0], steps=(replace(step, change=Change(step.change.before, more)), *others))
    report = small.apply(replace(plan, instances=(part,)))
    assert "plan-damaged" in {diagnostic.code for diagnostic in report.diagnostics}
    assert small.fake.writes == 0


def test_2_a_plan_of_another_origin_is_refused(tmp_path: Path) -> None:
    """The same name at another address is another instance."""
    small = rig(tmp_path, grants=[ADMINS, edit(["carla", "dora"])])
    plan = made(small)
    elsewhere = replace(plan.instances[0], origin="http://127.0.0.1:2")
    report = small.apply(codec.seal(replace(plan, instances=(elsewhere,))))
    assert "plan-other-origin" in {diagnostic.code for diagnostic in report.diagnostics}
    assert small.fake.writes == 0


# 3. Absence must be proven.


@pytest.mark.parametrize(
    "fault",
    ["500x0:GET /api/admin/teams", "cutx0:GET /api/admin/users", "lying-totalx0:GET", "htmlx0:GET /api/admin/websites"],
)
def test_3_an_error_while_reading_is_unknown_and_not_empty(fault: str, tmp_path: Path) -> None:
    """A list that was not read to its end removes nobody."""
    small = rig(tmp_path, instance={"unmanaged": "remove"}, grants=[ADMINS])
    small.fake.faults.append(Fault.parse(fault))
    report = small.plan()
    assert report.plan is None
    assert any(diagnostic.blocks for diagnostic in report.diagnostics)


def test_3_zero_sites_are_refused_where_there_were_some(tmp_path: Path) -> None:
    """What the last journal knew does not vanish by itself."""
    small = rig(tmp_path, grants=[ADMINS, view(["carla", "dora"])])
    small.apply(made(small))
    small.fake.state.websites.clear()
    small.declare(document(grants=[ADMINS]))
    assert "implausible-reading" in codes(part(small.plan()))


def test_3_zero_grants_are_refused_where_there_were_some(tmp_path: Path) -> None:
    """Neither do all grants at once."""
    small = rig(tmp_path, grants=[ADMINS, view(["carla", "dora"])])
    small.apply(made(small))
    for user in small.fake.state.users.values():
        user.role = "view-only" if user.username != "siteward" else user.role
    for rows in small.fake.state.members.values():
        rows.clear()
    del small.fake.state.websites[
        next(website.id for website in small.fake.state.websites.values() if website.domain == LAB)
    ]
    assert "implausible-reading" in codes(part(small.plan()))


# 4. No lock-out.


def test_4_the_new_admin_stands_before_the_old_one_falls(tmp_path: Path) -> None:
    """The minimum holds after every step, not only at the end."""
    grants = [{"to": ["anna", "carla"], "role": "admin", "on": "it"}, edit("dora")]
    small = rig(tmp_path, grants=grants, policy={"admins": {"min": 2}})
    plan = made(small)
    order = [step.change.key[2] for step in plan.instances[0].steps if step.change.key[-2:] == ("instance", "")]
    assert not any(step.blocked for step in plan.instances[0].steps), plan
    assert order == [] or order.index("carla") < order.index("ben")
    assert "done" in set(statuses(small.apply(plan)))
    assert (role(small.fake, "carla"), role(small.fake, "ben")) == ("admin", "view-only")


def test_4_who_is_not_raised_after_all_lets_nobody_fall(tmp_path: Path) -> None:
    """Where the new admin is blocked, the old one stays."""
    grants = [{"to": ["anna", "carla"], "role": "admin", "on": "it"}, edit("dora")]
    small = rig(tmp_path, grants=grants, policy={"admins": {"min": 2}, "protect": ["carla"]})
    assert step(made(small), "ben").blocked


def test_4_never_ourselves(tmp_path: Path) -> None:
    """No mode, state or `unmanaged` touches the account in use."""
    small = rig(tmp_path, instance={"unmanaged": "remove"})
    assert not any("siteward" in step.change.key for step in made(small).instances[0].steps)


@pytest.mark.parametrize(
    "about",
    [{"kind": "service", "owner": "anna"}, {"until": "2026-12-03"}, {"until": "2026-12-05"}],
    ids=["a service", "ends in 11 days", "ends within the fourteenth day"],
)
def test_4_who_does_not_count_cannot_be_the_last(about: dict[str, str], tmp_path: Path) -> None:
    """A service, and who ends within 14 days, is no admin to rely on."""
    grants = [{"to": ["anna"], "role": "admin", "on": "it"}, view("carla"), edit("dora")]
    small = rig(tmp_path, users={"anna": about, "ben": {}}, grants=grants)
    assert "too-few-admins" in codes(step(made(small), "ben"))


def test_4_an_ignored_admin_does_not_count(tmp_path: Path) -> None:
    """Nor is one that nobody looks at."""
    small = rig(tmp_path, instance={"ignore": ["anna"]}, grants=[view("carla"), edit("dora")])
    assert "too-few-admins" in codes(step(made(small), "ben"))


def test_4_live_below_the_minimum_is_a_warning_and_blocks_only_what_lowers_it(tmp_path: Path) -> None:
    """An instance that is short of admins can still be worked on."""
    grants = [{"to": "anna", "role": "admin", "on": "it"}, edit(["carla", "dora"])]
    small = rig(tmp_path, grants=grants, policy={"admins": {"min": 3}})
    plan = made(small)
    assert codes(step(plan, "ben")) == {"too-few-admins"}
    assert not step(plan, "carla").blocked
    assert "below-min-admins" in {diagnostic.code for diagnostic in plan.instances[0].diagnostics}


def test_4_never_more_than_the_maximum(tmp_path: Path) -> None:
    """`max` counts everybody with the role but ourselves."""
    grants = [{"to": ["anna", "ben", "carla"], "role": "admin", "on": "it"}, edit("dora")]
    small = rig(tmp_path, grants=grants, policy={"admins": {"min": 1, "max": 2}})
    assert "too-many-admins" in codes(step(made(small), "carla", "instance"))


def test_4_not_even_where_the_file_names_us(tmp_path: Path) -> None:
    """Where `self` is left to the platform, declaring the account in use gives no step on it either."""
    doc = document(users={"siteward": {"state": "suspended"}})
    del doc["instances"]["it"]["self"]
    small = Small(tmp_path, fake(), doc)
    report = small.plan()
    assert not [step for step in part(report).steps if "siteward" in step.change.key and not step.blocked]
    assert any(diagnostic.blocks for diagnostic in part(report).diagnostics)


# 5. Budgets.

OVER: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "removals": ({}, [ADMINS]),
    "revocations": ({}, [ADMINS, view("carla")]),
    "escalations": ({}, [{**ADMINS, "to": ["anna", "ben", "carla", "dora"]}, view("carla"), edit("dora")]),
    "expiries": ({}, [ADMINS, view("carla", until="2026-01-31"), edit("dora")]),
}


@pytest.mark.parametrize("name", OVER)
def test_5_over_budget_all_is_shown_and_nothing_is_done(name: str, tmp_path: Path) -> None:
    """Four of the five on Umami, which sends no mail; the override names the plan and a reason, and dies with it."""
    users, grants = OVER[name]
    small = rig(tmp_path, users=users, grants=grants, policy={"limits": {name: {"count": 0}}})
    plan = made(small)
    assert codes(plan.instances[0]) == {f"limit-{name}"}
    assert plan.instances[0].steps
    assert set(statuses(small.apply(plan))) == {"blocked"}
    assert small.fake.writes == 0
    wrong = {name: Acceptance(digest="f" * 64, reason="meant")}
    assert small.apply(plan, accept=wrong).outcomes == ()
    mute = {name: Acceptance(digest=plan.digest, reason=" ")}
    assert small.apply(plan, accept=mute).outcomes == ()
    meant = {name: Acceptance(digest=plan.digest, reason="meant")}
    assert set(statuses(small.apply(plan, accept=meant))) == {"done"}


def test_5_a_plan_that_was_cut_down_and_sealed_anew_is_held_to_the_budget_of_the_whole(tmp_path: Path) -> None:
    """One of two removals would fit; both do not, and no part of them is what the file wants. An override covers it."""
    small = rig(tmp_path, grants=[ADMINS], policy={"limits": {"removals": {"count": 1}}})
    whole = made(small).instances[0]
    assert codes(whole) == {"limit-removals"}
    rest = tuple(found for found in whole.diagnostics if found.code != "limit-removals")
    cut = sealed(replace(made(small), instances=(replace(whole, steps=whole.steps[:1], diagnostics=rest),)))
    (outcome,) = small.apply(cut).outcomes
    assert (outcome.status, small.fake.writes) == ("refused", 0)
    assert "2 accounts would lose all access, and 1 is allowed" in outcome.message
    meant = {"removals": Acceptance(digest=cut.digest[:23], reason="meant")}
    assert statuses(small.apply(cut, accept=meant)) == ["done"]


def test_5_an_override_dies_with_its_plan(tmp_path: Path) -> None:
    """The next plan is over budget again, and the old word does not help it."""
    small = rig(tmp_path, grants=[ADMINS], policy={"limits": {"removals": {"count": 0}}})
    first = made(small)
    small.declare(document(grants=[ADMINS, view("carla")], policy={"limits": {"removals": {"count": 0}}}))
    second = made(small)
    assert second.digest != first.digest
    old = {"removals": Acceptance(digest=first.digest, reason="meant")}
    assert "accept-other-plan" in {diagnostic.code for diagnostic in small.apply(second, accept=old).diagnostics}
    assert small.fake.writes == 0


@pytest.mark.parametrize(
    ("there", "gone", "over"), [(20, 4, False), (20, 6, True), (3, 2, False), (3, 3, True)],
    ids=["within the count", "over the count", "never less than two", "over the percent"],
)  # fmt: skip
def test_5_the_defaults_hold_where_nothing_is_said(there: int, gone: int, *, over: bool, tmp_path: Path) -> None:
    """Allowed is the smaller of count and percent, but never less than two."""
    logins = [f"u{at}" for at in range(there)]
    readers = tuple(WorldGrant(account=login, site=SHOP, role="team-view-only") for login in logins)
    start = deciding(*logins).model_copy(update={"grants": readers})
    doc = document(users={login: {} for login in logins}, grants=[ADMINS, view(logins[gone:])])
    if gone == there:
        doc["grants"] = [ADMINS]
    doc["policy"] = {"admins": {"min": 1}}
    small = Small(tmp_path, fake(start), doc)
    assert ("limit-removals" in codes(made(small).instances[0])) is over


# 6. Protection outlives the stanza.


@pytest.mark.parametrize(
    ("pattern", "handle"), [("CARLA", "carla"), ("c*RLA", "carla"), ("carla@EXAMPLE.org", "carla"), ("KARI", "kari")]
)
def test_6_login_e_mail_and_handle_are_protected_in_any_case(pattern: str, handle: str, tmp_path: Path) -> None:
    """Every change of what matches is blocked, gains too, and nothing else is."""
    doc = document(grants=[ADMINS, edit(handle), view("dora")], policy={"protect": [pattern]})
    del doc["users"]["carla"]
    doc["users"][handle] = {"email": "carla@example.org", **({"logins": {"it": "carla"}} if handle == "kari" else {})}
    small = rig(tmp_path)
    small.declare(doc)
    plan = made(small)
    assert codes(step(plan, "carla")) == {"protected"}
    assert not step(plan, "dora").blocked


def test_6_who_is_not_declared_is_protected_too(tmp_path: Path) -> None:
    """With the stanza gone and `unmanaged: remove`, the pattern still holds."""
    doc = document(instance={"unmanaged": "remove"}, grants=[ADMINS, edit("dora")], policy={"protect": ["carla"]})
    del doc["users"]["carla"]
    small = rig(tmp_path)
    small.declare(doc)
    plan = made(small)
    about = [step for step in plan.instances[0].steps if "carla" in step.change.key]
    assert about
    assert all("protected" in codes(step) for step in about)
    assert "protected" not in codes(deletion(plan, "petra"))


# 7. Leaving is not deleting.


def test_7_who_leaves_the_file_keeps_the_account(tmp_path: Path) -> None:
    """Once known and no longer declared means no access, also with `unmanaged: remove`; the account stays."""
    small = rig(tmp_path, grants=[ADMINS, view(["carla", "dora"])])
    small.apply(made(small))
    doc = document(instance={"unmanaged": "remove"}, grants=[ADMINS, view("dora")])
    del doc["users"]["carla"]
    small.declare(doc)
    plan = made(small)
    assert all(step.change.key[0] != "account" for step in plan.instances[0].steps if "carla" in step.change.key)
    small.apply(plan)
    assert "carla" in small.fake.state.names
    assert "carla" not in members(small.fake)


def test_7_deletion_needs_the_file_and_the_run(tmp_path: Path) -> None:
    """`state: absent` alone suspends; with `--allow-delete` the account goes."""
    small = rig(tmp_path, users={"carla": {"state": "absent"}}, grants=[ADMINS, edit("dora")])
    plan = made(small, delete=False)
    assert codes(deletion(plan, "carla")) == {"deletion-needs-consent"}
    small.apply(plan, delete=False)
    assert "carla" in small.fake.state.names
    assert "carla" not in members(small.fake)
    again = made(small)
    small.apply(again)
    assert "carla" not in small.fake.state.names


def test_7_what_would_be_destroyed_is_shown_and_blocks(tmp_path: Path) -> None:
    """On Umami an owner's sites and teams would go with the account, so it is not deleted."""
    small = rig(tmp_path, users={"petra": {"state": "absent"}}, grants=[ADMINS, view("carla"), edit("dora")])
    blocked = deletion(made(small), "petra")
    assert blocked.blocked
    assert LAB in " ".join(diagnostic.message for diagnostic in blocked.diagnostics)
    small.apply(made(small))
    assert "petra" in small.fake.state.names
    assert any(website.domain == LAB for website in small.fake.state.websites.values())
