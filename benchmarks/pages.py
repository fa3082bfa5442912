"""
Pages: 120 from one CSV, ten at a time, on a complete installation with the studio. How long one page takes, how soon a finished
stage is told and shown, and how fast calls are answered meanwhile.
"""

import csv
import io
import json
import os
import re
import statistics
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import requests

from benchmarks import page_samples, stand

PAGES, AT_ONCE, CALLS = 120, 10, 60
STUDIO_SECONDS = 3.0
PASSWORD = "bench-pages"  # noqa: S105 - of an installation that is removed afterwards
LONGEST = 900.0


def sheet() -> str:
    """Return the CSV with the pages."""
    out = io.StringIO()
    rows = [page_samples.metadata(number) for number in range(PAGES)]
    names = [name for name in rows[0] if name not in ("keywords", "product")]
    writer = csv.writer(out)
    writer.writerow([*names, "keywords", "product"])
    for row in rows:
        writer.writerow([*(row[name] for name in names), "; ".join(row["keywords"]), json.dumps(row["product"])])
    return out.getvalue()


class Client:
    """A user at the web server: pages by session, calls by key."""

    def __init__(self, url: str, key: str):
        self.url, self.web, self.api = url, requests.Session(), requests.Session()
        self.api.headers["Authorization"] = f"Bearer {key}"

    def sign_in(self) -> None:
        self.post("/login/", {"username": "pages", "password": PASSWORD}, of="/login/")

    def post(self, path: str, data: dict[str, Any], *, of: str, files: Any = None) -> requests.Response:
        """Send a form of a page, with its hidden fields."""
        page = self.web.get(self.url + of, timeout=60).text
        hidden = {
            name.group(1): value.group(1)
            for field in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page)
            if (name := re.search(r'name="([^"]*)"', field)) and (value := re.search(r'value="([^"]*)"', field))
        }
        answer = self.web.post(self.url + path, data=hidden | data, files=files, headers={"Referer": self.url + of}, timeout=120)
        answer.raise_for_status()
        return answer

    def timed(self, method: str, path: str, **more: Any) -> tuple[float, Any]:
        began = time.perf_counter()
        answer = self.api.request(method, f"{self.url}/api/v1/{path}", timeout=60, **more)
        took = time.perf_counter() - began
        answer.raise_for_status()
        return took * 1000, answer.json()


class Listener(threading.Thread):
    """Follows the live stream as a browser does, and loads the list of the batch's pages after each change."""

    def __init__(self, client: Client):
        super().__init__(daemon=True)
        self.client, self.batch = client, 0
        self.told: dict[int, list[float]] = {}  # job → when changes of it arrived
        self.loads: list[float] = []  # milliseconds

    def run(self) -> None:
        stream = self.client.api.get(f"{self.client.url}/api/v1/queue/stream/", stream=True, timeout=LONGEST)
        with suppress(requests.RequestException):  # at the end of the benchmark
            for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                if line.startswith("data: ") and "jobs" in line:
                    now = time.time()
                    for job in json.loads(line[6:])["jobs"]:
                        self.told.setdefault(job, []).append(now)

    def look(self) -> None:
        """Load what the page of the batch loads after a change."""
        began = time.perf_counter()
        address = f"{self.client.url}/pages/batches/{self.batch}/"
        self.client.web.get(address, headers={"HX-Request": "true"}, timeout=60).raise_for_status()
        self.loads.append((time.perf_counter() - began) * 1000)

    def after(self, job: int, ended: float) -> float | None:
        """Return the seconds from a moment until the next change of the job arrived."""
        return next((told - ended for told in self.told.get(job, ()) if told >= ended), None)


def one_page(client: Client) -> float:
    """Return the seconds from the request of a page to its end."""
    began = time.monotonic()
    body = {"kind": "page", "model": "page-writer", "metadata": page_samples.metadata(999)}
    _, job = client.timed("POST", "jobs/", json=body)
    stand.wait_until(lambda: client.timed("GET", f"jobs/{job['id']}/status/")[1]["done"], seconds=120)
    return time.monotonic() - began


