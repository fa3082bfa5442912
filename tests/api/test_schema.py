"""The OpenAPI document: complete, without warnings, and true."""

import math
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from hypothesis import HealthCheck, Phase, given, settings, strategies
from jsonschema import Draft4Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from queue_app.api import document
from queue_app.models import ApiKey
from queue_app.work import bulk
from tests.campaigns.support import make_campaign
from tests.factories import NOON, BatchFactory, UserFactory, make_endpoint, make_job, make_schedule

OURS = re.compile(r"/api/v1/(jobs|batches|keys|models|queue|wallet)/")
COMMITTED = Path(__file__).resolve().parents[2] / "docs/openapi.yaml"
SCHEMA_URL = "/api/schema/?format=json"
# as many cases as this, other ones at each run, for a long look by hand: SCHEMA_CASES=3000 pytest tests/api/test_schema.py
BY_HAND = int(os.environ.get("SCHEMA_CASES", "0"))
A_FEW = 2  # cases of each call and kind
ALWAYS = [content_type_conformance, response_schema_conformance, response_headers_conformance, status_code_conformance]
CHECKS = {GenerationMode.POSITIVE: ALWAYS, GenerationMode.NEGATIVE: [*ALWAYS, negative_data_rejection]}


def of(whole, part):
    """Return a part of the document, also one that is shared."""
    return whole["components"]["responses"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def shown(part):
    """Return the examples of a body or an answer."""
    return [part["example"]] if "example" in part else [one["value"] for one in part.get("examples", {}).values()]


def plain(schema):
    """Return a schema of OpenAPI 3.0 as JSON Schema, which has a type for null."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: plain(value) for name, value in schema.items() if name != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


class TestTheDocument:
    def test_is_generated_without_a_warning_valid_and_as_committed(self, tmp_path):
        GENERATOR_STATS.reset()

        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
        assert (tmp_path / "schema.yaml").read_text() == COMMITTED.read_text(), "run: make openapi"

    def test_shows_of_each_call_a_body_and_an_answer_that_fit_it(self):
        whole = Client().get(SCHEMA_URL).json()
        places = [
            (name, part)
            for call in document.calls(whole)
            for name, place in (("request", call.get("requestBody")), *((f"answer {s}", a) for s, a in call["responses"].items()))
            for name, part in [(f"{call['operationId']}, {name}", of(whole, place or {}).get("content", {}))]
        ]
        bare = [name for name, parts in places for kind, part in parts.items() if "json" in kind and not shown(part)]
        assert bare == []
        for name, parts in places:
            for part in parts.values():
                for example in shown(part):
                    problems = [
                        *Draft4Validator({**plain(part["schema"]), "components": plain(whole["components"])}).iter_errors(example)
                    ]
                    assert problems == [], (name, problems[0].json_path, problems[0].message)

    @pytest.mark.django_db
    def test_names_only_paths_that_answer(self, api_for):
        owner = UserFactory(admin=True)
        batch = BatchFactory(owner=owner)
        job = make_job(owner=owner, batch=batch)
        key, _ = ApiKey.objects.create(owner)
        api = api_for(owner, "read", "submit", "manage")
        paths = Client().get(SCHEMA_URL).json()["paths"]

        ours = {path: calls for path, calls in paths.items() if OURS.match(path)}

        assert len(ours) >= 18
        for path, calls in ours.items():
            url = re.sub(r"/batches/{\w+}", f"/batches/{batch.pk}", re.sub(r"/keys/{\w+}", f"/keys/{key.pk}", path))
            url = re.sub(r"/models/{\w+}", "/models/sora-2", re.sub(r"/jobs/{\w+}", f"/jobs/{job.pk}", url))
            assert "{" not in url
            for method in calls:
                status = getattr(api, method)(url).status_code
                assert status in (200, 201, 204, 400, 409), f"{method} {url}: {status}"

    def test_has_pages_that_the_content_policy_lets_work(self):
        page = Client().get("/api/docs/")

        assert page.status_code == 200
        assert "'self'" in page["Content-Security-Policy"]
        html = page.content.decode()
        assert "<style" not in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert "//" not in " ".join(re.findall(r'(?:src|href)="([^"]*)"', html))
        assert Client().get("/api/docs/?script=")["Content-Type"].startswith("application/javascript")

    def test_tells_of_each_answer_the_headers_that_come_with_it(self):
        whole = Client().get(SCHEMA_URL).json()
        calls = {
            call["operationId"]: {int(status): {*of(whole, answer)["headers"]} for status, answer in call["responses"].items()}
            for call in document.calls(whole)
        }
        retries = {"jobs_retry", "batches_retry_failed", "campaigns_retry_failed"}
        repeatable = {"jobs_create", "jobs_batch_create", "campaigns_create", "bulk_actions_create", "schedules_create", *retries}

        for name, answers in calls.items():
            rates = {"RateLimit", "RateLimit-Policy"}
            again = {"Retry-After", *rates}
            assert (answers[429], answers[503], answers[500]) == (again, again, rates), name
            assert answers.get(409, rates) == (again if name in repeatable else rates), name
            good = {"Idempotent-Replayed": name in repeatable, "Location": 201 in answers}
            good |= {"Preference-Applied": name == "jobs_create"}
            good |= dict.fromkeys(["ETag", "Retry-After"], name == "jobs_status")
            status = next(status for status in (201, 200, 204) if status in answers)
            assert answers[status] == {header for header, comes in good.items() if comes} | rates, name
        assert repeatable <= calls.keys()

    @pytest.mark.parametrize(
        ("address", "words"),
        [("/api/schema/", '"xml" is not a valid choice'), ("/api/docs/", "Unknown parameter. Available: script.")],
    )
    def test_and_its_pages_refuse_an_unknown_format_by_name(self, address, words):
        answer = Client().get(f"{address}?format=xml")

        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert [error["field"] for error in answer.json()["errors"]] == ["format"]
        assert words in answer.json()["detail"]


# what only catalogue, rules and clock can say of a value: of nothing else may the server refuse what the document allows
BEYOND_SHAPE = {"cursor", "model", "kind", "prompt", "parameters", "metadata", "deadline", "not_before", "callback_url"} | {
    "expires_at",
    "brand",
    "big_idea",
    "dimensions",
    "exclude",
    *("duration", "aspect_ratio", "loop", "resolution", "quality", "audio", "count", "num_images", "seed", "negative_prompt"),
    *("images", "reference_images", "file", "url"),
}
# options that belong to one action, days that make no period, names that only batches without a campaign may have, calendars
BEYOND_THE_SHAPE_OF = {
    "bulk_actions_create": {"priority", "tickets", "refund", "reason"},
    "usage_read": {"from", "to", "owner"},
    "batches_change": {"name"},
    "campaigns_change": {"name"},
    **{name: {"", "combinations", "values", "all"} for name in ("campaigns_release", "campaigns_drop")},  # exactly one of them
    **{key: {"name", "cron", "time_zone", "job", "campaign"} for key in ("schedules_create", "schedules_change")},
}
GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
BRIEF = {"brand": "Alder", "big_idea": "A parcel.", "dimensions": {"mood": ["calm"]}, "model": "sora-2", "duration": 4}
GOOD_BODIES = {
    "jobs_create": GOOD,
    "jobs_batch_create": {"jobs": [GOOD, GOOD]},
    "campaigns_create": BRIEF,
    "models_change": {"max_concurrent": 5},
    "bulk_actions_create": {"action": "retry", "filter": {"status": "failed"}, "delay_seconds": 300},
    "batches_change": {"priority": 5},
    "campaigns_change": {"name": "Winter"},
    "schedules_create": {"name": "Daily", "cron": "0 9 * * *", "job": GOOD},
    "schedules_change": {"time_zone": "Europe/Madrid"},
    "webhook_endpoints_create": {"url": "https://example.com/hooks", "events": ["job.completed"]},
}


@pytest.mark.django_db(transaction=True)
def test_every_call_answers_as_the_document_says(live_server, figures):
    """
    With values made up from the document, with values that it forbids, and with good bodies; its rows are there, so that answers
    have bodies to compare.
    """
    owner = UserFactory(admin=True, tickets=1_000_000)
    batch = make_campaign(owner)
    job = make_job("failed", owner=owner)
    verb = bulk.draft("retry", [job.pk], at=NOON, actor=owner, chosen="by hand")
    bulk.confirm(verb, at=NOON, actor=owner)
    known = {
        "bulk-actions": verb.pk,
        "batches": batch.pk,
        "campaigns": batch.pk,
        "combinations": batch.combinations.first().pk,
        "jobs": job.pk,
        "keys": ApiKey.objects.create(owner, scopes=["read"])[0].pk,
        "schedules": make_schedule(owner).pk,
        "webhook-endpoints": make_endpoint(owner).pk,
    }
    _, key = ApiKey.objects.create(owner, scopes=["read", "submit", "manage"])
    statuses: Counter[int] = Counter()

    def call(case, mode):
        answer = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=120)
        assert answer.status_code < 500
        case.validate_response(answer, checks=CHECKS[mode])
        if mode == GenerationMode.POSITIVE and answer.status_code == 400:
            beyond = BEYOND_SHAPE | BEYOND_THE_SHAPE_OF.get(case.operation.definition.raw["operationId"], set())
            assert refused_fields(answer) <= beyond, answer.text
        statuses[answer.status_code] += 1

    described = schemathesis.openapi.from_url(live_server.url + SCHEMA_URL)
    operations = [found.ok() for found in described.get_all_operations()]
    kinds = [
        (operation, mode, {"path_parameters": path_of(operation, known), **body})
        for operation in operations
        for mode in GenerationMode
        for body in bodies_of(operation, mode)
    ]
    for operation, mode, parts in kinds:
        strategy = operation.as_strategy(generation_mode=mode, **parts)
        some(len(kinds))(given(case=strategy, mode=strategies.just(mode))(call))()

    figures(f"schema: {statuses.total():,} calls answered as the document says, {dict(sorted(statuses.items()))}")
    assert {200, 201, 400, 409} <= statuses.keys()
    assert statuses.total() >= BY_HAND


def refused_fields(answer) -> set[str]:
    """Their names as they are in the body: `prompt` of `jobs[3].prompt`."""
    named = (re.sub(r"^jobs\[\d+\]\.", "", error["field"]) for error in answer.json()["errors"])
    return {re.split(r"[.\[]", name)[0] for name in named}


def some(kinds: int) -> settings:
    return settings(
        max_examples=math.ceil(BY_HAND / kinds * 1.3) if BY_HAND else A_FEW,
        derandomize=not BY_HAND,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def path_of(operation, known: dict[str, int]) -> dict[str, object]:
    """Of the rows that are there."""
    number = next((pk for name, pk in known.items() if f"/{name}/" in operation.path), None)
    return {name: value for name, value in (("id", number), ("key", "sora-2")) if f"{{{name}}}" in operation.path}


def bodies_of(operation, mode) -> list[dict[str, object]]:
    """Made up ones, and a good one where there is one."""
    good = GOOD_BODIES.get(operation.definition.raw["operationId"])
    return [{}, {"body": good}] if good and mode == GenerationMode.POSITIVE else [{}]
