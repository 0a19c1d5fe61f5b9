"""Renders the rounds of an access review as text and JSON: who has which sheet, who is missing, what is overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.render.lines import Cell, Palette
from siteward.render.privacy import hide_mails
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.review_round import RoundStanding, SheetStanding
    from siteward.render.context import Options

FORMAT = "siteward.reviews/1"


def render(rounds: Sequence[RoundStanding], form: str, options: Options) -> str:
    """Return rounds as `text` or `json`; with `--privacy counts` without who reviews."""
    shown = [_redact(made, options) for made in rounds]
    if form == "json":
        return as_json({"format": FORMAT, "items": [_data(made) for made in shown]}, 2)
    palette = Palette(options)
    return palette.page([line for made in shown for line in _lines(made, palette)] or ["no review was started"])


def _redact(made: RoundStanding, options: Options) -> RoundStanding:
    if options.privacy == "counts":
        hidden = (replace(sheet, reviewer="someone", file="", problem="") for sheet in made.sheets)
        return replace(made, sheets=tuple(hidden), folder="")
    if options.privacy == "handles":
        return replace(made, sheets=tuple(replace(sheet, problem=hide_mails(sheet.problem)) for sheet in made.sheets))
    return made


def _lines(made: RoundStanding, palette: Palette) -> Iterator[str]:
    total = sum(sheet.items for sheet in made.sheets)
    state = "closed" if not made.open else f"overdue since {made.due}" if made.overdue else f"due {made.due}"
    head = f"{palette.paint(palette.text(made.name), 'bold')}: {state}, {made.open} of {plural(total, 'item')} open"
    yield f"{head}{palette.text(f' ({made.folder})') if made.folder else ''}"
    yield from palette.table([_cells(sheet, palette, overdue=made.overdue) for sheet in made.sheets], 2)


def _cells(sheet: SheetStanding, palette: Palette, *, overdue: bool) -> tuple[Cell, ...]:
    marks = (
        sheet.problem,
        "missing" if sheet.waits and not sheet.problem else "",
        f"{plural(sheet.missing, 'row')} taken out of the sheet" if sheet.missing else "",
    )
    return (
        palette.cell(sheet.reviewer, "bold"),
        palette.cell(sheet.file),
        palette.cell(f"{sheet.decided} of {sheet.items} decided"),
        palette.cell(f"{sheet.taken} taken"),
        Cell(palette.join(marks), "yellow" if overdue else "dim"),
    )


def _data(made: RoundStanding) -> dict[str, object]:
    return {
        "name": made.name, "due": made.due, "overdue": made.overdue, "open": made.open, "folder": made.folder,
        "sheets": [
            {
                "reviewer": sheet.reviewer, "file": sheet.file, "items": sheet.items, "decided": sheet.decided,
                "taken": sheet.taken, "open": sheet.open, "waits": sheet.waits, "missing": sheet.missing,
                "problem": sheet.problem or None,
            }
            for sheet in made.sheets
        ],
    }  # fmt: skip
