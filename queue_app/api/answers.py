"""Answers about jobs and files, built from rows in a fixed number of queries for any number of jobs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import PurePosixPath
from typing import Any, TypeAlias, TypedDict, cast
from uuid import UUID

from django.db.models import QuerySet
from django_stubs_ext import WithAnnotations
from rest_framework.request import Request
from rest_framework.reverse import reverse

from queue_app import clock
from queue_app.api import rows as rows_of
from queue_app.api.authentication import caller
from queue_app.api.serializers.base import render
from queue_app.api.serializers.jobs import JobOut
from queue_app.insight import positions, remedies, waiting
from queue_app.insight import stages as staging
from queue_app.insight.stages import Kept
from queue_app.insight.waiting import Outlook
from queue_app.models import Asset, Attempt, Batch, Job, JobEvent, State
from queue_app.models.job import OPEN_STATES, STATUS_OF_STATE, JobQuerySet
from queue_app.rules import numbers
from queue_app.rules.limits import Blocker
from queue_app.rules.words import without_query
from queue_app.ui import addresses
from queue_app.work import accounts

BATCH_VERBS = ("cancel", "pause", "resume", "retry-failed")
STOPPABLE = frozenset(OPEN_STATES) - {State.STORING}
# what a job waits for → the call that shows it to its owner; the others have none, or only staff may see them
_LOOKED_AT = {"batch": "api:batch-detail", "model": "api:model-detail", "jobs_ahead": "api:model-detail"}


class _Read(TypedDict):
    read_at: datetime


ReadJob: TypeAlias = "WithAnnotations[Job, _Read]"


def visible(rows: JobQuerySet) -> "QuerySet[ReadJob]":
    """Return the rows with their owner, model and type, and when they were read: what answers need beside their own columns."""
    whole = rows.select_related("owner", "model", "kind").defer("model__parameters", "model__price")
    return cast("QuerySet[ReadJob]", whole.annotate(read_at=clock.ReadAt()))


def jobs(rows: Sequence[ReadJob], request: Request) -> list[dict[str, Any]]:
    """Return jobs in full, as `JobOut`. The rows are `visible`."""
    return _full(rows, max(row.read_at for row in rows), request) if rows else []


def job(row: Job, at: datetime, request: Request) -> dict[str, Any]:
    """Return one job in full. Its owner is loaded; ``at`` is when it was read."""
    return _full([row], at, request)[0]


def job_of(pk: int, request: Request) -> dict[str, Any]:
    """Return a job in full that has just been changed."""
    row = visible(Job.objects.all()).get(pk=pk)
    return job(row, row.read_at, request)


def lines(rows: Sequence[Job], request: Request) -> list[dict[str, Any]]:
    """Return the facts of `JobLine` for each job. Owners are loaded."""
    places = positions.of_jobs(row.pk for row in rows if row.state == State.QUEUED)
    return [_row(row) | {"position": places.get(row.pk), "url": address(request, "job-detail", row.pk)} for row in rows]


def callback_url(row: Job | Batch, request: Request) -> str | None:
    """Return the address that a job or batch calls at its end, if any; without its query unless the caller owns it."""
    is_own = row.owner_id == caller(request).pk
    return (row.callback_url if is_own else without_query(row.callback_url)) or None


def cost(row: Job) -> dict[str, Any]:
    """Return the price of a job, in tickets and US dollars."""
    usd = row.usd_estimate if row.usd_actual is None else row.usd_actual
    return {"tickets": row.tickets, "usd": numbers.dollars(usd), "usd_is_estimate": row.usd_actual is None}


def _full(rows: Sequence[Job], at: datetime, request: Request) -> list[dict[str, Any]]:
    claimed = [row for row in rows if row.attempt_number]  # before its first claim a job has no attempt, no file, no charge
    tries, events, files = rows_of.attempts(claimed), rows_of.events(claimed), rows_of.files(claimed)
    outlook, money = waiting.outlook(rows, at=at, share=True), rows_of.tickets(claimed)
    beyond, kept = _beyond_stopping(claimed), staging.kept_of(claimed)
    facts = (
        _job(row, outlook, money.get(row.pk) or _untouched(row), beyond, request)
        | _stages(row, events[row.pk], kept[row.pk], outlook.at)
        | {"attempts": tries[row.pk], **_remedy(row, tries[row.pk]), **_results(files[row.pk], request)}
        for row in rows
    )
    return [render(JobOut, one) for one in facts]


def _beyond_stopping(rows: Sequence[Job]) -> set[int]:
    """Return the running jobs whose provider can't cancel. The studio can, so previews are not among them."""
    made = [row.pk for row in rows if row.state in accounts.BEING_MADE and not row.preview]
    return set(accounts.beyond_stopping(Job.objects.filter(pk__in=made)).values_list("pk", flat=True)) if made else set()


def _untouched(row: Job) -> dict[str, int]:
    """Return the tickets of a job that was never claimed: its price is reserved while it is queued (I5)."""
    return {"reserved": row.tickets if row.is_open else 0, "captured": 0, "refunded": 0}


def _row(row: Job) -> dict[str, Any]:
    return {
        "id": row.pk,
        "status": STATUS_OF_STATE[State(row.state)],
        "state": row.state,
        "kind": row.kind_id,
        "model": row.model_id,
        "prompt": row.prompt,
        "priority": row.base_priority,
        "effective_priority": row.priority,
        "progress": row.progress,
        "preview": row.preview,
        "owner": row.owner.username,
        "batch": row.batch_id,
        "queued_at": row.queued_at,
        "started_at": row.started_at,
    }


