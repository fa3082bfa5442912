"""Files in an object storage: a real S3 server on this machine, spoken to over HTTP."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePosixPath

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from moto.server import ThreadedMotoServer

from genqueue_site import environment
from queue_app import clock
from queue_app.insight import invariants
from queue_app.models import Asset, Job, Reservation
from queue_app.work import disk, retention, storing
from queue_app.work.answers import ANSWERS
from tests.factories import make_job, storing_begun
from tests.work.conftest import generated_by

pytestmark = pytest.mark.django_db
ANSWER = "0198f0a0-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def bucket(address: str, monkeypatch: pytest.MonkeyPatch, settings, tmp_path: Path):
    """An empty bucket that the environment names as the place of all files."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("MEDIA_STORAGE", f"s3://films/here?endpoint={address}&region=us-east-1")
    made = boto3.resource("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="films")
    made.objects.delete()
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.STORAGES = {**settings.STORAGES, "default": environment.storage("MEDIA_STORAGE")}
    return made


@pytest.fixture
def away(bucket, settings, monkeypatch):
    """Let nothing listen where the storage is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "MEDIA_STORAGE", f"s3://films/here?endpoint=http://127.0.0.1:{taken.getsockname()[1]}&region=us-east-1"
        )
        settings.STORAGES = {**settings.STORAGES, "default": environment.storage("MEDIA_STORAGE")}
        yield


def stored(video: str) -> Job:
    """Return the job of a generated video after a worker stored its files, or tried to."""
    at = clock.now()
    job = make_job("storing", at=at, remote_id=video)
    storing.store(*storing_begun(job, at=at))
    return Job.objects.get(pk=job.pk)


def keys(bucket) -> set[str]:
    return {one.key for one in bucket.objects.all()}


class TestFilesOfAJob:
    def test_they_are_in_the_bucket_under_the_folder_of_the_setting(self, bucket, finished_video, tmp_path):
        job = stored(finished_video())

        assert job.state == "completed"
        assert keys(bucket) == {f"here/{name}" for name in job.assets.values_list("name", flat=True)}
        assert len(keys(bucket)) == 4
        assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []

    def test_an_owner_gets_the_whole_file_and_any_part_of_it(self, bucket, finished_video, client):
        job = stored(finished_video())
        video = job.assets.get(kind="video")
        content = bucket.Object(f"here/{video.name}").get()["Body"].read()
        client.force_login(job.owner)
        address = reverse("asset", args=[video.pk, PurePosixPath(video.name).name])

        whole = client.get(address)
        part = client.get(address, headers={"Range": "bytes=10-29"})

        assert (whole.status_code, b"".join(whole.streaming_content)) == (200, content)
        assert (part.status_code, b"".join(part.streaming_content)) == (206, content[10:30])

    def test_equal_files_are_stored_once(self, bucket, studio, finished_video):
        first = stored(finished_video())
        before = keys(bucket)

        second = stored(generated_by(studio))

        assert keys(bucket) == before
        assert {*first.assets.values_list("name", flat=True)} == {*second.assets.values_list("name", flat=True)}

    def test_none_is_charged_for_while_the_storage_is_away(self, bucket, away, finished_video):
        job = stored(finished_video())

        assert (job.state, job.store_tries) == ("storing", 0)
        assert Reservation.objects.get(job=job).state == "held"
        assert job.next_check_at > clock.now() and keys(bucket) == set()

    def test_one_missing_object_is_found_and_answers_404(self, bucket, finished_video, client):
        job = stored(finished_video())
        video = job.assets.get(kind="video")
        bucket.Object(f"here/{video.name}").delete()
        client.force_login(job.owner)

        assert client.get(reverse("asset", args=[video.pk, PurePosixPath(video.name).name])).status_code == 404
        assert [[row["name"] for row in found.rows] for found in invariants.check(at=None, files=True)] == [[video.name]]


def test_objects_without_a_row_are_removed_after_a_day(bucket, finished_video):
    job = stored(finished_video())
    kept = keys(bucket)
    default_storage.save("assets/2026/01/lost.mp4", ContentFile(b"x"))

    removed = [storing.remove_orphans(clock.now() + timedelta(hours=hours)) for hours in (1, 25)]

    assert removed == [0, 1] and keys(bucket) == kept and job.assets.count() == 4


def test_retention_deletes_the_objects(bucket, finished_video):
    job = stored(finished_video())
    job.kind.files_kept_days = 1
    job.kind.save()

    retention.expire(at=clock.now() + timedelta(days=2))

    assert keys(bucket) == set()
    assert not Asset.objects.kept().filter(job=job).exists()


def test_an_answer_is_saved_once_read_and_deleted(bucket):
    ANSWERS.save(ANSWER, {"id": 1}, [b"a picture"])
    with pytest.raises(OSError, match="already has an answer"):
        ANSWERS.save(ANSWER, {"id": 2}, [b"another"])

    assert ANSWERS.facts(ANSWER)["id"] == 1
    assert ANSWERS.open(ANSWER, 0).read() == b"a picture"
    assert ANSWERS.facts(ANSWER.replace("1", "2")) is None


class TestTrouble:
    """Callers know one kind of trouble only: OSError."""

    @pytest.mark.parametrize(
        "use",
        [
            lambda: default_storage.save("assets/a", ContentFile(b"x")),
            lambda: default_storage.open("assets/a").read(),
            lambda: disk.open_from("assets/a", 5),
            lambda: default_storage.exists("assets/a"),
            lambda: default_storage.size("assets/a"),
            lambda: disk.delete(["assets/a"]),
            lambda: list(disk.names_in("assets")),
            lambda: disk.is_older("assets/a", clock.now()),
        ],
        ids=["save", "open", "open_from", "exists", "size", "delete", "names_in", "is_older"],
    )
    def test_a_storage_that_is_away(self, use, away):
        with pytest.raises(OSError):
            use()

    def test_a_file_that_is_gone_is_reported_as_on_a_disk(self, bucket):
        with pytest.raises(FileNotFoundError):
            disk.open_from("assets/gone", 0)
        assert disk.is_older("assets/gone", clock.now()) is False
        assert list(disk.names_in("nothing")) == []
        disk.delete(["assets/gone"])
        assert default_storage.save("assets/gone", ContentFile(b"x")) == "assets/gone"
