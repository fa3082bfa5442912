"""The contract of `manage.py demo` (`make run`)."""

import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from campaigns import plan
from genqueue_site.demo import sample
from queue_app import tickets
from queue_app.models import ApiKey, Batch, Job, State, User
from tests import manual
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


def start_demo(site: Site, *flags: str, port: int | None = None) -> Program:
    ports = ["--port", str(port or free_port()), "--studio-port", str(free_port())]
    return site.start("demo", ["manage.py", "demo", *ports, *flags])


@pytest.mark.processes
class TestDemo:
    def test_two_runs_on_the_same_data_the_second_with_the_manuals_programs_until_ctrl_c(
        self, site: Site, tmp_path: Path
    ) -> None:
        first = start_demo(site, "--jobs", "3", "--exit")
        assert first.wait(seconds=180) == 0, first.said()
        assert re.search(r"^3 of 3 completed in \d+\.\d s$", first.said(), re.M)
        said = first.said()
        places = [said.index(words) for words in ("/campaigns/1/", "Log in as", "3 of 3 finished", "3 of 3 completed")]
        assert places == sorted(places)
        assert (site.living(), site.database.status().running) == ([], False)

        port, receiver = free_port(), free_port()
        site.env["WEBHOOK_TRUSTED_ORIGINS"] = f"http://127.0.0.1:{receiver}"
        second = start_demo(site, "--jobs", "2", port=port)
        wait_for(
            lambda: "2 of 2 completed" in second.said() or not second.is_running, seconds=180, of="the end of the second sample"
        )
        assert logins(second) == logins(first)
        assert set(logins(second)) == {"admin", "operator", "demo"}
        with site.orm():
            assert list(Batch.objects.values_list("jobs__state", flat=True)) == [State.COMPLETED] * 5
            assert Job.objects.filter(batch=1).values("prompt").distinct().count() == 3

            _, key = ApiKey.objects.create(User.objects.get(username="demo"), scopes=["read", "submit"])

        told = manual.run(tmp_path, url=f"http://127.0.0.1:{port}", key=key, port=receiver)
        films = {path.name for path in tmp_path.glob("*.mp4") if path.read_bytes()[4:8] == b"ftyp"}
        assert films == {"tram.mp4", "kite.mp4", *(f"lighthouse-{take}.mp4" for take in (1, 2, 3))}
        assert "3 of 3 completed for 12 tickets\ncalled back: job.completed http" in told
        assert "refused: prompt " in told and "refused: parameters.duration " in told

        before = set(second.children())
        assert len(before) == 3
        for pid in before:
            site.kill(pid)
        wait_for(lambda: second.said().count("Restarting.") == 3, seconds=60, of="word of three deaths")
        wait_for(lambda: len(set(second.children()) - before) == 3, seconds=60, of="three programs started anew")

        assert second.stop(number=signal.SIGINT)[0] == 0
        assert (site.living(), site.database.status().running) == ([], False)


class TestBadInput:
    @pytest.mark.parametrize("jobs", ["0", "501", "-1", "a"])
    def test_a_count_out_of_range_is_refused(self, jobs: str) -> None:
        with pytest.raises(CommandError, match="1 to 500"):
            call_command("demo", "--jobs", jobs)

    def test_one_port_for_two_is_refused(self) -> None:
        with pytest.raises(CommandError, match="must be different"):
            call_command("demo", "--port", "8000", "--studio-port", "8000")


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 7, 12, 26, 127, 500])
def test_the_sample_is_of_so_many_different_videos(count: int) -> None:
    cells = plan.make(sample.brief(count, "Sample"), UserFactory()).to_buy
    assert len({cell.prompt for cell in cells}) == len(cells) == count


@pytest.mark.django_db
def test_the_wallet_pays_for_127_videos_beside_the_sample() -> None:
    owner = UserFactory(username="demo")
    sample.submit(3)
    longest = replace(sample.brief(127, "Mine"), duration=20)
    assert tickets.balances(owner)["available"] >= plan.make(longest, owner).tickets


@pytest.mark.django_db
class TestOneClick:
    @pytest.fixture(autouse=True)
    def demo(self, settings: Any, tmp_path: Path) -> None:
        settings.VAR, settings.DEMO = tmp_path, True
        (tmp_path / "demo-logins.json").write_text("{}")
        UserFactory(username="demo")
        UserFactory(username="admin", staff=True)

    @pytest.mark.parametrize(
        ("name", "wanted", "place"),
        [
            ("demo", "", "/"),
            ("admin", "", "/admin/"),
            ("demo", "/campaigns/1/", "/campaigns/1/"),
            ("demo", "https://elsewhere.example/", "/"),
        ],
    )
    def test_logs_in_and_stays_on_this_site(self, client: Client, name: str, wanted: str, place: str) -> None:
        answer = client.post("/demo/login/", {"user": name, "next": wanted})

        assert (answer.status_code, answer["Location"]) == (302, place)
        assert client.session["_auth_user_id"]

    def test_shows_its_buttons_only_in_a_demo(self, client: Client, settings: Any) -> None:
        settings.DEMO = True
        assert "Log in as demo" in client.get("/login/").content.decode()
        settings.DEMO = False
        assert "Log in as demo" not in client.get("/login/").content.decode()

    def test_is_not_there_without_the_flag_or_from_another_machine(self, client: Client, settings: Any) -> None:
        assert client.post("/demo/login/", {"user": "demo"}, REMOTE_ADDR="192.0.2.1").status_code == 404
        settings.DEMO = False
        assert client.post("/demo/login/", {"user": "demo"}).status_code == 404

    def test_refuses_others_a_get_and_a_forged_form(self, client: Client) -> None:
        UserFactory(username="somebody")

        assert client.post("/demo/login/", {"user": "somebody"}).status_code == 404
        assert client.get("/demo/login/").status_code == 405
        assert Client(enforce_csrf_checks=True).post("/demo/login/", {"user": "demo"}).status_code == 403


def logins(demo: Program) -> dict[str, str]:
    return dict(re.findall(r"^(?:  Log in as| {16}) +(\w+) +(\S+)   ", demo.said(), re.M))
