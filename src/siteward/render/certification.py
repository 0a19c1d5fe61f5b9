"""Renders an access review as text, CSV and JSON, and as HTML by `review_page`; CSV and JSON have an empty `decision` for each grant."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.certification import FLAGS, DeadRow, Flag, Item, Review
from siteward.access.diagnostic import plural
from siteward.access.known_names import merge_accounts
from siteward.render import keys, words
from siteward.render.csv import cell, gap_cells, origin_cells
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.links import lines_of
from siteward.render.local_time import localized
from siteward.render.privacy import Pseudonyms, redact_missing, redact_said
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.api_key import HeldKey
    from siteward.access.diagnostic import Diagnostic
    from siteward.render.context import Options, Privacy
    from siteward.render.privacy import Names

FORMAT = "siteward.review/1"
KEY = "key"
"""What stands as the kind of a key in the sheet."""
_COLUMNS = (
    "decision", "id", "instance", "person", "account", "kind", "e-mail", "where", "live", "declared", "power", "flags",
    "until", "via", "ticket", "reason", "file", "line", "commit", "created", "last seen", "owner", "last confirmed", "digest",
)  # fmt: skip
TITLES: dict[Flag, str] = {
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
    "overdue": "Not confirmed in time",
}
"""The heading above the items of each flag, in the order of `FLAGS`."""
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
    "overdue": ("grant not confirmed in time", "grants not confirmed in time"),
}
"""The noun of each flag's count, singular and plural, in the order of `FLAGS`."""


def data(review: Review, said: Sequence[Diagnostic] = ()) -> str:
    """Return the review as JSON; the `decision` of each item is empty, to be filled with keep, revoke or change."""
    document = {
        "format": FORMAT,
        "as_of": words.moment(review.as_of),
        "digest": review.digest,
        "incomplete": [words.gap_data(gap) for gap in review.gaps],
        "counts": dict(review.counts()),
        "warnings": [{"instance": told.instance, "code": told.code, "message": told.message} for told in said],
        "items": items(review),
        "keys": list(map(keys.data, review.keys)),
        "keys_unseen": {instance: why for instance, why in review.keys_unseen.items() if why},
    }
    return as_json(document, 1)


def items(review: Review, privacy: Privacy = "full") -> list[dict[str, str]]:
    """Return the items as in the JSON document, redacted as `privacy` asks."""
    shown = _redact(review, privacy)
    values = (*map(_values, shown.items), *map(_dead_values, shown.dead))
    return [dict(zip(_COLUMNS[:-1], row, strict=True)) for row in values]


def table(review: Review) -> str:
    """Return the items as CSV without formulas, below rows without an id for the instances that were not read."""
    return csv_table(_COLUMNS, _rows(review))


def sheet(review: Review, privacy: Privacy) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return the header and the rows of the table, for a workbook: cells without formulas, also once saved as CSV."""
    return _COLUMNS, [list(map(cell, row)) for row in _rows(_redact(review, privacy))]


def reviewer_sheet(review: Review, privacy: Privacy, reviewer: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of the sheet of one reviewer, with room for the decision and why."""
    shown = _redact(review, privacy)
    rows = [("", "", reviewer, *_values(item)[1:], review.digest) for item in shown.items]
    return ("decision", "decision reason", "reviewer", *_COLUMNS[1:]), rows


def _rows(review: Review) -> Iterator[tuple[str, ...]]:
    yield from (gap_cells(gap, _COLUMNS, digest=review.digest) for gap in review.gaps)
    values = chain(map(_values, review.items), map(_dead_values, review.dead), map(_key_values, review.keys))
    yield from ((*row, review.digest) for row in values)


def _dead_values(row: DeadRow) -> tuple[str, ...]:
    """Return a dead line as a row of the sheet: what it says stands in `where`, why it is dead in `declared`."""
    told = {
        "id": row.id, "kind": "dead line", "where": row.what, "declared": row.why, "flags": "dead",
        "ticket": row.ticket, "reason": row.reason, "file": row.at.file, "line": str(row.at.line), "commit": row.commit,
    }  # fmt: skip
    return tuple(told.get(column) or "" for column in _COLUMNS[:-1])


