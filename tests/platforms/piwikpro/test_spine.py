"""The whole way of a file: native groups, modules, demotions, drift with names, on one instance of Piwik PRO."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from platforms.piwikpro.held import held
from platforms.piwikpro.worlds import SELF, worlds
from rig import NOW, Rig
from siteward.access.diagnostic import Severity
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.piwikpro.fake import FAKE, PiwikPro
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.journal import reading
from siteward.reconcile.plan import Run, drift

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.plan import InstancePlan
    from siteward.access.report import Report

WORLD = World(
    accounts=(
        WorldAccount(login=SELF, role="owner"),
        WorldAccount(login="anna@example.org", role="owner"),
        WorldAccount(login="ben@example.org", role="owner"),
        WorldAccount(login="mia@example.org"),
    ),
    sites=tuple(WorldSite(name=domain, domain=domain) for domain in ("shop.example.org", "blog.example.org")),
    grants=(WorldGrant(account="ben@example.org", site="blog.example.org", role="manage"),),
    more={
        "self": SELF,
        "throttles": False,
        "groups": [
            {
                "name": "idp",
                "external_id": "idp-group",
                "members": ["mia@example.org"],
                "sites": {"blog.example.org": "edit"},
            }
        ],
        "metasites": [{"name": "Europe", "sites": ["shop.example.org", "blog.example.org"]}],
    },
)


class Held(Rig):
    """A rig whose every exchange is held to the vendor's description."""

    def declare(self, document: Any) -> None:
        super().declare(document)
        self.instance = replace(self.instance, link=replace(self.instance.link, transport=held(self.fake)))


def _rig(folder: Path, *, native: bool = False, world: World = WORLD, **document: Any) -> Held:
    fake = FAKE.of(world, "current", clock=lambda: NOW)
    wide = {"count": 1000, "percent": 100}
    given = {
        "version": 1,
        "instances": {"it": {"platform": "piwik-pro", "url": "http://127.0.0.1:1", "self": SELF, "native": native}},
        "policy": {
            "admins": {"min": 1},
            "limits": dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), wide),
        },
        **document,
    }
    return Held(folder, fake, given)


def _plan_of(report: Report) -> InstancePlan:
    assert report.plan is not None, [(diagnostic.code, diagnostic.message) for diagnostic in report.diagnostics]
    (part,) = report.plan.instances
    return part


def _apply(rig: Held) -> Report:
    plan = rig.plan().plan
    assert plan is not None
    report = rig.apply(plan)
    assert {outcome.status for outcome in report.outcomes} <= {"done"}, [
        (outcome.status, outcome.message) for outcome in report.outcomes
    ]
    return report


def _state(rig: Held) -> PiwikPro:
    assert isinstance(rig.fake, PiwikPro)
    return rig.fake


def test_native_groups_are_made_filled_and_granted(tmp_path: Path) -> None:
    """One group, one list of members, one level a site: and then nothing is left to do."""
    rig = _rig(
        tmp_path,
        native=True,
        users={"mia": {"email": "mia@example.org"}, "new": {"email": "new@example.org", "language": "de-DE"}},
        groups={"readers": ["mia", "new"]},
        grants=[
            {"to": "readers", "role": "view", "sites": "shop.example.org"},
            {"to": "readers", "role": "edit", "metasites": "Europe"},
        ],
    )
    _apply(rig)

    state = _state(rig).state
    readers = next(group for group in state.groups.values() if group.name == "readers")
    assert {state.people[member].email for member in readers.members} == {"mia@example.org", "new@example.org"}
    assert state.mails == ["new@example.org"]
    assert not _plan_of(rig.plan()).steps


def _renamed_group(tmp_path: Path) -> tuple[Held, dict[str, Any]]:
    """Return a rig whose group `readers` is live, and the document in which it is called `analysts`, with more in it."""
    document: dict[str, Any] = {
        "users": {name: {"email": f"{name}@example.org"} for name in ("mia", "new")},
        "groups": {"readers": ["mia"]},
        "grants": [{"to": "readers", "role": "view", "sites": "shop.example.org"}],
    }
    rig = _rig(tmp_path, native=True, **document)
    _apply(rig)
    changed = json.loads(json.dumps(rig.document).replace("readers", "analysts"))
    changed["groups"] = {"analysts": {"members": ["mia", "new"], "previously": ["readers"]}}
    changed["grants"].append({"to": "analysts", "role": "edit", "metasites": "Europe"})
    return rig, changed


