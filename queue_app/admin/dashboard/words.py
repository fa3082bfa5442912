"""The dashboard's words: ages, estimates, and the state of a limit."""

from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from queue_app.insight.pauses import PausedBy
from queue_app.insight.peaks import PeakHours
from queue_app.insight.snapshot import Lane, Limit, Snapshot
from queue_app.rules.words import one_line
from queue_app.ui import display
from queue_app.work import usual

NAMES = {"queue": "Whole queue", "account": "Account {}", "kind": "Job type {}", "model": "{}"}


@dataclass(frozen=True)
class Age:
    """A moment and its age in words. The words age in the browser, so they are no part of a version."""

    since: datetime
    words: str = field(repr=False)


def age(since: datetime, at: datetime) -> Age:
    return Age(since, display.ago(at - since))


def drained(now: Snapshot) -> str:
    """Return “empty in about 41m (p90 58m)”, or “6 in about 2m (p90 3m), 140 paused” if some jobs are stuck."""
    estimate = now.drained
    if estimate is None:
        return "no jobs waiting"
    if estimate.p50_seconds is None:
        return estimate.basis
    return ", ".join([f"{drained_in_short(now)} (p90 {display.about(estimate.p90_seconds)})", *stuck(now)])


def drained_in_short(now: Snapshot) -> str:
    """Return “empty in about 41m”, or “6 in about 2m” if other jobs are stuck."""
    estimate = now.drained
    if estimate is None or estimate.p50_seconds is None:
        return drained(now)
    these = f"{display.number(moving(now))} in" if now.stuck else "empty in"
    return f"{these} about {display.about(estimate.p50_seconds)}"


def moving(now: Snapshot) -> int:
    """Return how many waiting jobs are not stuck."""
    return now.waiting - now.stuck.total()


def stuck(now: Snapshot) -> list[str]:
    """Return “140 paused”, “5 not available”."""
    return [f"{display.number(jobs)} {why}" for why, jobs in now.stuck.items()]


def name(limit: Limit) -> str:
    """Return “Whole queue”, “Account fal”, “sora-2”."""
    return NAMES[limit.what].format(limit.key)


def of_lane(lane: Lane, queue: Limit, *, at: datetime) -> tuple[str, str]:
    """Return what limits a lane, or else its account and typical time; with the name of an icon for a pause or a warning."""
    limit, account = lane.limit, lane.account
    if limit.paused:
        return "pause", pause(limit)
    if account is None:
        return "", "not available"
    if queue.shut:
        return "pause", "queue paused"
    if limit.shut:
        is_hot = limit.cooling_until is not None
        return ("warn", closed(account, at=at)) if is_hot else ("pause", f"{account.key} {closed(account, at=at)}")
    lowered = _lowered(account)
    if lowered:
        return "warn", f"{account.key} {lowered}"
    if not account.free and account.maximum is not None:
        return "", f"{account.key} {account.used} of {account.effective}"
    if not queue.free:
        return "", f"whole queue {queue.used} of {queue.effective}"
    return "", f"{account.key}, ~{display.duration(usual.of(lane.model).seconds)}"


def of_limit(limit: Limit, *, at: datetime, peak: PeakHours | None = None) -> tuple[str, str]:
    """Return why a limit of the queue, an account or a job type is closed or lowered, with the name of an icon; else empty."""
    if limit.paused or limit.shut:
        said = pause(limit) if limit.paused else closed(limit, at=at)
        return "warn" if limit.cooling_until and not limit.paused else "pause", said
    if limit.what == "queue":
        return "", _peak(peak) if peak else "outside peak hours"
    lowered = _lowered(limit)
    return ("warn", f"{lowered} (rate limited)") if lowered else ("", "")


def _peak(peak: PeakHours) -> str:
    return f"limit {peak.limit} {peak.when}" if peak.begins else f"peak hours {peak.when}"


def pause(limit: Limit) -> str:
    """Return “Paused until 14:30: quality check”."""
    return f"Paused{_until(limit.until)}{_reason(limit)}"


def is_paused(name: str, limit: Limit) -> str:
    """Return “manim paused until 14:30: quality check” or “manim paused.”: a typed reason gets no full stop."""
    return f"{name} paused{_until(limit.until)}{_reason(limit) or '.'}"


def paused_by(name: str, limit: Limit, by: PausedBy, *, at: datetime) -> str:
    """Return “ana paused manim at 14:05:10 until 14:30: quality check” or “ana paused manim at 14:05:10.”"""
    return f"{by.actor} paused {name} at {display.moment(by.at, at)}{_until(limit.until)}{_reason(limit) or '.'}"


def closed(limit: Limit, *, at: datetime) -> str:
    """Return “cooling down until 14:32:10” or “paused: quality check”."""
    if limit.cooling_until and not limit.paused:
        return f"cooling down until {display.moment(limit.cooling_until, at)}"
    return f"paused{_until(limit.until)}{_reason(limit)}"


def _reason(limit: Limit) -> str:
    return "" if limit.reason in ("", "paused") else f": {one_line(limit.reason)}"


def _lowered(limit: Limit) -> str:
    if limit.what != "account" or limit.maximum is None or limit.effective is None or limit.effective >= limit.maximum:
        return ""
    return f"lowered to {limit.effective} of {limit.maximum}"


def _until(until: datetime | None) -> str:
    return f" until {timezone.localtime(until):%d %b, %H:%M}" if until else ""
