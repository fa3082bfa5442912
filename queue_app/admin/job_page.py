"""The page of one job for staff: all facts, and a button for each verb that its state and their rights allow."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import site
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse

from queue_app import clock, lifecycle
from queue_app.admin import lookups, provider_data
from queue_app.insight import pauses, positions
from queue_app.models import (
    Asset,
    Attempt,
    AuditEntry,
    Batch,
    Job,
    LedgerTransaction,
    Outcome,
    ReviewItem,
    State,
    User,
)
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.ui import addresses, display, fragments, pages
from queue_app.ui.access import staff
from queue_app.ui.holds import Hold, Mended, Remedy
from queue_app.ui.job_facts import beside, excerpt, facts, title
from queue_app.work.bulk.base import Button
from queue_app.work.bulk.verbs import VERBS
from queue_app.work.roles import Right

PAGE, FRAGMENT = "admin/queue_app/job/change_form.html", "admin/queue_app/job/_board.html"
AUDIT_SHOWN = 20


@pages.of_row(Job)
def page(request: HttpRequest, job: Job) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    query = request.GET.get("_changelist_filters", "")  # as Django's lists pass it on
    shown = context(job, at=clock.now(), user=staff(request)) | {"list_query": query, "list_address": addresses.jobs(query)}
    shown["kept"] = f"?{urlencode({'_changelist_filters': filters})}" if (filters := addresses.filters(query)) else ""
    return fragments.answer(request, PAGE, FRAGMENT, {**site.each_context(request), **shown, "opts": Job._meta})


def find(object_id: str) -> Job | None:
    """Return the job with this number and the related rows that its page shows, or ``None``."""
    return Job.objects.select_related("owner__wallet", "batch", "model", "kind").filter(pk=numbers.of_row(object_id)).first()


def context(job: Job, *, at: datetime, user: User) -> dict[str, Any]:
    """Return what the owner sees, and what staff see beyond that as far as ``user`` may."""
    campaign = _campaign(job.batch)
    shown = facts(job, at=at, group=campaign["kind"].lower() if campaign else "batch")
    mended = [_mended(hold, user) for hold in shown["limits"]]
    attempts: list[Attempt] = [one["row"] for one in shown["attempts"]]
    review = ReviewItem.objects.filter(job=job, closed_at=None).order_by(F("decide_by").asc(nulls_last=True), "id").first()
    for one in shown["attempts"]:
        one |= _request(job, one["row"], at)
    return shown | {
        "at": at,
        "facts": short_facts(job),
        "waits": display.age(job.queued_at, at) if job.state == State.QUEUED else "",
        "holds": mended,
        "way_out": next((one.remedy for one in mended if one.remedy), None),
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
        "campaign": campaign,
        "neighbours": _neighbours(job, shown["position"]),
        "player": _player(shown["assets"]),
        "ledger": _ledger(job, at) if user.has_perm("queue_app.view_ledgertransaction") else None,
        "audit": AuditEntry.objects.filter(target_model="queue_app.job", target_pk=str(job.pk)).order_by("-id")[:AUDIT_SHOWN]
        if user.has_perm("queue_app.view_auditentry")
        else (),
        "call": _api_call(job),
        "provider_data": provider_data.of_attempts(job, attempts) if user.has_perm(Right.SEE_PROVIDER_DATA) else None,
    }


def short_facts(job: Job) -> str:
    """Return model and result in short: “sora-2, video, 8s, 16:9”."""
    told = [_said(name, job.parameters[name]) for name in ("duration", "aspect_ratio") if name in job.parameters]
    return ", ".join([job.model_id, job.kind_id, *told])


def buttons(job: Job, money: dict[str, Any], user: User) -> list[Button]:
    """Return the verbs that would change the job and that this user may use; ``money`` is `job_facts.money`."""
    refundable = money["captured"] - money["refunded"]
    legal = [verb for verb in VERBS.values() if verb.is_legal(job, refundable=refundable) and verb.may(user)]
    return [verb.page_button() for verb in sorted(legal, key=lambda verb: verb.on_page.place)]


def _mended(hold: Hold, user: User) -> Mended:
    """Return a limit with the page where it is changed and the button that ends it, each for who may use it."""
    url, change = addresses.of_limit(hold.key, user), addresses.of_limit(hold.key, user, to_change=True)
    return Mended(hold, url, change and url, _remedy(hold) if user.has_perm(Right.OPERATE) else None)


def _remedy(hold: Hold) -> Remedy | None:
    if hold.is_pause and hold.key[0] in pauses.ROWS:
        return Remedy(reverse("admin:resume"), hold.form, "Resume", f"Resume {hold.called}")
    if hold.is_cooldown:
        return Remedy(reverse("admin:end_cooldown"), hold.form, "End cooldown", f"End cooldown of {hold.called}")
    return None


def _request(job: Job, attempt: Attempt, at: datetime) -> dict[str, Any]:
    """Return where and when the attempt was sent, what the provider answered, and its cost."""
    answered = attempt.accepted_at - attempt.called_at if attempt.accepted_at and attempt.called_at else None
    said = [attempt.error_kind, f"counts toward the {job.retries.attempts} allowed" if attempt.spent else ""]
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
    """Return the current step of a job in flight, with its latest end."""
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
    """Return “1 ticket × 8s” if today's price list explains the job's price so; else an empty text."""
    price = job.model.pricing
    units, each = price.units(job.parameters), price.tickets_per_unit(job.parameters)
    if units < 2 or units * each != job.tickets:
        return ""
    return f"{counted(each, 'ticket')} × {units}{'s' if price.unit == 'second' else ''}"


def _campaign(batch: Batch | None) -> dict[str, str] | None:
    """Return the row that an application above the queue keeps of the batch, with its address: the queue knows no campaign."""
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
    around = [(near.offset, near.job) for near in positions.neighbours(job)]
    return [
        {
            "place": position + offset,
            "job": one,
            "name": title(one),
            "level": display.level(one.priority),
            "is_this": one.pk == job.pk,
        }
        for offset, one in sorted([*around, (0, job)], key=lambda pair: pair[0])
    ]


def _player(assets: list[Asset]) -> dict[str, Any] | None:
    """Return the newest file that can be shown, and the poster of a video or the beginning of a text."""
    kept = [asset for asset in assets if asset.expired_at is None]
    main = next((one for one in kept if one.kind in Asset.MAIN_KINDS), None)
    if main is None:
        return None
    poster = next((one for one in kept if one.kind == Asset.Kind.THUMBNAIL and one.version == main.version), None)
    return {"main": main, "poster": poster, "more": beside(main, kept), "text": excerpt(main)}


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
    """Return the body of the API call that would request the same job."""
    body: dict[str, Any] = {"model": job.model_id, "kind": job.kind_id, "prompt": job.prompt, "parameters": job.parameters}
    if job.base_priority:
        body["priority"] = job.base_priority
    if job.metadata:
        body["metadata"] = provider_data.masked(job.metadata)
    return display.as_json(body)
