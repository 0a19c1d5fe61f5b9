"""Waivers: which findings they silence, for how long, and by which fingerprint."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import siteward
from siteward.access import catalog
from siteward.access.catalog import RULES, WAIVABLE
from siteward.access.diagnostic import Accepted, Diagnostic, error, note, warning
from siteward.access.model import account_key
from siteward.access.policy import Policy, Waiver, strictest
from siteward.access.waivers import fingerprint, silenced

AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
ORPHAN = warning("orphan-site", "site blog belongs to nobody", thing="blog", facts=("id-1",))


def seen_of(said: Diagnostic, instance: str = "stats") -> str:
    return fingerprint(said.code, instance, said.thing, said.facts)


def waiver(said: Diagnostic = ORPHAN, **fields: Any) -> Waiver:
    whole: dict[str, Any] = {"rule": said.code, "about": said.thing, "reason": "press page", "seen": seen_of(said)}
    end = {"until": AS_OF + timedelta(days=30), "ends": "2026-12-30"}
    return Waiver(**(whole | end | fields))


def waived(said: Diagnostic, *waivers: Waiver, instance: str = "stats", as_of: datetime = AS_OF) -> Accepted | None:
    (found,) = silenced((said,), instance, waivers, as_of)
    return found.waived


def test_a_waiver_silences_what_was_seen_and_says_why() -> None:
    assert waived(ORPHAN, waiver()) == Accepted("press page", "2026-12-30")
    assert waived(ORPHAN, waiver(about=None, on=("stats",))) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "ghost-member"},
        {"on": ("shop",)},
        {"about": "docs"},
        {"about": "*"},
        {"seen": "0" * 16},
        {"until": AS_OF},
        {"until": AS_OF + timedelta(days=402)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_waiver_of_anything_else_silences_nothing(fields: dict[str, Any]) -> None:
    assert waived(ORPHAN, waiver(**fields)) is None


@pytest.mark.parametrize(
    "said",
    [
        error("orphan-site", "x", thing="blog", facts=("id-1",)),
        note("orphan-site", "x", thing="blog", facts=("id-1",)),
        warning("orphan-site", "x", thing="blog", facts=("id-1",), differs=True),
        warning("orphan-site", "x", thing="blog", facts=("id-1",), effect="opens"),
        warning("orphan-site", "x", thing="blog", facts=("id-1",), about=account_key("anna")),
        warning("too-few-admins", "x", thing="blog", facts=("id-1",)),
        warning("a-rule-of-the-file", "x", thing="blog", facts=("id-1",)),
        warning("orphan-site", "x", thing="blog"),
    ],
    ids=["error", "note", "difference", "effect", "step", "admins", "own rule", "no facts"],
)
def test_what_may_not_be_waived_has_no_fingerprint(said: Diagnostic) -> None:
    """Errors, differences, what is said of a step, and rules that the catalogue does not name."""
    (found,) = silenced((said,), "stats", (waiver(said),), AS_OF)
    assert (found.seen, found.waived, found.facts) == (None, None, ())


def test_the_fingerprint_depends_on_the_facts_alone() -> None:
    """Neither words, nor places, nor the order of the facts, nor the time make another finding."""
    facts = ("a", "b", "c")
    same = {fingerprint("ghost-member", "stats", "team", order) for order in permutations(facts)}
    assert len(same) == 1
    told = replace(ORPHAN, message="other words", hint="another hint", at=None)
    assert waived(told, waiver()) is not None
    others = [
        fingerprint("ghost-member", "stats", "team", (*facts, "d")),
        fingerprint("ghost-member", "stats", "other", facts),
        fingerprint("ghost-member", "shop", "team", facts),
        fingerprint("orphan-site", "stats", "team", facts),
        fingerprint("ghost-member", "stats", None, ("team", *facts)),
    ]
    assert len({*same, *others}) == 6


def test_the_fingerprint_is_that_of_earlier_releases() -> None:
    """Files keep it for a year: what computes it must not change."""
    assert fingerprint("orphan-site", "stats", "blog.example.org", ("b", "a")) == "ed8ad94cd79d1fb3"


@given(st.text(), st.lists(st.text(), max_size=4))
def test_a_fingerprint_is_no_number(thing: str, facts: list[str]) -> None:
    """Written without quotes it is text for every reader of YAML."""
    seen = fingerprint("orphan-site", "stats", thing, facts)
    assert len(seen) == 16
    assert not seen.replace("e", "0").isdigit()


def test_of_several_waivers_the_last_end_counts() -> None:
    longer = waiver(reason="again", until=AS_OF + timedelta(days=90), ends="2027-02-28")
    assert waived(ORPHAN, waiver(), longer, waiver()) == Accepted("again", "2027-02-28")


def test_rules_that_are_never_waivable() -> None:
    """An allow-list, of what stands on a platform for long and gives nobody anything by a change."""
    assert {
        "public-access", "orphan-site", "public-share-link", "ghost-member", "team-without-owner", "left-over-team",
        "shared-team", "orphan-grant", "unmanaged-group", "public-dashboard", "shared-link", "key-orphaned", "key-undeclared",
    } == WAIVABLE  # fmt: skip
    assert not RULES["identity-mismatch"].waivable
    assert "- **`orphan-site`** (waivable) " in catalog.PAGE
    assert "- **`unmanaged-group`** (formerly `group-beside-the-file`) (waivable) " in catalog.PAGE


def test_every_finding_of_a_waivable_rule_has_facts() -> None:
    """Else it could be waived by nobody, though the catalogue says so."""
    found: dict[str, bool] = {}
    for path in Path(siteward.__file__).parent.rglob("*.py"):
        for call in (
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ):
            code = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if code in WAIVABLE and name != "error":
                found[f"{path.name}:{call.lineno} {code}"] = "facts" in {keyword.arg for keyword in call.keywords}
    out_of_scope = {where for where, has in found.items() if not has}
    assert all(where.startswith("accounts.py:") for where in out_of_scope), "it becomes the error `still-public`"
    assert len(out_of_scope) <= 1
    assert {where.partition(" ")[2] for where in found} >= WAIVABLE - {"orphan-grant"}  # one of a table of codes


BASE = Policy(waivers=(waiver(),))


@pytest.mark.parametrize(
    ("there", "silent"),
    [
        ((), False),
        ((waiver(),), True),
        ((waiver(reason="other words"),), True),
        ((waiver(about=None),), True),
        ((waiver(on=("stats",)),), True),
        ((waiver(on=("shop",)),), False),
        ((waiver(seen="0" * 16),), False),
        ((waiver(until=AS_OF),), False),
    ],
)
def test_with_a_base_only_waivers_of_both_silence(there: tuple[Waiver, ...], silent: bool) -> None:  # noqa: FBT001
    """A change cannot bring its own waiver along, nor make one wider or longer."""
    for first, second in ((BASE, Policy(waivers=there)), (Policy(waivers=there), BASE)):
        common = strictest(first, second).waivers
        assert (waived(ORPHAN, *common) is not None) == silent


def test_a_prolonged_waiver_ends_as_at_the_base() -> None:
    longer = waiver(until=AS_OF + timedelta(days=90), ends="2027-02-28")
    for pair in ((BASE, Policy(waivers=(longer,))), (Policy(waivers=(longer,)), BASE)):
        assert [common.ends for common in strictest(*pair).waivers] == ["2026-12-30"]
