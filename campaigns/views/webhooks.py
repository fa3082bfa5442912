"""The user's webhooks: endpoints with their last 24 hours, deliveries with what was answered, secrets, tests and replays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns.actions import record_made, record_of
from queue_app import clock
from queue_app.insight import deliveries
from queue_app.insight.deliveries import DeliveryDay, DeliveryStatus
from queue_app.models import DeliveryTry, OutboxMessage, OutgoingEvent, WebhookEndpoint
from queue_app.outbox.delivery import TRIES
from queue_app.outbox.webhooks import body_of
from queue_app.rules import numbers
from queue_app.ui import display, fragments
from queue_app.ui.access import viewer
from queue_app.work import endpoints
from queue_app.work.endpoints import DeliveryRefused, EndpointRefused

LISTED = 25  # deliveries of a page
NAMED = 3  # events that a row names
TROUBLES = 3  # failing endpoints that the page warns of
CALLBACKS = "callbacks"
TABS = {"": "All", **dict(DeliveryStatus.choices)}
SECRET = "webhook_secret"  # noqa: S105 - in the session: the endpoint whose new secret its next page shows
NEW: dict[str, Any] = {"url": "", "description": "", "events": [OutgoingEvent.JOB_COMPLETED, OutgoingEvent.JOB_FAILED]}


@dataclass(frozen=True)
class EndpointRow:
    """An endpoint in the list, with its deliveries of 24 hours."""

    endpoint: WebhookEndpoint
    day: DeliveryDay

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint.url).netloc

    @property
    def path(self) -> str:
        return urlsplit(self.endpoint.url).path

    @property
    def is_failing(self) -> bool:
        return self.endpoint.active and self.endpoint.failing_since is not None

    @property
    def events(self) -> str:
        """Return the names of the events, as far as a row has room for them."""
        names = self.endpoint.events
        if len(names) == len(OutgoingEvent):
            return f"all {len(names)} events"
        return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")

    @property
    def within(self) -> str:
        return _took(self.day.within_seconds) if self.day.within_seconds is not None else ""

    @property
    def bars(self) -> list[tuple[str, str, float, float]]:
        """Return the bars of the hours on a field of 100 by 28: class, left edge, top, height. Quiet hours have a stump."""
        drawn = []
        for place, hour in enumerate(self.day.hours):
            left = f"{place * 100 / len(self.day.hours):.2f}"
            parts = {"ok": hour.delivered, "no": hour.failed, "wait": hour.total - hour.delivered - hour.failed}
            top = 4.0
            for css, number in parts.items():
                if number:
                    height = 24 * number / hour.total
                    drawn.append((css, left, round(top, 1), round(height, 1)))
                    top += height
            if not hour.total:
                drawn.append(("na", left, 22.0, 6.0))
        return drawn


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery in the list."""

    message: OutboxMessage

    @property
    def log(self) -> list[DeliveryTry]:
        return [*self.message.log.all()]

    @property
    def to(self) -> str:
        sent = self.message
        asked = sent.endpoint or sent.job or sent.batch
        return urlsplit(getattr(asked, "url", "") or getattr(asked, "callback_url", "")).netloc

    @property
    def look(self) -> tuple[str, str]:
        """Return what became of it: the colour of its badge, and the words."""
        last = self.log[-1] if self.log else None
        if self.message.delivered_at and last:
            return "completed", f"{last.status} in {_took(last.seconds)}"
        if self.message.is_open and not self.message.last_error:
            return ("queued", "Waiting") if self.message.leased_until is None else ("processing", "Sending")
        if last is None or not last.error:
            return "cancelled", "Not sent"
        return "failed", str(last.status or "No answer")

    @property
    def next_try_at(self) -> datetime | None:
        return deliveries.next_try(self.message)

    @property
    def may_replay(self) -> bool:
        return self.message.leased_until is None and (self.message.endpoint is None or self.message.endpoint.active)


