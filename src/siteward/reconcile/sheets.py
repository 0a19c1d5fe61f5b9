"""Review sheets that come back: tables and workbooks as spreadsheets save them, or JSON, and the decisions in them."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from io import StringIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from siteward.access.certification import ID
from siteward.access.patterns import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from siteward.declaration.rewrite import Word

_DECISION: Final = re.compile(
    r"(?P<word>keep|revoke|remove|change)(?:\s+(?P<role>(?!until\b)[\w:.+-]+))?(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?",
    re.IGNORECASE,
)
_DATE_OF_PEOPLE: Final = re.compile(r"\d{1,4}\s*[./ -]\s*(?:\d{1,2}|[A-Za-z]+)\s*[./ -]\s*\d{1,4}|\d{1,2} [A-Za-z]+")
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_FORMER_ID: Final = re.compile(r"[0-9a-f]{16}")
_CALCULATED_ID: Final = re.compile(r"[+-]?\d(?:[.,]\d+)?E[+-]?\d+|[+-]?\d+[.,]\d+")
_HOW: Final = "write keep, revoke, remove, change ROLE, change until DATE, or change ROLE until DATE"
_SAVE: Final = "save it as CSV in UTF-8 (in Excel: CSV UTF-8), or as .xlsx"
_XLSX: Final = b"PK\x03\x04"
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
DECIDED_WHY: Final = "decision reason"
"""The column in which a reviewer says why."""
REVIEWER: Final = "reviewer"
"""The column with the name of who decides."""


class BadDecisionsError(Exception):
    """A file of decisions cannot be carried out; the arguments say why, one for each place that is wrong."""

    def __str__(self) -> str:
        """Return the first reason, and how many more there are."""
        return str(self.args[0]) + (f" (and {len(self.args) - 1} more)" if len(self.args) > 1 else "")


class Answer(Struct, frozen=True, kw_only=True):
    """The decision on one item (`overdue`: nobody decided in time); `role` and `until` (a date, `YYYY-MM-DD`) are given with `change` only.

    `reason` and `by` are what stands beside it, of who decided.
    """

    word: Word | Literal["remove", "overdue"]
    role: str | None = None
    until: str | None = None
    reason: str = ""
    by: str = ""

    @property
    def text(self) -> str:
        """The decision as it is written."""
        role, until = f" {self.role}" if self.role else "", f" until {self.until}" if self.until else ""
        return f"{self.word}{role}{until}"


class Decisions(Struct, frozen=True, kw_only=True):
    """The decisions of reviewers, by item id, on the review with that digest.

    `rows` are the items as the reviewers saw them, `places` say where each stands ("anna.csv, row 3").
    """

    digest: str
    answers: Mapping[str, Answer]
    rows: Mapping[str, Mapping[str, str]]
    places: Mapping[str, str]


_Rows = list[tuple[str, dict[str, str]]]
"""The rows of a sheet with their places."""


def read_decisions(path: Path) -> Decisions:
    """Return the decisions in a CSV, JSON or .xlsx file that `siteward review` wrote.

    Raises `BadDecisionsError` for anything else, and `OSError`.
    """
    content = path.read_bytes()
    rows, digest = _read_rows(content, path)
    answers: dict[str, Answer] = {}
    places: dict[str, str] = {}
    wrong: list[str] = []
    for number, row in rows:
        place = f"{path.name}, {number}"
        # Spreadsheets, and our own guard against formulas, may leave an apostrophe before a text.
        row["id"] = item = _read_id(row["id"], place)
        decision = row.get("decision", "").strip().strip("'").strip()
        if not item and decision and row.get("kind", "").strip().strip("'") == "key":
            if decision.casefold() == "keep":  # as people write beside each row; there is nothing to do
                continue
            words = "nothing is decided of keys here: delete it on the platform, and take its row out of the file"
            raise BadDecisionsError(f"{place}: {decision!r} is decided of a key, and {words}")
        if not item and decision:
            raise BadDecisionsError(f"{place}: {decision!r} is decided of no item; the id is missing")
        if item and item in places:
            raise BadDecisionsError(f"{place}: item {item} stands in {places[item]} already")
        if item:
            places[item] = place
        if decision:
            try:
                answers[item] = parse_decision(decision, item, row)
            except BadDecisionsError as problem:
                wrong.append(f"{place}: {problem}")
    if wrong:
        raise BadDecisionsError(*wrong)
    return Decisions(
        digest=digest, answers=answers, rows={row["id"]: row for _, row in rows if row["id"]}, places=places
    )


def _read_rows(content: bytes, path: Path) -> tuple[_Rows, str]:
    if content.startswith(_XLSX):
        from siteward.reconcile.workbook import read_workbook  # noqa: PLC0415 — an extra, for workbooks alone

        return _take_table(read_workbook(content, path), path)
    if content.startswith(_OLD_EXCEL):
        raise BadDecisionsError(f"{path} is a workbook of the old format (.xls); save it as .xlsx")
    text = _decode(content, path)
    return _parse_json(text, path) if text.lstrip().startswith("{") else _take_table(_parse_csv(text, path), path)


def _read_id(text: str, place: str) -> str:
    """Return the id of an item; one of an earlier release gets its mark. Raises `BadDecisionsError` for a number."""
    item = text.strip().strip("'").strip()
    if _CALCULATED_ID.fullmatch(item):
        raise BadDecisionsError(
            f"{place}: the id {item} is a number that a spreadsheet has calculated; make the review again, its ids begin with {ID}"
        )
    return ID + item if _FORMER_ID.fullmatch(item) else item


def _decode(content: bytes, path: Path) -> str:
    """Return the text of a file that a spreadsheet or an editor saved: UTF-8, UTF-16 by its mark, else Windows-1252.

    Raises `BadDecisionsError` for what is none of them, with the line.
    """
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252" if encoding == "utf-8-sig" else encoding
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as problem:
            line = content.count(b"\n", 0, problem.start) + 1
            raise BadDecisionsError(f"{path}:{line}: this is neither UTF-8 nor {encoding}; {_SAVE}") from problem
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise BadDecisionsError(f"{path}:{line}: a zero byte stands here, so this is no text; {_SAVE}")
    return text


def _parse_json(text: str, path: Path) -> tuple[_Rows, str]:
    """Return the items of a review in JSON, all their members as text, and its digest."""
    try:
        data = json.loads(text)
        rows = [{str(key): _text_of(value) for key, value in item.items()} for item in data["items"]]
        digest = data["digest"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BadDecisionsError(
            f"{path} is not a valid review: write one with `siteward review -o review.json`"
        ) from problem
    if not isinstance(digest, str) or any("id" not in row for row in rows):
        raise BadDecisionsError(f"{path} is not a valid review: it has no digest, or items without an id")
    return [(f"item {number}", row) for number, row in enumerate(rows, 1)], digest


def _text_of(value: object) -> str:
    return "" if value is None else str(value)


def _parse_csv(text: str, path: Path) -> list[Sequence[str]]:
    """Return the rows of a table as saved by a spreadsheet: separated by comma, semicolon or tab, perhaps `sep=` first."""
    named = re.match(r"sep=([,;\t])\r?\n", text)
    header = (text[named.end() :] if named else text).partition("\n")[0]
    delimiter = named[1] if named else max(",;\t", key=header.count)
    try:
        rows: list[Sequence[str]] = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as problem:
        raise BadDecisionsError(f"{path} is not a valid table: {problem}; {_SAVE}") from problem
    return [[], *rows[1:]] if named else rows


def _take_table(table: Sequence[Sequence[str]], path: Path) -> tuple[_Rows, str]:
    """Return the rows below the header by their columns, each with its place as a spreadsheet counts, and the digest."""
    filled = [(number, row) for number, row in enumerate(table, 1) if any(map(str.strip, row))]
    header = [name.strip().strip("'").lower() for name in filled[0][1]] if filled else []
    for column in ("decision", "id", "digest"):
        if header.count(column) > 1:
            raise BadDecisionsError(f"{path}: row {filled[0][0]} has two columns {column!r}; take one out")
    rows = []
    for number, row in filled[1:]:
        if any(map(str.strip, row[len(header) :])):
            raise BadDecisionsError(f"{path}: row {number} has more cells than the header has columns")
        cells = [*row, *[""] * len(header)]
        rows.append((f"row {number}", {name: cells[at] for at, name in enumerate(header) if name}))
    digests = {row.get("digest", "").strip().strip("'") for _, row in rows}
    if len(digests) != 1 or "id" not in header:
        raise BadDecisionsError(
            f"{path} is not a valid review of one digest: write one with `siteward review -o review.csv`"
        )
    return rows, digests.pop()


def parse_decision(decision: str, item: str, row: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Return the decision that a reviewer has written beside an item. Raises `BadDecisionsError`."""
    match = _DECISION.fullmatch(decision)
    word = match["word"].lower() if match else ""
    role, until = (match["role"], match["until"]) if match else (None, None)
    reason, by = (row.get(column, "").strip().removeprefix("'") for column in (DECIDED_WHY, REVIEWER))
    if word == "change" and (role or until):
        if until and not _is_day(until):
            raise BadDecisionsError(f"item {item}: {until} is no day of any year")
        return Answer(word="change", role=role, until=until, reason=reason, by=by)
    for plain in ("keep", "revoke", "remove"):
        if word == plain and not role and not until:
            return Answer(word=plain, reason=reason, by=by)
    how = (
        "write a date as YYYY-MM-DD, such as 2027-06-30"
        if _DATE_OF_PEOPLE.search(_ISO_DATE.sub("", decision))
        else _HOW
    )
    raise BadDecisionsError(f"item {item}: {decision!r} is not a valid decision; {how}")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


