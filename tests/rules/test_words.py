import pytest

from queue_app.rules.words import storable


@pytest.mark.parametrize(
    ("said", "kept"), [("Ünïcode 🦊\n", "Ünïcode 🦊\n"), ("a\x00b", "ab"), ("a\ud800b", "a?b"), ("\ud83e\udd8a", "??"), ("", "")]
)
def test_keeps_all_that_a_column_can(said: str, kept: str) -> None:
    assert storable(said) == kept
