"""The six cards: each counts the jobs of the list behind it, adds one sentence, and draws the last 24 hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from queue_app.admin.dashboard import words
from queue_app.admin.dashboard.charts import coarse
from queue_app.admin.dashboard.words import Age
from queue_app.insight.hourly import Hour
from queue_app.insight.snapshot import Snapshot
from queue_app.models import State
from queue_app.rules import chart
from queue_app.rules.chart import Curve
from queue_app.rules.numbers import counted
from queue_app.ui import display


@dataclass(frozen=True)
class Card:
    """
    ``value`` and ``unit``, or an ``age``. ``sub`` fits on one line, ``whole`` is all there is to say. ``shows``: its line.
    """

    name: str
    title: str
    icon: str
    url: str
    value: str
    unit: str
    sub: str
    spark: Curve
    shows: str
    age: Age | None = None
    whole: str = ""


def six(
    now: Snapshot,
    hours: Sequence[Hour],
    in_progress: Mapping[State, int],
    ended: Mapping[State, int],
    errors: int,
    *,
    at: datetime,
) -> list[Card]:
    return [
        _queued(now, hours),
        _processing(now, hours, in_progress),
        _ended("completed", ended, hours, _lately([hour.completed for hour in hours])),
        _ended("failed", ended, hours, *_share(ended, errors)),
        _ended("cancelled", ended, hours, _lately([hour.cancelled for hour in hours])),
        _oldest(now, hours, at),
    ]


def _queued(now: Snapshot, hours: Sequence[Hour]) -> Card:
    line = chart.spark([hour.waiting for hour in hours])
    shows = "Waiting at each hour's end"
    sub, whole = words.drained_in_short(now), words.drained(now)
    return Card("queued", "Queued", "queued", _list("queued"), *_jobs(now.waiting), sub, line, shows, whole=whole)


def _processing(now: Snapshot, hours: Sequence[Hour], in_progress: Mapping[State, int]) -> Card:
    queue = now.queue
    peak = f", peak hours × {(queue.effective or 0) / (queue.maximum or 1):.3g}" if now.is_peak else ""
    sub = f"{queue.used} of {queue.effective} slots used"
    line = chart.spark([hour.started for hour in hours])
    jobs = _jobs(sum(in_progress.values()))
    address, shows = _list("processing"), "Started per hour"
    return Card("processing", "Processing", "processing", address, *jobs, sub, line, shows, whole=f"{sub}{peak}")


def _ended(name: str, ended: Mapping[State, int], hours: Sequence[Hour], sub: str, whole: str = "") -> Card:
    line = chart.spark([getattr(hour, name) for hour in hours])
    value = display.number(ended[State(name)])
    title = name.capitalize()
    address, shows = f"{_list(name)}&ended=24h", f"{title} per hour"
    return Card(name, title, name, address, value, "last 24h", sub, line, shows, whole=whole)


def _oldest(now: Snapshot, hours: Sequence[Hour], at: datetime) -> Card:
    line = chart.spark([coarse(hour.oldest) or 0.0 for hour in hours])
    shows = "Age of the oldest waiting job at each hour's end"
    if now.oldest is None:
        sub = "no jobs ready to start" if now.waiting else "no jobs waiting"
        return Card("wait", "Oldest wait", "wait", _list("queued"), "–", "", sub, line, shows)
    lane, oldest = now.oldest
    url = reverse("admin:queue_app_job_change", args=[oldest.job])
    sub = f"{lane.key}, job {display.number(oldest.job)}"
    return Card("wait", "Oldest wait", "wait", url, "", "", sub, line, shows, words.age(oldest.since, at))


def _list(status: str) -> str:
    return f"{reverse('admin:queue_app_job_changelist')}?status={status}"


def _jobs(count: int) -> tuple[str, str]:
    return display.number(count), "job" if count == 1 else "jobs"


def _lately(by_hour: Sequence[int]) -> str:
    """Return the number of the last full hour, or of the current one while there is no other."""
    *full, now = by_hour
    return f"{display.number(full[-1])} in the last full hour" if any(full) else f"{display.number(now)} this hour"


def _share(ended: Mapping[State, int], errors: int) -> tuple[str, str]:
    """Return the failure rate, and the same with the number of errors."""
    ran = ended[State.COMPLETED] + ended[State.FAILED]
    if not ended[State.FAILED]:
        return ("no failures" if ran else "no completed jobs"), ""
    rate = f"{100 * ended[State.FAILED] / ran:.1f}% failure rate"
    return rate, f"{rate}, {counted(errors, 'error type')}"
