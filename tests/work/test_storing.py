"""Storing: tickets are charged only after the files are stored, and never without files."""

import hashlib
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from queue_app import clock, lifecycle
from queue_app.models import Asset, Attempt, Job, Reservation, ReviewItem, State
from queue_app.providers import calls
from queue_app.work import storing
from tests.factories import make_asset, make_job, storing_begun
from tests.providers.wire import answer, drip, reset
from tests.work.conftest import generated_by
from tests.work.steps import KEYS

pytestmark = pytest.mark.django_db
DONE = answer(200, {"id": "video_1", "object": "video", "status": "completed", "progress": 100})
HOUR = 3600.0


def cut_short(sock: socket.socket) -> None:
    """Send a file without its end, then close the connection."""
    sock.sendall(answer(200, b"x" * 100_000)[:-1])


def due(remote_id: str, **fields):
    """Return job, attempt and lease of a worker that stores a job finished by its provider."""
    return storing_begun(make_job("storing", at=clock.now(), remote_id=remote_id, **fields), at=clock.now())


def try_again(job: Job):
    """Let the next try become due, and do the work of dispatcher and worker."""
    found = storing_begun(job, at=clock.now())
    storing.store(*found)
    return Job.objects.get(pk=job.pk)


def stored_files() -> list[str]:
    return [str(path) for path in (Path(settings.MEDIA_ROOT) / "assets").rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


class TestStore:
    def test_keeps_the_video_and_its_stills_and_charges(self, finished_video):
        job, attempt, lease = due(finished_video())

        assert storing.store(job, attempt, lease) == []

        job.refresh_from_db()
        attempt.refresh_from_db()
        assets = {asset.kind: asset for asset in Asset.objects.filter(job=job)}
        assert (job.state, attempt.outcome) == ("completed", "delivered")
        assert Reservation.objects.get(job=job).state == "captured"
        assert set(assets) == {"video", "thumbnail", "tile", "spritesheet"}
        video = assets["video"]
        content = default_storage.open(video.name).read()
        assert (video.content_type, video.size, video.version, video.preview) == ("video/mp4", len(content), 1, True)
        assert video.sha256 == hashlib.sha256(content).hexdigest()
        assert (video.width, video.height, video.seconds) == (160, 90, pytest.approx(1, abs=0.1))
        assert video.name == f"assets/{video.created_at:%Y/%m}/{video.pk}.mp4"
        assert (assets["spritesheet"].width, assets["spritesheet"].content_type) == (3200, "image/jpeg")

    def test_has_a_previews_files_from_the_studio_though_a_key_was_set_meanwhile(self, finished_video, settings):
        job, attempt, lease = due(finished_video())
        settings.PROVIDER_KEYS = KEYS

        storing.store(job, attempt, lease)

        assert Job.objects.get(pk=job.pk).state == "completed"

    def test_tells_how_long_each_stage_took(self, finished_video):
        job, attempt, lease = due(finished_video())

        storing.store(job, attempt, lease)

        stages = job.events.get(to_state="completed").data["stages"]
        assert [stage["name"] for stage in stages] == ["download", "post-processing", "storage"]
        assert all(stage["seconds"] >= 0 for stage in stages)
        assert stages == sorted(stages, key=lambda stage: stage["started_at"])

    def test_leaves_nothing_in_its_workroom(self, finished_video):
        storing.store(*due(finished_video()))

        assert list((Path(settings.MEDIA_ROOT) / "tmp").iterdir()) == []

    def test_a_void_lease_changes_nothing_and_leaves_no_file(self, finished_video):
        job, attempt, lease = due(finished_video())
        storing_begun(job, at=clock.now())  # another worker takes it

        storing.store(job, attempt, lease)

        job.refresh_from_db()
        assert job.state == State.STORING
        assert not Asset.objects.filter(job=job).exists()
        assert stored_files() == []

    def test_a_job_that_was_ended_meanwhile_stays_ended(self, finished_video):
        job, attempt, lease = due(finished_video())
        lifecycle.force_fail([job.pk], at=clock.now(), actor="staff", reason="wrong prompt")

        storing.store(job, attempt, lease)

        assert Job.objects.get(pk=job.pk).state == State.FAILED
        assert stored_files() == []


class TestEqualFiles:
    @pytest.fixture
    def twins(self, studio, finished_video):
        """Two jobs whose videos are equal, the first one stored."""
        first = due(finished_video())
        storing.store(*first)
        return first[0], due(generated_by(studio))

    def test_they_are_stored_once(self, twins):
        job, second = twins
        files = stored_files()

        storing.store(*second)

        assert stored_files() == files
        assert len({*names_of(job), *names_of(second[0])}) == len(files) == 4
        assert Job.objects.get(pk=second[0].pk).state == "completed"

    def test_a_void_lease_leaves_the_file_of_the_other(self, twins):
        job, second = twins
        storing_begun(second[0], at=clock.now())  # another worker takes it

        storing.store(*second)

        assert not Asset.objects.filter(job=second[0]).exists()
        assert all(default_storage.exists(name) for name in names_of(job))

    def test_one_that_was_deleted_meanwhile_is_stored_at_the_next_try(self, twins, monkeypatch):
        job, second = twins
        keep_shared = storing._keep_shared

        def as_retention_deletes_it(names):
            Asset.objects.filter(job=job).update(expired_at=clock.now())
            keep_shared(names)

        monkeypatch.setattr(storing, "_keep_shared", as_retention_deletes_it)
        storing.store(*second)
        waits = Job.objects.get(pk=second[0].pk)
        assert (waits.state, waits.store_tries, waits.lease_until) == ("storing", 0, None)

        monkeypatch.undo()
        Asset.objects.filter(job=job).update(expired_at=clock.now())
        assert try_again(waits).state == State.COMPLETED
        assert not {*names_of(job)} & {*names_of(waits)}


def names_of(job: Job) -> list[str]:
    return list(Asset.objects.filter(job=job).values_list("name", flat=True))


class TestAFileThatCannotBeHad:
    @pytest.mark.parametrize("fault", ["wrong_type", "disguised", "empty", "huge", "404"])
    def test_is_tried_again_a_little_later(self, finished_video, studio, fault, time_stands_still):
        job, attempt, lease = due(finished_video())
        studio.queue_faults(content=[fault])
        before = clock.now()

        storing.store(job, attempt, lease)

        job.refresh_from_db()
        assert (job.state, job.store_tries, job.lease_until) == ("storing", 1, None)
        assert timedelta(seconds=5) <= job.next_check_at - before <= timedelta(seconds=20)
        assert stored_files() == []
        assert try_again(job).state == State.COMPLETED

    def test_ends_the_job_after_three_tries_with_the_tickets_back(self, finished_video):
        job, attempt, lease = due(finished_video("dead_asset"))

        storing.store(job, attempt, lease)
        assert try_again(job).state == State.STORING
        ended = try_again(job)

        assert (ended.state, ended.error_code, ended.store_tries) == ("failed", "not_delivered", 3)
        assert Reservation.objects.get(job=job).state == "released"
        assert Attempt.objects.get(pk=attempt.pk).outcome == "lost"
        assert "Paid but not delivered after 3 download tries" in ReviewItem.objects.get(job=job, closed_at=None).what

    def test_because_it_comes_too_slowly_is_tried_three_times_too(self, vendor, monkeypatch):
        monkeypatch.setattr(calls, "FILE_SECONDS", 2.0)
        slow = drip(answer(200, b"x" * 100_000)[:-10_000])
        vendor.says(DONE, slow, DONE, slow, DONE, slow)
        job, attempt, lease = due("video_1")

        storing.store(job, attempt, lease)

        assert [try_again(job).state, try_again(job).state] == [State.STORING, State.FAILED]

    def test_is_told_from_one_that_the_provider_does_not_know_at_this_look(self, studio):
        job, attempt, lease = due("video_unknown")
        Job.objects.filter(pk=job.pk).update(store_tries=3)

        storing.store(job, attempt, lease)

        job.refresh_from_db()
        assert (job.state, job.store_tries) == ("storing", 2)  # another replica may know it, so no try counts


class TestAFileThatCannotBeReached:
    @pytest.mark.parametrize(
        "replies",
        [
            (DONE, reset),
            (DONE, cut_short),
            (DONE, answer(503)),
            (DONE, answer(429)),
            (DONE, answer(401)),
            (reset,),
            (answer(503),),
            (answer(403),),
            (answer(200, b"<html>Back soon.</html>"),),
            (answer(200, {"id": "video_1", "object": "video", "status": "in_progress"}),),
        ],
        ids=[
            "reset",
            "cut short",
            "503",
            "429",
            "401",
            "poll reset",
            "poll 503",
            "poll 403",
            "poll unreadable",
            "not done any more",
        ],
    )
    def test_is_tried_on_without_a_count(self, vendor, replies):
        vendor.says(*replies * 5)
        job, attempt, lease = due("video_1")

        storing.store(job, attempt, lease)
        for _ in range(4):
            job = try_again(job)

        assert (job.state, job.store_tries, job.lease_until) == ("storing", 0, None)
        assert not ReviewItem.objects.filter(job=job).exists()

    def test_has_its_three_tries_once_it_can(self, vendor):
        gone = answer(404, {"error": {"message": "not there"}})
        vendor.says(reset, reset, reset, DONE, gone, DONE, gone, reset, DONE, gone)
        job, attempt, lease = due("video_1")

        storing.store(job, attempt, lease)

        assert [try_again(job).store_tries for _ in range(6)] == [0, 0, 1, 2, 2, 3]
        assert Job.objects.get(pk=job.pk).error_code == "not_delivered"

    @pytest.mark.parametrize(("waited", "least", "most"), [(0, 4, 5), (600, 240, 300), (20 * HOUR, 480, 600)])
    def test_is_tried_ever_more_rarely_but_every_10_min(self, vendor, waited, least, most, time_stands_still):
        vendor.says(answer(503))
        job = self.job_in_vain(made=waited)

        assert least <= (job.next_check_at - clock.now()).total_seconds() <= most

    @pytest.mark.parametrize(("told", "ends"), [(None, 24), (1, 1), (72, 72), (-1, 24), (24 * 365, 24 * 30)])
    def test_is_given_up_when_the_provider_no_longer_keeps_it(self, vendor, told, ends):
        vendor.says(answer(503))
        told = None if told is None else told * HOUR

        assert self.job_in_vain(made=ends * HOUR - 1, told=told).state == State.STORING
        job = self.job_in_vain(made=ends * HOUR, told=told)

        assert (job.state, job.error_code) == ("failed", "not_delivered")
        assert Reservation.objects.get(job=job).state == "released"
        assert Attempt.objects.get(job=job).outcome == "lost"
        (item,) = ReviewItem.objects.filter(job=job, closed_at=None)
        assert item.what.startswith("Paid but not delivered before the provider deleted it.") and item.decide_by is None

    def test_is_told_to_a_person_once_half_of_that_time_is_over(self, vendor):
        vendor.says(answer(503))
        assert not ReviewItem.objects.filter(job=self.job_in_vain(made=12 * HOUR - 1)).exists()
        job = self.job_in_vain(made=12 * HOUR)

        item = ReviewItem.objects.get(job=job)
        assert item.what.startswith("Paid but not delivered yet.") and "503" in item.what
        assert item.decide_by == clock.now() + timedelta(hours=12)

        lifecycle.close_review(item, at=clock.now(), actor="ana", reason="they are at it")
        try_again(job)
        assert ReviewItem.objects.get(job=job).closed_by == "ana"

    def test_needs_no_person_any_more_when_it_is_there(self, finished_video, studio):
        remote_id = finished_video()
        studio.queue_faults(content=["reset"])
        job = self.job_in_vain(made=13 * HOUR, remote_id=remote_id)
        item = ReviewItem.objects.get(job=job, closed_at=None)

        assert try_again(job).state == State.COMPLETED
        item.refresh_from_db()
        assert item.closed_by == "worker"

    @staticmethod
    def job_in_vain(*, made: float, told: float | None = None, remote_id: str | None = None) -> Job:
        """Return a job that its provider finished ``made`` seconds ago and keeps for ``told`` seconds, after a failed try."""
        made_at = clock.now() - timedelta(seconds=made)
        job = make_job("running", at=made_at, remote_id=remote_id)
        kept_until = None if told is None else made_at + timedelta(seconds=told)
        lifecycle.deliver(job, at=made_at, actor="worker", ran_seconds=30, kept_until=kept_until)
        return try_again(job)

    def test_because_our_disk_is_full_is_not_the_files_fault(self, finished_video, monkeypatch):
        job, attempt, lease = due(finished_video())
        Job.objects.filter(pk=job.pk).update(store_tries=5)
        kept, save = [], default_storage.save

        def full(name, content):
            if kept:
                raise OSError(28, "No space left on device")
            kept.append(save(name, content))
            return kept[0]

        monkeypatch.setattr(default_storage, "save", full)

        storing.store(job, attempt, lease)

        assert Job.objects.get(pk=job.pk).state == State.STORING
        assert kept and stored_files() == []


class TestRemoveOrphans:
    def test_takes_old_objects_without_a_row_and_old_workrooms(self):
        at = clock.now()
        job = make_job("storing", at=at)
        kept = make_asset(job)
        default_storage.save(kept.name, ContentFile(b"film"))
        lifecycle.complete(job, [kept], at=at, actor="worker", stages=[])
        orphan = default_storage.save("assets/2026/10/orphan.mp4", ContentFile(b"film"))
        fresh = default_storage.save("assets/2026/11/fresh.mp4", ContentFile(b"film"))
        old_room, new_room = (Path(settings.MEDIA_ROOT) / "tmp" / name for name in ("store-old", "store-new"))
        new_room.mkdir(parents=True)
        old_room.mkdir()
        for path in (default_storage.path(kept.name), default_storage.path(orphan), old_room):
            os.utime(path, (time.time() - 90_000,) * 2)

        assert storing.remove_orphans(at) == 2

        assert [default_storage.exists(name) for name in (kept.name, orphan, fresh)] == [True, False, True]
        assert (old_room.exists(), new_room.exists()) == (False, True)

    def test_goes_on_where_something_is_gone_since_it_was_listed(self, monkeypatch):
        gone, orphan = (default_storage.save(f"assets/2026/10/{name}.mp4", ContentFile(b"film")) for name in ("a", "b"))
        os.utime(default_storage.path(orphan), (time.time() - 90_000,) * 2)
        listdir = default_storage.listdir

        def listed(folder):
            found = listdir(folder)
            default_storage.delete(gone)
            return found

        monkeypatch.setattr(default_storage, "listdir", listed)
        assert storing.remove_orphans(clock.now()) == 1
        assert not default_storage.exists(orphan)

    def test_finds_nothing_where_nothing_was_ever_stored(self):
        assert storing.remove_orphans(clock.now()) == 0
