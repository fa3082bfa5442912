"""The outbox channel that tells owners about finished campaigns: a notice on their home page, and an email."""

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Count, Q
from django.urls import reverse

from campaigns import actions
from campaigns.models import Campaign
from queue_app import clock
from queue_app.models import Notice, OutboxMessage, State


def deliver(message_id: int) -> None:
    """
    Tell the owner that the message's batch is finished, if it is a campaign. Users without an address get only the notice.

    The notice is written first, so that a failing mail server does not delay it. A repeated delivery finds it and only sends the
    mail.
    """
    message = OutboxMessage.objects.select_related("batch__owner").get(pk=message_id)
    campaign = Campaign.objects.filter(pk=message.batch_id).first()
    if campaign is None or message.batch is None:
        return  # a batch of the API has no page
    owner, name = message.batch.owner, str(campaign)
    text = f"“{name}” is finished: {_counts(campaign)}."
    url = reverse("campaigns:page", args=[campaign.pk])
    at = clock.now()
    found = {"user": owner, "text": text[:300], "url": url, "created_at": at}
    notice, _ = Notice.objects.get_or_create(key=message.key, defaults=found)
    # a campaign has one notice: the newer replaces those before it
    Notice.objects.filter(user=owner, url=url, read_at=None, pk__lt=notice.pk).update(read_at=at)
    if owner.email:
        body = f"{text}\n\nOpen campaign: {settings.PUBLIC_URL}{url}\n"
        send_mail(f"Campaign finished: {name}"[:150], body, None, [owner.email])


def _counts(campaign: Campaign) -> str:
    """Return the number of jobs by status in words, counted as on the page of the campaign: of the versions that count."""
    states = (State.COMPLETED, State.FAILED, State.CANCELLED)
    counts = actions.counted_jobs(campaign).aggregate(**{state.value: Count("id", filter=Q(state=state)) for state in states})
    return ", ".join(f"{counts[state.value]} {state.label.lower()}" for state in states if counts[state.value])
