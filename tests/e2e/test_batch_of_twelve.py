"""Twelve videos of a model with a limit of four: never more at the same time, and in the order in which they were submitted."""

from collections.abc import Iterator

import pytest

from queue_app.models import Asset, JobEvent
from tests.conftest import Figures
from tests.e2e.batch import BatchRun
from tests.processes import Site

pytestmark = pytest.mark.processes
JOBS, LIMIT = 12, 4


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(STUDIO_SECONDS_PER_JOB="1", WORKERS="4")
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def test_never_more_than_four_at_once_and_first_come_first_served(site: Site, figures: Figures) -> None:
    studio = site.start_studio(seconds_per_job=1)
    site.start_worker()
    run = BatchRun(site, JOBS)
    run.submit()

    states = run.wait_until_all_ended(seconds=180)
    took = run.seconds
    log = studio.log()
    with site.orm():
        claims = list(JobEvent.objects.filter(to_state="submitting").order_by("at", "id").values_list("job", flat=True))
        videos = Asset.objects.filter(kind="video", size__gt=0).count()
    number_of = dict(zip(run.prompts, run.numbers, strict=True))
    creates = [number_of[row["prompt"]] for row in log["creates"]]
    figures(f"{JOBS} jobs: {dict(states)} in {took:.1f} s; most at once at the studio: {log['peak']}; creates of jobs {creates}")

    assert states == {"completed": JOBS} and videos == JOBS
    assert log["peak"] == LIMIT
    assert claims == run.numbers
    # the order is decided at the claim; then each worker calls as soon as it can, and a frozen one delays no other
    assert sorted(creates) == run.numbers
    site.manage("check_invariants")
