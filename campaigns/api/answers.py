"""Answers about campaigns and combinations, built from rows in a fixed number of queries for any number of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.urls import reverse as page_of
from rest_framework.request import Request
from rest_framework.reverse import reverse

from campaigns import progress, releases, review, stages, standing
from campaigns.api.serializers import CampaignLine, CampaignMadeOut, CampaignOut, CampaignPriceOut, CombinationOut, DimensionOut
from campaigns.launch import blocked_words
from campaigns.models import Campaign, Combination, Dimension
from campaigns.plan import Plan
from campaigns.standing import BLOCKED, Counts
from queue_app import clock, tickets
from queue_app.api import answers
from queue_app.api.serializers.base import render
from queue_app.forecast import estimates
from queue_app.insight import batches
from queue_app.models import Asset, Job, User
from queue_app.rules import numbers
from queue_app.work import ticket_budgets


def campaign(row: Campaign, request: Request, *, at: datetime) -> dict[str, Any]:
    """Return a campaign in full, as `CampaignOut`. Its batch with owner, its brand and model are loaded."""
    seq, _ = batches.heard(row.pk)  # first, so that no change it counts is missing in the rest
    money, reviews = batches.money(row.batch), review.tally(review.results(row))
    (line,) = _lines([row], request, at=at)
    facts = line | {
        "blocked": row.combinations.filter(blocked=True).count(),
        **{name: getattr(row, name) for name in ("product_category", "big_idea", "visual_messaging", "audio_messaging")},
        **{name: getattr(row, name) for name in ("dimensions", "exclude", "parameters", "priority")},
        "max_concurrent": row.batch.max_concurrent,
        "budget_tickets": ticket_budgets.tickets_of(row.batch),
        "paused_reason": row.batch.paused_reason,
        "paused_until": row.batch.paused_until,
        "callback_url": answers.callback_url(row.batch, request),
        "start": row.start,
        "still_model": row.still_model_id,
        "on_hold": releases.on_hold(releases.waiting(row)),
        "trips": row.trips.order_by("id"),
        "cost": {
            "tickets": money.reserved + money.captured,
            "reserved": money.reserved,
            "captured": money.captured,
            "refunded": money.refunded,
            "usd": numbers.dollars(money.usd_spent + money.usd_to_come),
        },
        "reviews": reviews,
        "seq": seq,
        "links": links(row.pk, request),
    }
    return render(CampaignOut, facts)


def lines(rows: Sequence[Campaign], request: Request, *, at: datetime) -> list[dict[str, Any]]:
    """Return campaigns in short, as `CampaignLine`."""
    return [render(CampaignLine, line) for line in _lines(rows, request, at=at)]


def made(row: Campaign, plan: Plan, request: Request) -> dict[str, Any]:
    """Return the answer to a launch without the time it will take: the part that only its transaction knows."""
    where = links(row.pk, request)
    return {"id": row.pk, "name": row.name, "url": where["self"], "links": where, **_planned(plan, reserved=plan.tickets)}


def with_forecast(made: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a launch."""
    return render(CampaignMadeOut, made | {"eta": estimates.for_batch(made["id"], clock.now())})


