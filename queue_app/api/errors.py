"""Every refusal of the API as ``application/problem+json``: one table from exception to status, code and title."""

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from math import ceil
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.urls import is_valid_path
from django.utils.module_loading import import_string
from django.views import defaults
from rest_framework import exceptions

from queue_app import database
from queue_app.lifecycle import MoveRefused
from queue_app.rules.parameters import PROBLEMS_MOST
from queue_app.tickets import NotEnoughTickets
from queue_app.work.bulk import BulkRefused
from queue_app.work.endpoints import DeliveryRefused, EndpointRefused, TooManyEndpoints
from queue_app.work.intake import TOLD_MOST, IntakeRefused, KindRestricted, ModelNotAvailable, PlanRefused
from queue_app.work.jobs import PriorityRestricted
from queue_app.work.keys import KeyRefused, KeyRevoked, KeysFull, TooManyKeys
from queue_app.work.schedules import ScheduleRefused, TooManySchedules

Wrong = tuple[str, str]
"""A field by the name that the client knows, and what is wrong with it."""
CONTENT_TYPE = "application/problem+json"
BELOW = "/api/"
ERRORS_MOST = PROBLEMS_MOST  # in one answer
NAME_MOST, MESSAGE_MOST = 120, 1_000  # characters of a field's name, which the client chose, and of its message
ASK_AGAIN_SECONDS = 1
DATABASE_BACK_SECONDS = 5  # a restart takes that long, a fail-over a little more


class BodyTooLarge(exceptions.APIException):
    """The body has more bytes than the site takes."""

    status_code = 413
    default_code = "body_too_large"
    default_detail = f"The request body is over {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes. Split it into smaller requests."


class KeyReused(Exception):
    """The Idempotency-Key was used for another request (I29)."""


class TwinStillRunning(Exception):
    """The first request with the same Idempotency-Key has not answered while its twin waited (I29)."""


# exception: status, code, title; the first that matches
TABLE: dict[type[Exception], tuple[int, str, str]] = {
    PlanRefused: (422, "page_plan_refused", "The data does not carry this page"),  # before the exception that it is a case of
    IntakeRefused: (400, "invalid_input", "Invalid input"),
    exceptions.ValidationError: (400, "invalid_input", "Invalid input"),
    DjangoValidationError: (400, "invalid_input", "Invalid input"),
    KeysFull: (409, "limit_reached", "Limit reached"),
    TooManySchedules: (409, "limit_reached", "Limit reached"),
    TooManyEndpoints: (409, "limit_reached", "Limit reached"),
    KeyRefused: (400, "invalid_input", "Invalid input"),
    ScheduleRefused: (400, "invalid_input", "Invalid input"),
    EndpointRefused: (400, "invalid_input", "Invalid input"),
    exceptions.ParseError: (400, "malformed_json", "The body is not valid JSON"),
    exceptions.NotAuthenticated: (401, "not_authenticated", "Not authenticated"),
    exceptions.AuthenticationFailed: (401, "not_authenticated", "Not authenticated"),
    NotEnoughTickets: (402, "not_enough_tickets", "Not enough tickets"),
    KindRestricted: (403, "kind_restricted", "This job type is restricted"),
    PriorityRestricted: (403, "permission_denied", "Not allowed"),
    exceptions.PermissionDenied: (403, "permission_denied", "Not allowed"),
    DjangoPermissionDenied: (403, "permission_denied", "Not allowed"),
    Http404: (404, "not_found", "Not found"),
    exceptions.NotFound: (404, "not_found", "Not found"),
    exceptions.MethodNotAllowed: (405, "method_not_allowed", "Method not allowed"),
    exceptions.NotAcceptable: (406, "not_acceptable", "Only JSON responses are available"),
    MoveRefused: (409, "move_refused", "The job's state does not allow this"),
    KeyRevoked: (409, "key_revoked", "The API key is revoked"),
    BulkRefused: (409, "bulk_refused", "This bulk action is not possible"),
    DeliveryRefused: (409, "delivery_refused", "Nothing can be delivered now"),
    TwinStillRunning: (409, "idempotency_twin_running", "The first request with this key is still running"),
    BodyTooLarge: (413, "body_too_large", "The body is too large"),
    exceptions.UnsupportedMediaType: (415, "unsupported_media_type", "Send application/json"),
    ModelNotAvailable: (422, "model_not_available", "The model is not available"),
    KeyReused: (422, "idempotency_key_reused", "The Idempotency-Key belongs to another request"),
    exceptions.Throttled: (429, "throttled", "Too many requests"),
    TooManyKeys: (429, "throttled", "Too many requests"),
}
for _path in settings.API_REFUSALS:  # other applications' exceptions, by the names of their tables
    TABLE |= import_string(_path)
