"""The live state in a journal: the whole of it once, and afterwards what each end changed, ours and others'.

So the access at any recorded moment can be rebuilt from the journal alone: the last whole state before it, and the
changes since. What a reading could not show is taken to be as it was when it was last read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.json import Encoder

from siteward.access.codec import decode_resource
from siteward.access.model import Resource, account_of
from siteward.access.renames import under
from siteward.access.serialize import CodecError
from siteward.reconcile.journal.chain import broken_by
from siteward.reconcile.journal.entries import Difference
from siteward.reconcile.journal.records import NOBODY
from siteward.reconcile.journal.resources import row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from siteward.access.model import Access, Key
    from siteward.access.renames import Renames
    from siteward.reconcile.journal.chain import Part, Record

    Resources = Mapping[Key, Resource]
    """The live resources by key."""

TELLING: Final = frozenset({"state", "end", "record"})
"""The kinds of records that tell of the live state, the first of them the whole of it."""

_write: Final = Encoder(order="deterministic").encode
GONE: Final = "-"
COME: Final = "+"


def compare(before: Resources, after: Resources) -> tuple[Difference, ...]:
    """Return the differences between two states, by key."""
    if before == after:  # of one kind, as what a run leaves often is
        return ()
    keys = [key for key in before if key not in after]
    keys += [key for key, resource in after.items() if before.get(key) != resource]
    return tuple(Difference(before=before.get(key), after=after.get(key)) for key in sorted(keys))


def add(state: Resources, differences: Iterable[Difference]) -> dict[Key, Resource]:
    """Return a state with the `after` of each difference in the place of its `before`."""
    result = dict(state)
    for difference in differences:
        key = key_of(difference)
        if difference.after is None:
            result.pop(key, None)
        else:
            result[key] = difference.after
    return result


def key_of(difference: Difference) -> Key:
    """Return the key of the resource that differs. Raises `CodecError` where neither side has one."""
    side = difference.after or difference.before
    if side is None:
        raise CodecError("", "a difference has neither side")
    return side.key


def see(live: Access, before: Resources, *, complete: bool) -> Resources:
    """Return the state after a reading: where it was not complete, what it lacks is as it was before."""
    return live if complete else {**before, **live.to_dict()}


def moved_keys(before: Resources, after: Resources, names: Renames) -> frozenset[Key]:
    """Return the keys, old and new, of what an account or a group only took along to its new name."""
    if not names:
        return frozenset()
    moved = ((key, under(resource, names)) for key, resource in before.items())
    same = ((key, new.key) for key, new in moved if new.key != key and after.get(new.key) == new)
    return frozenset(key for pair in same for key in pair)


def whole_parts(state: Resources) -> Iterator[Part]:
    """Yield a state as the parts of a record, by account."""
    by_account: dict[str, list[Key]] = {}
    for key in sorted(state):
        by_account.setdefault(account_of(key) or NOBODY, []).append(key)
    for account in sorted(by_account):
        yield {"part": account, "state": [row_of(state[key]) for key in by_account[account]]}


def changed_parts(differences: Iterable[Difference], is_ours: Callable[[Key, Resource | None], bool]) -> Iterator[Part]:
    """Yield differences as the parts of a record, by account, those of this run apart from those of others."""
    by_account: dict[str, list[Difference]] = {}
    for difference in differences:
        by_account.setdefault(account_of(key_of(difference)) or NOBODY, []).append(difference)
    for account in sorted(by_account):
        part: Part = {"part": account}
        for difference in by_account[account]:
            before, after = difference.before, difference.after
            told = part.setdefault("ours" if is_ours(key_of(difference), before) else "others", [])
            told += [[sign, row_of(side)] for sign, side in ((GONE, before), (COME, after)) if side is not None]
        yield part


def write_resource(resource: Resource) -> bytes:
    """Return a resource in the canonical form of RFC 8785: it has texts alone, which msgspec writes in the same way.

    Raises `CodecError` for a text that has no form in UTF-8.
    """
    try:
        return _write(row_of(resource))
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no canonical form") from None


def rebuild(path: Path, records: Iterable[Record]) -> Iterator[tuple[Record, dict[Key, Resource]]]:
    """Yield each record that tells of the live state, with the state then, which the next one changes in place.

    What was erased is missing in it. Raises `JournalBrokenError`.
    """
    state: dict[Key, Resource] | None = None
    for record in records:
        kind = record.header["kind"]
        if kind not in TELLING or (state is None and kind != "state"):
            continue
        try:
            if kind == "state" or state is None:
                state = {resource.key: resource for resource in _read_state(record)}
            else:
                _apply(state, record)
        except CodecError as problem:
            raise broken_by(path, record.line, problem) from None
        yield record, state


def state_before(path: Path, records: Sequence[Record], number: int) -> dict[Key, Resource]:
    """Return the live state that the first records tell, up to that `number` of them. Raises `JournalBrokenError`."""
    state: dict[Key, Resource] = {}
    for _, then in rebuild(path, records[:number]):
        state = then
    return state


def _read_state(record: Record) -> Iterator[Resource]:
    for part in record.read_parts():
        for at, data in enumerate(_members(part, "state")):
            yield decode_resource(data, f"/state/{at}")


def _apply(state: dict[Key, Resource], record: Record) -> None:
    for part in record.read_parts():
        for side in ("ours", "others"):
            for sign, resource in read_changed(part, side):
                if sign == GONE:
                    state.pop(resource.key, None)
                else:
                    state[resource.key] = resource


def read_changed(part: Part, side: str) -> Iterator[tuple[str, Resource]]:
    """Yield what a part says that we (`ours`) or others (`others`) changed: `GONE` or `COME`, and the resource.

    Raises `CodecError`.
    """
    for at, told in enumerate(_members(part, side)):
        path = f"/{side}/{at}"
        if not isinstance(told, list) or len(told) != 2 or told[0] not in {GONE, COME}:
            raise CodecError(path, "should be - or + and a resource")
        yield told[0], decode_resource(told[1], path)


def _members(part: Part, name: str) -> Collection[Any]:
    value = part.get(name, [])
    if not isinstance(value, list):
        raise CodecError(f"/{name}", "should be a list")
    return value
