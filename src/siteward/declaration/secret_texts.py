"""Secrets in the texts of files: how they look, where they stand, and messages that do not repeat them.

What begins as keys and tokens do is found wherever it stands, in comments and in files that are wrong in other ways too.
What could be an id as well is looked for in free texts alone (`is_likely`), by the checks that know which texts are free.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Span, problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.source import Path, Texts

_PRIVATE = "PRIVATE KEY-----"
_BEGINNINGS = (
    "AGE-SECRET-KEY-1", _PRIVATE, "eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "Bearer ",
    "umami_",
)  # fmt: skip
"""One of these stands in whatever `_CERTAIN` finds; most files have none, and are not searched any further."""
_CERTAIN = re.compile(
    r"AGE-SECRET-KEY-1\w*|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bgh[pousr]_\w{30,}"
    r"|\bgithub_pat_\w{20,}|\bglpat-[\w-]{15,}|\bxox[abprs]-[\w-]{10,}|\bBearer [\w.~+/-]{16,}|\bumami_[A-Za-z0-9]{32}\b"
)
"""How keys, tokens and sessions begin that nothing else begins like."""
_LIKELY = re.compile(r"(?<![\w-])(?:[0-9a-f]{32}|(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[A-Za-z0-9_-]{64})(?![\w-])")
"""What looks as a `token_auth` of Matomo or an API key of Plausible does. Ids may look so too, and are not looked at."""
LEAKED = "take it out and make a new one: whoever reads the file has it now, and its history keeps it"
_HIDDEN = "(a secret)"
_NAMES = re.compile(r"passw|passphrase|passwd|secret|token|credential|api_?key|private_?key|^pass$|^pwd$|^auth$")
_IN_KEYS = frozenset({"value", "key", "hash", "prefix", "text"})
"""What people might write beside a key's name under `keys`: what the key itself is."""


def is_likely(text: str) -> bool:
    """Return whether a free text may be a secret: it holds what looks as some tokens do, and some ids."""
    return _LIKELY.search(text) is not None


def names_secret(path: Path) -> bool:
    """Return whether an unknown key at a path of a file is called what a credential is called."""
    name = str(path[-1]).casefold().replace("-", "_")
    in_keys = len(path) > 3 and path[0] == "users" and path[2] == "keys"
    return _NAMES.search(name) is not None or (in_keys and name in _IN_KEYS)


def find_secrets(texts: Texts, said: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Report what begins as secrets do, in any file that was read, comments included; the message does not repeat it.

    What is `said` of a secret already is not reported again.
    """
    known = [one.at for one in said if one.code == "secret-in-file" and one.at is not None]
    for at in _list_places(texts):
        if not any(_is_within(at, other) for other in known):
            yield problem("secret-in-file", "this looks like a secret", at, hint=LEAKED)


def _is_within(at: Span, other: Span) -> bool:
    begins = other.file == at.file and (other.line, other.column) <= (at.line, at.column)
    return begins and (at.line, at.column) < (other.end_line, other.end_column)


def _list_places(texts: Texts) -> Iterator[Span]:
    """Yield the places of what begins as secrets do."""
    for file in texts:
        if not any(word in texts.whole(file) for word in _BEGINNINGS):
            continue
        lines = texts[file]
        for number, line in enumerate(lines, 1):
            for found in _CERTAIN.finditer(line):
                last = _find_last(lines, number) if found.group().endswith(_PRIVATE) else number
                yield Span(
                    file, number, found.start() + 1, last, (found.end() if last == number else len(lines[last - 1])) + 1
                )


def _find_last(lines: tuple[str, ...], number: int) -> int:
    """Return the number of the line in which a private key ends that begins in line `number`; that one where it does not."""
    ends = (last for last in range(number, len(lines) + 1) if "-----END" in lines[last - 1])
    return next(ends, number)


def without_secrets(said: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return diagnostics in whose texts no secret is repeated, such as one that was written in the place of a name."""
    return tuple(map(_hide, said))


def _hide(said: Diagnostic) -> Diagnostic:
    texts = (said.message, said.hint or "", said.suggestion or "", *said.allowed)
    if not any(map(_CERTAIN.search, texts)):
        return said
    return replace(
        said,
        message=_CERTAIN.sub(_HIDDEN, said.message),
        hint=_CERTAIN.sub(_HIDDEN, said.hint) if said.hint else None,
        suggestion=None,
        allowed=tuple(_CERTAIN.sub(_HIDDEN, word) for word in said.allowed),
    )
