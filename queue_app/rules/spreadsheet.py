"""CSV that spreadsheets read correctly and without running formulas."""

import csv
import io
import re
from collections.abc import Iterable
from decimal import Decimal

BOM = "\ufeff"  # without it, spreadsheets do not recognize UTF-8
_NUMBERS = (int, float, Decimal)
# characters that start a formula, including full-width and small forms
_SIGNS = "=+@\uff1d\ufe66\uff0b\ufe62\uff0d\ufe63\uff20\ufe6b-"
_UNSEEN = "\\s\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # white space and zero-width characters
# A formula at the start of a cell, or after a character that separates cells in other locales; quotes and blanks may precede it.
_FORMULA = re.compile(rf'(\A|[;|\t\n]|\r\n?)(?=["{_UNSEEN}]*[{_SIGNS}])')
_GUARDED = re.compile(rf'(\A|[;|\t\n]|\r\n?)\'(?=["{_UNSEEN}]*[{_SIGNS}])')
_CUT_AWAY = ("\t", "\r", "\n")  # some programs remove these from the start of a cell


def line(cells: Iterable[object]) -> str:
    """Return one row of CSV with its line end. Every cell is quoted, so that other locales' separators do not split it."""
    held = io.StringIO()
    csv.writer(held, quoting=csv.QUOTE_ALL).writerow([safe(cell) for cell in cells])
    return held.getvalue()


def safe(value: object) -> object:
    """Return the value for a spreadsheet, with an apostrophe before any text that would run as a formula."""
    if value is None or isinstance(value, _NUMBERS):
        return value
    text = str(value)
    guarded = _FORMULA.sub(r"\1'", text)
    return f"'{guarded}" if guarded.startswith(_CUT_AWAY) else guarded


def unguarded(text: str) -> str:
    """Return a cell that `safe` wrote as it was before: without the apostrophes before what would run as a formula."""
    return _GUARDED.sub(r"\1", text)
