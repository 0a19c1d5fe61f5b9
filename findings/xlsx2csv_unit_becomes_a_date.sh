#!/bin/sh
# xlsx2csv 0.8.6: a number with a unit in its cell format becomes part of a date, and the number is gone.
#
# Review sheets show "days since the last sign-in" as a number with the format `0 "days"`: a spreadsheet program shows
# `45 days`, and the cell holds 45. The unit stands in quotes (ECMA-376 part 1, 18.8.31), so it says nothing about dates.
# xlsx2csv looks for one of the letters h s m d y Y anywhere in the format, quotes or not, takes the cell for a date and
# fills the letters in: the `d` of "days" becomes a day of the month, so that 14, 45 and 410 days are one text. A unit
# with none but an `s` ("sites") leaves no trace of the number. Exit code 0, nothing on standard error. Zero is a time of
# day; numbers below zero and units without these letters ("grant") stay whole, so a column can be half right.
#
# Expected: the number, or what a spreadsheet program shows. Seen:
#   format | number | xlsx2csv | openpyxl 3.1.5 | python-calamine 0.9.1
#   0 "days" | 14 | 0 "13ays" | 14 | 14.0
#   0 "days" | 45 | 0 "13ays" | 45 | 45.0
#   0 "days" | 410 | 0 "13ays" | 410 | 410.0
#   0 "days" | 0 | 00:00 | 0 | 0.0
#   0 "days" | -3 | -3 | -3 | -3.0
#   0 "sites" | 3 | 0 "sites" | 3 | 3.0
#   0 "Kunden" | 3 | 0 "kun02en" | 3 | 3.0
#   0 "grant" | 3 | 3 | 3 | 3.0
set -eu
here=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
  'xlsx2csv==0.8.6' 'openpyxl==3.1.5' 'python-calamine==0.9.1'
cat > "$folder/write.py" <<'PYTHON'
import openpyxl

book = openpyxl.Workbook()
cells = [(number, "days") for number in (14, 45, 410, 0, -3)] + [(3, unit) for unit in ("sites", "Kunden", "grant")]
for row, (number, unit) in enumerate(cells, start=1):
    book.active.cell(row, 1, number).number_format = f'0 "{unit}"'
    book.active.cell(row, 2, str(number))
book.save("review.xlsx")
PYTHON
cat > "$folder/read.py" <<'PYTHON'
import csv
from pathlib import Path

import openpyxl
from python_calamine import CalamineWorkbook

texts = list(csv.reader(Path("review.csv").open(encoding="utf-8", newline="")))
cells = [row[0] for row in openpyxl.load_workbook("review.xlsx").active.iter_rows()]
numbers = [row[0] for row in CalamineWorkbook.from_path("review.xlsx").get_sheet_by_index(0).to_python()]
for (text, written), cell, number in zip(texts, cells, numbers, strict=True):
    print(cell.number_format, written, text, cell.value, number, sep=" | ")
PYTHON
cd "$folder"
env/bin/python write.py
env/bin/xlsx2csv review.xlsx review.csv 2> said
env/bin/python read.py > seen
cat seen said
grep '^#   0 ' "$here" | cut -c5- | diff - seen
test ! -s said
