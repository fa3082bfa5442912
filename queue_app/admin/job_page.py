"""What the page of one job shows, as plain values for its template."""

from datetime import datetime
from typing import Any

from django.db.models import Sum

from queue_app.admin import display
from queue_app.insight import stages, waiting
from queue_app.models import Job, LedgerEntry, LedgerTransaction, Reservation, State

STAGE_CLASS = {"done": "done", "now": "now", "wait": "todo", "bad": "bad"}  # as the stepper of the theme names them


def context(job: Job, *, at: datetime) -> dict[str, Any]:
    """Why it waits, its stages, attempts, money and history."""
    events = list(job.events.order_by("seq"))
    looked = waiting.outlook([job], at=at)
    eta = looked.eta(job)
    return {
        "job": job,
        "title": f"Job {display.number(job.pk)}",
        "badge": display.badge(job.state),
        "level": display.level(job.priority),
        "facts": display.chips([job.model_id, job.kind_id, *display.parameters(job)]),
        "position": looked.position(job),
        "sentence": looked.sentence(job),
        "blockers": [
            {
                "limit": one.limit.replace("_", " "),
                "key": one.key,
                "used": one.used,
                "max": one.max,
                "until": one.until,
                "why": one.reason,
            }
            for one in looked.waiting_on(job)
        ],
        "p50": display.duration(eta.p50_seconds) if eta and eta.p50_seconds is not None else "",
        "p90": display.duration(eta.p90_seconds) if eta and eta.p90_seconds is not None else "",
        "basis": eta.basis if eta else "",
        "stages": [
            {
                "name": stage.name.capitalize(),
                "class": STAGE_CLASS[stage.status],
                "time": display.duration(stage.seconds) if stage.seconds is not None else "",
            }
            for stage in stages.stages(job, events, at=at)
        ],
        "attempts": job.attempts.select_related("account").order_by("number"),
        "assets": job.assets.order_by("-version", "kind"),
        "money": _money(job),
        "events": [_event(event) for event in reversed(events)],
        "may_cancel": job.is_open and job.state not in (State.STORING, State.CANCELLING),
        "may_retry": job.state in (State.FAILED, State.CANCELLED),
        "age": display.age(job.queued_at, at),
    }


def _money(job: Job) -> dict[str, Any]:
    held = dict(Reservation.objects.filter(job=job).order_by().values_list("state").annotate(Sum("amount")))
    refunds = LedgerTransaction.objects.filter(reservation__job=job, kind=LedgerTransaction.Kind.REFUND)
    refunded = LedgerEntry.objects.filter(transaction__in=refunds, side=LedgerEntry.Side.AVAILABLE).aggregate(sum=Sum("amount"))[
        "sum"
    ]
    return {
        "price": job.tickets,
        "reserved": held.get(Reservation.State.HELD, 0),
        "captured": held.get(Reservation.State.CAPTURED, 0),
        "released": held.get(Reservation.State.RELEASED, 0),
        "refunded": refunded or 0,
        "usd": job.usd_actual if job.usd_actual is not None else job.usd_estimate,
        "usd_is": "told by the provider" if job.usd_actual is not None else "estimate",
    }


def _event(event: Any) -> dict[str, Any]:
    is_note = event.from_state == event.to_state
    limits = event.data.get("limits") or {}
    evidence = ", ".join(f"{name} {used} of {most}" for name, (used, most) in limits.items())
    return {
        "at": display.when(event.at),
        "state": event.to_state,
        "what": "Note" if is_note else State(event.to_state).label.capitalize(),
        "detail": " · ".join(
            filter(None, [f"by {event.actor}", event.reason, evidence, event.attempt and f"attempt {event.attempt}"])
        ),
    }