IDP_GIVES = "held by group idp; no step changes a group outside the file"


def _groups(rig: Held) -> dict[str, tuple[str, set[str]]]:
    """Return the id and the members of each group, by name."""
    state = _state(rig).state
    return {
        group.name: (group.id, {state.people[member].email for member in group.members})
        for group in state.groups.values()
    }


def test_a_renamed_group_is_the_same_group(tmp_path: Path) -> None:
    """`previously`: one call renames it, whatever else changes in it; id, members and levels stay, and drift is empty."""
    rig, changed = _renamed_group(tmp_path)
    (was, _) = _groups(rig)["readers"]
    rig.declare(changed)
    steps = _plan_of(rig.plan()).steps
    assert [step.change.key for step in steps if step.cause == "renamed"] == [("group", "readers")]
    assert sum(step.change.key[0] == "group" for step in steps) == 1
    assert all(step.change.after is not None for step in steps), "nothing is taken from anybody"
    _apply(rig)

    assert _groups(rig)["analysts"] == (was, {"mia@example.org", "new@example.org"})
    assert "readers" not in _groups(rig)
    assert not _plan_of(rig.plan()).steps
    assert {item.note for item in rig.drift().drift} == {IDP_GIVES}
    last = reading.recall(reading.path_of(rig.journals.folder, "it")).memory
    assert last is not None
    assert last.last is not None
    assert {key[1] for key in last.last if key[0] == "group"} == {"analysts", "idp"}


@pytest.mark.parametrize("after", [False, True])
def test_a_renaming_that_is_cut_off_is_finished(tmp_path: Path, *, after: bool) -> None:
    """Cut off before or after any call that writes, the run goes on to the same end, and leaves nothing to plan."""
    whole, changed = _renamed_group(tmp_path / "whole")
    _cut_at(whole, changed, 0, after=after)
    for number in whole.axe.wrote:
        rig, _ = _renamed_group(tmp_path / str(number))
        _cut_at(rig, changed, number, after=after)
        assert _groups(rig).keys() == {"analysts", "idp"}
        assert _groups(rig)["analysts"][1] == {"mia@example.org", "new@example.org"}
        assert not _plan_of(rig.plan()).steps
        assert {item.note for item in rig.drift().drift} == {IDP_GIVES}


def _cut_at(rig: Held, document: dict[str, Any], number: int, *, after: bool) -> None:
    """Apply a document, and where a number is given be killed at that request of the run, and go on."""
    rig.declare(document)
    plan = rig.plan().plan
    assert plan is not None
    rig.instance = replace(rig.instance, link=replace(rig.instance.link, transport=rig.axe))
    report = rig.cut_off(plan, number, after=after) if number else rig.apply(plan)
    assert {outcome.status for outcome in report.outcomes} <= {"done", "unchanged"}, report.outcomes


def test_both_names_at_once_are_told(tmp_path: Path) -> None:
    """Where a group of the new name is there already, nothing is renamed, and the old one is named."""
    rig, changed = _renamed_group(tmp_path)
    changed["groups"]["idp"] = changed["groups"].pop("analysts")
    rig.declare(json.loads(json.dumps(changed).replace("analysts", "idp")))
    part = _plan_of(rig.plan())
    told = [found.message for found in part.diagnostics if found.code == "former-group-remains"]
    assert told == ["`readers`, a former name of the group `idp`, is still there beside it"]
    assert not any(step.cause == "renamed" for step in part.steps)


def test_without_native_groups_their_members_get_it_one_by_one(tmp_path: Path) -> None:
    """The same file, personal grants; groups that are there are looked at and left."""
    rig = _rig(
        tmp_path,
        users={"mia": {"email": "mia@example.org"}},
        groups={"readers": ["mia"]},
        grants=[{"to": "readers", "role": "view", "sites": "*"}],
    )
    part = _plan_of(rig.plan())
    codes = {diagnostic.code for step in part.steps for diagnostic in step.diagnostics}
    _apply(rig)

    assert "group-gives-more" in codes
    assert [group.name for group in _state(rig).state.groups.values()] == ["idp"]
    assert not _plan_of(rig.plan()).steps


