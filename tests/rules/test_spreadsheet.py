"""CSV that a spreadsheet opens as text and numbers, and runs nothing of."""

import pytest

from queue_app.rules import spreadsheet


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_what_would_be_run_is_made_text(text: str) -> None:
    assert spreadsheet.safe(text) == f"'{text}"


def test_other_text_and_numbers_stay_as_they_are() -> None:
    assert [spreadsheet.safe(value) for value in ("a=b", "", "1-2", -4, None)] == ["a=b", "", "1-2", -4, None]


def test_a_line_quotes_what_would_break_it() -> None:
    assert spreadsheet.line(["=1", 'say "yes", now', 3, None]) == '\'=1,"say ""yes"", now",3,\r\n'
