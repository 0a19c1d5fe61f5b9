"""What a file may say and the program does not act on yet: each such word is an error in its place, never silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import problem
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.source import Path, Source, Value

ANY = "*"
"""The step of a path that stands for every key of a table and every item of a list."""

NOT_YET: Mapping[tuple[str, ...], str] = {
    ("groups", ANY, "previously"): "no group is renamed on a platform",
}
"""The words by their paths in a file, each with what is not done; the last step is a key, or an item of a list."""


def not_yet(source: Source) -> Iterator[Diagnostic]:
    """Yield an error about each word of a file that is not acted on yet."""
    for path, lack in _EVERYWHERE.items():
        if path[-1] not in source.text and "\\" not in source.text:
            continue  # most words stand in most files nowhere; one that is written with escapes is looked for
        for at, is_item in _find(source.data, path):
            place = source.at(at) if is_item else source.key_at(at)
            hint = "take it out until a release says that it is acted on"
            yield problem("not-yet", f"`{path[-1]}` is not acted on yet: {lack}", place, hint=hint)


_EVERYWHERE: Mapping[tuple[str, ...], str] = {
    **NOT_YET,
    **{("instances", ANY, *path): lack for path, lack in NOT_YET.items() if path[0] == "policy"},
}
"""All paths: what a policy says may stand on an instance, too."""


def _find(node: Value, path: tuple[str, ...], at: Path = ()) -> Iterator[tuple[Path, bool]]:
    """Yield the path of each thing that a path with `ANY` means, and whether it is an item of a list."""
    step, rest = path[0], path[1:]
    if isinstance(node, Table):
        for key in node if step == ANY else (step,) if step in node else ():
            if not rest:
                yield (*at, key), False
            else:
                yield from _find(node[key], rest, (*at, key))
    elif isinstance(node, Items):
        for number, item in enumerate(node):
            if step == ANY and rest:
                yield from _find(item, rest, (*at, number))
            elif item == step and not rest:
                yield (*at, number), True
