"""
One request, one effect, one answer (I29): repeating a request with the same Idempotency-Key gives the first answer again.

The record is written in the very transaction that does the work. A twin that comes meanwhile waits at the record's unique
index: once the first commits, the twin reads its answer; had the first been refused or died, nothing of it is left and the twin
does the work itself. So a crash between the work and the answer loses neither, and a refusal leaves the key free.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction
from psycopg2.errors import LockNotAvailable
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.errors import KeyReused, TwinStillRunning
from queue_app.models import IdempotencyRecord

HEADER = "Idempotency-Key"
LONGEST = 255
WAIT_SECONDS = 10  # for a twin that is still at work
T = TypeVar("T")


def once(request: Request, body: Any, *, status: int, do: Callable[[], T], render: Callable[[T], Any]) -> Response:
    """
    Do the work and answer with ``render`` of it; with an Idempotency-Key at most once, replaying the stored answer after that.

    :param body: what was asked, as parsed; ``None`` for a request without a body.
    :raises KeyReused: the key was used for another request. :raises TwinStillRunning: the first has not answered in 10 s.
    """
    key = _key(request)
    if key is None:
        return Response(render(do()), status)
    fingerprint = _fingerprint(request, body)
    with transaction.atomic(durable=True):
        record = _open(request, key, fingerprint)
        if record.status is not None:
            if record.body_sha256 != fingerprint:
                raise KeyReused(f"{HEADER} “{key}” was used for another request. Use a new key for a new request.")
            return Response(record.answer, record.status, headers={"Idempotent-Replayed": "true"})
        record.status, record.answer = status, render(do())
        record.save(update_fields=["status", "answer"])
    return Response(record.answer, status)


def _key(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise ValidationError({HEADER: [f"A key has 1 to {LONGEST} printable ASCII characters."]})
    return key


def _fingerprint(request: Request, body: Any) -> str:
    """What makes two requests the same: method, path with query, and the body's meaning, whatever its spelling."""
    meaning = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n{meaning}".encode()).hexdigest()


def _open(request: Request, key: str, fingerprint: str) -> IdempotencyRecord:
    """Give the key's record: a new one, or the one of the request that was first."""
    user = caller(request)
    fresh = IdempotencyRecord(account=user, key=key, body_sha256=fingerprint, created_at=clock.now())
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS}s"])
            IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            detail = f"Another request with this {HEADER} is still running after {WAIT_SECONDS} s; ask again."
            raise TwinStillRunning(detail) from None
        raise
    return IdempotencyRecord.objects.get(account=user, key=key)
