"""The usage page: a period, a grouping, an order; and the same lines as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from queue_app import clock
from queue_app.insight import usage
from queue_app.insight.usage import Usage, UsageLine
from queue_app.rules import spreadsheet
from queue_app.ui import display
from queue_app.work.roles import SEE_USAGE

PERIODS = {"24h": ("Last 24 hours", 1), "7d": ("Last 7 days", 7), "30d": ("Last 30 days", 30)}
SIDES = {"model": "Model", "kind": "Job type", "user": "User", "campaign": "Campaign", "day": "Day"}
LONGEST = 366  # days of a custom period
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)  # beyond them, days near the ends of the calendar have no neighbour
SHOWN = 200  # lines on the page; the file has all
# column → its head
SORTS = {
    "name": "",
    "jobs": "Jobs",
    "success": "Success",
    "wait_p50": "Wait p50, p95",
    "run_p50": "Run p50, p95",
    "captured": "Charged",
    "refunded": "Refunded",
    "net": "Net",
    "usd_estimated": "Estimated cost",
    "usd_actual": "Actual cost",
}
FILE = (
    *("jobs", "completed", "failed", "cancelled", "success", "wait_p50", "wait_p95", "run_p50", "run_p95"),
    *("captured", "refunded", "net", "usd_estimated", "usd_actual", "usd_told"),
)
UNITS = {"success": "success %", "usd_told": "jobs with actual USD", "captured": "tickets charged"} | {
    "refunded": "tickets refunded",
    "net": "tickets net",
    **{f"{what}_{p}": f"{what} {p} seconds" for what in ("wait", "run") for p in ("p50", "p95")},
}


@dataclass(frozen=True)
class Report:
    """The report that an address requests. Missing and wrong values fall back to those of the plain address."""

    period: str  # a key of PERIODS, or "days": `first` to `last`
    first: date
    last: date
    start: datetime
    end: datetime
    by: str
    sort: str
    up: bool
    problem: str

    @property
    def query(self) -> dict[str, str]:
        days = {"from": str(self.first), "to": str(self.last)} if self.period == "days" else {"period": self.period}
        return {**days, "by": self.by, "sort": self.sort, "dir": "up" if self.up else "down"}

    def address(self, **changes: str) -> str:
        """Return the query string with these values changed. A new period drops the days, a new grouping drops the order."""
        query = self.query
        if "period" in changes:
            query = {name: value for name, value in query.items() if name not in ("from", "to")}
        if "by" in changes:
            query = {name: value for name, value in query.items() if name not in ("sort", "dir")}
        return f"?{urlencode({**query, **changes})}"


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """
    Show the usage of a period; with ``format=csv``, return all lines as a file.

    :raises PermissionDenied: the user may not see jobs or the ledger.
    """
    if not all(request.user.has_perm(right) for right in SEE_USAGE):
        raise PermissionDenied
    asked = read(request.GET, at=clock.now())
    found = usage.of(asked.start, asked.end, by=asked.by)
    lines = in_order(found.lines, asked)
    if request.GET.get("format") == "csv":
        name = f"usage-by-{asked.by}-{asked.first:%Y%m%d}-{asked.last:%Y%m%d}.csv"
        headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse("".join(csv_lines(lines, found.total, asked)), headers=headers)
    return TemplateResponse(request, "admin/usage/page.html", {**admin.site.each_context(request), **_shown(asked, found, lines)})


def read(query: QueryDict, *, at: datetime) -> Report:
    """Read the query string of the page's address."""
    by = query.get("by", "") if query.get("by") in SIDES else "model"
    sort = query.get("sort", "") if query.get("sort") in SORTS else "name" if by == "day" else "net"
    up = query.get("dir") == "up"
    period = query.get("period", "") if query.get("period") in PERIODS else "7d"
    problem = ""
    if "from" in query or "to" in query:
        days = _days(query.get("from", ""), query.get("to", ""))
        if isinstance(days, str):
            problem = days
        else:
            first, last = days
            return Report("days", first, last, _midnight(first), _midnight(last + timedelta(days=1)), by, sort, up, problem="")
    start = at - timedelta(days=PERIODS[period][1])
    first, last = timezone.localtime(start).date(), timezone.localtime(at).date()
    return Report(period, first, last, start, at, by, sort, up, problem)


def in_order(lines: list[UsageLine], asked: Report) -> list[UsageLine]:
    """Return the lines in the report's order; lines without the value come last either way."""
    named = sorted(lines, key=lambda line: line.name)
    have = [line for line in named if getattr(line, asked.sort) is not None]
    have.sort(key=lambda line: getattr(line, asked.sort), reverse=not asked.up)
    return [*have, *(line for line in named if getattr(line, asked.sort) is None)]


def csv_lines(lines: list[UsageLine], total: UsageLine, asked: Report) -> Iterator[str]:
    """Yield the lines of the file: heads, rows, total."""
    heads = [UNITS.get(name, name.replace("usd", "USD").replace("_", " ")) for name in FILE]
    yield spreadsheet.BOM + spreadsheet.line([SIDES[asked.by].lower(), *heads])
    for line in [*lines, total]:
        yield spreadsheet.line([line.name, *(_cell(getattr(line, name)) for name in FILE)])


def _shown(asked: Report, found: Usage, lines: list[UsageLine]) -> dict[str, Any]:
    most = max((line.net for line in lines), default=0)
    return {
        "title": "Usage",
        "asked": asked,
        "periods": [
            {"name": words, "query": asked.address(period=key), "current": asked.period == key}
            for key, (words, _) in PERIODS.items()
        ],
        "sides": [{"name": words, "query": asked.address(by=key), "current": asked.by == key} for key, words in SIDES.items()],
        "heads": [_head(key, words, asked) for key, words in SORTS.items()],
        "rows": [_row(line, most) for line in lines[:SHOWN]],
        "total": _row(found.total, 0),
        "left_out": max(len(lines) - SHOWN, 0),
        "csv": asked.address(format="csv"),
    }


def _head(key: str, words: str, asked: Report) -> dict[str, Any]:
    """Return a column's head. Its link reverses the order, or sorts by it: names from A, numbers from the largest."""
    is_sorted = asked.sort == key
    up = not asked.up if is_sorted else key == "name"
    return {
        "name": words or SIDES[asked.by],
        "query": asked.address(sort=key, dir="up" if up else "down"),
        "sorted": ("ascending" if asked.up else "descending") if is_sorted else "",
        "is_number": bool(words),
    }


def _row(line: UsageLine, most: int) -> dict[str, Any]:
    return {
        "line": line,
        "share": f"{100 * max(line.net, 0) / most:.1f}" if most > 0 else "",
        "success": "–" if line.success is None else f"{line.success:.1f}%",
        "wait": _pair(line.wait_p50, line.wait_p95),
        "run": _pair(line.run_p50, line.run_p95),
    }


def _pair(p50: float | None, p95: float | None) -> tuple[str, str]:
    return ("–", "") if p50 is None or p95 is None else (display.span(p50), display.span(p95))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return round(value, 3) if isinstance(value, float) else value


def _days(first: str, last: str) -> tuple[date, date] | str:
    """Return the two days, or a message about what is wrong with them."""
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return "Enter both dates as 2026-11-01. Showing the last 7 days."
    if not all(EARLIEST <= day <= LATEST for day in days):
        return f"Choose dates between {EARLIEST} and {LATEST}. Showing the last 7 days."
    if days[1] < days[0]:
        return "The end date is before the start date. Showing the last 7 days."
    if (days[1] - days[0]).days >= LONGEST:
        return f"Choose at most {LONGEST} days. Showing the last 7 days."
    return days


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
