"""Limits, pauses and cooldowns, changed on the dashboard: each by `policy.change`, effective for the next job."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse

from queue_app import clock
from queue_app.admin.dashboard import page, rows
from queue_app.admin.dashboard.rows import CapacityRow
from queue_app.forecast import whatif
from queue_app.insight import snapshot
from queue_app.models import Batch, Kind, ModelConcurrencyLimit, ProviderAccount, QueueSettings, User
from queue_app.providers import registry
from queue_app.rules import numbers
from queue_app.ui import addresses, display, pauses
from queue_app.ui.access import staff
from queue_app.ui.fragments import fragment_wanted
from queue_app.work import policy
from queue_app.work.roles import Right

Record = QueueSettings | ModelConcurrencyLimit | ProviderAccount | Kind
RECORDS: dict[str, type[Record]] = {
    "queue": QueueSettings,
    "model": ModelConcurrencyLimit,
    "account": ProviderAccount,
    "kind": Kind,
}
EFFECT = "Applies to the next job; running jobs continue."


def limit(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Set a limit. For htmx return its row, else the dashboard, with any error beside the field."""
    user = operator(request)
    if request.method != "POST":
        return redirect("admin:index")
    what, key, typed = _asked(request.POST)
    record = _record(what, key)
    before = record.max_concurrent
    value, is_number = _number(what, typed)
    if is_number:
        try:
            policy.change(record, at=clock.now(), actor=user, max_concurrent=value)
        except ValidationError:
            is_number = False
    if not is_number:
        wrong = {"row": rows.element_id(what, key), "typed": typed[:12], "why": rows.WRONG[what]}
        return _row(request, what, key, wrong=wrong) if fragment_wanted(request) else page.page(site, request, wrong=wrong)
    said = f"Limit for {_name(what, key)}: {_said(before)} → {_said(value)}. {EFFECT}" if before != value else "No change."
    if fragment_wanted(request):
        return _row(request, what, key, said=said)
    messages.success(request, said)
    return redirect(f"{reverse('admin:index')}#{rows.element_id(what, key)}")


