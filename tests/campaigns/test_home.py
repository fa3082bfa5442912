"""The home page, the list of campaigns and the page of a job: what is the user's own, and one clip bought once."""

import re
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import launch, review
from campaigns.models.combination import Review
from queue_app import lifecycle, tickets
from queue_app.models import GenerationModel, Job, ModelRoute, Notice, State, User
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.campaigns.test_page import HTMX, look, operator, text_of
from tests.factories import NOON, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HOME, GENERATE = "/", "/quick/"
QUERIES_MOST = 45
Login = Callable[[User], Client]


@pytest.fixture
def owner() -> User:
    return UserFactory(first_name="Ana")


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def asked(**changes: str) -> dict[str, str]:
    """The form as the page sends it for 8 s of `sora-2`."""
    sent = {
        "key": "k1",
        "prompt": "A kite over the sea.",
        "model": "sora-2",
        "duration": "8",
        "aspect_ratio": "16:9",
        "price": "8",
    }
    return {**sent, **changes}


class TestQuickGeneration:
    def test_one_click_makes_one_job_of_these_choices(self, web: Client, owner: User) -> None:
        answer = web.post(GENERATE, asked(aspect_ratio="9:16"))
        job = Job.objects.get()
        assert answer.headers["Location"] == reverse("campaigns:job", args=[job.pk])
        assert (job.owner, job.prompt, job.tickets) == (owner, "A kite over the sea.", 8)
        assert (job.parameters["duration"], job.parameters["aspect_ratio"]) == (8, "9:16")

    def test_sent_twice_it_makes_one(self, web: Client) -> None:
        first = web.post(GENERATE, asked())
        again = web.post(GENERATE, asked(), follow=True)
        assert Job.objects.count() == 1
        assert again.redirect_chain[0][0] == first.headers["Location"]
        assert "was already queued. No duplicate was created." in again.content.decode()

    def test_another_prompt_in_a_form_gone_back_to_is_another_job(self, web: Client) -> None:
        web.post(GENERATE, asked())
        web.post(GENERATE, asked(prompt="A kite over the hills."))
        assert Job.objects.count() == 2

    def test_two_users_with_one_key_have_a_job_each(self, web: Client, client_for: Login) -> None:
        web.post(GENERATE, asked())
        client_for(UserFactory()).post(GENERATE, asked())
        assert Job.objects.values("owner").distinct().count() == 2

    def test_the_button_names_the_price_of_the_choices(self, web: Client) -> None:
        assert "Generate for 8 tickets" in text_of(look(web, HOME))
        html = look(web, "/quick/choices/?model=sora-2-pro&duration=12")
        assert "Generate for 24 tickets" in text_of(html)
        assert 'name="price" value="24"' in html
        assert "<html" not in html

    def test_every_model_with_a_working_route_is_offered_and_no_other(self, web: Client) -> None:
        ModelRoute.objects.filter(model="sora-2-pro").update(active=False)
        html = look(web, HOME)
        assert '<option value="sora-2" selected>' in html
        assert 'value="sora-2-pro"' not in html

    def test_an_empty_prompt_is_said_at_its_field_and_buys_nothing(self, web: Client) -> None:
        answer = web.post(GENERATE, asked(prompt="  ", duration="12", price="12"))
        html = html_of(answer)
        assert answer.status_code == 422
        assert re.search(r'aria-invalid="true"[^>]*>.*Enter a prompt', html)
        assert '<option value="12" selected>' in html
        assert not Job.objects.exists()

    def test_a_price_that_has_changed_is_shown_before_it_is_paid(self, web: Client) -> None:
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=2)
        answer = web.post(GENERATE, asked())
        html = answer.content.decode()
        assert answer.status_code == 422
        assert "The price is now 16 tickets. Check it and press Generate again." in html
        assert "A kite over the sea.</textarea>" in html
        assert not Job.objects.exists()
        web.post(GENERATE, asked(price="16"))
        assert Job.objects.get().tickets == 16

    def test_too_few_tickets_are_said_with_numbers_and_nothing_is_lost(self, client_for: Login) -> None:
        poor = client_for(UserFactory(tickets=3))
        html = look(poor, HOME)
        assert "This needs 8 tickets and you have 3." in html
        assert re.search(r'id="generate" disabled', html)
        answer = poor.post(GENERATE, asked())
        assert "This needs 8 tickets, but only 3 are available (5 short)." in html_of(answer)
        assert "A kite over the sea.</textarea>" in html_of(answer)

    def test_each_job_type_that_the_user_may_use_is_offered_with_its_priority_price_and_time(self, web: Client) -> None:
        said = text_of(look(web, HOME)).replace("\xa0", " ")
        assert "Video: normal priority, from 2 tickets and 5s" in said
        assert "Image: normal priority, from 1 ticket and 5s" in said
        assert "Doubt" not in said

    def test_a_restricted_type_is_offered_to_those_who_may_use_it_at_the_priority_they_would_get(self, client_for: Login) -> None:
        may = client_for(UserFactory(rights=["submit_restricted_kinds"]))
        also_above = client_for(UserFactory(rights=["submit_restricted_kinds", "exceed_normal_priority"]))
        assert "Doubt: normal priority" in text_of(look(may, HOME))
        assert "Doubt: high priority" in text_of(look(also_above, HOME))
        assert "Daily current affairs: low priority" in text_of(look(may, HOME))
        assert also_above.post(GENERATE, asked(kind="doubt")).status_code == 302
        job = Job.objects.get()
        assert (job.kind_id, job.priority, job.priority_reasons) == ("doubt", 10, ["default for doubt"])

    @pytest.mark.parametrize(
        "kind, said", [("doubt", "You don&#x27;t have permission for the job type “doubt”"), ("none", "Unknown")]
    )
    def test_a_type_that_is_not_offered_is_refused_at_its_field_and_nothing_is_lost(
        self, web: Client, kind: str, said: str
    ) -> None:
        answer = web.post(GENERATE, asked(kind=kind, aspect_ratio="9:16"))
        html = html_of(answer)
        assert (answer.status_code, Job.objects.count()) == (422, 0)
        assert said in html
        assert re.search(r'<select id="kind"\s+name="kind"\s+aria-describedby="note-kind"\s+aria-invalid="true"', html)
        assert f'<option value="{kind}" selected>{kind} (not available)</option>' in html
        assert '<option value="9:16" selected>' in html and "A kite over the sea.</textarea>" in html

    def test_another_type_brings_its_models(self, web: Client) -> None:
        html = look(web, "/quick/choices/?kind=image&model=sora-2")
        assert 'value="image" selected' in html and 'value="sora-2"' not in html
        assert '<option value="flash-scanner-v2.5" selected>' in html

    def test_a_type_without_a_model_of_its_medium_is_refused_with_those_that_fit(self, web: Client) -> None:
        answer = web.post(GENERATE, asked(kind="image"))
        assert "“image” is for images; sora-2 generates videos. Choose one of: video." in html_of(answer)
        assert '<option value="sora-2" selected>' in html_of(answer)
        assert not Job.objects.exists()

    def test_looking_at_the_price_without_javascript_buys_nothing(self, web: Client) -> None:
        answer = web.post(GENERATE, asked(model="sora-2-pro", look="1"))
        assert answer.status_code == 200
        assert "Generate for 16 tickets" in text_of(answer.content.decode())
        assert not Job.objects.exists()

    def test_nonsense_is_answered_with_the_form(self, web: Client) -> None:
        sent = asked(model="none-such\ufffd", duration="99999999999999999999", price="-3", key="x" * 500)
        assert web.post(GENERATE, sent).status_code == 422

    def test_it_is_a_post_of_somebody_logged_in(self, web: Client, client: Client) -> None:
        assert web.get(GENERATE).status_code == 405
        assert "/login/" in client.post(GENERATE, asked()).headers["Location"]


