"""Stored files are sent to whom they belong, whole or in part, and to nobody else."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import AsyncClient
from django.urls import path

from queue_app import lifecycle
from queue_app.api import ranges
from queue_app.api.views.files import FileView
from queue_app.models import Asset
from tests.factories import NOON, UserFactory, make_asset, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

urlpatterns = [path("files/<uuid:asset_id>/<str:name>", FileView.as_view(), name="asset")]
CONTENT = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def stored(owner) -> Asset:
    return make_stored(owner, CONTENT)


def make_stored(owner, content: bytes, **fields) -> Asset:
    """A delivered file that is really there."""
    job = make_job("storing", owner=owner, **{name: fields.pop(name) for name in ("model_id", "kind_id") if name in fields})
    asset = make_asset(job, size=len(content), **fields)
    default_storage.save(asset.name, ContentFile(content))
    with transaction.atomic():
        lifecycle.complete(job, [asset], at=NOON, actor="worker", stages=[])
    return asset


def address(asset: Asset) -> str:
    return f"/files/{asset.pk}/{asset.name.rpartition('/')[2]}"


def body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


class TestWhoMaySeeIt:
    def test_its_owner(self, client_for, owner, stored):
        response = client_for(owner).get(address(stored))

        assert (response.status_code, body(response)) == (200, CONTENT)

    def test_staff(self, client_for, stored):
        assert client_for(UserFactory(staff=True)).get(address(stored)).status_code == 200

    def test_a_key_of_its_owner(self, api_for, owner, stored):
        assert body(api_for(owner, "read").get(address(stored))) == CONTENT

    def test_not_a_key_that_may_not_read(self, api_for, owner, stored):
        assert api_for(owner, "submit").get(address(stored)).status_code == 403

    def test_a_stranger_is_told_that_there_is_nothing(self, client_for, stored):
        response = client_for(UserFactory()).get(address(stored))

        assert (response.status_code, response.json()["code"]) == (404, "not_found")

    def test_nobody_is_told_that_there_is_nothing(self, client, stored):
        assert client.get(address(stored)).status_code == 404

    def test_what_is_not_there_looks_the_same(self, client_for, owner):
        assert client_for(owner).get("/files/00000000-0000-4000-8000-000000000000/a.mp4").status_code == 404

    def test_a_key_that_is_not_known_is_refused(self, client, stored):
        assert client.get(address(stored), HTTP_AUTHORIZATION="Bearer gq_wrong").status_code == 401


class TestTheWholeFile:
    def test_says_what_it_is(self, client_for, owner, stored):
        response = client_for(owner).get(address(stored))

        assert response["Content-Type"] == "video/mp4"
        assert response["Content-Length"] == "1024"
        assert response["Content-Disposition"] == f'inline; filename="job-{stored.job_id}-video-v1.mp4"'
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cache-Control"] == "private, max-age=31536000, immutable"
        assert response["ETag"] == f'"{stored.sha256}"'
        assert response["Last-Modified"] == "Fri, 20 Nov 2026 12:00:00 GMT"
        assert response["Accept-Ranges"] == "bytes"
        assert {"Authorization", "Cookie"} <= set(response["Vary"].split(", "))

    def test_is_saved_when_asked_for_download(self, client_for, owner, stored):
        assert client_for(owner).get(address(stored), {"download": 1})["Content-Disposition"].startswith("attachment; ")

    def test_does_not_take_its_name_from_the_address(self, client_for, owner, stored):
        response = client_for(owner).get(f"/files/{stored.pk}/evil%22%0D%0A.html")

        assert "evil" not in response["Content-Disposition"]

    def test_is_served_whatever_type_the_client_would_like(self, api_for, owner, stored):
        assert api_for(owner, "read").get(address(stored), HTTP_ACCEPT="image/avif").status_code == 200

    def test_head_sends_no_body(self, client_for, owner, stored):
        response = client_for(owner).head(address(stored))

        assert (response.status_code, response["Content-Length"], response.content) == (200, "1024", b"")

    @pytest.mark.parametrize(
        ("header", "value"), [("If-None-Match", "etag"), ("If-Modified-Since", "Fri, 20 Nov 2026 12:00:00 GMT")]
    )
    def test_is_not_sent_twice(self, client_for, owner, stored, header, value):
        value = f'"{stored.sha256}"' if value == "etag" else value

        response = client_for(owner).get(address(stored), headers={header: value})

        assert (response.status_code, response.content, response["ETag"]) == (304, b"", f'"{stored.sha256}"')

    def test_of_a_page_can_do_nothing_on_our_origin(self, client_for, owner):
        page = make_stored(owner, b"<html><script>alert(1)</script>", model_id="page-writer", kind_id="page")

        response = client_for(owner).get(address(page))

        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert response["X-Frame-Options"] == "SAMEORIGIN"

    @pytest.mark.parametrize(("kind", "content_type"), [("markdown", "text/markdown"), ("json-ld", "application/ld+json")])
    def test_of_the_source_of_a_page_is_only_saved(self, client_for, owner, kind, content_type):
        source = make_stored(owner, b"<script>alert(1)</script>", model_id="page-writer", kind_id="page")
        Asset.objects.filter(pk=source.pk).update(kind=kind, content_type=content_type)
        make_asset(source.job).save(force_insert=True)

        response = client_for(owner).get(address(source))

        assert response["Content-Type"].partition(";")[0] == content_type
        assert response["Content-Disposition"].startswith("attachment;") and response["X-Content-Type-Options"] == "nosniff"

    def test_is_gone_after_retention(self, client_for, owner, stored):
        Asset.objects.filter(pk=stored.pk).update(expired_at=datetime(2026, 12, 1, tzinfo=UTC))

        response = client_for(owner).get(address(stored))

        assert (response.status_code, response.json()["code"]) == (410, "expired")

    def test_that_the_storage_lost_is_not_found_and_written_down(self, client_for, owner, stored, caplog):
        default_storage.delete(stored.name)

        assert client_for(owner).get(address(stored)).status_code == 404
        assert "is missing" in caplog.text

    def test_cannot_be_changed(self, client_for, owner, stored):
        assert client_for(owner).delete(address(stored)).status_code in (403, 405)


class TestAPart:
    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=10-19", 10, 19),
            ("bytes=1000-", 1000, 1023),
            ("bytes=1000-9999999", 1000, 1023),
            ("bytes=-24", 1000, 1023),
            ("bytes=-5000", 0, 1023),
            ("Bytes = 0 - 1", 0, 1),
        ],
    )
    def test_is_sent_exactly(self, client_for, owner, stored, asked, first, last):
        response = client_for(owner).get(address(stored), headers={"Range": asked})

        assert response.status_code == 206
        assert response["Content-Range"] == f"bytes {first}-{last}/1024"
        assert response["Content-Length"] == str(last - first + 1)
        assert body(response) == CONTENT[first : last + 1]

    @pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
    def test_outside_the_file_cannot_be_had(self, client_for, owner, stored, asked):
        response = client_for(owner).get(address(stored), headers={"Range": asked})

        assert (response.status_code, response["Content-Range"]) == (416, "bytes */1024")

    @pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=1-2-3"])
    def test_that_cannot_be_read_is_the_whole(self, client_for, owner, stored, asked):
        response = client_for(owner).get(address(stored), headers={"Range": asked})

        assert (response.status_code, body(response)) == (200, CONTENT)

    @pytest.mark.parametrize(
        ("if_range", "status"),
        [
            ("etag", 206),
            ("Fri, 20 Nov 2026 12:00:00 GMT", 206),
            ('"another"', 200),
            ("Fri, 20 Nov 2026 11:59:59 GMT", 200),
            ("nonsense", 200),
        ],
    )
    def test_goes_on_only_with_the_same_file(self, client_for, owner, stored, if_range, status):
        if_range = f'"{stored.sha256}"' if if_range == "etag" else if_range

        response = client_for(owner).get(address(stored), headers={"Range": "bytes=0-9", "If-Range": if_range})

        assert response.status_code == status

    def test_is_not_for_head(self, client_for, owner, stored):
        response = client_for(owner).head(address(stored), headers={"Range": "bytes=0-9"})

        assert (response.status_code, response["Content-Length"]) == (200, "1024")

    def test_rules_need_no_request(self):
        assert ranges.wanted("", 10) is None
        assert ranges.wanted("bytes=2-", 10) == ranges.ByteRange(2, 9, 10)


class TestUnderAnAsyncServer:
    def test_a_large_file_is_streamed_and_not_held(self, owner):
        large = make_stored(owner, b"x" * 40_000_000)
        client = AsyncClient()
        client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")

        async def fetch() -> int:
            response = await client.get(address(large))
            return sum([len(piece) async for piece in response.streaming_content])

        tracemalloc.start()
        size = async_to_sync(fetch)()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert size == 40_000_000
        assert peak < 20_000_000

    def test_a_part_is_sent_exactly(self, owner):
        stored = make_stored(owner, CONTENT)
        client = AsyncClient()
        client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")

        async def fetch() -> bytes:
            response = await client.get(address(stored), headers={"Range": "bytes=5-9"})
            return b"".join([piece async for piece in response.streaming_content])

        assert async_to_sync(fetch)() == CONTENT[5:10]
