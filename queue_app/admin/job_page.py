"""The page of one job for staff: all that is known of it, and a button for each verb that its state and their rights allow."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from queue_app import clock, lifecycle
from queue_app.admin import lookups, provider_data
from queue_app.insight import neighbours
from queue_app.models import (
    Asset,
    Attempt,
    AuditEntry,
    Batch,
    BulkAction,
    Job,
    LedgerTransaction,
    Outcome,
    ReviewItem,
    State,
    User,
)
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, TERMINAL_STATES
from queue_app.rules import numbers
from queue_app.ui import addresses, display, fragments
from queue_app.ui.job_facts import beside, facts
from queue_app.work import bulk
from queue_app.work.roles import Right

Verb = BulkAction.Verb
PAGE, FRAGMENT = "admin/queue_app/job/change_form.html", "admin/queue_app/job/_board.html"
AUDIT_SHOWN = 20


@dataclass(frozen=True)
class Button:
    """A verb that may be used now; it leads to its preview. ``css`` is the look of the theme's button."""

    verb: BulkAction.Verb
    words: str
    icon: str = ""
    css: str = ""


# in the order of the page: the main one last
_BUTTONS = (
    Button(Verb.CLEAR, "Clear…"),
    Button(Verb.REFUND, "Refund…", "ticket"),
    Button(Verb.PRIORITY, "Set priority…"),
    Button(Verb.FORCE_FAIL, "Force-fail…", css="is-danger"),
    Button(Verb.CANCEL, "Cancel…", css="is-danger"),
    Button(Verb.FRONT, "Move to front…", "front", "is-primary"),
    Button(Verb.RETRY, "Retry…", "retry", "is-primary"),
)


def view(admin: ModelAdmin, request: HttpRequest, job: Job) -> HttpResponse:  # type: ignore[type-arg]
    """The page; to htmx its changing parts, or 204."""
    assert isinstance(request.user, User)
    query = request.GET.get("_changelist_filters", "")  # as Django's lists hand it on
    shown = context(job, at=clock.now(), user=request.user) | {"list_query": query, "list_address": addresses.jobs(query)}
    return fragments.answer(request, PAGE, FRAGMENT, {**admin.admin_site.each_context(request), **shown, "opts": admin.opts})


def find(object_id: str) -> Job | None:
    """The job of this number, with all that its page reads of other rows; ``None`` for what is no job's number."""
    return Job.objects.select_related("owner__wallet", "batch", "model", "kind").filter(pk=numbers.of_row(object_id)).first()


def context(job: Job, *, at: datetime, user: User) -> dict[str, Any]:
    """What its owner sees, and what staff see besides, as far as ``user`` may."""
    shown = facts(job, at=at)
    attempts: list[Attempt] = [one["row"] for one in shown["attempts"]]
    review = ReviewItem.objects.filter(job=job, closed_at=None).order_by(F("decide_by").asc(nulls_last=True), "id").first()
    for one in shown["attempts"]:
        one |= _request(job, one["row"], at)
    return shown | {
        "facts": short_facts(job),
        "parameters": [f"{name.replace('_', ' ')} {_said(name, value)}" for name, value in sorted(job.parameters.items())],
        "buttons": buttons(job, shown["money"], user),
        "review": review,
        "sees_review": user.has_perm("queue_app.view_reviewitem") and review is not None,
        "decides": any(map(user.has_perm, (Right.OPERATE, Right.FORCE_FAIL))),
        "now": _now(job, attempts, at),
        "percent": round(100 * job.progress) if job.progress is not None else None,
        "price_of": _price(job),
        "deadline": display.when(job.deadline) if job.deadline else "",
        "queued": display.when(job.queued_at),
        "campaign": _campaign(job.batch),
        "neighbours": _neighbours(job, shown["position"]),
        "player": _player(shown["assets"]),
        "ledger": _ledger(job, at) if user.has_perm("queue_app.view_ledgertransaction") else None,
        "audit": AuditEntry.objects.filter(target_model="queue_app.job", target_pk=str(job.pk)).order_by("-id")[:AUDIT_SHOWN]
        if user.has_perm("queue_app.view_auditentry")
        else (),
        "call": _api_call(job),
        "provider_data": provider_data.of_attempts(job, attempts) if user.has_perm(Right.SEE_PROVIDER_DATA) else None,
    }


def short_facts(job: Job) -> SafeString:
    """The model, and what is made: “video, 8s, 16:9”."""
    told = [_said(name, job.parameters[name]) for name in ("duration", "aspect_ratio") if name in job.parameters]
    return display.chips([job.model_id, ", ".join([job.kind_id, *told])])


def buttons(job: Job, money: dict[str, Any], user: User) -> list[Button]:
    """What this user may do with the job as it stands, in the order of the page; ``money`` as `job_facts.money` gives it."""
    return [button for button in _BUTTONS if button.verb in legal(job, money) and bulk.may(user, button.verb)]


def legal(job: Job, money: dict[str, Any]) -> set[BulkAction.Verb]:
    """The verbs that would change something in the job's state, whoever asks."""
    asked = job.cancel_asked_at is not None and job.state != State.QUEUED
    can = {
        Verb.CANCEL: job.state in (State.QUEUED, State.SUBMITTING, State.UNKNOWN, State.RUNNING) and not asked,
        Verb.RETRY: State.QUEUED in lifecycle.MOVES[job.state] and job.state in TERMINAL_STATES,
        Verb.PRIORITY: job.state == State.QUEUED,
        Verb.FRONT: job.state == State.QUEUED,
        Verb.CLEAR: job.state in TERMINAL_STATES and job.archived_at is None,
        Verb.FORCE_FAIL: job.state in OPEN_STATES,
        Verb.REFUND: job.state == State.COMPLETED and money["captured"] > money["refunded"],
    }
    return {verb for verb, allowed in can.items() if allowed}


