"""
``?wait=30`` and ``Prefer: wait=60``: answers that come with the next change.

The caller's access is checked again for the answer, which may come a minute after the request. A server without an event loop
(WSGI) would keep one of its few threads, so there everything is answered at once.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpResponse, HttpResponseBase
from rest_framework.exceptions import NotAuthenticated, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app.api.authentication import caller
from queue_app.api.generics import JsonAPIView
from queue_app.api.idempotency import Made
from queue_app.live.hub import TooManyWaits, Waiter, hub, may_stay
from queue_app.live.waits import AT_ONCE, LONGEST_SECONDS, Later
from queue_app.models import ApiKey, Job
from queue_app.models.job import TERMINAL_STATES

APPLIED = "Preference-Applied"
ASK_AGAIN_SECONDS = 5


class Seen(NamedTuple):
    """What a caller waits for, as it is now: how to read the number of its last event and whether it has ended, and to answer."""

    heard: Callable[[], tuple[int, bool]]
    answer: Callable[[], Mapping[str, Any]]


def until_changed(
    view: JsonAPIView, request: Request, look: Callable[[], Seen], *, job: int = 0, batch: int = 0
) -> HttpResponseBase:
    """
    Answer with what ``look`` sees; if the call has ``wait``, once its number exceeds ``after``, by default the number of now.

    :param job: the job whose changes the caller waits for; or the batch.
    :raises Throttled: too many requests wait.
    """
    waiter, refusal = _admitted(request, job=job, batch=batch) if view.query["wait"] else (None, None)
    seen = look()  # after the admission, so that no change falls between the two
    if not (waiter or refusal):
        return Response(seen.answer())
    seq, has_ended = seen.heard()
    after = view.query.get("after", seq)
    if has_ended or seq > after:
        return Response(seen.answer())
    if waiter is None:
        raise Throttled(wait=ASK_AGAIN_SECONDS, detail=str(refusal))

    def again(is_last: bool) -> Response | None:
        now = look()
        seq, has_ended = now.heard()
        return Response(now.answer()) if is_last or has_ended or seq > after else None

    return _later(view, request, waiter, again, seconds=view.query["wait"])


def until_ended(view: JsonAPIView, request: Request, made: Made, answer: Callable[[], HttpResponse]) -> HttpResponseBase:
    """
    Return the answer to a new job once the job has ended, if the caller prefers that (RFC 7240); at once if too many requests
    wait. ``Preference-Applied`` says that it was waited for.
    """
    seconds = preferred(request.headers.get("Prefer", ""))
    waiter = _admitted(request, job=made["job"], scope="submit")[0] if seconds else None
    if waiter is None:
        return answer()

    def look(is_last: bool) -> HttpResponse | None:
        if not is_last and not Job.objects.filter(pk=made["job"], state__in=TERMINAL_STATES).exists():
            return None
        answered = answer()
        answered[APPLIED] = f"wait={seconds}"
        return answered

    return look(is_last=False) or _later(view, request, waiter, look, seconds=seconds)


def preferred(header: str) -> int:
    """Return the seconds of ``wait=30`` in a ``Prefer`` header, at most 60; 60 without a number, and 0 without ``wait``."""
    for preference in header.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            seconds = value.strip().strip('"') or str(LONGEST_SECONDS)
            return min(int(seconds[:6]), LONGEST_SECONDS) if seconds.isascii() and seconds.isdecimal() else 0
    return 0


def _admitted(
    request: Request, *, scope: str = "read", job: int = 0, batch: int = 0
) -> tuple[Waiter | None, TooManyWaits | None]:
    """Return a waiter, unless the server can't wait, or not now; or why there is none."""
    if not isinstance(request._request, ASGIRequest) or request.META.get(AT_ONCE):
        return None, None
    waiter = Waiter(caller(request), **credentials(request), scope=scope, job=job, batch=batch)
    try:
        hub.admit_waiter(waiter)
    except TooManyWaits as refusal:
        return None, refusal
    return waiter, None


def credentials(request: Request) -> dict[str, str]:
    """Return what must stay valid while the caller is connected: its key or its session, as `Client` takes them."""
    if isinstance(request.auth, ApiKey):
        return {"key": request.auth.digest}
    return {"session": request._request.session.session_key or ""}


def _later(
    view: JsonAPIView, request: Request, waiter: Waiter, look: Callable[[bool], HttpResponse | None], *, seconds: float
) -> Later:
    def checked(is_last: bool) -> HttpResponse | None:
        try:
            if not may_stay(connection, [waiter]):
                raise NotAuthenticated("Your access ended while this request was waiting.")
            found: Any = look(is_last)
        except Exception as error:  # as `APIView.dispatch` does
            found = view.handle_exception(error)
        if isinstance(found, Response):
            found = view.finalize_response(request, found).render()
        answer: HttpResponse | None = found
        return answer

    return Later(waiter, checked, seconds=seconds)
