"""The stages of a job: from its history, or from the rows that its pipeline leaves."""

from datetime import timedelta

import pytest

from queue_app.insight import stages
from queue_app.insight.stages import Stage
from queue_app.models import JobStage
from tests.factories import NOON, make_job
from tests.pipelines import NAMES, PIPELINES, REPORT, finished

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def piped(settings):
    settings.PIPELINES = PIPELINES


def page(state, **fields):
    return make_job(state, model_id="page-writer", parameters={}, **fields)


def told(job, seconds=4):
    """Return the stages of a job, and the name of the current one."""
    found = stages.stages(job, [], at=NOON + timedelta(seconds=seconds), kept=stages.kept_of([job])[job.pk])
    return [(one.status, one.seconds) for one in found], stages.current(found)


class TestOfAPage:
    def test_are_those_of_its_pipeline_in_order(self):
        job = page("queued")
        assert [one.name for one in stages.stages(job, [], at=NOON)] == [*NAMES]
        assert told(job) == ([("wait", None)] * 7, None)

    def test_show_where_it_is_and_how_long_that_takes(self):
        job = page("running")
        assert told(job)[0][:2] == [("now", None), ("wait", None)]  # claimed, and not begun yet
        finished(job, *NAMES[:2])
        JobStage.objects.create(job=job, name=NAMES[2], started_at=NOON)
        JobStage.objects.create(job=job, name=NAMES[2], step="hero", started_at=NOON)
        assert told(job) == ([("done", 2.0)] * 2 + [("now", 4.0)] + [("wait", None)] * 4, NAMES[2])

    def test_show_where_it_failed_and_stay_when_it_is_queued_again(self):
        job = page("failed")
        finished(job, *NAMES[:2])
        JobStage.objects.create(job=job, name=NAMES[2], started_at=NOON - timedelta(seconds=1))
        assert told(job, 60) == ([("done", 2.0)] * 2 + [("bad", 1.0)] + [("wait", None)] * 4, NAMES[2])
        job.state, job.ended_at = "queued", None
        assert told(job) == ([("done", 2.0)] * 2 + [("wait", None)] * 5, None)

    def test_say_which_was_skipped(self):
        job = page("completed", metadata={"skip_quality_check": True})
        finished(job, *NAMES[:4], *NAMES[5:])
        assert told(job) == ([("done", 2.0)] * 4 + [("skipped", None)] + [("done", 2.0)] * 2, None)

    def test_come_with_the_checks_in_one_query_for_any_number_of_jobs(self, django_assert_num_queries):
        pages, film = [page("running"), page("running")], make_job("running")
        finished(pages[1], *NAMES[:5])

        with django_assert_num_queries(1):
            found = stages.kept_of([*pages, film])

        assert found[film.pk] == found[pages[0].pk] == stages.NOTHING
        assert (found[pages[1].pk].checks, found[pages[1].pk].verdict) == (REPORT["checks"], "review")
        with django_assert_num_queries(0):
            stages.kept_of([film])


def test_of_other_jobs_are_read_off_their_history():
    job = make_job("running")
    found = stages.stages(job, list(job.events.order_by("seq")), at=NOON)
    assert found[:2] == [Stage("validation", "done", 0.0), Stage("submission", "done", 0.0)] and found[2].status == "now"