def priced(plan: Plan, owner: User, *, at: datetime) -> dict[str, Any]:
    """Return the answer to a dry run."""
    available = tickets.balances(owner)["available"]
    now = plan.still.model if plan.still else plan.model
    facts = {
        "dry_run": True,
        **_planned(plan, reserved=0),
        "eta": estimates.for_new(
            now.key, plan.stills or len(plan.first), plan.priority, owner, plan.brief.max_concurrent, now.medium, at=at
        ),
        "parameters": plan.parameters,
        "priority": plan.priority,
        "wallet": {"available": available, "after": available - plan.tickets},
        "affordable": plan.tickets <= available,
        "fits": min(len(plan.to_buy), available // plan.tickets_each),
    }
    return render(CampaignPriceOut, facts)


def combinations(rows: Sequence[Combination], request: Request) -> list[dict[str, Any]]:
    """Return combinations, as `CombinationOut`. Their jobs and stills are loaded."""
    files: dict[int, list[Asset]] = defaultdict(list)
    listed = [pk for row in rows for pk in (row.job_id, row.still_id) if pk]
    for file in Asset.objects.filter(job__in=listed).order_by("version", "number", "created_at", "kind"):
        files[file.job_id].append(file)
    found = Combination.objects.filter(pk__in=[row.pk for row in rows]).order_by()
    versions = dict(found.annotate(made=Count("versions")).values_list("pk", "made"))
    facts = (_combination(row, versions[row.pk], files, request) for row in rows)
    return [render(CombinationOut, one) for one in facts]


def dimension(row: Dimension) -> dict[str, Any]:
    """Return a dimension with its values, as `DimensionOut`. They are loaded."""
    return render(DimensionOut, {"key": row.key, "label": row.label, "values": row.values.all()})


def links(pk: int, request: Request) -> dict[str, str]:
    """Return the addresses of a campaign and of what follows from it, as `CampaignLinksOut`."""
    return {
        "self": address(request, "campaign-detail", pk),
        "jobs": answers.batch_links(pk, request)["jobs"],
        "combinations": address(request, "campaign-combinations", pk),
        **{
            verb.replace("-", "_"): address(request, f"campaign-{verb}", pk) for verb in (*answers.BATCH_VERBS, "release", "drop")
        },
        "page": request.build_absolute_uri(page_of("campaigns:page", args=[pk])),
    }


def address(request: Request, name: str, pk: int) -> str:
    return reverse(f"campaigns-api:{name}", [pk], request=request)


def _lines(rows: Sequence[Campaign], request: Request, *, at: datetime) -> list[dict[str, Any]]:
    counts, left = standing.of_campaigns(rows, at=at), progress.left_of(rows, at=at)
    starts = estimates.starts_of_batches((row.pk for row in rows if counts[row.pk].queued), at)
    times = ({"starts_in": starts.get(row.pk), "eta": left.get(row.pk)} for row in rows)
    return [_line(row, counts[row.pk], request) | time for row, time in zip(rows, times, strict=True)]


def _line(row: Campaign, counts: Counts, request: Request) -> dict[str, Any]:
    batch = row.batch
    return {
        "id": row.pk,
        "name": row.name,
        "brand": row.brand.name,
        "owner": batch.owner.username,
        "model": row.model_id,
        "status": counts.status,
        "total": counts.total,
        **counts.by_status(),
        "done": not counts.open,
        "paused": batch.paused,
        "created_at": row.created_at,
        "ended_at": batch.ended_at,
        "url": address(request, "campaign-detail", row.pk),
    }


def _planned(plan: Plan, *, reserved: int) -> dict[str, Any]:
    return {
        "requested": len(plan.cells),
        "accepted": len(plan.to_buy),
        "on_hold": plan.on_hold,
        "stills": plan.stills,
        "rejected": [{"combination": one.cell.values, "reason": blocked_words(one.verdict)} for one in plan.blocked],
        "cost": {
            "tickets": plan.tickets,
            "reserved": reserved,
            "captured": 0,
            "refunded": 0,
            "usd": numbers.dollars(plan.usd),
        },
    }


def _combination(row: Combination, versions: int, files: Mapping[int, list[Asset]], request: Request) -> dict[str, Any]:
    job, still = row.job, row.still
    return {
        "id": row.pk,
        **{name: getattr(row, name) for name in ("index", "values", "prompt", "compliance", "review", "note", "reviewed_at")},
        "cost": answers.cost(job) if job else None,
        "status": job.status if job else BLOCKED,
        "job": row.job_id,
        "held_for": stages.held_for(job.held_for, still.held_for if still else "") if job else "",
        "still": still and {"job": still.pk, "status": still.status, "error": _error(still), **_files(still, files, request)},
        "versions": versions,
        "error": _error(job),
        **_files(job, files, request),
        "url": address(request, "combination-detail", row.pk),
    }


def _error(job: Job | None) -> dict[str, str] | None:
    return {"code": job.error_code, "message": job.error_message} if job and job.error_code else None


def _files(job: Job | None, files: Mapping[int, list[Asset]], request: Request) -> dict[str, Any]:
    return {"assets": answers.assets(files.get(job.pk, []) if job else [], request)}
