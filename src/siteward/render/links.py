"""Links of a comment: to the line of a file at its commit, and to the run that made the comment.

Forges put both into the environment of a job. Elsewhere there are none, and places are text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from siteward.access.diagnostic import Span
from siteward.render.findings import from_top
from siteward.render.markdown_escape import code

if TYPE_CHECKING:
    from siteward.render.context import Options


def link_place(place: str, options: Options) -> str:
    """Return `file:line` as code, and where the forge's address is known as a link to that line."""
    name, _, number = place.rpartition(":")
    if not (options.blob and name and number.isdecimal()):
        return code(place)
    at = from_top(Span(name, int(number), 1), options)
    if at.file.startswith(("/", "..")):  # outside of the repository
        return code(place)
    path = quote(at.file.encode("utf-8", "surrogatepass"), safe="/")
    return f"[{code(f'{at.file}:{at.line}')}](<{options.blob}/{path}#L{at.line}>)"


def link_run(options: Options) -> str:
    """Return the link to the run and what it keeps, or an empty text."""
    return f"[run and artifacts](<{options.run}>)" if options.run else ""
