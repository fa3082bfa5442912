"""How many statements each call costs its caller with a key, once what is shared is there: a number that grows is seen here."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.campaigns.support import jobs_of, make_campaign
from tests.factories import BatchFactory, UserFactory, make_job

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
    "jobs/{queued}/": 99,
    "jobs/{running}/": 99,
    "jobs/{completed}/": 99,
    "jobs/{failed}/": 99,
    "jobs/": 99,
    "jobs/?search=tram": 99,
    "jobs/?status=queued&page_size=1": 99,
    "jobs/{completed}/events/": 99,
    "batches/{batch}/": 99,
    "models/": 99,
    "models/sora-2/": 99,
    "queue/": 99,
    "wallet/": 99,
    "wallet/entries/": 99,
    "campaigns/": 99,
    "campaigns/{campaign}/": 99,
    "campaigns/{campaign}/combinations/": 99,
    "combinations/{combination}/": 99,
}
WRITES = {
    "jobs/?dry_run=true": (PROMPTS, 99),
    "jobs/": (PROMPTS, 99),
    "jobs/batch/?dry_run=true": ({"jobs": [PROMPTS] * 50}, 99),
    "jobs/batch/": ({"jobs": [PROMPTS] * 50}, 99),
    "jobs/{queued}/cancel/": ({}, 99),
    "jobs/{running}/cancel/": ({}, 99),
    "jobs/{failed}/retry/": ({}, 99),
    "batches/{batch}/pause/": ({}, 99),
    "batches/{batch}/resume/": ({}, 99),
    "batches/{batch}/cancel/": ({}, 99),
    "batches/{batch}/retry-failed/": ({}, 99),
    "campaigns/?dry_run=true": (CAMPAIGN, 99),
    "campaigns/": (CAMPAIGN, 99),
    "campaigns/{campaign}/pause/": ({}, 99),
    "campaigns/{campaign}/cancel/": ({}, 99),
}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def rows(owner):
    batch, campaign = BatchFactory(owner=owner), make_campaign(owner)
    states = ("queued", "running", "completed", "failed")
    made = {state: make_job(state, owner=owner, batch=batch).pk for state in states}
    cell = jobs_of(campaign)[0].combination
    return made | {"batch": batch.pk, "campaign": campaign.pk, "combination": cell.pk}


def statements(call):
    with CaptureQueriesContext(connection) as asked:
        answer = call()
    assert answer.status_code in (200, 201), answer.content
    return [query["sql"] for query in asked if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


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
