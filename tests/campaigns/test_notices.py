"""What people are told, on their pages and by e-mail: in which words, once, and in the ways that they chose."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import launch, notices
from campaigns.models import Campaign
from queue_app import announce, tickets
from queue_app.models import ModelConcurrencyLimit, Notice, OutboxMessage, State, User, Wallet, WebhookEndpoint
from queue_app.outbox import delivery
from queue_app.work import endpoints, policy, recovery, retention
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.campaigns.test_page import HTMX, look, text_of
from tests.database import plan_of
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
PAGE = "/notices/"


class MailServerIsAway(BaseEmailBackend):
    def send_messages(self, email_messages: object) -> int:
        raise ConnectionRefusedError("the mail server is away")


def told_of(campaign: Campaign) -> OutboxMessage:
    with transaction.atomic():
        announce.batch_ended(campaign.batch, at=NOON)
    return OutboxMessage.objects.latest("id")


def deliver() -> None:
    """Deliver what waits for people: the notices, then the emails that they leave."""
    for channel in (announce.NOTICES, announce.EMAILS):
        for message in OutboxMessage.objects.filter(channel=channel, delivered_at=None).order_by("id"):
            delivery.deliver(message.pk, message.tries + 1)


def texts(user: User, **which: object) -> list[str]:
    return list(Notice.objects.filter(user=user, **{"read_at": None, **which}).order_by("id").values_list("text", flat=True))


def a_notice(user: User, key: str = "1", **fields: object) -> Notice:
    return Notice.objects.create(user=user, key=key, **{"text": f"Notice {key}.", "created_at": NOON, **fields})


class TestWords:
    def test_a_campaign_counts_each_cell_once_by_its_latest_version(self) -> None:
        owner = UserFactory(email="ana@example.com")
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], State.FAILED)
        launch.make_again(campaign.combinations.order_by("index")[0], "Slower.", at=NOON, by=owner)
        for job in jobs_of(campaign)[1:]:
            bring(job, State.COMPLETED)
        told_of(campaign)
        deliver()
        assert texts(owner) == [f"“{campaign.name}” is finished: 4 completed."]
        assert f"“{campaign.name}” is finished: 4 completed.\n" in mail.outbox[0].body
        assert f"Open campaign: {settings.PUBLIC_URL}/campaigns/{campaign.pk}/\n" in mail.outbox[0].body

    def test_a_batch_of_the_api_leads_to_the_list_of_its_jobs(self) -> None:
        batch = BatchFactory(name="nightly")
        make_job(State.COMPLETED, owner=batch.owner, batch=batch)
        recovery.sweep(at=NOON)
        deliver()
        assert texts(batch.owner) == ["“nightly” is finished: 1 completed."]
        assert notices.link_words(Notice.objects.get().url) == "Open jobs"

    def test_the_newer_notice_of_a_campaign_replaces_the_one_before(self) -> None:
        campaign = make_campaign(UserFactory())
        bring(jobs_of(campaign)[0], State.COMPLETED)
        for seconds in (0, 1):
            with transaction.atomic():
                announce.batch_ended(campaign.batch, at=NOON + timedelta(seconds=seconds))
            deliver()
        assert Notice.objects.filter(shown=True).count() == Notice.objects.filter(read_at=None).count() == 1

    def test_single_jobs_are_counted_in_one_notice_until_it_is_read(self) -> None:
        owner = UserFactory()
        make_job(State.COMPLETED, owner=owner, notify=True, prompt="A kite over the\nbay.")
        make_job(State.COMPLETED, owner=owner)  # of the API: nobody asked
        deliver()
        assert texts(owner) == ["Your video is finished: “A kite over the bay.”"]
        for state in (State.COMPLETED, State.COMPLETED, State.FAILED, State.CANCELLED):
            make_job(state, owner=owner, notify=True)
        deliver()
        assert texts(owner) == ["4 jobs finished: 3 completed, 1 failed."]
        Notice.objects.update(read_at=NOON)
        make_job(State.FAILED, owner=owner, notify=True, prompt="A tram.")
        deliver()
        assert texts(owner) == ["Your video failed: “A tram.”"]
        assert texts(owner, shown=True, read_at=NOON) == ["4 jobs finished: 3 completed, 1 failed."]

    def test_low_tickets_and_an_endpoint_that_was_turned_off_are_told(self) -> None:
        owner = UserFactory()
        endpoint = WebhookEndpoint.objects.create(owner=owner, url="https://ours.example/in", created_at=NOON)
        with transaction.atomic():
            announce.wallet_low(owner.pk, available=15, low_at=20, at=NOON)
            endpoints.stop(endpoint, at=NOON, actor=UserFactory(username="olga"), reason="floods a customer")
        deliver()
        low, off = texts(owner)
        assert low == "Tickets are running low: 15 tickets available."
        assert off == "Webhook “https://ours.example/in” is off. Turned off by olga: floods a customer"

    @pytest.mark.parametrize(
        "name", ["Autumn\rscent", "Autumn\r\nBcc: everybody@example.com", "Autumn\u2028\x0bscent", "\u202eAutumn"]
    )
    def test_a_name_of_any_kind_is_told_in_one_line(self, name: str) -> None:
        campaign = make_campaign(UserFactory(email="ana@example.com"))
        Campaign.objects.filter(pk=campaign.pk).update(name=name)
        told_of(campaign)
        deliver()
        (sent,) = mail.outbox
        assert sent.subject.startswith("Campaign finished: Autumn") and len(sent.subject.splitlines()) == 1
        assert sent.message()["To"] == "ana@example.com" and sent.message()["Bcc"] is None
        assert Notice.objects.get().text.startswith("“Autumn")


class TestWays:
    def test_each_way_of_each_topic_is_switched_by_itself(self) -> None:
        owner = UserFactory(email="ana@example.com")
        make_job(State.COMPLETED, owner=owner, notify=True)
        deliver()
        assert (Notice.objects.count(), len(mail.outbox)) == (1, 0)
        notices.switch(owner, {notices.JOB: ["email"], notices.FINISHED: ["app", "email"]})
        owner.refresh_from_db()
        assert owner.notice_settings[notices.JOB] == {"app": False, "email": True}
        assert notices.FINISHED not in owner.notice_settings  # as by default
        make_job(State.COMPLETED, owner=owner, notify=True)
        deliver()
        assert (Notice.objects.count(), len(mail.outbox)) == (1, 1)

    def test_trouble_with_the_mail_keeps_no_notice_back_and_tells_nothing_twice(self, settings) -> None:
        message = told_of(make_campaign(UserFactory(email="ana@example.com")))
        working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.MailServerIsAway"
        deliver()
        notices.deliver(message.pk)  # as after a crash
        Notice.objects.update(read_at=NOON)
        assert (Notice.objects.count(), OutboxMessage.objects.get(channel="emails").tries) == (1, 1)

        settings.EMAIL_BACKEND = working
        deliver()
        notices.deliver(message.pk)
        deliver()
        assert (Notice.objects.count(), len(mail.outbox)) == (1, 1)
        assert not OutboxMessage.objects.filter(delivered_at=None).exists()


class TestWhatTheSweepFinds:
    def test_a_clear_queue_is_told_once_to_those_who_asked(self) -> None:
        asked, other = UserFactory(notice_settings={notices.CLEAR: {"app": True}}), UserFactory()
        for owner in (asked, other):
            make_job(State.COMPLETED, owner=owner, at=NOON)
        open_one = make_job(owner=asked, at=NOON)
        recovery.sweep(at=NOON)
        assert not OutboxMessage.objects.exists()
        bring(open_one, State.FAILED, at=NOON + timedelta(seconds=5))
        for seconds in (6, 10):
            recovery.sweep(at=NOON + timedelta(seconds=seconds))
        deliver()
        assert texts(asked) == ["Your queue is clear. Finished since 19 Nov, 12:00: 1 completed, 1 failed."]
        assert not texts(other)
        make_job(State.COMPLETED, owner=asked, at=NOON + timedelta(minutes=1))
        recovery.sweep(at=NOON + timedelta(seconds=65))
        deliver()
        assert texts(asked) == ["Your queue is clear. Finished since 12:00: 1 completed."]

    def test_who_asks_on_a_paused_campaigns_page_is_told_when_it_runs_again(self, client_for) -> None:
        owner, staff = UserFactory(), UserFactory(staff=True)
        campaign, limit = make_campaign(owner), ModelConcurrencyLimit.objects.get(pk="sora-2")
        page, ask = f"/campaigns/{campaign.pk}/", f"/campaigns/{campaign.pk}/notify/"
        policy.change(limit, at=NOON, actor=staff, reason="a check", paused=True, paused_reason="a check")
        web = client_for(owner)
        assert "Notify me when it resumes" in text_of(look(web, page))
        assert "Notify me" not in text_of(look(client_for(staff), page))
        web.post(ask, {"notify": "1"})
        assert "You will be notified." in text_of(look(web, page))
        recovery.sweep(at=NOON)
        assert not OutboxMessage.objects.exists()
        policy.change(limit, at=NOON, actor=staff, reason="done", paused=False)
        for _ in range(2):
            recovery.sweep(at=NOON)
        deliver()
        assert texts(owner) == [f"“{campaign.name}” is no longer on hold."]


class TestThePage:
    @pytest.fixture
    def owner(self) -> User:
        return UserFactory()

    @pytest.fixture
    def web(self, client_for, owner: User) -> Client:
        return client_for(owner)

    def test_notices_are_read_and_dismissed_one_by_one_or_all(self, web: Client, owner: User) -> None:
        first, second, third = (a_notice(owner, str(number), url="/jobs/") for number in (1, 2, 3))
        Notice.objects.filter(pk=third.pk).update(event=announce.BATCH_ENDED, url="/campaigns/1/")
        foreign = a_notice(UserFactory(), "4", text="Not yours.")
        said = text_of(look(web, PAGE))
        assert "3 unread" in said and said.index("Notice 3.") < said.index("Notice 1.") and "Not yours" not in said
        assert web.get(f"{PAGE}{third.pk}/").headers["Location"] == "/campaigns/1/"
        assert web.get(f"{PAGE}{foreign.pk}/").status_code == 404
        web.post(PAGE, {"dismiss": str(second.pk)})
        web.post(PAGE, {"dismiss": str(foreign.pk)})
        said = text_of(look(web, PAGE))
        assert "1 unread" in said and "Notice 2." not in said and "Notice 3." in said
        assert web.post(PAGE, {"notice": "all", "next": "/"}).headers["Location"] == "/"
        assert "All read" in text_of(look(web, PAGE)) and not first.read_at
        foreign.refresh_from_db()
        assert foreign.read_at is None and foreign.shown

    def test_hundreds_are_paged_for_the_same_number_of_queries(self, web: Client, owner: User) -> None:
        assert "No notices" in look(web, PAGE)
        counts = []
        for until in (60, 600):
            Notice.objects.bulk_create(
                Notice(user=owner, key=f"{until}-{n}", text=f"Told {n}.", url="/jobs/", created_at=NOON) for n in range(until)
            )
            with CaptureQueriesContext(connection) as queries:
                said = text_of(look(web, PAGE))
            counts.append(len(queries))
        assert counts[0] == counts[1]
        assert "99+ unread" in said and "1–50 of 660" in said
        assert "651–660 of 660" in text_of(look(web, f"{PAGE}?page=14"))

    def test_every_page_has_the_bell_and_every_look_renews_it(self, web: Client, owner: User) -> None:
        assert 'aria-label="Notices"' in look(web, "/")
        found = web.get("/", headers=HTMX)
        assert found.headers["Genqueue-Unread"] == ""
        a_notice(owner)
        assert 'aria-label="Notices, 1 unread"' in look(web, "/jobs/")
        with CaptureQueriesContext(connection) as queries:
            assert web.get("/notices/", headers=HTMX).headers["Genqueue-Unread"] == "1"
        assert sum('"read_at" IS NULL' in query["sql"] for query in queries) <= 2  # the list says how many, too
        assert "Genqueue-Unread" not in web.get("/").headers

    def test_what_is_told_is_chosen_on_the_page(self, web: Client, owner: User) -> None:
        assert f"Emails go to {owner.email}" in text_of(look(web, PAGE))
        User.objects.filter(pk=owner.pk).update(email="")
        assert "Ask staff to add one" in text_of(look(web, PAGE))
        sent = {"app": [notices.CLEAR, notices.FINISHED], "email": [notices.FINISHED]}
        wrong = web.post(f"{PAGE}settings/", {**sent, "low_at": "many"})
        owner.refresh_from_db()
        assert wrong.status_code == 422 and 'value="many"' in wrong.content.decode() and not owner.notice_settings
        web.post(f"{PAGE}settings/", {**sent, "low_at": "1,500"})
        owner.refresh_from_db()
        assert notices.wants(owner, notices.CLEAR, "app") and not notices.wants(owner, notices.JOB, "app")
        assert Wallet.objects.get(owner=owner).low_at == 1_500
        tickets.set_low_at(owner, 0)
        assert 'value="0"' in look(web, PAGE)

    def test_a_quick_generation_tells_of_its_end(self, web: Client, owner: User) -> None:
        sent = {"key": "k", "prompt": "A kite.", "model": "sora-2", "duration": "8", "aspect_ratio": "16:9", "price": "8"}
        web.post("/quick/", sent)
        assert owner.jobs.get().notify


def test_a_queue_that_is_clear_again_is_counted_from_the_last_time_whatever_was_mailed_of_it() -> None:
    owner, later = UserFactory(), NOON + timedelta(hours=1)
    announce.queue_clear(owner.pk, ended_at=NOON, at=NOON)
    first = OutboxMessage.objects.get(event="queue_clear")
    announce.email(first, subject="Queue clear", body="All your jobs have finished.", at=NOON)

    with CaptureQueriesContext(connection) as asked:
        announce.queue_clear(owner.pk, ended_at=later, at=later)

    assert OutboxMessage.objects.latest("id").payload == {"since": NOON.isoformat(), "until": later.isoformat()}
    (look_up,) = (query["sql"] for query in asked if "ORDER BY" in query["sql"])
    assert "outbox_queue_clear" in plan_of(look_up)


def test_notices_that_were_read_are_kept_for_90_days() -> None:
    owner, old = UserFactory(), NOON - timedelta(days=91)
    kept = [a_notice(owner, "1", created_at=old), a_notice(owner, "2", read_at=NOON)]
    a_notice(owner, "3", created_at=old, read_at=old)
    retention.prune(at=NOON)
    assert list(Notice.objects.order_by("id")) == kept
