"""CSV that spreadsheets open as text and numbers, without running formulas."""

import csv
import io
from decimal import Decimal

import pytest

from queue_app.rules import spreadsheet

LINK = '=HYPERLINK("https://elsewhere.example","Look")'


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx", "\nx", " =1", "\u00a0\u200b=1", "＝1", "﹢1", "－1", "\ufeff=1", '"=1'],
)
def test_what_would_be_run_is_made_text(text: str) -> None:
    assert spreadsheet.safe(text) == f"'{text}"


@pytest.mark.parametrize("separator", [";", "\t", "|", "\n", "\r\n"])
@pytest.mark.parametrize("before", ["A tram", 'A "tram', ""])
@pytest.mark.parametrize("between", ["", "  ", '"', "\u200b"])
def test_what_another_separator_would_make_a_cell_is_made_text(separator: str, before: str, between: str) -> None:
    """As read by a program with another separator, which many use by locale."""
    file = spreadsheet.line(["1", f"{before}{separator}{between}{LINK}", "end"])
    for parts in (",", ";", "\t", "|"):
        cells = [cell for row in csv.reader(io.StringIO(file, newline=None), delimiter=parts) for cell in row]
        assert not any(cell.lstrip(" \u200b\"'\r\n").startswith("=") and "'" not in cell.partition("=")[0] for cell in cells)


def test_other_text_and_numbers_stay_as_they_are() -> None:
    kept = ("a=b", "", "1-2", "warm, -20% off; not today", -4, Decimal("-0.5"), None)
    assert [spreadsheet.safe(value) for value in kept] == list(kept)


def test_every_cell_of_a_line_is_quoted() -> None:
    assert spreadsheet.line(["=1", 'say "yes", now', 3, None]) == '"\'=1","say ""yes"", now","3",""\r\n'


@pytest.mark.parametrize(
    "text", ["=1+1", "-20 °C", "trail shoes;-20 °C", "two\n-lines", "it's 'quoted'", "'tis", "warm, -20% off"]
)
def test_a_cell_can_be_read_back_as_it_was(text: str) -> None:
    assert spreadsheet.unguarded(str(spreadsheet.safe(text))) == text
