"""The end of a campaign as its owner is told of it: on their pages and by e-mail."""

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend

from campaigns import launch
from campaigns.models import Campaign
from queue_app.models import Notice, OutboxMessage, State
from queue_app.outbox import delivery
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


class MailServerIsAway(BaseEmailBackend):
    def send_messages(self, email_messages: object) -> int:
        raise ConnectionRefusedError("the mail server is away")


def told_of(campaign: Campaign) -> OutboxMessage:
    return OutboxMessage.objects.create(channel="notices", key="batch ended", batch=campaign.batch, created_at=NOON, due_at=NOON)


def test_counts_each_cell_once_by_its_latest_version() -> None:
    owner = UserFactory(email="ana@example.com")
    campaign = make_campaign(owner)
    bring(jobs_of(campaign)[0], State.FAILED)
    launch.make_again(campaign.combinations.order_by("index")[0], "Slower.", at=NOON, by=owner)
    for job in jobs_of(campaign)[1:]:
        bring(job, State.COMPLETED)
    message = told_of(campaign)

    delivery.deliver(message.pk, 1)
    delivery.deliver(message.pk, 1)

    assert Notice.objects.get().text == f"“{campaign.name}” is finished: 4 completed."
    assert f"“{campaign.name}” is finished: 4 completed.\n" in mail.outbox[0].body
    assert len(mail.outbox) == 1


def test_the_newer_notice_of_a_campaign_replaces_the_one_before() -> None:
    owner = UserFactory()
    campaign = make_campaign(owner)
    for number in (1, 2):
        message = OutboxMessage.objects.create(
            channel="notices", key=f"batch ended {number}", batch=campaign.batch, created_at=NOON, due_at=NOON
        )
        delivery.deliver(message.pk, 1)
    assert list(Notice.objects.filter(read_at=None).values_list("key", flat=True)) == ["batch ended 2"]


def test_trouble_with_the_mail_keeps_no_notice_back(settings) -> None:
    message = told_of(make_campaign(UserFactory(email="ana@example.com")))
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.MailServerIsAway"
    delivery.deliver(message.pk, 1)
    assert Notice.objects.count() == 1

    settings.EMAIL_BACKEND = working
    delivery.deliver(message.pk, 2)
    message.refresh_from_db()
    assert (Notice.objects.count(), len(mail.outbox), message.delivered_at is None) == (1, 1, False)


@pytest.mark.parametrize(
    "name", ["Autumn\rscent", "Autumn\r\nBcc: everybody@example.com", "Autumn\u2028\x0bscent", "\u202eAutumn"]
)
def test_a_name_of_any_kind_is_told_in_one_line(name: str) -> None:
    campaign = make_campaign(UserFactory(email="ana@example.com"))
    Campaign.objects.filter(pk=campaign.pk).update(name=name)
    delivery.deliver(told_of(campaign).pk, 1)
    (sent,) = mail.outbox
    assert sent.subject.startswith("Campaign finished: Autumn") and len(sent.subject.splitlines()) == 1
    assert sent.message()["To"] == "ana@example.com" and sent.message()["Bcc"] is None
    assert Notice.objects.get().text.startswith("“Autumn")