@never_cache
@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show endpoints, deliveries, and the chosen delivery; to htmx, what has changed of them, or 204."""
    user, at = viewer(request), clock.now()
    own = list(WebhookEndpoint.objects.filter(owner=user))
    days = deliveries.days(own, at=at)
    asked = _asked(request, own)
    listed = _listed(request, asked)
    chosen = _chosen(request, listed)
    failing = sorted((one for one in own if one.active and one.failing_since), key=lambda one: one.failing_since or at)
    context = {
        "at": at,
        "rows": [EndpointRow(one, days[one.pk]) for one in sorted(own, key=lambda one: not one.active)],
        "on": sum(one.active for one in own),
        "full": endpoints.FULL if len(own) >= endpoints.ENDPOINTS_MOST else "",
        "troubles": [(EndpointRow(one, days[one.pk]), deliveries.trouble(one)) for one in failing[:TROUBLES]],
        "asked": asked,
        "of": next((EndpointRow(one, days[one.pk]) for one in own if str(one.pk) == asked["endpoint"]), None),
        "tabs": [(words, _query(asked, status=tab), tab == asked["status"]) for tab, words in TABS.items()],
        "deliveries": [(one, _query(asked, before=asked["before"], delivery=one.message.name)) for one in listed[:LISTED]],
        "older": _query(asked, before=str(listed[LISTED - 1].message.pk)) if len(listed) > LISTED else "",
        "newest": _query(asked) if asked["before"] else "",
        "chosen": chosen,
        "body": display.as_json(body_of(chosen.message)) if chosen else "",
        "most": TRIES,
        "kept_days": settings.WEBHOOKS_KEPT.days,
        "here": _query(asked, before=asked["before"], delivery=request.GET.get("delivery", "")),
        "callbacks": endpoints.callback_secret(user),
    }
    return fragments.answer(request, "campaigns/webhooks/page.html", "campaigns/webhooks/_board.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Show the form for a new endpoint; on POST, make it once per form and show its secret on its page."""
    if request.method != "POST":
        return _form(request, NEW)
    user, at, form = viewer(request), clock.now(), _typed(request)
    try:
        with transaction.atomic():
            record = record_of(user, "webhook", request.POST.get("key", ""), [form], at=at)
            if record.made is None:
                made = endpoints.make(user, form, at=at, actor=user)
                record_made(record, endpoint=made.pk)
                request.session[SECRET] = made.pk
    except EndpointRefused as refusal:
        return _form(request, form, status=422, errors=_errors(refusal))
    assert record.made is not None  # by this request or by the first one of this form
    return redirect("campaigns:webhook", record.made["endpoint"])


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Show one endpoint, once with its new secret; on POST, change its address, name or events."""
    row, at = _own(request, endpoint), clock.now()
    if request.method != "POST":
        shown = {"url": row.url, "description": row.description, "events": row.events}
        secret = row.secret if request.session.get(SECRET) == row.pk else ""
        if secret:
            del request.session[SECRET]
        return _form(request, shown, endpoint=row, secret=secret)
    form = _typed(request)
    try:
        endpoints.change(row, form, at=at, actor=viewer(request))
    except EndpointRefused as refusal:
        return _form(request, form, endpoint=row, status=422, errors=_errors(refusal))
    messages.success(request, f"Webhook endpoint {EndpointRow(row, DeliveryDay()).host} saved.")
    return redirect("campaigns:webhooks")


@login_required
@require_POST
def switch(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Turn an endpoint on or off."""
    is_on = request.POST.get("active") == "on"
    row = endpoints.change(_own(request, endpoint), {"active": is_on}, at=clock.now(), actor=viewer(request))
    messages.success(request, f"{EndpointRow(row, DeliveryDay()).host} turned {'on' if is_on else 'off'}.")
    return redirect("campaigns:webhooks")


