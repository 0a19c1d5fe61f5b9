"""Renders an access review as text, HTML, CSV and JSON; CSV and JSON have an empty `decision` for each grant."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.certification import FLAGS, DeadRow, Flag, Item, Review
from siteward.access.diagnostic import error, plural
from siteward.access.model import merge_accounts
from siteward.render import words
from siteward.render.csv import gap_cells, origin_cells
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.privacy import Pseudonyms, redact_missing
from siteward.render.repeats import Occurrence, tell_once
from siteward.render.safe import as_json
from siteward.render.view import Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.render.context import Options, Privacy
    from siteward.render.privacy import Names

FORMAT = "siteward.review/1"
_COLUMNS = (
    "decision", "id", "instance", "person", "account", "kind", "e-mail", "where", "live", "declared", "power", "flags",
    "until", "via", "ticket", "reason", "file", "line", "commit", "created", "last seen", "owner", "digest",
)  # fmt: skip
_TITLES = {
    "admin": "Admins",
    "undeclared": "Not in the file",
    "public": "Public access",
    "outsider": "External users",
    "service": "Service accounts",
    "expired": "Ended and still there",
    "expiring": "Ending soon",
    "stale": "Not used for long",
    "pending": "Pending",
    "differs": "Live differs from declared",
}
COUNTED: dict[Flag, tuple[str, str]] = {
    "admin": ("admin grant", "admin grants"),
    "undeclared": ("grant not in the file", "grants not in the file"),
    "public": ("public grant", "public grants"),
    "outsider": ("grant of an external user", "grants of external users"),
    "service": ("grant of a service account", "grants of service accounts"),
    "expired": ("ended grant still there", "ended grants still there"),
    "expiring": ("grant ending soon", "grants ending soon"),
    "stale": ("grant not used for long", "grants not used for long"),
    "pending": ("pending grant", "pending grants"),
    "differs": ("grant that differs from what is declared", "grants that differ from what is declared"),
}
"""The noun of each flag's count, singular and plural, in the order of `FLAGS`."""


def data(review: Review) -> str:
    """Return the review as JSON; the `decision` of each item is empty, to be filled with keep, revoke or change."""
    document = {
        "format": FORMAT,
        "as_of": words.moment(review.as_of),
        "digest": review.digest,
        "incomplete": [words.gap_data(gap) for gap in review.gaps],
        "counts": dict(review.counts()),
        "items": items(review),
    }
    return as_json(document, 1)


def items(review: Review, privacy: Privacy = "full") -> list[dict[str, str]]:
    """Return the items as in the JSON document, redacted as `privacy` asks."""
    shown = _redact(review, privacy)
    values = (*map(_values, shown.items), *map(_dead_values, shown.dead))
    return [dict(zip(_COLUMNS[:-1], row, strict=True)) for row in values]


def table(review: Review) -> str:
    """Return the items as CSV without formulas, below rows without an id for the instances that were not read."""
    unread = (gap_cells(gap, _COLUMNS, digest=review.digest) for gap in review.gaps)
    values = chain(map(_values, review.items), map(_dead_values, review.dead))
    return csv_table(_COLUMNS, chain(unread, ((*row, review.digest) for row in values)))


def _dead_values(row: DeadRow) -> tuple[str, ...]:
    """Return a dead line as a row of the sheet: what it says stands in `where`, why it is dead in `declared`."""
    told = {
        "id": row.id, "kind": "dead line", "where": row.what, "declared": row.why, "flags": "dead",
        "ticket": row.ticket, "reason": row.reason, "file": row.at.file, "line": str(row.at.line), "commit": row.commit,
    }  # fmt: skip
    return tuple(told.get(column) or "" for column in _COLUMNS[:-1])


def _values(item: Item) -> tuple[str, ...]:
    return (
        "",
        item.id,
        item.instance,
        item.handle or "",
        item.account,
        item.kind,
        item.email or "",
        words.place(item.scope),
        words.value(item.live),
        words.value(item.declared),
        item.power.word,
        " ".join(item.flags),
        words.moment(item.until) if item.until else "",
        *origin_cells(item.origin),
        item.commit or "",
        item.facts.get("created", ""),
        item.facts.get("last_seen", ""),
        item.facts.get("owner", ""),
    )


def render(review: Review, form: str, options: Options) -> str:
    """Return a review as `text`, `html`, `csv` or `json`, redacted as `options.privacy` asks."""
    shown = _redact(review, options.privacy)
    match form:
        case "html":
            return page(shown)
        case "csv":
            return table(shown)
        case "json":
            return data(shown)
        case _:
            palette = Palette(options)
            return palette.page(_lines(shown, review.counts(), len(review.items), palette))


def _redact(review: Review, privacy: Privacy) -> Review:
    if privacy == "full":
        return review
    missing = redact_missing(review.missing, privacy, review.accounts)
    if privacy == "counts":
        return replace(review, items=(), dead=(), missing=missing)
    known: dict[str, dict[str, str | None]] = {}
    for item in review.items:
        known.setdefault(item.instance, {})[item.account] = item.handle
    names = Pseudonyms(merge_accounts(review.accounts, known))
    return replace(
        review,
        items=tuple(_redact_item(item, names.of(item.instance)) for item in review.items),
        dead=tuple(replace(row, ticket=None, reason=None) for row in review.dead),
        missing=missing,
    )


def _redact_item(item: Item, names: Names) -> Item:
    """Return an item without addresses and logins; unmanaged accounts get a number."""
    origin = names.origin(item.origin) if item.origin is not None else None
    facts = {name: names.text(fact) for name, fact in item.facts.items() if name == "owner"}
    return replace(item, account=names.name(item.account), email=None, origin=origin, facts=facts)


