"""The law of lost answers, on every platform: whatever becomes of one write, nothing wrong is said and the end is the same.

1. What is told as failed did not take place. 2. A write that comes late is nobody else's. 3. Once it is settled, another
plan and apply lead to where an undisturbed run leads.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rig import Rig
from siteward.access.model import Access
from siteward.access.report import Report
from siteward.platforms.fakery import Fake, in_process
from siteward.reconcile.apply.revalidate import reached
from spine.test_laws import RELEASES, cases, rig_of

Fate = Literal["undone", "done", "late"]


@dataclass
class Thief(httpx.BaseTransport):
    """A transport that loses the answer to the request of number `at`: it took place, did not, or does when `delivered`."""

    fake: Fake
    at: int
    fate: Fate

    def __post_init__(self) -> None:
        self._inner = in_process(self.fake)
        self._count = 0
        self._kept: httpx.Request | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._count += 1
        if self._count != self.at:
            return self._inner.handle_request(request)
        if self.fate == "done":
            self._inner.handle_request(request)
        if self.fate == "late":
            self._kept = request
        raise httpx.ReadTimeout("nobody waits longer", request=request)

    def deliver(self) -> None:
        """Let the server carry out what it was sent long ago."""
        if self._kept is not None:
            self._inner.handle_request(self._kept)


def robbed(rig: Rig, at: int, fate: Fate) -> Thief:
    thief = Thief(rig.fake, at, fate)
    rig.instance = replace(rig.instance, link=replace(rig.instance.link, transport=thief))
    return thief


def told(report: Report) -> list[Any]:
    return [(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]


def applied(rig: Rig) -> Report:
    plan = rig.plan().plan
    assert plan is not None
    return rig.apply(plan)


@pytest.mark.parametrize("fate", ["undone", "done", "late"])
@pytest.mark.parametrize(("platform", "release"), RELEASES)
@given(data=st.data())
@settings(max_examples=max(1, settings().max_examples // 25))
def test_a_lost_answer_leads_to_the_same_end(platform: str, release: str, fate: Fate, data: st.DataObject) -> None:
    world, document = data.draw(cases(platform, release))
    with tempfile.TemporaryDirectory() as folder:
        whole, shaken = (rig_of(platform, release, world, document, f"{folder}/{name}") for name in ("whole", "shaken"))
        applied(whole)
        if not whole.axe.wrote:
            return
        plan = shaken.plan().plan
        assert plan is not None
        # The plan above has been read through another transport, so the numbers of the writes begin later there.
        before = whole_requests(platform, release, world, document, f"{folder}/count")
        at = data.draw(st.sampled_from(whole.axe.wrote)) - before
        thief = robbed(shaken, at, fate)
        report = shaken.apply(plan)
        note(f"lost request {at}; outcomes: {told(report)}")
        for outcome in report.outcomes:
            if outcome.status == "failed":
                assert not reached(outcome.step.change, shaken.access())
        thief.deliver()
        drift = shaken.drift()
        note(f"drift: {[(item.kind, item.live, item.declared, item.note) for item in drift.drift]}")
        assert [item for item in drift.drift if item.kind == "changed-since"] == []
        shaken.now += timedelta(minutes=11)
        for _ in range(2):
            note(f"then: {told(applied(shaken))}")
        assert folded(shaken.access()) == folded(whole.access())


def folded(access: Access) -> list[str]:
    """Return an access without letter case, which is lost when somebody is gone and comes back."""
    return sorted(repr(resource).casefold() for resource in access.values())


def whole_requests(platform: str, release: str, world: Any, document: Any, folder: str) -> int:
    """Return the number of requests that a plan takes."""
    rig = rig_of(platform, release, world, document, folder)
    rig.plan()
    return rig.axe.count
