"""`manage.py demo`, which is `make run`, as its contract has it."""

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns import plan
from genqueue_site.demo import sample
from queue_app.models import Batch, Job, State
from tests.factories import UserFactory
from tests.processes import Program, Site, free_port, wait_for


@pytest.fixture
def site(django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock():
        site = Site(STUDIO_SECONDS_PER_JOB="0.2")
        try:
            yield site
        finally:
            site.close()


def start_demo(site: Site, *flags: str) -> Program:
    ports = ["--port", str(free_port()), "--studio-port", str(free_port())]
    return site.start("demo", ["manage.py", "demo", *ports, *flags])


@pytest.mark.processes
class TestDemo:
    def test_two_runs_on_the_same_data_the_second_until_ctrl_c(self, site: Site) -> None:
        first = start_demo(site, "--jobs", "3", "--exit")
        assert first.wait(seconds=180) == 0, first.said()
        assert re.search(r"^3 of 3 completed in \d+\.\d s$", first.said(), re.M)
        assert (site.living(), site.database.status().running) == ([], False)

        second = start_demo(site, "--jobs", "2")
        wait_for(lambda: "Ctrl-C" in second.said() or not second.is_running, seconds=180, of="the end of the second sample")
        assert logins(second) == logins(first)
        assert set(logins(second)) == {"admin", "operator", "demo"}
        with site.orm():
            assert list(Batch.objects.values_list("jobs__state", flat=True)) == [State.COMPLETED] * 5
            assert Job.objects.filter(batch=1).values("prompt").distinct().count() == 3

        before = set(second.children())
        assert len(before) == 3
        for pid in before:
            site.kill(pid)
        wait_for(lambda: second.said().count("is started anew") == 3, seconds=60, of="word of three deaths")
        wait_for(lambda: len(set(second.children()) - before) == 3, seconds=60, of="three programs started anew")

        status, seconds = second.stop(number=signal.SIGINT)
        assert (status, seconds < 30) == (0, True)
        assert (site.living(), site.database.status().running) == ([], False)


class TestBadInput:
    @pytest.mark.parametrize("jobs", ["0", "501", "-1", "a"])
    def test_a_count_out_of_range_is_refused(self, jobs: str) -> None:
        with pytest.raises(CommandError, match="1 to 500"):
            call_command("demo", "--jobs", jobs)

    def test_one_port_for_two_is_refused(self) -> None:
        with pytest.raises(CommandError, match="two ports"):
            call_command("demo", "--port", "8000", "--studio-port", "8000")


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 7, 12, 26, 127, 500])
def test_the_sample_is_of_so_many_different_videos(count: int) -> None:
    cells = plan.make(sample.brief(count, "Sample"), UserFactory()).to_buy
    assert len({cell.prompt for cell in cells}) == len(cells) == count


def logins(demo: Program) -> dict[str, str]:
    return dict(re.findall(r"^(?:  Log in as| {12}) +(\w+) +(\S+)   ", demo.said(), re.M))
