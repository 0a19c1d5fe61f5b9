"""The laws of plans as data: nothing is lost, equal plans are equal bytes, and what was changed is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
import rfc8785
from hypothesis import assume, example, given
from hypothesis import strategies as st

from documents import document, parsed, resealed, sealed_anew
from siteward.access.canonical import canonical_pieces
from siteward.access.codec import (
    CodecError,
    canonical,
    decode,
    decode_data,
    decode_live,
    decode_memory,
    decode_resource,
    digest,
    encode_live,
    encode_memory,
    encode_resource,
    in_lines,
    plan_schema,
    seal,
)
from siteward.access.model import Access, Grant
from siteward.reconcile.journal.recorded import write_resource
from siteward.render.safe import as_json, in_ascii
from strategies import access, lives, memories, plans, traits

if TYPE_CHECKING:
    from siteward.access.plan import Plan
    from siteward.access.state import Live, Memory

SCHEMA = Path(__file__).parents[2] / "schemas" / "plan.schema.json"
EDITS: st.SearchStrategy[object] = st.sampled_from((None, True, 7, "edited", [], {}))
TAIL = len(',"digest":"sha256:"}') + 64
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


@given(JSON.filter(lambda data: not _halves(data)))
def test_the_canonical_form_is_that_of_rfc_8785(data: object) -> None:
    """Byte for byte what another implementation writes: keys by UTF-16, numbers as ECMAScript's."""
    assert canonical(data) == rfc8785.dumps(data)  # type: ignore[arg-type]
    assert b"".join(canonical_pieces(data)) == canonical(data)
    items = (canonical(item) for item in [data, data])
    assert b"".join(canonical_pieces({"b": data, "a": items})) == canonical({"b": data, "a": [data, data]})


@given(traits().flatmap(access))
def test_a_resource_is_written_to_journals_in_the_canonical_form(some: Access) -> None:
    """By another encoder, which is faster."""
    assert all(write_resource(held) == canonical(encode_resource(held)) for held in some.values())


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
    """Through its document and back it is the same plan, with the same digest."""
    back = decode(document(plan))
    assert back == plan
    assert digest(back) == plan.digest == parsed(plan)["digest"]
    assert document(back) == document(plan)


@given(plans())
def test_a_plan_comes_back_from_within_other_json(plan: Plan) -> None:
    """Indented and in ASCII, as in a report, for the order of the members is kept."""
    lines = b"".join(in_lines(plan))
    assert lines == msgspec.json.format(document(plan), indent=2)
    deeper = "".join(map(in_ascii, in_lines(plan, 3)))
    assert deeper == in_ascii(lines.replace(b"\n", b"\n" + 6 * b" "))
    within = json.loads(deeper)
    assert within == parsed(plan)
    assert decode_data(within) == plan


@given(st.text().filter(lambda text: not _halves(text)))
@example('\x00\x1f\x7f é\u202e\ud7ff\ue000\U0001f600 " \\ / ##[error] ##vso[x]')
def test_a_text_in_ascii_is_as_every_other_json_has_it(text: str) -> None:
    """Also one in which a log would find a command."""
    assert in_ascii(msgspec.json.encode(text)) + "\n" == as_json(text, 2)


@given(plans())
def test_a_document_is_one_line_of_sorted_members(plan: Plan) -> None:
    """But for the first two and the last: whoever reads from the beginning has the tables before the steps."""
    first, second, *others, last = parsed(plan)
    assert (first, second, others, last) == ("format", "tables", sorted(others), "digest")
    inner = msgspec.json.encode(msgspec.json.decode(document(plan)), order="sorted")
    assert sorted(inner) == sorted(document(plan)), "not one blank more"


@given(plans())
def test_the_digest_is_that_of_all_bytes_before_it(plan: Plan) -> None:
    """So that anybody can check it, without a parser."""
    covered, end = document(plan)[:-TAIL], document(plan)[-TAIL:]
    assert end == f',"digest":"sha256:{hashlib.sha256(covered).hexdigest()}"}}'.encode()


@given(plans(), plans())
def test_equal_plans_and_only_those_have_equal_digests(plan: Plan, other: Plan) -> None:
    """The digest stands for the whole plan."""
    assert (plan == other) == (digest(plan) == digest(other))


@given(plans())
def test_every_plan_is_what_the_schema_says(plan: Plan) -> None:
    """The published schema, which was reviewed as it stands, fits every plan that is written."""
    VALIDATOR.validate(parsed(plan))