def _key_values(key: HeldKey) -> tuple[str, ...]:
    """Return a key as a row of the sheet, which has no id: nothing is decided of it there."""
    _, _, _, made, used, ends, _ = keys.cells(key)
    at = key.listed.at if key.listed is not None else None
    told = {
        "instance": key.instance, "person": key.handle, "account": key.account, "kind": KEY, "where": key.name,
        "live": keys.may(key) if key.live is not None else "", "power": key.holds.word if key.holds is not None else "",
        "declared": key.listed.holds.word if key.listed is not None and key.listed.holds is not None else "",
        "flags": " ".join(key.flags), "until": ends, "reason": ", ".join(keys.remarks(key)), "owner": key.answers,
        "file": at.file if at is not None else "", "line": str(at.line) if at is not None else "",
        "created": made, "last seen": used,
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
        words.day(item.facts.get("created", "")),
        words.day(item.facts.get("last_seen", "")),
        item.facts.get("owner", ""),
        words.confirmed(item.confirmed),
    )


def render(review: Review, form: str, options: Options, said: Sequence[Diagnostic] = ()) -> str:
    """Return a review as `text`, `html`, `csv` or `json`, redacted as `options.privacy` asks; `said` are warnings about it."""
    shown = _redact(review, options.privacy)
    said = redact_said(said, options.privacy, review.accounts)
    match form:
        case "html":
            from siteward.render.review_page import page  # noqa: PLC0415 — text, CSV and JSON need no templates

            return page(localized(shown, shown.timezone), lines_of(options), said)
        case "csv":
            return table(shown)
        case "json":
            return data(shown, said)
        case _:
            palette = Palette(options)
            here = localized(shown, shown.timezone)
            return palette.page(_lines(here, review.counts(), len(review.items), palette, said))


def _redact(review: Review, privacy: Privacy) -> Review:
    if privacy == "full":
        return review
    missing = redact_missing(review.missing, privacy, review.accounts)
    if privacy == "counts":
        return replace(review, items=(), dead=(), keys=(), missing=missing)
    known: dict[str, dict[str, str | None]] = {}
    for item in review.items:
        known.setdefault(item.instance, {})[item.account] = item.handle
    names = Pseudonyms(merge_accounts(review.accounts, known))
    return replace(
        review,
        items=tuple(_redact_item(item, names.of(item.instance)) for item in review.items),
        dead=tuple(replace(row, ticket=None, reason=None) for row in review.dead),
        keys=keys.redacted(review.keys, names.of),
        missing=missing,
    )


def _redact_item(item: Item, names: Names) -> Item:
    """Return an item without addresses and logins; unmanaged accounts get a number."""
    origin = names.origin(item.origin) if item.origin is not None else None
    facts = {name: names.text(fact) for name, fact in item.facts.items() if name == "owner"}
    told = item.confirmed
    confirmed = replace(told, by=names.reviewer(told.by)) if told is not None else None
    return replace(item, account=names.name(item.account), email=None, origin=origin, facts=facts, confirmed=confirmed)


def _lines(
    review: Review, counts: Mapping[Flag, int], number: int, palette: Palette, said: Sequence[Diagnostic]
) -> Iterator[str]:
    told = (f"{warned.instance}: {warned.message}" for warned in said)
    yield from palette.warn((*map(words.not_read, review.gaps), *told))
    yield from () if palette.options.quiet else _detail_lines(review, palette)
    unread = sum(not gap.partly for gap in review.missing)
    without = f", {plural(unread, 'instance')} not read" if unread else ""
    yield f"{palette.paint('Review:', 'bold')} {plural(number, 'grant')}{without}."
    yield f"      {palette.join((*counted(counts), *count_dead(review), *keys.count(review.keys)))}"
    yield from (f"      {palette.text(said)}" for said in (*unused_unknown(review), *keys.unseen(review.keys_unseen)))
    yield review.digest


