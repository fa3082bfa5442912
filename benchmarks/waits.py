"""
500 clients of one user in ``GET jobs/{id}/?wait=60`` at one web process: what waiting costs it, and how soon a change is told.

Each client waits for a job of its own. In the first round the jobs are cancelled one after the other; in the second all at once,
as when a batch is cancelled. Connections are those of the web process, sampled from the first request to the last answer.
"""

import asyncio
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import stand

CLIENTS = 500
WAIT_SECONDS = 60
PACE_SECONDS = 0.02  # between two changes of the first round
SAMPLED_SECONDS = 0.05
OURS = "bench"  # the name of our own connections


class Web:
    """The web process, and the most that it held."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port
        self.connections = 0

    def status(self, name: str) -> int:
        """Return a number of ``/proc/PID/status``: ``VmRSS`` in kB, ``Threads``."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Keep the most connections that it has at a time within the block."""
        is_over = threading.Event()

        def sample() -> None:
            while not is_over.wait(SAMPLED_SECONDS):
                self.connections = max(self.connections, connections())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            yield
        finally:
            is_over.set()
            sampler.join()


def connections() -> int:
    """Return the number of connections of others."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND application_name <> %s",
            [OURS],
        )
        return int(cursor.fetchone()[0])


async def waited(web: Web, key: str, job: int) -> float:
    """Wait for a change of the job. Return when the answer was there. :raises RuntimeError: it is not about a cancelled job."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    asked = (
        f"GET /api/v1/jobs/{job}/?wait={WAIT_SECONDS}&after=1 HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    )
    writer.write(asked.encode())
    answer = await reader.read()
    came = time.monotonic()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200") or b'"state":"cancelled"' not in answer:
        raise RuntimeError(f"job {job} answered {answer[:300]!r}")
    return came


def made(user: Any) -> tuple[Any, list[Any]]:
    """Return a batch with a job for each client."""
    from queue_app import clock
    from queue_app.work import intake

    drafts = [intake.Draft(stand.MODEL, f"number {number} takes 0") for number in range(CLIENTS)]
    batch, jobs = intake.enqueue(user, drafts, at=clock.now(), actor="bench", batch_name="bench")
    return batch, jobs


async def wait_all(web: Web, key: str, jobs: list[Any]) -> list["asyncio.Task[float]"]:
    """Start a client for each job, and return when all wait: when the web process holds one connection, and answers others."""
    clients = [asyncio.create_task(waited(web, key, job.pk)) for job in jobs]
    quiet = 0
    while quiet < 10:
        await asyncio.sleep(0.1)
        quiet = quiet + 1 if await asyncio.to_thread(connections) == 1 else 0
    if not_waiting := [client for client in clients if client.done()]:
        raise RuntimeError(f"{len(not_waiting)} clients did not wait") from not_waiting[0].exception()
    return clients


async def one_by_one(web: Web, key: str, user: Any) -> list[float]:
    """Return the seconds from each change to its answer."""
    from queue_app import clock
    from queue_app.work import jobs as verbs

    _, jobs = await asyncio.to_thread(made, user)
    before = web.status("VmRSS"), web.status("Threads")
    clients = await wait_all(web, key, jobs)
    stand.figure("memory of a waiting client", (web.status("VmRSS") - before[0]) / CLIENTS, " kB")
    stand.verdict("more threads while they wait", web.status("Threads") - before[1], most=10)
    changed = []
    for job in jobs:
        await asyncio.to_thread(verbs.cancel, job, at=await asyncio.to_thread(clock.now), actor=user)
        changed.append(time.monotonic())
        await asyncio.sleep(PACE_SECONDS)
    return [max(0.0, came - at) for came, at in zip(await asyncio.gather(*clients), changed, strict=True)]


async def all_at_once(web: Web, key: str, user: Any) -> float:
    """Return the seconds from one change of all jobs to the last answer."""
    from queue_app import clock
    from queue_app.work import batches

    batch, jobs = await asyncio.to_thread(made, user)
    clients = await wait_all(web, key, jobs)
    await asyncio.to_thread(batches.cancel, batch, at=await asyncio.to_thread(clock.now), actor=user)
    changed = time.monotonic()
    return max(await asyncio.gather(*clients)) - changed


def main() -> None:
    from django.db import connection

    from queue_app import clock, tickets
    from queue_app.models import ApiKey, User

    stand.buy_instantly(limit=1)
    user = User.objects.create_user("bench")
    tickets.grant(user, 3 * CLIENTS, at=clock.now(), actor="bench", reason="bench")
    key = ApiKey.objects.create(user, scopes=["read"])[1]
    port = stand.free_port()
    with stand.program("web", "-m", "uvicorn", "genqueue_site.asgi:application", "--port", str(port)) as process:
        stand.wait_until(lambda: stand.listens(port), seconds=60)
        os.environ["PGAPPNAME"] = OURS  # of all connections that this process opens from now on
        connection.close()
        web = Web(process.pid, port)
        with web.sampled():
            asyncio.run(measured(web, key, user))
        stand.verdict("most database connections of the web process", web.connections, most=10)


async def measured(web: Web, key: str, user: Any) -> None:
    delays = await one_by_one(web, key, user)
    stand.figure("change to answer p50", statistics.median(delays) * 1000, " ms")
    stand.verdict("change to answer p95", stand.percentile(delays, 0.95) * 1000, most=200, unit=" ms")
    stand.figure("all change at once: until the last answer", await all_at_once(web, key, user), " s")


if __name__ == "__main__":
    with stand.installation():
        main()
