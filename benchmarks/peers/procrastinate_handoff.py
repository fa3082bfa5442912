"""Run jobs that sleep, 4 at a time, in the peers' environment; print start and end of each as JSON."""

import asyncio
import json
import os
import time

import procrastinate

host, jobs, seconds = os.environ["PEER_HOST"], int(os.environ["PEER_JOBS"]), float(os.environ["PEER_SECONDS"])
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=f"host={host} user=postgres dbname=genqueue"))
runs: list[tuple[float, float]] = []


@app.task
async def nap() -> None:
    started = time.time()
    await asyncio.sleep(seconds)
    runs.append((started, time.time()))


async def main() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for _ in range(jobs):
            await nap.defer_async()
        await app.run_worker_async(concurrency=4, wait=False, install_signal_handlers=False)
    print(json.dumps(runs))


asyncio.run(main())
