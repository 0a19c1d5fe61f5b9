"""Patterns of names: only `*` is special, and stands for any text; every other character means itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache


def fold(name: str) -> str:
    """Return a name as it is compared: case-folded and in one Unicode form."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Callable[[str], object]:
    """Return the test of a pattern on texts that were folded as the pattern was."""
    if pattern == "*":
        return bool
    if "*" not in pattern:
        return pattern.__eq__
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL).fullmatch


def matching(patterns: Collection[str], *names: str | None) -> str | None:
    """Return the first pattern, as it was written, that one of the names matches, both folded; `None` for none."""
    if not patterns:  # as nearly always, and asked for each account
        return None
    folded = [fold(name) for name in names if name]
    return next((pattern for pattern in patterns if any(map(matcher(fold(pattern)), folded))), None)
