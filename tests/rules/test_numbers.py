import pytest

from queue_app.rules.numbers import counted, duration, of_row


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (59.6, "1m"),
        (140, "2m 20s"),
        (3_600, "1h"),
        (3_900, "1h 5m"),
        (86_399, "23h 59m"),
        (86_400, "1d"),
        (273_600, "3d 4h"),
    ],
)
def test_a_duration_has_two_units_at_most_and_no_zeros(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("word", "row"), [("12", 12), (" 1,234 ", 1_234), ("1,234,567", 1_234_567), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_a_row_is_found_by_its_number_as_pages_show_it(word: str, row: int) -> None:
    assert of_row(word) == row


@pytest.mark.parametrize("word", ["", "0", "-1", "4,5", "1,23", "1,2345", "1 234", "x", "٣", "9" * 19])
def test_other_text_is_no_row(word: str) -> None:
    assert of_row(word) == 0


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 tickets"), (1, "1 ticket"), (2, "2 tickets"), (18_780, "18,780 tickets"), (-1, "-1 tickets")]
)
def test_a_count_agrees_with_its_noun(count: int, said: str) -> None:
    assert counted(count, "ticket") == said
