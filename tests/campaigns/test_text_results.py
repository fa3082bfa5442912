"""A text as a result: bought by the quick form and by the API, shown where results are, and never more than text."""

import re

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient

from queue_app import lifecycle
from queue_app.models import Asset, Job, User
from queue_app.ui import job_facts
from tests.campaigns.test_page import look
from tests.factories import NOON, UserFactory, make_asset, make_job

pytestmark = pytest.mark.django_db
HOSTILE = "# Title\n\n<script>alert(1)</script> & {{ 7|add:7 }} \N{RIGHT-TO-LEFT OVERRIDE}abc"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {{ 7|add:7 }}"


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner() -> User:
    return UserFactory()


def written(owner: User, content: str = HOSTILE, model: str = "text-writer", **fields) -> Asset:
    """A job's text that is really stored."""
    job = make_job("storing", owner=owner, model_id=model, parameters={}, prompt="A letter.")
    asset = make_asset(job, size=len(content.encode()), **fields)
    default_storage.save(asset.name, ContentFile(content.encode()))
    with transaction.atomic():
        lifecycle.complete(job, [asset], at=NOON, actor="worker", stages=[])
    return asset


class TestThePages:
    def test_of_the_job_shows_the_text_and_nothing_of_it_is_run(self, client_for, owner: User):
        asset = written(owner)
        html = look(client_for(owner), f"/jobs/{asset.job_id}/")
        assert ESCAPED in html and "<script>alert(1)" not in html
        assert f"/files/{asset.pk}/{asset.file_name}?download=1" in html

    def test_of_staff_shows_it_too(self, client_for, owner: User):
        asset = written(owner)
        html = client_for(UserFactory(admin=True)).get(f"/admin/queue_app/job/{asset.job_id}/change/").content.decode()
        assert ESCAPED in html and "<script>alert(1)" not in html

    def test_of_the_latest_results_leads_to_the_text(self, client_for, owner: User):
        asset = written(owner)
        html = look(client_for(owner), "/")
        assert f'href="/jobs/{asset.job_id}/" data-play="/jobs/{asset.job_id}/play/" aria-label="Read ' in html

    def test_of_a_page_that_is_plain_text_shows_it(self, client_for, owner: User):
        asset = written(owner, model="page-writer", content_type="text/plain")
        assert ESCAPED in look(client_for(owner), f"/jobs/{asset.job_id}/")

    def test_of_a_page_in_html_leads_to_it(self, client_for, owner: User):
        asset = written(owner, "<html><p>Hello</p>", model="page-writer")
        html = look(client_for(owner), f"/jobs/{asset.job_id}/")
        assert "Open HTML file" in html and "Hello" not in html


class TestAnExcerpt:
    def test_ends_after_20000_characters(self, owner: User):
        text = job_facts.excerpt(written(owner, "ü" * 30_000))
        assert (len(text), text[-2:]) == (20_001, "ü…")

    def test_of_a_short_text_is_the_text(self, owner: User):
        assert job_facts.excerpt(written(owner, "日本 🦊")) == "日本 🦊"

    def test_of_a_missing_or_deleted_file_is_empty(self, owner: User):
        asset = written(owner)
        default_storage.delete(asset.name)
        assert job_facts.excerpt(asset) == ""
        asset.expired_at = NOON
        assert job_facts.excerpt(asset) == job_facts.excerpt(None) == ""


class TestTheForms:
    def test_the_quick_form_buys_a_text(self, client_for, owner: User):
        web: Client = client_for(owner)
        assert "text-writer" in look(web, "/quick/choices/?kind=text&model=text-writer")
        web.post("/quick/", {"key": "k1", "prompt": "A letter.", "kind": "text", "model": "text-writer", "price": "1"})
        job = Job.objects.get()
        assert (job.model_id, job.kind_id, job.tickets, job.parameters) == ("text-writer", "text", 1, {})

    def test_a_campaign_offers_none(self, client_for, owner: User):
        html = look(client_for(owner), "/campaigns/new/")
        models = re.findall(r'<option value="([^"]*)"', html)
        assert "sora-2" in models and not {"text-writer", "page-writer"} & {*models}

    def test_pages_have_one_of_their_own(self, client_for, api_for, owner: User):
        offered = look(client_for(owner), "/quick/choices/")
        assert "text-writer" in look(client_for(owner), "/quick/choices/?kind=text") and 'value="page"' not in offered
        brief = {"brand": "Alder", "big_idea": "It opens.", "dimensions": {"mood": ["calm"]}, "model": "page-writer"}
        answer = api_for(owner).post("/api/v1/campaigns/", brief)
        (error,) = [one for one in answer.json()["errors"] if one["field"] == "model"]
        assert error["message"] == "page-writer makes pages, which need data of their own. Choose another model."


class TestTheApi:
    def test_buys_a_text_and_gives_it(self, client_for, api_for, owner: User):
        api: APIClient = api_for(owner)
        made = api.post("/api/v1/jobs/", {"model": "text-writer", "prompt": "A letter."})
        assert (made.status_code, made.json()["kind"]) == (201, "text")

        asset = written(owner)
        job = api.get(f"/api/v1/jobs/{asset.job_id}/").json()
        (file,) = job["assets"]
        assert (file["kind"], file["content_type"], job["result_url"]) == ("text", "text/plain", file["url"])
        answer = client_for(owner).get(file["url"])
        assert b"".join(answer.streaming_content).decode() == HOSTILE
        assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")

    def test_lists_the_models(self, api_for, owner: User):
        models = {row["key"]: row for row in api_for(owner).get("/api/v1/models/").json()["results"]}
        assert (models["text-writer"]["medium"], models["page-writer"]["medium"]) == ("text", "page")
        assert "gpt-image-1.5" in models
