"""Telling the owner that a campaign has ended: a notice on their pages, and an e-mail where they gave an address."""

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
    An outbox channel: the message's batch has ended. The notice comes first, so that no trouble with the mail keeps it back; a
    try that is made again finds it there and sends the mail.
    """
    message = OutboxMessage.objects.select_related("batch__owner").get(pk=message_id)
    campaign = Campaign.objects.filter(pk=message.batch_id).first()
    if campaign is None or message.batch is None:
        return  # a batch of the API has no page; its client reads the API
    owner, name = message.batch.owner, str(campaign)
    text = f"“{name}” is finished: {_counts(campaign)}."
    url = reverse("campaigns:page", args=[campaign.pk])
    found = {"user": owner, "text": text[:300], "url": url, "created_at": clock.now()}
    Notice.objects.get_or_create(key=message.key, defaults=found)
    if owner.email:
        body = f"{text}\n\nOpen campaign: {settings.PUBLIC_URL}{url}\n"
        send_mail(f"Campaign finished: {name}"[:150], body, None, [owner.email])


def _counts(campaign: Campaign) -> str:
    """Cells by the state of their latest version, as the campaign's page counts them."""
    states = (State.COMPLETED, State.FAILED, State.CANCELLED)
    counts = actions.latest_jobs(campaign).aggregate(**{state.value: Count("id", filter=Q(state=state)) for state in states})
    return ", ".join(f"{counts[state.value]} {state.label.lower()}" for state in states if counts[state.value])
