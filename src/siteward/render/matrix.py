"""The access matrix: people down, sites across, live and declared in one cell; as one page, and as CSV.

The page holds its data as JSON and draws only what is in sight, so that 2 000 people on 500 sites stay usable. It
allows itself one script and one style sheet, by their hashes, and nothing else; names are put in as text only.
"""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections import Counter
from datetime import datetime, timedelta
from hashlib import sha256
from io import StringIO
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.access.effective import Agreement
from siteward.access.report import Missing
from siteward.render import words
from siteward.render.csv import cell
from siteward.render.html import resource
from siteward.render.lines import Cell, Palette
from siteward.render.privacy import Pseudonyms, redact_missing
from siteward.render.safe import as_json, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.effective import Entry, Holding, Ledger
    from siteward.access.model import Accounts, Grant
    from siteward.render.context import Options
    from siteward.render.privacy import Names

FORMAT = "siteward.matrix/1"
SOON = timedelta(days=30)
_HEADER = (
    "instance", "person", "account", "kind", "e-mail", "status", "where", "live", "declared", "agreement", "until",
    "pending", "group", "via", "ticket", "reason", "file", "line",
)  # fmt: skip


class Matrix(Struct, frozen=True, kw_only=True):
    """What a matrix is made of, and when; `missing` is not in it.

    `accounts` are the account names that are known beside those of the ledgers (`Report.accounts`).
    """

    ledgers: tuple[Ledger, ...]
    as_of: datetime
    commit: str | None = None
    missing: tuple[Missing, ...] = ()
    accounts: Accounts = MappingProxyType({})

    @property
    def gaps(self) -> tuple[Missing, ...]:
        """What was not read, and what was not read whole."""
        halves = (Missing(instance=ledger.instance, partly=True) for ledger in self.ledgers if not ledger.complete)
        return (*self.missing, *halves)


