"""
Alerts: each active rule is measured every few seconds, and its rows are opened, kept up to date and closed.

A rule opens at one value and closes at another, so that a measure which swings around one number does not ring all day.
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from queue_app import wake
from queue_app.models import Alert, AlertRule
from queue_app.work import announce
from queue_app.work.alert_metrics import MEASURES, Seen


@transaction.atomic
def review(*, at: datetime) -> None:
    """Measure every rule and bring its alerts to what was found. Said twice, or by two at once, it rings once."""
    for rule in AlertRule.objects.select_for_update().order_by("measure"):
        _bring(rule, MEASURES[rule.measure](rule, at) if rule.active else {}, at=at)


def _bring(rule: AlertRule, found: Mapping[str, Seen], *, at: datetime) -> None:
    """What was not found is over: a rule measures all that could ring or still rings."""
    is_open = {alert.subject: alert for alert in rule.alerts.filter(closed_at=None)}
    for subject, seen in found.items():
        alert = is_open.pop(subject, None)
        if alert is None:
            if rule.calls(seen.value):
                _open(rule, subject, seen, at=at)
        else:
            _keep(alert, seen, closed_at=at if rule.is_over(seen.value) else None)
    if is_open:
        Alert.objects.filter(pk__in=[alert.pk for alert in is_open.values()]).update(closed_at=at)
        wake.queue_changed()


def _open(rule: AlertRule, subject: str, seen: Seen, *, at: datetime) -> None:
    alert = Alert.objects.create(rule=rule, subject=subject, value=seen.value, words=seen.words, opened_at=at)
    if rule.mail:
        announce.alert_opened(alert, at=at)
    wake.queue_changed()


def _keep(alert: Alert, seen: Seen, *, closed_at: datetime | None) -> None:
    """An alert that closes keeps the words of its last bad moment: they say what it was about."""
    if closed_at is not None:
        Alert.objects.filter(pk=alert.pk).update(value=seen.value, closed_at=closed_at)
        wake.queue_changed()
    elif (alert.value, alert.words) != (seen.value, seen.words):
        Alert.objects.filter(pk=alert.pk).update(value=seen.value, words=seen.words)