def _request(job: Job, attempt: Attempt, at: datetime) -> dict[str, Any]:
    """What was sent where and when, what came back, and what it cost."""
    answered = attempt.accepted_at - attempt.called_at if attempt.accepted_at and attempt.called_at else None
    said = [attempt.error_kind, f"counts toward the {job.kind.max_attempts} allowed" if attempt.spent else ""]
    if attempt.lookups:
        said.append(lookups.in_short(attempt))
    return {
        "endpoint": attempt.endpoint_id,
        "accepted": f"accepted after {display.span(answered.total_seconds())}" if answered is not None else "",
        "ended": display.clock_time(attempt.ended_at, at) if attempt.ended_at else "–",
        "said": ", ".join(filter(None, said)),
        "cost": _cost(job, attempt),
    }


def _cost(job: Job, attempt: Attempt) -> str:
    if attempt.outcome == Outcome.NOT_ACCEPTED or not attempt.called_at:
        return "$0.00"
    if attempt.outcome == Outcome.DELIVERED:
        return f"${job.usd_actual if job.usd_actual is not None else job.usd_estimate:.2f}"
    return f"up to ${job.usd_estimate:.2f}"


def _now(job: Job, attempts: list[Attempt], at: datetime) -> list[tuple[str, Any]]:
    """What goes on with a job in flight, and until when at the latest."""
    if job.state not in IN_FLIGHT_STATES or not attempts:
        return []
    attempt = attempts[-1]
    rows: list[tuple[str, Any]] = [("Provider", f"{attempt.account_id}, {attempt.endpoint_id}")]
    if attempt.called_at:
        rows.append(("Sent", display.clock_time(attempt.called_at, at)))
        if job.state in (State.RUNNING, State.CANCELLING):
            factor = 1 if job.state == State.RUNNING else 2
            ends = attempt.counts_from + timedelta(seconds=factor * lifecycle.timeout_seconds(job))
            rows.append(("Times out at" if factor == 1 else "Abandoned at", display.clock_time(ends, at)))
    if attempt.slot_until and job.state == State.UNKNOWN:
        rows.append(("Uses a slot until", display.clock_time(attempt.slot_until, at)))
    if job.next_check_at:
        rows.append(("Next check", display.clock_time(job.next_check_at, at)))
    if job.store_tries:
        rows.append(("Download tries", job.store_tries))
    return rows


def _price(job: Job) -> str:
    """“1 ticket × 8s” where that is how today's price list comes to the job's price."""
    price = job.model.pricing
    units, each = price.units(job.parameters), price.tickets_per_unit(job.parameters)
    if units < 2 or units * each != job.tickets:
        return ""
    return f"{each} ticket{'' if each == 1 else 's'} × {units}{'s' if price.unit == 'second' else ''}"


def _campaign(batch: Batch | None) -> dict[str, str] | None:
    """What an application above the queue keeps of the batch, linked to its part of the admin: the queue knows no campaign."""
    for relation in Batch._meta.related_objects if batch else ():
        if relation.one_to_one:
            try:
                row = getattr(batch, relation.get_accessor_name() or "")
                opts = row._meta
                url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
                return {"name": str(row), "kind": str(opts.verbose_name).capitalize(), "url": url}
            except (ObjectDoesNotExist, NoReverseMatch):
                continue
    return None


def _neighbours(job: Job, position: int | None) -> list[dict[str, Any]]:
    if position is None:
        return []
    around = [(near.offset, near.job) for near in neighbours.of(job)]
    return [
        {"place": position + offset, "job": one, "level": display.level(one.priority), "is_this": one.pk == job.pk}
        for offset, one in sorted([*around, (0, job)], key=lambda pair: pair[0])
    ]


def _player(assets: list[Asset]) -> dict[str, Any] | None:
    """The newest file that can be shown, and what to show of a video before it plays."""
    kept = [asset for asset in assets if asset.expired_at is None]
    main = next((one for one in kept if one.kind in (Asset.Kind.VIDEO, Asset.Kind.IMAGE, Asset.Kind.PAGE)), None)
    if main is None:
        return None
    poster = next((one for one in kept if one.kind == Asset.Kind.THUMBNAIL and one.version == main.version), None)
    return {"main": main, "poster": poster, "more": beside(main, kept)}


def _ledger(job: Job, at: datetime) -> list[dict[str, Any]]:
    rows = LedgerTransaction.objects.filter(reservation__job=job).prefetch_related("entries").order_by("-id")
    return [
        {
            "row": row,
            "at": display.clock_time(row.at, at),
            "tickets": max(entry.amount for entry in row.entries.all()),
        }
        for row in rows
    ]


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "images":
        return display.images_sent(value)
    return f"{value}s" if name == "duration" else str(value)


def _api_call(job: Job) -> str:
    """The body that would ask for the same again."""
    body: dict[str, Any] = {"model": job.model_id, "kind": job.kind_id, "prompt": job.prompt, "parameters": job.parameters}
    if job.priority:
        body["priority"] = job.priority
    if job.metadata:
        body["metadata"] = provider_data.masked(job.metadata)
    return display.as_json(body)
