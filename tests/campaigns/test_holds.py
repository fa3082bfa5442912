"""Canary and storyboard: what is on hold at launch, what it costs, and the verbs that release, drop and rewrite it."""

import hashlib
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from campaigns import actions, notices, plan, releases, standing
from campaigns.models import Campaign, Combination, ComplianceRule, Version
from campaigns.plan import PlanRefused
from campaigns.releases import Chosen, RewriteChanged, RewriteRefused
from campaigns.standing import CampaignStatus
from queue_app import lifecycle, tickets, turns
from queue_app.models import (
    Asset,
    AuditEntry,
    Batch,
    GenerationModel,
    HeldFor,
    Job,
    ModelRoute,
    Notice,
    OutboxMessage,
    State,
    TicketBudget,
    Upload,
    User,
)
from queue_app.work import batches, bulk, holds, jobs, policy, recovery, retention, storing
from tests.campaigns.support import SMALL, bring, make_campaign
from tests.factories import NOON, UserFactory, make_asset
from tests.markup import html_of

pytestmark = pytest.mark.django_db
ALL = Chosen(everything=True)
STILLS: dict[str, Any] = {"start": "storyboard", "model": "kling-v3", "duration": 5, "still_model": "nano-banana"}
THREE = {"aesthetic": ["ugc", "cinematic", "minimalist"], "mood": ["energetic", "calm"]}  # 6 cells
HTMX = {"HX-Request": "true"}
Login = Callable[[User], Client]


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=1_000)


def balances(owner: User) -> tuple[int, int, int]:
    """Available, reserved, charged tickets."""
    found = tickets.balances(owner)
    return found["available"], found["reserved"], found["captured"]


def held(campaign: Campaign) -> dict[int, str]:
    rows = Combination.objects.filter(campaign=campaign).order_by("index")
    return {number: why for number, why in rows.values_list("index", "job__held_for") if why}


def cells(campaign: Campaign) -> list[Combination]:
    return list(Combination.objects.filter(campaign=campaign).select_related("job", "still").order_by("index"))


@transaction.atomic
def drawn(cell: Combination) -> Asset:
    """Complete the still of a cell, with a file of its own."""
    still = Job.objects.get(pk=cell.still_id)
    bring(still, State.STORING)
    stored = Job.objects.select_related("model", "kind", "batch").get(pk=still.pk)
    digest = hashlib.sha256(str(still.pk).encode()).hexdigest()
    file = make_asset(stored, sha256=digest, width=1280, height=720)
    lifecycle.complete(stored, [file], at=NOON, actor="worker", stages=[])
    return Asset.objects.get(job=still)


def rewritten(campaign: Campaign, chosen: Chosen, by: User, *, then_release: bool = False, **how: Any) -> releases.Foreseen:
    """Rewrite as a person does who saw what it would do."""
    shown = releases.foresee(campaign, chosen, **how).shown
    return releases.rewrite(campaign, chosen, shown=shown, at=NOON, by=by, then_release=then_release, **how)


