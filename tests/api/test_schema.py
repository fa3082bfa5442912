"""The OpenAPI document: complete, without warnings, and true."""

import re

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from queue_app.models import ApiKey
from tests.factories import BatchFactory, UserFactory, make_job

OURS = re.compile(r"/api/v1/(jobs|batches|models|queue|wallet)/")
SCHEMA_URL = "/api/schema/?format=json"
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
SOME = settings(
    max_examples=8,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class TestTheDocument:
    def test_is_generated_without_a_warning_and_is_valid(self, tmp_path):
        GENERATOR_STATS.reset()

        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))

    @pytest.mark.django_db
    def test_names_only_paths_that_answer(self, api_for):
        owner = UserFactory(admin=True)
        batch = BatchFactory(owner=owner)
        job = make_job(owner=owner, batch=batch)
        api = api_for(owner, "read", "submit", "manage")
        paths = Client().get(SCHEMA_URL).json()["paths"]

        ours = {path: calls for path, calls in paths.items() if OURS.match(path)}

        assert len(ours) >= 16
        for path, calls in ours.items():
            url = re.sub(r"/batches/{\w+}", f"/batches/{batch.pk}", path)
            url = re.sub(r"/models/{\w+}", "/models/sora-2", re.sub(r"/jobs/{\w+}", f"/jobs/{job.pk}", url))
            assert "{" not in url
            for method in calls:
                status = getattr(api, method)(url).status_code
                assert status in (200, 204, 400, 409), f"{method} {url}: {status}"

    def test_has_pages_that_the_content_policy_lets_work(self):
        page = Client().get("/api/docs/")

        assert page.status_code == 200
        assert "'self'" in page["Content-Security-Policy"]
        html = page.content.decode()
        assert "<style" not in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert "//" not in " ".join(re.findall(r'(?:src|href)="([^"]*)"', html))
        assert Client().get("/api/docs/?script=")["Content-Type"].startswith("application/javascript")


GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
GOOD_BODIES = {"jobs_create": GOOD, "jobs_batch_create": {"jobs": [GOOD, GOOD]}, "models_change": {"max_concurrent": 5}}


@pytest.mark.django_db(transaction=True)
def test_every_call_answers_as_the_document_says(live_server):
    """With values made up from the document, and with good ones; its rows are there, so that answers have bodies to compare."""
    owner = UserFactory(admin=True)
    batch = BatchFactory(owner=owner)
    job = make_job("failed", owner=owner, batch=batch)
    _, key = ApiKey.objects.create(owner, scopes=["read", "submit", "manage"])
    statuses = set()

    def call(case):
        answer = case.call(headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code < 500
        case.validate_response(answer, checks=CHECKS)
        statuses.add(answer.status_code)

    for found in schemathesis.openapi.from_url(live_server.url + SCHEMA_URL).get_all_operations():
        operation = found.ok()
        known = {"id": batch.pk if "/batches/" in operation.path else job.pk} if "{id}" in operation.path else {}
        known |= {"key": "sora-2"} if "{key}" in operation.path else {}
        SOME(given(case=operation.as_strategy(path_parameters=known))(call))()
        if body := GOOD_BODIES.get(operation.definition.raw["operationId"]):
            SOME(given(case=operation.as_strategy(path_parameters=known, body=body))(call))()
    assert {200, 201, 400, 409} <= statuses
