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

SCHEMA_URL = "/api/schema/?format=json"
SOME = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
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
        owner = UserFactory(staff=True)
        batch = BatchFactory(owner=owner)
        job = make_job(owner=owner, batch=batch)
        api = api_for(owner, "read", "submit", "manage")
        paths = Client().get(SCHEMA_URL).json()["paths"]

        assert len(paths) >= 16
        for path, calls in paths.items():
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


@pytest.fixture
def documented(live_server):
    """The document of a running server, and a caller whose rows it may name."""
    owner = UserFactory(staff=True)
    make_job("failed", owner=owner, batch=BatchFactory(owner=owner))
    _, key = ApiKey.objects.create(owner, scopes=["read", "submit", "manage"])
    schema = schemathesis.openapi.from_url(live_server.url + SCHEMA_URL)
    return schema, {"Authorization": f"Bearer {key}"}


@pytest.mark.django_db(transaction=True)
def test_every_call_answers_as_the_document_says(documented):
    schema, headers = documented
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    for found in schema.get_all_operations():
        operation = found.ok()

        @SOME
        @given(case=operation.as_strategy())
        def call(case):
            answer = case.call(headers=headers)
            assert answer.status_code < 500
            case.validate_response(answer, checks=checks)

        call()
