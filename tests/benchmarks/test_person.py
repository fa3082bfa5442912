"""The person of a storm decides only on outcomes that the product can't find out itself."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from benchmarks import person
from queue_app import clock
from queue_app.models import Attempt, Job, ReviewItem, State
from queue_app.work import lookup
from tests.factories import LOOK, NOON, PROVED, UserFactory, make_job

pytestmark = pytest.mark.django_db
CALM = NOON + timedelta(hours=1)
LATE = NOON + timedelta(hours=2)
LISTED = LOOK | {"at": LATE.isoformat(), "none": False, "why_not": ["The list was not read back."], "proof": {"pages": 1}}


def unknown(model: str, *lookups: dict[str, Any]) -> Attempt:
    attempt = make_job(State.UNKNOWN, model_id=model).attempts.get()
    attempt.lookups = [*lookups]
    attempt.save()
    return Attempt.objects.select_related("account", "job__model", "job__kind").get(pk=attempt.pk)


class TestWhyAPerson:
    @pytest.mark.parametrize(("model", "account"), [("text-writer", "chat"), ("gpt-image-1.5", "openai_images")])
    def test_is_needed_where_no_list_can_tell_once_nothing_late_may_come(self, model: str, account: str) -> None:
        attempt = unknown(model)
        assert person.why_a_person(attempt, calm_since=CALM, at=NOON + timedelta(seconds=59)) == ""
        assert person.why_a_person(attempt, calm_since=CALM, at=LATE) == f"{account} has no list of tasks."

    @pytest.mark.parametrize(
        "lookups",
        [
            [],
            [PROVED[0] | {"at": LATE.isoformat()}],
            [LISTED | {"proof": {}}],
            [LISTED | {"at": NOON.isoformat()}],
            [LISTED | {"took": "video_1"}],
        ],
        ids=["never looked up", "first proof", "unreadable list", "list read among faults", "found"],
    )
    def test_is_not_needed_while_a_list_may_still_tell(self, lookups: list[dict[str, Any]]) -> None:
        assert person.why_a_person(unknown("sora-2", *lookups), calm_since=CALM, at=LATE) == ""

    def test_is_needed_where_a_whole_list_read_in_calm_proves_nothing(self) -> None:
        why = person.why_a_person(unknown("sora-2", LISTED), calm_since=CALM, at=LATE)
        assert why == "The list of openai_videos: The list was not read back."

    def test_is_not_needed_before_the_task_can_no_longer_begin(self) -> None:
        attempt = unknown("sora-2", LISTED)
        grace = lookup.grace_of(lookup.accounts.provider_for(attempt), attempt.job)
        attempt.lookups = [LISTED | {"at": (NOON + timedelta(seconds=grace - 1)).isoformat()}]
        assert person.why_a_person(attempt, calm_since=NOON, at=LATE) == ""


def test_decides_on_these_outcomes_alone_and_says_why() -> None:
    UserFactory(username=person.NAME, staff=True, tickets=0)
    known, lost = unknown("sora-2").job, [unknown("text-writer").job for _ in range(8)]
    decided = list(person.decide(Random(1), calm_since=clock.now()))
    assert {decision.job for decision in decided} == {job.pk for job in lost}
    assert {decision.account for decision in decided} == {"chat"}
    assert {decision.state for decision in decided} == {State.QUEUED, State.FAILED}
    assert {decision.job: decision.state for decision in decided} == dict(
        Job.objects.filter(pk__in=[job.pk for job in lost]).values_list("pk", "state")
    )
    assert list(ReviewItem.objects.filter(closed_at=None).values_list("job", flat=True)) == [known.pk]
