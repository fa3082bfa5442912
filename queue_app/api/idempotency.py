"""
One request, one effect, one answer (I29): repeating a request with the same Idempotency-Key returns the first answer.

The record is written in the transaction that does the work. A concurrent request with the same key, a twin, waits at the record's
unique index. Once the first commits, the twin reads its answer. If the first is refused or dies, its record is rolled back and
the twin does the work itself. So a crash between the work and the answer loses neither, and a refusal leaves the key free.

The answer is rendered after the commit, without locks. The first to render it stores it: the first request, or a twin if the
first has died. All others send the same bytes.

With ``hold`` (``Prefer: wait``) the answer is rendered when the wait is over, so that what is stored is what the first caller
reads: the ended job. A repeat meanwhile may prefer to wait as well. One that does not is answered at once, with the job of that
moment: it is then the first to render the answer, and those who still wait send the same bytes as it got.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection, transaction
from django.http import HttpResponse, HttpResponseBase
from psycopg2.errors import LockNotAvailable
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.errors import KeyReused, TwinStillRunning
from queue_app.models import IdempotencyRecord

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
LONGEST = 255
WAIT_SECONDS = 10  # for a twin that is still at work
Made = dict[str, Any]
"""The result of the work as plain JSON: ids of rows, and facts that only its transaction knows."""
Hold = Callable[[Made, Callable[[], HttpResponse]], HttpResponseBase]
"""Returns the answer, which is rendered by the call, now or later."""


def once(
    request: Request,
    *,
    status: int,
    do: Callable[[], Made],
    render: Callable[[Made], dict[str, Any]],
    prepare: Callable[[], None] | None = None,
    hold: Hold | None = None,
) -> HttpResponseBase:
    """
    Do the work and answer with ``render`` of its result. With an Idempotency-Key this happens at most once, and repeated requests
    get the stored answer. A 201 has a ``Location``: the answer's ``url``, or its link to itself.

    ``prepare`` is what the work needs from the network, outside any transaction; a request that was answered before needs none.
    ``hold`` may let the caller wait for an answer that is not stored yet.

    :raises KeyReused: the key was used for another request. :raises TwinStillRunning: the first has not answered in 10 s.
    """
    key = key_of(request)
    if prepare and (key is None or not IdempotencyRecord.objects.filter(account=caller(request), key=key).exists()):
        prepare()
    if key is None:
        made = do()
        return _held(hold, made, lambda: _answer(JSONRenderer().render(render(made)), status))
    fingerprint = _fingerprint(request)
    with transaction.atomic(durable=True):
        record = _open(request, key, fingerprint)
        is_first = record.status is None
        if is_first:
            record.status, record.made = status, do()
            record.save(update_fields=["status", "made"])
        elif record.body_sha256 != fingerprint:
            raise KeyReused(f"{HEADER} “{key}” belongs to a different request. Use a new key.")

    def answer() -> HttpResponse:
        response = _answer(_stored(record, render), record.status or status)
        if not is_first:
            response[REPLAYED] = "true"
        return response

    return _held(hold if record.answer is None else None, record.made or {}, answer)


def _held(hold: Hold | None, made: Made, answer: Callable[[], HttpResponse]) -> HttpResponseBase:
    return hold(made, answer) if hold else answer()


def _stored(record: IdempotencyRecord, render: Callable[[Made], dict[str, Any]]) -> bytes:
    """Return the bytes of the answer, the same for all requests with this key. The first call renders and stores them."""
    if record.answer is None:
        rendered = JSONRenderer().render(render(record.made or {})).decode()
        IdempotencyRecord.objects.filter(pk=record.pk, answer=None).update(answer=rendered)
        record.refresh_from_db(fields=["answer"])
    assert record.answer is not None  # stored above, by us or by a twin
    return record.answer.encode()


def _answer(body: bytes, status: int) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json")
    if status == 201:
        made = json.loads(body)
        response["Location"] = made.get("url") or made["links"]["self"]
    return response


def key_of(request: Request) -> str | None:
    """
    Return the key of a request, if it has one.

    :raises ValidationError: it can't be one.
    """
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise ValidationError({HEADER: [f"Use 1 to {LONGEST} printable ASCII characters."]})
    return key


def _fingerprint(request: Request) -> str:
    """Return a hash of what makes two requests the same: method, path with query, and the parsed body."""
    meaning = json.dumps(request.data or None, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n{meaning}".encode()).hexdigest()


def _open(request: Request, key: str, fingerprint: str) -> IdempotencyRecord:
    """Return the record of the key: a new one, or that of the first request."""
    user = caller(request)
    fresh = IdempotencyRecord(account=user, key=key, body_sha256=fingerprint, created_at=clock.now())
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS}s"])
            IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            detail = f"The first request with this {HEADER} is still running after {WAIT_SECONDS}s. Try again."
            raise TwinStillRunning(detail) from None
        raise
    return IdempotencyRecord.objects.get(account=user, key=key)
