"""Template filters and tags of the campaign pages: numbers, durations, badges and meters."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from campaigns import job_names, notices, progress
from campaigns.holds import Hold
from campaigns.home import CampaignRow
from campaigns.mine import Line
from campaigns.models import Approval, ClientReview, Page
from campaigns.models.combination import Review, Reviewable
from campaigns.review import Tally
from campaigns.standing import CampaignStatus, Counts
from campaigns.status_map import Square
from campaigns.writing.batches import BatchLine
from queue_app.models import Job, Notice, State
from queue_app.ui import display

register = template.Library()
_REVIEW_BADGES = {
    Review.NONE: ("queued", "play"),
    Review.APPROVED: ("completed", ""),
    Review.REJECTED: ("failed", ""),
    Review.WINNER: ("warn", "star"),
}
_REVIEWS = {
    Approval.NONE: ("cancelled", "Not checked", "unknown"),
    Approval.APPROVE: ("completed", "Approved", ""),
    Approval.REVIEW: ("warn", "Needs review", "warn"),
    Approval.REJECT: ("failed", "Rejected", ""),
}
GAP = 0.4  # of the meter's 100 units, between its parts
# the colour and the drawing of a campaign's status
_LOOKS = {
    CampaignStatus.ATTENTION: ("warn", "warn"),
    CampaignStatus.RUNNING: ("processing", "running"),
    CampaignStatus.PAUSED: ("warn", "pause"),
    CampaignStatus.QUEUED: ("queued", "queued"),
    CampaignStatus.FINISHED: ("completed", "completed"),
}


@register.filter
def duration(seconds: float | None) -> str:
    """Return “2m 20s”; a dash for ``None``."""
    return "–" if seconds is None else display.duration(seconds)


@register.filter
def measured(seconds: float) -> str:
    """Return a time that was measured, short ones with tenths: “0.4s”."""
    return display.span(seconds)


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
def meter(counts: Counts) -> dict[str, Any]:
    """Draw counts by status as one bar, with a text for screen readers."""
    parts = {
        "completed": counts.completed,
        "processing": counts.processing,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "queued": counts.waiting,
        "paused": counts.on_hold,
    }
    return {"parts": _parts(parts), "words": counted(counts) or "nothing yet"}


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
def counted(counts: Counts) -> str:
    """Return counts in words: “29 completed, 2 running”."""
    return _said({"completed": counts.completed} | _open(counts) | {"failed": counts.failed, "cancelled": counts.cancelled})


@register.filter
def open_words(counts: Counts) -> str:
    """Return the unfinished jobs in words: “4 running, 69 queued, 8 on hold”."""
    return _said(_open(counts))


@register.filter
def campaign_progress(line: CampaignRow) -> str:
    """Return the progress of a campaign in a list: “124 of 200, 3 failed”, “60 of 60, 31 reviewed”."""
    counts = line.counts
    parts = {"failed": counts.failed, "cancelled": counts.cancelled, "outcome unknown": counts.unknown}
    if counts.open:
        parts["on hold"] = counts.on_hold
    else:
        parts["reviewed"] = line.reviewed
    done = f"{display.number(counts.completed)} of {display.number(counts.total)}"
    return ", ".join(filter(None, [done, _said(parts)]))


def _open(counts: Counts) -> dict[str, int]:
    return {
        "running": counts.running,
        "queued": counts.waiting,
        "on hold": counts.on_hold,
        "outcome unknown": counts.unknown,
    }


def _said(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{display.number(number)} {words}" for words, number in parts.items() if number)


@register.filter
def campaign_state(counts: Counts) -> SafeString:
    """Return the badge of a campaign."""
    look, glyph = _LOOKS[counts.status]
    return display.badge(look, counts.label, glyph)


@register.filter
def drawn(one: Square) -> SafeString:
    """Return a cell of the matrix as a link."""
    return display.small_link(
        one.looks,
        one.id,
        one.href,
        one.tokens,
        one.label,
        play=one.play,
        sheet=one.sheet,
        tile=one.tile,
        glyph=one.glyph,
        text=one.text,
        percent=one.percent,
        mark=one.mark,
        is_new=one.is_new,
    )


@register.simple_tag
def hold_words(hold: Hold, at: datetime, reader: str) -> str:
    """Return who paused what and when, as the reader is told."""
    return hold.sentence(at, reader=reader)


@register.filter
def since(line: Line, at: datetime) -> SafeString:
    """Return how long ago a job ended, or was queued."""
    return job_age(line.job, at)


@register.filter
def job_age(job: Job, at: datetime) -> SafeString:
    """Return how long ago a job ended, or was queued."""
    return display.age(job.ended_at or job.queued_at, at)


@register.filter
def age_of(when: datetime, at: datetime) -> SafeString:
    """Return how long ago something was."""
    return display.age(when, at)


@register.filter
def page_badge(page: Page) -> SafeString:
    """Return the review of a finished page: a person's decision, or else “Approved by checks”."""
    look, words, glyph = _REVIEWS[Approval(page.standing)]
    by_checks = not page.decision and page.verdict in (Approval.APPROVE, Approval.REJECT)
    return display.badge(look, f"{words} by checks" if by_checks else words, glyph)


@register.filter
def review_look(review: str) -> str:
    """Return how the badge of a page's review looks, an `Approval`."""
    return _REVIEWS[Approval(review)][0]


@register.filter
def page_badge_short(page: Page) -> SafeString:
    """Return `page_badge` for a narrow column, without who or what decided."""
    return display.badge(*_REVIEWS[Approval(page.standing)])


@register.filter
def notice_icon(notice: Notice) -> str:
    """Return the drawing that stands for what a notice tells."""
    return notices.about(notice.event).icon


@register.filter
def link_words(url: str) -> str:
    """Return what the link to a notice's page is called."""
    return notices.link_words(url)


@register.filter
def own_page(job: Job) -> str:
    """Return the address of a job's own page."""
    return job_names.address(job)


@register.filter
def priority_level(job: Job) -> SafeString:
    """Return the priority of a job; empty if it is normal."""
    return display.level(job.priority)


@register.filter
def seven(line: BatchLine) -> SafeString:
    """Draw the stages of a page in a list, and say how far it is: “62%, components”."""
    facts, job = line.facts, line.page.job
    current = facts.current
    if job.state == State.COMPLETED:
        said = f"took {display.duration(facts.seconds)}"
    elif current and current.status == "bad":
        said = f"failed at {current.label.lower()}"
    elif current:
        said = f"{line.percent}%, {current.label.lower()}"
    else:
        said = f"{facts.done} of {len(facts.stages)} kept" if facts.done else "not started"
    label = f"{facts.done} of {len(facts.stages)} stages done, {said}"
    return display.stage_bar([stage.status for stage in facts.stages], label, said)


@register.filter
def minute(when: datetime, at: datetime) -> str:
    """Return the time of day, with its date unless that is the date of ``at``: “15:58”, “23 Nov, 15:58”."""
    return display.minute(when, at)


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
