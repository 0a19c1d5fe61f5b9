"""Waivers beside what was read: which are of nothing, and of which that cannot be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from siteward.access.diagnostic import Accepted, Diagnostic, warning
from siteward.access.plan import InstancePlan, Waived
from siteward.access.policy import Waiver
from siteward.access.state import Listing
from siteward.reconcile.waivers import find_unused, list_waived

AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
SEEN = replace(warning("orphan-site", "blog belongs to nobody", thing="blog"), seen="a" * 16)


def part(name: str, *said: Diagnostic, **fields: Any) -> InstancePlan:
    return InstancePlan(
        instance=name, platform="umami", origin="https://x.example.org", mode="full", diagnostics=said, **fields
    )


def waiver(**fields: Any) -> Waiver:
    whole: dict[str, Any] = {"rule": "orphan-site", "about": "blog", "reason": "x", "seen": "b" * 16}
    return Waiver(**(whole | {"until": AS_OF + timedelta(days=9)} | fields))


@pytest.mark.parametrize(
    ("fields", "parts", "told"),
    [
        ({"seen": "a" * 16}, [part("stats", SEEN), part("shop")], ""),
        ({}, [part("stats"), part("shop")], "of no finding"),
        ({}, [part("stats", SEEN), part("shop")], "of other facts"),
        ({"about": None}, [part("stats", SEEN), part("shop")], "of no finding"),
        ({"on": ("shop",)}, [part("stats", SEEN), part("shop")], "of no finding"),
        ({"on": ("shop",), "seen": "a" * 16}, [part("stats", SEEN), part("shop")], "of no finding"),
        ({}, [part("stats")], ""),
        ({"on": ("stats",)}, [part("stats")], "of no finding"),
        ({}, [part("stats"), part("shop", unreadable=("sites",))], ""),
        ({}, [part("stats"), part("shop", listings=(Listing(name="sites", rows=3, complete=False, proof=""),))], ""),
        ({"until": AS_OF}, [part("stats"), part("shop")], ""),
    ],
)
def test_a_waiver_of_nothing_is_told_where_all_was_read(
    fields: dict[str, Any], parts: list[InstancePlan], told: str
) -> None:
    """While one of its instances was not read whole, what it is of may be there."""
    found = list(find_unused((waiver(**fields),), parts, ("stats", "shop"), AS_OF))
    assert [said.code for said in found] == (["waiver-unused"] if told else [])
    assert all(told in said.message for said in found)


def test_a_plan_lists_each_waived_finding_once() -> None:
    waived = replace(SEEN, waived=Accepted("x", "2026-12-31"))
    nameless = replace(waived, code="orphan-grant", thing=None)
    assert list_waived([part("stats", SEEN, waived, nameless), part("shop", waived)]) == (
        Waived(rule="orphan-grant", about="", until="2026-12-31"),
        Waived(rule="orphan-site", about="blog", until="2026-12-31"),
    )
