"""What of a file is right although something in it is wrong, so that the rest can be looked at too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.declaration.grammar import Misfit
    from siteward.declaration.source import Path, Source, Value

NAMED = ("sites", "users", "groups", "roles", "instances")
NUMBERED = ("grants", "include")
Numbers: TypeAlias = "Mapping[str, Sequence[int]]"


class Salvage(Struct, frozen=True):
    """The data of a file without what is wrong in it.

    `dropped` are the names that are declared, but wrongly. `numbers` say where the items that are left of a list stand
    in the file.
    """

    data: dict[str, Any]
    dropped: frozenset[tuple[str, str]]
    numbers: Numbers


def salvaged(source: Source, misfits: Iterable[Misfit]) -> Salvage:
    """Return a file without its misfits, and without rows in which a value was refused when it was read."""
    gone = {hole[:2] for hole in source.holes if hole[0] in (*NAMED, *NUMBERED)} | {_part(each) for each in misfits}
    around = {path[:depth] for path in gone for depth in range(len(path))}
    data = {} if () in gone else _without(source.data, gone, around, ())
    return Salvage(
        data=data,
        dropped=frozenset((str(path[0]), str(path[1])) for path in gone if len(path) == 2 and path[0] in NAMED),
        numbers={key: _left(source.data[key], key, gone) if key in data else () for key in NUMBERED},
    )


def misspelt(source: Source, misfits: Iterable[Misfit]) -> dict[Path, str]:
    """Return what the keys that nobody knows were likely meant to be, by path, where nothing stands under that name."""
    meant: dict[Path, str] = {}
    taken: set[Path] = set()
    for each in misfits:
        told = each.diagnostic
        if told is None or told.code != "unknown-key" or told.suggestion is None:
            continue
        path = (*each.path[:-1], told.suggestion)
        if path not in taken and not source.has(path):
            meant[each.path] = told.suggestion
            taken.add(path)
    return meant


def _part(misfit: Misfit) -> Path:
    """Return the smallest part without which the rest means what it says: a key that nobody knows, or a whole row."""
    path, told = misfit.path, misfit.diagnostic
    if told is not None and told.code == "unknown-key":
        return path
    return path[: 2 if path[:1] and path[0] in (*NAMED, *NUMBERED, "policy") else 1]


def _without(value: Any, gone: set[Path], around: set[Path], at: Path) -> Any:
    if at not in around:
        return value
    if isinstance(value, Table):
        rest = ((key, each) for key, each in value.items() if (*at, key) not in gone)
        return {key: _without(each, gone, around, (*at, key)) for key, each in rest}
    if isinstance(value, Items):
        left = ((number, each) for number, each in enumerate(value) if (*at, number) not in gone)
        return [_without(each, gone, around, (*at, number)) for number, each in left]
    return value


def _left(items: Value, key: str, gone: set[Path]) -> Sequence[int]:
    return [number for number in range(len(items)) if (key, number) not in gone] if isinstance(items, Items) else ()
