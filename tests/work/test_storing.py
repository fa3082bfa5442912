"""Storing: the files are there before anybody is charged, and nobody is charged for what is not there."""

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from queue_app import clock, lifecycle
from queue_app.models import Asset, Attempt, Job, Reservation, ReviewItem, State
from queue_app.work import storing
from tests.factories import make_asset, make_job, storing_begun
from tests.work.steps import KEYS

pytestmark = pytest.mark.django_db


def due(remote_id: str, **fields):
    """A job that its provider has finished, taken up by a worker."""
    return storing_begun(make_job("storing", at=clock.now(), remote_id=remote_id, **fields), at=clock.now())


def try_again(job: Job):
    """Do what the dispatcher and a worker do once the next try is due."""
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
        assert set(assets) == {"video", "thumbnail", "spritesheet"}
        video = assets["video"]
        content = default_storage.open(video.name).read()
        assert (video.content_type, video.size, video.version, video.preview) == ("video/mp4", len(content), 1, True)
        assert video.sha256 == hashlib.sha256(content).hexdigest()
        assert (video.width, video.height, video.seconds) == (320, 180, pytest.approx(1, abs=0.1))
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
        storing_begun(job, at=clock.now())  # another worker has it

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


class TestAFileThatCannotBeHad:
    @pytest.mark.parametrize("fault", ["wrong_type", "disguised", "empty", "huge", "404", "truncated"])
    def test_is_tried_again_a_little_later(self, finished_video, studio, fault):
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
        assert "Paid, nothing delivered" in ReviewItem.objects.get(job=job, closed_at=None).what

    def test_is_waited_for_longer_while_the_provider_cannot_be_reached(self, finished_video, settings):
        job, attempt, lease = due(finished_video())
        settings.STUDIO_URL = settings.TRUSTED_ORIGINS[0].rpartition(":")[0] + ":1"
        settings.TRUSTED_ORIGINS = [settings.STUDIO_URL]
        Job.objects.filter(pk=job.pk).update(store_tries=5)

        storing.store(job, attempt, lease)

        assert Job.objects.get(pk=job.pk).state == State.STORING

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

    def test_is_told_from_one_that_the_provider_no_longer_knows(self, studio):
        job, attempt, lease = due("video_unknown")
        Job.objects.filter(pk=job.pk).update(store_tries=3)

        storing.store(job, attempt, lease)

        assert "has no video" in Job.objects.get(pk=job.pk).error_message


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

    def test_finds_nothing_where_nothing_was_ever_stored(self):
        assert storing.remove_orphans(clock.now()) == 0
