"""Webhooks that the studio sends to its clients: signed for each try, tried a few times, never redirected."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from genqueue_site.studio.wire import Hook

if TYPE_CHECKING:
    from genqueue_site.studio.faults import Faults

WAITS = (0.0, 1.0, 5.0, 25.0)  # seconds before each try
ANSWER_SECONDS = 5.0
LOG_ROWS = 10_000
STALE_SECONDS = 3600
FORGERS_SECRET = "whsec_bm90IHRoZSBzZWNyZXQgdGhhdCB5b3Ugc2V0IHVw"  # noqa: S105 - not used by any studio


@dataclass(frozen=True)
class Delivery:
    """A webhook to deliver. A fault decides what arrives."""

    hook: Hook
    secret: str
    closing: threading.Event
    note: Callable[[int], None]

    def go(self) -> None:
        """Send it until the client accepts it or no tries are left."""
        for seconds in WAITS:
            self.wait(seconds)
            if self.closing.is_set() or 200 <= self.send() < 300:
                return

    def send(self, *, at: float | None = None) -> int:
        """Send it once, signed for this time (Unix seconds). Return the HTTP status of the answer, 0 without one."""
        headers = self.hook.sign(self.hook.body, time.time() if at is None else at, self.secret)
        status = _post(self.hook.url, self.hook.body, {"Content-Type": "application/json", **headers})
        self.note(status)
        return status

    def wait(self, seconds: float) -> None:
        """Wait, but not after the studio closes."""
        self.closing.wait(seconds)


class Webhooks:
    """Sends webhooks, each in its own thread, so that a slow client delays no others."""

    def __init__(self, secret: str, faults: Faults, closing: threading.Event) -> None:
        self._secret, self._faults, self._closing = secret, faults, closing
        self._log: deque[dict[str, object]] = deque(maxlen=LOG_ROWS)

    def deliver(self, job: str, dialect: str, hook: Hook) -> None:
        """Start the delivery of a webhook about a job of this dialect."""
        delivery = Delivery(hook, self._secret, self._closing, partial(self._note, job))
        threading.Thread(target=self._faults.befall_webhook, args=[dialect, delivery], name="webhook", daemon=True).start()

    def log(self) -> list[dict[str, object]]:
        """Return the tries since the start: job, time and HTTP status."""
        return list(self._log)

    def _note(self, job: str, status: int) -> None:
        self._log.append({"job": job, "at": time.time(), "status": status})


def twice(delivery: Delivery, _: float) -> None:
    """Deliver it twice."""
    delivery.go()
    delivery.go()


def late(delivery: Delivery, seconds: float) -> None:
    """Deliver it late, after the webhooks of later moments."""
    delivery.wait(seconds)
    delivery.go()


def lost(delivery: Delivery, _: float) -> None:
    """Never deliver it."""


def stale(delivery: Delivery, _: float) -> None:
    """Deliver it with a signature that is an hour old."""
    delivery.send(at=time.time() - STALE_SECONDS)


def forged(delivery: Delivery, _: float) -> None:
    """Send it signed with another secret."""
    replace(delivery, secret=FORGERS_SECRET).send()


def unsigned(delivery: Delivery, _: float) -> None:
    """Deliver it without a signature."""
    replace(delivery, hook=replace(delivery.hook, sign=_no_signature)).send()


def halved(delivery: Delivery, _: float) -> None:
    """Deliver its first half with a valid signature."""
    body = delivery.hook.body
    replace(delivery, hook=replace(delivery.hook, body=body[: len(body) // 2])).send()


def _no_signature(body: bytes, at: float, secret: str) -> dict[str, str]:
    return {}


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    except ValueError:
        return 0
    try:
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException, ValueError):
        return 0
    finally:
        connection.close()
