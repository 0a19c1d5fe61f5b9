"""Links of a comment: to the line of a file at its commit, and to the run that made the comment.

Forges put both into the environment of a job. Elsewhere there are none, and places are text.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Span
from siteward.render.context import Options
from siteward.render.findings import from_top
from siteward.render.markdown_escape import code

_PLACE = re.compile(r"(.+?):(\d{1,9})(?::\d{1,9})?", re.DOTALL)


class Lines(Struct, frozen=True, kw_only=True):
    """The addresses of lines; without a `blob`, which is where the forge shows files, there are none."""

    blob: str = ""
    top: str = ""
    below: str = ""

    def of(self, place: str) -> str:
        """Return the address of a place such as `access.yaml:9:5`; empty where the forge does not show it."""
        found = _PLACE.fullmatch(place) if self.blob else None
        if found is None:
            return ""
        at = from_top(Span(found[1], int(found[2]), 1), Options(top=self.top, below=self.below))
        if at.file.startswith(("/", "..")):  # outside of the repository
            return ""
        return f"{self.blob}/{quote(at.file.encode('utf-8', 'surrogatepass'))}#L{at.line}"


NO_LINES = Lines()
"""Without any address."""


def lines_of(options: Options) -> Lines:
    """Return the addresses of lines of the files, as the forge shows them."""
    return Lines(blob=options.blob, top=options.top, below=options.below)


def without_lines(options: Options) -> Options:
    """Return options by which no line has an address; the run keeps its own."""
    return replace(options, blob="")


def link_place(place: str, options: Options) -> str:
    """Return `file:line` as code, and where the forge's address is known as a link to that line."""
    address = lines_of(options).of(place)
    if not address:
        return code(place)
    name, _, number = place.rpartition(":")
    at = from_top(Span(name, int(number), 1), options)
    return f"[{code(f'{at.file}:{at.line}')}](<{address}>)"


def link_run(options: Options) -> str:
    """Return the link to the run and what it keeps, or an empty text."""
    return f"[run and artifacts](<{options.run}>)" if options.run else ""
