"""
Pressure over time: an idle transaction, long overlapping readers, and a soak, which includes both.

Fifty slots are kept full with jobs of two seconds from twenty users, more than a queue of paid generations ever has. The rate at
the end of each trial is compared with the rate right before it. ``BENCH_IDLE_MINUTES`` (10) is the duration of the transaction
and of the readers, ``BENCH_SOAK_MINUTES`` (30) that of the soak.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from benchmarks import stand

IDLE_SECONDS = 60 * float(os.environ.get("BENCH_IDLE_MINUTES", "10"))
SOAK_SECONDS = 60 * float(os.environ.get("BENCH_SOAK_MINUTES", "30"))
WINDOW_SECONDS, WARM_UP_SECONDS, REST_SECONDS = 60.0, 30.0, 30.0
BACKLOG, AT_ONCE, LIMIT, SECONDS, USERS = 600, 10, 50, 2, 20
READERS, READ_SECONDS = 4, 60.0
TABLES = (
    *("queue_app_job", "queue_app_attempt", "queue_app_reservation", "queue_app_wallet", "queue_app_outboxmessage"),
    *("queue_app_provideraccount", "queue_app_workerprocess", "django_q_ormq"),
)


class Load:
    """A context that keeps a backlog of jobs."""

    def __init__(self) -> None:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._feed)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _feed(self) -> None:
        from django.db import connection

        from queue_app import clock
        from queue_app.models import Job, State, User
        from queue_app.work import intake

        drafts = [intake.Draft(stand.MODEL, f"number n takes {SECONDS}")] * AT_ONCE
        with closing(connection):
            while not self._ends.wait(1):
                if Job.objects.filter(state=State.QUEUED)[:BACKLOG].count() < BACKLOG:
                    for user in User.objects.filter(username__startswith="bench"):
                        intake.enqueue(user, drafts, at=clock.now(), actor="bench")


def rate() -> float:
    """Return the jobs completed per second, measured over a window that starts now."""
    from queue_app import clock
    from queue_app.models import Job, State

    began = clock.now()
    time.sleep(WINDOW_SECONDS)
    ended = clock.now()
    jobs = Job.objects.filter(state=State.COMPLETED, ended_at__gt=began, ended_at__lte=ended).count()
    return jobs / (ended - began).total_seconds()


@contextmanager
def other_session() -> Iterator[Any]:
    from django.db import connection

    with closing(connection.get_new_connection(connection.get_connection_params())) as other, other.cursor() as cursor:
        yield cursor


@contextmanager
def idle_transaction() -> Iterator[None]:
    """Run the block beside a transaction that has read and written and is then left idle."""
    with other_session() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_current_xact_id(), count(*) FROM queue_app_job")
        yield


@contextmanager
def long_readers() -> Iterator[None]:
    """Run the block beside four readers, each with snapshots of a minute, started 15 seconds apart, so that one is always old."""
    ends = threading.Event()

    def read(number: int) -> None:
        ends.wait(number * READ_SECONDS / READERS)
        while not ends.is_set():
            with other_session() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                until = time.monotonic() + READ_SECONDS
                while time.monotonic() < until and not ends.wait(2):
                    cursor.execute("SELECT state, count(*) FROM queue_app_job GROUP BY state")

    readers = [threading.Thread(target=read, args=[number]) for number in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        ends.set()
        for reader in readers:
            reader.join()


def trial(words: str, beside: Callable[[], Any]) -> None:
    """Measure the rate, apply the pressure, and measure again in its last window."""
    before = rate()
    with beside():
        time.sleep(max(0.0, IDLE_SECONDS - WINDOW_SECONDS))
        tell(words, before, rate())


def tell(words: str, before: float, after: float) -> None:
    dead = dead_rows()
    print(f"{words}: {before:.1f} jobs/s before, {after:.1f} at its end; dead rows, and those updated in place:")
    print("        " + "; ".join(f"{table} {rows:,} ({100 * share:.0f} %)" for table, rows, share in dead if rows))
    stand.verdict(f"rate with {words}, of the rate before", after / before, least=0.9)


def dead_rows() -> list[tuple[str, int, float]]:
    """Return (table, dead rows, share of updates that changed no index), most dead rows first."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT relname, n_dead_tup, coalesce(n_tup_hot_upd::float / nullif(n_tup_upd, 0), 0) FROM pg_stat_user_tables
                WHERE relname = ANY(%s) ORDER BY n_dead_tup DESC""",
            [list(TABLES)],
        )
        return list(cursor.fetchall())


def main() -> None:
    from queue_app import clock, tickets
    from queue_app.models import User

    stand.buy_instantly(limit=LIMIT)
    for number in range(USERS):
        user = User.objects.create_user(f"bench{number}")
        tickets.grant(user, 1_000_000, at=clock.now(), actor="bench", reason="bench")
    minutes, soak = f"{IDLE_SECONDS / 60:g}", f"{SOAK_SECONDS / 60:g}"
    with stand.worker(), Load():
        time.sleep(WARM_UP_SECONDS)
        began, at_first = time.monotonic(), rate()
        trial(f"a transaction left idle for {minutes} min", idle_transaction)
        time.sleep(REST_SECONDS)
        trial(f"{READERS} overlapping readers for {minutes} min", long_readers)
        time.sleep(max(REST_SECONDS, began + SOAK_SECONDS - WINDOW_SECONDS - time.monotonic()))
        tell(f"a soak of {soak} min", at_first, rate())


if __name__ == "__main__":
    with stand.installation(WORKERS="2"):
        main()
