"""Snapshots, memories and plans as they are stored: read back as they were, and refused where they are not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from access.worlds import admin, grant, live, planned, proposed, wish
from documents import document, parsed, resealed
from siteward.access import codec
from siteward.access.codec import CodecError, decode_live, decode_memory, encode_live, encode_memory, plan_schema
from siteward.access.diagnostic import Span
from siteward.access.model import Access, Account, Grant, Group, Member, account_key
from siteward.access.plan import Plan
from siteward.access.state import Memory, Origin
from strategies import NOW

ROOT = Path(__file__).parents[2]
HELD = Access(
    (Account("anna", "anna@example.org"), Group("analysts"), Member("analysts", "anna"), grant("anna", "view"), admin("ben"))
)  # fmt: skip
MEMORY = Memory(
    accounts=frozenset({"anna", "ben"}),
    users={"anna": "anna.k"},
    sites=2,
    last=HELD,
    last_at=datetime(2026, 12, 1, 8, 30, tzinfo=UTC),
    sends=MappingProxyType({grant("anna", "view").key: (2, NOW)}),
    me="siteward",
)


def test_a_memory_is_read_back_as_it_was() -> None:
    """All of it, through JSON."""
    data = json.loads(json.dumps(encode_memory(MEMORY)))
    assert decode_memory(data) == MEMORY


def test_a_snapshot_is_read_back_as_it_was_and_in_one_order() -> None:
    """In whatever order the resources were read."""
    world = live(grant("anna", "team-member"), admin("ben"))
    turned = live(admin("ben"), grant("anna", "team-member"))
    assert decode_live(json.loads(json.dumps(encode_live(world)))).access == world.access
    assert encode_live(world)["access"] == encode_live(turned)["access"]


def test_two_values_for_one_thing_are_refused_with_their_place() -> None:
    """A stored access that contradicts itself is none, and the reader learns where it is."""
    data = encode_memory(MEMORY)
    data["last"].append({"type": "account", "name": "anna", "email": "eve@example.org"})
    with pytest.raises(CodecError, match="anna") as problem:
        decode_memory(data)
    assert problem.value.path == "/last"


NO_KEYS: tuple[list[str], ...] = (
    [],
    ["grants"],
    ["grant"],
    ["account"],
    ["account", "anna", "x"],
    ["member", "team"],
    ["grant", "account", "anna", "site"],
)


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("accounts", "anna", "/accounts"),
        ("accounts", ["anna", 1], "/accounts/1"),
        ("users", ["anna"], "/users"),
        ("users", {"anna": 1}, "/users/anna"),
        ("sites", True, "/sites"),
        ("last", [{"type": "robot"}], "/last/0/type"),
        ("last", ["anna"], "/last/0/type"),
        ("last_at", "yesterday", "/last_at"),
        ("last_at", "2026-12-01T08:30:00", "/last_at"),
        ("sends", {"anna": 1}, "/sends"),
        ("sends", [[["account", "anna"], [1]]], "/sends/0/1"),
        ("sends", [[["account", "anna"], ["1", "2026-12-01T08:30:00Z"]]], "/sends/0/1/0"),
        *(("sends", [[key, [1, "2026-12-01T08:30:00Z"]]], "/sends/0/0") for key in NO_KEYS),
        ("nonsense", 1, "/nonsense"),
    ],
)
def test_what_is_of_another_kind_is_refused_with_its_place(name: str, value: object, path: str) -> None:
    """Never taken for something else, and never a traceback."""
    with pytest.raises(CodecError) as problem:
        decode_memory({**encode_memory(MEMORY), name: value})
    assert problem.value.path == path
    assert problem.value.message


def test_the_plan_schema_in_the_tree_is_the_plans() -> None:
    """`make schemas` writes it; whoever changes a plan runs that."""
    kept = json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))
    assert kept == plan_schema(), "run `make schemas`"


def test_a_plan_is_what_its_schema_says() -> None:
    """Others can check it; what is not in a plan is refused."""
    part = planned(proposed(live(admin("ben")), wish(admin("ben"), grant("li", "team-member"), grant("mo", "owner"))))
    data = parsed(Plan(tool="0", created=NOW, as_of=NOW, instances=(part,)))
    validator = Draft202012Validator(plan_schema())
    assert list(validator.iter_errors(data)) == []
    del data["instances"][0]["steps"][0]["action"]
    assert [list(found.absolute_path) for found in validator.iter_errors(data)] == [["instances", 0, "steps", 0]]
    assert list(validator.iter_errors({**data, "nonsense": 1}))


@pytest.mark.parametrize(
    ("instances", "path"),
    [("stats", "/instances"), (["stats"], "/instances/0"), ([{}, 1], "/instances/1"), ([{}], "/instances/0/instance")],
)
def test_an_instance_of_a_plan_that_is_none_is_refused_with_its_place(instances: object, path: str) -> None:
    """Also where the digest fits."""
    data = parsed(Plan(tool="0", created=NOW, as_of=NOW))
    with pytest.raises(CodecError) as problem:
        codec.decode(resealed({**data, "instances": instances}))
    assert problem.value.path == path


@pytest.mark.parametrize("key", NO_KEYS)
def test_a_diagnostic_about_what_is_no_key_is_refused(key: list[str]) -> None:
    """Such a plan was shown with a traceback."""
    part = planned(proposed(live(admin("ben")), wish(admin("ben"), grant("li", "team-member"))))
    about = {"code": "x", "severity": "note", "message": "y", "about": key}
    data = parsed(Plan(tool="0", created=NOW, as_of=NOW, instances=(part,)))
    data["instances"][0]["diagnostics"] = [about]
    with pytest.raises(CodecError) as problem:
        codec.decode(resealed(data))
    assert problem.value.path == "/instances/0/diagnostics/0/about"


GRANTED = {"type": "grant", "account": 0, "role": "team-member", "scope": 0}


@pytest.mark.parametrize(
    ("side", "path", "words"),
    [
        ({**GRANTED, "account": 7}, "", "a place that its table does not have"),
        ({**GRANTED, "scope": -3}, "", "a place that its table does not have"),
        ({**GRANTED, "scope": -1}, None, "not what the rest of the plan makes it"),
        ({**GRANTED, "group": "analysts"}, "/change", "of one account or of one group"),
        ({"type": "grant", "role": "team-member", "scope": 0}, "/change", "of one account or of one group"),
        ({"type": "group", "group": "analysts", "account": 0}, "/change/after", "unknown field `account`"),
        (None, "/change", "has neither side"),
    ],
)
def test_a_step_that_refers_to_nothing_is_refused_with_its_place(side: object, path: str | None, words: str) -> None:
    """Whoever can make a digest can write such a plan; it is never guessed what is meant."""
    part = planned(proposed(live(), wish(grant("anna", "team-member"))))
    data = parsed(Plan(tool="0", created=NOW, as_of=NOW, instances=(part,)))
    data["instances"][0]["steps"][1]["change"] = {"after": side, "before": None}
    with pytest.raises(CodecError, match=words) as problem:
        codec.decode(resealed(data))
    assert problem.value.path == ("" if path is None else f"/instances/0/steps/1{path}")


def test_accounts_scopes_and_reasons_are_written_once() -> None:
    """With the ids that the platform has for them; steps refer to their places."""
    reason = Origin(Span("access.yaml", 7, 3), via=("group analysts",))
    part = planned(proposed(live(), wish(grant("anna", "team-member"), grant("ben", "team-member"))))
    named = tuple(replace(step, origin=reason, ids={account_key("anna"): "7f3c"}) for step in part.steps)
    data = parsed(Plan(tool="0", created=NOW, as_of=NOW, instances=(replace(part, steps=named),)))
    assert [len(data["tables"][name]) for name in ("origins", "scopes")] == [1, 1]
    assert data["tables"]["accounts"] == [{"id": "7f3c", "login": "anna"}, {"login": "ben"}]
    grants = [step for step in data["instances"][0]["steps"] if step["change"]["after"]["type"] == "grant"]
    assert [(step["change"]["after"]["account"], step["origin"]) for step in grants] == [(0, 0), (1, 0)]
    assert [step.get("ids") for step in grants] == [None, [[["account", "anna"], "7f3c"]]], (
        "an id of neither stands apart"
    )


def test_a_plan_is_written_once_in_small_pieces_and_its_digest_with_them() -> None:
    """However many steps there are, no piece of the document holds more than a few hundred of them."""
    names = [f"user-{at}" for at in range(400)]
    part = planned(proposed(live(), wish(*(grant(name, "team-member") for name in names))))
    unsealed = Plan(tool="0", created=NOW, as_of=NOW, instances=(part,))
    writing = codec.Writing(unsealed)
    pieces = list(writing)
    steps = [piece.count(b'"cause"') for piece in pieces]
    assert sum(steps) == len(part.steps) > 3 * max(steps)
    assert writing.plan == codec.seal(unsealed) == codec.decode(b"".join(pieces))
    again = codec.Writing(writing.plan)
    assert list(again) == pieces
    assert again.plan is writing.plan, "the digest that fits stays known of the object that has it"


def test_what_steps_have_in_common_is_read_as_one_object() -> None:
    """A plan of a hundred thousand steps names few people, places and reasons; each stands in memory once."""
    part = planned(proposed(live(), wish(*(grant(name, "team-member") for name in ("anna", "ben", "cem")))))
    granted = [step for step in part.steps if isinstance(step.change.after, Grant)]
    scope = granted[0].change.key[3:]
    steps = tuple(replace(step, ids={("scope", *scope): "7"}, risks=("external",), depends_on=()) for step in granted)
    steps = (steps[0], *(replace(step, depends_on=(steps[0].id,)) for step in steps[1:]))
    plan = Plan(tool="0", created=NOW, as_of=NOW, instances=(replace(part, steps=steps),))
    found = codec.decode(document(plan)).instances[0].steps
    assert found == steps
    grants = [step.change.after for step in found if isinstance(step.change.after, Grant)]
    common: dict[str, list[object]] = {
        "ids": [step.ids for step in found],
        "risks": [step.risks for step in found],
        "depends_on": [step.depends_on for step in found[1:]],
        **{name: [getattr(held, name) for held in grants] for name in ("role", "scope", "extras")},
    }
    assert {name: len(set(map(id, shared))) for name, shared in common.items()} == dict.fromkeys(common, 1)


def test_the_digest_is_judged_before_anything_is_read() -> None:
    """A document that is no JSON and whose digest does not fit is one that was changed, and no more is looked at."""
    whole = document(Plan(tool="0", created=NOW, as_of=NOW))
    with pytest.raises(CodecError, match="its digest does not fit"):
        codec.decode(whole.replace(b'"tool"', b"\xff{{{["))


def _plan_with(*ids: str, depends_on: tuple[str, ...] = ()) -> Plan:
    """Return a plan whose two steps have these ids; the second depends on those named."""
    part = planned(proposed(live(), wish(grant("anna", "team-member"))))
    first, second = part.steps[0], part.steps[1]
    steps = (replace(first, id=ids[0], depends_on=()), replace(second, id=ids[1], depends_on=depends_on))
    return Plan(tool="x", created=NOW, as_of=NOW, instances=(replace(part, steps=steps),))


def test_a_plan_in_which_two_steps_are_one_is_refused() -> None:
    """Apply would find out after it has written: one id for two steps, one thing changed twice, a need for nothing."""
    right = _plan_with("s1", "s2", depends_on=("s1",))
    assert codec.decode(document(right)).instances[0].steps[1].depends_on == ("s1",)
    twice = replace(right, instances=(replace(right.instances[0], steps=(right.instances[0].steps[0],) * 2),))
    other = replace(twice.instances[0].steps[1], id="s9")
    same = replace(right, instances=(replace(right.instances[0], steps=(right.instances[0].steps[0], other)),))
    for plan, path in (
        (twice, "/instances/0/steps/1/id"),
        (same, "/instances/0/steps/1/change"),
        (_plan_with("s1", "s2", depends_on=("s7",)), "/instances/0/steps/1/depends_on"),
        (_plan_with("s1", "s2", depends_on=("s2",)), "/instances/0/steps/1/depends_on"),
    ):
        with pytest.raises(CodecError) as problem:
            codec.decode(document(plan))
        assert problem.value.path == path