def _stages(row: Job, events: list[JobEvent], kept: Kept, at: datetime) -> dict[str, Any]:
    stages = staging.stages(row, events, at=at, kept=kept)
    return {"stage": staging.current(stages), "stages": stages, "checks": kept.checks, "verdict": kept.verdict}


def _job(row: Job, outlook: Outlook, money: dict[str, int], beyond: set[int], request: Request) -> dict[str, Any]:
    return {
        **_row(row),
        "done": not row.is_open,
        "parameters": row.parameters,
        "metadata": row.metadata,
        "priority_reasons": row.priority_reasons,
        "raised": row.raised,
        "score": row.score,
        "deadline": row.deadline,
        "not_before": row.client_not_before,
        "callback_url": callback_url(row, request),
        "position": outlook.position(row),
        "starts_in": outlook.starts_in(row),
        "eta": outlook.eta(row),
        "waiting_on": [_blocker(one, row, request) for one in outlook.waiting_on(row)],
        "waiting": outlook.sentence(row),
        "tickets": money,
        "cost": cost(row),
        "error": {"code": row.error_code, "message": row.error_message} if row.error_code else None,
        "attempts_allowed": row.retries.attempts,
        "next_attempt_at": row.next_attempt_at,
        "cancel_asked": row.cancel_asked_at is not None,
        "can_be_stopped": row.state in STOPPABLE and row.pk not in beyond,
        "completed_at": row.ended_at if row.state == State.COMPLETED else None,
        "ended_at": row.ended_at,
        "seq": row.event_seq,
        "links": {
            "self": address(request, "job-detail", row.pk),
            "status": address(request, "job-status", row.pk),
            "events": address(request, "job-events", row.pk),
            "cancel": address(request, "job-cancel", row.pk),
            "move": address(request, "job-move", row.pk),
            "retry": address(request, "job-retry", row.pk),
            "assets": address(request, "job-assets", row.pk),
        },
    }


def _remedy(row: Job, tries: Sequence[Attempt]) -> dict[str, Any]:
    if not row.error_code:
        return {"remedy": "", "retry_may_help": False}
    why = (row.error_code, tries[-1].error_kind if tries else "")
    return {"remedy": remedies.of(*why), "retry_may_help": remedies.is_retried(*why)}


def _blocker(found: Blocker, row: Job, request: Request) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in ("limit", "key", "used", "max", "until", "reason")}
    return told | {"link": _link(found, row, request)}


def _link(found: Blocker, row: Job, request: Request) -> str | None:
    """Return where the caller can look at what a job waits for: staff on its page in the admin, others by a call of the API."""
    if found.limit == "budget":
        return _link_to_budget(found, row, request)
    limit, key = ("batch", str(row.batch_id or "")) if found.limit == "held" else found.names
    if page := addresses.of_limit((limit, key), caller(request)):
        return request.build_absolute_uri(page)
    route = _LOOKED_AT.get(limit)
    return reverse(route, [key], request=request) if route and key else None


def _link_to_budget(found: Blocker, row: Job, request: Request) -> str | None:
    """Return where the caller may change a ticket budget: staff in the admin, owners by the batch or the key."""
    user = caller(request)
    if user.is_staff and user.has_perm("queue_app.change_ticketbudget"):
        scope = "batch" if found.key == "campaign" else found.key
        return request.build_absolute_uri(f"{reverse('admin:queue_app_ticketbudget_changelist')}?{scope}__id__exact={found.of}")
    route = {"campaign": "api:batch-detail", "key": "api:key-detail"}.get(found.key)
    return reverse(route, [found.of], request=request) if route and row.owner_id == user.pk else None


def _results(files: list[Asset], request: Request) -> dict[str, Any]:
    told = assets(files, request)
    mains = [file["url"] for file in told if file["kind"] in Asset.MAIN_KINDS and file["number"] == 1]
    return {"assets": told, "result_url": mains[0] if mains else None}


def assets(files: Iterable[Asset], request: Request) -> list[dict[str, Any]]:
    """Return a job's files as `AssetOut`: what was delivered last first, and of that what the job was generated for."""
    return [asset(file, request) for file in sorted(files, key=lambda file: (-file.version, file.kind not in Asset.MAIN_KINDS))]


def asset(file: Asset, request: Request) -> dict[str, Any]:
    """Return a file, as `AssetOut`."""
    address = url_of_file(file.pk, file.name, request) if file.expired_at is None else None
    names = ("kind", "version", "number", "content_type", "size", "sha256", "width", "height", "seconds", "preview")
    return {"id": file.pk, "url": address, **{name: getattr(file, name) for name in names}}


def batch_links(pk: int, request: Request) -> dict[str, str]:
    """Return the addresses of a batch and of what follows from it, as `BatchLinksOut`."""
    verbs = {verb.replace("-", "_"): address(request, f"batch-{verb}", pk) for verb in BATCH_VERBS}
    jobs = request.build_absolute_uri(f"{reverse('api:job-list')}?batch={pk}")
    return {"self": address(request, "batch-detail", pk), "jobs": jobs, **verbs}


def url_of_file(pk: UUID, name: str, request: Request) -> str:
    return reverse("asset", [pk, PurePosixPath(name).name], request=request)


def address(request: Request, name: str, pk: int) -> str:
    before, after = _around_number(name)
    return request.build_absolute_uri(f"{before}/{pk}/{after}")


@cache
def _around_number(name: str) -> list[str]:
    """Return the parts of an address around its row's number. A list of jobs has hundreds of addresses, so this is cached."""
    return reverse(f"api:{name}", [0]).split("/0/")
