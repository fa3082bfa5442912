"""
The dispatcher loop: claim what fits, hand out what is due, sweep, prune. One leads among all; the others stand by.

It talks to nobody but the database, keeps nothing in memory, and does in a wake-up only what can be due.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import Error, connection

from queue_app import clock, database, lifecycle, wake
from queue_app.models import State
from queue_app.outbox import delivery
from queue_app.runtime import registry, tasks
from queue_app.runtime.listener import Listener
from queue_app.runtime.tasks import hand_out, hand_out_bulk, hand_out_messages
from queue_app.work import alerts, bulk, dispatch, recovery, retention

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = wake.SLEEP_SECONDS
REST = 3  # times what a round took, before the next; what is told meanwhile is answered by one round
LONGEST_REST_SECONDS = 0.2
FRUITLESS_SLEEP_SECONDS = 0.25  # after a round that found nothing although something is due: somebody else is at it
PRUNE_SECONDS = 60
TIDY_SECONDS = 3600
ALERT_SECONDS = 15
BACKOFF_SECONDS = (0.2, 0.5, 1, 2, 5)
WENT_WELL_SECONDS = 10  # a fault after that long is a new one
LOCK_SECONDS, STATEMENT_SECONDS = 0.25, 10  # that the loop waits in its other duties: claims stand still meanwhile


class Every:
    """Says whether its time has come again; ``at_once``: also when asked first."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self._seconds, self._last = seconds, -float("inf") if at_once else time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Dispatcher:
    """The loop of one `runworker`: `run()` on a thread of its own, until `stop()`."""

    def __init__(self) -> None:
        self.leads = False
        self.turned_at = time.monotonic()  # a loop that hangs does not turn, and its heartbeat stops
        self.came_round_at: float | None = None  # leading, and with everything done: what readiness asks for
        self._since: datetime | None = None  # by the database's clock, since when this loop has had it all the time
        self._held_up = False  # somebody had locked what claims need
        self._stopping = threading.Event()
        self._claims_at: datetime | None = None
        self._bell, self._rope = os.pipe()
        self._sweep, self._prune = Every(settings.TIMES.sweep), Every(PRUNE_SECONDS)
        self._tidy = Every(TIDY_SECONDS, at_once=False)
        self._review = Every(ALERT_SECONDS, at_once=False)  # the heartbeats of who just started come first

    def stop(self) -> None:
        """Begin no new round."""
        self._stopping.set()
        os.write(self._rope, b"!")

    def run(self) -> None:
        """Lead or stand by until stopped; a database that is gone is looked for again and again."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with closing(Listener(wake.DISPATCHER)) as listener:
                    self._lead_or_stand_by(listener)
            except Exception as error:
                if database.is_gone(error):
                    log.warning("dispatcher: the database is gone, looking for it again: %s", str(error).strip())
                else:
                    log.exception("dispatcher: a round failed; the next one follows")
            finally:
                self.begin_anew()
            failures = failures + 1 if time.monotonic() - began < WENT_WELL_SECONDS else 0
            self._stopping.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    def begin_anew(self) -> None:
        """Lead no longer, over a new connection; what an interrupted round left half done is looked for when leading again."""
        self.leads, self._since = False, None
        connection.close()

    def _lead_or_stand_by(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            self.turned_at = time.monotonic()
            if not listener.try_to_lead():
                listener.wait(LONGEST_SLEEP_SECONDS, also=self._bell)
                continue
            if not self.leads:
                log.info("dispatcher: leading")
            self.leads, woken = True, True
            while not self._stopping.is_set():
                began = time.monotonic()
                seconds = self.turn(woken=woken)
                self.turned_at = time.monotonic()
                rest = min(seconds, LONGEST_REST_SECONDS, REST * (self.turned_at - began))
                self._stopping.wait(rest)
                woken = "dispatch" in listener.wait(seconds - rest, also=self._bell) or self._held_up

    def turn(self, *, woken: bool) -> float:
        """Do what is due and give the seconds that may be slept now, at most 1."""
        seconds = self._turn(woken=woken)
        if not self._held_up:
            self.came_round_at = time.monotonic()
        return seconds

    def _turn(self, *, woken: bool) -> float:
        at = clock.now()
        sweeps = self._sweep.is_due()
        if self._since is None:  # what another leader, or this one before a cut, gave out may never have been queued
            self._since = at
            hand_out(lifecycle.waiting_for_a_worker(at=at, since=at))
        elif sweeps:
            hand_out(lifecycle.waiting_for_a_worker(at=at, since=at - timedelta(seconds=settings.TIMES.sweep)))
        if sweeps:
            _alone(partial(recovery.sweep, heard_since=self._since), at)
        if self._prune.is_due():
            for prune in (recovery.prune, bulk.prune, retention.prune, registry.prune, tasks.prune):
                _alone(prune, at)
        if self._tidy.is_due():
            _alone(tasks.hand_out_tidying, at)
        if self._review.is_due():
            _alone(alerts.review, at)
        due = dispatch.next_due(at=at)
        claims = woken or sweeps or _has_come(due.claims_at, at) or _has_come(self._claims_at, at)
        self._claims_at = due.claims_at  # the end of a pause is no longer foreseen once it has come
        if not claims and not _has_come(due.hands_out_at, at):
            self._held_up = False
            return _until(due.at, at)
        handed_out, self._held_up = _round(at, claims=claims)
        due = dispatch.next_due(at=at)
        if _has_come(due.at, at):
            return 0 if handed_out else FRUITLESS_SLEEP_SECONDS
        return _until(due.at, at)


def stand_in() -> None:
    """One round in place of a leader that stands still: nothing in it is the leader's alone."""
    at = clock.now()
    _alone(recovery.sweep, at)
    hand_out(lifecycle.waiting_for_a_worker(at=at, since=at - timedelta(seconds=settings.TIMES.sweep)))
    _round(at, claims=True)


