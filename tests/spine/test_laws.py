"""The laws, over random worlds and declarations, on every platform and release that has a stand-in.

1. A plan changes nothing. 2. After a completed apply a new plan holds only what the first announced as waiting,
manual, held back or blocked. 3. An unchanged world plans nothing. 4. Nobody outside the plan is touched. 5. A crash
at any write leaves a journal from which resume reaches the same end. 6. Applying sends as many requests as were told.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rig import NOW, Rig, part
from siteward import platforms
from siteward.access.model import account_of
from siteward.access.report import exit_code
from siteward.platforms.fakery import Fault
from spine.wishes import wishes

if TYPE_CHECKING:
    from siteward.access.report import Report


RELEASES = [(name, release) for name in platforms.names() for release in platforms.fake(name).releases]


def worlds_of(platform: str) -> Any:
    return importlib.import_module(f"platforms.{platforms.folder_of(platform)}.worlds")


@st.composite
def cases(draw: st.DrawFn, platform: str, release: str) -> tuple[Any, dict[str, Any]]:
    module = worlds_of(platform)
    world = draw(module.worlds(release))
    document = draw(wishes(platform, platforms.load(platform).widest, world, module.SETTINGS))
    return world, document


def rig_of(platform: str, release: str, world: Any, document: dict[str, Any], folder: str) -> Rig:
    fake = platforms.fake(platform).of(world, release, clock=lambda: NOW)
    return Rig(Path(folder), fake, document)


def steps(report: Report) -> dict[Any, Any]:
    assert report.plan is not None, [diagnostic.message for diagnostic in report.diagnostics]
    return {step.change.key: step for instance in report.plan.instances for step in instance.steps}


def check_requests(report: Report, sent: int, rig: Rig) -> None:
    """Fail where something was written and the plan had told far more or fewer requests than that took."""
    told = part(report).requests
    if rig.fake.writes:
        assert told / 1.5 <= sent <= told * 1.5, (told, sent)


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 3)
def test_the_laws_hold(platform: str, release: str, data: st.DataObject) -> None:
    """Plan changes nothing; after apply nothing is left but what was announced; nobody else is touched."""
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        rig = rig_of(platform, release, world, document, folder)
        before = rig.access()
        first = rig.plan()
        assert rig.fake.writes == 0
        planned = steps(first)
        assert first.plan is not None
        asked = rig.axe.count
        report = rig.apply(first.plan)
        check_requests(first, rig.axe.count - asked, rig)
        note(f"outcomes: {[(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]}")
        note(f"said: {[(diagnostic.code, diagnostic.message) for diagnostic in report.diagnostics]}")
        assert {outcome.status for outcome in report.outcomes} <= {"done", "already", "blocked", "skipped"}
        announced = {outcome.step.change.key for outcome in report.outcomes if outcome.status in {"blocked", "skipped"}}
        second = steps(rig.plan())
        assert set(second) <= announced
        writes = rig.fake.writes
        again = rig.plan().plan
        assert again is not None
        assert exit_code(rig.apply(again)) in {0, 1, 3, 4}
        # What was blocked may be free by what the first run did: a new admin counts once they are there.
        assert rig.fake.writes == writes or any(instance.runnable for instance in again.instances)
        touched = {account_of(key) for key in planned}
        after = rig.access()
        for key in before.keys() | after.keys():
            if account_of(key) not in touched and key not in planned:
                assert before.get(key) == after.get(key), key


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 5)
def test_nobody_else_is_blamed_for_what_we_did(platform: str, release: str, data: st.DataObject) -> None:
    """Whether all of a plan is applied or a part of it, nothing of what comes of that is told as somebody else's."""
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        rig = rig_of(platform, release, world, document, folder)
        some = data.draw(st.sets(st.integers(1, 12)))
        for only in (lambda *_: False, lambda _, step: int(step.id[1:]) in some, None):
            reviewed = rig.plan().plan
            assert reviewed is not None
            report = rig.apply(reviewed, only=only)
            note(f"outcomes: {[(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]}")
            told = [drift_item for drift_item in rig.drift().drift if drift_item.kind == "changed-since"]
            assert told == []


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 5)
def test_a_run_killed_at_any_write_resumes_to_the_same_end(platform: str, release: str, data: st.DataObject) -> None:
    """Killed before a write was sent, or after it took place and before it was journalled: the end is the same."""
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = (rig_of(platform, release, world, document, f"{folder}/{name}") for name in ("whole", "killed"))
        reviewed = whole.plan().plan
        assert reviewed is not None
        whole.apply(reviewed)
        if not whole.axe.wrote:
            return
        plan = killed.plan().plan
        assert plan is not None
        report = killed.cut_off(plan, data.draw(st.sampled_from(whole.axe.wrote)), after=data.draw(st.booleans()))
        note(f"outcomes: {[(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]}")
        note(f"said: {[(diagnostic.code, diagnostic.message) for diagnostic in report.diagnostics]}")
        assert killed.access() == whole.access()


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 5)
def test_a_lost_answer_is_settled_by_reading(platform: str, release: str, data: st.DataObject) -> None:
    """An answer that is lost, or a 500 after the write took place, changes nothing about the end."""
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        whole, shaken = (rig_of(platform, release, world, document, f"{folder}/{name}") for name in ("whole", "shaken"))
        reviewed, plan = whole.plan().plan, shaken.plan().plan
        assert reviewed is not None
        assert plan is not None
        whole.apply(reviewed)
        if whole.fake.writes:
            at = data.draw(st.integers(0, whole.fake.writes - 1))
            kind = data.draw(st.sampled_from(("cut-after-write", "500-after-write")))
            shaken.fake.faults.append(Fault.parse(f"{kind}@{at}"))
        report = shaken.apply(plan)
        note(f"outcomes: {[(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]}")
        assert shaken.access() == whole.access()