# refusals before a view is reached, and failures: status, code, title, what to do
BEFORE: dict[int, tuple[str, str, str]] = {
    400: ("malformed_request", "The request can't be read", "This request can't be read. Check its address, headers and body."),
    403: ("permission_denied", "Not allowed", "You don't have permission to do this."),
    404: ("not_found", "Not found", "No such endpoint. Check the address."),
    405: ("method_not_allowed", "Method not allowed", "This endpoint doesn't support this method."),
    410: ("expired", "The file is gone", "This file was deleted."),
    413: ("body_too_large", "The body is too large", str(BodyTooLarge.default_detail)),
    500: ("internal_error", "Internal error", "Something went wrong on our side. The error has been logged."),
    503: (
        "database_unavailable",
        "Database unavailable",
        f"The database connection was lost during this request. Repeat the request in {DATABASE_BACK_SECONDS} seconds; "
        "with the same Idempotency-Key it runs once.",
    ),
}
_RETRY = {"Retry-After": str(DATABASE_BACK_SECONDS)}
CODES = sorted({code for _, code, _ in TABLE.values()} | {code for code, *_ in BEFORE.values()})


def problem(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Return the answer to an error, or None for a fault of ours: Django logs it and answers 500. REST framework's handler."""
    if database.is_gone(error):
        return JsonResponse(refusal(503), status=503, headers=_RETRY, content_type=CONTENT_TYPE)
    known = next((answer for kind, answer in TABLE.items() if isinstance(error, kind)), None)
    if known is None:
        return None
    status, code, title = known
    wrong = list(islice(named(error, many=getattr(context.get("view"), "many_jobs", False)), ERRORS_MOST + 1))
    found = [{"field": _clipped(field, NAME_MOST), "message": _clipped(message, MESSAGE_MOST)} for field, message in wrong]
    body: dict[str, Any] = document(status, code, title, _detail(error, found), found[:ERRORS_MOST])
    if isinstance(error, NotEnoughTickets):
        body |= error.facts
    return JsonResponse(body, status=status, headers=_headers(error), content_type=CONTENT_TYPE)


def refusal(status: int, detail: str = "") -> dict[str, Any]:
    """Return the document of a refusal before a view is reached. A status that is not in the table gets the nearest."""
    code, title, otherwise = BEFORE.get(status) or BEFORE[400 if status < 500 else 500]
    return document(status, code, title, detail or otherwise)


def turn_into_problem(request: HttpRequest, response: HttpResponse) -> None:
    """Replace the page in an answer of the API by a problem."""
    detail = ""
    if response.status_code == 404:
        right = f"{request.path}/"
        meant = f" Did you mean {right} (with the slash)?" if is_valid_path(right) else ""
        detail = f"No such endpoint: {_clipped(request.path, NAME_MOST)}.{meant}"
    response.content = JsonResponse(refusal(response.status_code, detail)).content
    response["Content-Type"] = CONTENT_TYPE
    response["Content-Length"] = str(len(response.content))


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Return the site's page for a fault of ours, or for a lost database connection, which is none. Django's ``handler500``."""
    if database.is_gone(sys.exc_info()[1]):
        return HttpResponse(render_to_string("503.html"), status=503, headers=_RETRY)
    return defaults.server_error(request)


def named(error: Exception, *, many: bool) -> Iterator[Wrong]:
    """Yield what is wrong. ``many``: the body is a list of jobs."""
    if isinstance(error, (IntakeRefused, ModelNotAvailable, KindRestricted)):
        for one in error.problems:
            yield (one.field if one.index is None or not many else f"jobs[{one.index}].{one.field}"), one.message
    elif hasattr(error, "problems"):  # of another application's table
        yield from ((one.field, one.message) for one in error.problems)
    elif isinstance(error, exceptions.ValidationError):
        yield from _flat(error.detail, "")
    elif isinstance(error, DjangoValidationError):
        yield from _flat(error.message_dict if hasattr(error, "error_dict") else error.messages, "")


def document(status: int, code: str, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return an error, as `schema.ProblemOut`."""
    return {
        "type": f"urn:genqueue:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": errors or [],
    }


def _detail(error: Exception, found: list[dict[str, str]]) -> str:
    if isinstance(error, Http404):
        return "Not found, or you don't have access."
    if found:
        first = " ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in found[:TOLD_MOST])
        return f"{first} Only the first {ERRORS_MOST} problems are listed." if len(found) > ERRORS_MOST else first
    return str(getattr(error, "detail", error))


def _headers(error: Exception) -> dict[str, str]:
    headers = {}
    if isinstance(error, (exceptions.Throttled, TooManyKeys)):
        headers["Retry-After"] = str(max(1, ceil(getattr(error, "wait", None) or 1)))
    if isinstance(error, TwinStillRunning):
        headers["Retry-After"] = str(ASK_AGAIN_SECONDS)
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    return headers


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _flat(detail: Any, path: str) -> Iterator[Wrong]:
    """Walk nested serializer errors; ``jobs[3].prompt`` names the fourth job's prompt."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            if isinstance(name, int):
                yield from _flat(inner, f"{path}[{name}]")
            elif name in ("non_field_errors", "__all__"):
                yield from _flat(inner, path)
            else:
                yield from _flat(inner, f"{path}.{name}" if path else name)
    elif isinstance(detail, (list, tuple)):
        for index, inner in enumerate(detail):
            yield from _flat(inner, f"{path}[{index}]" if isinstance(inner, Mapping) else path)
    else:
        yield path, str(detail)
