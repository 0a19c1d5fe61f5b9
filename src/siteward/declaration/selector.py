"""Selectors, the words of a `sites:` list: plain names, patterns, tags, site groups, ids, and exclusions of them."""

from __future__ import annotations

from functools import lru_cache
from operator import methodcaller
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.patterns import matcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Kind = Literal["pattern", "name", "tag", "sitegroup", "id"]
_PREFIXES: tuple[tuple[str, Kind], ...] = (("tag:", "tag"), ("sitegroup:", "sitegroup"), ("id:", "id"))
EXCLUDES = methodcaller("startswith", "!")
"""Return whether a word excludes; in C, for it is asked of every line of a file."""


class Selector(Struct, frozen=True):
    """One word of a `sites:` list. `text` is what is compared: domains folded, prefixes and `!` taken off."""

    kind: Kind
    text: str
    written: str
    excludes: bool = False


@lru_cache(maxsize=65536)
def parse(written: str) -> Selector:
    """Return a word as a selector; every text is one, and a plain name where nothing else fits."""
    excludes = written.startswith("!")
    text = written[1:] if excludes else written
    for prefix, kind in _PREFIXES:
        if text.startswith(prefix):
            return Selector(kind, text[len(prefix) :].strip(), written, excludes)
    if "*" in text:
        return Selector("pattern", domain_in(text), written, excludes)
    return Selector("name", text, written, excludes)


def takes_none_in(written: Collection[str]) -> bool:
    """Return whether the words of a list leave sites out and take none in."""
    return "!*" in written or all(map(EXCLUDES, written))


def within(selector: Selector, bounds: Iterable[Selector]) -> bool:
    """Return whether everything a positive selector can ever match lies in what the bounds match.

    A `*` of the selector is compared as a character, so only a `*` of a bound takes it: sound, and complete
    enough for what people write.
    """
    inside = [bound for bound in bounds if not bound.excludes]
    outside = [bound for bound in bounds if bound.excludes]
    text = domain_in(selector.text)
    return any(_covers(bound, selector, text) for bound in inside) and not any(
        _may_cut(bound, selector, text) for bound in outside
    )


def _covers(bound: Selector, selector: Selector, text: str) -> bool:
    """Return whether a bound covers all that a selector, whose folded text is `text`, can match."""
    if bound.kind == "pattern" and selector.kind in {"pattern", "name"}:
        return bool(matcher(bound.text)(text))
    return bound.kind == selector.kind and domain_in(bound.text) == text


def _may_cut(bound: Selector, selector: Selector, text: str) -> bool:
    """Return whether an exclusion may cut into what the selector matches."""
    if selector.kind == "pattern":
        return True
    return _covers(bound, selector, text)