def page(matrix: Matrix) -> str:
    """Return the matrix as one HTML page that needs nothing from elsewhere."""
    style, script = resource("matrix.css"), resource("matrix.js")
    template = Environment(
        loader=FunctionLoader(resource), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    ).get_template("matrix.html")
    return template.render(
        style=Markup(style),  # noqa: S704 - the package's own files, and the very texts that the hashes are of
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(_embedded(_data(matrix))),  # noqa: S704 - JSON in which no "<" is left
        as_of=words.moment(matrix.as_of),
        commit=show(matrix.commit or ""),
        gaps=[show(words.not_read(gap)) for gap in matrix.gaps],
    )


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _embedded(data: object) -> str:
    """Return JSON that stays inside its script element, whatever the names are."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


def _data(matrix: Matrix) -> dict[str, object]:
    """Return what the script draws: columns, and rows of people with their cells by column.

    A row is `[name, kind, details, [[column, live, declared, live power, declared power, marks, details], …]]`.
    """
    columns = [(at, scope) for at, ledger in enumerate(matrix.ledgers) for scope in _scopes(ledger)]
    place = {key: index for index, key in enumerate(columns)}
    rows: dict[str, list[object]] = {}
    for at, ledger in enumerate(matrix.ledgers):
        for entry in ledger.entries:
            name = show(entry.handle or f"{entry.account} ({ledger.instance})")
            row = rows.setdefault(name, [name, entry.kind, [], []])
            _add(row, entry, ledger)
            cells = [
                [place[at, words.place(holding.scope)], *_cell(holding, entry, matrix)] for holding in entry.holdings
            ]
            row[3] = [*_list(row[3]), *cells]
    return {
        "instances": [show(ledger.instance) for ledger in matrix.ledgers],
        "columns": [[at, show(scope)] for at, scope in columns],
        "rows": [rows[name] for name in sorted(rows, key=str.casefold)],
    }


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _add(row: list[object], entry: Entry, ledger: Ledger) -> None:
    parts = (ledger.instance, entry.account, entry.email or "", "" if entry.status == "active" else entry.status)
    row[2] = [*_list(row[2]), " · ".join(show(part) for part in parts if part)]


def _scopes(ledger: Ledger) -> Iterator[str]:
    """Yield the columns of an instance: what is held beside sites, then the sites."""
    sites = {words.place(site) for site in ledger.sites}
    held = {words.place(holding.scope) for entry in ledger.entries for holding in entry.holdings}
    yield from sorted(held - sites)
    yield from sorted(sites)


def _cell(holding: Holding, entry: Entry, matrix: Matrix) -> list[object]:
    return [
        _role(holding.live),
        _role(holding.declared),
        int(holding.live_power),
        int(holding.declared_power),
        _marks(holding, entry, matrix.as_of),
        _details(holding, entry),
    ]


def _role(grant: Grant | None) -> str:
    return "" if grant is None else show(words.value(grant))


def _marks(holding: Holding, entry: Entry, as_of: datetime) -> str:
    """Return what filters ask for, a letter each: d(iffers), p(ending), e(nds soon)."""
    until = _until(holding, entry)
    soon = until is not None and until <= as_of + SOON
    pending = holding.pending or entry.status == "pending"
    return ("d" if holding.agreement != "same" else "") + ("p" if pending else "") + ("e" if soon else "")


def _until(holding: Holding, entry: Entry) -> datetime | None:
    ends = [item for item in (holding.origin.until if holding.origin else None, entry.until) if item is not None]
    return min(ends, default=None)


def _details(holding: Holding, entry: Entry) -> str:
    origin, until = holding.origin, _until(holding, entry)
    parts = (
        f"{origin.at.file}:{origin.at.line}" if origin else "",
        f"via {', '.join(origin.via)}" if origin and origin.via else "",
        (origin.ticket or "") if origin else "",
        (origin.reason or "") if origin else "",
        f"through group {holding.group}" if holding.group else "",
        f"ends {words.moment(until)}" if until else "",
    )
    return " · ".join(show(part) for part in parts if part)


def table(ledgers: Iterable[Ledger], gaps: Iterable[Missing] = ()) -> str:
    """Return one row a holding as CSV, formula-safe; an account that holds nothing has a row too.

    What was not read stands first, a row an instance, so that nobody takes the rest for everything.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    for gap in gaps:
        told = {"instance": gap.instance, "kind": "not read", "reason": words.not_seen(gap)}
        writer.writerow([cell(told.get(text, "")) for text in _HEADER])
    for ledger in ledgers:
        for entry in ledger.entries:
            writer.writerows([cell(name) for name in row] for row in _rows(entry, ledger))
    return out.getvalue()


def _rows(entry: Entry, ledger: Ledger) -> Iterator[Sequence[str]]:
    who = (ledger.instance, entry.handle or "", entry.account, entry.kind, entry.email or "", entry.status)
    if not entry.holdings:
        yield (*who, *[""] * (len(_HEADER) - len(who)))
    for holding in entry.holdings:
        origin, until = holding.origin, _until(holding, entry)
        yield (
            *who,
            words.place(holding.scope),
            words.value(holding.live),
            words.value(holding.declared),
            holding.agreement,
            words.moment(until) if until else "",
            "yes" if holding.pending else "",
            holding.group or "",
            ", ".join(origin.via) if origin else "",
            (origin.ticket or "") if origin else "",
            (origin.reason or "") if origin else "",
            origin.at.file if origin else "",
            str(origin.at.line) if origin else "",
        )


def render(matrix: Matrix, form: str, options: Options) -> str:
    """Return a matrix as `text`, `html`, `csv` or `json`, with what the privacy asked for leaves of it."""
    ledgers = matrix.ledgers if options.privacy == "full" else redacted(matrix.ledgers, matrix.accounts)
    if options.privacy == "counts":
        ledgers = tuple(replace(ledger, entries=(), sites=()) for ledger in ledgers)
    shown = replace(matrix, ledgers=ledgers, missing=redact_missing(matrix.missing, options.privacy, matrix.accounts))
    match form:
        case "html":
            return page(shown)
        case "csv":
            return table(ledgers, shown.gaps)
        case "json":
            return as_json(_document(shown, matrix), 1)
        case _:
            palette = Palette(options)
            return palette.page(_lines(shown, matrix, palette))


