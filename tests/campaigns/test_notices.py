"""The end of a campaign as its owner is told of it: on their pages and by e-mail."""

import pytest
from django.core import mail

from campaigns import launch, notices
from queue_app.models import Notice, OutboxMessage, State
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


def test_counts_each_cell_once_by_its_latest_version() -> None:
    owner = UserFactory(email="ana@example.com")
    campaign = make_campaign(owner)
    bring(jobs_of(campaign)[0], State.FAILED)
    launch.make_again(campaign.combinations.order_by("index")[0], "Slower.", at=NOON, by=owner)
    for job in jobs_of(campaign)[1:]:
        bring(job, State.COMPLETED)
    message = OutboxMessage.objects.create(
        channel="notices", key="batch ended", batch=campaign.batch, created_at=NOON, due_at=NOON
    )

    notices.deliver(message.pk)
    notices.deliver(message.pk)

    assert Notice.objects.get().text == f"“{campaign.name}” has ended: 4 completed."
    assert f"“{campaign.name}” has ended: 4 completed.\n" in mail.outbox[0].body
    assert len(mail.outbox) == 1
