"""Review sheets as spreadsheets save them: what is taken, and what is refused in words, never with a traceback."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from siteward.access.certification import Horizon, Review, review
from siteward.reconcile.sheets import BadDecisionsError, Decisions, check_names, read_decisions
from siteward.render.certification import items, sheet, table

from render.ledgers import AS_OF, small  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = "sha256:" + "ab" * 32
ID = "i-27e1667827086535"
HEADER = ("decision", "id", "where", "digest")


def made() -> Review:
    return review((small(),), Horizon(as_of=AS_OF))


def back(folder: Path, content: bytes, name: str = "sheet.csv") -> Decisions:
    path = folder / name
    path.write_bytes(content)
    return read_decisions(path)


def refusal(folder: Path, content: bytes, name: str = "sheet.csv") -> str:
    with pytest.raises(BadDecisionsError) as refused:
        back(folder, content, name)
    return str(refused.value)


def text(*rows: tuple[str, ...], separator: str = ",") -> str:
    return "".join(separator.join(row) + "\r\n" for row in (HEADER, *rows))


ROW = ("keep", ID, "Müllers Seite", DIGEST)

# -- tables


def test_no_spreadsheet_takes_an_id_for_a_number() -> None:
    """Sixteen digits, or digits with one `e`, are one; a text that begins with a letter and a hyphen is not."""
    assert all(item.id.startswith("i-") and len(item.id) == 18 for item in made().items)


def test_an_id_of_an_earlier_release_is_taken(tmp_path: Path) -> None:
    """In a table and in JSON; the digest of the review has not changed by the mark."""
    former = text(("revoke", ID[2:], "x", DIGEST)).encode()
    assert set(back(tmp_path, former).answers) == {ID}
    json = f'{{"digest": "{DIGEST}", "items": [{{"id": "{ID[2:]}", "decision": "keep"}}]}}'
    assert set(back(tmp_path, json.encode(), "sheet.json").answers) == {ID}
    assert made().digest == "sha256:9d32ee0359c795666b403eca07d4a5dbe5d3d7de583b632fc7a7c657012e00f3"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep=@\r\n"])
def test_what_spreadsheets_save_is_taken(tmp_path: Path, separator: str, encoding: str, first: str) -> None:
    told = first.replace("@", separator) + text(ROW, separator=separator)
    found = back(tmp_path, told.encode(encoding))
    assert found.digest == DIGEST
    assert {name: answer.word for name, answer in found.answers.items()} == {ID: "keep"}
    assert found.rows[ID]["where"] == "Müllers Seite"
    assert found.places[ID] == f"sheet.csv, row {3 if first else 2}"


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    """Blank rows too, and a header with blanks around its names."""
    told = " Decision ; id ;where; digest\r\n;;;\r\n\r\nkeep;" + ";".join(ROW[1:]) + "\r\n"
    assert back(tmp_path, told.encode()).places == {ID: "sheet.csv, row 4"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text(ROW).encode("utf-16")[:-3], "neither UTF-8 nor utf-16; save it as CSV in UTF-8"),
        (text(ROW).replace("ü", "\x81").encode("latin-1"), ":2: this is neither UTF-8 nor cp1252"),
        (text(ROW).encode("utf-16-le"), ":1: a zero byte"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "the old format (.xls); save it as .xlsx"),
        (text(("keep", "1.79769313486232E+308", "x", DIGEST)).encode(), "row 2: the id 1.79769313486232E+308 is a number"),
        (text(("keep", "2,7E+15", "x", DIGEST), separator=";").encode(), "a spreadsheet has calculated"),
        (text((*ROW, "", "more")).encode(), "row 2 has more cells"),
        (b"decision,id,decision,digest\r\nkeep,x,,y\r\n", "two columns 'decision'"),
        (("decision,id,digest\r\n" + '"' + "a" * 140_000 + '",x,y').encode(), "not a valid table: field larger"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("change until 30.06.2027", "write a date as YYYY-MM-DD, such as 2027-06-30"),
        ("change edit until 6/30/2027", "write a date as YYYY-MM-DD"),
        ("change until 30 June 2027", "write a date as YYYY-MM-DD"),
        ("change until 30. Juni 2027", "write a date as YYYY-MM-DD"),
        ("change until 2027-02-30", "2027-02-30 is no day"),
        ("maybe", "write keep, revoke, remove, change ROLE"),
    ],
)
def test_dates_as_people_write_them(tmp_path: Path, word: str, said: str) -> None:
    assert said in refusal(tmp_path, text((word, *ROW[1:])).encode())


# -- workbooks


@pytest.fixture
def openpyxl() -> Any:
    pytest.importorskip("defusedxml", reason="workbooks need the extra: pip install 'siteward[xlsx]'")
    return pytest.importorskip("openpyxl", reason="workbooks need the extra: pip install 'siteward[xlsx]'")


def workbook(rows: list[list[Any]], openpyxl: Any) -> bytes:
    """Return a workbook as somebody else makes one."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def changed(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a workbook of which one part is another."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return out.getvalue()


