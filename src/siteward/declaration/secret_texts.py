"""Secrets in the texts of files: how they look, where they stand, and messages that do not repeat them.

What begins as keys and tokens do is found wherever it stands, in comments and in files that are wrong in other ways too.
What could be an id as well is looked for in free texts alone, by the checks that know which texts are free.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Span, problem
from siteward.access.secret_looks import PRIVATE, find_certain, hide_certain, may_hold_certain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.source import Path, Texts

LEAKED = "take it out and make a new one: whoever reads the file has it now, and its history keeps it"
_NAMES = re.compile(r"passw|passphrase|passwd|secret|token|credential|api_?key|private_?key|^pass$|^pwd$|^auth$")
_IN_KEYS = frozenset({"value", "key", "hash", "prefix", "text"})
"""What people might write beside a key's name under `keys`: what the key itself is."""


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
        if not may_hold_certain(texts.whole(file)):
            continue
        lines = texts[file]
        for number, line in enumerate(lines, 1):
            for found in find_certain(line):
                last = _find_last(lines, number) if found.group().endswith(PRIVATE) else number
                yield Span(
                    file, number, found.start() + 1, last, (found.end() if last == number else len(lines[last - 1])) + 1
                )


def _find_last(lines: tuple[str, ...], number: int) -> int:
    """Return the number of the line in which a private key ends that begins in line `number`; that one where it does not."""
    ends = (last for last in range(number, len(lines) + 1) if "-----END" in lines[last - 1])
    return next(ends, number)


def without_secrets(said: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return diagnostics in whose texts no secret is repeated, such as one that was written in the place of a name."""
    texts = chain.from_iterable((one.message, one.hint or "", one.suggestion or "", *one.allowed) for one in said)
    return tuple(map(_hide, said)) if may_hold_certain("\n".join(texts)) else tuple(said)


def _hide(said: Diagnostic) -> Diagnostic:
    message, hint, suggestion = (hide_certain(text or "") for text in (said.message, said.hint, said.suggestion))
    allowed = tuple(map(hide_certain, said.allowed))
    if (message, hint, suggestion, allowed) == (said.message, said.hint or "", said.suggestion or "", said.allowed):
        return said
    return replace(said, message=message, hint=hint or None, suggestion=None, allowed=allowed)