def test_members_of_a_directory_are_kept(tmp_path: Path) -> None:
    """`members: external`: the group gets its levels, and nobody is taken out of it."""
    rig = _rig(
        tmp_path,
        native=True,
        users={"mia": {"email": "mia@example.org"}},
        groups={"readers": {"native": "idp", "members": "external"}},
        grants=[{"to": "readers", "role": "view", "sites": "shop.example.org"}],
    )
    _apply(rig)

    (group,) = _state(rig).state.groups.values()
    assert {_state(rig).state.people[member].email for member in group.members} == {"mia@example.org"}
    assert not _plan_of(rig.plan()).steps


def test_modules_of_an_owner_are_nobodys_steps(tmp_path: Path) -> None:
    """Owners have all of them (API.md section 8): what the file says of theirs is kept for later."""
    rig = _rig(
        tmp_path,
        users={
            "mia": {"email": "mia@example.org", "modules": {"it": ["analytics"]}},
            "gone": {"email": "gone@example.org", "modules": {"it": ["analytics"]}},
        },
        grants=[{"to": "mia", "role": "admin", "on": "it"}],
    )
    _apply(rig)

    assert not _plan_of(rig.plan()).steps
    assert _state(rig).state.named("gone@example.org") is None


@pytest.mark.parametrize("spoken", [None, ["analytics"], []])
def test_modules_of_somebody_new(tmp_path: Path, spoken: list[str] | None) -> None:
    """Left alone where the file is silent, exactly as it says where it speaks, in one run."""
    user = {"email": "new@example.org", **({} if spoken is None else {"modules": {"it": spoken}})}
    rig = _rig(tmp_path, users={"new": user}, grants=[{"to": "new", "role": "view", "sites": "shop.example.org"}])
    _apply(rig)

    person = _state(rig).state.named("new@example.org")
    assert person is not None
    assert person.modules == (set(_state(rig).state.licensed) if spoken is None else set(spoken))
    assert not _plan_of(rig.plan()).steps


def test_a_suspended_person_has_no_modules_left(tmp_path: Path) -> None:
    """No access anywhere, the account kept, modules off."""
    rig = _rig(tmp_path, users={"ben": {"email": "ben@example.org", "state": "suspended"}, "anna": {"email": "anna@example.org"}},
               grants=[{"to": "anna", "role": "admin", "on": "it"}])  # fmt: skip
    _apply(rig)

    person = _state(rig).state.named("ben@example.org")
    assert person is not None
    assert (person.role, person.modules) == ("USER", set())
    assert not [
        level for key, level in _state(rig).state.levels.items() if key[3] == person.id and level != "no-access"
    ]
    assert not _plan_of(rig.plan()).steps


def test_after_a_demotion_the_rows_are_reconciled_in_the_same_run(tmp_path: Path) -> None:
    """What slept on the blog is taken, what is granted on the shop is there, and modules are as they were."""
    rig = _rig(
        tmp_path,
        users={"ben": {"email": "ben@example.org"}, "anna": {"email": "anna@example.org"}},
        grants=[
            {"to": "ben", "role": "view", "sites": "shop.example.org"},
            {"to": "anna", "role": "admin", "on": "it"},
        ],
    )
    _apply(rig)

    state = _state(rig).state
    ben = state.named("ben@example.org")
    assert ben is not None
    held_now = {state.apps[key[1]].name: level for key, level in state.levels.items() if key[3] == ben.id}
    assert held_now == {"shop.example.org": "view", "blog.example.org": "no-access"}
    assert ben.modules == set(state.licensed)
    assert not _plan_of(rig.plan()).steps


