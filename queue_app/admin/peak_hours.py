"""Peak hours on the page of the queue's settings: what is now, and a day by the values in the form, before they are saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from queue_app import clock
from queue_app.insight import peaks
from queue_app.models import QueueSettings
from queue_app.models.settings import check_zone
from queue_app.rules import peak
from queue_app.rules.words import storable

RIGHT = "queue_app.view_queuesettings"
SHOWN = ("max_concurrent", "peak_hours", "peak_factor", "peak_time_zone")  # of the form that it stands in
MINUTES = 24 * 60


@dataclass(frozen=True)
class Span:
    """A part of a day by the clock, with the limit of the whole queue; ``x`` and ``width`` in minutes, for its drawing."""

    x: int
    width: int
    words: str
    limit: int
    is_peak: bool


@dataclass
class PeakDay:
    """A day by the values of a form, or the ``problems`` that prevent one; ``clock`` is the time there now."""

    spans: list[Span] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    zone: str = ""
    clock: str = ""
    now: str = ""

    @property
    def words(self) -> str:
        """The spans in one sentence, for screen readers."""
        return ", ".join(f"{span.words} limit {span.limit}" for span in self.spans)


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Show the day by the values that are being typed. Writes nothing."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    posted = {name: storable(text) for name, text in request.POST.items() if isinstance(text, str)}
    day = by_form(posted, QueueSettings.objects.current(), at=clock.now())
    return TemplateResponse(request, "admin/queue_app/queuesettings/_day.html", {"day": day})


def by_form(posted: Mapping[str, str], saved: QueueSettings, *, at: datetime) -> PeakDay:
    """Return the day by the values of a form; those that it lacks are the saved ones."""
    texts = {name: posted.get(name, str(getattr(saved, name))).strip() for name in SHOWN}
    problems = list(_problems(texts))
    if problems:
        return PeakDay(problems=problems)
    values: dict[str, Any] = {
        **texts,
        "max_concurrent": int(texts["max_concurrent"]),
        "peak_factor": Decimal(texts["peak_factor"]),
    }
    tried = QueueSettings(**values)
    local, soon = at.astimezone(tried.peak_zone), peaks.now_or_soon(tried, at=at)
    now = f"{soon.words}." if soon else f"Limit {tried.max_concurrent} now."
    return PeakDay([_span(tried, *one) for one in peak.of_day(tried.peak_hours)], [], str(tried.peak_zone), f"{local:%H:%M}", now)


def _problems(texts: Mapping[str, str]) -> Iterator[str]:
    if not (texts["max_concurrent"].isascii() and texts["max_concurrent"].isdigit() and len(texts["max_concurrent"]) < 5):
        yield "Enter the concurrent jobs of the whole queue."
    try:
        peak.spans(texts["peak_hours"])
    except ValueError as problem:
        yield str(problem)
    try:
        if not 1 <= Decimal(texts["peak_factor"]) < 100:
            yield "Enter a peak factor from 1 to 99.99."
    except InvalidOperation:
        yield "Enter a peak factor from 1 to 99.99."
    try:
        check_zone(texts["peak_time_zone"] or settings.QUEUE_TIME_ZONE)
    except ValidationError as problem:
        yield problem.messages[0]


def _span(policy: QueueSettings, start: time, end: time, is_peak: bool) -> Span:
    begins, ends = _minutes(start), _minutes(end) or MINUTES
    limit = peak.raised(policy.max_concurrent, policy.peak_factor) if is_peak else policy.max_concurrent
    return Span(begins, ends - begins, f"{start:%H:%M}–{'24:00' if ends == MINUTES else format(end, '%H:%M')}", limit, is_peak)


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute
