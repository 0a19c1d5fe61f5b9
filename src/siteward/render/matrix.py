"""Renders the access matrix as text, HTML, CSV and JSON: people in rows, sites in columns, live and declared in a cell.

The HTML page holds its data as JSON and draws only the visible part, so that 2 000 people on 500 sites stay usable. Its
content security policy allows one script and one style sheet, by their hashes; names are inserted as text only.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.access.effective import Agreement
from siteward.access.known_names import merge_accounts
from siteward.access.report import Missing
from siteward.render import words
from siteward.render.csv import gap_cells, origin_cells
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.local_time import localized
from siteward.render.privacy import Pseudonyms, redact_missing, redact_said
from siteward.render.safe import as_json, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.effective import Entry, Holding, Ledger
    from siteward.access.model import Accounts, Grant
    from siteward.render.context import Options
    from siteward.render.privacy import Names

FORMAT = "siteward.matrix/1"
SOON = timedelta(days=30)
_HEADER = (
    "instance", "person", "account", "kind", "e-mail", "status", "where", "live", "declared", "agreement", "until",
    "pending", "group", "via", "ticket", "reason", "file", "line", "why",
)  # fmt: skip


class Matrix(Struct, frozen=True, kw_only=True):
    """The ledgers of a matrix, their time, and the instances that are missing from it.

    `accounts` are all known account names (`Report.accounts`), by which names are found and redacted in texts.
    `timezone` is that of the policy, in which people read moments. `said` are warnings about what is shown.
    """

    ledgers: tuple[Ledger, ...]
    as_of: datetime
    commit: str | None = None
    missing: tuple[Missing, ...] = ()
    accounts: Accounts = MappingProxyType({})
    timezone: str = "UTC"
    said: tuple[Diagnostic, ...] = ()

    @property
    def unread(self) -> tuple[Missing, ...]:
        """The instances that were not read at all."""
        return tuple(gap for gap in self.missing if not gap.partly)

    @property
    def gaps(self) -> tuple[Missing, ...]:
        """The instances that were not read, or not completely, or that a row in error leaves in doubt."""
        incomplete = (Missing(instance=ledger.instance, partly=True) for ledger in self.ledgers if not ledger.complete)
        return (*self.missing, *incomplete)


def page(matrix: Matrix) -> str:
    """Return the matrix as one HTML page that needs nothing from elsewhere."""
    from markupsafe import Markup  # noqa: PLC0415 — text, CSV and JSON need no templates

    from siteward.render.html import page_of, resource  # noqa: PLC0415

    return page_of(
        "matrix.html",
        style=resource("matrix.css"),
        script=resource("matrix.js"),
        title="Access matrix",
        data=Markup(_embed_json(_page_data(matrix))),  # noqa: S704 - JSON in which no "<" is left
        when=f"As of {words.moment(matrix.as_of)}{f' for commit {matrix.commit}' if matrix.commit else ''}.",
        gaps=[*map(words.not_read, matrix.gaps), *_tell(matrix)],
    )


def _tell(matrix: Matrix) -> list[str]:
    return [f"{said.instance}: {said.message}" for said in matrix.said]


def _embed_json(data: object) -> str:
    """Return JSON that cannot end the script element it stands in: `<` and `&` are escaped."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


def _page_data(matrix: Matrix) -> dict[str, object]:
    """Return the data of the script: the instances, the columns, and a row for each person.

    A row is `[name, kind, details, [[column, live, declared, live power, declared power, marks, details], …]]`.
    """
    columns = [(at, scope) for at, ledger in enumerate(matrix.ledgers) for scope in _columns(ledger)]
    place = {key: index for index, key in enumerate(columns)}
    rows: dict[str, tuple[str, list[str], list[list[object]]]] = {}
    for at, ledger in enumerate(matrix.ledgers):
        for entry in ledger.entries:
            name = show(entry.handle or f"{entry.account} ({ledger.instance})")
            kind = "unmanaged" if entry.kind == "undeclared" else entry.kind
            _, accounts, cells = rows.setdefault(name, (kind, [], []))
            accounts.append(_describe_account(entry, ledger))
            cells += (
                [place[at, words.place(holding.scope)], *_cell_data(holding, entry, matrix)]
                for holding in entry.holdings
            )
    return {
        "instances": [show(ledger.instance) for ledger in matrix.ledgers],
        "columns": [[at, show(scope)] for at, scope in columns],
        "rows": [[name, *rows[name]] for name in sorted(rows, key=str.casefold)],
    }


def _describe_account(entry: Entry, ledger: Ledger) -> str:
    email = "" if entry.email is None or entry.email == entry.account else entry.email
    parts = (ledger.instance, entry.account, email, "" if entry.status == "active" else entry.status)
    return " · ".join(show(part) for part in parts if part)