class TestLaunchingACanary:
    def test_one_of_each_value_may_start_and_the_others_are_on_hold_with_their_tickets_reserved(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        assert held(campaign) == {2: "canary", 3: "canary", 6: "canary"}
        first = [cell.values for cell in cells(campaign) if not cell.job.held_for]
        assert {pair for values in first for pair in values.items()} == {
            (key, value) for key, values in THREE.items() for value in values
        }
        assert balances(owner) == (976, 24, 0)

    def test_excluded_and_blocked_cells_need_no_showing(self, owner):
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.")
        campaign = make_campaign(owner, THREE, start="canary", exclude=[{"aesthetic": "ugc"}])
        assert [cell.index for cell in cells(campaign) if cell.job and not cell.job.held_for] == [3, 5]
        assert held(campaign) == {}

    def test_of_a_plan_says_how_many_start_and_how_many_wait(self, owner):
        brief = plan.Brief(brand="B", big_idea="A parcel.", model="sora-2", dimensions=THREE, start="canary")
        made = plan.make(brief, owner)
        assert (len(made.first), made.on_hold, made.stills) == (3, 3, 0)


class TestLaunchingAStoryboard:
    def test_each_cell_has_a_still_that_may_start_and_a_video_on_hold_both_reserved(self, owner):
        campaign = make_campaign(owner, **STILLS)
        assert held(campaign) == dict.fromkeys(range(1, 5), "storyboard")
        stills = [cell.still for cell in cells(campaign)]
        assert {(still.model_id, still.kind_id, still.held_for) for still in stills} == {("nano-banana", "image", "")}
        assert [still.prompt for still in stills] == [cell.prompt for cell in cells(campaign)]
        assert {still.parameters["aspect_ratio"] for still in stills} == {campaign.parameters["aspect_ratio"]}
        assert stills[1].label == "UGC · Calm · still"
        assert balances(owner) == (1_000 - 4 * 5 - 4, 24, 0)

    def test_without_a_model_the_stills_are_made_by_the_cheapest(self, owner):
        campaign = make_campaign(owner, **STILLS | {"still_model": ""})
        prices = {one.pk: one.pricing.tickets_of({}) for one in GenerationModel.objects.filter(medium="image")}
        assert prices[campaign.still_model_id] == min(prices.values())

    @pytest.mark.parametrize(
        ("fields", "field", "words"),
        [
            ({"model": "nano-banana"}, "start", "Stills first is for videos"),
            ({"model": "minimax-video-01", "duration": None}, "start", "can't start from an image"),
            ({"still_model": "kling-v3"}, "still_model", "is no image model"),
            ({"start": "all"}, "still_model", "Stills need the start “storyboard”"),
            ({"start": "later"}, "start", "start must be all, canary or storyboard"),
        ],
    )
    def test_what_can_not_be_is_refused_at_its_field(self, owner, fields, field, words):
        model = GenerationModel.objects.get(pk="minimax-video-01")
        model.parameters.pop("images", None)
        model.save()
        with pytest.raises(PlanRefused) as refusal:
            make_campaign(owner, **STILLS | fields)
        assert [one.field for one in refusal.value.problems if words in one.message] == [field], refusal.value

    def test_providers_that_can_not_load_stills_are_not_offered(self, owner, settings, monkeypatch):
        monkeypatch.setattr("queue_app.models.ProviderAccount.is_preview", False)
        ModelRoute.objects.update(needs_check=False)
        settings.PUBLIC_URL = "http://localhost:8000"
        with pytest.raises(PlanRefused, match="no public https address"):
            make_campaign(owner, **STILLS)

    def test_too_few_tickets_for_both_write_nothing_and_name_the_whole_price(self):
        poor = UserFactory(tickets=22)
        with pytest.raises(tickets.NotEnoughTickets) as refusal:
            make_campaign(poor, **STILLS)
        assert refusal.value.facts == {"needed": 24, "available": 22, "missing": 2, "fits": 3}
        assert not Batch.objects.exists() and balances(poor) == (22, 0, 0)

    def test_totals_count_videos_and_the_campaign_runs_while_its_stills_do(self, owner):
        campaign = make_campaign(owner, **STILLS)
        assert standing.of_campaigns([campaign], at=NOON)[campaign.pk].status == CampaignStatus.QUEUED
        bring(cells(campaign)[0].still, State.RUNNING)
        counts = standing.of_campaigns([campaign], at=NOON)[campaign.pk]
        assert (counts.total, counts.queued, counts.on_hold, counts.status) == (4, 4, 4, CampaignStatus.RUNNING)
        for cell in cells(campaign)[1:]:
            drawn(cell)
        lifecycle.cancel([cells(campaign)[0].still_id], at=NOON, actor="staff")
        assert actions.counted_jobs(campaign).count() == 4


class TestTheOrderOfLocks:
    """Turns come before wallets, or a job of the same account that is queued at the same time would deadlock."""

    @pytest.fixture
    def taken(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """For each reservation from now on, the models whose turns nobody else can take meanwhile."""
        found: list[list[str]] = []

        def is_taken(model: str) -> bool:
            try:
                with transaction.atomic():
                    with connection.cursor() as cursor:
                        cursor.execute("SET LOCAL lock_timeout = '1ms'")
                    turns.lock_lanes([(model, 0, owner.pk)])
            except OperationalError:
                return True
            finally:
                connection.close()
            return False

        def reserve(*jobs: Any, real: Any = tickets.reserve, **how: Any) -> None:
            with ThreadPoolExecutor(1) as other:
                models = ("kling-v3", "nano-banana")
                found.append([model for model, is_so in zip(models, other.map(is_taken, models), strict=True) if is_so])
            real(*jobs, **how)

        monkeypatch.setattr(tickets, "reserve", reserve)
        return found

    @pytest.mark.django_db(transaction=True)
    def test_a_storyboard_takes_the_turns_of_videos_and_stills_before_the_wallet(self, owner, taken):
        campaign = make_campaign(owner, **STILLS)
        assert taken == [["kling-v3", "nano-banana"]] * 2
        first, second, *_ = cells(campaign)
        drawn(first)
        releases.release(campaign, Chosen(numbers=[1]), at=NOON, by=owner)
        holds.hold([first.job_id], HeldFor.BREAKER, at=NOON, actor="breaker", reason="others failed")
        bring(second.still, State.FAILED)
        taken.clear()
        both = Chosen(numbers=[1, 2])
        rewritten(campaign, both, owner, then_release=True, find="opens", put="closes")
        assert taken == [["kling-v3", "nano-banana"]] and not cells(campaign)[0].job.held_for


class TestRelease:
    def test_by_number_by_value_and_all(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        assert releases.release(campaign, Chosen(numbers=[2, 1]), at=NOON, by=owner).videos == 1
        assert held(campaign) == {3: "canary", 6: "canary"}
        assert releases.release(campaign, Chosen(values={"mood": "calm"}), at=NOON, by=owner).videos == 1
        assert releases.release(campaign, ALL, at=NOON, by=owner).videos == 1
        assert held(campaign) == {} and balances(owner) == (976, 24, 0)
        assert releases.release(campaign, ALL, at=NOON, by=owner).videos == 0  # a double click

    def test_a_budget_is_not_released_here(self, owner):
        campaign = make_campaign(owner)
        TicketBudget.objects.create(user=owner, tickets=1, created_at=NOON, held_since=NOON)
        holds.hold([cells(campaign)[0].job_id], HeldFor.BUDGET, at=NOON, actor="budget", reason="spent")
        assert releases.release(campaign, ALL, at=NOON, by=owner).videos == 0
        assert held(campaign) == {1: "budget"}

    def test_an_approved_still_is_the_first_frame_of_its_video_at_the_reserved_price(self, owner):
        campaign = make_campaign(owner, **STILLS)
        file = drawn(cells(campaign)[0])
        done = releases.release(campaign, ALL, at=NOON, by=owner)
        assert (done.videos, done.without_still) == (1, 3)
        video = cells(campaign)[0].job
        upload = Upload.objects.get(pk=video.parameters["images"]["first_frame"])
        assert (upload.owner, upload.name, upload.used_at) == (owner, file.name, NOON)  # the same file, no copy
        assert (video.held_for, video.held, video.tickets) == ("", False, 5)
        assert held(campaign) == dict.fromkeys((2, 3, 4), "storyboard")
        told = video.events.get(reason="still approved")
        assert "images" not in told.data["before"]["parameters"]
        bring(video, State.COMPLETED)
        assert balances(owner) == (976, 18, 6)

    def test_one_that_dies_on_the_way_has_approved_nothing(self, owner, monkeypatch):
        campaign = make_campaign(owner, **STILLS)
        drawn(cells(campaign)[0])

        def dead(*_: Any, **__: Any) -> None:
            raise RuntimeError("the power went")

        monkeypatch.setattr(releases.holds, "release", dead)
        with pytest.raises(RuntimeError):
            releases.release(campaign, ALL, at=NOON, by=owner)
        assert "images" not in cells(campaign)[0].job.parameters and not Upload.objects.exists()
        assert held(campaign)[1] == "storyboard"

    @pytest.mark.django_db(transaction=True)
    def test_two_who_approve_at_once_release_each_video_once(self, owner):
        campaign = make_campaign(owner, **STILLS)
        for cell in cells(campaign)[:2]:
            drawn(cell)
        start = Barrier(2)

        def press(_: int) -> int:
            start.wait()
            try:
                return releases.release(campaign, ALL, at=NOON, by=owner).videos
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as hands:
            assert sorted(hands.map(press, range(2))) == [0, 2]
        assert Upload.objects.count() == 2 and balances(owner) == (976, 22, 2)

    def test_without_its_file_a_still_approves_nothing(self, owner):
        campaign = make_campaign(owner, **STILLS)
        file = drawn(cells(campaign)[0])
        Asset.objects.filter(pk=file.pk).update(expired_at=NOON)
        done = releases.release(campaign, ALL, at=NOON, by=owner)
        assert (done.videos, done.without_still) == (0, 4)

    def test_the_file_of_a_still_stays_for_its_video_when_the_still_is_deleted(self, owner, client_for, monkeypatch):
        campaign = make_campaign(owner, **STILLS)
        file = drawn(cells(campaign)[0])
        releases.release(campaign, ALL, at=NOON, by=owner)
        gone: list[str] = []
        monkeypatch.setattr(retention.disk, "delete", gone.extend)
        retention.expire_files_of(cells(campaign)[0].still, at=NOON, actor=owner)
        assert gone == []
        monkeypatch.setattr(storing.disk, "names_in", lambda folder: iter([file.name] if folder == storing.FOLDER else []))
        monkeypatch.setattr(storing.disk, "is_older", lambda *_: True)
        storing.remove_orphans(NOON)
        assert file.name not in gone


class TestDrop:
    def test_of_a_canary_returns_the_tickets(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        done = releases.drop(campaign, ALL, at=NOON, by=owner)
        assert (done.videos, done.tickets) == (3, 12)
        assert balances(owner) == (988, 12, 0)
        assert releases.drop(campaign, ALL, at=NOON, by=owner).videos == 0

    def test_what_is_not_approved_costs_its_still_alone(self, owner):
        campaign = make_campaign(owner, **STILLS)
        drawn(cells(campaign)[0])
        bring(cells(campaign)[1].still, State.FAILED)
        done = releases.drop(campaign, ALL, at=NOON, by=owner)
        # four videos, and two stills that were not made yet
        assert (done.videos, done.tickets) == (4, 22)
        assert balances(owner) == (999, 0, 1)
        assert {cell.job.state for cell in cells(campaign)} == {State.CANCELLED}
        recovery.sweep(at=NOON)
        assert Batch.objects.get(pk=campaign.pk).ended_at is not None
        notices.deliver(OutboxMessage.objects.get(event="batch_ended").pk)
        assert Notice.objects.get().text.endswith("is finished: 4 cancelled.")

    def test_a_dropped_video_is_not_run_again_without_a_still(self, owner):
        campaign = make_campaign(owner, **STILLS)
        drawn(cells(campaign)[0])
        releases.release(campaign, ALL, at=NOON, by=owner)
        releases.drop(campaign, ALL, at=NOON, by=owner)
        lifecycle.cancel([cells(campaign)[0].job_id], at=NOON, actor="owner")
        assert actions.retry_all(campaign, at=NOON, actor=owner, state=State.CANCELLED) == 1
        assert cells(campaign)[0].job.state == State.QUEUED


def retry_page(job: Job, owner: User, operator: User, web: Client, api: APIClient) -> None:
    web.post(reverse("campaigns:job-retry", args=[job.pk]), {"jobs": "1", "tickets": "5"})


def retry_call(job: Job, owner: User, operator: User, web: Client, api: APIClient) -> None:
    api.post(f"/api/v1/jobs/{job.pk}/retry/", {"prompt": "A parcel, again."}, format="json")


def retry_batch(job: Job, owner: User, operator: User, web: Client, api: APIClient) -> None:
    batches.retry(Batch.objects.get(pk=job.batch_id), at=NOON, actor=owner, state=State.CANCELLED)


def retry_bulk(job: Job, owner: User, operator: User, web: Client, api: APIClient) -> None:
    action = bulk.draft("retry", [job.pk], at=NOON, actor=operator, chosen="by hand")
    bulk.confirm(action, at=NOON, actor=operator)
    bulk.work(action.pk, may_go_on=lambda: True)


class TestAStillThatWaitsForABudget:
    @pytest.fixture
    def campaign(self, owner: User) -> Campaign:
        campaign = make_campaign(owner, **STILLS)
        for cell in cells(campaign)[:3]:
            drawn(cell)
        TicketBudget.objects.create(batch=campaign.batch, tickets=3, period="total", created_at=NOON, held_since=NOON)
        holds.hold([cells(campaign)[3].still_id], HeldFor.BUDGET, at=NOON, actor="dispatcher", reason="spent")
        return campaign

    def test_stays_on_the_sheet_and_is_not_to_come(self, campaign, owner, client_for: Login, api_for):
        web = client_for(owner)
        html = html_of(web.get(reverse("campaigns:holds", args=[campaign.pk])))
        assert "3 of 4 stills ready" in html and "still waits for a budget" in html
        page = html_of(web.get(reverse("campaigns:page", args=[campaign.pk])))
        assert "stills to come" not in page and "3 of 4 stills ready" in page
        counts = standing.of_campaigns([campaign], at=NOON)[campaign.pk]
        assert (counts.stills_waiting, counts.on_hold, counts.status) == (0, 4, CampaignStatus.PAUSED)
        answer = api_for(owner).get(f"/api/v1/campaigns/{campaign.pk}/").json()
        assert answer["on_hold"]["storyboard"] == 4
        rows = api_for(owner).get(answer["links"]["combinations"]).json()["results"]
        assert {row["held_for"] for row in rows} == {"storyboard"}

    def test_is_dropped_with_its_video(self, campaign, owner):
        assert releases.drop(campaign, ALL, at=NOON, by=owner).videos == 4
        assert balances(owner) == (997, 0, 3)


class TestRetry:
    @pytest.mark.parametrize("way", [retry_page, retry_call, retry_batch, retry_bulk])
    def test_of_a_dropped_video_waits_for_its_still_again(self, owner, way, client_for: Login, api_for):
        campaign, operator = make_campaign(owner, **STILLS), UserFactory(admin=True)
        drawn(cells(campaign)[0])
        releases.drop(campaign, Chosen(numbers=[1]), at=NOON, by=owner)
        way(cells(campaign)[0].job, owner, operator, client_for(owner), api_for(owner))
        video = cells(campaign)[0].job
        assert (video.state, video.held_for, video.held) == (State.QUEUED, "storyboard", True)
        assert balances(owner) == (976, 23, 1)
        assert releases.release(campaign, Chosen(numbers=[1]), at=NOON, by=owner).videos == 1
        assert "first_frame" in cells(campaign)[0].job.parameters["images"]

    def test_of_an_approved_video_runs(self, owner):
        campaign = make_campaign(owner, **STILLS)
        drawn(cells(campaign)[0])
        releases.release(campaign, ALL, at=NOON, by=owner)
        lifecycle.cancel([cells(campaign)[0].job_id], at=NOON, actor="owner")
        assert jobs.retry(cells(campaign)[0].job, at=NOON, actor=owner).held_for == ""


class TestRewrite:
    def test_a_value_is_replaced_in_what_is_on_hold_and_nowhere_else(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        chosen = Chosen(values={"mood": "calm"})
        before = {cell.index: cell.prompt for cell in cells(campaign)}
        found = releases.foresee(campaign, chosen, find="Calm", put="Serene")
        assert [one.row.number for one in found.changes] == [2, 6]
        done = rewritten(campaign, chosen, owner, find="Calm", put="Serene")
        assert (len(done.changes), done.stills) == (2, 0)
        for cell in cells(campaign):
            expected = before[cell.index].replace("Calm", "Serene") if cell.index in (2, 6) else before[cell.index]
            version = Version.objects.get(job=cell.job_id)
            assert cell.prompt == cell.job.prompt == version.prompt == expected
        assert cells(campaign)[1].job.events.get(reason="prompt rewritten").data == {"before": {"prompt": before[2]}}
        assert held(campaign) == {2: "canary", 3: "canary", 6: "canary"}

    def test_it_may_release_what_it_rewrote(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        rewritten(campaign, ALL, owner, then_release=True, find="Calm", put="Serene")
        assert held(campaign) == {3: "canary"}

    @pytest.mark.parametrize("shown", [{"put": "Sad"}, {"put": "Serene", "chosen": Chosen(numbers=[2])}])
    def test_other_words_or_prompts_than_shown_change_nothing(self, owner, shown):
        campaign = make_campaign(owner, THREE, start="canary")
        seen = releases.foresee(campaign, shown.get("chosen", ALL), find="Calm", put=shown["put"]).shown
        with pytest.raises(RewriteChanged):
            releases.rewrite(campaign, ALL, shown=seen, at=NOON, by=owner, find="Calm", put="Serene")
        assert not Job.objects.filter(prompt__contains="Serene").exists()

    def test_a_rule_is_obeyed_and_an_empty_prompt_refused(self, owner):
        campaign = make_campaign(owner, THREE, start="canary")
        ComplianceRule.objects.create(name="No gore", pattern="gore", reason="No.")
        with pytest.raises(RewriteRefused, match="would be blocked"):
            rewritten(campaign, ALL, owner, find="Calm", put="gore")
        with pytest.raises(RewriteRefused, match="Enter a prompt"):
            releases.foresee(campaign, Chosen(numbers=[2]), prompt=" ")
        assert not Job.objects.filter(prompt__contains="gore").exists()

    def test_what_was_sent_before_stays_as_it_is(self, owner):
        campaign = make_campaign(owner)
        job = cells(campaign)[1].job
        bring(job, State.FAILED)
        lifecycle_job = Job.objects.filter(pk=job.pk).lock_for_retry()
        lifecycle.queue_again(lifecycle_job, at=NOON, actor="owner")
        holds.hold([job.pk], HeldFor.BREAKER, at=NOON, actor="breaker", reason="others failed")
        found = releases.foresee(campaign, ALL, find="Calm", put="Serene")
        assert (found.changes, found.left_out) == ([], 1)

    def test_of_a_failed_still_buys_a_new_one_and_the_video_follows(self, owner):
        campaign = make_campaign(owner, **STILLS)
        first = cells(campaign)[0]
        bring(first.still, State.FAILED)
        done = rewritten(campaign, Chosen(numbers=[1]), owner, prompt="A calmer parcel.")
        assert (done.stills, done.tickets) == (1, 1)
        now = cells(campaign)[0]
        assert now.still_id != first.still_id and now.still.prompt == now.job.prompt == now.prompt == "A calmer parcel."
        assert balances(owner) == (976, 24, 0)
        drawn(now)
        assert releases.release(campaign, Chosen(numbers=[1]), at=NOON, by=owner).videos == 1

    def test_while_a_still_is_made_its_prompt_stays(self, owner):
        campaign = make_campaign(owner, **STILLS)
        found = releases.foresee(campaign, ALL, find="Calm", put="Serene")
        assert (found.changes, found.left_out) == ([], 2)


class TestThePage:
    def test_of_a_canary_shows_groups_with_their_verbs_in_a_fixed_number_of_queries(
        self, owner, client_for: Login, django_assert_max_num_queries
    ):
        campaign, web = make_campaign(owner, THREE, start="canary"), client_for(owner)
        bring(cells(campaign)[0].job, State.COMPLETED)
        with django_assert_max_num_queries(30):
            html = html_of(web.get(reverse("campaigns:holds", args=[campaign.pk]) + "?by=mood"))
        assert 'value="mood=calm"' in html and "Release 2" in html and "On hold in" in html
        assert "3 videos wait until you release them" in html_of(web.get(reverse("campaigns:page", args=[campaign.pk])))

    def test_releases_by_value_and_goes_back_to_the_campaign_once_nothing_waits(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, THREE, start="canary"), client_for(owner)
        url = reverse("campaigns:holds-release", args=[campaign.pk])
        answer = web.post(url, {"value": "mood=calm", "by": "mood"})
        assert answer["Location"] == reverse("campaigns:holds", args=[campaign.pk]) + "?by=mood"
        assert web.post(url, {"all": "1"})["Location"] == reverse("campaigns:page", args=[campaign.pk])
        assert held(campaign) == {}

    def test_drop_says_the_tickets_first_and_cancels_only_when_sure(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, THREE, start="canary"), client_for(owner)
        url = reverse("campaigns:holds-drop", args=[campaign.pk])
        assert "12 tickets are returned" in html_of(web.post(url, {"all": "1"})) and len(held(campaign)) == 3
        web.post(url, {"all": "1", "sure": "1"})
        assert held(campaign) == {} and balances(owner) == (988, 12, 0)

    def test_rewrite_shows_before_and_after_with_the_words_of_the_value_filled_in(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, THREE, start="canary"), client_for(owner)
        url = reverse("campaigns:holds-rewrite", args=[campaign.pk])
        assert 'name="find" value="Calm"' in html_of(web.post(url, {"value": "mood=calm"}))
        typed = {"value": "mood=calm", "find": "Calm", "put": "<b>Serene</b>"}
        html = html_of(web.post(url, typed | {"look": "1"}))
        assert "2 prompts change" in html and "<b>Serene</b>" not in html and "&lt;b&gt;Serene" in html
        told = {name: html.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("told_prompts", "told_tickets")}
        changed = web.post(url, typed | {"put": "Sad", "sure": "release"} | told)
        assert (
            changed.status_code == 409 and "Sad" in html_of(changed) and not Job.objects.filter(prompt__contains="Sad").exists()
        )
        web.post(url, typed | {"sure": "release"} | told)
        assert held(campaign) == {3: "canary"} and Job.objects.filter(prompt__contains="<b>Serene</b>").count() == 2

    def test_a_storyboard_shows_stills_and_prices_new_ones(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, **STILLS), client_for(owner)
        drawn(cells(campaign)[0])
        bring(cells(campaign)[1].still, State.FAILED)
        html = html_of(web.get(reverse("campaigns:holds", args=[campaign.pk])))
        assert "1 of 4 stills ready to approve" in html and "It broke." in html and "Still ready" in html
        look = {"n": "2", "prompt": "Another parcel.", "look": "1"}
        page = html_of(web.post(reverse("campaigns:holds-rewrite", args=[campaign.pk]), look))
        assert "1 new still for" in page.replace("\n", " ") and 'name="told_tickets" value="1"' in page
        board = html_of(web.get(reverse("campaigns:page", args=[campaign.pk])))
        assert "1 of 4 stills ready" in board and "Charged, 1 still" in board

    def test_nothing_new_is_answered_without_content_and_the_rest_by_its_parts(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, **STILLS), client_for(owner)
        url = reverse("campaigns:holds", args=[campaign.pk])
        whole = html_of(web.get(url))
        there = {name: whole.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("seen", "shown")}
        assert there["shown"] == "ugc,1,2,cinematic,3,4"
        assert web.get(url, there, headers=HTMX).status_code == 204
        drawn(cells(campaign)[0])
        parts = html_of(web.get(url, there | {"shown": "ugc,1"}, headers=HTMX))
        assert 'id="shot-1" hx-swap-oob="true"' in parts and 'type="checkbox"' not in parts
        assert "shot-2" not in parts and "pile-cinematic" not in parts  # the page has no place for them

    @pytest.mark.parametrize("start", [{"start": "canary"}, STILLS, {"why": HeldFor.BREAKER}, {"why": HeldFor.BUDGET}])
    def test_of_a_job_on_hold_leads_to_the_contact_sheet_unless_a_budget_holds_it(self, owner, client_for: Login, start):
        campaign = make_campaign(owner, THREE, **{name: value for name, value in start.items() if name != "why"})
        second = cells(campaign)[1].job_id
        TicketBudget.objects.create(user=owner, tickets=1, created_at=NOON, held_since=NOON)
        if why := start.get("why"):
            holds.hold([second], why, at=NOON, actor="breaker", reason="others failed")
        html = html_of(client_for(owner).get(reverse("campaigns:job", args=[second])))
        assert ("Open contact sheet" in html) == (why != HeldFor.BUDGET)
        assert ("Waits for a review of the first results of its campaign" in html) == (start.get("start") == "canary")

    def test_of_what_waits_for_a_release_says_on_hold_and_paused_only_if_it_is(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, THREE, start="canary"), client_for(owner)
        for cell in cells(campaign):
            if not cell.job.held_for:
                bring(cell.job, State.COMPLETED)
        addresses = [reverse("campaigns:page", args=[campaign.pk]), reverse("campaigns:list")]

        def badges() -> list[str]:
            found = (re.findall(r'<span class="gq-badge[^>]*>.*?</span>', html_of(web.get(url)), re.DOTALL) for url in addresses)
            return [re.sub("<[^>]*>", "", listed[0]).strip() for listed in found]

        assert badges() == ["On hold", "On hold"]
        policy.pause_batch(campaign.batch, at=NOON, actor=owner)
        assert badges() == ["Paused", "Paused"]

    def test_of_a_still_speaks_of_its_campaign_and_leads_there_and_on(self, owner, client_for: Login):
        campaign, web = make_campaign(owner, **STILLS), client_for(owner)
        first = cells(campaign)[0]
        bring(first.still, State.FAILED)
        html = html_of(web.get(reverse("campaigns:job", args=[first.still_id])))
        for name, args in (("page", []), ("holds", []), ("cell", [1])):
            assert f'href="{reverse(f"campaigns:{name}", args=[campaign.pk, *args])}"' in html
        assert "its batch" not in html and f'href="{reverse("campaigns:job", args=[first.job_id])}"' in html
        rewritten(campaign, Chosen(numbers=[1]), owner, prompt="A calmer parcel.")
        assert "another still counts" in html_of(web.get(reverse("campaigns:job", args=[first.still_id])))

    def test_a_stranger_finds_none_of_it_and_staff_need_the_right(self, owner, client_for: Login):
        campaign = make_campaign(owner, THREE, start="canary")
        names = ("holds", "holds-release", "holds-drop", "holds-rewrite")
        urls = {name: reverse(f"campaigns:{name}", args=[campaign.pk]) for name in names}
        stranger = client_for(UserFactory())
        assert stranger.get(urls["holds"]).status_code == 404
        assert {stranger.post(url, {"all": "1", "sure": "1"}).status_code for name, url in urls.items() if name != "holds"} == {
            404
        }
        staff = UserFactory(is_staff=True)
        assert client_for(staff).post(urls["holds-release"], {"all": "1"}).status_code == 403
        staff.user_permissions.add(Permission.objects.get(codename="operate_queue"))
        client_for(User.objects.get(pk=staff.pk)).post(urls["holds-release"], {"value": "mood=calm"})
        entry = AuditEntry.objects.get(action="release videos")
        assert (entry.actor, entry.after) == (staff, {"videos": 2, "stills": 0})


class TestTheForm:
    def test_says_what_starts_and_prices_stills(self, owner, client_for: Login):
        web = client_for(owner)
        four = {
            "draft": str(uuid.uuid4()),
            "tab": "t",
            "brand": "B",
            "big_idea": "A parcel.",
            "model": "kling-v3",
            "duration": "5",
        }
        four |= {f"dim.{key}": values for key, values in THREE.items()}
        html = html_of(web.post(reverse("campaigns:new-preview"), four))
        assert "3 of 6 videos now. The other 3 wait on hold" in html
        html = html_of(web.post(reverse("campaigns:new-preview"), four | {"start": "canary"}))
        assert "3 start now, 3 wait until you release them" in " ".join(html.split())
        html = html_of(web.post(reverse("campaigns:new-preview"), four | {"start": "storyboard", "still_model": "nano-banana"}))
        assert "Stills (1 ticket each)" in html and 'name="told_tickets" value="36"' in html
        web.post(reverse("campaigns:new"), four | {"start": "storyboard", "still_model": "nano-banana", "do": "launch"})
        assert Campaign.objects.get().start == "storyboard" and Job.objects.count() == 12

    def test_names_the_models_that_start_from_stills_and_turns_the_choice_off_for_others(self, owner, client_for: Login):
        web = client_for(owner)
        form = {"draft": str(uuid.uuid4()), "tab": "t", "brand": "B", "big_idea": "A parcel.", "model": "nano-banana"}
        html = html_of(web.post(reverse("campaigns:new-preview"), form))
        (radio,) = re.findall(r'<input[^>]*id="f-start-storyboard"[^>]*>', html)
        assert " disabled" in radio and "All images join the queue" in html and "A few images" in html
        assert "makes images. Choose " in html and "kling-v3" in html
        html = html_of(web.post(reverse("campaigns:new-preview"), form | {"model": "kling-v3", "rendered_model": "nano-banana"}))
        (radio,) = re.findall(r'<input[^>]*id="f-start-storyboard"[^>]*>', html)
        assert " disabled" not in radio and "makes images" not in html
        chosen = html_of(web.post(reverse("campaigns:new-preview"), form | {"start": "storyboard"}))
        (radio,) = re.findall(r'<input[^>]*id="f-start-storyboard"[^>]*>', chosen)
        assert " checked" in radio and " disabled" not in radio


class TestTheAPI:
    @pytest.fixture
    def api(self, owner: User) -> APIClient:
        client = APIClient()
        client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_prices_and_launches_a_storyboard_and_tells_its_stills(self, owner, api):
        body = {"brand": "B", "big_idea": "A parcel.", "dimensions": SMALL, **STILLS}
        priced = api.post("/api/v1/campaigns/?dry_run=true", body, format="json").json()
        assert (priced["accepted"], priced["on_hold"], priced["stills"], priced["cost"]["tickets"]) == (4, 4, 4, 24)
        made = api.post("/api/v1/campaigns/", body, format="json").json()
        answer = api.get(made["url"]).json()
        assert (answer["total"], answer["start"], answer["still_model"]) == (4, "storyboard", "nano-banana")
        assert answer["on_hold"] == {"canary": 0, "storyboard": 4, "breaker": 0} and answer["trips"] == []
        assert (answer["status"], answer["cost"]["reserved"]) == ("queued", 24)
        (first, *_) = api.get(answer["links"]["combinations"]).json()["results"]
        assert (first["held_for"], first["status"], first["still"]["status"]) == ("storyboard", "queued", "queued")

    def test_says_in_its_schema_that_a_model_may_not_be_available(self, owner, api):
        campaign = make_campaign(owner, **STILLS)
        drawn(cells(campaign)[0])
        GenerationModel.objects.filter(pk="kling-v3").update(active=False)
        refused = api.post(f"/api/v1/campaigns/{campaign.pk}/release/", {"all": True}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (422, "model_not_available")
        declared = api.get("/api/schema/?format=json").json()["paths"]["/api/v1/campaigns/{id}/release/"]["post"]
        assert "422" in declared["responses"]

    def test_releases_and_drops_by_id_by_value_and_all(self, owner, api):
        campaign = make_campaign(owner, THREE, start="canary")
        url, second = f"/api/v1/campaigns/{campaign.pk}/", cells(campaign)[1].pk
        done = api.post(f"{url}release/", {"combinations": [second]}, format="json").json()
        assert done["released"] == {"videos": 1, "stills": 0, "without_still": 0}
        gone = api.post(f"{url}drop/", {"values": {"mood": "calm"}}, format="json").json()
        assert gone["dropped"] == {"videos": 1, "tickets": 4} and gone["cancelled"] == 1
        assert api.post(f"{url}release/", {"all": True}, format="json").json()["on_hold"]["canary"] == 0

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, ""),
            ({"all": False}, ""),
            ({"all": True, "values": {"mood": "calm"}}, "all"),
            ({"values": {"mood": "loud"}}, "values.mood"),
            ({"combinations": [1]}, "combinations"),
            ({"cells": [1]}, "cells"),
        ],
    )
    def test_refuses_what_is_not_meant_exactly(self, owner, api, body, field):
        campaign = make_campaign(owner, THREE, start="canary")
        answer = api.post(f"/api/v1/campaigns/{campaign.pk}/release/", body, format="json")
        assert answer.status_code == 400 and len(held(campaign)) == 3
        assert not field or field in {one["field"] for one in answer.json()["errors"]}, answer.json()
