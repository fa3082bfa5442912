"""Retention: what is kept only for a while."""

import os
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from queue_app import lifecycle
from queue_app.insight import invariants
from queue_app.models import Asset, Attempt, DeliveryTry, Job, JobEvent, Kind, OutboxMessage, WebhookEndpoint
from queue_app.runtime import tasks
from queue_app.work import endpoints, retention, storing
from queue_app.work.retention import Expiry
from tests.factories import NOON, UserFactory, make_asset, make_endpoint, make_job

pytestmark = pytest.mark.django_db


def test_log_ins_that_are_over_are_removed_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for number in range(3):
        Session.objects.create(session_key=f"over-{number}", session_data="", expire_date=NOON - timedelta(seconds=1))
    Session.objects.create(session_key="open", session_data="", expire_date=NOON)
    left = []
    for _ in range(3):
        retention.prune(at=NOON)
        left.append(Session.objects.count())
    assert left == [2, 1, 1] and Session.objects.get().session_key == "open"


def test_a_deleted_endpoint_goes_after_an_hour_what_was_sent_to_it_first_and_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    owner = UserFactory()
    kept, gone = make_endpoint(owner), make_endpoint(owner)
    for _ in range(3):
        make_job("failed", owner=owner)
    for message in OutboxMessage.objects.filter(endpoint__isnull=False):
        DeliveryTry.objects.create(message=message, at=NOON, seconds=1, status=500)
    endpoints.delete(gone, at=NOON, actor=owner)

    left = []
    for minutes in (59, 61, 62, 63):
        retention.prune(at=NOON + timedelta(minutes=minutes))
        left.append((gone.messages.count(), WebhookEndpoint.with_deleted.filter(pk=gone.pk).exists()))

    assert left == [(3, True), (1, True), (0, False), (0, False)]
    connection.check_constraints()
    assert (kept.messages.count(), DeliveryTry.objects.count()) == (3, 3)


@pytest.fixture
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return Path(settings.MEDIA_ROOT)


@pytest.mark.usefixtures("media")
def test_messages_that_are_over_are_removed_with_their_tries_as_far_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    old, young = NOON - settings.WEBHOOKS_KEPT - timedelta(seconds=1), NOON
    for number, (created, over) in enumerate([(old, old)] * 5 + [(old, None), (young, young)]):
        message = OutboxMessage.objects.create(
            channel="webhooks", lane="l", key=f"{number}", created_at=created, due_at=created, delivered_at=over
        )
        DeliveryTry.objects.create(message=message, at=created, seconds=0.1, status=204)

    retention.prune(at=NOON)
    assert OutboxMessage.objects.count() == 5
    answers = iter([True, False])
    with django_assert_num_queries(5):  # one statement deletes messages and tries, after one that finds them, within a savepoint
        assert retention.remove_messages(at=NOON, may_go_on=lambda: next(answers)) == 2
    tasks.tidy()

    kept = [*OutboxMessage.objects.order_by("id").values_list("key", flat=True)]
    assert kept == [*DeliveryTry.objects.order_by("id").values_list("message__key", flat=True)] == ["5", "6"]


def stored(kind: str, *, days: int, content: bytes, name: str = "", state: str = "completed") -> Asset:
    """Return a file of a job that ended so many days before noon."""
    at = NOON - timedelta(days=days)
    job = make_job("storing", at=at, kind_id=kind)
    asset = make_asset(job, size=len(content), created_at=at, **({"name": name} if name else {}))
    if not default_storage.exists(asset.name):
        default_storage.save(asset.name, ContentFile(content))
    with transaction.atomic():
        lifecycle.complete(job, [asset], at=at, actor="worker", stages=[])
    return Asset.objects.get(pk=asset.pk)


def is_there(asset: Asset) -> bool:
    asset.refresh_from_db()
    assert default_storage.exists(asset.name) == (asset.expired_at is None)
    return asset.expired_at is None


