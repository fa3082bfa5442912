"""Intake of jobs with a pipeline: what it refuses, what it writes, and what a retry can't change."""

from dataclasses import replace

import pytest
from django.db import transaction

from queue_app.models import Job, JobEvent, LedgerTransaction
from queue_app.work import intake, makers, rewrites
from queue_app.work.intake import Draft, IntakeRefused, ModelNotAvailable, PlanRefused
from tests import pipelines
from tests.factories import NOON, UserFactory, make_job
from tests.pipelines import LEAFLET, LEAFLETS, NO_LANGUAGE, TOO_FEW

pytestmark = pytest.mark.django_db
PAGE = Draft(model="page-writer", prompt="", metadata=LEAFLET)
FRENCH, ALONE = {"language": "fr", "products": [1, 2]}, {"language": "de", "products": [1]}


@pytest.fixture(autouse=True)
def piped(settings, monkeypatch):
    settings.PIPELINES = pipelines.PIPELINES
    monkeypatch.setattr(LEAFLETS, "jobs", [])


def enqueue(*drafts, owner=None, **more):
    return intake.enqueue(owner or UserFactory(), list(drafts), at=NOON, actor="user", **more)[1]


def refused(*drafts):
    """Send drafts that are refused; check that nothing was written; return the refusal, and its fields and messages."""
    owner = UserFactory()
    before = LedgerTransaction.objects.count()
    with pytest.raises(IntakeRefused) as found:
        enqueue(*drafts, owner=owner, batch_name="mine")
    assert not Job.objects.exists() and not JobEvent.objects.exists() and LedgerTransaction.objects.count() == before
    return found.value, [(one.index, one.field) for one in found.value.problems]


class TestWhatEnters:
    def test_gets_its_prompt_from_the_pipeline_unless_it_has_one(self):
        by_itself, briefed = enqueue(PAGE, replace(PAGE, prompt="For campers."))

        assert (by_itself.kind_id, by_itself.prompt, briefed.prompt) == ("page", "A leaflet in en.", "For campers.")

    def test_is_told_to_the_pipeline_in_the_same_transaction(self, monkeypatch):
        _, page = enqueue(Draft(model="sora-2", prompt="A tram."), PAGE)
        assert LEAFLETS.jobs == [page]

        def fails(jobs):
            raise ValueError

        monkeypatch.setattr(LEAFLETS, "entered", fails)
        with pytest.raises(ValueError), transaction.atomic():
            enqueue(PAGE)
        assert Job.objects.count() == 2

    def test_needs_no_model_where_only_one_makes_its_type(self):
        (job,) = enqueue(replace(PAGE, model="", kind="page"))

        assert job.model_id == "page-writer"
        for kind in (None, "video", "nothing"):
            with pytest.raises(IntakeRefused, match=r"Choose a model\. Available: "):
                enqueue(replace(PAGE, model="", kind=kind, prompt="A tram."))


class TestWhatIsRefused:
    def test_names_the_field_of_its_input(self):
        refusal, fields = refused(PAGE, replace(PAGE, metadata=FRENCH))

        assert fields == [(1, "metadata.language")] and str(refusal) == NO_LANGUAGE.message
        assert not isinstance(refusal, PlanRefused)

    def test_is_a_plan_if_nothing_else_is_wrong(self):
        refusal, fields = refused(replace(PAGE, metadata=ALONE), PAGE)
        assert isinstance(refusal, PlanRefused) and fields == [(0, "metadata.products")] and str(refusal) == TOO_FEW.message

        refusal, fields = refused(replace(PAGE, metadata=ALONE, priority=50))
        assert not isinstance(refusal, PlanRefused) and fields == [(0, "metadata.products"), (0, "priority")]

    def test_may_be_a_plan_for_its_prompt(self):
        refusal, fields = refused(replace(PAGE, prompt="For nobody."))
        assert isinstance(refusal, PlanRefused) and fields == [(0, "prompt")]

    def test_has_more_data_than_other_metadata_but_not_without_end(self):
        data = LEAFLET | {"text": "x" * 63_900}
        assert len(enqueue(replace(PAGE, metadata=data))) == 1
        with pytest.raises(IntakeRefused, match=r"the limit is 64,000\.$"):
            enqueue(replace(PAGE, metadata=data | {"more": "x" * 100}))

    def test_is_metadata_that_no_row_can_hold_before_the_pipeline_reads_it(self):
        assert refused(replace(PAGE, metadata={"language": "\x00"}))[1] == [(0, "metadata")]

    def test_has_a_prompt_problem_only_in_other_types(self):
        assert refused(replace(PAGE, prompt="x" * 32_001))[1] == [(0, "prompt")]
        assert refused(Draft(model="text-writer", prompt=" ", metadata=LEAFLET))[1] == [(0, "prompt")]

    def test_is_a_model_that_is_away_whatever_the_data_says(self, settings):
        settings.ALLOW_STUDIO = False

        with pytest.raises(ModelNotAvailable):
            enqueue(replace(PAGE, metadata={}))


class TestASchedule:
    def test_of_a_page_is_checked_like_a_job(self):
        owner, request = UserFactory(), {"model": "page-writer", "prompt": "", "metadata": ALONE}

        with pytest.raises(PlanRefused) as refusal:
            makers.jobs.check(owner, request, at=NOON)

        assert [one.field for one in refusal.value.problems] == ["job.metadata.products"]
        made = makers.jobs.make(owner, request | {"metadata": LEAFLET}, name="", at=NOON, actor="schedule")
        assert [job.pk for job in LEAFLETS.jobs] == [made.job]
        assert makers.summary(request | {"metadata": LEAFLET}) == "A leaflet in en."


class TestAChange:
    @pytest.mark.parametrize("state", ["failed", "queued"])
    def test_of_the_prompt_is_refused_with_what_to_do_instead(self, state):
        job = make_job(state, model_id="page-writer", metadata=LEAFLET, parameters={})
        other = intake.draft_like(job, prompt="Another one.")
        if state == "queued":
            Job.objects.filter(pk=job.pk).update(held=True, held_for="canary")

        with pytest.raises(IntakeRefused, match=r"Make a new version of the page instead\.") as refusal:
            if state == "failed":
                intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user", change=other)
            else:
                rewrites.rewrite(job.owner, {job.pk: other}, at=NOON, actor="user", reason="edited")

        assert [one.field for one in refusal.value.problems] == ["prompt"]
        job.refresh_from_db()
        assert job.state == state and job.prompt != "Another one."

    def test_of_nothing_is_a_plain_retry(self):
        job = make_job("failed", model_id="page-writer", metadata=LEAFLET, parameters={})

        intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user", change=intake.draft_like(job))

        assert Job.objects.get(pk=job.pk).state == "queued"
