"""Renders what a refresh of a directory's file changes: as text, Markdown for a pull request, or JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from siteward.access.diagnostic import plural
from siteward.render.lines import Cell, Palette
from siteward.render.markdown_escape import code, prose, table
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.render.context import Options

FORMAT = "siteward.people/1"
FORMATS = ("text", "markdown", "json")
_ORDER = ("left", "group lost", "group", "changed", "back", "added")
"""The kinds of changes, what takes the most away first."""

_NAMES_PEOPLE = ("login", "email", "name")
"""The fields whose values are told in full only."""

Line = tuple[str, str, str]
"""A change: its kind, the handle or group that it is about, and more in words."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh changes in the file of a directory; `told` is what the export does not say."""

    directory: str
    file: str
    lines: Sequence[Line]
    told: Sequence[str]
    changes: bool = field(kw_only=True)

    def redacted(self, options: Options) -> Refreshed:
        """Return it in order and without what the options hide."""
        lines = sorted(_redact(self.lines, options), key=lambda line: (_ORDER.index(line[0]), line))
        told = self.told if options.privacy == "full" else [sentence.partition(":")[0] for sentence in self.told]
        return replace(self, lines=lines, told=told)

    def total(self) -> str:
        """Return the numbers of changes by their kinds, in words."""
        counts = Counter(kind for kind, *_ in self.lines)
        kinds = [f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind]]
        return ", ".join([plural(len(self.lines), "change"), *kinds]) if kinds else "nothing changes"


def render(refreshed: Sequence[Refreshed], refused: Sequence[str], form: str, options: Options) -> str:
    """Return the changes to the files of directories in one of `FORMATS`, and the names of those that were refused."""
    shown = [(done.redacted(options), done.total()) for done in refreshed]
    if form == "json":
        return as_json(_document([done for done, _ in shown], refused), 2) + "\n"
    if form == "markdown":
        left_out = [f"**{prose(directory)}**: refused, its file is as it was.\n" for directory in refused]
        return "\n".join((*(_markdown(done, total) for done, total in shown), *left_out))
    palette = Palette(options)
    return palette.page(
        (
            *palette.warn(f"{directory}: refused, its file is as it was" for directory in refused),
            *(line for done, total in shown for line in _text(done, total, palette)),
        )
    )


def _document(refreshed: Sequence[Refreshed], refused: Sequence[str]) -> dict[str, object]:
    directories = [
        {
            "directory": done.directory,
            "file": done.file,
            "told": list(done.told),
            "changes": [{"what": kind, "who": who, "detail": detail} for kind, who, detail in done.lines],
        }
        for done in refreshed
    ]
    return {"format": FORMAT, "directories": directories, "refused": list(refused)}


def _markdown(done: Refreshed, total: str) -> str:
    head = f"**{prose(done.directory)}** ({code(done.file)}): {total}.\n"
    rows = [(kind, code(who), prose(detail)) for kind, who, detail in done.lines]
    notes = "".join(f"\n- {prose(sentence)}" for sentence in done.told)
    listed = (table(("what", "who", ""), rows), "") if rows else ()
    return "\n".join((head, *listed)) + (f"{notes}\n" if notes else "")


def _text(done: Refreshed, total: str, palette: Palette) -> Iterator[str]:
    yield from palette.warn(done.told)
    if done.lines:
        yield from palette.table([[Cell(kind), Cell(who), Cell(detail)] for kind, who, detail in done.lines], 0)
    yield palette.text(f"{done.directory} ({done.file}): {total}")


def _redact(lines: Sequence[Line], options: Options) -> Sequence[Line]:
    """Return the lines without values that name people, and none where only numbers may be shown."""
    if options.privacy == "full":
        return lines
    if options.privacy == "counts":
        return ()
    return [
        (kind, who, what if kind == "changed" and (what := detail.partition(":")[0]) in _NAMES_PEOPLE else detail)
        for kind, who, detail in lines
    ]