def test_what_wakes_on_sites_nobody_looks_at_is_left(tmp_path: Path) -> None:
    """`manages` bounds this too."""
    rig = _rig(
        tmp_path,
        users={"ben": {"email": "ben@example.org"}, "anna": {"email": "anna@example.org"}},
        grants=[
            {"to": "ben", "role": "view", "sites": "shop.example.org"},
            {"to": "anna", "role": "admin", "on": "it"},
        ],
    )
    document = {
        **rig.document,
        "instances": {"it": {**rig.document["instances"]["it"], "manages": ["shop.example.org"]}},
    }
    rig.declare(document)
    _apply(rig)

    state = _state(rig).state
    ben = state.named("ben@example.org")
    assert ben is not None
    held_now = {state.apps[key[1]].name: level for key, level in state.levels.items() if key[3] == ben.id}
    assert held_now == {"shop.example.org": "view", "blog.example.org": "manage"}


def test_an_address_of_another_account_does_not_stop_the_rest(tmp_path: Path) -> None:
    """A conflict, told with what to do; what depends on it is skipped."""
    rig = _rig(
        tmp_path,
        users={"new": {"email": "new@example.org"}, "mia": {"email": "mia@example.org"}},
        grants=[{"to": ["new", "mia"], "role": "view", "sites": "shop.example.org"}],
    )
    _state(rig).state.elsewhere.add("new@example.org")
    plan = rig.plan().plan
    assert plan is not None

    outcomes = rig.apply(plan).outcomes

    assert sorted(outcome.status for outcome in outcomes) == ["done", "failed", "skipped"]
    assert any("another Piwik PRO account" in outcome.message for outcome in outcomes)


def test_the_person_behind_the_key_cannot_be_declared(tmp_path: Path) -> None:
    """A key that a declared human made dies with that human: refused, though the file does not name `self`."""
    rig = _rig(
        tmp_path,
        instances={"it": {"platform": "piwik-pro", "url": "http://127.0.0.1:1"}},
        users={"me": {"email": SELF}, "mia": {"email": "mia@example.org"}},
        grants=[{"to": ["me", "mia"], "role": "view", "sites": "shop.example.org"}],
    )
    report = rig.plan()

    assert "self-declared" in {
        diagnostic.code for part in (_plan_of(report),) for diagnostic in part.diagnostics if diagnostic.blocks
    }


def test_drift_names_who_did_it_and_when(tmp_path: Path) -> None:
    """The audit log tells, since the last run."""
    rig = _rig(
        tmp_path,
        users={"mia": {"email": "mia@example.org"}},
        grants=[{"to": "mia", "role": "view", "sites": "shop.example.org"}],
    )
    _apply(rig)
    state = _state(rig).state
    mia, anna = state.named("mia@example.org"), state.named("anna@example.org")
    assert mia is not None
    assert anna is not None
    shop = next(app.id for app in state.apps.values() if app.name == "shop.example.org")
    state.levels["app", shop, "user", mia.id] = "manage"
    state.log(NOW + timedelta(hours=1), anna, "permission.user.changed.app", mia.id, {"id": shop})
    run = Run(created=NOW, as_of=NOW, allowance=Allowance(accept={}, allow_delete=False, passwords=rig.passwords))

    items = drift(rig.project, [rig.instance], rig.journals, run).drift

    (item,) = (item for item in items if item.kind == "changed-since")
    assert item.note is not None
    assert item.note.startswith("anna@example.org on 2026-11-22T13:00:00Z")


def test_the_plan_tells_calls_minutes_and_what_is_cheaper(tmp_path: Path) -> None:
    """On the instance's part of the plan."""
    rig = _rig(tmp_path, users={"mia": {"email": "mia@example.org"}},
               grants=[{"to": "mia", "role": "view", "sites": "shop.example.org"}])  # fmt: skip
    part = _plan_of(rig.plan())

    (cost,) = (diagnostic for diagnostic in part.diagnostics if diagnostic.code == "cost")
    assert cost.severity == Severity.NOTE
    assert cost.message == "1 write, about 1 s at 60 a minute"


