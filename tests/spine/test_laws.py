"""The laws, over random worlds and declarations, on every platform and release that has a stand-in.

1. A plan changes nothing. 2. After a completed apply a new plan holds only what the first announced as waiting,
manual, held back or blocked. 3. An unchanged world plans nothing. 4. Nobody outside the plan is touched. 5. A crash
at any write leaves a journal from which resume reaches the same end.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from siteward import platforms
from siteward.access.model import account_of
from siteward.access.report import exit_code
from spine.rig import NOW, Rig
from spine.wishes import wishes

if TYPE_CHECKING:
    from siteward.access.model import Access
    from siteward.access.report import Report


RELEASES = [(name, release) for name in platforms.names() for release in platforms.fake(name).releases]


def worlds_of(platform: str) -> Any:
    return importlib.import_module(f"platforms.{platform.replace('-', '')}.worlds")


@st.composite
def cases(draw: st.DrawFn, platform: str, release: str) -> tuple[Any, dict[str, Any]]:
    module = worlds_of(platform)
    world = draw(module.worlds(release))
    document = draw(wishes(platform, platforms.load(platform).widest, world, module.SETTINGS))
    return world, document


def rig_of(platform: str, release: str, world: Any, document: dict[str, Any], folder: str) -> Rig:
    fake = platforms.fake(platform).of(world, release, clock=lambda: NOW)
    return Rig(Path(folder), fake, document)


def access_of(rig: Rig) -> Access:
    with rig.instance.reading() as reader:
        traits = rig.instance.platform.probe(reader, rig.instance.settings)
        return rig.instance.platform.read(reader, rig.instance.settings, traits).access


def steps(report: Report) -> dict[Any, Any]:
    assert report.plan is not None, [each.message for each in report.diagnostics]
    return {each.change.key: each for part in report.plan.instances for each in part.steps}


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
def test_the_laws_hold(platform: str, release: str, data: st.DataObject) -> None:
    """Plan changes nothing; after apply nothing is left but what was announced; nobody else is touched."""
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        rig = rig_of(platform, release, world, document, folder)
        before = access_of(rig)
        first = rig.plan()
        assert rig.fake.writes == 0
        planned = steps(first)
        report = rig.apply(first.plan)
        note(f"outcomes: {[(each.step.change, each.status, each.message) for each in report.outcomes]}")
        note(f"said: {[(each.code, each.message) for each in report.diagnostics]}")
        assert {each.status for each in report.outcomes} <= {"done", "already", "blocked", "skipped"}
        announced = {each.step.change.key for each in report.outcomes if each.status in {"blocked", "skipped"}}
        second = steps(rig.plan())
        assert set(second) <= announced
        writes = rig.fake.writes
        assert exit_code(rig.apply(rig.plan().plan)) in {0, 3, 4}
        assert rig.fake.writes == writes
        touched = {account_of(key) for key in planned}
        after = access_of(rig)
        for key in before.keys() | after.keys():
            if account_of(key) not in touched and key not in planned:
                assert before.get(key) == after.get(key), key


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=20)
def test_a_crash_at_any_write_resumes_to_the_same_end(platform: str, release: str, data: st.DataObject) -> None:
    """Wherever the line goes down, before or after the write took place, resume reaches the end of a whole run."""
    from siteward.platforms.fakery import Fault

    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        whole = rig_of(platform, release, world, document, f"{folder}/whole")
        reviewed = whole.plan().plan
        assert reviewed is not None
        whole.apply(reviewed)
        total = whole.fake.writes
        broken = rig_of(platform, release, world, document, f"{folder}/broken")
        plan = broken.plan().plan
        assert plan is not None
        if total:
            at = data.draw(st.integers(0, total - 1))
            kind = data.draw(st.sampled_from(("cut-after-write", "500-after-write")))
            broken.fake.faults.append(Fault.parse(f"{kind}@{at}"))
        report = broken.apply(plan)
        broken.fake.faults.clear()
        broken.fake.faults.clear()
        for _ in range(3):
            if not any(each.status in {"unknown", "failed", "skipped"} for each in report.outcomes):
                break
            again = broken.plan().plan
            assert again is not None
            report = broken.apply(again)
        assert access_of(broken) == access_of(whole)