def _round(at: datetime, *, claims: bool) -> tuple[int, bool]:
    """
    Everything that can be due; gives how many tasks were handed out, and whether claims were held up by somebody's lock. A claim
    that finds nothing would only keep those waiting who have freed a slot.
    """
    handed_out, held_up = hand_out(lifecycle.lease_due(at)), False
    if claims:
        _alone(lifecycle.fail_overdue, at)
        dispatch.wake_due(at=at)
        try:
            handed_out += hand_out((lease, State.SUBMITTING) for lease in dispatch.claim_due_jobs(at=at))
        except dispatch.ClaimsLocked as error:
            held_up = True
            log.warning("dispatcher: nothing can be claimed now, the others go on: %s", error)
    handed_out += hand_out_bulk(bulk.lease_due(at=at))
    return handed_out + hand_out_messages(delivery.lease_due(at=at)), held_up


def _has_come(moment: datetime | None, at: datetime) -> bool:
    return moment is not None and moment <= at


def _alone(verb: Callable[..., object], at: datetime) -> None:
    """
    Run a verb so that its fault, say at one bad row, does not keep the others from their work, and neither does a row that
    somebody has locked.
    """
    try:
        with database.in_haste(lock_seconds=LOCK_SECONDS, statement_seconds=STATEMENT_SECONDS):
            verb(at=at)
    except Exception as error:
        if database.is_gone(error):
            raise
        if isinstance(error, Error) and database.has_waited_in_vain(error):
            log.warning("dispatcher: %s waits for its next round: %s", _name(verb), str(error).strip())
        else:
            log.exception("dispatcher: %s failed; it is tried again in its next round", _name(verb))


def _name(verb: Callable[..., object]) -> str:
    return str(getattr(verb, "func", verb).__name__)


def _until(due_at: datetime | None, at: datetime) -> float:
    return min(LONGEST_SLEEP_SECONDS, (due_at - at).total_seconds()) if due_at else LONGEST_SLEEP_SECONDS