class TestFiles:
    def test_they_are_deleted_after_the_days_of_their_job_type_and_their_jobs_stay(self, media: Path) -> None:
        Kind.objects.filter(pk="daily_ca").update(files_kept_days=30)
        old, young = (stored("daily_ca", days=days, content=b"x" * 100) for days in (31, 29))
        kept = stored("video", days=4_000, content=b"y")

        assert retention.due(Kind.objects.get(pk="daily_ca"), at=NOON) == Expiry(1, 100, 0)
        assert retention.due(Kind.objects.get(pk="video"), at=NOON) == Expiry(0, 0, 0)
        events = JobEvent.objects.count()
        assert retention.expire(at=NOON) == Expiry(1, 100, 0)
        assert [is_there(asset) for asset in (old, young, kept)] == [False, True, True]
        assert retention.expire(at=NOON) == Expiry(0, 0, 0)
        assert (Job.objects.filter(state="completed").count(), JobEvent.objects.count()) == (3, events)
        assert not invariants.check(at=NOON, files=True)

    def test_a_file_that_others_name_goes_with_the_last_of_them(self, media: Path) -> None:
        Kind.objects.filter(pk="video").update(files_kept_days=30)
        name = f"assets/2026/11/{uuid.uuid4()}.mp4"
        first, second = (stored("video", days=days, content=b"x", name=name) for days in (40, 31))
        Asset.objects.filter(pk=second.pk).update(created_at=NOON)
        assert retention.expire(at=NOON).files == 1
        assert is_there(second)
        Asset.objects.filter(pk=second.pk).update(created_at=NOON - timedelta(days=31))
        assert retention.expire(at=NOON).files == 1
        assert not is_there(first)

    def test_they_are_deleted_in_slices_for_as_long_as_it_may(self, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "FILES_AT_ONCE", 2)
        Kind.objects.filter(pk="video").update(files_kept_days=1)
        for days in range(2, 7):
            stored("video", days=days, content=b"x")
        answers = iter([True, True, False, False])
        assert retention.expire(at=NOON, may_go_on=lambda: next(answers)).files == 4
        assert Asset.objects.kept().get().created_at == NOON - timedelta(days=2)

    def test_a_kill_between_the_row_and_the_object_leaves_an_orphan_that_is_removed(
        self, media: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Kind.objects.filter(pk="video").update(files_kept_days=1)
        asset = stored("video", days=2, content=b"x")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(retention.disk, "delete", Mock(side_effect=KeyboardInterrupt))
            retention.expire(at=NOON)
        assert default_storage.exists(asset.name)
        os.utime(media / asset.name, (0, 0))
        assert storing.remove_orphans(NOON) == 1
        assert not is_there(asset)


class TestProviderAnswers:
    def test_they_are_deleted_some_days_after_the_end_and_the_task_keeps_its_id(self) -> None:
        Kind.objects.filter(pk="video").update(payloads_kept_days=7)
        old, young, other = (
            make_job("failed", at=NOON - timedelta(days=days), kind_id=kind)
            for days, kind in ((8, "video"), (6, "video"), (8, "daily_ca"))
        )
        running = make_job("running", at=NOON - timedelta(days=8), kind_id="video")
        Attempt.objects.update(remote={"raw": "x"})

        assert retention.due(Kind.objects.get(pk="video"), at=NOON) == Expiry(0, 0, 1)
        ids = set(Attempt.objects.values_list("remote_id", flat=True))
        assert retention.expire(at=NOON) == Expiry(0, 0, 1)
        assert {job.pk for job in (young, other, running)} == set(
            Attempt.objects.exclude(remote={}).values_list("job", flat=True)
        )
        assert Attempt.objects.get(job=old).remote == {}
        assert ids == set(Attempt.objects.values_list("remote_id", flat=True))


def test_a_dry_run_says_what_would_be_deleted_and_deletes_nothing(media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Kind.objects.filter(pk="video").update(files_kept_days=30, payloads_kept_days=1)
    asset = stored("video", days=31, content=b"x" * 2048)
    call_command("retention", "--dry-run")
    said = capsys.readouterr().out
    line = "video: keeps files for 30 days, provider answers for 1 day. Would delete 1 file (2.0 KB) and 1 provider answer."
    assert line in said
    assert "daily_ca: keeps files for ever, provider answers for ever. Would delete 0 files (0 bytes)" in said
    assert is_there(asset)
    call_command("retention")
    assert capsys.readouterr().out == "Deleted 1 file (2.0 KB) and 1 provider answer.\n"
    assert not is_there(asset)


def test_staff_see_on_the_job_type_what_is_deleted_next(media: Path, client_for) -> None:
    asset = stored("video", days=31, content=b"x" * 2048)
    client, address = client_for(UserFactory(admin=True)), "/admin/queue_app/kind/video/change/"
    assert "Nothing" in client.get(address).content.decode()
    Kind.objects.filter(pk="video").update(files_kept_days=30)
    assert "1 file (2.0\xa0KB), 0 provider answers" in client.get(address).content.decode()
    assert is_there(asset)


def test_a_log_in_leaves_no_row_that_nothing_removes(client: Client) -> None:
    user = UserFactory()
    client.post("/login/", {"username": user.username, "password": "wrong"})
    assert client.post("/login/", {"username": user.username, "password": "password"}).status_code == 302
    client.post("/logout/")
    assert [model.objects.count() for model in (AccessAttempt, AccessFailureLog, AccessLog)] == [0, 0, 0]
