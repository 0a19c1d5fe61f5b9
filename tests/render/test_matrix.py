"""The matrix as text: what the page embeds, what it allows itself, and the CSV beside it."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64encode
from hashlib import sha256
from io import StringIO

from render.ledgers import AS_OF, hostile, large, small
from siteward.render.matrix import Matrix, page, redacted, table


def data(text: str) -> dict[str, list[list[object]]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    parsed: dict[str, list[list[object]]] = json.loads(found.group(1))
    return parsed


def test_every_holding_is_in_the_page() -> None:
    ledger = small()
    found = data(page(Matrix(ledgers=(ledger,), as_of=AS_OF)))
    assert [column[1] for column in found["columns"]] == [
        "whole instance",
        "blog.example.org",
        "docs.example.org",
        "shop.example.org",
    ]
    assert [row[0] for row in found["rows"]] == [
        "anna", "ben", "idle (stats)", "jonas", "li", "old-agency (stats)", "reports",
    ]  # fmt: skip
    ben = next(row for row in found["rows"] if row[0] == "ben")
    assert ben[3] == [
        [3, "team-view-only", "team-member", 1, 2, "d", "access.yaml:9 · via group analysts · OPS-1 · work"],
        [1, "team-view-only", "team-view-only", 1, 1, "", "access.yaml:9 · via group analysts · OPS-1 · work"],
    ]


def test_ends_pending_and_differences_are_marked() -> None:
    rows = {row[0]: row[3] for row in data(page(Matrix(ledgers=(small(),), as_of=AS_OF)))["rows"]}
    marks = {name: [cell[5] for cell in cells] for name, cells in rows.items() if isinstance(cells, list)}
    assert marks["jonas"] == ["e"]
    assert marks["li"] == ["dp"]
    assert marks["old-agency (stats)"] == ["d", "d"]


def test_one_person_on_two_instances_is_one_row() -> None:
    first = small()
    second = type(first)(instance="other", platform="matomo", sites=first.sites, entries=first.entries)
    found = data(page(Matrix(ledgers=(first, second), as_of=AS_OF)))
    anna = next(row for row in found["rows"] if row[0] == "anna")
    assert len(found["columns"]) == 8
    assert isinstance(anna[2], list)
    assert isinstance(anna[3], list)
    assert len(anna[2]) == 2
    assert len(anna[3]) == 4


def test_the_page_allows_itself_its_own_script_and_style_and_nothing_else() -> None:
    text = page(Matrix(ledgers=(small(),), as_of=AS_OF, commit="a1b2c3d"))
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashes = [b64encode(sha256(source.encode()).digest()).decode() for source in (*style, *script)]
    policy = (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert f'content="{policy}"' in text
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", "".join(script))


def test_hostile_names_stay_data() -> None:
    text = page(Matrix(ledgers=(hostile(),), as_of=AS_OF))
    text.encode()
    assert text.count("</script>") == 2
    assert text.count("<script") == 2
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(data(text)["rows"]) == len(hostile().entries)


def test_what_was_not_read_is_said() -> None:
    assert "was not read whole" in page(Matrix(ledgers=(hostile(),), as_of=AS_OF))
    assert "was not read whole" not in page(Matrix(ledgers=(small(),), as_of=AS_OF))


def test_csv_has_a_row_a_holding_and_no_formula() -> None:
    rows = list(csv.DictReader(StringIO(table((small(),)))))
    assert len(rows) == sum(max(1, len(entry.holdings)) for entry in small().entries)
    assert [row["agreement"] for row in rows if row["person"] == "ben"] == ["differs", "same"]
    for row in csv.reader(StringIO(table((hostile(),)))):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_redacted_matrix_has_no_address_and_no_foreign_login() -> None:
    text = page(Matrix(ledgers=redacted((small(),)), as_of=AS_OF)) + table(redacted((small(),)))
    body = text[text.index("<body>") :]
    for private in ("@example.org", "@partner", "old-agency", "b.cole", "last_seen"):
        assert private not in body
    assert "account-1" in body


def test_a_large_company_stays_a_page_of_a_few_megabytes() -> None:
    assert len(page(Matrix(ledgers=(large(2000, 500),), as_of=AS_OF))) < 4_000_000