@given(world=worlds(), chosen=st.data())
@settings(max_examples=settings().max_examples // 5)
def test_the_laws_hold_with_native_groups(
    tmp_path_factory: pytest.TempPathFactory, world: World, chosen: st.DataObject
) -> None:
    """After a completed apply nothing is left but what was announced, whatever groups, modules and levels are wished."""
    people = [account.login for account in world.accounts if account.login != SELF]
    declared = chosen.draw(st.lists(st.sampled_from([*people, "gina@example.org"]), unique=True, min_size=1))
    handles = {f"u{at}": email for at, email in enumerate(declared)}
    modules = st.lists(st.sampled_from(["analytics", "tag_manager"]), unique=True)
    some = st.lists(st.sampled_from(sorted(handles)), unique=True)
    grants = [
        {"to": name, "role": role, "sites": site}
        for name in ("Analysts", "newsroom")
        for site, role in chosen.draw(
            st.dictionaries(
                st.sampled_from([site.domain for site in world.sites]),
                st.sampled_from(["view", "edit", "publish", "manage"]),
            )
        ).items()
    ]
    rig = _rig(
        tmp_path_factory.mktemp("it"),
        native=True,
        world=world,
        users={
            handle: {
                "email": email,
                **({"modules": {"it": chosen.draw(modules)}} if chosen.draw(st.booleans()) else {}),
                **({"state": "suspended"} if chosen.draw(st.integers(0, 5)) == 0 else {}),
            }
            for handle, email in handles.items()
        },
        groups={"Analysts": chosen.draw(some), "newsroom": chosen.draw(some)},
        grants=grants or [{"to": "Analysts", "role": "view", "sites": world.sites[0].domain}],
    )
    plan = rig.plan().plan
    assert plan is not None
    assert rig.fake.writes == 0

    outcomes = rig.apply(plan).outcomes

    assert {outcome.status for outcome in outcomes} <= {"done", "already", "blocked", "skipped"}
    announced = {outcome.step.change.key for outcome in outcomes if outcome.status in {"blocked", "skipped"}}
    assert {step.change.key for step in _plan_of(rig.plan()).steps} <= announced


SLEEPING: dict[str, Any] = {
    "users": {
        "ben": {"email": "ben@example.org", "state": "suspended"},
        "anna": {"email": "anna@example.org"},
        "new": {"email": "new@example.org", "modules": {"it": "analytics"}},
    },
    "grants": [
        {"to": "anna", "role": "admin", "on": "it"},
        {"to": "new", "role": "view", "sites": "shop.example.org"},
    ],
}


def _killed_on_the_way(folder: Path) -> Held:
    rig = _rig(folder, **SLEEPING)
    Rig.declare(rig, rig.document)
    return rig


def test_what_a_call_brings_along_is_taken_back_after_a_crash_too(tmp_path: Path) -> None:
    """Killed before or after any request of an apply, a demotion's sleeping levels and an invitation's modules close."""
    whole = _killed_on_the_way(tmp_path / "whole")
    _apply(whole)
    wrote = whole.axe.wrote
    assert len(wrote) > 4
    for number in range(wrote[0], wrote[-1] + 1):
        for after in (False, True):
            rig = _killed_on_the_way(tmp_path / f"{number}{after}")
            plan = rig.plan().plan
            assert plan is not None
            rig.cut_off(plan, number, after=after)
            assert rig.access() == whole.access(), (number, after)
            assert not _plan_of(rig.plan()).steps


@pytest.mark.parametrize(("times", "statuses"), [(2, {"done"}), (1000, {"done", "unknown", "skipped"})])
def test_what_a_call_brings_along_stays_open_until_it_is_closed(times: int, statuses: set[str], tmp_path: Path) -> None:
    """A server that refuses to close modules for a while: it is tried once more, and then `--resume` finishes."""
    whole = _killed_on_the_way(tmp_path / "whole")
    _apply(whole)
    rig = _killed_on_the_way(tmp_path / "refused")
    plan = rig.plan().plan
    assert plan is not None
    rig.fake.faults.append(Fault.parse(f"500x{times}:PUT /api/modules"))
    report = rig.apply(plan)
    assert {outcome.status for outcome in report.outcomes} <= statuses
    unknown = [outcome for outcome in report.outcomes if outcome.status == "unknown"]
    assert bool(unknown) == ("unknown" in statuses)
    assert all(outcome.hint == "siteward apply --resume" for outcome in unknown)
    rig.fake.faults.clear()
    rig.apply(plan, resume=True)
    assert rig.access() == whole.access()
