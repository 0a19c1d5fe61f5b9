"""Workbooks (.xlsx): a table of texts written as one, and the first sheet of one that may be an enemy's.

Of what is given, only the parts that hold the texts of the first sheet are unpacked, each counted while that is done, and
handed on: no macro, image or link to anything outside is ever looked at. The only module that uses openpyxl.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

from siteward.reconcile.sheets import BadDecisionsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MOST_BYTES: Final = 20 * 1024 * 1024
MOST_ROWS: Final = 100_000
MOST_COLUMNS: Final = 100
_MOST_PARTS: Final = 1_000
_LONGEST_TEXT: Final = 32_000
"""What a cell holds, and a bit less: 32,767 characters."""
_NEEDED: Final = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|xl/workbook\.xml|xl/_rels/workbook\.xml\.rels"
    r"|xl/sharedStrings\.xml|xl/styles\.xml|xl/worksheets/[A-Za-z0-9_-]+\.xml"
)
_ESCAPED: Final = re.compile(r"_(x[0-9A-Fa-f]{4}_)")
_UNPACKING: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
_PARSING: Final = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, SyntaxError, AssertionError, RecursionError, *_UNPACKING,
)  # fmt: skip
"""What openpyxl raises for a workbook that is none; most of it is not said to be raised."""


_MISSING: Final = "workbooks (.xlsx) need the extra: pip install 'siteward[xlsx]'"


class WorkbookError(Exception):
    """A workbook cannot be written or read here; the message says why."""


def require_workbooks() -> None:
    """Raise `WorkbookError` where openpyxl, or what it reads XML with safely, is not installed."""
    try:
        import defusedxml  # noqa: F401, PLC0415 — an extra
        import openpyxl  # noqa: PLC0415 — an extra
    except ImportError:
        raise WorkbookError(_MISSING) from None
    if not openpyxl.DEFUSEDXML:
        raise WorkbookError("defusedxml is turned off (OPENPYXL_DEFUSEDXML), and no workbook is read without it")


# -- writing


def write_workbook(header: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> bytes:
    """Return a workbook of one sheet, every cell of it a text.

    Raises `WorkbookError` without the extra, and where it would be too large to be read back.
    """
    require_workbooks()
    from openpyxl import Workbook  # noqa: PLC0415 — an extra
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 — as above
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 — as above

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number, name in enumerate(header, 1):
        sheet.column_dimensions[get_column_letter(number)].width = max(12, len(name) + 2)

    def cell(text: str) -> Any:
        if not text:
            return None
        made = WriteOnlyCell(sheet, value=_ESCAPED.sub(r"_x005F_\1", text[:_LONGEST_TEXT]))
        made.data_type = "s"  # whatever it begins with
        made.number_format = "@"  # what is typed into it stays a text, too
        return made

    for row in (header, *rows):
        sheet.append([cell(text) for text in row])
    out = io.BytesIO()
    book.save(out)
    with zipfile.ZipFile(out) as archive:
        if sum(part.file_size for part in archive.infolist()) > MOST_BYTES:
            raise WorkbookError(
                "this is too much for one workbook (20 MB unpacked): take CSV, or one --instance at a time"
            )
    return out.getvalue()


# -- reading


def read_workbook(content: bytes, path: Path) -> list[Sequence[str]]:
    """Return the cells of the first sheet as texts, a row each, also the empty ones between.

    Raises `BadDecisionsError` for what is no workbook of texts, or too large a one, and where the extra is missing.
    """
    try:
        require_workbooks()
    except WorkbookError as missing:
        raise BadDecisionsError(f"{path}: {missing}; or save the sheet as CSV in UTF-8") from None
    parts = _unpack(content, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about what it leaves out: none of that is a cell's text
            return list(_read_sheet(_pack(parts), path))
    except _PARSING as problem:
        raise BadDecisionsError(
            f"{path} is not a valid workbook: {_shorten(problem)}; save it again as .xlsx"
        ) from None


def _shorten(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__} {problem}".split())[:200]


def _unpack(content: bytes, path: Path) -> dict[str, bytes]:
    """Return the parts of a workbook that hold texts, by name; all that is unpacked is counted, whatever it claims to be."""
    parts: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_PARTS:
                raise BadDecisionsError(f"{path} has more than {_MOST_PARTS} parts, so it is no review")
            for member in members:
                if not _NEEDED.fullmatch(member.filename):
                    continue
                if member.filename in parts:
                    raise BadDecisionsError(f"{path} has the part {member.filename} twice")
                with archive.open(member) as file:
                    parts[member.filename] = file.read(left + 1)
                left -= len(parts[member.filename])
                if left < 0:
                    raise BadDecisionsError(f"{path} unpacks to more than 20 MB, so it is no review")
    except _UNPACKING as problem:
        raise BadDecisionsError(f"{path} is not a valid workbook: {_shorten(problem)}") from None
    return parts


def _pack(parts: dict[str, bytes]) -> io.BytesIO:
    """Return the parts as a new archive, whose sizes are true."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    out.seek(0)
    return out


def _read_sheet(archive: io.BytesIO, path: Path) -> Iterator[Sequence[str]]:
    from openpyxl import load_workbook  # noqa: PLC0415 — an extra

    book = load_workbook(archive, read_only=True, data_only=False, keep_links=False)
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # what the file says of its own size is not believed
    for number, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS), 1):
        if number > MOST_ROWS:
            raise BadDecisionsError(f"{path} has more than {MOST_ROWS} rows, so it is no review")
        yield [_read_cell(cell, path) for cell in row]
    book.close()


def _read_cell(cell: Any, path: Path) -> str:
    """Return a cell as text. Raises `BadDecisionsError` for a formula, an error, and a time."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise BadDecisionsError(f"{path}: cell {cell.coordinate} is a formula; write the text itself into it")
    if cell.data_type == "e":
        raise BadDecisionsError(f"{path}: cell {cell.coordinate} is the error {value}; write the text itself into it")
    if isinstance(value, datetime):
        if value.time() != time():
            raise BadDecisionsError(f"{path}: cell {cell.coordinate} is a time of day; a date is YYYY-MM-DD")
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
