"""Template filters and tags of the campaign pages: numbers, durations, badges and meters."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.safestring import SafeString

from campaigns import progress
from campaigns.cells import METER
from campaigns.models import ClientReview
from campaigns.models.combination import Review, Reviewable
from campaigns.review import Tally
from queue_app.models import Job, Status
from queue_app.ui import display

register = template.Library()
_REVIEW_BADGES = {
    Review.NONE: ("queued", "play"),
    Review.APPROVED: ("completed", ""),
    Review.REJECTED: ("failed", ""),
    Review.WINNER: ("warn", "star"),
}
GAP = 0.4  # of the meter's 100 units, between its parts


@register.filter
def duration(seconds: float | None) -> str:
    """Return “2m 20s”; a dash for ``None``."""
    return "–" if seconds is None else display.duration(seconds)


@register.filter
def about(seconds: float | None) -> str:
    """Return an estimate, rounded up to its precision."""
    return display.about(seconds)


@register.filter
def percent(part: float) -> int:
    """Return a share as a percentage: 0.714 → 71."""
    return round(part * 100)


@register.filter
def badge(state: str) -> SafeString:
    """Return the state of a job as glyph, word and colour."""
    return display.badge(state)


@register.filter
def marked(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    """Return a text with the matches of compliance rules highlighted."""
    return display.marked(pieces)


@register.filter
def review_badge(row: Reviewable | ClientReview) -> SafeString:
    """Return the badge of a review."""
    state, glyph = _REVIEW_BADGES[Review(row.review)]
    return display.badge(state, row.get_review_display().capitalize(), glyph)


@register.filter
def in_textarea(text: str) -> str:
    """Return a text for a textarea: browsers drop one line break at its start."""
    return f"\n{text}"


@register.filter
def capacity(cap: progress.Cap) -> SafeString:
    """Return the slots of a limit, drawn and as numbers."""
    return display.capacity(cap.used, cap.limit or 0, held=cap.closed)


@register.filter
def video_length(seconds: float | None) -> str:
    """Return the length of a video: “0:08”."""
    whole = round(seconds or 0)
    return f"{whole // 60}:{whole % 60:02}"


@register.filter
def said_parameters(parameters: Mapping[str, Any]) -> str:
    """Return parameters in short: “8s, 16:9”."""
    return ", ".join(display.parameters(Job(parameters=parameters)))


@register.inclusion_tag("campaigns/_meter.html")
def meter(counts: Mapping[str, int]) -> dict[str, Any]:
    """Draw counts by status as one bar, with a text for screen readers."""
    return {"parts": _parts({str(part): counts.get(part, 0) for part in METER}), "words": counted(counts) or "nothing yet"}


@register.inclusion_tag("campaigns/_meter.html")
def review_meter(tally: Tally) -> dict[str, Any]:
    """How far a review is, as one bar in the colours of its verdicts."""
    parts = {"completed": tally.approved, "winner": tally.winner, "failed": tally.rejected, "rest": tally.to_judge}
    names = ("approved", "winners", "rejected", "to review")
    words = ", ".join(f"{display.number(count)} {name}" for name, count in zip(names, parts.values(), strict=True) if count)
    return {"parts": _parts(parts), "words": words or "nothing to review yet"}


@register.inclusion_tag("campaigns/_meter.html")
def purse(balances: Mapping[str, int]) -> dict[str, Any]:
    """Draw available and reserved tickets as one bar."""
    available, reserved = balances["available"], balances["reserved"]
    words = f"{display.number(available)} available, {display.number(reserved)} reserved"
    return {"parts": _parts({"completed": available, "processing": reserved}), "words": words}


@register.filter
def counted(counts: Mapping[str, int]) -> str:
    """Return counts in words: “29 completed, 2 processing”."""
    return ", ".join(f"{display.number(counts[part])} {part.label.lower()}" for part in METER if counts.get(part))


@register.simple_tag
def campaign_state(counts: Mapping[str, int], paused: bool) -> SafeString:
    """Return the badge of a campaign."""
    state = progress.state_of(counts, paused=paused)
    if state == "paused":
        return display.badge("warn", "Paused", "pause")
    missing = state in (Status.FAILED, Status.CANCELLED)
    return display.badge(state, f"Finished, {display.number(counts[state])} {state}" if missing else state.capitalize())


def _parts(numbers: Mapping[str, int]) -> list[dict[str, str]]:
    total = sum(numbers.values()) or 1
    left, parts = 0.0, []
    for status, number in numbers.items():
        width = 100 * number / total
        if number:
            gap = GAP if left + width < 99.99 else 0.0  # none after the last one
            parts.append({"status": status, "x": f"{left:.2f}", "width": f"{max(width - gap, 0.2):.2f}"})
        left += width
    return parts