def _columns(ledger: Ledger) -> Iterator[str]:
    """Yield the columns of an instance: other scopes on which grants are held, then the sites."""
    sites = {words.place(site) for site in ledger.sites}
    held = {words.place(holding.scope) for entry in ledger.entries for holding in entry.holdings}
    yield from sorted(held - sites)
    yield from sorted(sites)


def _cell_data(holding: Holding, entry: Entry, matrix: Matrix) -> list[object]:
    return [
        _role_name(holding.live),
        _role_name(holding.declared),
        int(holding.live_power),
        int(holding.declared_power),
        _filter_letters(holding, entry, matrix.as_of),
        _details(holding, entry),
    ]


def _role_name(grant: Grant | None) -> str:
    return "" if grant is None else show(words.value(grant))


def _filter_letters(holding: Holding, entry: Entry, as_of: datetime) -> str:
    """Return the letters by which the page filters: d(iffers), p(ending), e(nds soon)."""
    until = _end_date(holding, entry)
    soon = until is not None and until <= as_of + SOON
    pending = holding.pending or entry.status == "pending"
    return ("d" if holding.agreement != "same" else "") + ("p" if pending else "") + ("e" if soon else "")


def _end_date(holding: Holding, entry: Entry) -> datetime | None:
    ends = [end for end in (holding.origin.until if holding.origin else None, entry.until) if end is not None]
    return min(ends, default=None)


def _details(holding: Holding, entry: Entry) -> str:
    origin, until = holding.origin, _end_date(holding, entry)
    parts = (
        f"{origin.at.file}:{origin.at.line}" if origin else "",
        f"via {', '.join(origin.via)}" if origin and origin.via else "",
        (origin.ticket or "") if origin else "",
        (origin.reason or "") if origin else "",
        f"through group {holding.group}" if holding.group else "",
        f"ends {words.end(until)}" if until else "",
        holding.why or "",
    )
    return " · ".join(show(part) for part in parts if part)


def table(ledgers: Iterable[Ledger], gaps: Iterable[Missing] = ()) -> str:
    """Return the matrix as CSV without formulas: a row for each holding, and one for each account without any.

    Instances that were not read stand first, each in a row, so that nobody takes the rest for everything.
    """
    unread = (gap_cells(gap, _HEADER) for gap in gaps)
    rows = (row for ledger in ledgers for entry in ledger.entries for row in _rows(entry, ledger))
    return csv_table(_HEADER, chain(unread, rows))


def _rows(entry: Entry, ledger: Ledger) -> Iterator[Sequence[str]]:
    who = (ledger.instance, entry.handle or "", entry.account, entry.kind, entry.email or "", entry.status)
    if not entry.holdings:
        yield (*who, *[""] * (len(_HEADER) - len(who)))
    for holding in entry.holdings:
        until = _end_date(holding, entry)
        yield (
            *who,
            words.place(holding.scope),
            words.value(holding.live),
            words.value(holding.declared),
            holding.agreement,
            words.moment(until) if until else "",
            "yes" if holding.pending else "",
            holding.group or "",
            *origin_cells(holding.origin),
            holding.why or "",
        )


def render(matrix: Matrix, form: str, options: Options) -> str:
    """Return a matrix as `text`, `html`, `csv` or `json`, redacted as `options.privacy` asks."""
    ledgers = matrix.ledgers if options.privacy == "full" else redacted(matrix.ledgers, matrix.accounts)
    if options.privacy == "counts":
        ledgers = tuple(replace(ledger, entries=(), sites=()) for ledger in ledgers)
    shown = replace(
        matrix, ledgers=ledgers, missing=redact_missing(matrix.missing, options.privacy, matrix.accounts),
        said=redact_said(matrix.said, options.privacy, matrix.accounts),
    )  # fmt: skip
    match form:
        case "html":
            return page(localized(shown, matrix.timezone))
        case "csv":
            return table(ledgers, shown.gaps)
        case "json":
            return as_json(_document(shown, matrix), 1)
        case _:
            palette = Palette(options)
            return palette.page(_lines(localized(shown, matrix.timezone), matrix, palette))


def _document(shown: Matrix, whole: Matrix) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "as_of": words.moment(shown.as_of),
        "commit": shown.commit,
        "incomplete": [words.gap_data(gap) for gap in shown.gaps],
        "warnings": [{"instance": told.instance, "code": told.code, "message": told.message} for told in shown.said],
        "summary": {**counts(whole.ledgers), "not_read": len(whole.unread)},
        "holdings": [
            dict(zip(_HEADER, row, strict=True)) for ledger in shown.ledgers for entry in ledger.entries
            for row in _rows(entry, ledger)
        ],
    }  # fmt: skip


