"""Jobs that the studio has accepted survive its crash, and processes that it started end with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.genqueue_site.studio.conftest import StartStudio, client, create
from tests.genqueue_site.studio.process import CHECKOUT, StudioProcess

pytestmark = [pytest.mark.processes, pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")]


class TestAKilledStudio:
    def test_goes_on_with_every_accepted_job_and_still_serves_the_finished_ones(
        self, studio: StartStudio, tmp_path: Path
    ) -> None:
        process = studio(seconds_per_job=0.1)
        finished = create(process, "Finished")
        process.wait_until_idle()
        film = client(process).videos.download_content(finished).content
        with ThreadPoolExecutor(4) as pool:
            cut_short = list(pool.map(lambda number: create(process, f"Cut short {number}"), range(3)))
        accepted = [row["id"] for row in process.log()["creates"][1:]]
        process.kill()
        process.restart()
        log = process.log()
        assert [(row["id"], row["accepted"]) for row in log["creates"]] == [(job, True) for job in (finished, *accepted)]
        assert log["peak"] == 3
        process.wait_until_idle()
        videos = client(process).videos
        assert videos.download_content(finished).content == film
        for job_id in cut_short:
            assert videos.retrieve(job_id).status == "completed"
            assert videos.download_content(job_id).content[4:8] == b"ftyp"
        assert [path.name for path in tmp_path.rglob("*.tmp")] == []

    def test_leaves_no_render_behind(self, studio: StartStudio) -> None:
        process = studio()
        create(process, "A long one", seconds="60", size="1280x720")
        [render] = renders_of(process)
        process.kill()
        render.wait(5)

    def test_keeps_deleted_jobs_deleted(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=0.5)
        video = create(process, "Gone")
        client(process).videos.delete(video)
        process.kill()
        process.restart()
        assert requests.get(f"{process.url}/v1/videos/{video}", timeout=5).status_code == 404
        assert process.log()["running"] == 0


class TestAStoppedStudio:
    def test_ends_its_renders_at_once_and_goes_on_with_them_later(self, studio: StartStudio) -> None:
        process = studio()
        video = create(process, "A long one", seconds="20", size="1280x720")
        [render] = renders_of(process)
        process.queue_faults(retrieve=["hang"])
        with ThreadPoolExecutor(1) as pool:
            pool.submit(requests.get, f"{process.url}/v1/videos/{video}", timeout=30)
            time.sleep(0.2)
            began = time.monotonic()
            assert process.stop() == 0
        assert time.monotonic() - began < 25  # the hanging call would have delayed it by 30
        render.wait(5)
        process.restart()
        assert client(process).videos.retrieve(video).status in ("queued", "in_progress")

    def test_stops_whichever_of_its_threads_the_signal_reaches(self, studio: StartStudio) -> None:
        process = studio()
        [other, *_] = [thread.id for thread in psutil.Process(process.pid).threads() if thread.id != process.pid]
        assert process.stop(thread=other) == 0


class TestTheStart:
    def test_with_a_bad_setting_ends_by_its_name(self, tmp_path: Path) -> None:
        ended = start(tmp_path, STUDIO_MAX_RUNNING="2.5")
        assert ended.returncode == 2
        wanted = "The studio can't start: Invalid STUDIO_MAX_RUNNING='2.5': must be a whole number from 0 to 1000000."
        assert ended.stderr.startswith(wanted)

    def test_refuses_a_folder_another_studio_works_in(self, studio: StartStudio, tmp_path: Path) -> None:
        studio()
        assert f"Another studio is using {tmp_path / 'studio'}" in start(tmp_path).stderr

    def test_refuses_a_port_that_is_taken(self, studio: StartStudio, tmp_path: Path) -> None:
        taken = studio()
        assert "--port" in start(tmp_path / "other", port=taken.port).stderr

    def test_clears_what_a_killed_one_had_half_rendered_or_half_deleted(self, studio: StartStudio, tmp_path: Path) -> None:
        for name in ("video_deleted", "half.tmp"):
            (tmp_path / "studio" / "media" / name).mkdir(parents=True)
        studio()
        assert list((tmp_path / "studio" / "media").iterdir()) == []

    def test_leaves_out_a_file_that_is_no_job(self, studio: StartStudio, tmp_path: Path) -> None:
        jobs = tmp_path / "studio" / "jobs"
        jobs.mkdir(parents=True)
        (jobs / "video_1.json").write_text("{}")
        assert studio().log()["running"] == 0


def start(var: Path, *, port: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genqueue_site.studio", "--port", str(port)]
    environment = {**os.environ, "GENQUEUE_VAR": str(var), **env}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=20)


def renders_of(process: StudioProcess) -> list[psutil.Process]:
    """Wait for renders of the studio and return them."""
    for _ in range(100):
        if renders := psutil.Process(process.pid).children():
            return renders
        time.sleep(0.05)
    return []
