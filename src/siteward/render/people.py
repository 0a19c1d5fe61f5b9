"""Renders what a refresh of a directory's file changes: as text, Markdown for a pull request, or JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from siteward.access.diagnostic import plural
from siteward.render.lines import Cell, Palette
from siteward.render.markdown_escape import code, prose, table
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.render.context import Options

FORMAT = "siteward.people/1"
FORMATS = ("text", "markdown", "json")
_ORDER = ("left", "group lost", "group", "changed", "back", "added")
"""The kinds of changes, what takes the most away first."""

_NAMES_PEOPLE = ("login", "email", "name")
"""The fields whose values are told in full only."""

Line = tuple[str, str, str]
"""A change: its kind, the handle or group that it is about, and more in words."""


def render(directory: str, file: str, lines: Sequence[Line], told: Sequence[str], form: str, options: Options) -> str:
    """Return the changes to the file of a directory in one of `FORMATS`; `told` is what the export does not say."""
    counts = Counter(kind for kind, *_ in lines)
    total = ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind]) or "nothing changes"
    shown = sorted(_redact(lines, options), key=lambda line: (_ORDER.index(line[0]), line))
    if options.privacy != "full":
        told = [sentence.partition(":")[0] for sentence in told]
    if form == "json":
        changes = [{"what": kind, "who": who, "detail": detail} for kind, who, detail in shown]
        document = {"format": FORMAT, "directory": directory, "file": file, "told": list(told), "changes": changes}
        return as_json(document, 2) + "\n"
    if form == "markdown":
        head = f"**{prose(directory)}** ({code(file)}): {total}.\n"
        rows = [(kind, code(who), prose(detail)) for kind, who, detail in shown]
        notes = "".join(f"\n- {prose(sentence)}" for sentence in told)
        return "\n".join((head, *((table(("what", "who", ""), rows), "") if rows else ()))) + (
            f"{notes}\n" if notes else ""
        )
    palette = Palette(options)
    rows_of_text = [[Cell(kind), Cell(who), Cell(detail)] for kind, who, detail in shown]
    lines_of_text = palette.table(rows_of_text, 0) if rows_of_text else ()
    return palette.page(
        (
            *palette.warn(told),
            *lines_of_text,
            palette.text(f"{directory} ({file}): {plural(len(lines), 'change')}, {total}"),
        )
        if lines
        else (*palette.warn(told), palette.text(f"{directory} ({file}): {total}"))
    )


def _redact(lines: Sequence[Line], options: Options) -> Sequence[Line]:
    """Return the lines without values that name people, and none where only numbers may be shown."""
    if options.privacy == "full":
        return lines
    if options.privacy == "counts":
        return ()
    return [
        (kind, who, field if kind == "changed" and (field := detail.partition(":")[0]) in _NAMES_PEOPLE else detail)
        for kind, who, detail in lines
    ]
