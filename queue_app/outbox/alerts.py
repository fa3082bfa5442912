"""Telling staff by e-mail that an alert has opened: those who can do something about it."""

import logging

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from queue_app.models import Alert, AlertRule, OutboxMessage, User
from queue_app.rules.words import one_line
from queue_app.work.alert_metrics import reading
from queue_app.work.roles import Right

log = logging.getLogger(__name__)
BACKEND = "django.contrib.auth.backends.ModelBackend"  # the one that knows rights
FINANCE = {AlertRule.Measure.TICKETS_LOW, AlertRule.Measure.PAID_NOT_DELIVERED}
TO_DO = {
    AlertRule.Measure.QUEUE_DEPTH: "Look which models are full or paused. Raising a limit holds from the next claim on.",
    AlertRule.Measure.OLDEST_WAIT: "Look which lane it is in: its model or provider account may be paused, full or cooling down.",
    AlertRule.Measure.FAILURE_RATE: "Look at the errors, grouped. Pause the model or the account before more fail.",
    AlertRule.Measure.UNKNOWN_JOBS: "Look at the provider's side and decide. What nobody decides fails by itself after a day.",
    AlertRule.Measure.WORKER_SILENT: "Look at that machine. Others take over what it was at; start a new worker if it is gone.",
    AlertRule.Measure.TICKETS_LOW: "Grant tickets, or tell them: without tickets nothing more of theirs is taken.",
    AlertRule.Measure.PAID_NOT_DELIVERED: "The provider may still have the file. Look at each before it is deleted there.",
    AlertRule.Measure.OLD_SNAPSHOT: "Queries slow down until this transaction ends. If it was left idle, end it: "
    "SELECT pg_terminate_backend(session number).",
}


def deliver(message_id: int) -> None:
    """An outbox channel: an alert has opened. One message to all whom it concerns; nobody to tell is said in the log."""
    message = OutboxMessage.objects.get(pk=message_id)
    alert = Alert.objects.select_related("rule").filter(pk=message.payload["alert"]).first()
    if alert is None:
        return  # staff took its rule away
    addresses = [user.email for user in _concerned(alert.rule)]
    if not addresses:
        log.warning("alert %s is told to nobody: no member of staff with the right has an e-mail address", alert.pk)
        return
    EmailMessage(subject=one_line(f"Alert: {alert.words}")[:150], body=_text(alert), bcc=addresses).send()


def _concerned(rule: AlertRule) -> QuerySet[User]:
    """Active staff who may operate the queue; where it is about money, those who may move tickets too."""
    concerned = User.objects.with_perm(Right.OPERATE, backend=BACKEND)
    if rule.measure in FINANCE:
        concerned |= User.objects.with_perm(Right.MOVE_TICKETS, backend=BACKEND)
    return concerned.filter(is_staff=True).exclude(email="").distinct().order_by("id")


def _text(alert: Alert) -> str:
    opened, rule = timezone.localtime(alert.opened_at), alert.rule
    back = "" if alert.closed_at is None else f"\nIt closed at {timezone.localtime(alert.closed_at):%H:%M:%S}.\n"
    opens, closes = (reading(rule.measure, value) for value in (rule.opens_at, rule.closes_at))
    return (
        f"{alert.words}\n{back}\n{TO_DO[AlertRule.Measure(rule.measure)]}\n\n"
        f"Open it: {settings.PUBLIC_URL}{reverse('admin:queue_app_alert_change', args=[alert.pk])}\n\n"
        f"Opened {opened:%d %b %Y, %H:%M:%S %Z}. The rule, {rule}: it opens at {opens} and closes at {closes}.\n"
    )
