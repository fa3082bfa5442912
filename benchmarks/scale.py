"""
Reads of a long queue by people and programs: 1,000,000 queued jobs, 5,000,000 finished ones, 5,000,000 events.

Each request is repeated through Django's test client, its answer is checked and its statements are counted. The first answer is
not measured. ``BENCH_SCALE=0.1`` uses a tenth of the rows, for a first look.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import claim, stand

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
QUEUED, FINISHED = round(1_000_000 * SCALE), round(5_000_000 * SCALE)
ROUNDS = 40
SERVED_SECONDS = 6.0  # measuring time of a shared answer, so that its computations are included
FINISH = """
    INSERT INTO queue_app_job (
        owner_id, kind_id, model_id, prompt, parameters, metadata, priority, priority_reasons, order_key,
        held, state, event_seq, attempt_number, fence, lease_taken, leased_by, worker_deaths, store_tries, cancel_reason,
        error_code, error_message, preview, tickets, usd_estimate, queued_at, started_at, ended_at, ran_seconds)
    SELECT %(owner)s, 'video', (%(models)s::text[])[1 + n %% %(count)s], 'finished ' || n, '{}', '{}', 0, '[]', n,
        false, CASE WHEN n %% 20 = 0 THEN 'failed' ELSE 'completed' END, 4, 1, 3, false, '', 0, 1, '',
        CASE WHEN n %% 20 = 0 THEN 'timeout' ELSE '' END, '', true, 1, 0,
        at - interval '90 s', at - interval '60 s', at, 10 + n %% 50
      FROM generate_series(1, %(jobs)s) n, LATERAL (SELECT %(at)s - (%(jobs)s - n) * interval '1 year' / %(jobs)s AS at) done
"""
EVENTS = """
    INSERT INTO queue_app_jobevent (job_id, seq, at, from_state, to_state, actor, reason, attempt, data)
    SELECT id, event_seq, ended_at, 'storing', state, 'bench', '', 1, '{}' FROM queue_app_job WHERE state <> 'queued' ORDER BY id
"""


@contextmanager
def without_indexes(*tables: str) -> Iterator[None]:
    """Drop the tables' plain indexes for the block and create them again: sorting once is faster than millions of inserts."""
    from django.db import connection

    plain = """
        SELECT indexdef, format('DROP INDEX %%I', indexname) FROM pg_indexes
         WHERE tablename = ANY(%s) AND indexname NOT IN (SELECT conname FROM pg_constraint)
    """
    with connection.cursor() as cursor:
        cursor.execute(plain, [list(tables)])
        found = cursor.fetchall()
        for _, drop in found:
            cursor.execute(drop)
        yield
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for definition, _ in found:
            cursor.execute(definition)
        for table in tables:
            cursor.execute(f"VACUUM ANALYZE {table}")


def fill() -> None:
    """Insert the rows in bulk, without triggers, ledger and attempts."""
    from django.db import connection

    from queue_app import clock
    from queue_app.models import GenerationModel, User

    owner = User.objects.create_user("past")
    models = list(GenerationModel.objects.order_by("key").values_list("key", flat=True)[:11])
    began = time.monotonic()
    with without_indexes("queue_app_job", "queue_app_jobevent", "queue_app_reservation"), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        values: dict[str, Any] = {"owner": owner.pk, "models": models, "count": len(models), "jobs": FINISHED, "at": clock.now()}
        cursor.execute(FINISH, values)
        cursor.execute(EVENTS)
        claim.fill(QUEUED)
    print(f"{QUEUED:,} queued, {FINISHED:,} finished with an event each: filled in {time.monotonic() - began:.0f} s")


def measure(
    words: str,
    ask: Callable[[], Any],
    *,
    most: float,
    half: float | None = None,
    seconds: float = 0.0,
    statements_most: int | None = None,
) -> None:
    """
    Print p50, p95 and the number of statements of a call, and whether p95 is within ``most`` and p50 within ``half`` ms, and the
    statements within ``statements_most``.
    """
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask()
    with CaptureQueriesContext(connection) as captured:
        ask()
    statements = len(captured)  # read it now, as the next request empties the log
    taken: list[float] = []
    ends = time.monotonic() + seconds
    while len(taken) < ROUNDS or time.monotonic() < ends:
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(seconds / 100)
    p50, p95 = statistics.median(taken), stand.percentile(taken, 0.95)
    print(f"        {words}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, {statements} statements")
    stand.verdict(f"{words}, p95", p95, most=most, unit=" ms")
    if half is not None:
        stand.verdict(f"{words}, p50", p50, most=half, unit=" ms")
    if statements_most is not None:
        stand.verdict(f"{words}, statements", statements, most=statements_most)


