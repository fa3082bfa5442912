"""The light answer about a job, for clients that poll: at most four statements, the key's among them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpResponse
from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from queue_app import clock
from queue_app.api import answers
from queue_app.api.authentication import caller
from queue_app.api.serializers.base import render
from queue_app.api.serializers.jobs import StatusOut
from queue_app.api.serializers.requests import BIGGEST_ID
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import positions
from queue_app.models import Asset, Job
from queue_app.statements import Statement, read_some

KNOWN = "If-None-Match"
SOONEST, LATEST = 1, 60  # seconds until it is worth asking again
UNFORESEEN = 30  # the same without an estimate
FORECAST = ("starts_in", "eta")  # what changes by itself
_COLUMNS = (
    *("id", "owner_id", "model_id", "kind_id", "batch_id", "state", "event_seq", "attempt_number", "progress", "preview"),
    *("priority", "order_key", "held", "not_before", "error_code", "error_message", "usd_estimate", "queued_at", "raised"),
)
_STATUS = Statement(f"""
    SELECT {clock.SQL}, result.id, result.name, {", ".join(f"job.{column}" for column in _COLUMNS)}
      FROM queue_app_job job
      LEFT JOIN LATERAL (
        SELECT file.id, CASE WHEN file.expired_at IS NULL THEN file.name END AS name FROM queue_app_asset file
         WHERE file.job_id = job.id AND file.number = 1 AND file.kind IN ({", ".join(f"'{kind}'" for kind in Asset.MAIN_KINDS)})
         ORDER BY file.version DESC, file.created_at DESC, file.kind DESC LIMIT 1
      ) result ON job.attempt_number > 0
     WHERE job.id = %(id)s::bigint
""")  # noqa: S608 - constants


def answer(pk: int, request: Request) -> HttpResponse:
    """
    Return the job as `StatusOut`, or 304 if nothing but the forecast differs from what the caller knows.

    :raises Http404: there is none that the caller may read (I35).
    """
    facts = _facts(pk, request)
    lasting = {name: value for name, value in facts.items() if name not in FORECAST}
    etag = f'W/"{hashlib.sha256(JSONRenderer().render(lasting)).hexdigest()[:20]}"'
    known = parse_etags(request.headers.get(KNOWN, ""))
    if {etag, etag.removeprefix("W/"), "*"} & {*known}:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(JSONRenderer().render(facts), content_type="application/json")
    response["ETag"], response["Cache-Control"] = etag, "private, no-cache"
    if not facts["done"]:
        response["Retry-After"] = str(_worth_asking_in(facts))
    return response


def _facts(pk: int, request: Request) -> dict[str, Any]:
    user = caller(request)
    for at, file, name, *values in _STATUS.run(id=pk) if pk <= BIGGEST_ID else ():
        job = read_some(Job, dict(zip(_COLUMNS, values, strict=True)))
        if not (user.is_staff or job.owner_id == user.pk):
            break
        eta: Estimate | None = estimates.for_job(job, at) if job.is_open else None
        facts = {
            "id": pk,
            "status": job.status,
            "state": job.state,
            "position": positions.of_job(job),
            "progress": job.progress,
            "starts_in": estimates.starts_of_jobs([job], at)[pk],
            "eta": eta,
            "result_url": answers.url_of_file(file, name, request) if name else None,
            "error": {"code": job.error_code, "message": job.error_message} if job.error_code else None,
            "done": not job.is_open,
            "seq": job.event_seq,
        }
        return render(StatusOut, facts)
    raise Http404


def _worth_asking_in(facts: Mapping[str, Any]) -> int:
    """Return the seconds until the job probably starts or, once it has, ends."""
    forecast = facts["starts_in"] or facts["eta"] or {}
    seconds = forecast.get("p50_seconds")
    return UNFORESEEN if seconds is None else min(max(round(seconds), SOONEST), LATEST)
