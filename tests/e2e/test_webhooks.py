"""Real processes: the studio calls the web server about tasks of three vendors, and the jobs go on by that."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
from django.conf import settings

from queue_app import clock, tickets
from queue_app.models import Attempt, InboundWebhook, Job, ModelConcurrencyLimit, ModelRoute, User
from queue_app.models.job import OPEN_STATES
from queue_app.work import intake
from queue_app.work.intake import Draft
from tests.conftest import Figures
from tests.processes import Site, wait_for

pytestmark = pytest.mark.processes
ROUTES = {"veo-3.1": "fal", "seedance-2.0": "openrouter", "hailuo-2.3": "replicate"}
SECONDS = {"veo-3.1": 4, "seedance-2.0": 4, "hailuo-2.3": 6}
EACH = 4


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(WORKERS="3")
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def submit(site: Site) -> None:
    with site.orm():
        for model, account in ROUTES.items():
            ModelRoute.objects.filter(model=model).update(active=False)
            ModelRoute.objects.filter(model=model, account=account).update(active=True)
        ModelConcurrencyLimit.objects.update(max_concurrent=20)
        owner, at = User.objects.get_or_create(username="ana")[0], clock.now()
        tickets.grant(owner, 1_000, at=at, actor="tests", reason="to spend")
        drafts = [
            Draft(model, f"A kite over the bay, take {number}, by {model}.", parameters={"duration": SECONDS[model]})
            for number in range(EACH)
            for model in ROUTES
        ]
        intake.enqueue(owner, drafts, at=at, actor="tests")


def all_ended(site: Site) -> bool:
    with site.orm():
        return not Job.objects.filter(state__in=OPEN_STATES).exists()


def test_jobs_complete_by_webhooks_among_forged_lost_late_and_repeated_ones(site: Site, figures: Figures) -> None:
    studio = site.start_studio(seconds_per_job=2)
    web = site.start_web()
    worker = site.start_worker(PUBLIC_URL=site.url)
    site.wait_until_working(worker)
    studio.queue_faults(webhook=["forged", "twice", "stale", "unsigned", "lost", "halved", "late:1"])
    submit(site)
    began = time.monotonic()
    wait_for(lambda: all_ended(site), seconds=240, of="the end of all jobs")
    took = time.monotonic() - began
    wait_for(lambda: len(studio.log()["webhooks"]) >= 3 * EACH, seconds=60, of="the studio's last webhooks")

    with site.orm():
        assert Counter(Job.objects.values_list("state", "model")) == Counter({("completed", model): EACH for model in ROUTES})
        rows = list(InboundWebhook.objects.select_related("attempt"))
        assert {row.account_id for row in rows} == set(ROUTES.values())
        assert all(row.attempt is not None and row.attempt.remote_id == row.remote_id for row in rows)
        assert len({(row.account_id, row.event_id) for row in rows}) == len(rows) <= 3 * EACH
        tokens = list(Attempt.objects.values_list("token", flat=True))
        effects = Counter(row.effect for row in rows)
    creates = Counter(row["prompt"] for row in studio.log()["creates"] if row["accepted"])
    assert set(creates.values()) == {1} and len(creates) == 3 * EACH
    site.manage("check_invariants")
    said = web.said() + worker.said()
    assert not [token for token in tokens if token in said]
    answers = Counter(row["status"] for row in studio.log()["webhooks"])
    figures(f"{3 * EACH} jobs in {took:.1f} s; events {dict(effects)}; answers to the studio {dict(answers)}")


def test_the_web_server_reads_no_more_of_a_webhook_than_it_takes(site: Site) -> None:
    site.start_web()
    where = f"{site.url}/hooks/fal/{'x' * 43}"
    most = settings.WEBHOOK_MAX_BYTES
    assert requests.post(where, data=b"x" * most, timeout=30).status_code == 404
    assert requests.post(where, data=b"x" * (most + 1), timeout=30).status_code == 413
    pieces = (b"x" * 65_536 for _ in range(most // 65_536 + 2))
    assert requests.post(where, data=pieces, timeout=30).status_code == 413
    answered = requests.post(where, data=b"{}", timeout=30, allow_redirects=False)
    assert (answered.status_code, answered.headers.get("Location")) == (404, None)