def calls_meanwhile(client: Client, listener: Listener) -> dict[str, list[float]]:
    """Queue, read and cancel pages while others are written; return the milliseconds of each kind of call."""
    took: dict[str, list[float]] = {"enqueue": [], "status": [], "cancel": []}
    for number in range(CALLS):
        body = {"kind": "page", "model": "page-writer", "metadata": page_samples.metadata(1_000 + number)}
        spent, job = client.timed("POST", "jobs/", json=body)
        took["enqueue"].append(spent)
        took["status"].append(client.timed("GET", f"jobs/{job['id']}/")[0])
        took["cancel"].append(client.timed("POST", f"jobs/{job['id']}/cancel/")[0])
        listener.look()
        time.sleep(0.5)
    return took


def run(site: Any) -> None:
    from campaigns.models import Page
    from queue_app import clock, tickets
    from queue_app.models import Attempt, Job, JobStage, ModelConcurrencyLimit, QueueSettings, User

    site.prepare()
    with site.orm():
        user = User.objects.create_user("pages", password=PASSWORD)
        tickets.grant(user, 10_000, at=clock.now(), actor="bench", reason="to spend")
        QueueSettings.objects.update(max_concurrent=50)
        ModelConcurrencyLimit.objects.filter(model="page-writer").update(max_concurrent=AT_ONCE)
    key = site.manage("create_api_key", "pages", "--scope", "read", "submit")
    studio = site.start_studio(seconds_per_job=STUDIO_SECONDS)
    site.start_web()
    worker = site.start_worker()
    site.wait_until_working(worker)
    client = Client(site.url, key)
    client.sign_in()
    stand.verdict("one page, from the request to its files", one_page(client), most=30, unit=" s")
    listener = Listener(client)
    listener.start()
    form = "/pages/new/many/"
    client.post(form, {"do": "read"}, of=form, files={"file": ("spring.csv", sheet(), "text/csv")})
    began, generated = time.monotonic(), time.perf_counter()
    answer = client.post(form, {"do": "generate"}, of=form)
    listener.batch = int(answer.url.rstrip("/").rpartition("/")[2])
    stand.figure(f"{PAGES} pages queued by the form", time.perf_counter() - generated, " s")
    took = calls_meanwhile(client, listener)
    with site.orm():
        stand.wait_until(lambda: not Job.objects.open().exists(), seconds=LONGEST)
        seconds = time.monotonic() - began
        mine = Job.objects.filter(batch__name__startswith="spring", state="completed")
        rows = list(JobStage.objects.filter(job__in=mine, step="").values_list("job", "name", "ended_at", "seconds"))
        standings = Counter(Page.objects.filter(job__in=mine).values_list("verdict", flat=True))
        calls = Attempt.objects.exclude(step="main").filter(job__in=mine).count()
        count = mine.count()
    time.sleep(2)
    lags = [listener.after(job, ended.timestamp()) for job, name, ended, _ in rows if ended and name != "storage"]
    told = [one for one in lags if one is not None]
    by_stage: dict[str, list[float]] = {}
    for _, name, _, seconds_of in rows:
        by_stage.setdefault(name, []).append(seconds_of or 0.0)
    for name, each in by_stage.items():
        stand.figure(f"{name}, p50 (longest {max(each):.2f} s)", statistics.median(each), " s")
    stand.figure(f"{count} pages with {calls} calls of {STUDIO_SECONDS:g} s", seconds, " s")
    print(f"  checks: {dict(standings)}; at most {studio.log()['peak']} at once at the studio", flush=True)
    stand.verdict("pages with all seven stages timed", count if len(rows) == 7 * count else 0, least=PAGES)
    stand.verdict("at once at the studio", studio.log()["peak"], most=AT_ONCE)
    shown = stand.percentile(listener.loads, 0.95) / 1000
    stand.verdict("ends of stages told by the live stream", len(told) / len(lags), least=1)
    stand.verdict(
        "from the end of a stage until it is told and loaded, p95", stand.percentile(told, 0.95) + shown, most=1, unit=" s"
    )
    for name, spent in took.items():
        stand.verdict(f"{name} meanwhile, p95", stand.percentile(spent, 0.95), most=100, unit=" ms")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gq-pages-") as home:
        os.environ |= {"GENQUEUE_VAR": home, "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "genqueue_site.settings"}
        import django

        django.setup()
        from tests.processes import Site

        site = Site(LONG_WORKERS=str(AT_ONCE), LOG_LEVEL="WARNING")
        try:
            run(site)
        finally:
            site.close()


if __name__ == "__main__":
    main()
