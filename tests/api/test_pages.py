"""Pages by the API: what may be left out, what is refused, and what the answer tells while a page is made."""

from uuid import uuid4

import pytest

from queue_app.models import Asset, Batch, Job
from tests.factories import UserFactory, make_asset, make_job
from tests.pipelines import LEAFLET, LEAFLETS, NAMES, PIPELINES, TOO_FEW, finished

pytestmark = pytest.mark.django_db
JOBS, BATCH = "/api/v1/jobs/", "/api/v1/jobs/batch/"
ALONE = {"language": "en", "products": ["a kettle"]}


@pytest.fixture(autouse=True)
def piped(settings, monkeypatch):
    settings.PIPELINES = PIPELINES
    monkeypatch.setattr(LEAFLETS, "jobs", [])


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


class TestARequest:
    @pytest.mark.parametrize("asked", [{"kind": "page"}, {"model": "page-writer"}, {"kind": "page", "prompt": None}])
    def test_needs_its_data_and_no_prompt(self, api, asked):
        answer = api.post(JOBS, {**asked, "metadata": LEAFLET}, format="json")

        assert answer.status_code == 201, answer.json()
        job = answer.json()
        assert (job["kind"], job["model"], job["prompt"]) == ("page", "page-writer", "A leaflet in en.")
        assert (job["stage"], [one["name"] for one in job["stages"]]) == (None, [*NAMES])
        assert (job["checks"], job["verdict"], job["result_url"]) == ([], None, None)
        assert [one.pk for one in LEAFLETS.jobs] == [job["id"]]

    def test_names_the_field_of_its_data_that_is_wrong(self, api):
        answer = api.post(JOBS, {"kind": "page", "metadata": {"language": "xx"}, "priority": 50}, format="json")

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert [one["field"] for one in answer.json()["errors"]] == ["metadata.language", "metadata.products", "priority"]

    def test_of_another_type_needs_a_prompt_and_a_model(self, api):
        answer = api.post(JOBS, {"metadata": LEAFLET}, format="json")

        assert answer.status_code == 400
        told = {one["field"]: one["message"] for one in answer.json()["errors"]}
        assert told["prompt"] == "Enter a prompt." and told["model"].startswith("Choose a model. Available: ")

    @pytest.mark.parametrize("query", ["", "?dry_run=true"])
    def test_is_refused_if_the_data_does_not_carry_it_and_costs_nothing(self, api, owner, query):
        answer = api.post(JOBS + query, {"kind": "page", "metadata": ALONE}, format="json")

        assert (answer.status_code, answer.json()["code"]) == (422, "page_plan_refused")
        assert answer.json()["errors"] == [{"field": TOO_FEW.field, "message": TOO_FEW.message}]
        assert not Job.objects.exists() and owner.wallet.available == 100

    def test_of_many_is_refused_as_a_whole_and_names_each(self, api, owner):
        pages = [{"kind": "page", "metadata": data} for data in (LEAFLET, ALONE, ALONE)]

        answer = api.post(BATCH, {"jobs": pages, "name": "Kettles"}, format="json")

        assert (answer.status_code, answer.json()["code"]) == (422, "page_plan_refused")
        assert [one["field"] for one in answer.json()["errors"]] == ["jobs[1].metadata.products", "jobs[2].metadata.products"]
        assert not Batch.objects.exists() and owner.wallet.available == 100

        answer = api.post(BATCH, {"jobs": pages[:1] * 3, "name": "Kettles", "max_concurrent": 2}, format="json")
        assert (answer.status_code, answer.json()["total"], len(LEAFLETS.jobs)) == (201, 3, 3)


class TestAnAnswer:
    def test_tells_the_stage_the_checks_and_the_verdict(self, api, owner):
        job = make_job("running", owner=owner, model_id="page-writer", parameters={}, metadata=LEAFLET)
        finished(job, *NAMES[:5], seconds=1.5)
        Job.objects.filter(pk=job.pk).update(progress=0.71)

        told = api.get(f"{JOBS}{job.pk}/").json()

        assert (told["stage"], told["progress"], told["verdict"]) == ("post-processing", 0.71, "review")
        assert told["stages"][4:6] == [
            {"name": "quality validation", "status": "done", "seconds": 1.5},
            {"name": "post-processing", "status": "now", "seconds": None},
        ]
        assert told["checks"] == [
            {
                "name": "Grounding",
                "outcome": "fail",
                "figure": "1 of 14",
                "bound": "0",
                "sentence": "“2.5 l” is in none of the facts. Remove it, or add it to the data.",
            }
        ]
        assert api.get(JOBS).json()["results"][0]["checks"] == told["checks"]

    def test_names_the_html_as_the_result(self, api, owner):
        job = make_job("completed", owner=owner, model_id="page-writer", parameters={}, metadata=LEAFLET)
        for kind, content_type, ending in (("json-ld", "application/ld+json", "jsonld"), ("markdown", "text/markdown", "md")):
            make_asset(job, kind=kind, content_type=content_type, name=f"assets/2026/11/{uuid4()}.{ending}").save(
                force_insert=True
            )

        told = api.get(f"{JOBS}{job.pk}/").json()

        assert [one["kind"] for one in told["assets"]] == ["page", "json-ld", "markdown"]
        page = Asset.objects.get(job=job, kind="page")
        assert told["result_url"].endswith(page.file_name) and told["result_url"] == told["assets"][0]["url"]

    def test_of_a_retry_with_another_prompt_says_what_to_do_instead(self, api, owner):
        job = make_job("failed", owner=owner, model_id="page-writer", parameters={}, metadata=LEAFLET)

        answer = api.post(f"{JOBS}{job.pk}/retry/", {"prompt": "Another one."}, format="json")

        assert answer.status_code == 400
        assert answer.json()["errors"] == [{"field": "prompt", "message": "Make a new version of the page instead."}]
