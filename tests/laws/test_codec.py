"""The laws of plans as data: nothing is lost, equal plans are equal bytes, and what was changed is refused."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from siteward.access.codec import (
    CodecError,
    canonical,
    decode,
    decode_live,
    decode_memory,
    decode_resource,
    digest,
    encode,
    encode_live,
    encode_memory,
    encode_resource,
    plan_schema,
    seal,
)
from siteward.access.model import Access, Grant
from strategies import access, lives, memories, plans, traits

if TYPE_CHECKING:
    from siteward.access.plan import Plan
    from siteward.access.state import Live, Memory

SCHEMA = Path(__file__).parents[2] / "schemas" / "plan.schema.json"
EDITS: st.SearchStrategy[object] = st.sampled_from((None, True, 7, "edited", [], {}))
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def written(plan: Plan) -> Any:
    """Return the plan as a reader of its file gets it."""
    return json.loads(canonical(encode(plan)))


@given(JSON.filter(lambda data: not _halves(data)))
def test_the_canonical_form_is_that_of_rfc_8785(data: object) -> None:
    """Byte for byte what another implementation writes: keys by UTF-16, numbers as ECMAScript's."""
    assert canonical(data) == rfc8785.dumps(data)  # type: ignore[arg-type]


def _halves(data: object) -> bool:
    return any(0xD800 <= ord(dump) <= 0xDFFF for dump in json.dumps(data, ensure_ascii=False))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_as_they_were(value: float) -> None:
    """The shortest form that means the same number."""
    assert float(json.loads(canonical(value))) == value
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"), (1e-7, "1e-7"), (-0.0, "0"), (12.5, "12.5")],
)
def test_numbers_at_the_edges(value: float, text: str) -> None:
    """Where ECMAScript changes its way of writing."""
    assert canonical(value).decode() == text


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, "\ud800", {1: 2}, {"a": {1, 2}}, object()])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    """Never a guess, never a traceback."""
    with pytest.raises(CodecError):
        canonical(value)


def test_names_are_kept_in_their_unicode_form() -> None:
    """Two spellings of one letter stay two."""
    assert canonical("a\u0301") != canonical("á")


@given(plans())
def test_a_plan_comes_back_whole(plan: Plan) -> None:
    """Through canonical JSON and back it is the same plan, with the same digest."""
    back = decode(written(plan))
    assert back == plan
    assert digest(back) == plan.digest == encode(plan)["digest"]
    assert canonical(encode(back)) == canonical(encode(plan))


@given(plans(), plans())
def test_equal_plans_and_only_those_have_equal_digests(plan: Plan, other: Plan) -> None:
    """The digest stands for the whole plan."""
    assert (plan == other) == (digest(plan) == digest(other))


@given(plans())
def test_every_plan_is_what_the_schema_says(plan: Plan) -> None:
    """The published schema, which was reviewed as it stands, fits every plan that is written."""
    VALIDATOR.validate(written(plan))


@given(plans(), st.data())
def test_an_edited_plan_is_refused(plan: Plan, data: st.DataObject) -> None:
    """Whatever single thing is changed, by hand or by a bad disk, it is noticed, with the digest recomputed or not."""
    raw = written(plan)
    path = data.draw(st.sampled_from(sorted(_leaves(raw), key=repr)), label="path")
    before = _at(raw, path)
    after: object = data.draw(EDITS, label="after")
    assume(canonical(before) != canonical(after))
    _put(raw, path, after)
    with pytest.raises(CodecError):
        decode(raw)


@given(plans(), st.data())
def test_reading_is_strict_without_the_digest_too(plan: Plan, data: st.DataObject) -> None:
    """A wrong type, an unknown word or key is refused with its path; what is accepted means what it says."""
    raw = written(plan)
    path = data.draw(st.sampled_from(sorted(_leaves(raw), key=repr)), label="path")
    _put(raw, path, data.draw(EDITS, label="after"))
    with contextlib.suppress(CodecError):
        read = decode(raw, verify=False)
        VALIDATOR.validate(written(read))
        assert decode(written(seal(read))) == seal(read)


def _leaves(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [leave for name, field in inner for leave in _leaves(field, (*path, name))]
    return found or [path]


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def _put(data: Any, path: tuple[str | int, ...], value: object) -> None:
    _at(data, path[:-1])[path[-1]] = value


@pytest.mark.parametrize("data", [None, [], "plan", {}, {"format": "siteward.plan/2"}, {"format": "siteward.plan/1"}])
def test_what_is_no_plan_of_this_format_is_refused(data: object) -> None:
    """A newer format, another file, nothing at all."""
    with pytest.raises(CodecError):
        decode(data)


@given(plans())
def test_a_newer_version_says_so(plan: Plan) -> None:
    """The message leads on: it is the version, not the file."""
    raw = written(plan) | {"format": "siteward.plan/2"}
    with pytest.raises(CodecError, match="newer version"):
        decode(raw)


@given(plans().filter(lambda plan: any(instance.steps for instance in plan.instances)))
def test_an_unknown_operation_is_refused(plan: Plan) -> None:
    """A verb or a kind of resource that is not known is never skipped over."""
    for name, word in (("action", "destroy"), ("cause", "whim"), ("risk", "none")):
        raw = written(plan)
        step = next(instance["steps"][0] for instance in raw["instances"] if instance["steps"])
        step[name] = word
        with pytest.raises(CodecError, match=name):
            decode(raw, verify=False)
    side = next(name for name in ("before", "after") if step["change"][name])
    step |= {"action": "create", "cause": "granted", "risk": "low"}
    step["change"][side]["type"] = "spell"
    with pytest.raises(CodecError, match="type"):
        decode(raw, verify=False)


@given(plans())
def test_sealing_twice_changes_nothing(plan: Plan) -> None:
    """The digest covers everything but itself."""
    assert seal(seal(plan)) == seal(plan)


@given(traits().flatmap(lives))
def test_a_snapshot_comes_back_whole(live: Live) -> None:
    """What was read can be kept and read again; only the adapter's own picture is left out."""
    assert decode_live(json.loads(canonical(encode_live(live)))) == live


@given(memories())
def test_a_memory_comes_back_whole(memory: Memory | None) -> None:
    """What the journal remembers can be kept as data."""
    if memory is not None:
        assert decode_memory(json.loads(canonical(encode_memory(memory)))) == memory


@given(traits().flatmap(lambda table: access(table, wish=True)))
def test_a_resource_comes_back_whole(world: Access) -> None:
    """One by one as well, with extras that are not spoken of kept apart from none at all."""
    for resource in world.values():
        back = decode_resource(json.loads(canonical(encode_resource(resource))))
        assert back == resource
        if isinstance(resource, Grant) and isinstance(back, Grant):
            assert (back.extras is None) == (resource.extras is None)


def test_the_schema_in_the_tree_is_the_one_the_code_has() -> None:
    """`siteward schema plan > schemas/plan.schema.json` renews it."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == plan_schema()
    jsonschema.Draft202012Validator.check_schema(plan_schema())
