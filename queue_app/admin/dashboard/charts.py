"""The dashboard's charts and their tables, from the hours of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from queue_app.insight.hourly import Hour
from queue_app.rules import chart
from queue_app.rules.chart import Chart
from queue_app.ui import display

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Drawing:
    """
    A chart with its sentence for screen readers, its legend (class, words) and its table. ``begins``: the figures of the current
    hour (class, words, figure) while no full hour has any, as one hour draws no line. ``nothing``: said while there are none.
    """

    id: str
    title: str
    sub: str
    chart: Chart
    sentence: str
    legend: list[tuple[str, str]]
    head: list[str]
    table: list[list[str]]
    begins: list[tuple[str, str, str]]
    nothing: str


def throughput(hours: Sequence[Hour]) -> Drawing:
    """Draw the completed and failed jobs of each hour."""
    now = hours[-1]
    return Drawing(
        id="throughput",
        title="Throughput",
        sub="finished jobs per hour, 24h",
        chart=chart.draw(
            [("completed", [hour.completed for hour in hours]), ("failed", [hour.failed for hour in hours])],
            _labels(hours),
            areas=["completed"],
        ),
        sentence=f"Finished jobs per hour in the last 24 hours. {_last_full(hours[-2])} This hour so far: {_ended(now)}.",
        legend=[("is-completed", "completed"), ("is-failed", "failed")],
        head=["Hour", "Completed", "Failed", "Cancelled"],
        table=[[_span(hour), *map(display.number, (hour.completed, hour.failed, hour.cancelled))] for hour in reversed(hours)],
        **_first_hour(
            [hour.completed + hour.failed > 0 for hour in hours],
            [
                ("is-completed", "completed", display.number(now.completed)),
                ("is-failed", "failed", display.number(now.failed)),
                ("", "cancelled", display.number(now.cancelled)),
            ],
            "No jobs finished in the last 24 hours. Finished jobs per hour appear here.",
        ),
    )


def waits(hours: Sequence[Hour]) -> Drawing:
    """Draw how long started jobs had waited, with the age of the oldest waiting job."""
    oldest = [coarse(hour.oldest) or 0.0 for hour in hours]
    p50, p95 = [hour.p50 for hour in hours], [hour.p95 for hour in hours]
    most = max([0.0, *oldest, *(value for value in p95 if value is not None)])
    unit, word = (1.0, "s") if most < 2 * MINUTE else (MINUTE, "m") if most < 2 * HOUR else (HOUR, "h")
    now = hours[-1]
    said = f"p50 {_time(now.p50)}, p95 {_time(now.p95)}" if now.p50 is not None else "none started"
    return Drawing(
        id="waits",
        title="Wait to start",
        sub="by start hour, 24h",
        chart=chart.draw(
            [("p95", _scaled(p95, unit)), ("p50", _scaled(p50, unit)), ("oldest", _scaled(oldest, unit))],
            _labels(hours),
            areas=["p95"],
            words=lambda value: f"{value:g}{word}",
        ),
        sentence=f"Wait to start per hour in the last 24 hours, not counting retries. This hour so far: {said}. "
        f"{f'The oldest waiting job has waited {_time(coarse(now.oldest))}' if now.oldest else 'No jobs ready to start'}.",
        legend=[("is-p50", "p50"), ("is-p95", "p95"), ("is-wait", "oldest waiting job")],
        head=["Hour", "Started", "p50", "p95", "Oldest waiting"],
        table=[
            [_span(hour), display.number(hour.started), _time(hour.p50), _time(hour.p95), _time(coarse(hour.oldest))]
            for hour in reversed(hours)
        ],
        **_first_hour(
            [hour.started > 0 or bool(hour.oldest) for hour in hours],
            [
                ("is-p50", "p50", _time(now.p50)),
                ("is-p95", "p95", _time(now.p95)),
                ("is-wait", "oldest waiting job", _time(coarse(now.oldest))),
            ],
            "No jobs started in the last 24 hours. Their waits appear here.",
        ),
    )


def failure_rate(hours: Sequence[Hour]) -> Drawing:
    """Draw the percentage of failed jobs in each hour."""
    rates = [hour.failure_rate for hour in hours]
    now = "none completed or failed" if rates[-1] is None else f"{rates[-1]:.1f}%"
    return Drawing(
        id="failure-rate",
        title="Failure rate",
        sub="% of completed and failed jobs, per hour",
        chart=chart.draw([("failed", rates)], _labels(hours), areas=["failed"], words=lambda value: f"{value:g}%"),
        sentence=f"Failed jobs as a share of completed and failed jobs, per hour in the last 24 hours. This hour so far: {now}.",
        legend=[("is-failed", "failed")],
        head=["Hour", "Failed", "Completed or failed", "Rate"],
        table=[
            [
                _span(hour),
                display.number(hour.failed),
                display.number(hour.completed + hour.failed),
                "–" if hour.failure_rate is None else f"{hour.failure_rate:.1f}%",
            ]
            for hour in reversed(hours)
        ],
        **_first_hour(
            [rate is not None for rate in rates],
            [("is-failed", "of completed and failed jobs failed", now)],
            "No jobs completed or failed in the last 24 hours. Their failure rate appears here.",
        ),
    )


def _first_hour(has_any: Sequence[bool], figures: list[tuple[str, str, str]], nothing: str) -> dict[str, Any]:
    """Return what a drawing says in place of its chart while no full hour has anything to draw."""
    *full, now = has_any
    return {"begins": figures if now and not any(full) else [], "nothing": "" if any(has_any) else nothing}


def coarse(seconds: float | None) -> float | None:
    """Round to what a chart can show: the passing of a second makes no new drawing."""
    if seconds is None:
        return None
    step = 5 if seconds < 2 * MINUTE else 30 if seconds < 20 * MINUTE else 120 if seconds < 2 * HOUR else 600
    return float(round(seconds / step) * step)


def _scaled(values: Sequence[float | None], unit: float) -> list[float | None]:
    return [None if value is None else value / unit for value in values]


def _labels(hours: Sequence[Hour]) -> list[str]:
    return [_clock(hour.start) for hour in hours]


def _span(hour: Hour) -> str:
    return f"{_clock(hour.start)}–{_clock(hour.start + timedelta(hours=1))}" + ("" if hour.is_over else ", in progress")


def _clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M}"


def _ended(hour: Hour) -> str:
    return f"{hour.completed} completed, {hour.failed} failed"


def _last_full(hour: Hour) -> str:
    return f"Last full hour: {_ended(hour)}."


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else display.duration(seconds)
