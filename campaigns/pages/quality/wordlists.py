"""Lists of words as tables write them."""


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text that has blanks and line breaks between them."""
    return frozenset(text.split())