@pytest.mark.django_db(transaction=True)
def test_a_double_click_at_the_same_moment_makes_one_job(client_for: Login) -> None:
    user = UserFactory()
    browsers, together, places = [client_for(user), client_for(user)], Barrier(2), []

    def click(browser: Client) -> None:
        together.wait()
        places.append(browser.post(GENERATE, asked()).headers["Location"])
        connection.close()

    threads = [Thread(target=click, args=[browser]) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = Job.objects.get()
    assert places == [reverse("campaigns:job", args=[job.pk])] * 2
    assert tickets.balances(user)["reserved"] == 8


class TestHome:
    def test_an_empty_home_says_what_will_fill_it(self, client_for: Login) -> None:
        said = text_of(look(client_for(UserFactory(tickets=0)), HOME))
        for one in ("No campaigns yet", "Nothing here yet", "Nothing in your queue", "Nothing to review", "No tickets"):
            assert one in said

    def test_it_shows_what_is_mine_and_nothing_of_others(self, web: Client, owner: User) -> None:
        make_campaign(owner, name="Autumn scent")
        make_job(owner=owner, prompt="My own fox.")
        make_job(State.COMPLETED, owner=owner, prompt="My own heron.")
        make_campaign(UserFactory(), name="Secret launch")
        make_job(State.COMPLETED, prompt="Somebody's owl.")
        said = text_of(look(web, HOME))
        assert re.search(r"Good (morning|afternoon|evening), Ana", said)
        for words in ("Autumn scent", "0 of 4", "My own fox.", "My own heron.", "position 5", "All 5", "5 queued"):
            assert words in said
        assert re.search(r"UGC · Energetic position 1, \d+s", said)
        assert "Secret" not in said
        assert "owl" not in said

    def test_a_result_opens_in_the_player(self, web: Client, owner: User) -> None:
        job = make_job(State.COMPLETED, owner=owner)
        html = look(web, HOME)
        assert f'id="result-{job.pk}" href="/jobs/{job.pk}/" data-play="/jobs/{job.pk}/play/"' in html
        assert '<dialog class="gq-watch" id="player"' in html

    def test_what_waits_for_a_verdict_is_counted_until_it_has_one(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, name="Autumn scent")
        first, second, lost, _ = jobs_of(campaign)
        for job, state in ((first, State.COMPLETED), (second, State.COMPLETED), (lost, State.FAILED)):
            bring(job, state)
        make_job(State.COMPLETED, owner=owner)  # of no campaign
        bring(jobs_of(make_campaign(UserFactory(), name="Secret launch"))[0], State.COMPLETED)
        html = look(web, HOME)
        assert re.search(r"To review 2 in 1 campaign .*Autumn scent 2 new videos, last 20 Nov, 12:00 Review 2 ", text_of(html))
        assert f'href="/campaigns/{campaign.pk}/review/next/"' in html
        review.judge(first.combination, Review.REJECTED, at=NOON, by=owner)
        assert "Autumn scent 1 new video, last 20 Nov, 12:00 Review 1 " in text_of(look(web, HOME))
        review.judge(second.combination, Review.WINNER, at=NOON, by=owner)
        assert "Nothing to review" in text_of(look(web, HOME))

    def test_of_many_campaigns_the_last_that_stored_something_are_named(self, web: Client, owner: User) -> None:
        for number in range(8):
            bring(jobs_of(make_campaign(owner, name=f"Brief {number}"))[0], State.COMPLETED, at=NOON + timedelta(minutes=number))
        html = look(web, HOME)
        card = html[html.index('id="to-review"') :]
        named = re.findall(r"<bdi>(Brief \d)", card[: card.index("</section>")])
        assert named == [f"Brief {number}" for number in (7, 6, 5, 4, 3, 2)]
        assert "2 more in all campaigns" in text_of(html)

    def test_the_wallet_is_one_number_and_the_statement_tells_its_movements(self, web: Client, owner: User) -> None:
        job = make_job(State.COMPLETED, owner=owner)
        make_job(owner=owner)
        assert re.search(
            r"Tickets Statement 992 tickets available 4 reserved for 1 unfinished job, charged only", text_of(look(web, HOME))
        )
        said = text_of(look(web, "/statement/"))
        assert "992 tickets available, 4 reserved, 4 charged" in said
        assert f"Charged for job {job.pk:,}" in said
        assert re.search(r"Charged for job [^+−-]* 4 from reserved Reserved for job [^+−-]* −4 Granted", said)
        assert "Granted 20 Nov, 12:00 , to spend +1" in said

    def test_how_busy_models_are_is_told_to_all_in_counts_without_names(self, web: Client) -> None:
        other = UserFactory()
        make_campaign(other, name="Secret launch")
        make_job(State.RUNNING, owner=other)
        said = text_of(look(web, HOME))
        assert re.search(r"Busy models all users sora-2 1 of \d+ running 4 waiting, done in about \d+", said)
        assert re.search(r"\d+ other models free now", said)
        assert other.username not in said and "Secret" not in said

    def test_a_campaign_has_one_notice_the_newest(self, web: Client, owner: User) -> None:
        for number in range(3):
            Notice.objects.create(user=owner, key=str(number), text=f"Notice {number}.", url="/campaigns/1/", created_at=NOON)
        said = text_of(look(web, HOME))
        assert "Notice 2." in said and "Notice 1." not in said and "1 more" not in said
        web.post("/notices/", {"notice": str(Notice.objects.get(key="2").pk)})
        assert "Notice" not in text_of(look(web, HOME))

    def test_notices_stay_until_they_are_dismissed_by_their_reader(self, web: Client, owner: User) -> None:
        mine = Notice.objects.create(user=owner, key="1", text="“Autumn” has ended.", url="/campaigns/1/", created_at=NOON)
        other = Notice.objects.create(user=UserFactory(), key="2", text="Not yours.", created_at=NOON)
        html = look(web, HOME)
        assert "“Autumn” has ended." in html
        assert "Not yours." not in html
        web.post("/notices/", {"notice": str(other.pk)})
        web.post("/notices/", {"notice": str(mine.pk)})
        assert "has ended" not in look(web, HOME)
        other.refresh_from_db()
        assert other.read_at is None

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_it_renews_itself_only_when_something_changed(self, web: Client, owner: User) -> None:
        job = make_job(owner=owner)
        fragment = html_of(web.get(HOME, headers=HTMX))
        assert "<form" not in fragment  # what is being typed stays
        assert re.search(r'id="wallet-pill" hx-swap-oob="true"[^>]*, 4 reserved"', fragment)
        found = re.search(r'name="seen" value="(\w+)"', fragment)
        assert found
        assert web.get(HOME, {"seen": found[1]}, headers=HTMX).status_code == 204
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        assert web.get(HOME, {"seen": found[1]}, headers=HTMX).status_code == 200

    def test_more_rows_take_no_more_queries(self, web: Client, owner: User) -> None:
        counts = []
        for _ in range(2):
            for number in range(2):
                campaign = make_campaign(owner, name=f"Campaign {number}")
                bring(jobs_of(campaign)[0], State.COMPLETED)
                bring(jobs_of(campaign)[1], State.RUNNING)
            look(web, HOME)
            with CaptureQueriesContext(connection) as queries:
                look(web, HOME)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= QUERIES_MOST


class TestCampaignList:
    def test_mine_are_there_and_can_be_searched(self, web: Client, owner: User) -> None:
        make_campaign(owner, name="Autumn scent")
        make_campaign(owner, name="Rooftop teaser")
        make_campaign(UserFactory(), name="Secret launch")
        said = text_of(look(web, "/campaigns/"))
        assert "Autumn scent" in said
        assert "Rooftop teaser" in said
        assert "Secret" not in said
        assert "Autumn" not in text_of(look(web, "/campaigns/?search=roof"))
        assert "No campaigns match “xyz”" in look(web, "/campaigns/?search=xyz")

    def test_staff_see_whose_each_is(self, client_for: Login, owner: User) -> None:
        make_campaign(owner, name="Autumn scent")
        assert f"by {owner.username}" in look(client_for(UserFactory(staff=True)), "/campaigns/")

    def test_more_campaigns_take_no_more_queries(self, web: Client, owner: User) -> None:
        counts = []
        for _ in range(2):
            make_campaign(owner)
            look(web, "/campaigns/")
            with CaptureQueriesContext(connection) as queries:
                look(web, "/campaigns/")
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestJobPage:
    def test_a_waiting_job_says_its_place_why_and_how_long(self, web: Client, owner: User) -> None:
        make_job(State.RUNNING)
        job = make_job(owner=owner)
        said = text_of(look(web, f"/jobs/{job.pk}/"))
        assert "Position 1 in the sora-2 queue." in said
        assert "Next in line: starts when a sora-2 slot is free." in said
        assert re.search(r"About \d[^.]* left, 90% likely within \d", said)
        assert "Reserved now 4 tickets" in said

    def test_a_stored_video_is_played_with_seeking(self, web: Client, owner: User) -> None:
        job = make_job(State.COMPLETED, owner=owner)
        html = look(web, f"/jobs/{job.pk}/")
        assert re.search(rf'<video[^>]* controls preload="metadata" playsinline src="/files/{job.assets.get().pk}/', html)
        assert "Charged 4 tickets" in text_of(html)

    def test_a_failed_job_says_what_went_wrong_and_what_to_do(self, web: Client, owner: User) -> None:
        job = make_job(State.FAILED, owner=owner)
        said = text_of(look(web, f"/jobs/{job.pk}/"))
        assert "provider_failed It broke. Temporary problem. Retry it." in said
        assert "Failed at the provider" in said

    def test_a_cell_of_a_campaign_leads_back_to_it(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, name="Autumn scent")
        old = jobs_of(campaign)[0]
        bring(old, State.FAILED)
        launch.make_again(campaign.combinations.order_by("index")[0], "Slower.", at=NOON, by=owner)
        said = text_of(look(web, f"/jobs/{old.pk}/"))
        assert "Campaign Autumn scent Combination UGC, Energetic Version 1 (another version counts)" in said

    def test_a_cancel_is_said_first_then_done(self, web: Client, owner: User) -> None:
        job = make_job(State.RUNNING, owner=owner)
        assert "1 cancelling at the provider" in text_of(look(web, f"/jobs/{job.pk}/cancel/"))
        answer = web.post(f"/jobs/{job.pk}/cancel/", follow=True)
        said = text_of(answer.content.decode())
        assert "Cancel requested. The job shows “Cancelling” until the provider confirms." in said
        assert "The provider has not confirmed yet." in said
        assert Job.objects.get().state == State.CANCELLING

    def test_a_retry_after_the_deadline_is_not_offered(self, web: Client, owner: User) -> None:
        job = make_job(State.FAILED, owner=owner, deadline=NOON)
        said = text_of(look(web, f"/jobs/{job.pk}/retry/"))
        assert "Past the deadline. Submit a new job with a later deadline." in said and "Retry job for" not in said
        web.post(f"/jobs/{job.pk}/retry/", {"jobs": "1", "tickets": "4"})
        assert Job.objects.get(pk=job.pk).state == State.FAILED

    def test_a_retry_says_its_price_first(self, web: Client, owner: User) -> None:
        job = make_job(State.FAILED, owner=owner)
        assert "Retry job for 4 tickets" in text_of(look(web, f"/jobs/{job.pk}/retry/"))
        dearer = web.post(f"/jobs/{job.pk}/retry/", {"jobs": "1", "tickets": "3"})
        assert dearer.status_code == 409 and "confirm again" in dearer.content.decode()
        assert Job.objects.get(pk=job.pk).state == State.FAILED
        web.post(f"/jobs/{job.pk}/retry/", {"jobs": "1", "tickets": "4"})
        assert Job.objects.get().state == State.QUEUED
        answer = web.post(f"/jobs/{job.pk}/retry/", follow=True)
        assert "Not retried." in answer.content.decode()

    def test_a_stranger_is_told_that_there_is_nothing(self, client_for: Login, owner: User) -> None:
        job, stranger = make_job(owner=owner), client_for(UserFactory())
        for address in (f"/jobs/{job.pk}/", f"/jobs/{job.pk}/cancel/", f"/jobs/{job.pk}/retry/"):
            assert stranger.get(address).status_code == 404
        assert stranger.post(f"/jobs/{job.pk}/cancel/").status_code == 404
        assert Job.objects.get().state == State.QUEUED

    def test_staff_look_and_operators_act(self, client_for: Login, owner: User) -> None:
        job = make_job(owner=owner)
        assert "Cancel…" not in look(client_for(UserFactory(staff=True)), f"/jobs/{job.pk}/")
        assert client_for(UserFactory(staff=True)).post(f"/jobs/{job.pk}/cancel/").status_code == 403
        client_for(operator()).post(f"/jobs/{job.pk}/cancel/")
        assert Job.objects.get().state == State.CANCELLED

    def test_it_renews_the_wallet_above_too(self, web: Client, owner: User) -> None:
        job = make_job(owner=owner)
        html = html_of(web.get(f"/jobs/{job.pk}/", headers=HTMX))
        assert re.search(r'id="wallet-pill" hx-swap-oob="true"[^>]*, 4 reserved"', html)
        assert look(web, f"/jobs/{job.pk}/").count('id="wallet-pill"') == 1

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_nothing_new_is_204(self, web: Client, owner: User) -> None:
        with transaction.atomic():
            job = make_job(State.COMPLETED, owner=owner)
        found = re.search(r'name="seen" value="(\w+)"', look(web, f"/jobs/{job.pk}/"))
        assert found
        assert web.get(f"/jobs/{job.pk}/", {"seen": found[1]}, headers=HTMX).status_code == 204
