"""Numbers of rows, as people type or copy them."""

NARROW = "\u202f"  # the space between thousands on our pages
DIGITS_MOST = 18  # a database's largest is 9.2 × 10^18


def of_row(word: str) -> int:
    """The number, with or without our space between thousands; 0 for anything that is no row's: they begin at 1."""
    digits = word.strip().replace(NARROW, "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MOST else 0