@login_required
@require_POST
def rotate(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Make a new secret, and show it on the endpoint's page."""
    row = endpoints.rotate(_own(request, endpoint), at=clock.now(), actor=viewer(request))
    request.session[SECRET] = row.pk
    return redirect("campaigns:webhook", row.pk)


@login_required
@require_POST
def delete(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Delete an endpoint with its deliveries."""
    row = _own(request, endpoint)
    endpoints.delete(row, at=clock.now(), actor=viewer(request))
    messages.success(request, f"Webhook endpoint {EndpointRow(row, DeliveryDay()).host} deleted.")
    return redirect("campaigns:webhooks")


@login_required
@require_POST
def test(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Send a ping to an endpoint, and show its delivery."""
    return _sent(request, lambda at: endpoints.ping(_own(request, endpoint), at=at))


@login_required
@require_POST
def replay(request: HttpRequest, delivery: int) -> HttpResponse:
    """Send a delivery again, and show it."""
    row = get_object_or_404(_deliveries(request), pk=delivery)

    def again(at: datetime) -> OutboxMessage:
        endpoints.replay(row, at=at)
        return row

    return _sent(request, again)


@login_required
@require_POST
def retry(request: HttpRequest, endpoint: int) -> HttpResponse:
    """Try now what waits at an endpoint."""
    number = endpoints.retry_now(_own(request, endpoint), at=clock.now())
    messages.success(request, f"{number:,} {'delivery' if number == 1 else 'deliveries'} sent again.")
    return redirect("campaigns:webhooks")


@login_required
@require_POST
def rotate_callbacks(request: HttpRequest) -> HttpResponse:
    """Make a new secret for callbacks."""
    endpoints.rotate_callback_secret(viewer(request), at=clock.now())
    messages.success(request, "New callback secret. The previous one also signs for 24 hours.")
    return redirect("campaigns:webhooks")


def _own(request: HttpRequest, pk: int) -> WebhookEndpoint:
    """:raises Http404: the user has no such endpoint (I35)."""
    return get_object_or_404(WebhookEndpoint, pk=pk, owner=viewer(request))


def _deliveries(request: HttpRequest) -> QuerySet[OutboxMessage]:
    """Return the user's deliveries, without those of deleted endpoints; with what they are about."""
    return deliveries.of(viewer(request)).filter(endpoint__deleted_at=None).select_related("endpoint", "job", "batch")


def _asked(request: HttpRequest, own: Sequence[WebhookEndpoint]) -> dict[str, str]:
    """Read which deliveries the address asks for; unknown values are ignored."""
    known = {"endpoint": {CALLBACKS, *(str(one.pk) for one in own)}, "status": {*TABS}}
    asked = {name: value if (value := request.GET.get(name, "")) in values else "" for name, values in known.items()}
    return {**asked, "before": str(numbers.of_row(request.GET.get("before", "")) or "")}


def _query(asked: Mapping[str, str], **other: str) -> str:
    found = {**asked, "before": "", **other}
    return f"?{urlencode({name: value for name, value in found.items() if value})}"


def _listed(request: HttpRequest, asked: Mapping[str, str]) -> list[DeliveryRow]:
    """Return the deliveries that the address asks for, the newest first, and one more if there are more."""
    found = _deliveries(request).prefetch_related("log")
    if asked["endpoint"]:
        found = found.filter(endpoint=None if asked["endpoint"] == CALLBACKS else int(asked["endpoint"]))
    if asked["status"]:
        found = found.filter(deliveries.WITH_STATUS[asked["status"]])
    if asked["before"]:
        found = found.filter(pk__lt=int(asked["before"]))
    return [DeliveryRow(one) for one in found[: LISTED + 1]]


def _chosen(request: HttpRequest, listed: Sequence[DeliveryRow]) -> DeliveryRow | None:
    """Return the delivery that the address names, or the first that is listed."""
    number = deliveries.number(request.GET.get("delivery", ""))
    here = next((one for one in listed if one.message.pk == number), None)
    if here is None and number:
        found = _deliveries(request).filter(pk=number).first()
        here = DeliveryRow(found) if found else None
    return here or next(iter(listed), None)


def _typed(request: HttpRequest) -> dict[str, Any]:
    sent = request.POST
    return {
        "url": sent.get("url", "").strip(),
        "description": sent.get("description", ""),
        "events": sent.getlist("events"),
    }


def _form(
    request: HttpRequest, form: Mapping[str, Any], *, endpoint: WebhookEndpoint | None = None, status: int = 200, **told: Any
) -> HttpResponse:
    context = {
        "form": form,
        "events": OutgoingEvent.choices,
        "endpoint": endpoint,
        "row": EndpointRow(endpoint, DeliveryDay()) if endpoint else None,
        "key": get_random_string(12),
        "at": clock.now(),
        "errors": {},
        **told,
    }
    return render(request, "campaigns/webhooks/endpoint.html", context, status=status)


def _errors(refusal: EndpointRefused) -> dict[str, str]:
    return {one.field or "all": one.message for one in refusal.problems}


def _sent(request: HttpRequest, send: Callable[[datetime], OutboxMessage]) -> HttpResponse:
    """Send something and show its delivery; say why if it is refused."""
    try:
        sent = send(clock.now())
    except DeliveryRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:webhooks")
    response = redirect("campaigns:webhooks")
    response["Location"] += f"?{urlencode({'delivery': sent.name})}"
    return response


def _took(seconds: float) -> str:
    return f"{seconds * 1_000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"
