"""The page of a campaign: what it says, what it costs to say it, and what may be asked of a campaign."""

import re
import time
from collections.abc import Callable
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import cells, launch, review
from campaigns.models import Campaign, ComplianceRule
from campaigns.models.combination import Review
from queue_app import clock, lifecycle, tickets
from queue_app.lifecycle import Trouble
from queue_app.models import (
    Asset,
    AuditEntry,
    Batch,
    GenerationModel,
    Job,
    LedgerEntry,
    ModelConcurrencyLimit,
    ModelRoute,
    ProviderAccount,
    QueueSettings,
    State,
    User,
)
from queue_app.work import dispatch, policy
from tests.campaigns.support import bring, full_matrix, jobs_of, make_campaign
from tests.conftest import Figures
from tests.factories import NOON, UserFactory, make_asset, make_job, make_route
from tests.markup import html_of

pytestmark = pytest.mark.django_db
QUERIES_MOST = 40
HTMX = {"HX-Request": "true"}
Login = Callable[[User], Client]


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=10_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def page(campaign: Campaign, query: str = "") -> str:
    return reverse("campaigns:page", args=[campaign.pk]) + query


def text_of(html: str) -> str:
    """What a person reads, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub("</?bdi>", "", html)).split())


def look(web: Client, address: str) -> str:
    answer = web.get(address)
    assert answer.status_code == 200
    return html_of(answer)


def row_heads(html: str) -> list[str]:
    return re.findall(r'<th scope="row" colspan="2" title="([^"]+)">', html)


def with_pictures(job: Job) -> tuple[Asset, Asset]:
    """Complete a job with a video, its small picture and its sheet of frames. Return the two pictures."""
    bring(job, State.STORING)
    stored = Job.objects.select_related("model").get(pk=job.pk)
    small = {"content_type": "image/webp", "width": 240, "height": 135}
    video, tile = make_asset(stored, width=1280, height=720, seconds=4.0), make_asset(stored, kind="tile", **small)
    sheet = make_asset(stored, kind="spritesheet", content_type="image/jpeg")
    with transaction.atomic():
        lifecycle.complete(Job.objects.lock().get(pk=job.pk), [video, tile, sheet], at=NOON, actor="worker", stages=[])
    return tile, sheet


def operator() -> User:
    staff = UserFactory(staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="operate_queue"), Permission.objects.get(codename="view_job"))
    return staff


class TestWhatItSays:
    def test_it_counts_the_cells_and_says_how_long_it_takes(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, second, *_ = jobs_of(campaign)
        bring(first, State.COMPLETED)
        bring(second, State.RUNNING, at=clock.now())
        said = text_of(look(web, page(campaign)))
        assert "1 of 4 videos" in said
        assert "1 completed 1 running 2 queued" in said
        assert re.search(r"About (\d+[smh] )+left 90% likely within \d+[smh]", said)
        assert ", based on the model&#x27;s typical time" in said

    def test_what_runs_is_told_with_its_progress(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, second, third, _ = jobs_of(campaign)
        bring(first, State.RUNNING)
        Job.objects.filter(pk=first.pk).update(progress=0.71)
        bring(second, State.UNKNOWN)
        bring(third, State.STORING)
        html = look(web, page(campaign))
        said = text_of(html)
        assert re.search(r"Running now .* UGC · Energetic 71%, [^%]* left 71%", said)
        assert "UGC · Calm Outcome unknown: not confirmed by the provider yet" in said
        assert "Cinematic · Energetic Saving: saving the file" in said
        assert "1 waiting. " in said
        assert re.search(r'id="at-1"[^>]*>.*?<progress class="gq-progress" max="100" value="71"', html)

    @pytest.mark.parametrize(
        ("states", "badge"),
        [
            ([], "Queued"),
            ([State.RUNNING], "Running"),
            ([State.COMPLETED], "Queued"),
            ([State.COMPLETED, State.STORING], "Running"),
            ([State.RUNNING, State.UNKNOWN], "Needs attention"),
            ([State.FAILED] * 4, "Needs attention"),
            ([State.COMPLETED, State.FAILED, State.FAILED, State.FAILED], "Finished"),
            ([State.COMPLETED] * 4, "Finished"),
        ],
    )
    def test_the_badge_is_the_same_on_the_page_in_lists_and_in_the_api(
        self, web: Client, owner: User, states: list[State], badge: str
    ) -> None:
        campaign = make_campaign(owner)
        for job, state in zip(jobs_of(campaign), states, strict=False):
            bring(job, state)
        for address in (page(campaign), reverse("campaigns:list"), reverse("campaigns:home")):
            assert re.search(rf'<span class="gq-badge is-\w+">[^\n]*{badge}</span>', look(web, address)), address
        assert web.get(f"/api/v1/campaigns/{campaign.pk}/").json()["status"] == badge.lower().replace(" ", "_")

    def test_the_cost_so_far_and_to_come(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        done, failed, *_ = jobs_of(campaign)
        bring(done, State.COMPLETED)
        bring(failed, State.FAILED)
        said = text_of(look(web, page(campaign)))
        assert "Charged, 1 completed 4" in said
        assert "Reserved, 2 unfinished 8" in said
        assert "Returned, 1 failed 4" in said
        assert "Maximum cost 12" in said
        assert "Provider cost so far $2.00 Estimated provider cost to come $4.00" in said

    def test_a_finished_campaign_says_what_it_cost_in_the_end(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        done, failed, *others = jobs_of(campaign)
        bring(done, State.COMPLETED)
        bring(failed, State.FAILED)
        lifecycle.cancel([job.pk for job in others], at=NOON, actor=owner.username)
        assert "Reserved 16 Returned, 3 failed or cancelled −12 Charged, 1 video 4" in text_of(look(web, page(campaign)))
        bring_back = reverse("campaigns:retry-failed", args=[campaign.pk])
        web.post(bring_back, {"jobs": "1", "tickets": "4"})
        said = text_of(look(web, page(campaign)))
        assert "Reserved, 1 unfinished 4 Returned, 2 cancelled 8" in said  # what a retry reserved again is not returned

    def test_it_says_why_the_next_one_waits(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, max_concurrent=1)
        bring(jobs_of(campaign)[0], State.RUNNING)
        said = text_of(look(web, page(campaign)))
        assert "This campaign is full (1 of 1 running). Next in line." in said

    def test_failures_are_grouped_with_their_remedy_and_the_price_of_a_retry(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, second, third, _ = jobs_of(campaign)
        bring(first, State.FAILED)
        bring(second, State.FAILED)
        bring(third, State.RUNNING)
        with transaction.atomic():
            locked = Job.objects.select_related("model", "kind", "batch").get(pk=third.pk)
            lifecycle.fail(locked, at=NOON, actor="poller", trouble=Trouble("rejected", "It shows a real person."))
        html = look(web, page(campaign))
        said = text_of(html)
        assert "It broke. Temporary problem." in said
        assert "Retrying costs 8 tickets. Edit prompts… 2" in said
        assert "It shows a real person. Edit the prompt and generate again" in said
        assert f'href="{reverse("campaigns:cells", args=[campaign.pk])}?status=failed">Edit prompts…' in html
        assert f'href="{reverse("campaigns:cell", args=[campaign.pk, 3])}">Edit prompt…' in html

    def test_a_blocked_cell_shows_the_rule_the_word_and_the_mend(self, web: Client, owner: User) -> None:
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.", instead="still")
        campaign = make_campaign(owner)
        html = look(web, page(campaign))
        assert "0 of 2 videos" in text_of(html)
        assert "2 blocked" in text_of(html)
        assert "No calm : Calm Too quiet. Use “still” instead." in text_of(html)
        assert html.count('class="gq-cell is-blocked"') == 2
        assert f'href="{reverse("campaigns:cells", args=[campaign.pk])}?status=blocked">Edit prompts…' in html

    def test_a_campaign_that_has_ended_says_so(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        for job in jobs_of(campaign):
            bring(job, State.COMPLETED)
        said = text_of(look(web, page(campaign)))
        assert "All completed" in said
        assert "Running now" not in said
        assert "Cancel…" not in said

    def test_the_meters_parts_fill_it_to_its_end(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, *others = jobs_of(campaign)
        bring(first, State.COMPLETED)
        html = look(web, page(campaign))
        assert '<rect class="completed" x="0.00" width="24.60"' in html
        assert '<rect class="queued" x="25.00" width="75.00"' in html
        for job in others:
            bring(job, State.COMPLETED)
        assert '<rect class="completed" x="0.00" width="100.00"' in look(web, page(campaign))

    def test_a_campaign_of_which_some_was_cancelled_says_so_wherever_it_is_listed(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, *others = jobs_of(campaign)
        bring(first, State.COMPLETED)
        lifecycle.cancel([job.pk for job in others], at=NOON, actor="user")
        for address in (reverse("campaigns:list"), reverse("campaigns:home")):
            assert "Finished 1 of 4, 3 cancelled" in text_of(look(web, address))
        assert "Finished" in text_of(look(web, page(campaign))) and "3 cancelled" in text_of(look(web, page(campaign)))

    def test_a_name_that_is_markup_stays_a_name(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, name="<script>alert(1)</script>")
        assert "<script>alert(1)" not in look(web, page(campaign))

    def test_a_job_that_begins_while_the_page_is_drawn_is_no_fault(
        self, web: Client, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign = make_campaign(owner)
        read = cells.of(campaign, at=clock.now())
        monkeypatch.setattr(cells, "of", Mock(return_value=read))
        bring(jobs_of(campaign)[0], State.RUNNING)
        assert "Why it's waiting" not in text_of(look(web, page(campaign)))

    def test_what_is_being_cancelled_has_no_end_even_if_it_ends_while_the_page_is_drawn(
        self, web: Client, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign = make_campaign(owner)
        first, *others = jobs_of(campaign)
        lifecycle.cancel([job.pk for job in others], at=NOON, actor="user")
        bring(first, State.CANCELLING)
        monkeypatch.setattr(cells, "of", Mock(return_value=cells.of(campaign, at=clock.now())))
        with transaction.atomic():
            asked = Job.objects.lock().get(pk=first.pk)
            lifecycle.confirm_cancel(asked, at=NOON, actor="poller", evidence="The provider says cancelled.")
        assert "Cancelling: waiting for the provider to stop it" in text_of(look(web, page(campaign)))


class TestTheMatrix:
    def test_each_cell_is_a_link_with_a_full_label(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first = jobs_of(campaign)[0]
        bring(first, State.COMPLETED)
        html = look(web, page(campaign))
        assert re.search(
            rf'id="at-1" href="/campaigns/{campaign.pk}/review/1/" data-is="completed new" data-play="/jobs/{first.pk}/play/" '
            'aria-label="UGC, Energetic: completed, not reviewed. Play"',
            html,
        )
        assert 'aria-label="UGC, Calm: queued, position 1"' in html

    def test_a_result_shows_its_small_picture_and_its_review(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, second, *_ = jobs_of(campaign)
        tile, sheet = with_pictures(first)
        bring(second, State.COMPLETED)
        review.judge(first.combination, Review.WINNER, at=NOON, by=owner)
        html = look(web, page(campaign))
        cell = html[html.index('<a class="gq-th is-winner"') :]
        cell = cell[: cell.index("</a>")]
        assert f'data-sheet="/files/{sheet.pk}/{sheet.file_name}"' in cell
        assert f'<img src="/files/{tile.pk}/{tile.file_name}" alt="" width="240" height="135" loading="lazy"' in cell
        assert "#i-star" in cell and 'class="new"' not in cell
        assert '<a class="gq-cell is-completed is-new"' in html  # the other has no picture

    def test_every_dimension_has_a_place_on_an_axis_the_outer_ones_as_heads(self, web: Client, owner: User) -> None:
        campaign = make_campaign(
            owner, {"aesthetic": ["ugc", "cinematic"], "mood": ["calm", "energetic"], "gender": ["female", "male"]}
        )
        bring(jobs_of(campaign)[0], State.COMPLETED)
        html = look(web, page(campaign))
        assert html.count('data-is="') == 8
        assert re.search(r'<th scope="colgroup" colspan="2" title="Calm">Calm</th>', html)
        assert "UGC 1 of 4" in text_of(html)
        turned = look(web, page(campaign, "?rows=gender&columns=aesthetic"))
        assert '<th scope="colgroup" colspan="2" title="Cinematic">Cinematic</th>' in turned
        assert "Women 1 of 4" in text_of(turned)

    def test_beyond_240_cells_each_tile_shows_pictures_and_a_bar(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        first, second, *_ = jobs_of(campaign)
        with_pictures(first)
        bring(second, State.FAILED)
        html = look(web, page(campaign))
        assert html.count('class="gq-tile" id="tile-') == 11  # of 55: four of five aesthetics have not started
        assert "each tile: age generation × gender" in text_of(html)
        assert re.search(r'aria-label="UGC, [^"]*: 2 of 12 completed', html) is None
        assert re.search(r'aria-label="UGC, [^"]*: 1 of 12 completed. Open the list"', html)
        said = text_of(html)
        assert "132 queued, none started first ready in about" in said

    def test_as_states_all_660_cells_are_there(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        html = look(web, page(campaign, "?show=states"))
        assert html.count('class="gq-cell is-queued"') == 660
        assert "gq-tile" not in html and 'id="show-states" checked' in html

    def test_a_tile_opens_the_list_of_its_cells(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        bring(jobs_of(campaign)[0], State.COMPLETED)
        (address,) = set(re.findall(r'href="(/campaigns/\d+/cells/\?aesthetic=ugc&amp;city=town-0)"', look(web, page(campaign))))
        listed = look(web, address.replace("&amp;", "&"))
        assert listed.count('id="cell-') == 12
        assert listed.count("data-play=") == 1

    @pytest.mark.parametrize(
        ("shown", "asked"),
        [
            ("?rows=mood&columns=aesthetic", "?rows=mood&columns=mood"),
            ("?rows=mood&columns=aesthetic", "?rows=aesthetic&columns=aesthetic"),
        ],
    )
    def test_a_dimension_on_both_axes_exchanges_them_in_menus_and_address_too(
        self, web: Client, owner: User, shown: str, asked: str
    ) -> None:
        campaign = make_campaign(owner)
        headers = HTMX | {"HX-Current-URL": f"http://testserver{page(campaign, shown)}"}
        answer = web.get(page(campaign, asked), headers=headers)
        html = html_of(answer)
        assert answer["HX-Replace-Url"] == page(campaign, "?rows=aesthetic&columns=mood&show=pictures")
        assert re.search(r'<select id="rows".*?"aesthetic" selected>.*<select id="columns".*?"mood" selected>', html, re.DOTALL)
        assert row_heads(html) == ["UGC", "Cinematic"]

    def test_the_axes_of_a_plain_address_change_places_like_any_others(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        assert row_heads(look(web, page(campaign))) == ["UGC", "Cinematic"]
        headers = HTMX | {"HX-Current-URL": f"http://testserver{page(campaign)}"}
        answer = web.get(page(campaign, "?rows=mood&columns=mood"), headers=headers)
        assert answer["HX-Replace-Url"] == page(campaign, "?rows=mood&columns=aesthetic&show=pictures")
        assert row_heads(html_of(answer)) == ["Energetic", "Calm"]

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_axes_are_changed_however_little_else_is_new(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        headers = HTMX | {"HX-Current-URL": f"http://testserver{page(campaign, '?rows=mood&columns=aesthetic')}"}
        found = re.search(r'name="seen" value="([^"]+)"', look(web, page(campaign, "?rows=mood&columns=aesthetic")))
        assert found
        asked = {"rows": "aesthetic", "columns": "mood", "seen": found[1]}
        answer = web.get(page(campaign), asked, headers=headers)
        assert row_heads(html_of(answer)) == ["UGC", "Cinematic"]
        assert "<select" not in answer.content.decode()  # they say so already
        assert web.get(page(campaign), asked | {"rows": "mood", "columns": "aesthetic"}, headers=headers).status_code == 204

    def test_what_is_no_dimension_gives_way_to_the_best_axes(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        assert look(web, page(campaign, "?rows=nonsense&columns=1' OR 1")).count('class="gq-cell') == 4

    def test_excluded_combinations_leave_their_places_empty(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, exclude=[{"aesthetic": "ugc", "mood": "calm"}])
        html = look(web, page(campaign))
        assert html.count('class="gq-cell is-queued"') == 3
        assert "<td></td>" in html

    def test_a_table_has_12_columns_at_most(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        html = look(web, page(campaign, "?rows=city&columns=gender&show=states"))
        assert all(table.count('scope="col"') <= 12 for table in html.split("<table")[1:])


class TestWhatItCosts:
    def test_660_cells_take_as_many_queries_as_4(self, web: Client, owner: User, figures: Figures) -> None:
        counts, took = [], 0.0
        for dimensions in (None, full_matrix()):
            campaign = make_campaign(owner, dimensions)
            bring(jobs_of(campaign)[0], State.FAILED)
            bring(jobs_of(campaign)[1], State.RUNNING)
            look(web, page(campaign))  # draws the curves, which all pages share for 5 s
            with CaptureQueriesContext(connection) as queries:
                began = time.monotonic()
                look(web, page(campaign, "?show=states"))
                took = time.monotonic() - began
            counts.append(len(queries))
        figures(f"page of 660 cells, as states: {took * 1000:.0f} ms, {counts[1]} queries")
        assert counts[0] == counts[1] <= QUERIES_MOST


class TestRenewal:
    def test_htmx_gets_the_changing_parts_only(self, web: Client, owner: User) -> None:
        answer = web.get(page(make_campaign(owner)), headers=HTMX)
        html = answer.content.decode()
        assert "<html" not in html
        assert html.count('hx-swap-oob="true"') == 8
        assert "<select" not in html  # a menu that is open must not be taken away

    def test_the_wallet_above_agrees_with_the_page(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        lifecycle.cancel([jobs_of(campaign)[0].pk], at=NOON, actor="user")
        html = html_of(web.get(page(campaign), headers=HTMX))
        assert re.search(r'id="wallet-pill" hx-swap-oob="true"[^>]*, 12 reserved"', html)
        assert "Reserved, 3 unfinished 12" in text_of(html)
        assert 'id="wallet-pill" href' in look(web, page(campaign))

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_nothing_new_is_204_at_little_cost(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        for job in jobs_of(campaign):
            bring(job, State.COMPLETED)
        seen = self.token(web, campaign)
        with CaptureQueriesContext(connection) as queries:
            assert web.get(page(campaign), {"seen": seen}, headers=HTMX).status_code == 204
        assert len(queries) <= 6

    @pytest.mark.parametrize("change", ["event", "progress", "pause", "review", "name"])
    def test_what_changes_is_told(self, web: Client, owner: User, change: str) -> None:
        campaign = make_campaign(owner)
        done, job, *_ = jobs_of(campaign)
        bring(done, State.COMPLETED)
        seen = self.token(web, campaign)
        if change == "review":
            review.judge(done.combination, Review.REJECTED, at=NOON, by=owner)
        elif change == "name":
            web.post(reverse("campaigns:rename", args=[campaign.pk]), {"name": "Another"})
        elif change == "event":
            lifecycle.cancel([job.pk], at=NOON, actor="user")
        elif change == "progress":
            Job.objects.filter(pk=job.pk).update(progress=0.5)
        else:
            web.post(reverse("campaigns:pause", args=[campaign.pk]))
        assert web.get(page(campaign), {"seen": seen}, headers=HTMX).status_code == 200

    def token(self, web: Client, campaign: Campaign) -> str:
        found = re.search(r'name="seen" value="([^"]+)"', look(web, page(campaign)))
        assert found
        return found[1]


class TestWhoMaySee:
    def test_a_stranger_is_told_that_there_is_nothing(self, client_for: Login, owner: User) -> None:
        campaign, stranger = make_campaign(owner), client_for(UserFactory())
        for name in ("page", "cells", "cancel", "pause", "retry-failed", "retry-cancelled"):
            assert stranger.get(reverse(f"campaigns:{name}", args=[campaign.pk])).status_code == 404
        for name in ("cancel", "pause", "resume", "retry-failed", "retry-cancelled", "rename"):
            assert stranger.post(reverse(f"campaigns:{name}", args=[campaign.pk])).status_code == 404
        assert not Batch.objects.get(pk=campaign.pk).paused

    def test_somebody_not_logged_in_is_sent_to_log_in(self, client: Client, owner: User) -> None:
        address = page(make_campaign(owner))
        assert client.get(address).headers["Location"] == f"{reverse('login')}?next={address}"

    def test_staff_see_it_with_its_jobs_in_the_admin_and_may_not_change_it_without_the_right(
        self, client_for: Login, owner: User
    ) -> None:
        campaign, staff = make_campaign(owner), UserFactory(staff=True)
        html = look(client_for(staff), page(campaign))
        assert f"by {owner.username}" in html
        assert "Cancel…" not in html
        assert client_for(staff).post(reverse("campaigns:cancel", args=[campaign.pk])).status_code == 403
        assert f"/admin/queue_app/job/?campaign={campaign.pk}" in look(client_for(operator()), page(campaign))

    def test_a_write_needs_its_token_and_a_post(self, owner: User, web: Client) -> None:
        campaign = make_campaign(owner)
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
        assert strict.post(reverse("campaigns:cancel", args=[campaign.pk])).status_code == 403
        assert web.get(reverse("campaigns:resume", args=[campaign.pk])).status_code == 405


class TestCells:
    def test_every_cell_is_told_in_words_and_they_narrow_by_status_and_value(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], State.FAILED)
        address = reverse("campaigns:cells", args=[campaign.pk])
        assert "UGC, Energetic Failed It broke." in text_of(look(web, address))
        assert look(web, f"{address}?status=failed").count('id="cell-') == 1
        assert look(web, f"{address}?aesthetic=ugc").count('id="cell-') == 2
        assert "No combinations with this status" in look(web, f"{address}?status=completed")

    def test_what_failed_or_is_blocked_leads_to_where_its_prompt_is_edited(self, web: Client, owner: User) -> None:
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.")
        campaign = make_campaign(owner)
        failed, _ = jobs_of(campaign)
        bring(failed, State.FAILED)
        html = look(web, reverse("campaigns:cells", args=[campaign.pk]))
        for index in (failed.combination.index, *campaign.combinations.filter(blocked=True).values_list("index", flat=True)):
            assert f'href="{reverse("campaigns:cell", args=[campaign.pk, index])}">Edit prompt…' in html
        assert html.count("Edit prompt…") == 3
        html = look(web, reverse("campaigns:job", args=[failed.pk]))
        assert f'id="do-edit" href="{reverse("campaigns:cell", args=[campaign.pk, failed.combination.index])}"' in html

    def test_a_blocked_cell_says_what_blocks_it_and_which_rule_cannot_be_used(self, web: Client, owner: User) -> None:
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.", instead="still")
        ComplianceRule.objects.create(name="Odd", pattern="(", kind="pattern", severity="warn", reason="Too loud.")
        said = text_of(look(web, reverse("campaigns:cells", args=[make_campaign(owner).pk])))
        assert "No calm : Calm . Too quiet. Use “still” instead." in said
        assert said.count("The compliance rule “Odd” can&#x27;t be used until staff correct it.") == 2
        assert "Odd :" not in said

    def test_the_menu_marks_the_section_of_all_that_belongs_to_a_campaign(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        job = jobs_of(campaign)[0]
        within = [reverse(f"campaigns:{name}", args=[campaign.pk]) for name in ("page", "cells", "review", "cancel")]
        for address in (*within, reverse("campaigns:cell", args=[campaign.pk, 1]), reverse("campaigns:job", args=[job.pk])):
            assert re.findall(r'aria-current="\w+">([\w ]+)</a>', look(web, address))[0] == "Campaigns", address
        assert 'aria-current="page">Campaigns' in look(web, reverse("campaigns:list"))
        assert ">Campaigns" in look(web, "/") and 'aria-current="true">Campaigns' not in look(web, "/")

    def test_660_come_in_pages(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        address = reverse("campaigns:cells", args=[campaign.pk])
        assert look(web, f"{address}?page=7").count('id="cell-') == 60


class TestCancel:
    def test_it_is_said_before_it_is_done(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        running, stored, *_ = jobs_of(campaign)
        bring(running, State.RUNNING)
        bring(stored, State.STORING)
        said = text_of(look(web, reverse("campaigns:cancel", args=[campaign.pk])))
        assert "2 cancelled immediately" in said
        assert "1 cancelling at the provider" in said
        assert "1 unchanged" in said
        assert "8 tickets are returned now , and up to 4 more when running jobs stop" in said
        assert "Cancel 3 videos" in said and "Keep videos" in said
        assert Job.objects.filter(batch=campaign.pk, state=State.QUEUED).count() == 2

    def test_of_660_cells_with_4_running(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, full_matrix())
        running = jobs_of(campaign)[:4]
        for job in running:
            bring(job, State.RUNNING)
        answer = web.post(reverse("campaigns:cancel", args=[campaign.pk]), {"reason": "wrong brief"}, follow=True)
        said = text_of(answer.content.decode())
        assert "656 videos cancelled. 2,624 tickets returned." in said
        assert "Asked the provider to stop 4 videos. They show “Cancelling” until it confirms." in said
        assert self.states(campaign) == {State.CANCELLED: 656, State.CANCELLING: 4}
        assert said.count("Cancelling: waiting for the provider to stop it") == 4
        assert tickets.balances(owner)["available"] == 10_000 - 16

        for job in running[:3]:  # the provider says so for three, and was faster with the fourth
            with transaction.atomic():
                asked = Job.objects.lock().get(pk=job.pk)
                lifecycle.confirm_cancel(asked, at=clock.now(), actor="poller", evidence="The provider says cancelled.")
        bring_home(running[3])
        assert self.states(campaign) == {State.CANCELLED: 659, State.COMPLETED: 1}
        assert tickets.balances(owner) == {"available": 9_996, "reserved": 0, "captured": 4, "refunded": 0}
        assert LedgerEntry.objects.aggregate(sum=Sum("amount"))["sum"] == 0

    def test_twice_does_nothing_more(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        address = reverse("campaigns:cancel", args=[campaign.pk])
        web.post(address)
        answer = web.post(address, follow=True)
        assert "Nothing left to cancel." in answer.content.decode()
        assert tickets.balances(owner)["available"] == 10_000

    def test_by_staff_is_in_the_audit(self, client_for: Login, owner: User) -> None:
        campaign, staff = make_campaign(owner), operator()
        client_for(staff).post(reverse("campaigns:cancel", args=[campaign.pk]), {"reason": "asked by phone"})
        entry = AuditEntry.objects.get(action="cancel batch")
        assert (entry.actor, entry.reason, entry.after["cancelled"]) == (staff, "asked by phone", 4)

    def states(self, campaign: Campaign) -> dict[str, int]:
        found: dict[str, int] = {}
        for job in jobs_of(campaign):
            found[job.state] = found.get(job.state, 0) + 1
        return found


class TestItsLimit:
    def test_is_set_by_its_owner_without_an_audit_and_holds_from_the_next_claim_on(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        address = reverse("campaigns:limit", args=[campaign.pk])
        assert "No limit of its own. Change limit…" in text_of(look(web, page(campaign)))
        launched = AuditEntry.objects.count()
        said = text_of(web.post(address, {"max_concurrent": "1"}, follow=True).content.decode())
        assert "Limit saved." in said and "At most 1 video at once." in said
        assert AuditEntry.objects.count() == launched
        assert len(dispatch.claim_due_jobs(at=clock.now())) == 1
        web.post(address, {"max_concurrent": ""})
        assert len(dispatch.claim_due_jobs(at=clock.now())) == 3

    @pytest.mark.parametrize("typed", ["0", "51", "many", "1.5"])
    def test_is_1_to_50_or_none(self, web: Client, owner: User, typed: str) -> None:
        campaign = make_campaign(owner)
        answer = web.post(reverse("campaigns:limit", args=[campaign.pk]), {"max_concurrent": typed})
        assert "Enter a whole number from 1 to 50, or leave it empty for no limit." in answer.content.decode()
        assert Batch.objects.get(pk=campaign.pk).max_concurrent is None

    def test_by_staff_is_in_the_audit_and_that_of_others_is_not_there(self, client_for: Login, owner: User) -> None:
        campaign, staff = make_campaign(owner), operator()
        address = reverse("campaigns:limit", args=[campaign.pk])
        client_for(staff).post(address, {"max_concurrent": "2"})
        entry = AuditEntry.objects.get(action="change batch")
        assert (entry.actor, entry.after) == (staff, {"max_concurrent": 2})
        assert client_for(UserFactory()).get(address).status_code == 404


class TestPause:
    def test_paused_with_a_reason_and_resumed(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        address = reverse("campaigns:pause", args=[campaign.pk])
        assert "4 will wait until the pause ends" in text_of(look(web, address))
        said = text_of(web.post(address, {"reason": "new packshot"}, follow=True).content.decode())
        assert re.search(r"You paused this campaign at [\d:]+: new packshot 4 videos wait and keep their position", said)
        assert "Paused" in said and "On hold campaign paused" in said and "4 on hold" in said
        assert "Resume" in said and "Pause…" not in said
        assert "UGC, Energetic: on hold, position 1, campaign paused" in look(web, page(campaign))
        said = text_of(web.post(reverse("campaigns:resume", args=[campaign.pk]), follow=True).content.decode())
        assert "Campaign resumed. Queued videos kept their position." in said
        assert "Pause…" in said and "You paused" not in said

    def test_ends_by_itself_where_asked(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        said = web.post(reverse("campaigns:pause", args=[campaign.pk]), {"minutes": "60"}, follow=True).content.decode()
        assert re.search(r"You paused this campaign at [\d:]+ until [\d:, A-Za-z]+", text_of(said))
        campaign.batch.refresh_from_db()
        assert campaign.batch.paused_until is not None and campaign.batch.paused_until > clock.now()

    def test_by_staff_needs_a_reason(self, client_for: Login, owner: User) -> None:
        campaign, staff = make_campaign(owner), client_for(operator())
        address = reverse("campaigns:pause", args=[campaign.pk])
        assert "Enter a reason. Everyone with a waiting job sees it." in staff.post(address, {"minutes": "15"}).content.decode()
        assert not Batch.objects.filter(paused=True).exists()
        staff.post(address, {"reason": "legal check"})
        assert Batch.objects.get(paused=True).paused_reason == "legal check"

    @pytest.mark.parametrize("what", ["model", "account", "queue"])
    def test_what_staff_paused_is_said_with_who_and_why(self, web: Client, owner: User, what: str) -> None:
        campaign, staff = make_campaign(owner), operator()
        row, name = {
            "model": lambda: (ModelConcurrencyLimit.objects.get(pk="sora-2"), "sora-2"),
            "account": lambda: (ProviderAccount.objects.get(pk="openai_videos"), "account openai_videos"),
            "queue": lambda: (QueueSettings.objects.current(), "the queue"),
        }[what]()
        policy.change(row, at=clock.now(), actor=staff, reason="moved", paused=True, paused_reason="client moved the shoot")
        said = text_of(look(web, page(campaign)))
        assert f"{staff.username} paused {name} at " in said
        assert "client moved the shoot 4 videos wait and keep their position." in said
        assert "They start when staff resume it." in said
        assert f"On hold {name} paused" in said
        assert "Resume" not in said
        for address in ("/campaigns/", "/"):
            assert "Paused 0 of 4, 4 on hold on hold" in text_of(look(web, address))
        assert f"{campaign.name} is on hold: {staff.username} paused {name}" in text_of(look(web, "/"))

    def test_one_of_two_accounts_that_is_paused_holds_nothing(self, web: Client, owner: User) -> None:
        make_route(model_id="sora-2", account=ProviderAccount.objects.exclude(pk="openai_videos").first(), position=9)
        ProviderAccount.objects.filter(pk="openai_videos").update(paused=True)
        assert "On hold" not in text_of(look(web, page(make_campaign(owner))))

    def test_a_campaign_that_runs_in_part_is_not_paused(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], State.RUNNING)
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        said = text_of(look(web, page(campaign)))
        assert "Running" in said and "3 on hold" in said and "sora-2 is paused" in said


class TestRename:
    def test_in_place_by_its_owner(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        said = text_of(
            web.post(reverse("campaigns:rename", args=[campaign.pk]), {"name": " Winter \n door "}, follow=True).content.decode()
        )
        assert "Winter door" in said
        assert Batch.objects.get(pk=campaign.pk).name == "Winter door"
        assert not AuditEntry.objects.filter(action="rename campaign").exists()

    @pytest.mark.parametrize(("name", "why"), [("  ", "Enter a name."), ("x" * 201, "Too long: 201 of 200 characters.")])
    def test_what_is_no_name_is_refused(self, web: Client, owner: User, name: str, why: str) -> None:
        campaign = make_campaign(owner)
        answer = web.post(reverse("campaigns:rename", args=[campaign.pk]), {"name": name}, follow=True)
        assert f"Not renamed. {why}" in html_of(answer)
        assert Campaign.objects.get().name == campaign.name

    def test_by_staff_is_in_the_audit(self, client_for: Login, owner: User) -> None:
        campaign, staff = make_campaign(owner, name="Before"), operator()
        client_for(staff).post(reverse("campaigns:rename", args=[campaign.pk]), {"name": "After"})
        entry = AuditEntry.objects.get(action="rename campaign")
        assert (entry.actor, entry.before, entry.after) == (staff, {"name": "Before"}, {"name": "After"})


class TestRunCancelledAgain:
    def test_it_says_who_cancelled_how_many_and_why_and_is_the_way_back(
        self, client_for: Login, web: Client, owner: User
    ) -> None:
        campaign, staff = make_campaign(owner), operator()
        running, *_ = jobs_of(campaign)
        bring(running, State.RUNNING)
        client_for(staff).post(reverse("campaigns:cancel", args=[campaign.pk]), {"reason": "client moved the shoot"})
        with transaction.atomic():
            asked = Job.objects.lock().get(pk=running.pk)
            lifecycle.confirm_cancel(asked, at=clock.now(), actor="poller", evidence="The provider says cancelled.")
        said = text_of(look(web, page(campaign)))
        assert re.search(rf"{staff.username} cancelled 4 videos at [\d:]+: client moved the shoot 16 tickets returned\.", said)
        assert "Run 4 cancelled again…" in said and "Finished" in said

        address = reverse("campaigns:retry-cancelled", args=[campaign.pk])
        foreseen = text_of(look(web, address))
        assert "Run cancelled videos in" in foreseen and "Retry 4 videos for 16 tickets" in foreseen
        web.post(address, {"jobs": "4", "tickets": "16"})
        assert {job.state for job in jobs_of(campaign)} == {State.QUEUED}
        assert "cancelled 4 videos" not in text_of(look(web, page(campaign)))

    def test_two_people_are_two_notes_with_one_way_back(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        first, second, third, _ = jobs_of(campaign)
        lifecycle.cancel([first.pk, second.pk], at=NOON, actor="operator", reason="wrong brand")
        lifecycle.cancel([third.pk], at=NOON, actor=owner.username)
        said = text_of(look(web, page(campaign)))
        assert re.search(r"operator cancelled 2 videos at .*: wrong brand 8 tickets returned", said)
        assert re.search(r"You cancelled 1 video at .* 4 tickets returned", said)
        assert said.count("cancelled again…") == 1 and "Run 3 cancelled again…" in said


class TestRetryFailed:
    def test_the_price_is_said_first_and_is_todays(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        for job in jobs_of(campaign)[:2]:
            bring(job, State.FAILED)
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=3)
        address = reverse("campaigns:retry-failed", args=[campaign.pk])
        said = text_of(look(web, address))
        assert "This costs 24 tickets" in said
        assert "Retry 2 videos for 24 tickets" in said
        web.post(address, {"jobs": "2", "tickets": "24"})
        assert [job.tickets for job in jobs_of(campaign)] == [12, 12, 4, 4]
        assert {job.state for job in jobs_of(campaign)} == {State.QUEUED}

    def test_the_form_says_what_was_shown_and_buys_that_once(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], State.FAILED)
        address = reverse("campaigns:retry-failed", args=[campaign.pk])
        form = dict(re.findall(r'<input type="hidden" name="(jobs|tickets)" value="(\d+)">', look(web, address)))
        assert form == {"jobs": "1", "tickets": "4"}
        assert "1 video back in the queue." in web.post(address, form, follow=True).content.decode()
        assert "Nothing left to retry." in web.post(address, form, follow=True).content.decode()

    @pytest.mark.parametrize(("failed", "price"), [(4, 1), (1, 3)])
    def test_what_it_would_buy_beyond_what_was_shown_is_shown_first(
        self, web: Client, owner: User, failed: int, price: int
    ) -> None:
        campaign = make_campaign(owner)
        for job in jobs_of(campaign)[:failed]:
            bring(job, State.FAILED)
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=price)
        answer = web.post(reverse("campaigns:retry-failed", args=[campaign.pk]), {"jobs": "1", "tickets": "4"})
        said = text_of(answer.content.decode())
        assert answer.status_code == 409 and "nothing was queued. Check the new numbers and confirm again." in said
        assert f"Retry {failed} video{'s' * (failed > 1)} for {failed * price * 4} tickets" in said
        assert [job.state for job in jobs_of(campaign)].count(State.FAILED) == failed

    def test_too_few_tickets_change_nothing_and_say_how_many(self, client_for: Login) -> None:
        poor = UserFactory(tickets=16)
        campaign = make_campaign(poor)
        for job in jobs_of(campaign)[:2]:
            bring(job, State.FAILED)
        make_job(owner=poor, tickets=5)
        web, address = client_for(poor), reverse("campaigns:retry-failed", args=[campaign.pk])
        html = look(web, address)
        assert "Not enough tickets" in html
        assert re.search(r"<button[^>]* disabled>Retry", html)
        answer = web.post(address, {"jobs": "2", "tickets": "8"}, follow=True)
        assert "Nothing was retried. This needs 8 tickets, but only 3 are available (5 short)." in html_of(answer)

    def test_of_a_model_that_nobody_offers_any_more_is_not_offered(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], State.FAILED)
        ModelRoute.objects.update(active=False)
        said = text_of(look(web, reverse("campaigns:retry-failed", args=[campaign.pk])))
        assert "sora-2: no provider right now." in said and "Retry 1 video" not in said and "This costs" not in said

    def test_a_version_that_a_newer_one_replaced_stays_as_it_is(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        old = jobs_of(campaign)[0]
        bring(old, State.FAILED)
        cell = campaign.combinations.order_by("index")[0]
        launch.make_again(cell, "The parcel opens, slowly.", at=NOON, by=owner)
        assert "Retry" not in text_of(look(web, page(campaign)))
        web.post(reverse("campaigns:retry-failed", args=[campaign.pk]), {"jobs": "1", "tickets": "4"})
        assert Job.objects.get(pk=old.pk).state == State.FAILED


@transaction.atomic
def bring_home(job: Job) -> None:
    """The provider delivers in spite of a cancel."""
    at = clock.now()
    lifecycle.deliver(Job.objects.lock().get(pk=job.pk), at=at, actor="poller", ran_seconds=20.0)
    stored = Job.objects.lock().get(pk=job.pk)
    lifecycle.complete(stored, [make_asset(stored)], at=at, actor="worker", stages=[])