def _lines(review: Review, counts: Mapping[Flag, int], number: int, palette: Palette) -> Iterator[str]:
    yield from palette.warn(map(words.not_read, review.gaps))
    yield from () if palette.options.quiet else _detail_lines(review, palette)
    unread = sum(not gap.partly for gap in review.missing)
    without = f", {plural(unread, 'instance')} not read" if unread else ""
    yield f"{palette.paint('Review:', 'bold')} {plural(number, 'grant')}{without}."
    yield f"      {palette.join((*counted(counts), *_count_dead(review)))}"
    yield review.digest


def _detail_lines(review: Review, palette: Palette) -> Iterator[str]:
    """Yield the items with what stands out, group by group, and the dead lines."""
    yield f"{palette.paint('Access review', 'bold')} as of {words.moment(review.as_of)}"
    groups = {_TITLES[flag]: [item for item in review.items if flag in item.flags] for flag in FLAGS}
    everything = {"All grants": list(review.items)} if palette.options.verbose else {}
    for title, items in {**groups, **everything}.items():
        if items:
            yield from ("", f"  {palette.paint(title, 'bold')}")
            yield from palette.table([_text_cells(item, palette) for item in items], 4)
    if review.dead:
        yield from ("", f"  {palette.paint('Dead lines', 'bold')}")
        yield from palette.table([_dead_cells(row, palette) for row in review.dead], 4)
    yield ""


def _count_dead(review: Review) -> tuple[str, ...]:
    return (plural(len(review.dead), "dead line"),) if review.dead else ()


def _dead_cells(row: DeadRow, palette: Palette) -> tuple[Cell, ...]:
    return (
        palette.cell(row.what, "bold"),
        palette.cell(row.why),
        Cell(palette.join((f"{row.at.file}:{row.at.line}", *_dead_why(row))), "dim"),
    )


def _dead_why(row: DeadRow) -> tuple[str, ...]:
    return tuple(filter(None, (row.ticket, row.reason, f"commit {row.commit}" if row.commit else "")))


def _dead_table(review: Review) -> tuple[Table, ...]:
    rows = tuple(
        Row(cells=(row.id, row.what, row.why), place=f"{row.at.file}:{row.at.line}", why=_dead_why(row))
        for row in review.dead
    )
    return (Table(title="Dead lines", header=("id", "line", "because", "why"), rows=rows),) if rows else ()


def counted(counts: Mapping[Flag, int]) -> tuple[str, ...]:
    """Return the counts of flagged grants as phrases, such as `2 admin grants`; flags without any are left out."""
    return tuple(
        plural(counts[flag], singular, several) for flag, (singular, several) in COUNTED.items() if counts.get(flag)
    )


def _text_cells(item: Item, palette: Palette) -> tuple[Cell, ...]:
    row = _build_row(item)
    side = f"{words.value(item.live)} live" if item.agreement != "same" else words.value(item.live)
    declared = f", {words.value(item.declared)} declared" if item.agreement != "same" else ""
    return (
        palette.cell(row.cells[1], "bold"),
        palette.cell(words.place(item.scope)),
        palette.cell(side + declared),
        Cell(palette.join((row.place, *row.why)), "dim"),
    )


def page(review: Review) -> str:
    """Return the review as one HTML page: the grants of each flag, then all grants."""
    from siteward.render.html import Part, draw  # noqa: PLC0415 — text, CSV and JSON need no templates

    counts = review.counts()
    return draw(
        title="Access review",
        lead=(
            f"{plural(len(review.items), 'grant')} as of {words.moment(review.as_of)}",
            " · ".join((*counted(counts), *_count_dead(review))),
        ),
        told=tell_once(Occurrence(error("not-read", words.not_read(gap))) for gap in review.gaps),
        parts=(
            Part(title="What stands out", tables=tuple(_flag_tables(review))),
            Part(title="Everything", tables=(_build_table("All grants", review.items), *_dead_table(review))),
        ),
        foot=(
            f"review {review.digest}",
            "Decide in the CSV or JSON: keep, revoke or change; keep or remove for dead lines.",
        ),
    )


def _flag_tables(review: Review) -> Iterator[Table]:
    for flag in FLAGS:
        items = tuple(item for item in review.items if flag in item.flags)
        if items:
            yield _build_table(_TITLES[flag], items)


def _build_table(title: str, items: tuple[Item, ...]) -> Table:
    header = ("id", "who", "where", "live", "declared", "why")
    return Table(title=title, header=header, rows=tuple(map(_build_row, items)))


def _build_row(item: Item) -> Row:
    origin = item.origin
    place = f"{origin.at.file}:{origin.at.line}" if origin else ""
    why = (
        f"via {', '.join(origin.via)}" if origin and origin.via else "",
        (origin.ticket or "") if origin else "",
        (origin.reason or "") if origin else "",
        f"commit {item.commit}" if item.commit else "",
        f"ends {words.moment(item.until)}" if item.until else "",
        f"last seen {item.facts['last_seen']}" if "last_seen" in item.facts else "",
        f"owner {item.facts['owner']}" if "owner" in item.facts else "",
        ", ".join(item.flags),
    )
    named = words.name_with_login(item.handle, item.account)
    return Row(
        cells=(
            item.id,
            f"{named} on {item.instance}",
            words.place(item.scope),
            words.value(item.live),
            words.value(item.declared),
        ),
        place=place,
        why=tuple(filter(None, why)),
    )
