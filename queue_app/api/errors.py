"""Every refusal of the API as ``application/problem+json``: one table from exception to status and code."""

import sys
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from queue_app import database
from queue_app.lifecycle import MoveRefused
from queue_app.tickets import NotEnoughTickets
from queue_app.work.intake import IntakeRefused, ModelNotAvailable

CONTENT_TYPE = "application/problem+json"
DATABASE_BACK_SECONDS = 5  # a restart takes that long, a fail-over a little more


class BodyTooLarge(exceptions.APIException):
    """The body has more bytes than the API takes."""

    status_code = 413
    default_code = "body_too_large"


class KeyReused(Exception):
    """The Idempotency-Key was used for another request (I29)."""


class TwinStillRunning(Exception):
    """A request with the same Idempotency-Key has not answered within the time a twin waits (I29)."""


# exception: status, code, title; the first that matches
TABLE: dict[type[Exception], tuple[int, str, str]] = {
    IntakeRefused: (400, "invalid_input", "Invalid input"),
    exceptions.ValidationError: (400, "invalid_input", "Invalid input"),
    DjangoValidationError: (400, "invalid_input", "Invalid input"),
    exceptions.ParseError: (400, "malformed_json", "The body is not valid JSON"),
    exceptions.NotAuthenticated: (401, "not_authenticated", "Not authenticated"),
    exceptions.AuthenticationFailed: (401, "not_authenticated", "Not authenticated"),
    NotEnoughTickets: (402, "not_enough_tickets", "Not enough tickets"),
    exceptions.PermissionDenied: (403, "permission_denied", "Not allowed"),
    DjangoPermissionDenied: (403, "permission_denied", "Not allowed"),
    Http404: (404, "not_found", "Not found"),
    exceptions.NotFound: (404, "not_found", "Not found"),
    exceptions.MethodNotAllowed: (405, "method_not_allowed", "Method not allowed"),
    exceptions.NotAcceptable: (406, "not_acceptable", "Only JSON is served here"),
    MoveRefused: (409, "move_refused", "The job's state does not allow this"),
    TwinStillRunning: (409, "idempotency_twin_running", "The first request with this key is still running"),
    BodyTooLarge: (413, "body_too_large", "The body is too large"),
    exceptions.UnsupportedMediaType: (415, "unsupported_media_type", "Send application/json"),
    ModelNotAvailable: (422, "model_not_available", "The model is not available"),
    KeyReused: (422, "idempotency_key_reused", "The Idempotency-Key belongs to another request"),
    exceptions.Throttled: (429, "throttled", "Too many requests"),
}
for _path in settings.API_REFUSALS:  # other applications' exceptions, by the names of their tables
    TABLE |= import_string(_path)
CODES = sorted({code for _, code, _ in TABLE.values()} | {"internal_error", "database_unavailable"})


def problem(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer for ``error``; ``None`` for a fault of ours, which goes on to the log and the 500 page."""
    if database.is_gone(error):
        return Response(_unavailable(), status=503, headers=_RETRY, content_type=CONTENT_TYPE)
    known = next((answer for kind, answer in TABLE.items() if isinstance(error, kind)), None)
    if known is None:
        return None
    status, code, title = known
    many = getattr(context.get("view"), "many_jobs", False)
    found = [{"field": field, "message": message} for field, message in _errors(error, many)]
    body: dict[str, Any] = document(status, code, title, _detail(error, found), found)
    headers = {}
    if isinstance(error, NotEnoughTickets):
        body |= error.facts
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, ceil(getattr(error, "wait", None) or 1)))
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


def document(status: int, code: str, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The one shape of an error."""
    return {
        "type": f"urn:genqueue:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": errors or [],
    }


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """The site's answer to an unknown address: a problem under ``/api/``, Django's page elsewhere."""
    if request.path.startswith("/api/"):
        return JsonResponse(
            document(404, "not_found", "Not found", f"There is nothing at {request.path}."), status=404, content_type=CONTENT_TYPE
        )
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """The site's answer to a fault of ours, which is in the log; and, since that is none, to a database that went away."""
    if database.is_gone(sys.exc_info()[1]):
        return _without_database(request)
    if request.path.startswith("/api/"):
        body = document(500, "internal_error", "Internal error", "This is our fault, not yours; it has been written down.")
        return JsonResponse(body, status=500, content_type=CONTENT_TYPE)
    return defaults.server_error(request)


_RETRY = {"Retry-After": str(DATABASE_BACK_SECONDS)}


def _unavailable() -> dict[str, Any]:
    words = (
        f"The database connection was lost during this request. Repeat the request in {DATABASE_BACK_SECONDS} seconds; "
        "with the same Idempotency-Key it runs once."
    )
    return document(503, "database_unavailable", "Database unavailable", words)


def _without_database(request: HttpRequest) -> HttpResponseBase:
    if request.path.startswith("/api/"):
        return JsonResponse(_unavailable(), status=503, content_type=CONTENT_TYPE, headers=_RETRY)
    return HttpResponse(render_to_string("503.html"), status=503, headers=_RETRY)


def _detail(error: Exception, found: list[dict[str, str]]) -> str:
    if isinstance(error, Http404):
        return "There is nothing here that you may see."
    if found:
        return " ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in found[:5])
    return str(getattr(error, "detail", error))


def _errors(error: Exception, many: bool) -> Iterator[tuple[str, str]]:
    if isinstance(error, IntakeRefused):
        for one in error.problems:
            yield (f"jobs[{one.index}].{one.field}" if many and one.field != "jobs" else one.field), one.message
    elif hasattr(error, "problems"):  # of another application's table
        yield from ((one.field, one.message) for one in error.problems)
    elif isinstance(error, ModelNotAvailable):
        yield (f"jobs[{error.index}].model" if many else "model"), str(error)
    elif isinstance(error, exceptions.ValidationError):
        yield from _flat(error.detail, "")
    elif isinstance(error, DjangoValidationError):
        yield from _flat(error.message_dict if hasattr(error, "error_dict") else error.messages, "")


def _flat(detail: Any, path: str) -> Iterator[tuple[str, str]]:
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
