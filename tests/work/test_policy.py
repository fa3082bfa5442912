"""Changes of limits, pauses and policies: checked, audited once, under the claim lock, told to the dispatcher."""

import threading
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from queue_app.models import (
    AuditEntry,
    GenerationModel,
    Job,
    ModelConcurrencyLimit,
    OutboxMessage,
    ProviderAccount,
    QueueSettings,
    User,
)
from queue_app.work import policy
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db


def limit():
    return ModelConcurrencyLimit.objects.get(model="sora-2")


def change(row, **fields):
    ada = User.objects.filter(username="ada").first() or UserFactory(staff=True, username="ada")
    return policy.change(row, at=NOON, actor=ada, reason="a quiet day", **fields)


class TestChange:
    def test_is_written_with_who_what_before_after_and_why(self):
        row = limit()

        assert change(row, max_concurrent=2)

        assert (row.max_concurrent, limit().max_concurrent) == (2, 2)
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.action, entry.target) == ("ada", "set model limit", "sora-2")
        assert (entry.before, entry.after, entry.reason, entry.at) == (
            {"max_concurrent": 4},
            {"max_concurrent": 2},
            "a quiet day",
            NOON,
        )

    def test_to_what_it_is_already_writes_nothing(self):
        assert not change(limit(), max_concurrent=4, paused=False)
        assert not AuditEntry.objects.exists()

    def test_names_only_what_changed(self):
        change(limit(), max_concurrent=4, paused=True, paused_reason="upkeep")

        assert AuditEntry.objects.get().after == {"paused": True, "paused_reason": "upkeep"}

    @pytest.mark.parametrize(
        ("fields", "action"),
        [
            ({"max_concurrent": 2}, "set model limit"),
            ({"paused": True, "paused_reason": "upkeep"}, "pause model"),
            ({"paused": True, "max_concurrent": 2}, "change limit"),
        ],
    )
    def test_is_named_after_what_it_did(self, fields, action):
        change(limit(), **fields)

        entry = AuditEntry.objects.get()
        assert (entry.action, policy.last_change(limit())) == (action, entry.pk)

    def test_that_resumes_is_named_so(self):
        account = ProviderAccount.objects.get(pk="studio")
        change(account, paused=True)
        change(account, paused=False)

        assert [entry.action for entry in policy.changes_of(account)] == ["pause account", "resume account"]

    def test_of_the_house_has_no_person(self):
        policy.change(limit(), at=NOON, actor=None, paused=True)

        assert (AuditEntry.objects.get().actor, AuditEntry.objects.get().actor_name) == (None, "genqueue")

    @pytest.mark.parametrize("most", [0, 51, -1, None, "many"])
    def test_out_of_span_is_refused_and_nothing_is_written(self, most):
        with pytest.raises(ValidationError) as refused, transaction.atomic():
            change(limit(), max_concurrent=most)

        assert "max_concurrent" in refused.value.message_dict
        assert limit().max_concurrent == 4
        assert not AuditEntry.objects.exists()

    @pytest.mark.parametrize("most", [0, 51])
    def test_says_what_a_limit_is(self, most):
        with pytest.raises(ValidationError, match=r"whole number from 1 to 50\. To stop a model, pause it"):
            change(limit(), max_concurrent=most)

    def test_of_peak_hours_says_how_they_are_written(self):
        with pytest.raises(ValidationError, match="Use a format like 06:00-09:00"):
            change(QueueSettings.objects.current(), peak_hours="mornings")

    def test_goes_by_the_row_as_it_is_not_as_it_was_read(self):
        stale = limit()
        change(limit(), max_concurrent=2)

        assert not change(stale, max_concurrent=2)

    def test_of_a_price_and_of_an_account_is_told_in_plain_json(self):
        change(GenerationModel.objects.get(pk="sora-2"), usd_per_unit=Decimal("0.75"))
        change(ProviderAccount.objects.get(pk="studio"), paused=True, paused_until=NOON + timedelta(hours=1))

        price, pause = AuditEntry.objects.order_by("id")
        assert (price.before, price.after) == ({"usd_per_unit": "0.500000"}, {"usd_per_unit": "0.75"})
        assert pause.after == {"paused": True, "paused_until": "2026-11-20T13:00:00Z"}


class TestBatchPauses:
    def test_hold_what_is_open_and_let_it_go_again(self):
        batch = BatchFactory()
        jobs = [make_job(state, batch=batch) for state in ("queued", "running", "completed")]
        other = JobFactory()

        batch = policy.pause_batch(batch, at=NOON, actor=None, reason="too dark")
        assert batch.paused and batch.paused_reason == "too dark"
        assert set(Job.objects.filter(held=True)) == set(jobs[:2]) and other not in jobs

        batch = policy.resume_batch(batch, at=NOON, actor=None)
        assert (batch.paused, batch.paused_reason) == (False, "")
        assert not Job.objects.filter(held=True).exists()

    @pytest.mark.parametrize(("given", "kept"), [("", "via API"), ("too dark", "too dark")])
    def test_keep_how_they_were_asked_where_no_reason_was_given(self, given, kept):
        batch = BatchFactory()

        batch = policy.pause_batch(batch, at=NOON, actor=None, reason=given, via="API")
        assert batch.paused_reason == kept
        policy.resume_batch(batch, at=NOON, actor=None, reason=given, via="API")

        assert [entry.reason for entry in AuditEntry.objects.filter(target=str(batch.pk))] == [kept, kept]

    def test_asked_twice_are_audited_once(self):
        batch = BatchFactory()
        for _ in range(2):
            policy.pause_batch(batch, at=NOON, actor=None)

        assert AuditEntry.objects.get().action == "pause batch"


@pytest.mark.django_db(transaction=True)
class TestBatchPausesBesideWorkers:
    def test_do_not_stop_one_that_writes_a_row_of_the_batch(self):
        """A worker holds its job and a pause of the batch waits for it; what the worker writes of the batch must not wait."""
        batch = BatchFactory()
        job = make_job("running", batch=batch)

        def pause() -> None:
            with closing(connection):
                policy.pause_batch(batch, at=NOON, actor=None)

        thread = threading.Thread(target=pause)
        with transaction.atomic():
            Job.objects.lock().get(pk=job.pk)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive(), "it waits for the job"
            OutboxMessage.objects.create(channel="tests", key="x", batch=batch, created_at=NOON, due_at=NOON)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        thread.join(10)
        batch.refresh_from_db()
        assert batch.paused


@pytest.mark.django_db(transaction=True)
class TestTheClaimLock:
    @pytest.mark.parametrize("what", ["limit", "batch"])
    def test_is_taken_before_anything_is_changed(self, what):
        """While a claim is under way, a change waits for it; then no later claim goes by the old value (I21)."""
        batch, changed = BatchFactory(), threading.Event()

        def alter() -> None:
            with closing(connection):
                if what == "limit":
                    policy.change(limit(), at=NOON, actor=None, max_concurrent=2)
                else:
                    policy.pause_batch(batch, at=NOON, actor=None)
                changed.set()

        with transaction.atomic():
            QueueSettings.objects.lock_claims()
            thread = threading.Thread(target=alter)
            thread.start()
            assert not changed.wait(0.3)
        assert changed.wait(10)
        thread.join()