def counts(ledgers: Iterable[Ledger]) -> Mapping[str, int]:
    """Return the totals that every output shows: instances, accounts, sites, grants, and grants by agreement."""
    every = tuple(ledgers)
    entries = [entry for ledger in every for entry in ledger.entries]
    agreement = Counter(holding.agreement for entry in entries for holding in entry.holdings)
    return {
        "instances": len(every),
        "accounts": len(entries),
        "sites": sum(len(ledger.sites) for ledger in every),
        "grants": agreement.total(),
        **{name: agreement[name] for name in get_args(Agreement)},
        "undeclared": sum(entry.kind == "undeclared" for entry in entries),
    }


_AGREEMENTS: Mapping[Agreement, str] = {
    "same": "", "missing": "not live", "extra": "not in the file", "differs": "declared otherwise",
}  # fmt: skip


def _lines(shown: Matrix, whole: Matrix, palette: Palette) -> Iterator[str]:
    yield from palette.warn((*map(words.not_read, shown.gaps), *_tell(shown)))
    for ledger in () if palette.options.quiet else shown.ledgers:
        yield f"{palette.paint(palette.text(ledger.instance), 'bold')}  {palette.text(ledger.origin)}"
        yield from palette.table([row for entry in ledger.entries for row in _entry_rows(entry, palette)], 2)
        yield ""
    total = counts(whole.ledgers)
    parts = [f"{total[name]} {phrase}" for name, phrase in _AGREEMENTS.items() if phrase and total[name]]
    heads = [plural(total[f"{noun}s"], noun) for noun in ("account", "site", "grant")]
    if whole.unread:
        heads.append(f"{plural(len(whole.unread), 'instance')} not read")
    yield f"{palette.paint('Matrix:', 'bold')} {', '.join(heads)}."
    if parts or total["undeclared"]:
        accounts = plural(total["undeclared"], "unmanaged account") if total["undeclared"] else ""
        yield f"      {palette.join((*parts, accounts))}"


def _causes_of(holding: Holding) -> tuple[str, ...]:
    origin = holding.origin
    return (origin.ticket or "", origin.reason or "") if origin is not None else ()


def _describe_wish(entry: Entry, holding: Holding) -> str:
    """Return in a few words what is declared where that is not what is live; empty where both agree."""
    if holding.agreement == "differs":
        return f"{words.value(holding.declared)} declared"
    if holding.agreement == "extra":
        return words.undeclared(declared=entry.handle is not None)
    return _AGREEMENTS[holding.agreement]


def _entry_rows(entry: Entry, palette: Palette) -> Iterator[tuple[Cell, ...]]:
    who = words.name_with_login(entry.handle, entry.account)
    kind = "" if entry.kind == "person" else entry.kind
    if not entry.holdings:
        yield palette.cell(who, "bold"), Cell(kind), Cell("-"), Cell(""), Cell("")
    for number, holding in enumerate(entry.holdings):
        side = holding.live or holding.declared
        wish = _describe_wish(entry, holding)
        marks = (
            f"by group {holding.group}" if holding.group and wish else "",
            (holding.why or "") if entry.handle else "",
            "pending" if holding.pending else "",
            f"ends {words.end(end)}" if (end := _end_date(holding, entry)) else "",
            *(_causes_of(holding) if palette.options.verbose else ()),
        )
        yield (
            palette.cell("" if number else who, "bold"),
            Cell("" if number else kind, "dim"),
            palette.cell(words.place(holding.scope)),
            palette.cell(words.value(side)),
            Cell(palette.join((wish, *marks)), "yellow" if wish else "dim"),
        )


def redacted(ledgers: Iterable[Ledger], accounts: Accounts = MappingProxyType({})) -> tuple[Ledger, ...]:
    """Return the ledgers without addresses, and with numbers in place of the names of unmanaged accounts."""
    every = tuple(ledgers)
    known = {ledger.instance: {entry.account: entry.handle for entry in ledger.entries} for ledger in every}
    names = Pseudonyms(merge_accounts(accounts, known))
    return tuple(
        replace(ledger, entries=tuple(_redact_entry(entry, names.of(ledger.instance)) for entry in ledger.entries))
        for ledger in every
    )


def _redact_entry(entry: Entry, names: Names) -> Entry:
    holdings = tuple(
        replace(holding, origin=names.origin(holding.origin)) if holding.origin else holding
        for holding in entry.holdings
    )
    return replace(entry, account=names.name(entry.account), email=None, facts={}, holdings=holdings)