@given(plans(), st.data())
def test_a_document_with_one_other_byte_is_refused(plan: Plan, data: st.DataObject) -> None:
    """Wherever it is: in the format, a table, a step, a text, between members, in the digest or behind it."""
    whole = document(plan)
    regions = (
        range(20),
        range(20, whole.index(b'"instances":')),
        range(len(whole) - TAIL, len(whole)),
        range(len(whole)),
    )
    at = data.draw(st.sampled_from(regions).flatmap(st.sampled_from), label="at")
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]), label="byte")
    with pytest.raises(CodecError):
        decode(whole[:at] + bytes([byte]) + whole[at + 1 :])


@given(plans(), st.data())
def test_a_document_that_was_cut_or_goes_on_is_refused(plan: Plan, data: st.DataObject) -> None:
    """At any byte, and behind the end too, be it by a line break alone."""
    whole = document(plan)
    with pytest.raises(CodecError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CodecError):
        decode(whole + data.draw(st.sampled_from((b"\n", b" ", b"{}", whole[-TAIL:]))))


@given(plans(), st.data())
def test_another_form_of_a_document_is_refused(plan: Plan, data: st.DataObject) -> None:
    """Blanks, another order, a member twice, with a digest that fits: one plan has one document and one digest."""
    whole = parsed(plan)
    path = data.draw(st.sampled_from([path for path in _objects(whole) if len(_at(whole, path)) > 1]), label="path")
    members = _at(whole, path)
    name = data.draw(st.sampled_from(sorted(members.keys() - {"digest"})), label="name")
    moved = {**members, name: members.pop(name)}
    members |= moved
    changed = [resealed(whole)]
    covered = document(plan)[:-TAIL]
    changed += [sealed_anew(covered.replace(b",", b", ", 1)), sealed_anew(covered + b',"tool":"0.1.0"')]
    for other in changed:
        if other != document(plan):
            with pytest.raises(CodecError):
                decode(other)


@given(plans(), st.data())
def test_an_edited_plan_is_refused(plan: Plan, data: st.DataObject) -> None:
    """Whatever single thing is changed and however: its digest does not fit."""
    raw = parsed(plan)
    path = data.draw(st.sampled_from(sorted(_leaves(raw), key=repr)), label="path")
    before = _at(raw, path)
    after: object = data.draw(EDITS, label="after")
    assume(canonical(before) != canonical(after))
    _put(raw, path, after)
    with pytest.raises(CodecError):
        decode_data(raw)


@given(plans(), st.data())
def test_reading_is_strict_where_the_digest_fits_too(plan: Plan, data: st.DataObject) -> None:
    """A wrong type, an unknown word or key is refused; what is accepted means what it says."""
    raw = parsed(plan)
    path = data.draw(st.sampled_from(sorted(_leaves(raw), key=repr)), label="path")
    _put(raw, path, data.draw(EDITS, label="after"))
    with contextlib.suppress(CodecError):
        read = decode(resealed(raw))
        VALIDATOR.validate(parsed(read))
        assert document(read) == resealed(raw)


def _leaves(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [leave for name, field in inner for leave in _leaves(field, (*path, name))]
    return found or [path]


def _objects(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [place for name, field in inner for place in _objects(field, (*path, name))]
    return [path, *found] if isinstance(data, dict) else found


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def _put(data: Any, path: tuple[str | int, ...], value: object) -> None:
    _at(data, path[:-1])[path[-1]] = value


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"\xff", b'{"format":"siteward.plan/2"}', b'{"format":"siteward.plan/1"}']
)
def test_what_is_no_plan_of_this_format_is_refused(data: bytes) -> None:
    """A former format, another file, nothing at all."""
    with pytest.raises(CodecError):
        decode(data)


@given(plans())
def test_a_newer_version_says_so(plan: Plan) -> None:
    """The message leads on: it is the version, not the file."""
    with pytest.raises(CodecError, match=r"siteward\.plan/3 may be of a newer version"):
        decode(resealed(parsed(plan) | {"format": "siteward.plan/3"}))


@given(plans().filter(lambda plan: any(instance.steps for instance in plan.instances)))
def test_an_unknown_operation_is_refused(plan: Plan) -> None:
    """A verb or a kind of resource that is not known is never skipped over."""
    for name, word in (("action", "destroy"), ("cause", "whim"), ("risk", "none")):
        raw = parsed(plan)
        step = next(instance["steps"][0] for instance in raw["instances"] if instance["steps"])
        step[name] = word
        with pytest.raises(CodecError, match=name):
            decode(resealed(raw))
    side = next(name for name in ("before", "after") if step["change"][name])
    step |= {"action": "create", "cause": "granted", "risk": "low"}
    step["change"][side]["type"] = "spell"
    with pytest.raises(CodecError, match="type"):
        decode(resealed(raw))


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