DAY = datetime(2027, 6, 30)  # noqa: DTZ001 — cells know no time zone
SHEET = "xl/worksheets/sheet1.xml"


def test_a_review_goes_out_and_in_as_a_workbook(tmp_path: Path, openpyxl: Any) -> None:
    """Every cell is a text, none a formula, and what comes back fits the review."""
    from siteward.reconcile.workbook import write_workbook

    found = made()
    header, rows = sheet(found, "full")
    rows[0][0] = "keep"
    rows[1][header.index("account")] = "=HYPERLINK"
    content = write_workbook(header, rows, "review")
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert {cell.data_type for row in book.active.iter_rows() for cell in row if cell.value is not None} == {"s"}
    decided = back(tmp_path, content, "sheet.xlsx")
    assert list(decided.answers) == [found.items[0].id]
    check_names(decided, items(found))
    assert decided.digest == found.digest


def test_a_name_that_looks_like_an_escape_comes_back(tmp_path: Path, openpyxl: Any) -> None:
    """`_x0041_` means `A` in a workbook; whether a program takes our escape out or not, it is the same name."""
    from siteward.reconcile.workbook import write_workbook

    shown = [
        {"id": ID, "instance": "s", "person": "", "account": "svc_x0041_a", "where": "w", "live": "", "declared": ""}
    ]
    for name in ("svc_x0041_a", "svc_x005F_x0041_a"):
        content = write_workbook(("decision", "id", "account", "digest"), [["keep", ID, name, DIGEST]], "review")
        check_names(back(tmp_path, content, "sheet.xlsx"), shown)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("=LEN(A1)", "cell A2 is a formula"), ("=TRUE()", "cell A2 is a formula"), ("#N/A", "cell A2 is the error #N/A"),
        (DAY, "'2027-06-30' is not a valid decision"), (DAY.replace(hour=12), "cell A2 is a time of day"),
        (12, "'12' is not a valid decision"), (True, "'True' is not a valid decision"),
    ],
)  # fmt: skip
def test_cells_that_are_no_text_are_refused_in_words(tmp_path: Path, openpyxl: Any, cell: Any, said: str) -> None:
    assert said in refusal(tmp_path, workbook([list(HEADER), [cell, *ROW[1:]]], openpyxl), "sheet.xlsx")


def test_only_the_first_sheet_is_read(tmp_path: Path, openpyxl: Any) -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, ROW):
        book.active.append(row)
    book.create_sheet("more").append(["=1+1"])
    book.active["A2"].hyperlink = "https://elsewhere.example.org/"
    out = io.BytesIO()
    book.save(out)
    assert set(back(tmp_path, out.getvalue(), "sheet.xlsx").answers) == {ID}


def test_what_is_unpacked_is_counted(tmp_path: Path, openpyxl: Any) -> None:
    """Whatever the archive says of its sizes; and rows and columns that are far away cost nothing."""
    good = workbook([list(HEADER), list(ROW)], openpyxl)
    bomb = changed(good, SHEET, lambda part: part + b" " * (21 * 1024 * 1024))
    assert "more than 20 MB" in refusal(tmp_path, bomb, "sheet.xlsx")
    lying = bomb.replace((len(b" ") * 21 * 1024 * 1024).to_bytes(4, "little"), b"\x10\0\0\0")
    assert refusal(tmp_path, lying, "sheet.xlsx")
    far = changed(
        good,
        SHEET,
        lambda part: part.replace(
            b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        ),
    )
    assert "more than 100000 rows" in refusal(tmp_path, far, "sheet.xlsx")
    many = io.BytesIO(good)
    with zipfile.ZipFile(many, "a") as archive:
        for number in range(1001):
            archive.writestr(f"x/{number}", b"")
    assert "more than 1000 parts" in refusal(tmp_path, many.getvalue(), "sheet.xlsx")


