"""How secrets look: keys and tokens that begin as nothing else does, and texts that may be one."""

from __future__ import annotations

import re
from collections.abc import Iterator

PRIVATE = "PRIVATE KEY-----"
_BEGINNINGS = {
    "K": ("AGE-SECRET-KEY-1", PRIVATE),
    "J": ("eyJ",),
    "_": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "umami_"),
    "B": ("Bearer ",),
    "xox": ("xox",),
    "glpat-": ("glpat-",),
}
"""One of these stands in whatever `_CERTAIN` finds, with a letter that not every text has."""
_CERTAIN = re.compile(
    r"AGE-SECRET-KEY-1\w*|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bgh[pousr]_\w{30,}"
    r"|\bgithub_pat_\w{20,}|\bglpat-[\w-]{15,}|\bxox[abprs]-[\w-]{10,}|\bBearer [\w.~+/-]{16,}|\bumami_[A-Za-z0-9]{32}\b"
)
"""How keys, tokens and sessions begin that nothing else begins like."""
_LIKELY = re.compile(r"(?<![\w-])(?:[0-9a-f]{32}|(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[A-Za-z0-9_-]{64})(?![\w-])")
"""What looks as a `token_auth` of Matomo or an API key of Plausible does. Ids may look so too, and are not looked at."""
HIDDEN = "(a secret)"


def may_hold_certain(text: str) -> bool:
    """Return whether a text may hold a secret for certain; most do not, and need no further search."""
    return any(letter in text and any(word in text for word in words) for letter, words in _BEGINNINGS.items())


def find_certain(line: str) -> Iterator[re.Match[str]]:
    """Yield what in a line is a secret for certain."""
    return _CERTAIN.finditer(line)


def is_likely(text: str) -> bool:
    """Return whether a free text may be a secret: it holds what looks as some tokens do, and some ids."""
    return _LIKELY.search(text) is not None


def hide_certain(text: str) -> str:
    """Return a text without what in it is a secret for certain."""
    return _CERTAIN.sub(HIDDEN, text)


def hide_likely(text: str) -> str:
    """Return a free text without what in it may be a secret."""
    return _LIKELY.sub(HIDDEN, hide_certain(text))
