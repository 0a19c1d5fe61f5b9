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


def salvaged(source: Source, misfits: Iterable[Misfit], *, guess: bool = True) -> Salvage:
    """Return a file without its misfits, and without rows in which a value was refused when it was read.

    With `guess` a key that nobody knows counts as the one that was likely meant, so that nothing is told to be missing
    that is only misspelt.
    """
    gone: dict[Path, str | None] = {hole[:2]: None for hole in source.holes if hole[0] in (*NAMED, *NUMBERED)}
    for each in misfits:
        path, meant = _part(each)
        gone[path] = meant if guess else None
    around = {path[:depth] for path in gone for depth in range(len(path))}
    data = {} if () in gone else _without(source.data, gone, around, ())
    return Salvage(
        data=data,
        dropped=frozenset((str(path[0]), str(path[1])) for path in gone if len(path) == 2 and path[0] in NAMED),
        numbers={key: _left(source.data[key], key, gone) if key in data else () for key in NUMBERED},
    )


def _part(misfit: Misfit) -> tuple[Path, str | None]:
    """Return the smallest part without which the rest means what it says, and the key that it was likely meant to be.

    That is a key that nobody knows, or else a whole row.
    """
    path, told = misfit.path, misfit.diagnostic
    if told is not None and told.code == "unknown-key":
        return path, told.suggestion
    return path[: 2 if path[:1] and path[0] in (*NAMED, *NUMBERED, "policy") else 1], None


def _without(value: Any, gone: Mapping[Path, str | None], around: set[Path], at: Path) -> Any:
    if at not in around:
        return value
    if isinstance(value, Table):
        named = ((gone.get((*at, key), key), key, each) for key, each in value.items())
        return {
            name: _without(each, gone, around, (*at, key))
            for name, key, each in named
            if name is not None and (name == key or name not in value)
        }
    if isinstance(value, Items):
        rest = ((number, each) for number, each in enumerate(value) if (*at, number) not in gone)
        return [_without(each, gone, around, (*at, number)) for number, each in rest]
    return value


def _left(items: Value, key: str, gone: Mapping[Path, str | None]) -> Sequence[int]:
    return [number for number in range(len(items)) if (key, number) not in gone] if isinstance(items, Items) else ()
