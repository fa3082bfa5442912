"""The circuit breaker of the matrix: when it trips, what it holds, who is told, and how it is settled."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import breaker, notices, releases
from campaigns.models import Campaign, Combination, Trip
from campaigns.releases import Chosen
from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import HeldFor, Job, Notice, OutboxMessage, QueueSettings, State, User
from queue_app.work import holds, recovery
from tests.campaigns.support import bring, make_campaign
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
WIDE = {
    "aesthetic": ["ugc", "cinematic"],
    "gender": ["female", "male", "non-binary"],
    "age_generation": ["gen-z", "millennial", "gen-x", "boomer"],
}  # 24 cells
UGC = Chosen(values={"aesthetic": "ugc"})


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=1_000)


@transaction.atomic
def failed(job: Job, code: str = "moderation") -> None:
    bring(job, State.RUNNING)
    running = Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)
    lifecycle.fail(running, at=NOON, actor="poller", trouble=Trouble(code, "No.", "invalid"))


def jobs_with(campaign: Campaign, aesthetic: str) -> list[Job]:
    rows = Combination.objects.filter(campaign=campaign, values__aesthetic=aesthetic).order_by("index").select_related("job")
    return [cell.job for cell in rows if cell.job]


def ran(owner: User, *, bad: int = 5, well: int = 4, code: str = "moderation", **fields: Any) -> Campaign:
    """A campaign in which this many UGC videos failed, and this many others completed."""
    campaign = make_campaign(owner, WIDE, **fields)
    for job in jobs_with(campaign, "ugc")[:bad]:
        failed(job, code)
    for job in jobs_with(campaign, "cinematic")[:well]:
        bring(job, State.COMPLETED)
    return campaign


def stopped(campaign: Campaign) -> int:
    return Job.objects.filter(batch=campaign.pk, held_for="breaker").count()


class TestTripping:
    def test_the_rest_of_the_value_is_on_hold_with_its_tickets_and_nothing_else_is(self, owner):
        campaign = ran(owner)
        recovery.sweep(at=NOON)
        assert stopped(campaign) == 7 and {job.held_for for job in jobs_with(campaign, "cinematic")} == {""}
        trip = Trip.objects.get()
        assert (trip.dimension, trip.value, trip.code, trip.failures, trip.of, trip.held) == (
            *("aesthetic", "ugc", "moderation"),
            *(5, 5, 7),
        )
        assert breaker.sentence(campaign, trip) == "All 5 failures have Aesthetic = UGC: moderation."

    def test_images_are_called_so(self, owner):
        ran(owner, model="nano-banana", duration=None)
        breaker.look(at=NOON)
        notices.deliver(OutboxMessage.objects.get(event="batch_held").pk)
        assert Notice.objects.get().text.endswith("7 images with it are on hold.")

    def test_its_owner_is_told_once(self, owner):
        campaign = ran(owner)
        for _ in range(2):
            breaker.look(at=NOON)
        (message,) = OutboxMessage.objects.filter(event="batch_held")
        notices.deliver(message.pk)
        notice = Notice.objects.get()
        assert notice.text.endswith("All 5 failures have Aesthetic = UGC: moderation. 7 videos with it are on hold.")
        assert notice.url == reverse("campaigns:holds", args=[campaign.pk])

    @pytest.mark.parametrize("code", ["provider_failed", "timeout", "quota", "forced"])
    def test_an_outage_or_a_decision_of_staff_is_no_cause(self, owner, code):
        campaign = ran(owner, code=code)
        breaker.look(at=NOON)
        assert stopped(campaign) == 0 and not Trip.objects.exists()

    def test_switched_off_it_holds_nothing(self, owner):
        QueueSettings.objects.update(matrix_breaker=False)
        campaign = ran(owner)
        breaker.look(at=NOON)
        assert stopped(campaign) == 0

    def test_without_a_failure_of_the_last_minutes_it_reads_no_campaign(self, owner):
        ran(owner)
        with CaptureQueriesContext(connection) as read:
            breaker.look(at=NOON + timedelta(minutes=5))
        assert len(read) == 2 and not Trip.objects.exists()

    @pytest.mark.parametrize("number", [3, 7])
    def test_what_is_on_hold_for_a_budget_is_taken_over(self, owner, number):
        campaign = ran(owner)
        waiting = [job.pk for job in jobs_with(campaign, "ugc")[5:]]
        holds.hold(waiting[:number], HeldFor.BUDGET, at=NOON, actor="dispatcher", reason="spent")
        breaker.look(at=NOON)
        assert (stopped(campaign), Trip.objects.get().held) == (7, 7)
        holds.release(waiting, HeldFor.BUDGET, at=NOON, actor="dispatcher", reason="its budgets have room")
        assert stopped(campaign) == 7

    def test_stills_that_fail_hold_the_stills_to_come(self, owner):
        campaign = make_campaign(owner, WIDE, start="storyboard", model="kling-v3", duration=5)
        rows = Combination.objects.filter(campaign=campaign).order_by("index").select_related("still")
        for cell in [one for one in rows if one.values["aesthetic"] == "ugc"][:4]:
            failed(cell.still)
        for cell in [one for one in rows if one.values["aesthetic"] == "cinematic"][:3]:
            bring(cell.still, State.COMPLETED)
        breaker.look(at=NOON)
        assert Job.objects.filter(held_for="breaker", still_of__values__aesthetic="ugc").count() == 8
        done = releases.release(campaign, UGC, at=NOON, by=owner)
        assert (done.videos, done.stills) == (0, 8) and stopped(campaign) == 0


class TestSettling:
    def test_released_once_the_same_value_does_not_trip_again_for_the_same_error(self, owner):
        campaign = ran(owner)
        breaker.look(at=NOON)
        assert releases.release(campaign, UGC, at=NOON, by=owner).videos == 7
        trip = Trip.objects.get()
        assert (trip.how, trip.settled_by, trip.settled_at) == ("released", owner, NOON)
        breaker.look(at=NOON)
        assert stopped(campaign) == 0
        for job in jobs_with(campaign, "ugc")[5:9]:
            failed(job, "invalid_request")
        breaker.look(at=NOON)
        assert (stopped(campaign), Trip.objects.count()) == (0, 1)  # of 9 failed ones, 4 with this error: under 60%

    def test_it_is_settled_with_the_last_video_on_hold(self, owner):
        campaign = ran(owner)
        breaker.look(at=NOON)
        releases.release(campaign, Chosen(values={"aesthetic": "ugc", "gender": "male"}), at=NOON, by=owner)
        assert Trip.objects.get().how == ""
        releases.drop(campaign, UGC, at=NOON, by=owner)
        assert Trip.objects.get().how == "dropped"

    def test_rewritten_and_released(self, owner):
        campaign = ran(owner)
        breaker.look(at=NOON)
        found = releases.foresee(campaign, UGC, find="UGC", put="Home video")
        releases.rewrite(campaign, UGC, shown=found.shown, at=NOON, by=owner, then_release=True, find="UGC", put="Home video")
        assert (len(found.changes), found.tickets) == (7, 0) and stopped(campaign) == 0 and Trip.objects.get().how == "rewritten"


class TestThePage:
    def test_of_the_campaign_says_why_with_three_ways_on(self, owner, client_for):
        web: Client = client_for(owner)
        campaign = ran(owner)
        breaker.look(at=NOON)
        html = " ".join(html_of(web.get(reverse("campaigns:page", args=[campaign.pk]))).split())
        assert "All 5 failures have Aesthetic = UGC: moderation." in html and "7 videos with it are on hold" in html
        assert 'form="holds-form">Release 7<' in html and 'form="holds-form">Cancel 7…<' in html
        sent = {"value": "aesthetic=ugc", "from": "campaign"}
        answer = web.post(reverse("campaigns:holds-release", args=[campaign.pk]), sent)
        assert answer["Location"] == reverse("campaigns:page", args=[campaign.pk]) and stopped(campaign) == 0
