"""CSV that spreadsheets open as it is meant, and run nothing of."""

import csv
import io
import re
from collections.abc import Iterable
from decimal import Decimal

BOM = "\ufeff"  # without it spreadsheets take UTF-8 for something else
_NUMBERS = (int, float, Decimal)
# a cell that begins with one may be run; wide and small forms too
_SIGNS = "=+@\uff1d\ufe66\uff0b\ufe62\uff0d\ufe63\uff20\ufe6b-"
_UNSEEN = "\\s\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # white space, and what has no width
# Where a cell may begin: at the start, and after what parts cells where the comma does not. Blanks and quotes do not count there.
_FORMULA = re.compile(rf'(\A|[;|\t\n]|\r\n?)(?=["{_UNSEEN}]*[{_SIGNS}])')
_CUT_AWAY = ("\t", "\r", "\n")  # some programs drop these from the beginning of a cell


def line(cells: Iterable[object]) -> str:
    """Return one row of CSV with its end of line; every cell is quoted, so that no separator of another country parts it."""
    held = io.StringIO()
    csv.writer(held, quoting=csv.QUOTE_ALL).writerow([safe(cell) for cell in cells])
    return held.getvalue()


def safe(value: object) -> object:
    """Return the value for a spreadsheet: text that would be run as a formula gets an apostrophe in front of the formula."""
    if value is None or isinstance(value, _NUMBERS):
        return value
    text = str(value)
    guarded = _FORMULA.sub(r"\1'", text)
    return f"'{guarded}" if guarded.startswith(_CUT_AWAY) else guarded
