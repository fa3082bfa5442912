"""Images that jobs start from: what is kept is an image of ours, whatever was sent."""

import io
import os
import time
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from PIL import Image, ImageCms

from queue_app import clock
from queue_app.admin import provider_data
from queue_app.models import Upload
from queue_app.work import storing, submission, uploads
from tests import images
from tests.factories import NOON, JobFactory, UserFactory, begun
from tests.providers.wire import answer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


def receive(content, owner=None, at=NOON):
    return uploads.receive(owner or UserFactory(), [content], at=at)


def content_of(upload):
    with default_storage.open(upload.name) as file:
        return file.read()


def image_of(upload):
    return Image.open(io.BytesIO(content_of(upload)))


class TestWhatIsRefused:
    @pytest.mark.parametrize("what", images.REFUSED)
    def test_by_name_with_nothing_kept(self, what):
        make, words = images.REFUSED[what]

        with pytest.raises(uploads.UploadRefused) as refusal:
            receive(make())

        assert words in str(refusal.value)
        assert not Upload.objects.exists()
        assert list(storing.disk.names_in(storing.UPLOADS)) == []

    def test_more_bytes_than_are_taken(self):
        with pytest.raises(uploads.UploadRefused, match="larger than 20 MB"):
            uploads.receive(UserFactory(), (bytes(1_000_000) for _ in range(21)), at=NOON)

    def test_more_unused_images_than_one_may_have(self, monkeypatch):
        monkeypatch.setattr(uploads, "UNUSED_MOST", 1)
        owner = UserFactory()
        receive(images.picture(), owner)
        with pytest.raises(uploads.UploadRefused, match="that no job uses"):
            receive(images.picture(size=(9, 9)), owner)
        receive(images.picture())  # another user's


