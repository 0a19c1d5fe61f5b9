"""Addresses of lines of the files, and of the run, on the forge that runs this; none where no forge does.

What a link shows is always the place itself, so that a page without links says as much.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from siteward.access.plan import Plan
    from siteward.render.context import Options

_PLACE = re.compile(r"(.+?):(\d{1,9})(?::\d{1,9})?", re.DOTALL)
_REVISION = re.compile(r"[0-9a-f]{7,64}")


class Forge(Struct, frozen=True, kw_only=True):
    """The forge that runs this: where it shows files, before their revision, which revision it runs, and the run itself."""

    files: str
    revision: str = ""
    run: str = ""


class Lines(Struct, frozen=True, kw_only=True):
    """The addresses of lines at one revision; without `files` there are none."""

    files: str = ""
    top: str = ""
    below: str = ""

    def of(self, place: str) -> str:
        """Return the address of a place such as `access.yaml:9:5`; empty where the forge does not show it."""
        found = _PLACE.fullmatch(place) if self.files else None
        path = from_top(found[1], self.top, self.below) if found else ""
        if not found or not path or posixpath.isabs(path) or path.split("/")[0] == "..":
            return ""
        return f"{self.files}/{quote(path.encode('utf-8', 'surrogatepass'))}#L{int(found[2])}"


NO_LINES = Lines()
"""Without any address."""


def lines_of(options: Options, plan: Plan | None = None) -> Lines:
    """Return the addresses of lines as of the commit of a plan, else of the revision that the forge runs.

    There are none for a plan of files that differ from every commit.
    """
    forge = options.forge
    revision = (("" if plan.dirty else plan.commit or "") if plan else forge.revision) if forge else ""
    if forge is None or not _REVISION.fullmatch(revision):
        return NO_LINES
    return Lines(files=f"{forge.files}/{revision}", top=options.top, below=options.below)


def without_lines(options: Options) -> Options:
    """Return options by which no line has an address; the run keeps its own."""
    return options if options.forge is None else replace(options, forge=replace(options.forge, revision="", files=""))


def from_top(file: str, top: str, below: str) -> str:
    """Return the path of a file from the top of the repository; unchanged for one outside of it."""
    if not top:
        return file
    if posixpath.isabs(file):
        return file.removeprefix(f"{top}/") if file.startswith(f"{top}/") else file
    return posixpath.normpath(posixpath.join(below, file))