def _detail_lines(review: Review, palette: Palette) -> Iterator[str]:
    """Yield the items with what stands out, group by group, and the dead lines."""
    yield f"{palette.paint('Access review', 'bold')} as of {words.moment(review.as_of)}"
    groups = {TITLES[flag]: [item for item in review.items if flag in item.flags] for flag in FLAGS}
    everything = {"All grants": list(review.items)} if palette.options.verbose else {}
    for title, items in {**groups, **everything}.items():
        if items:
            yield from ("", f"  {palette.paint(title, 'bold')}")
            yield from palette.table([_text_cells(item, palette) for item in items], 4)
    if review.dead:
        yield from ("", f"  {palette.paint('Dead lines', 'bold')}")
        yield from palette.table([_dead_cells(row, palette) for row in review.dead], 4)
    if review.keys:
        yield from ("", f"  {palette.paint('Keys', 'bold')}")
        yield from palette.table([_key_cells(key, palette) for key in review.keys], 4)
    yield ""


def _key_cells(key: HeldKey, palette: Palette) -> tuple[Cell, ...]:
    name, whose, may, made, used, ends, due = keys.cells(key)
    days = (f"made {made}" if made else "", f"last used {used}" if used else "", f"due {due}" if due else "")
    place = f"{key.listed.at.file}:{key.listed.at.line}" if key.listed is not None and key.listed.at is not None else ""
    return (
        palette.cell(name, "bold"),
        palette.cell(whose),
        palette.cell(may),
        palette.cell(", ".join(filter(None, (*days, f"ends {ends}" if ends not in {"", "no end"} else "")))),
        Cell(palette.join(tuple(filter(None, (place, *keys.remarks(key))))), "dim"),
    )


def count_dead(review: Review) -> tuple[str, ...]:
    """Return the number of dead lines as a phrase; none where there are none."""
    return (plural(len(review.dead), "dead line"),) if review.dead else ()


def _dead_cells(row: DeadRow, palette: Palette) -> tuple[Cell, ...]:
    return (
        palette.cell(row.what, "bold"),
        palette.cell(row.why),
        Cell(palette.join((f"{row.at.file}:{row.at.line}", *dead_reasons(row))), "dim"),
    )


def dead_reasons(row: DeadRow) -> tuple[str, ...]:
    """Return why a dead line was written, in phrases: ticket, reason, commit."""
    return tuple(filter(None, (row.ticket, row.reason, f"commit {row.commit}" if row.commit else "")))


def counted(counts: Mapping[Flag, int]) -> tuple[str, ...]:
    """Return the counts of flagged grants as phrases, such as `2 admin grants`; flags without any are left out."""
    return tuple(
        plural(counts[flag], singular, several) for flag, (singular, several) in COUNTED.items() if counts.get(flag)
    )


def unused_unknown(review: Review) -> tuple[str, ...]:
    """Return the sentence on instances of which nobody knows when an account was last used; none where all tell."""
    named = ", ".join(review.unused_unknown)
    return (f"{named}: the platform does not keep when an account was last used",) if named else ()


def reasons(item: Item) -> tuple[str, ...]:
    """Return why an item is held, in phrases: the way through the file, ticket, reason, commit, end, owner."""
    origin = item.origin
    why = (
        f"via {', '.join(origin.via)}" if origin and origin.via else "",
        (origin.ticket or "") if origin else "",
        (origin.reason or "") if origin else "",
        f"commit {item.commit}" if item.commit else "",
        f"ends {words.end(item.until)}" if item.until else "",
        f"owner {item.facts['owner']}" if "owner" in item.facts else "",
    )
    return tuple(filter(None, why))


def place(item: Item) -> str:
    """Return the line that declares an item, as `file:line`; empty where none does."""
    return f"{item.origin.at.file}:{item.origin.at.line}" if item.origin else ""


def _text_cells(item: Item, palette: Palette) -> tuple[Cell, ...]:
    side = f"{words.value(item.live)} live" if item.agreement != "same" else words.value(item.live)
    declared = f", {words.value(item.declared)} declared" if item.agreement != "same" else ""
    seen = f"last seen {words.day(item.facts['last_seen'])}" if "last_seen" in item.facts else ""
    last = f"last confirmed {words.confirmed(item.confirmed)}" if item.confirmed else ""
    told = (place(item), *reasons(item), seen, last, ", ".join(item.flags))
    return (
        palette.cell(f"{words.name_with_login(item.handle, item.account)} on {item.instance}", "bold"),
        palette.cell(words.place(item.scope)),
        palette.cell(side + declared),
        Cell(palette.join(tuple(filter(None, told))), "dim"),
    )
