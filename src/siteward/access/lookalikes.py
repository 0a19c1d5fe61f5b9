"""Names that people cannot tell apart by eye: letters of another script, and spellings that compare as one.

The data is Unicode's own (UTS 39, confusables and scripts). It is loaded where a name is not ASCII, so that most runs
never do.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

_NO_SCRIPT = frozenset({"COMMON", "INHERITED", "UNKNOWN"})
_TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
"""Scripts that people write in one word (UTS 39, section 5.2, highly restrictive)."""


def scripts_of(name: str) -> frozenset[str]:
    """Return the scripts of a name's letters; digits and signs are of none."""
    if name.isascii():
        return frozenset({"LATIN"}) if any(map(str.isalpha, name)) else frozenset()
    from confusable_homoglyphs import categories  # noqa: PLC0415 — see the module's docstring

    return frozenset(categories.unique_aliases(name)) - _NO_SCRIPT


def mixes_scripts(name: str) -> bool:
    """Return whether a name has letters of scripts that nobody writes in one word."""
    scripts = scripts_of(name)
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)


def skeleton(name: str) -> str:
    """Return what a name looks like in Latin letters; two names of one skeleton look alike."""
    if name.isascii():
        return name.lower()
    return "".join(map(_look_of, unicodedata.normalize("NFKC", name).lower()))


@cache
def _look_of(character: str) -> str:
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415 — see the module's docstring

    alike = [pair["c"].lower() for pair in confusables_data.get(character, ()) if pair["c"].isascii()]
    letters = [look for look in alike if look.isalnum()]
    return character if character.isascii() or not letters else min(letters)


def normal(name: str) -> str:
    """Return the form under which two spellings of one name are equal: compatible characters, no letter case."""
    return unicodedata.normalize("NFKC", name).lower()


def look_alike(names: Iterable[str], others: Iterable[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield each name with an earlier one that it looks like, if one of the two is not ASCII.

    With `others`, be there any or none, only those are compared with `names`, not names with each other.
    """
    known = list(names)
    new = list(others or ())
    if all(map(str.isascii, (*known, *new))):
        return
    by_look: Mapping[str, list[str]] = defaultdict(list)
    for name in known:
        if others is None:
            yield from _first(name, by_look[skeleton(name)])
        by_look[skeleton(name)].append(name)
    for name in new:
        yield from _first(name, by_look[skeleton(name)])


def _first(name: str, alike: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a name with the first of those that look like it and are spelt otherwise, if not both are ASCII."""
    other = next((other for other in alike if other != name and not (other.isascii() and name.isascii())), None)
    if other is not None:
        yield name, other


def code_points(name: str) -> str:
    """Return the characters of a name that are not ASCII, each with its number, for a message."""
    return ", ".join(
        f"{character} is U+{ord(character):04X}" for character in dict.fromkeys(name) if ord(character) > 127
    )
