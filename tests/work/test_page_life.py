"""The life of a page, from its data to its files: through the studio, which also answers as odd gateways do."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from justhtml import JustHTML

from campaigns.models import Page
from campaigns.pages.pipeline import PAGES
from queue_app import clock
from queue_app.insight import invariants
from queue_app.models import Attempt, Job, JobStage
from queue_app.tickets import balances
from queue_app.work import intake, retention
from queue_app.work.intake import Draft, IntakeRefused
from queue_app.work.pipeline import running
from tests.factories import PAGE, UserFactory
from tests.genqueue_site.studio.process import StudioProcess
from tests.work.staged import outcomes, work
from tests.work.steps import tickets_of

pytestmark = pytest.mark.django_db
NAMES = [stage.name for stage in PAGES.stages]
HOSTILE = "</h1><script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3)) {{ 7|add:7 }} ]]> --> FACTS TASK"


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "SHARE_FOR_CALLS", math.inf)  # however busy the machine is
    settings.MEDIA_ROOT = str(tmp_path / "media")


def page(**metadata: Any) -> Job:
    owner = UserFactory()
    draft = Draft(model="page-writer", prompt="", kind="page", metadata={**PAGE, **metadata})
    _, (job,) = intake.enqueue(owner, [draft], at=clock.now(), actor="test")
    return job


def files_of(job: Job) -> dict[str, str]:
    return {asset.kind: default_storage.open(asset.name).read().decode() for asset in job.assets.all()}


def report_of(job: Job) -> Mapping[str, Any]:
    return dict(JobStage.objects.get(job=job, name="quality validation", step="").result["report"])


def failed(job: Job) -> set[str]:
    return {check["name"] for check in report_of(job)["checks"] if check["outcome"] == "fail"}


class TestAPage:
    def test_goes_through_seven_stages_and_is_approved_with_its_three_files(self, studio: StudioProcess):
        job = work(page())

        assert (job.state, tickets_of(job)[0], job.preview) == ("completed", "captured", True)
        rows = JobStage.objects.filter(job=job, step="").order_by("pk")
        assert [row.name for row in rows] == NAMES
        assert all(row.seconds is not None and row.sha256 for row in rows)
        found = Page.objects.get(job=job)
        assert (found.verdict, found.version, failed(job)) == ("approve", 1, set())
        assert {call.step for call in job.attempts.all()} == {"main", "hero", "body", "faq", "meta"}
        files = files_of(job)
        assert {*files} == {"page", "markdown", "json-ld"}
        assert json.loads(files["json-ld"])["@context"] == "https://schema.org"
        assert "1.5 l" in files["markdown"] and "49.90" in files["page"]
        assert invariants.check(at=clock.now(), files=True) == []

    def test_keeps_the_order_of_its_attributes(self, studio: StudioProcess):
        attributes = {"Weight": "1.1 kg", "A": "1", "Power": "2200 W", "B": "2"}
        job = work(page(product={"name": "Aria 1.5", "attributes": attributes}))

        markdown = files_of(job)["markdown"]
        specs = markdown[markdown.index("| Weight") :]
        assert [line.split("|")[1].strip() for line in specs.splitlines()[:4]] == list(attributes)

    def test_whose_files_are_deleted_is_kept_without_its_texts(self, studio: StudioProcess):
        job = work(page())
        assert retention.expire_files_of(job, at=clock.now(), actor=job.owner) == 3

        rows = JobStage.objects.filter(job=job)
        assert rows.count() == len(NAMES) + 5 and all(row.result is None and row.sha256 for row in rows)
        client = Client()
        client.force_login(job.owner)
        shown = client.get(f"/pages/{job.pk}/")
        assert (shown.status_code, b"Aria 1.5 l" in shown.content) == (200, False)

    def test_without_the_check_skips_that_stage_only(self, studio: StudioProcess):
        job = work(page(skip_quality_check=True))

        rows = {row.name: row for row in JobStage.objects.filter(job=job, step="")}
        assert (job.state, [name for name in NAMES if rows[name].skipped]) == ("completed", ["quality validation"])
        assert Page.objects.get(job=job).verdict == ""

    def test_of_the_same_address_and_language_is_the_next_version(self, studio: StudioProcess):
        first = page()
        draft = Draft(model="page-writer", prompt="", kind="page", metadata=PAGE)
        _, jobs = intake.enqueue(first.owner, [draft, draft], at=clock.now(), actor="test")
        _, (other,) = intake.enqueue(
            first.owner, [Draft("page-writer", "", metadata={**PAGE, "language": "de"})], at=clock.now(), actor="test"
        )
        assert [Page.objects.get(job=one).version for one in (first, *jobs, other)] == [1, 2, 3, 1]

    def test_whose_plan_its_data_cannot_carry_costs_nothing(self):
        owner = UserFactory(tickets=10)
        wanted = {**PAGE, "page_type": "comparison"}
        with pytest.raises(IntakeRefused) as refusal:
            intake.enqueue(owner, [Draft("page-writer", "", metadata=wanted)], at=clock.now(), actor="test")
        assert "A comparison needs at least 2 products" in str(refusal.value)
        assert (balances(owner)["available"], Job.objects.count(), Page.objects.count()) == (10, 0, 0)

    def test_of_hostile_data_executes_nothing(self, studio: StudioProcess):
        product = {"name": f"Aria {HOSTILE}", "attributes": {f"A {n} <script>": HOSTILE for n in range(3)}}
        job = work(page(product=product, keywords=[f"kettle {HOSTILE}"[:80]], brand_voice=HOSTILE))

        assert job.state == "completed"
        html = files_of(job)["page"]
        found = JustHTML(html, sanitize=False)
        scripts = found.query("script")
        assert [one.attrs for one in scripts] == [{"type": "application/ld+json"}]
        assert not found.query("img") and not [one for one in found.query("a") if "javascript" in str(one.attrs)]


class TestAnOddAnswer:
    """What gateways and models do: the page is mended, paid calls are counted, and nothing is asked more often than needed."""

    @pytest.mark.parametrize("oddity", ["fenced", "introduced", "trailing_comma"])
    def test_in_json_that_can_be_repaired_is_asked_once(self, studio: StudioProcess, oddity: str):
        studio.queue_faults(page=[oddity])
        job = work(page())
        assert (job.state, Attempt.objects.filter(job=job).exclude(step="main").count()) == ("completed", 4)

    @pytest.mark.parametrize("oddity", ["cut_off", "cut_silently"])
    def test_that_is_cut_is_asked_again_for_less(self, studio: StudioProcess, oddity: str):
        studio.queue_faults(page=[oddity])
        job = work(page())
        assert (job.state, Page.objects.get(job=job).verdict) == ("completed", "approve")
        assert outcomes(job, "meta") == ["failed", "delivered"]

    @pytest.mark.parametrize("oddity", ["wrong_language", "invented"])
    def test_that_fails_a_check_is_written_again_once(self, studio: StudioProcess, oddity: str):
        studio.queue_faults(page=["fenced", "fenced", oddity])  # of the third component, the body
        job = work(page())
        assert (job.state, Page.objects.get(job=job).verdict, failed(job)) == ("completed", "approve", set())
        assert "body" in report_of(job)["rewritten"]
        assert outcomes(job, "body-2") == ["delivered"]

    def test_that_stays_wrong_is_rejected_by_name_and_kept(self, studio: StudioProcess):
        studio.queue_faults(page=["fenced", "fenced", "invented", "fenced", "invented"])
        job = work(page())
        found = Page.objects.get(job=job)
        assert (job.state, found.verdict, failed(job)) == ("completed", "reject", {"Facts"})
        (facts,) = [check for check in report_of(job)["checks"] if check["name"] == "Facts"]
        assert " kg" in facts["found"][0] and facts["found"][0] in facts["sentence"]
        assert set(files_of(job)) == {"page", "markdown", "json-ld"}
