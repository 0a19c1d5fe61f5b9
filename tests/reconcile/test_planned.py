"""A plan of all instances of a file, and drift: one that cannot be read fails apart, and nothing is left unsaid."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import ADMINS, BLOG, SHOP, Small, Somebody, edit, rig, view
from reconcile.asked import asked, looked_at
from rig import NOW, Killed
from siteward import __version__
from siteward.access import codec
from siteward.access.diagnostic import error
from siteward.access.model import Account, Scope, Subject, grant_key
from siteward.platforms.fakery import Fault
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal.reading import path_of
from siteward.reconcile.plan import Run, drift, plan, plan_and_survey

if TYPE_CHECKING:
    from siteward.access.report import Report


def run(small: Small, **more: Any) -> Run:
    allowance = Allowance(accept={}, allow_delete=True, passwords=small.passwords)
    return Run(**{"created": NOW, "as_of": NOW + timedelta(hours=1), "allowance": allowance, **more})


def planned(small: Small, **more: Any) -> Report:
    return plan(small.project, [small.instance], small.journals, run(small, **more))


def codes(report: Report) -> list[str]:
    found = report.plan.diagnostics if report.plan else report.diagnostics
    return [diagnostic.code for diagnostic in found]


def test_a_plan_says_what_it_was_made_from(tmp_path: Path) -> None:
    """Program, file, moment, and a digest over all of it."""
    small = rig(tmp_path)
    report = planned(small, as_of_given=True)
    assert report.plan is not None
    made = report.plan
    assert (made.tool, made.created, made.as_of, made.as_of_given) == (__version__, NOW, NOW + timedelta(hours=1), True)
    assert (made.config, made.config_digest, made.files) == ("access.yaml", small.project.loaded.digest, 1)
    assert (made.commit, made.dirty) == (None, False)
    assert made.digest == codec.digest(made)
    assert made.digest.startswith("sha256:")
    assert (report.command, report.files, report.next) == ("plan", 1, None)
    assert report.texts == small.project.loaded.texts
    (part,) = made.instances
    assert (part.instance, part.platform, part.origin) == ("it", "umami", "http://127.0.0.1:1")
    assert part.read_requests > 0
    assert part.steps == ()


def needs(report: Report) -> dict[str, int]:
    assert report.plan is not None
    return {need.need: need.steps for need in report.plan.needs}


def test_a_plan_says_what_whoever_applies_has_to_give(tmp_path: Path) -> None:
    """A destination for passwords and consent to delete, with the steps that need them; given to the plan or not."""
    assert needs(planned(rig(tmp_path / "same"))) == {}
    users = {"nina": {}, "noor": {}, "dora": {"state": "absent"}}
    small = rig(tmp_path / "more", users=users, grants=[ADMINS, view("carla"), edit(["nina", "noor"])])
    assert needs(planned(small)) == {"passwords": 2, "deletions": 1}
    bare = Allowance(accept={}, allow_delete=False, passwords=replace(small.passwords, out=None))
    assert needs(planned(small, allowance=bare)) == {"passwords": 2, "deletions": 1}


def test_a_step_that_nobody_can_allow_needs_nothing(tmp_path: Path) -> None:
    """An admin who is the last one is not deleted, with whatever consent."""
    users = {"dora": {"state": "absent"}, "ben": {"state": "absent"}}
    small = rig(tmp_path, users=users, grants=[ADMINS, view("carla")], policy={"admins": {"min": 2}})
    assert needs(planned(small)) == {"deletions": 1}


def test_what_applying_will_cost_is_in_the_plan(tmp_path: Path) -> None:
    """The requests that the platform needs for the steps; none where nothing is to be done."""
    assert asked(tmp_path / "same").plan.requests == 0
    assert asked(tmp_path / "less", grants=[ADMINS, edit("dora")]).plan.requests > 0


def test_the_account_names_of_the_instance_are_known_with_their_handles(tmp_path: Path) -> None:
    """Live and declared, so that privacy can hide all of them."""
    report = planned(rig(tmp_path, users={"carla": {}, "dora": {"logins": {"it": "dora"}}, "nina": {}}))
    assert report.accounts is not None
    names = report.accounts["it"]
    assert names["carla"] == "carla"
    assert names["petra"] is None
    assert "siteward" in names


def test_an_instance_that_does_not_answer_fails_apart(tmp_path: Path) -> None:
    """It is named at its place in the file, and the others are planned."""
    small = rig(tmp_path)
    other = replace(small.instance, env={})
    alone = plan(small.project, [other], small.journals, run(small))
    assert alone.plan is None
    (found,) = alone.diagnostics
    assert (found.code, found.instance, found.blocks) == ("credential-missing", "it", True)
    assert found.at == small.project.declaration.instances["it"].at
    assert found.hint
    small.fake.faults.append(Fault.parse("500x0"))
    (broken,) = planned(small).diagnostics
    assert (broken.instance, broken.blocks) == ("it", True)


def test_a_journal_that_cannot_be_relied_on_stops_its_instance(tmp_path: Path) -> None:
    """Nothing is sent to it."""
    small = rig(tmp_path)
    small.journals.folder.mkdir()
    path_of(small.journals.folder, "it").write_text("nonsense\n", encoding="utf-8")
    before = len(small.fake.calls)
    report = planned(small)
    assert report.plan is None
    assert codes(report) == ["journal-broken"]
    assert report.diagnostics[0].instance == "it"
    assert len(small.fake.calls) == before


def test_a_name_that_exists_nowhere_is_said_of_the_plan(tmp_path: Path) -> None:
    """With the errors of the instance, no step may be done."""
    report = planned(rig(tmp_path, grants=[ADMINS, view("carla", "nowhere.example.org"), edit("dora")]))
    assert report.plan is not None
    (part,) = report.plan.instances
    assert part.flawed
    assert "unknown-site" in {diagnostic.code for diagnostic in part.diagnostics}
    assert part.runnable == ()


def test_sites_of_a_snapshot_are_planned_on_without_a_server(tmp_path: Path) -> None:
    """Nothing is sent, and the plan costs no reading."""
    small = rig(tmp_path, grants=[ADMINS, edit("dora")])
    seen = looked_at(small).survey
    before = len(small.fake.calls)
    report, (survey,) = plan_and_survey(
        small.project, [small.instance], small.journals, run(small, snapshots={"it": (seen.traits, seen.live)})
    )
    assert len(small.fake.calls) == before
    assert report.plan is not None
    assert report.plan.instances[0].read_requests == 0
    assert [step.change.key for step in report.plan.instances[0].steps] == [
        grant_key(Subject("account", "carla"), Scope("site", SHOP))
    ]
    assert survey.as_of == NOW + timedelta(hours=1)


def test_what_would_be_changed_of_resources_that_are_not_there_is_told(tmp_path: Path) -> None:
    """As if they were live: what the file does not wish is unwanted, and what it wishes is not."""
    survey = asked(tmp_path).survey
    (wished,) = [
        grant for grant in survey.live.access.grants() if grant.subject.name == "carla" and grant.scope.name == SHOP
    ]
    other = replace(wished, scope=Scope("site", BLOG))
    assert survey.unwanted([Account("carla"), wished]) == frozenset()
    assert survey.unwanted([Account("carla"), wished, other]) == {other.key}


def test_errors_about_other_keys_do_not_stand_against_a_step(tmp_path: Path) -> None:
    """Those about the whole instance do."""
    survey = asked(tmp_path, grants=[ADMINS, view("carla", "nowhere.example.org"), edit("dora")]).survey
    assert survey.standing([]) == ()  # an error of one line
    whole = replace(survey, desired=replace(survey.desired, diagnostics=(error("x", "all of it"),)))
    assert [found.code for found in whole.standing([])] == ["x"]
    about = replace(survey.desired.diagnostics[0], about=("account", "carla"))
    narrow = replace(survey, desired=replace(survey.desired, diagnostics=(about,)))
    assert narrow.standing([("account", "dora")]) == ()
    assert narrow.standing([("account", "carla")]) == (about,)


# -- drift


def drifted(small: Small) -> Report:
    return drift(small.project, [small.instance], small.journals, run(small))


def test_drift_asks_for_no_consent(tmp_path: Path) -> None:
    """What an apply would block is a difference here, and told as one."""
    small = rig(
        tmp_path, grants=[{"to": "anna", "role": "admin", "on": "it"}], policy={"limits": {"removals": {"count": 0}}}
    )
    report = drifted(small)
    assert report.command == "drift"
    assert {item.kind for item in report.drift or ()} == {"undeclared"}
    assert len(report.drift or ()) == 3
    assert all(item.instance == "it" for item in report.drift or ())
    assert drifted(rig(tmp_path / "same")).drift == ()


def test_an_instance_that_was_not_read_has_no_drift_and_an_error(tmp_path: Path) -> None:
    """It is not told as being without any."""
    small = rig(tmp_path)
    small.fake.faults.append(Fault.parse("500x0"))
    report = drifted(small)
    assert report.plan is None
    assert report.diagnostics[0].blocks


def test_what_somebody_did_since_the_last_apply_is_told_apart(tmp_path: Path) -> None:
    """The journal knows what was left; an interrupted run is said, with what finishes it."""
    small = rig(tmp_path, grants=[ADMINS, view("carla"), edit("dora"), view("dora", BLOG)])
    reviewed = planned(small).plan
    assert reviewed is not None
    small.apply(reviewed)
    assert drifted(small).drift == ()
    Somebody(small.fake).sets("carla", "team-manager")
    (item,) = drifted(small).drift or ()
    assert item.kind == "changed-since"
    assert planned(small).next is None


def test_an_apply_that_was_interrupted_is_named_in_every_plan(tmp_path: Path) -> None:
    """A warning on the instance, and the command that finishes it; once that is done, nothing is said any more."""
    wishes: dict[str, Any] = {"grants": [ADMINS, view("carla"), edit("dora"), view("dora", BLOG)]}
    trial = rig(tmp_path / "trial", **wishes)
    reviewed = planned(trial).plan
    assert reviewed is not None
    trial.apply(reviewed)
    small = rig(tmp_path / "cut", **wishes)
    reviewed = planned(small).plan
    assert reviewed is not None
    small.axe.at, small.axe.after = trial.axe.wrote[0], True
    with pytest.raises(Killed):
        small.apply(reviewed)
    small.axe.at = 0
    report = planned(small)
    assert report.next == RESUME
    assert report.plan is not None
    (cut,) = [found for found in report.plan.instances[0].diagnostics if found.code == "unfinished-run"]
    assert cut.message == "an apply was interrupted here and not finished"
    assert cut.hint == f"{RESUME} finishes it"
    assert not cut.blocks
    small.apply(reviewed, resume=True)
    assert planned(small).next is None