def forecast(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show what a limit would change while it is typed; writes nothing."""
    operator(request)
    what, key, typed = _asked(request.GET)
    record = _record(what, key)
    value, is_number = _number(what, typed)
    shown: dict[str, Any] = {"id": rows.element_id(what, key), "typed": typed[:12]}
    if not is_number:
        shown["wrong"] = rows.WRONG[what]
    elif value != record.max_concurrent:
        found = whatif.of_limit((what, key), value, at=clock.now())
        at_limit = "Without a limit" if value is None else f"At {value}"
        shown |= {"found": found, "at_limit": at_limit, "now": display.about(found.now), "then": display.about(found.then)}
        for name, gains in (("earlier", found.earlier), ("later", found.later)):
            shown[name] = [f"{gain.name} by {display.about(gain.seconds)}" for gain in gains if gain.seconds < float("inf")]
    return render(request, "admin/dashboard/_whatif.html", shown)


def pause(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show what a pause will do; on POST, with a reason, pause."""
    user = operator(request)
    what, key, _ = _asked(request.POST if request.method == "POST" else request.GET)
    record = _record(what, key)
    if what == "kind":
        raise Http404("Job types can't be paused.")
    asked = pauses.asked(request.POST, at=clock.now())
    if request.method == "POST" and asked.reason:
        changes: dict[str, Any] = {"paused": True, "paused_reason": asked.reason, "paused_until": asked.until}
        policy.change(record, at=asked.at, actor=user, reason=asked.reason, **changes)
        messages.success(request, f"{_at_first(what, key)} paused. Running jobs will finish; waiting jobs keep their position.")
        return redirect("admin:index")
    row = _found(what, key)
    shown = {
        **site.each_context(request),
        "title": f"Pause {_name(what, key)}?",
        "name": _name(what, key),
        "row": row,
        "waiting": row.waiting,
        "runs": row.slots.partition(" ")[0],
        "minutes": pauses.MINUTES,
        "asked": asked,
        "wrong": pauses.NO_REASON if request.method == "POST" else "",
    }
    return TemplateResponse(request, "admin/dashboard/pause.html", shown)


def resume(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """End a pause."""
    user = operator(request)
    if request.method == "POST":
        what, key, _ = _asked(request.POST)
        if what == "batch":
            policy.resume_batch(_batch(key), at=clock.now(), actor=user)
        elif what == "kind":
            raise Http404("Job types can't be paused.")
        else:
            end_pause(_record(what, key), at=clock.now(), actor=user)
        messages.success(request, f"{_at_first(what, key)} resumed. Waiting jobs kept their position.")
    return _back(request)


def end_pause(record: Record, *, at: datetime, actor: User) -> None:
    """Resume what is paused, in place."""
    policy.change(record, at=at, actor=actor, paused=False, paused_reason="", paused_until=None)


def end_cooldown(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """End an account's cooldown and give it back its full limit."""
    user = operator(request)
    if request.method == "POST":
        key = _asked(request.POST)[1]
        account = _record("account", key)
        whole: dict[str, Any] = {"cooldown_until": None, "lowered_by": 0, "lowered_at": None, "failures_in_a_row": 0}
        policy.change(account, at=clock.now(), actor=user, **whole)
        full = f"Account {key} is back at its full limit until the provider rate-limits us again."
        messages.success(request, f"Cooldown ended. {full}")
    return _back(request)


def operator(request: HttpRequest) -> User:
    """
    Return the user.

    :raises PermissionDenied: they may not operate the queue.
    """
    if not isinstance(request.user, User) or not request.user.has_perm(Right.OPERATE):
        raise PermissionDenied
    return staff(request)


def _asked(said: Any) -> tuple[str, str, str]:
    """Return what is limited, its key, and a typed value. A button says the first two in one field: “model:sora-2”."""
    what, _, key = said.get("hold", "").partition(":")
    return said.get("what", what), said.get("key", key), said.get("value", "").strip()


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the page of the request, if it named itself, else to the dashboard."""
    return redirect(addresses.of_ours(request, request.POST.get("next", "")) or "admin:index")


def _batch(key: str) -> Batch:
    found = Batch.objects.filter(pk=numbers.of_row(key)).first()
    if found is None:
        raise Http404("Batch not found.")
    return found


def _record(what: str, key: str) -> Record:
    model = RECORDS.get(what)
    found: Record | None = model.objects.filter(pk="1" if what == "queue" else key).first() if model else None
    if isinstance(found, ProviderAccount) and not registry.is_available(found.adapter):
        found = None  # not on the dashboard: nothing set there would have an effect
    if found is None:
        raise Http404("Limit not found.")
    return found


def _number(what: str, typed: str) -> tuple[int | None, bool]:
    """Return the typed limit, and whether it is valid."""
    if not typed:
        return None, what in rows.MAY_BE_EMPTY
    if not (typed.isascii() and typed.isdigit() and len(typed) < 7):
        return None, False
    return int(typed), 1 <= int(typed) <= rows.HIGHEST[what]


def _found(what: str, key: str) -> CapacityRow:
    at = clock.now()
    row = rows.find(snapshot.take(at=at), what, key, at=at)
    if row is None:  # the limit of an inactive model
        raise Http404("This limit is not on the dashboard.")
    return row


def _row(request: HttpRequest, what: str, key: str, *, said: str = "", wrong: dict[str, str] | None = None) -> HttpResponse:
    template = "admin/dashboard/_lane.html" if what in ("model", "queue") else "admin/dashboard/_limit.html"
    shown = {"row": _found(what, key), "may_operate": True, "said": said, "wrong": wrong or {}}
    return render(request, template, shown)


def _name(what: str, key: str) -> str:
    names = {"queue": "the whole queue", "account": f"account {key}", "kind": f"job type {key}", "batch": f"batch {key}"}
    return names.get(what, key)


def _at_first(what: str, key: str) -> str:
    """Return the name for the begin of a sentence; keys keep their letters."""
    name = "queue" if what == "queue" else _name(what, key)
    return f"Model {name}" if what == "model" else f"{name[0].upper()}{name[1:]}"


def _said(value: int | None) -> str:
    return "no limit" if value is None else str(value)
