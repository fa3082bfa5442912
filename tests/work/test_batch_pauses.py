"""Pauses of batches that end by themselves, and what those who wait are told."""

from datetime import timedelta

import pytest

from queue_app.insight import pauses, waiting
from queue_app.models import AuditEntry, Batch, HeldFor, Job
from queue_app.work import dispatch, policy
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
END = NOON + timedelta(hours=1)


def paused(**asked: object) -> Batch:
    batch = BatchFactory()
    make_job(batch=batch, owner=batch.owner)
    return policy.pause_batch(batch, at=NOON, actor=batch.owner, **{"reason": "new packshot", "until": END, **asked})


def held(batch: Batch) -> list[bool]:
    return list(Job.objects.filter(batch=batch).order_by("pk").values_list("held", flat=True))


def test_end_by_themselves_and_are_audited() -> None:
    batch = paused()
    assert policy.end_batch_pauses(at=END - timedelta(seconds=1)) == 0 and held(batch) == [True]
    assert policy.end_batch_pauses(at=END) == 1 and held(batch) == [False]
    batch.refresh_from_db()
    assert (batch.paused, batch.paused_reason, batch.paused_until) == (False, "", None)
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor_name, entry.reason) == ("resume batch", "genqueue", "The pause came to its end")


def test_leave_jobs_on_hold_that_wait_for_something_else() -> None:
    batch = paused()
    Job.objects.filter(batch=batch).update(held_for=HeldFor.CANARY)
    policy.end_batch_pauses(at=END)
    assert held(batch) == [True]


def test_their_end_is_awaited_by_the_dispatcher_until_it_was_seen() -> None:
    batch = paused()
    assert dispatch.next_due(at=NOON).claims_at == END
    assert dispatch.next_due(at=END + timedelta(hours=1)).claims_at == END
    assert dispatch.claim_due_jobs(at=NOON) == []
    policy.end_batch_pauses(at=END)
    assert dispatch.next_due(at=END).claims_at is None
    assert [lease.job_id for lease in dispatch.claim_due_jobs(at=END)] == [job.pk for job in batch.jobs.all()]


def test_tell_their_reason_and_end_to_all_who_wait() -> None:
    batch = paused()
    (blocker,) = waiting.waiting_on(batch.jobs.get(), NOON)
    assert (blocker.limit, blocker.reason, blocker.until, blocker.is_pause) == ("batch", "new packshot", END, True)
    pause = pauses.of_batches([batch])[batch.pk]
    assert (pause.reason, pause.until, pause.by) == ("new packshot", END, batch.owner.username)


def test_are_changed_by_another_pause_that_says_why_or_until_when() -> None:
    batch = paused()
    same = policy.pause_batch(batch, at=NOON, actor=None)
    assert (same.paused_reason, same.paused_until) == ("new packshot", END)
    later = policy.pause_batch(batch, at=NOON, actor=UserFactory(), until=END + timedelta(hours=1))
    assert (later.paused_reason, later.paused_until) == ("new packshot", END + timedelta(hours=1))
    assert policy.end_batch_pauses(at=END) == 0


def test_without_an_end_last_until_they_are_resumed() -> None:
    batch = paused(until=None)
    assert policy.end_batch_pauses(at=NOON + timedelta(days=400)) == 0
    assert not policy.resume_batch(batch, at=NOON, actor=None).paused and held(batch) == [False]
