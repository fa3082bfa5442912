"""An installation for one benchmark with its own home, database server and rows; run as ``python -m benchmarks.NAME``."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.results import FIGURES, ROOT

PEERS = ROOT / ".venv-peers"
MODEL = "text-writer"


@contextmanager
def installation(**env: str) -> Iterator[None]:
    """Run the block in a fresh installation with these environment variables; its server and files are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="gq-bench-") as home:
        os.environ |= {
            "GENQUEUE_VAR": home,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "LOG_LEVEL": "ERROR",
            "LONG_WORKERS": "1",
            **env,
        }
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command
        from django.db import connection

        from genqueue_site.db.embedded.base import server_for

        try:
            call_command("migrate", verbosity=0)
            call_command("seed_catalogue", verbosity=0)
            yield
        finally:
            connection.close()
            server_for(settings.DATABASES["default"]).stop()


def buy_instantly(*, limit: int) -> None:
    """Route ``MODEL`` to the provider without a network, with a limit of ``limit`` concurrent jobs."""
    from queue_app.models import ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings

    ProviderAccount.objects.create(key="instant", adapter="instant")
    ModelRoute.objects.filter(model=MODEL).delete()
    ModelRoute.objects.create(model_id=MODEL, account_id="instant", endpoint_id="instant")
    ModelConcurrencyLimit.objects.filter(model=MODEL).update(max_concurrent=limit)
    QueueSettings.objects.update(max_concurrent=1_000)


@contextmanager
def worker() -> Iterator[None]:
    """Run the block with a `runworker` that is up and beating."""
    from queue_app.models import WorkerProcess

    with program("worker", "manage.py", "runworker"):
        wait_until(lambda: WorkerProcess.objects.filter(role=WorkerProcess.Role.WORKER).count() >= 4, seconds=60)
        yield


@contextmanager
def program(name: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the block with a Python program, which gets SIGTERM at the end. Its output goes to a log of the installation."""
    log = Path(os.environ["GENQUEUE_VAR"]) / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=os.environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def wait_until(is_so: Callable[[], bool], *, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            raise TimeoutError(f"not so within {seconds:g} s")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def peers() -> Path:
    """
    Return the Python of the peers' environment, and create it if missing.

    It is separate because procrastinate needs psycopg 3, which must not be importable in ours.
    """
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        lock = str(ROOT / "requirements" / "peers.lock")
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock], check=True
        )
    return python


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def verdict(words: str, value: float, *, most: float | None = None, least: float | None = None, unit: str = "") -> None:
    """Print and record a figure with its budget (``most`` or ``least``) and whether it is met."""
    keep(words, value, unit=unit, most=most, least=least)
    print(results.line(words, value, most=most, least=least, unit=unit))


def figure(words: str, value: float, unit: str = "") -> None:
    """Print and record a figure without a budget."""
    keep(words, value, unit=unit)
    print(results.line(words, value, unit=unit))


def keep(words: str, value: float, **more: Any) -> None:
    """Record a figure in the file that the caller has named, if any, for the medians of several runs."""
    if FIGURES in os.environ:
        with Path(os.environ[FIGURES]).open("a") as figures:
            figures.write(json.dumps({"words": words, "value": value, **more}) + "\n")


def say_load() -> None:
    """Print the machine's load, which affects times, and ratios much less."""
    print(f"load average {os.getloadavg()[0]:.1f} over the last minute, {os.cpu_count()} cores")
