"""Renders what ends soon, by who answers for it: as text, JSON, CSV or Markdown."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.access.ends import by_owner
from siteward.render import words
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.markdown_escape import prose
from siteward.render.markdown_escape import table as markdown_table
from siteward.render.privacy import hide_mails
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from siteward.access.ends import Ending
    from siteward.render.context import Options

FORMATS = ("text", "json", "csv", "markdown")
_COLUMNS = ("owner", "end", "until", "days", "kind", "who", "what", "file", "line", "ticket", "reason")
_SHOWN = ("ends", "in", "who", "loses", "line", "why")
_NOBODY = "nobody named"


def render(endings: Iterable[Ending], form: str, options: Options, as_of: datetime) -> str:
    """Return what ends in one of `FORMATS`; `as_of` is the moment from which days are counted.

    Of `--privacy counts` only the numbers are left, by owner; addresses are hidden with `handles`.
    """
    shown = endings if options.privacy == "full" else map(_redact, endings)
    return _FORMS[form](by_owner(shown), options, as_of)


def _redact(ending: Ending) -> Ending:
    return replace(
        ending,
        ticket=hide_mails(ending.ticket) if ending.ticket else None,
        reason=hide_mails(ending.reason) if ending.reason else None,
    )


def _text(found: Mapping[str, Sequence[Ending]], options: Options, as_of: datetime) -> str:
    palette = Palette(options)
    lines: list[str] = []
    for owner, endings in found.items():
        lines.append(palette.text(f"{owner or _NOBODY}: {plural(len(endings), 'row')}"))
        if options.privacy != "counts":
            lines += palette.table([[Cell(cell) for cell in _cells(ending, as_of)] for ending in endings], 2)
    return palette.page((*lines, palette.text(_total(found))))


def _cells(ending: Ending, as_of: datetime) -> tuple[str, ...]:
    why = ", ".join(filter(None, (ending.ticket, ending.reason)))
    until = words.moment(datetime.fromisoformat(ending.until)) if "T" in ending.until else ending.until
    return until, _distance(ending, as_of), ", ".join(ending.who), ending.what, str(ending.at), why


def _distance(ending: Ending, as_of: datetime) -> str:
    left = ending.end - as_of
    return plural(left.days, "day") if left.days else plural(left.seconds // 3600, "hour")


def _total(found: Mapping[str, Sequence[Ending]]) -> str:
    """Return the number of rows, each counted once however many answer for it."""
    rows = {ending.at for endings in found.values() for ending in endings}
    return f"{plural(len(rows), 'row')} {'ends' if len(rows) == 1 else 'end'}" if rows else "nothing ends"


def _json(found: Mapping[str, Sequence[Ending]], options: Options, as_of: datetime) -> str:
    owners = [
        {
            "owner": owner or None,
            "count": len(endings),
            **({} if options.privacy == "counts" else {"items": [_data(ending, as_of) for ending in endings]}),
        }
        for owner, endings in found.items()
    ]
    return as_json({"format": "siteward.ending/1", "as_of": words.moment(as_of), "owners": owners}, 2)


def _data(ending: Ending, as_of: datetime) -> Mapping[str, object]:
    return {
        "end": words.moment(ending.end), "until": ending.until, "days": (ending.end - as_of).days, "kind": ending.kind, "who": list(ending.who),
        "what": ending.what, "at": str(ending.at), "ticket": ending.ticket, "reason": ending.reason,
    }  # fmt: skip


def _csv(found: Mapping[str, Sequence[Ending]], options: Options, as_of: datetime) -> str:
    if options.privacy == "counts":
        return csv_table(("owner", "count"), [(owner, str(len(endings))) for owner, endings in found.items()])
    rows = [
        (
            owner, words.moment(ending.end), ending.until, str((ending.end - as_of).days), ending.kind, " ".join(ending.who), ending.what,
            ending.at.file, str(ending.at.line), ending.ticket or "", ending.reason or "",
        )
        for owner, endings in found.items()
        for ending in endings
    ]  # fmt: skip
    return csv_table(_COLUMNS, rows)


def _markdown(found: Mapping[str, Sequence[Ending]], options: Options, as_of: datetime) -> str:
    lines: list[str] = []
    for owner, endings in found.items():
        lines += [f"### {prose(owner or _NOBODY)} ({plural(len(endings), 'row')})", ""]
        if options.privacy != "counts":
            rows = [[prose(cell) for cell in _cells(ending, as_of)] for ending in endings]
            lines += [markdown_table(_SHOWN, rows), ""]
    return "\n".join([*lines, _total(found), ""])


_FORMS: Mapping[str, Callable[[Mapping[str, Sequence[Ending]], Options, datetime], str]] = MappingProxyType(
    {"text": _text, "json": _json, "csv": _csv, "markdown": _markdown}
)