def measure_reads() -> None:
    from django.test import Client
    from django.urls import reverse

    from queue_app.models import ApiKey, Job, State, User

    staff = Client(headers={"host": "localhost"})
    staff.force_login(User.objects.create_superuser("chief"))
    owners = User.objects.filter(username__in=("bench", "chief")).order_by("username")
    keys = [ApiKey.objects.create(owner, scopes=["read", "submit"])[1] for owner in owners]
    user, chief = (Client(headers={"host": "localhost", "authorization": f"Bearer {key}"}) for key in keys)

    def page(client: Client, address: str, **headers: str) -> Callable[[], bytes]:
        def ask() -> bytes:
            answer = client.get(address, headers=headers)
            if answer.status_code not in (200, 204, 304):
                raise RuntimeError(f"{address} answered {answer.status_code}")
            return answer.content

        return ask

    lane = Job.objects.filter(state=State.QUEUED, model=Job.objects.filter(state=State.QUEUED).earliest("id").model_id)
    jobs = lane.count()
    for words, place in (("head", 0), ("middle", jobs // 2), ("end", jobs - 1)):
        job = lane.in_dispatch_order()[place]
        answer = user.get(f"/api/v1/jobs/{job.pk}/").json()
        if answer["position"] != place + 1:
            raise RuntimeError(f"the job at place {place + 1} of {jobs} has position {answer['position']}")
        measure(f"API, a job at the {words} of its lane of {jobs:,}", page(user, f"/api/v1/jobs/{job.pk}/"), most=10, half=5)
        measure_status(f"a job at the {words}", user, job.pk, page)
    finished = Job.objects.filter(state=State.COMPLETED).latest("id")
    measure("API, a finished job", page(chief, f"/api/v1/jobs/{finished.pk}/"), most=10, half=5)
    measure_status("a finished job", chief, finished.pk, page)
    measure_writes(user)
    measure("API, queue/ as served", page(chief, "/api/v1/queue/"), most=10, seconds=SERVED_SECONDS)
    measure_summary()
    index, jobs_list = reverse("admin:index"), reverse("admin:queue_app_job_changelist")
    for query in ("", "?status=queued", "?status=failed", "?q=finished+77777", "?q=finished", "?p=3"):
        measure(f"admin, jobs {query or 'as they come'}", page(staff, jobs_list + query), most=150)
    measure("admin, dashboard", page(staff, index), most=150, seconds=SERVED_SECONDS)
    fragment = page(staff, index, **{"HX-Request": "true"})
    measure("admin, dashboard fragment, every part of it", fragment, most=150, seconds=SERVED_SECONDS)


def measure_status(words: str, client: Any, job: int, page: Callable[..., Callable[[], bytes]]) -> None:
    """Measure the light status of a job, and its answer to a client that knows it."""
    address = f"/api/v1/jobs/{job}/status/"
    known = {"If-None-Match": client.get(address).headers["ETag"]}
    if client.get(address, headers=known).status_code != 304:
        raise RuntimeError(f"{address} does not know its own tag")
    measure(f"API, the status of {words}", page(client, address), most=10, half=5, statements_most=4)
    measure(f"API, the status of {words}, unchanged", page(client, address, **known), most=10, half=5, statements_most=4)


def measure_writes(user: Any) -> None:
    """Measure enqueueing and cancelling single jobs, and reading a batch of fifty."""
    from queue_app import clock, tickets
    from queue_app.models import User

    tickets.grant(User.objects.get(username="bench"), 1_000, at=clock.now(), actor="bench", reason="bench")

    def sent(address: str, body: Any = None) -> Any:
        answer = user.post(f"/api/v1/{address}", body or {}, content_type="application/json")
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"{address} answered {answer.status_code}: {answer.content!r}")
        return answer.json()

    wanted = {"model": stand.MODEL, "prompt": "number 1 takes 0"}
    made: list[int] = []
    measure("API, enqueue", lambda: made.append(sent("jobs/", wanted)["id"]), most=100)
    measure("API, cancel", lambda: sent(f"jobs/{made.pop()}/cancel/"), most=100)
    batch = sent("jobs/batch/", {"jobs": [wanted] * 50})["batch"]
    measure("API, one batch of fifty", lambda: user.get(f"/api/v1/batches/{batch}/"), most=20)


def measure_summary() -> None:
    from django.core.cache import cache

    from queue_app import clock
    from queue_app.api.views import queue
    from queue_app.models import User

    chief = User.objects.get(username="chief")

    def compute() -> None:
        cache.clear()
        at = clock.now()
        queue.glance(at), queue.count(chief, at=at)

    measure("queue summary, its computation", compute, most=100)


def main() -> None:
    stand.buy_instantly(limit=50)
    fill()
    stand.say_load()
    measure_reads()


if __name__ == "__main__":
    with stand.installation():
        main()