def _document(shown: Matrix, whole: Matrix) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "as_of": words.moment(shown.as_of),
        "commit": shown.commit,
        "incomplete": [words.gap_data(gap) for gap in shown.gaps],
        "summary": {**counts(whole.ledgers), "not_read": len(whole.missing)},
        "holdings": [
            dict(zip(_HEADER, row, strict=True)) for ledger in shown.ledgers for entry in ledger.entries
            for row in _rows(entry, ledger)
        ],
    }  # fmt: skip


def counts(ledgers: Iterable[Ledger]) -> Mapping[str, int]:
    """Return the numbers every output shows: accounts, sites, grants, and how live and declared agree."""
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
    yield from palette.warn(map(words.not_read, shown.gaps))
    for ledger in shown.ledgers:
        yield f"{palette.paint(palette.text(ledger.instance), 'bold')}  {palette.text(ledger.origin)}"
        yield from palette.table([row for entry in ledger.entries for row in _entry_rows(entry, palette)], 2)
        yield ""
    of = counts(whole.ledgers)
    parts = [f"{of[name]} {word}" for name, word in _AGREEMENTS.items() if word and of[name]]
    heads = [plural(of[f"{text}s"], text) for text in ("account", "site", "grant")]
    if whole.missing:
        heads.append(f"{plural(len(whole.missing), 'instance')} not read")
    yield f"{palette.paint('Matrix:', 'bold')} {', '.join(heads)}."
    if parts or of["undeclared"]:
        accounts = plural(of["undeclared"], "unmanaged account") if of["undeclared"] else ""
        yield f"      {palette.join((*parts, accounts))}"


def _entry_rows(entry: Entry, palette: Palette) -> Iterator[tuple[Cell, ...]]:
    who = words.name_with_login(entry.handle, entry.account)
    kind = "" if entry.kind == "person" else entry.kind
    if not entry.holdings:
        yield palette.cell(who, "bold"), Cell(kind), Cell("-"), Cell(""), Cell("")
    for number, holding in enumerate(entry.holdings):
        side = holding.live or holding.declared
        wish = (
            f"{words.value(holding.declared)} declared"
            if holding.agreement == "differs"
            else _AGREEMENTS[holding.agreement]
        )
        marks = (
            "pending" if holding.pending else "",
            f"ends {words.moment(end)}" if (end := _until(holding, entry)) else "",
        )
        yield (
            palette.cell("" if number else who, "bold"),
            Cell("" if number else kind, "dim"),
            palette.cell(words.place(holding.scope)),
            palette.cell(words.value(side)),
            Cell(palette.join((wish, *marks)), "yellow" if wish else "dim"),
        )


def redacted(ledgers: Iterable[Ledger], accounts: Accounts = MappingProxyType({})) -> tuple[Ledger, ...]:
    """Return the ledgers without addresses, and with numbers for the accounts that nobody declared."""
    every = tuple(ledgers)
    known = {ledger.instance: {entry.account: entry.handle for entry in ledger.entries} for ledger in every}
    names = Pseudonyms({name: {**accounts.get(name, {}), **known.get(name, {})} for name in {**known, **accounts}})
    return tuple(
        replace(ledger, entries=tuple(_redacted(entry, names.of(ledger.instance)) for entry in ledger.entries))
        for ledger in every
    )


def _redacted(entry: Entry, names: Names) -> Entry:
    holdings = tuple(
        replace(holding, origin=names.origin(holding.origin)) if holding.origin else holding
        for holding in entry.holdings
    )
    return replace(entry, account=names.name(entry.account), email=None, facts={}, holdings=holdings)