def test_entities_are_not_resolved(tmp_path: Path, openpyxl: Any) -> None:
    good = workbook([list(HEADER), list(ROW)], openpyxl)
    entity = b'<!DOCTYPE worksheet [<!ENTITY e "keep">]><worksheet'
    declared = changed(good, SHEET, lambda part: part.replace(b"<worksheet", entity, 1))
    assert "not a valid workbook" in refusal(tmp_path, declared, "sheet.xlsx")


def test_no_workbook_ends_in_a_traceback(tmp_path: Path, openpyxl: Any) -> None:
    """Bytes of each part, and of the archive itself, are changed, taken out and doubled."""
    dice, good = random.Random(7), workbook([list(HEADER), list(ROW)], openpyxl)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        parts = archive.namelist()

    def spoil(data: bytes) -> bytes:
        at, length = dice.randrange(len(data)), dice.randrange(40)
        return data[:at] + dice.choice((b"", b"\0", b"<", b"9" * 30, data[at : at + length] * 2)) + data[at + length :]

    outcomes = set()
    for number in range(400):
        content = spoil(good) if number % 4 == 0 else changed(good, dice.choice(parts), spoil)
        try:
            back(tmp_path, content, "sheet.xlsx")
        except BadDecisionsError:
            outcomes.add("refused")
        else:
            outcomes.add("taken")
    assert outcomes == {"refused", "taken"}


def test_without_the_extra_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert "pip install 'siteward[xlsx]'" in refusal(tmp_path, b"PK\x03\x04", "sheet.xlsx")


@pytest.mark.nightly
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_libreoffice_keeps_twelve_thousand_rows(tmp_path: Path, openpyxl: Any, form: str) -> None:
    """A sheet that was opened and saved there, in either format, comes back with every id, name and decision."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed: apt-get install libreoffice-calc")
    from siteward.reconcile.workbook import write_workbook

    one = made().items[0]
    header, _ = sheet(made(), "full")
    base = {
        "instance": one.instance,
        "where": "=cmd",
        "live": "+view",
        "person": "007",
        "account": "svc_x0041_a",
        "digest": DIGEST,
        "until": "2027-03-31 22:00Z",
    }
    rows = [
        [{**base, "decision": "change until 2027-06-30", "id": f"i-{number * 7919:016d}", "line": str(number)}.get(column, "") for column in header]
        for number in range(12_000)
    ]  # fmt: skip
    rows = [[f"'{cell}" if cell.startswith(("=", "+")) else cell for cell in row] for row in rows]
    source = tmp_path / f"sheet.{form}"
    if form == "xlsx":
        source.write_bytes(write_workbook(header, rows, "review"))
    else:
        source.write_text("\n".join(",".join(row) for row in (header, *rows)), encoding="utf-8-sig")
    convert = [office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--infilter=CSV:44,34,76,1"][
        : 4 if form == "csv" else 3
    ]
    subprocess.run(
        [*convert, "--convert-to", "xlsx", "--outdir", str(tmp_path / "saved"), str(source)],
        check=True,
        capture_output=True,
        timeout=500,
    )
    decided = read_decisions(tmp_path / "saved" / "sheet.xlsx")
    assert list(decided.answers) == [f"i-{number * 7919:016d}" for number in range(12_000)]
    assert {answer.until for answer in decided.answers.values()} == {"2027-06-30"}
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    check_names(decided, shown, columns=("instance", "account", "where", "live", "until"))


def test_the_table_is_the_same_in_both() -> None:
    header, rows = sheet(made(), "full")
    assert table(made()).splitlines()[0] == ",".join(header)
    assert len(rows) == len(table(made()).splitlines()) - 1
