"""The outbox channel that emails to one user what a notice tells them. Its lane has two deliveries at a time, however slow."""

from django.core.mail import send_mail

from queue_app.models import OutboxMessage


def deliver(message_id: int) -> None:
    """Send a message's subject and body to its owner, if they still have an address."""
    message = OutboxMessage.objects.select_related("owner").get(pk=message_id)
    if message.owner and message.owner.email:
        send_mail(message.payload["subject"], message.payload["body"], None, [message.owner.email])
