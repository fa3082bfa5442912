"""Priorities and the score of pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from queue_app.rules.numbers import counted

LOW, NORMAL, HIGH, URGENT = -10, 0, 10, 20
LEVEL = 10  # from one to the next
LOWEST, HIGHEST = -100, 100
SPAN_MESSAGE = f"Enter a whole number from {LOWEST} to {HIGHEST}."
MOST = 10**15  # larger counts are cut to this, as infinity has no words
NAMES = {LOW: "Low", NORMAL: "Normal", HIGH: "High", URGENT: "Urgent"}


def name(priority: int) -> str:
    return NAMES.get(priority, str(priority))


def raised_words(levels: int, priority: int) -> str:
    """Return how often waiting has raised a job, and to what: “raised twice by waiting, now normal”; empty if never."""
    if not levels:
        return ""
    often = {1: "once", 2: "twice"}.get(levels, f"{levels} times")
    return f"raised {often} by waiting, now {name(priority).lower()}"


class Scored(NamedTuple):
    """The priority of a page, its points, and the reasons with theirs."""

    level: int
    points: int
    reasons: list[str]


def score(metadata: Mapping[str, Any], deadline: datetime | None, *, at: datetime) -> Scored:
    """Score a page by its size, traffic, content and deadline: 70 points or more: high, 40 or more: normal, else low."""
    skus, searches = _count(metadata.get("sku_count")), _count(metadata.get("monthly_searches"))
    points = [
        _by_size(skus, 100, 1000, "SKU count not given" if skus is None else counted(skus, "SKU")),
        _by_size(
            searches,
            1000,
            10_000,
            "monthly searches not given" if searches is None else counted(searches, "monthly search", "monthly searches"),
        ),
    ]
    content = {"missing": 20, "outdated": 10}.get(str(metadata.get("content_status", "")).lower(), 0)
    if content:
        points.append((content, f"content {str(metadata['content_status']).lower()}"))
    if deadline is not None:
        hours = (deadline - at).total_seconds() / 3600
        urgent = 30 if hours < 24 else 20 if hours < 72 else 0
        if urgent:
            points.append((urgent, f"deadline in {max(hours, 0):.0f}h"))
    total = sum(number for number, _ in points)
    reasons = [f"{words}: +{number}" for number, words in points]
    level = HIGH if total >= 70 else NORMAL if total >= 40 else LOW
    return Scored(level, total, [*reasons, f"{total} points: {NAMES[level].lower()}"])


def _by_size(count: int | None, many: int, most: int, words: str) -> tuple[int, str]:
    return 30 if (count or 0) > most else 20 if (count or 0) > many else 10, words


def _count(value: Any) -> int | None:
    """Return a count as given; ``None`` for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        return None
    return int(min(value, MOST))
