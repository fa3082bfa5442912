"""The outbox channel that emails an opened alert to the staff who can act on it."""

import logging
from datetime import datetime

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
BACKEND = "django.contrib.auth.backends.ModelBackend"  # the backend with permissions
FINANCE = {AlertRule.Measure.TICKETS_LOW, AlertRule.Measure.PAID_NOT_DELIVERED, AlertRule.Measure.BUDGET_SPENT}
TO_DO = {
    AlertRule.Measure.QUEUE_DEPTH: "Check which models are full or paused. A higher limit applies to the next job.",
    AlertRule.Measure.OLDEST_WAIT: "Check its model and provider account: one may be paused, full or cooling down.",
    AlertRule.Measure.FAILURE_RATE: "Check the grouped errors. Pause the model or account before more jobs fail.",
    AlertRule.Measure.UNKNOWN_JOBS: "Check with the provider and decide. Undecided jobs fail after 24 hours.",
    AlertRule.Measure.WORKER_SILENT: "Check the machine. Other workers take over its jobs. Start a new worker if it is gone.",
    AlertRule.Measure.TICKETS_LOW: "Grant tickets or tell the user. Without tickets they can't submit new jobs.",
    AlertRule.Measure.PAID_NOT_DELIVERED: "The provider may still have the files. Check them before they are deleted.",
    AlertRule.Measure.BUDGET_SPENT: "At 100% the account pauses until midnight. Raise its budget or wait.",
    AlertRule.Measure.OLD_SNAPSHOT: "Queries slow down until this transaction ends. If it was left idle, end it: "
    "SELECT pg_terminate_backend(session number).",
}


def deliver(message_id: int) -> None:
    """Email an opened alert to all recipients in one message; log a warning if there are none."""
    message = OutboxMessage.objects.get(pk=message_id)
    alert = Alert.objects.select_related("rule").filter(pk=message.payload["alert"]).first()
    if alert is None:
        return  # staff have deleted its rule
    addresses = [user.email for user in _recipients(alert.rule)]
    if not addresses:
        log.warning("alert %s was not emailed: no staff with permission have an email address", alert.pk)
        return
    EmailMessage(subject=one_line(f"Alert: {alert.words}")[:150], body=_text(alert), bcc=addresses).send()


def _recipients(rule: AlertRule) -> QuerySet[User]:
    """Return active staff with an email address who may operate the queue; about money, also those who may move tickets."""
    users = User.objects.with_perm(Right.OPERATE, backend=BACKEND)
    if rule.measure in FINANCE:
        users |= User.objects.with_perm(Right.MOVE_TICKETS, backend=BACKEND)
    return users.filter(is_staff=True).exclude(email="").distinct().order_by("id")


def _text(alert: Alert) -> str:
    rule = alert.rule
    back = "" if alert.closed_at is None else f"\nClosed {_moment(alert.closed_at)}.\n"
    opens, closes = (reading(rule.measure, value) for value in (rule.opens_at, rule.closes_at))
    return (
        f"{alert.words}\n{back}\n{TO_DO[AlertRule.Measure(rule.measure)]}\n\n"
        f"View alert: {settings.PUBLIC_URL}{reverse('admin:queue_app_alert_change', args=[alert.pk])}\n\n"
        f"Opened {_moment(alert.opened_at)}. Rule: {rule}, opens at {opens}, closes at {closes}.\n"
    )


def _moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%d %b %Y, %H:%M:%S %Z}"