_NAMES = ("instance", "person", "account", "where", "live", "declared")
"""The columns that name what an item is about."""


def check_names(decisions: Decisions, *shown: Iterable[Mapping[str, str]], columns: Sequence[str] = _NAMES) -> None:
    """Compare the names in each decided row with the item of its id; raises `BadDecisionsError` where they differ.

    A spreadsheet that was sorted by some of its columns only would put decisions beside other items. Each of `shown`
    are the items as one form of the review shows them (names redacted or not); a row may agree with any of them.
    """
    known = [{item["id"]: item for item in items} for items in shown]
    for name in decisions.answers:
        row, items = decisions.rows[name], [by_id[name] for by_id in known if name in by_id]
        for column in columns:
            expected = [plain(item[column]) for item in items]
            if expected and column in row and fold(plain(row[column])) not in map(fold, expected):
                raise BadDecisionsError(
                    f"{decisions.places[name]}, column {column}: {row[column]!r} stands beside item {name},"
                    f" which is of {expected[0]!r}; was the table sorted by some of its columns only?"
                )


def plain(cell: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from reading a formula.

    Also without the escape `x005F_` of workbooks, which some programs take out and others keep.
    """
    return cell.strip().lstrip("'").replace("x005F_", "")


def changed_since(decisions: Decisions, shown: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the ids of items that are new or gone, or not as the reviewers saw them; `shown` are the items of now."""
    now = {item["id"]: item for item in shown}
    columns = ("live", "declared", "file", "line", "via")
    same = {
        name
        for name in now.keys() & decisions.rows.keys()
        if all(plain(decisions.rows[name].get(column, "")) == plain(now[name][column]) for column in columns)
    }
    return tuple(sorted((now.keys() | decisions.rows.keys()) - same))
