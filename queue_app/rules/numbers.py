"""Durations, counts and amounts as people read them, and numbers of rows as people type or copy them."""

from decimal import Decimal

DIGITS_MOST = 18  # a database's largest is 9.2 × 10^18


def duration(seconds: float) -> str:
    """Return 45s, 2m 20s, 1h 5m or 3d 4h; 2m for a whole minute."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 60:
        return f"{whole}s"
    if minutes < 60:
        return _two(minutes, "m", whole % 60, "s")
    return _two(hours, "h", minutes % 60, "m") if hours < 24 else _two(days, "d", hours % 24, "h")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return “1 job”, “0 jobs” or “18,780 jobs”. ``plural``: that of a noun that takes more than an “s”."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def dollars(amount: Decimal) -> str:
    """Return an amount with at least two decimal places and no idle zeros: 2.00, 0.039."""
    plain = f"{amount:.6f}".rstrip("0")
    whole, _, part = plain.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"


def of_row(word: str) -> int:
    """Return a row's number, typed with or without commas between thousands; 0 for any other text: rows begin at 1."""
    text = word.strip()
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MOST):
        return 0
    number = int(digits)
    return number if text in (digits, f"{number:,}") else 0


def _two(large: int, unit: str, small: int, subunit: str) -> str:
    return f"{large}{unit} {small}{subunit}" if small else f"{large}{unit}"
