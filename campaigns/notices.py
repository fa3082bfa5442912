"""Telling the owner that a campaign has ended: a notice on their pages, and an e-mail where they gave an address."""

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Count, Q
from django.urls import reverse

from campaigns import verbs
from campaigns.models import Campaign
from queue_app import clock
from queue_app.models import Notice, OutboxMessage, State


def deliver(message_id: int) -> None:
    """An outbox channel: the message's batch has ended. Delivered twice, the notice is still said once."""
    message = OutboxMessage.objects.select_related("batch__owner").get(pk=message_id)
    campaign = Campaign.objects.filter(pk=message.batch_id).first()
    if campaign is None or message.batch is None:
        return  # a batch of the API has no page; its client reads the API
    owner = message.batch.owner
    text = f"“{campaign.name}” has ended: {_counts(campaign)}."
    url = reverse("campaigns:page", args=[campaign.pk])
    if Notice.objects.filter(key=message.key).exists():
        return
    if owner.email:  # before the notice: a process that dies in between sends it twice rather than never
        body = f"{text}\n\nLook at it: {settings.PUBLIC_URL}{url}\n"
        send_mail(f"Campaign ended: {campaign.name}".replace("\n", " ")[:150], body, None, [owner.email])
    found = {"user": owner, "text": text[:300], "url": url, "created_at": clock.now()}
    Notice.objects.get_or_create(key=message.key, defaults=found)


def _counts(campaign: Campaign) -> str:
    """Cells by the state of their latest version, as the campaign's page counts them."""
    states = (State.COMPLETED, State.FAILED, State.CANCELLED)
    counts = verbs.latest_jobs(campaign).aggregate(**{state.value: Count("id", filter=Q(state=state)) for state in states})
    return ", ".join(f"{counts[state.value]} {state.label.lower()}" for state in states if counts[state.value])
