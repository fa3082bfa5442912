import json

import pytest

from queue_app.rules.words import escaped_in_json, is_storable, one_line, storable


@pytest.mark.parametrize(
    ("said", "kept"), [("Ünïcode 🦊\n", "Ünïcode 🦊\n"), ("a\x00b", "ab"), ("a\ud800b", "a?b"), ("\ud83e\udd8a", "??"), ("", "")]
)
def test_keeps_all_that_a_column_can(said: str, kept: str) -> None:
    assert storable(said) == kept
    assert is_storable(said) == (said == kept) and is_storable(kept)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Autumn\r\nBcc: x@example.com", "Autumn Bcc: x@example.com"),
        (" a\rb\x0bc\x85d\u2028e\t\x1b[1m ", "a b c d e [1m"),
        ("Autumn \u202eemag\u202c \u2066x\u2069", "Autumn emag x"),
        ("שלום 🦊", "שלום 🦊"),
        ("", ""),
    ],
)
def test_one_line_has_one_and_turns_nothing_round(said: str, line: str) -> None:
    assert one_line(said) == line


def test_json_stays_the_same_and_is_read_from_left_to_right() -> None:
    value = {"prompt": "a \u202eb\u2066 שלום"}
    written = escaped_in_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(written) == value
    assert written == '{"prompt": "a \\u202eb\\u2066 שלום"}'
