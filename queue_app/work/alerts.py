"""
Alerts: measure each active rule every few seconds and open, update or close its alerts.

A rule has separate values for opening and closing (see `AlertRule`).
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from queue_app import announce, wake
from queue_app.models import Alert, AlertRule
from queue_app.work.alert_metrics import MEASURES, Measurement


@transaction.atomic
def review(*, at: datetime) -> None:
    """Measure every active rule and update its alerts. Repeated or concurrent calls open an alert only once."""
    for rule in AlertRule.objects.select_for_update().order_by("measure"):
        _update_alerts(rule, MEASURES[rule.measure](rule, at) if rule.active else {}, at=at)


def _update_alerts(rule: AlertRule, found: Mapping[str, Measurement], *, at: datetime) -> None:
    """Open, update and close a rule's alerts. Alerts without a finding are closed: a measure covers all that may be open."""
    is_open = {alert.subject: alert for alert in rule.alerts.filter(closed_at=None)}
    for subject, seen in found.items():
        alert = is_open.pop(subject, None)
        if alert is None:
            if rule.calls(seen.value):
                _open(rule, subject, seen, at=at)
        else:
            _update(alert, seen, closed_at=at if rule.is_over(seen.value) else None)
    if is_open:
        Alert.objects.filter(pk__in=[alert.pk for alert in is_open.values()]).update(closed_at=at)
        wake.queue_changed()


def _open(rule: AlertRule, subject: str, seen: Measurement, *, at: datetime) -> None:
    alert = Alert.objects.create(rule=rule, subject=subject, value=seen.value, words=seen.words, opened_at=at)
    if rule.mail:
        announce.alert_opened(alert, at=at)
    wake.queue_changed()


def _update(alert: Alert, seen: Measurement, *, closed_at: datetime | None) -> None:
    """Update an open alert, or close it. A closed alert keeps its last text, which says what was wrong."""
    if closed_at is not None:
        Alert.objects.filter(pk=alert.pk).update(value=seen.value, closed_at=closed_at)
        wake.queue_changed()
    elif (alert.value, alert.words) != (seen.value, seen.words):
        Alert.objects.filter(pk=alert.pk).update(value=seen.value, words=seen.words)
