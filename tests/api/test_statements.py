"""How many statements each call costs its caller with a key, once what is shared is there: a number that grows is seen here."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app import statements as kept
from queue_app.forecast import estimates
from queue_app.insight import waiting
from tests.campaigns.support import jobs_of, make_campaign
from tests.factories import PAGE, BatchFactory, UserFactory, make_endpoint, make_job

pytestmark = pytest.mark.django_db
PROMPTS = {"model": "sora-2", "prompt": "A tram."}
CAMPAIGN = {
    "brand": "Maison Alder",
    "big_idea": "The parcel opens.",
    "dimensions": {"aesthetic": ["ugc", "cinematic"], "mood": ["energetic", "calm"]},
    "model": "sora-2",
    "duration": 4,
}
# the call, with what stands for the numbers of rows: at most so many statements, the key's among them
READS = {
    "jobs/{queued}/": 4,
    "jobs/{running}/": 7,
    "jobs/{completed}/": 6,
    "jobs/{failed}/": 6,
    "jobs/{page}/": 8,
    "jobs/{queued}/status/": 3,
    "jobs/{running}/status/": 3,
    "jobs/{completed}/status/": 2,
    "jobs/": 10,
    "jobs/?search=tram": 14,
    "jobs/?status=queued&page_size=1": 4,
    "jobs/{completed}/events/": 3,
    "batches/{batch}/": 8,
    "batches/": 8,
    "bulk-actions/": 2,
    "usage/": 5,
    "kinds/": 4,
    "dimensions/": 3,
    "brands/": 2,
    "models/": 8,
    "models/sora-2/": 9,
    "queue/": 2,
    "wallet/": 3,
    "webhook-endpoints/": 2,
    "webhook-endpoints/{endpoint}/deliveries/": 4,
    "wallet/entries/": 3,
    "campaigns/": 8,
    "campaigns/{campaign}/": 15,
    "campaigns/{campaign}/combinations/": 5,
    "combinations/{combination}/": 4,
}
# what enters the queue takes three more to lock, read and keep its owner's turns
WRITES = {
    "jobs/?dry_run=true": (PROMPTS, 8),
    "jobs/": (PROMPTS, 19),
    "jobs/batch/?dry_run=true": ({"jobs": [PROMPTS] * 50}, 8),
    "jobs/batch/": ({"jobs": [PROMPTS] * 50}, 20),
    "jobs/{queued}/cancel/": ({}, 10),
    "jobs/{running}/cancel/": ({}, 10),
    "jobs/{failed}/retry/": ({}, 27),
    "batches/{batch}/pause/": ({}, 15),
    "batches/{batch}/resume/": ({}, 12),
    "batches/{batch}/cancel/": ({}, 15),
    "batches/{batch}/retry-failed/": ({}, 27),
    "campaigns/?dry_run=true": (CAMPAIGN, 13),
    "campaigns/": (CAMPAIGN, 35),
    "campaigns/{campaign}/pause/": ({}, 22),
    "campaigns/{campaign}/cancel/": ({}, 18),
}


@pytest.fixture(autouse=True)
def what_is_shared_is_kept(monkeypatch):
    """As between two of many calls: the limits of all, and the curves of the estimates."""
    waiting.forget()
    monkeypatch.setattr(waiting, "SHARED_FOR", float("inf"))
    monkeypatch.setattr(estimates, "WORTH", float("inf"))
    monkeypatch.setattr(kept, "_at_once", False)
    kept.keep_all()  # else a second use is the one in which it is kept
    yield
    waiting.forget()


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def rows(owner):
    batch, campaign = BatchFactory(owner=owner), make_campaign(owner)
    states = ("queued", "running", "completed", "failed")
    made = {state: make_job(state, owner=owner, batch=batch).pk for state in states}
    cell = jobs_of(campaign)[0].combination
    made["page"] = make_job("running", owner=owner, model_id="page-writer", parameters={}, metadata=PAGE).pk
    made["endpoint"] = make_endpoint(owner, "https://example.com/", "job.failed").pk
    make_job("failed", owner=owner)
    return made | {"batch": batch.pk, "campaign": campaign.pk, "combination": cell.pk}


def statements(call):
    with CaptureQueriesContext(connection) as asked:
        answer = call()
    assert answer.status_code in (200, 201), answer.content
    return [query["sql"] for query in asked if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "SET plan_cache_mode"))]


@pytest.mark.parametrize("call", READS)
def test_a_read_costs_no_more_than(call, api_for, owner, rows):
    api, address = api_for(owner), "/api/v1/" + call.format(**rows)
    statements(lambda: api.get(address))

    asked = statements(lambda: api.get(address))

    assert len(asked) <= READS[call], "\n".join(asked)


@pytest.mark.parametrize("call", WRITES)
def test_a_write_costs_no_more_than(call, api_for, owner, rows):
    api, address = api_for(owner), "/api/v1/" + call.format(**rows)
    statements(lambda: api.get("/api/v1/jobs/"))
    body, most = WRITES[call]

    asked = statements(lambda: api.post(address, body))

    assert len(asked) <= most, "\n".join(asked)