class TestWhatIsKept:
    @pytest.mark.parametrize("what", images.CLEANED)
    def test_is_its_pixels_alone(self, what):
        upload = receive(images.CLEANED[what]())

        assert (upload.width, upload.height) == (64, 48)
        assert images.SCRIPT not in content_of(upload)

    @pytest.mark.parametrize(
        ("form", "mode", "kept"),
        [
            *(("PNG", mode, "image/jpeg") for mode in ("RGB", "L", "1", "P", "I;16")),
            *(("PNG", mode, "image/png") for mode in ("RGBA", "LA")),
            *(("JPEG", mode, "image/jpeg") for mode in ("RGB", "L", "CMYK")),
            ("WEBP", "RGB", "image/jpeg"),
            ("WEBP", "RGBA", "image/png"),
        ],
    )
    def test_is_a_jpeg_or_where_it_is_transparent_a_png(self, form, mode, kept):
        upload = receive(images.picture(form, mode=mode))

        found = image_of(upload)
        assert (upload.content_type, found.format) == (kept, kept.removeprefix("image/").upper())
        light = found.convert("L").getextrema()
        assert light[0] < 40 and light[1] > 210  # the whole gradient

    def test_stands_upright(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        upload = receive(images.picture("JPEG", exif=exif))

        assert (upload.width, upload.height) == (48, 64)
        assert not image_of(upload).getexif()

    def test_has_the_colours_of_a_screen(self):
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        upload = receive(images.saved(Image.new("RGB", (9, 9), (200, 30, 30)), "PNG", icc_profile=lab.tobytes()))

        assert image_of(upload).getpixel((4, 4)) == pytest.approx((200, 30, 30), abs=4)
        assert "icc_profile" not in image_of(upload).info

    def test_is_no_larger_than_providers_need(self):
        upload = receive(images.saved(Image.new("RGB", (6_000, 3_000)), "JPEG"))

        assert (upload.width, upload.height) == (4_096, 2_048)

    def test_a_photograph_with_a_second_one_is_taken(self):
        frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
        whole = images.saved(frames[0], "MPO", save_all=True, append_images=frames[1:])

        assert receive(whole).width == 32

    def test_is_there_once_for_an_owner(self):
        owner, other = UserFactory(), UserFactory()
        first = receive(images.picture(), owner)
        again = receive(images.picture(), owner, at=NOON + timedelta(days=9))
        theirs = receive(images.picture(), other)

        assert (again.pk, theirs.pk != first.pk) == (first.pk, True)
        assert Upload.objects.get(pk=first.pk).created_at == NOON + timedelta(days=9)
        assert len(list(storing.disk.names_in(storing.UPLOADS))) == 2


class TestFetching:
    def test_takes_an_image_from_a_public_address(self, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(answer(200, images.picture(), headers={"Content-Type": "text/html"}))
            upload = uploads.fetch(UserFactory(), f"https://studio.test:{server.port}/a.png", at=NOON)

        assert (upload.width, upload.content_type) == (64, "image/jpeg")
        assert "cookie" not in server.seen[0].headers

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (answer(404, b"no"), "answered 404"),
            (answer(200, b"<html>"), "not this type of file"),
            (answer(302, headers={"Location": "https://127.0.0.1/a.png"}), "public https address"),
            (answer(302, headers={"Location": "http://93.184.215.14/a.png"}), "public https address"),
            (answer(302, headers={"Location": "file:///etc/passwd"}), "public https address"),
            (answer(302, headers={"Location": "/again"}), "redirects too often"),
            (answer(200, b"", headers={"Content-Length": "30000000"}), "larger than 20 MB"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort", "could not be fetched"),
            (b"nonsense\r\n\r\n", "could not be fetched"),
        ],
    )
    def test_says_what_is_wrong(self, monkeypatch, tmp_path, reply, words):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(reply)
            with pytest.raises(uploads.UploadRefused, match=words):
                uploads.fetch(UserFactory(), f"https://studio.test:{server.port}/a.png", at=NOON, seconds=3)

        assert not Upload.objects.exists()

    def test_a_redirect_to_another_public_address_is_followed(self, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            there = f"https://studio.test:{server.port}/there.png"
            server.says(answer(302, headers={"Location": there}), answer(200, images.picture()))

            assert uploads.fetch(UserFactory(), f"https://studio.test:{server.port}/a.png", at=NOON).width == 64


class TestForProviders:
    def test_the_request_names_addresses_of_this_site_and_is_the_same_each_time(self, settings):
        settings.PUBLIC_URL = "https://queue.example"
        owner = UserFactory()
        first, other = receive(images.picture(), owner), receive(images.picture(size=(9, 9)), owner)
        asked = {"images": {"first_frame": str(first.pk), "last_frame": str(other.pk)}, "duration": 5}
        job, attempt, _ = begun(JobFactory(owner=owner, model_id="kling-v3", parameters=asked))

        inputs = submission.request_for(job, attempt).inputs

        assert inputs["start_image_url"] == f"https://queue.example/inputs/{first.token}/{first.file_name}"
        assert inputs["end_image_url"] == f"https://queue.example/inputs/{other.token}/{other.file_name}"
        assert submission.request_for(job, attempt).inputs == inputs

    def test_staff_who_see_the_request_see_no_token(self):
        owner = UserFactory()
        upload = receive(images.picture(), owner)
        asked = {"images": {"first_frame": str(upload.pk)}, "duration": 5}
        job, attempt, _ = begun(JobFactory(owner=owner, model_id="kling-v3", parameters=asked))

        (shown,) = provider_data.of_attempts(job, [attempt])

        assert f"/inputs/{provider_data.MASK}/" in shown["request"] and upload.token not in str(shown)

    def test_a_token_is_hard_to_guess_and_no_part_of_a_job(self):
        upload = receive(images.picture())

        assert len(upload.token) >= 32 and upload.token not in (str(upload.pk), upload.file_name)


class TestRetention:
    def test_what_no_job_used_goes_after_a_month_with_its_file(self):
        at = clock.now()
        owner = UserFactory()
        unused, used, fresh = (receive(images.picture(size=(size, 9)), owner, at=at) for size in (9, 10, 11))
        uploads.mark_used(owner, [str(used.pk)], at=at)
        Upload.objects.exclude(pk=fresh.pk).update(created_at=at - timedelta(days=31))

        uploads.prune(at=at)

        assert {*Upload.objects.all()} == {used, fresh}
        assert [default_storage.exists(one.name) for one in (unused, used, fresh)] == [False, True, True]

    def test_a_file_without_a_row_is_an_orphan(self):
        upload, other = receive(images.picture()), receive(images.picture(size=(9, 9)))
        for one in (upload, other):
            os.utime(default_storage.path(one.name), (time.time() - 90_000,) * 2)
        upload.delete()

        assert storing.remove_orphans(clock.now()) == 1
        assert (default_storage.exists(upload.name), default_storage.exists(other.name)) == (False, True)

    def test_marking_says_whether_all_are_there(self):
        owner = UserFactory()
        mine, theirs = receive(images.picture(), owner), receive(images.picture())

        assert uploads.mark_used(owner, [str(mine.pk)], at=NOON)
        assert not uploads.mark_used(owner, [str(mine.pk), str(theirs.pk)], at=NOON)
        assert Upload.objects.get(pk=theirs.pk).used_at is None
