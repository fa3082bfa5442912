"""CSV that spreadsheets open as it is meant, and run nothing of."""

import csv
import io
from collections.abc import Iterable

BOM = "\ufeff"  # without it spreadsheets take UTF-8 for something else
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so may be run by a spreadsheet


def line(cells: Iterable[object]) -> str:
    """One row of CSV, with its end of line."""
    held = io.StringIO()
    csv.writer(held).writerow([safe(cell) for cell in cells])
    return held.getvalue()


def safe(value: object) -> object:
    """The value for a spreadsheet: text that would be run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
