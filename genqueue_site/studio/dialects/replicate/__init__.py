"""
Replicate's predictions under ``/v1/predictions`` and ``/v1/models/{owner}/{name}/predictions``.

Differences from the vendor: no token is needed, and a webhook may use http. Files in the input are accepted but not drawn.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from standardwebhooks import Webhook

from genqueue_site.studio.dialects.replicate.answer import NAME, is_removed, prediction, status_of
from genqueue_site.studio.dialects.replicate.models import MODELS, version_of
from genqueue_site.studio.dialects.replicate.page import page_of
from genqueue_site.studio.dialects.replicate.request import order_of, slug_in, wait_for_end
from genqueue_site.studio.floor import Floor, Full
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.reading import file_of, found, iso
from genqueue_site.studio.wire import Call, Dialect, Hook, Moment, Refused, Request, Response, fields_of, json_response

TITLES = {
    401: ("Unauthenticated", "You did not pass a valid authentication token"),
    402: (
        "Insufficient credit",
        "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase credit.",
    ),
    404: ("Not found", "The requested resource could not be found."),
}


def create(floor: Floor, request: Request) -> Response:
    """Accept a prediction; wait for its end if the client asks for that."""
    order = order_of(floor, request, fields_of(request))
    try:
        job = floor.accept(order)
    except Full as error:
        raise Refused(429, str(error), retry_after=error.retry_after) from error
    is_over = wait_for_end(floor, job, request)
    return json_response(prediction(floor, job), status=201 if is_over else 202)


def retrieve(floor: Floor, request: Request) -> Response:
    """Return the status of a prediction."""
    return json_response(prediction(floor, _find(floor, request.target)))


def cancel(floor: Floor, request: Request) -> Response:
    """Cancel a prediction; one that has ended stays as it is."""
    job = _find(floor, request.target)
    floor.cancel(job)
    return json_response(prediction(floor, job))


def listing(floor: Floor, request: Request) -> Response:
    """List predictions, newest first."""
    return json_response(page_of(floor, request))


def content(floor: Floor, request: Request) -> Response:
    """Return a file of a succeeded prediction; it is deleted after an hour."""
    number, _, name = request.target.partition("/")
    job = _find(floor, number)
    if status_of(job) != "succeeded" or job.doom == "dead_asset" or is_removed(job):
        raise _not_found()
    return file_of(floor, job, name, missing=_not_found())


def model(floor: Floor, request: Request) -> Response:
    """Describe a model, with the schema of its input."""
    slug = request.target
    if slug not in MODELS:
        raise _not_found()
    owner, _, name = slug.partition("/")
    version = {
        "id": version_of(slug),
        "created_at": iso(0),
        "cog_version": "0.1.0",
        "openapi_schema": MODELS[slug].schema(),
    }
    return json_response(
        {
            "url": f"https://replicate.com/{slug}",
            "owner": owner,
            "name": name,
            "description": "A studio preview.",
            "visibility": "public",
            "is_official": True,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": sum(job.model == slug for job in floor.all_of(NAME)),
            "cover_image_url": None,
            "default_example": None,
            "latest_version": version,
        }
    )


def account(floor: Floor, request: Request) -> Response:
    """Describe the account of the token."""
    return json_response({"type": "organization", "username": "studio", "name": "Studio preview", "github_url": None})


def secret(floor: Floor, request: Request) -> Response:
    """Return the secret that webhooks are signed with."""
    return json_response({"key": floor.config.webhook_secret})


def error(refused: Refused) -> Response:
    """Format a refusal as the vendor does. The time to wait is only in its words."""
    title, detail = TITLES.get(refused.status, (refused.code, refused.message))
    if refused.status == 429:
        title, detail = None, f"Request was throttled. Your rate limit resets in ~{refused.retry_after or 1}s."
    body: dict[str, object] = {"title": title} if title else {}
    return json_response({**body, "detail": detail, "status": refused.status, **refused.extra}, status=refused.status)


def asked(request: Request) -> tuple[str | None, str | None]:
    """Return model and prompt of a create call as far as they can be read."""
    try:
        fields = fields_of(request)
        slug = slug_in(request, fields)
    except Refused:
        return request.target or None, None
    given = fields.get("input")
    prompt = given.get("prompt") if isinstance(given, dict) else None
    return slug, prompt if isinstance(prompt, str) else None


def hook(floor: Floor, job: Job, moment: Moment) -> Hook | None:
    """Return the webhook for this moment, the bare prediction; ``None`` if its client does not want it."""
    wanted = {"start": {"start"}, "end": {"output", "completed"}}[moment]
    if job.webhook is None or not wanted & set(job.echo["events"]):
        return None
    body = json.dumps(prediction(floor, job)).encode()
    return Hook(url=job.webhook, body=body, sign=partial(_sign, f"msg_{secrets.token_hex(12)}"))


def _sign(number: str, body: bytes, at: float, key: str) -> Mapping[str, str]:
    signature = Webhook(key).sign(number, datetime.fromtimestamp(int(at), UTC), body.decode("utf-8", "replace"))
    return {"webhook-id": number, "webhook-timestamp": str(int(at)), "webhook-signature": signature}


def _find(floor: Floor, number: str) -> Job:
    return found(floor, number, dialect=NAME, missing=_not_found())


def _not_found() -> Refused:
    return Refused(404, TITLES[404][1])


DIALECT = Dialect(
    name=NAME,
    prefixes=("/v1/predictions", "/v1/models", "/v1/account", "/v1/webhooks", "/replicate.delivery"),
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/v1/predictions"), handle=create),
        Call(kind="create", method="POST", path=re.compile(r"/v1/models/([^/]+/[^/]+)/predictions"), handle=create),
        Call(kind="list", method="GET", path=re.compile(r"/v1/predictions"), handle=listing),
        Call(kind="retrieve", method="GET", path=re.compile(r"/v1/predictions/([^/]+)"), handle=retrieve),
        Call(kind="cancel", method="POST", path=re.compile(r"/v1/predictions/([^/]+)/cancel"), handle=cancel),
        Call(kind="content", method="GET", path=re.compile(r"/replicate\.delivery/([^/]+/[^/]+)"), handle=content),
        Call(kind="about", method="GET", path=re.compile(r"/v1/models/([^/]+/[^/]+)"), handle=model),
        Call(kind="about", method="GET", path=re.compile(r"/v1/account"), handle=account),
        Call(kind="about", method="GET", path=re.compile(r"/v1/webhooks/default/secret"), handle=secret),
    ),
    error=error,
    asked=asked,
    hook=hook,
)
