"""
Faults that calls to a provider may meet, as a table of names and functions.

``--faults SEED`` draws from the table at random, for each dialect and kind of call on its own, always the same for a seed. A call
for a component of a page may meet a fault of pages if it meets none of other creates. Tests queue names for the next calls. A
queued name may have a number after a colon (``"hang_before_accept:2"``): seconds of a wait or of Retry-After, or MiB of a huge
asset.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from genqueue_site.studio import pages, webhooks
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.webhooks import Delivery
from genqueue_site.studio.wire import CALLS, KINDS, Call, Dialect, Hangup, Kind, Refused, Request, Response

HANG_SECONDS = 40.0  # longer than any of our clients waits for an answer
LONGEST_WAIT_SECONDS = 40.0
CHANCES: dict[Kind, float] = {
    "create": 0.2, "retrieve": 0.1, "content": 0.2, "list": 0.1, "delete": 0.1, "cancel": 0.1, "about": 0.1, "page": 0.15,
    "webhook": 0.3,
}  # fmt: skip


class Visit:
    """A client's call. A fault decides whether it reaches the floor and what is answered."""

    def __init__(self, floor: Floor, dialect: Dialect, call: Call, request: Request) -> None:
        self.floor, self.dialect, self.call, self.request = floor, dialect, call, request

    def serve(self, *, doom: str | None = None) -> Response:
        """Handle the call and return its answer."""
        try:
            return self.call.handle(self.floor, replace(self.request, doom=doom))
        except Exception:
            self.turn_away()
            raise

    def refuse(self, status: int, message: str, *, code: str | None = None, retry_after: int | None = None) -> NoReturn:
        """
        Refuse the call.

        :raises Refused: always.
        """
        self.turn_away()
        raise Refused(status, message, code=code, retry_after=retry_after)

    def turn_away(self) -> None:
        """Log the call as not accepted, if it is a create call."""
        if self.call.kind == "create":
            model, prompt = self.dialect.asked(self.request)
            self.floor.turn_away(dialect=self.dialect.name, model=model, prompt=prompt)

    def asks_for_a_page(self) -> bool:
        """Whether this is a create call for a component of a page."""
        return self.call.kind == "create" and pages.read(self.dialect.asked(self.request)[1] or "") is not None

    def wait(self, seconds: float) -> None:
        """Wait, at most `LONGEST_WAIT_SECONDS` and not after the studio closes."""
        self.floor.closing.wait(min(seconds, LONGEST_WAIT_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    A fault. ``do`` gets the visit, or the delivery of a webhook, and the fault's number; ``weight`` is its share among random
    faults of a kind of call.
    """

    kinds: tuple[Kind, ...]
    weight: int
    do: Callable[[Any, float], Response | None]
    number: float = 0.0


def latency(visit: Visit, seconds: float) -> Response:
    """Answer late."""
    visit.wait(seconds)
    return visit.serve()


def too_many_requests(visit: Visit, seconds: float) -> Response:
    """Refuse with 429 and Retry-After."""
    visit.refuse(429, "Rate limit reached for requests.", retry_after=int(seconds))


def server_error(visit: Visit, _: float) -> Response:
    """Refuse with 500; a create call leaves no job."""
    visit.refuse(500, "The server had an error while processing your request.")


def server_error_after_accept(visit: Visit, _: float) -> Response:
    """Accept the job and answer 500."""
    visit.serve()
    raise Refused(500, "The server had an error while processing your request.")


def overloaded(visit: Visit, seconds: float) -> Response:
    """Refuse with 503 and Retry-After; a create call leaves no job."""
    visit.refuse(503, "The service is temporarily unavailable.", retry_after=int(seconds))


def bad_key(visit: Visit, _: float) -> Response:
    """Refuse with 401."""
    visit.refuse(401, "Incorrect API key provided.", code="invalid_api_key")


def out_of_credit(visit: Visit, _: float) -> Response:
    """Refuse with 402."""
    visit.refuse(402, "You have insufficient credit to make this request.", code="insufficient_credit")


def slow_answer(visit: Visit, seconds: float) -> Response:
    """Accept the job and answer late, so that its first webhook comes before the answer."""
    response = visit.serve()
    visit.wait(seconds)
    return response


def hang(visit: Visit, seconds: float) -> Response:
    """Answer nothing for a long time, then reset; a create call leaves no job."""
    visit.turn_away()
    visit.wait(seconds)
    raise Hangup


def hang_after_accept(visit: Visit, seconds: float) -> Response:
    """Accept the job, answer nothing for a long time, then reset."""
    visit.serve()
    visit.wait(seconds)
    raise Hangup


def reset(visit: Visit, _: float) -> Response:
    """Reset the connection; a create call leaves no job."""
    visit.turn_away()
    raise Hangup


def reset_after_accept(visit: Visit, _: float) -> Response:
    """Accept the job and reset the connection."""
    visit.serve()
    raise Hangup


def late_accept(visit: Visit, seconds: float) -> Response:
    """Reset the connection and accept the job a while later."""

    def accept() -> None:
        visit.wait(seconds)
        if not visit.floor.closing.is_set():
            try:
                visit.serve()
            except Refused:
                return  # a bad create call, already logged; there is no client left to answer

    threading.Thread(target=accept, name="late-accept", daemon=True).start()
    raise Hangup


def malformed_json(visit: Visit, _: float) -> Response:
    """Handle the call and send only half of the answer as if it were complete."""
    response = visit.serve()
    assert isinstance(response.body, bytes)
    return replace(response, body=response.body[: len(response.body) // 2])


def unknown_status(visit: Visit, _: float) -> Response:
    """Answer with a status that no client knows."""
    response = visit.serve()
    assert isinstance(response.body, bytes)
    return replace(response, body=re.sub(rb'("status": )"[a-zA-Z_]+"', rb'\1"reticulating"', response.body))


def doomed(doom: str) -> Callable[[Visit, float], Response]:
    """Return a fault that accepts the job and lets it end in this way."""
    return lambda visit, _: visit.serve(doom=doom)


def missing(visit: Visit, _: float) -> Response:
    """Refuse with 404."""
    visit.refuse(404, "Not found.")


def huge(visit: Visit, mebibytes: float) -> Response:
    """Declare and send far more bytes than any asset has."""
    response = visit.serve()
    return replace(response, body=_bytes_without_end(response, mebibytes), announced=int(mebibytes * 2**20))


def huge_unannounced(visit: Visit, mebibytes: float) -> Response:
    """Send far more bytes than any asset has, without a declared length."""
    response = visit.serve()
    return replace(response, body=_bytes_without_end(response, mebibytes))


def wrong_type(visit: Visit, _: float) -> Response:
    """Send a web page with its own content type."""
    return replace(visit.serve(), content_type="text/html", body=_PAGE)


def disguised(visit: Visit, _: float) -> Response:
    """Send a web page with the asset's content type."""
    return replace(visit.serve(), body=_PAGE)


def empty(visit: Visit, _: float) -> Response:
    """Send an empty body."""
    return replace(visit.serve(), body=b"")


def truncated(visit: Visit, _: float) -> Response:
    """Declare the full length and stop in the middle."""
    response = visit.serve()
    assert isinstance(response.body, bytes)
    return replace(response, body=iter([response.body[: len(response.body) // 2]]), announced=len(response.body))


_PAGE = b"<!doctype html><title>Expired</title><p>This link has expired.<script>alert(1)</script>"
_JSON: tuple[Kind, ...] = ("create", "retrieve", "list", "delete", "cancel", "about")
_READS: tuple[Kind, ...] = ("retrieve", "content", "list", "delete", "cancel", "about")
_CREATE: tuple[Kind, ...] = ("create",)
_COMPONENT: tuple[Kind, ...] = ("page",)
_CONTENT: tuple[Kind, ...] = ("content",)
_WEBHOOK: tuple[Kind, ...] = ("webhook",)

FAULTS: dict[str, Fault] = {
    "latency": Fault(kinds=CALLS, weight=6, do=latency, number=1),
    "429": Fault(kinds=CALLS, weight=4, do=too_many_requests, number=1),
    "401": Fault(kinds=CALLS, weight=0, do=bad_key),
    "402": Fault(kinds=_CREATE, weight=0, do=out_of_credit),
    "503": Fault(kinds=CALLS, weight=1, do=overloaded, number=1),
    "500": Fault(kinds=_READS, weight=3, do=server_error),
    "hang": Fault(kinds=_READS, weight=1, do=hang, number=HANG_SECONDS),
    "reset": Fault(kinds=_READS, weight=3, do=reset),
    "malformed_json": Fault(kinds=_JSON, weight=2, do=malformed_json),
    "unknown_status": Fault(kinds=("retrieve",), weight=2, do=unknown_status),
    "500_before_accept": Fault(kinds=_CREATE, weight=3, do=server_error),
    "500_after_accept": Fault(kinds=_CREATE, weight=3, do=server_error_after_accept),
    "hang_before_accept": Fault(kinds=_CREATE, weight=1, do=hang, number=HANG_SECONDS),
    "hang_after_accept": Fault(kinds=_CREATE, weight=1, do=hang_after_accept, number=HANG_SECONDS),
    "reset_before_accept": Fault(kinds=_CREATE, weight=2, do=reset),
    "reset_after_accept": Fault(kinds=_CREATE, weight=3, do=reset_after_accept),
    "late_accept": Fault(kinds=_CREATE, weight=2, do=late_accept, number=3),
    "slow_answer": Fault(kinds=_CREATE, weight=2, do=slow_answer, number=2),
    "failed_job": Fault(kinds=_CREATE, weight=3, do=doomed("failed")),
    "moderated_job": Fault(kinds=_CREATE, weight=1, do=doomed("moderated")),
    "canceled_job": Fault(kinds=_CREATE, weight=1, do=doomed("canceled")),
    "expired_job": Fault(kinds=_CREATE, weight=1, do=doomed("expired")),
    "no_output": Fault(kinds=_CREATE, weight=1, do=doomed("no_output")),
    "removed_job": Fault(kinds=_CREATE, weight=0, do=doomed("removed")),
    "dead_asset": Fault(kinds=_CREATE, weight=1, do=doomed("dead_asset")),
    **{name: Fault(kinds=_COMPONENT, weight=1, do=doomed(name)) for name in pages.ODDITIES},
    "404": Fault(kinds=_CONTENT, weight=2, do=missing),
    "huge": Fault(kinds=_CONTENT, weight=1, do=huge, number=4096),
    "huge_unannounced": Fault(kinds=_CONTENT, weight=1, do=huge_unannounced, number=4096),
    "wrong_type": Fault(kinds=_CONTENT, weight=2, do=wrong_type),
    "disguised": Fault(kinds=_CONTENT, weight=2, do=disguised),
    "empty": Fault(kinds=_CONTENT, weight=1, do=empty),
    "truncated": Fault(kinds=_CONTENT, weight=2, do=truncated),
    "twice": Fault(kinds=_WEBHOOK, weight=3, do=webhooks.twice),
    "late": Fault(kinds=_WEBHOOK, weight=3, do=webhooks.late, number=5),
    "lost": Fault(kinds=_WEBHOOK, weight=3, do=webhooks.lost),
    "stale": Fault(kinds=_WEBHOOK, weight=1, do=webhooks.stale),
    "forged": Fault(kinds=_WEBHOOK, weight=1, do=webhooks.forged),
    "unsigned": Fault(kinds=_WEBHOOK, weight=1, do=webhooks.unsigned),
    "halved": Fault(kinds=_WEBHOOK, weight=1, do=webhooks.halved),
}


class UnknownFault(Exception):
    """There is no such fault for this kind of call. The message lists the possible ones."""


class Faults:
    """Chooses the fault of each call: queued ones first, then random ones. Counts them."""

    def __init__(self, seed: int | str | None) -> None:
        self._seed = seed
        self._random: dict[tuple[str, Kind], random.Random] = {}
        self._queued: dict[Kind, deque[tuple[str, float]]] = {kind: deque() for kind in KINDS}
        self._met: Counter[tuple[str, Kind, str]] = Counter()
        self._lock = threading.Lock()

    def queue(self, script: object) -> None:
        """
        Queue all or none of these faults for the next calls: ``{"create": ["429:2", "reset_after_accept"], "content": [...]}``.

        :raises UnknownFault: a kind of call or a name does not exist.
        """
        if not isinstance(script, dict) or not all(isinstance(names, list) for names in script.values()):
            raise UnknownFault(f"Faults are an object of lists of names; its members may be {', '.join(KINDS)}.")
        parsed = [(kind, _parse(kind, name)) for kind, names in script.items() for name in names]
        with self._lock:
            for kind, fault in parsed:
                self._queued[kind].append(fault)

    def left(self) -> int:
        """Return the number of queued faults that no call has met yet."""
        with self._lock:
            return sum(map(len, self._queued.values()))

    def befall(self, visit: Visit) -> Response:
        """Return the answer to a call, with or without a fault."""
        chosen = self._choose(visit.dialect.name, visit.call.kind)
        if chosen is None and visit.asks_for_a_page():
            chosen = self._choose(visit.dialect.name, "page")
        if chosen is None:
            return visit.serve()
        fault, number = chosen
        response = fault.do(visit, number)
        assert response is not None
        return response

    def befall_webhook(self, dialect: str, delivery: Delivery) -> None:
        """Deliver a webhook of this dialect, with or without a fault."""
        chosen = self._choose(dialect, "webhook")
        if chosen is None:
            delivery.go()
        else:
            chosen[0].do(delivery, chosen[1])

    def draw(self, dialect: str, kind: Kind) -> tuple[str, float] | None:
        """Return name and number of the random fault of the next call of this kind in this dialect, or ``None``."""
        if self._seed is None:
            return None
        chance = self._random.setdefault((dialect, kind), random.Random(f"{self._seed} {dialect} {kind}"))
        if chance.random() >= CHANCES[kind]:
            return None
        able = {name: fault for name, fault in FAULTS.items() if kind in fault.kinds}
        [name] = chance.choices([*able], [fault.weight for fault in able.values()])
        return name, FAULTS[name].number

    def log(self) -> list[dict[str, object]]:
        """Return how often each fault was met since the start, by dialect and kind of call."""
        with self._lock:
            return [
                {"dialect": dialect, "kind": kind, "fault": name, "count": count}
                for (dialect, kind, name), count in sorted(self._met.items())
            ]

    def _choose(self, dialect: str, kind: Kind) -> tuple[Fault, float] | None:
        with self._lock:
            chosen = self._queued[kind].popleft() if self._queued[kind] else self.draw(dialect, kind)
            if chosen is None:
                return None
            self._met[dialect, kind, chosen[0]] += 1
        return FAULTS[chosen[0]], chosen[1]


def _parse(kind: Kind, text: object) -> tuple[str, float]:
    if kind not in KINDS:
        raise UnknownFault(f"There are no faults of {kind!r}; there are of {', '.join(KINDS)}.")
    name, _, number = str(text).partition(":")
    fault = FAULTS.get(name)
    if fault is None or kind not in fault.kinds or not re.fullmatch(r"([0-9]{1,6}(\.[0-9]{1,3})?)?", number):
        able = ", ".join(name for name, fault in FAULTS.items() if kind in fault.kinds)
        raise UnknownFault(f"A {kind} has no fault {text!r}; it has {able}, each with an optional ':number'.")
    return name, float(number) if number else fault.number


def _bytes_without_end(response: Response, mebibytes: float) -> Iterator[bytes]:
    """Yield the asset's own bytes, so that its beginning looks right, and then zeros."""
    assert isinstance(response.body, bytes)
    left = int(mebibytes * 2**20)
    piece = response.body
    while left > 0:
        yield piece[:left]
        left -= len(piece)
        piece = bytes(65536)
