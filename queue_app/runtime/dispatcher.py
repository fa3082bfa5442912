"""
The dispatcher loop: claim jobs, hand out due work, run the recovery sweep, prune. One dispatcher of all is active (the leader);
the others stand by.

It talks to the database only, keeps no state that is not in a row, and does in each round only what may be due.
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

from queue_app import clock, database, lifecycle, turns, wake
from queue_app.forecast import experience
from queue_app.models import State
from queue_app.outbox import delivery
from queue_app.runtime import registry, tasks
from queue_app.runtime.listener import Listener
from queue_app.runtime.tasks import hand_out, hand_out_bulk, hand_out_messages, hand_out_schedules
from queue_app.work import aging, alerts, bulk, dispatch, policy, recovery, retention, schedules, ticket_budgets

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = wake.SLEEP_SECONDS
REST = 3  # pause after a round, in times of its duration; one round then answers all wake-ups of the pause
LONGEST_REST_SECONDS = 0.2
FRUITLESS_SLEEP_SECONDS = 0.25  # after a round that found nothing although something is due: another process has it
PRUNE_SECONDS = 60
TIDY_SECONDS = 3600
SAMPLE_SECONDS = 180  # as in the simulated day of the benchmarks
ALERT_SECONDS = 15
BACKOFF_SECONDS = (0.2, 0.5, 1, 2, 5)
WENT_WELL_SECONDS = 10  # an error after that long does not count as a repeated one
LOCK_SECONDS, STATEMENT_SECONDS = 0.25, 10  # longest waits in duties other than claims, which have to wait for them


class Every:
    """A timer that is due every ``seconds``; with ``at_once`` also at the first call of `is_due`."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self._seconds, self._last = seconds, -float("inf") if at_once else time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Dispatcher:
    """The dispatcher of one `runworker`. Call `run()` on its own thread; it returns after `stop()`."""

    def __init__(self) -> None:
        self.leads = False
        self.turned_at = time.monotonic()  # end of the last round; its heartbeat stops if the loop hangs
        self.came_round_at: float | None = None  # end of the last complete round as the leader, for the readiness check
        self._since: datetime | None = None  # database time since which this dispatcher has led without a break
        self._held_up = False  # another transaction held a lock that claims need
        self._stopping = threading.Event()
        self._claims_at: datetime | None = None
        self._bell, self._rope = os.pipe()
        self._sweep, self._prune = Every(settings.TIMES.sweep), Every(PRUNE_SECONDS)
        self._tidy = Every(TIDY_SECONDS, at_once=False)
        self._sample = Every(SAMPLE_SECONDS, at_once=False)
        self._review = Every(ALERT_SECONDS, at_once=False)  # workers that have just started must beat first

    def stop(self) -> None:
        """Let `run()` return after the current round."""
        self._stopping.set()
        os.write(self._rope, b"!")

    def run(self) -> None:
        """Lead or stand by until stopped; reconnect whenever the database is lost."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with closing(Listener(wake.DISPATCHER)) as listener:
                    self._lead_or_stand_by(listener)
            except Exception as error:
                if database.is_gone(error):
                    log.warning("dispatcher: lost the database, reconnecting: %s", str(error).strip())
                else:
                    log.exception("dispatcher: a round failed, starting the next one")
            finally:
                self.begin_anew()
            failures = failures + 1 if time.monotonic() - began < WENT_WELL_SECONDS else 0
            self._stopping.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    def begin_anew(self) -> None:
        """Give up leading and close the connection. When leading again, the first round looks for work that was interrupted."""
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
        """Do all due work and return the seconds to sleep, at most 1."""
        seconds = self._turn(woken=woken)
        if not self._held_up:
            self.came_round_at = time.monotonic()
        return seconds

    def _turn(self, *, woken: bool) -> float:
        at = clock.now()
        sweeps = self._sweep.is_due()
        if self._since is None:  # leases of the previous leader, or from before a cut, may have no task in the queue
            self._since = at
            hand_out(lifecycle.waiting_for_a_worker(at=at, since=at))
        elif sweeps:
            hand_out(lifecycle.waiting_for_a_worker(at=at, since=at - timedelta(seconds=settings.TIMES.sweep)))
        if sweeps:
            _alone(partial(recovery.sweep, heard_since=self._since), at)
            _alone(aging.raise_waiting, at)
            _alone(turns.resort, at)
        if self._prune.is_due():
            for prune in (recovery.prune, bulk.prune, retention.prune, experience.prune, registry.prune, tasks.prune):
                _alone(prune, at)
            _alone(ticket_budgets.count_on, at)
        if self._sample.is_due():
            _alone(tasks.hand_out_sampling, at)
        if self._tidy.is_due():
            _alone(tasks.hand_out_tidying, at)
        if self._review.is_due():
            _alone(alerts.review, at)
        due = dispatch.next_due(at=at)
        has_come = _has_come(due.claims_at, at) or _has_come(self._claims_at, at)
        if sweeps or has_come:
            _alone(ticket_budgets.look, at)
        claims = woken or sweeps or has_come
        self._claims_at = due.claims_at  # kept for the next round: `next_due` leaves out the end of a pause once it has passed
        if not claims and not _has_come(due.hands_out_at, at):
            self._held_up = False
            return _until(due.at, at)
        handed_out, self._held_up = _round(at, claims=claims)
        due = dispatch.next_due(at=at)
        if _has_come(due.at, at):
            return 0 if handed_out else FRUITLESS_SLEEP_SECONDS
        return _until(due.at, at)


def stand_in() -> None:
    """Do one round in place of a frozen leader. Everything in it may run in several processes at the same time."""
    at = clock.now()
    _alone(recovery.sweep, at)
    _alone(ticket_budgets.look, at)
    hand_out(lifecycle.waiting_for_a_worker(at=at, since=at - timedelta(seconds=settings.TIMES.sweep)))
    _round(at, claims=True)


def _round(at: datetime, *, claims: bool) -> tuple[int, bool]:
    """
    Hand out all due work. Return the number of tasks, and whether another transaction's lock prevented claims.

    ``claims`` is false if there can be nothing to claim: the claim lock would only delay workers that have freed a slot.
    """
    handed_out, held_up = hand_out(lifecycle.lease_due(at)), False
    if claims:
        _alone(lifecycle.fail_overdue, at)
        _alone(policy.end_batch_pauses, at)
        dispatch.wake_due(at=at)
        try:
            handed_out += hand_out((lease, State.SUBMITTING) for lease in dispatch.claim_due_jobs(at=at))
        except dispatch.ClaimsLocked as error:
            held_up = True
            log.warning("dispatcher: a lock prevents claims, continuing with other work: %s", error)
    handed_out += hand_out_bulk(bulk.lease_due(at=at)) + hand_out_schedules(schedules.lease_due(at=at))
    return handed_out + hand_out_messages(delivery.lease_due(at=at)), held_up


def _has_come(moment: datetime | None, at: datetime) -> bool:
    return moment is not None and moment <= at


def _alone(verb: Callable[..., object], at: datetime) -> None:
    """
    Run a verb so that neither its errors (such as one at a bad row) nor a locked row keep the other verbs from running.

    Only the loss of the connection is raised.
    """
    try:
        with database.in_haste(lock_seconds=LOCK_SECONDS, statement_seconds=STATEMENT_SECONDS):
            verb(at=at)
    except Exception as error:
        if database.is_gone(error):
            raise
        if isinstance(error, Error) and database.has_waited_in_vain(error):
            log.warning("dispatcher: %s waited too long, trying again in its next round: %s", _name(verb), str(error).strip())
        else:
            log.exception("dispatcher: %s failed, trying again in its next round", _name(verb))


def _name(verb: Callable[..., object]) -> str:
    return str(getattr(verb, "func", verb).__name__)


def _until(due_at: datetime | None, at: datetime) -> float:
    return min(LONGEST_SLEEP_SECONDS, (due_at - at).total_seconds()) if due_at else LONGEST_SLEEP_SECONDS
