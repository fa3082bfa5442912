"""Alerts and their rules, with the link to the remedy of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from queue_app import clock
from queue_app.admin.policy_forms import PolicyForm
from queue_app.models import Alert, AlertRule
from queue_app.outbox.alerts import TO_DO
from queue_app.ui import display
from queue_app.ui.model_admin import PolicyAdmin, ReadOnlyAdmin, column
from queue_app.work.alert_metrics import reading

Measure = AlertRule.Measure
UNIT = (
    "Percent for rates and budgets, seconds for waits, heartbeats and transactions, otherwise jobs or tickets. "
    "Checked every 15 seconds."
)
# measure → words of the link, the list, its filters
REMEDIES: dict[str, tuple[str, str, dict[str, str]]] = {
    Measure.QUEUE_DEPTH: ("Waiting jobs", "job", {"status": "queued"}),
    Measure.OLDEST_WAIT: ("Waiting jobs", "job", {"status": "queued"}),
    Measure.FAILURE_RATE: ("Failed jobs", "job", {"status": "failed", "ended": "24h"}),
    Measure.UNKNOWN_JOBS: ("Needs attention", "reviewitem", {}),
    Measure.WORKER_SILENT: ("Worker processes", "workerprocess", {}),
    Measure.TICKETS_LOW: ("Wallet", "wallet", {}),
    Measure.PAID_NOT_DELIVERED: ("Needs attention", "reviewitem", {}),
    Measure.BUDGET_SPENT: ("Provider accounts", "provideraccount", {}),
    Measure.OLD_SNAPSHOT: ("Worker processes", "workerprocess", {}),
}


def remedy(alert: Alert) -> tuple[str, str]:
    """Return the words and the address of the link to the remedy."""
    words, name, filters = REMEDIES[alert.rule_id]
    if alert.rule_id == Measure.TICKETS_LOW:
        filters = {"q": alert.subject}
    address = reverse(f"admin:queue_app_{name}_changelist")
    return words, f"{address}?{urlencode(filters)}" if filters else address


def _values(rule: AlertRule) -> str:
    opens, closes = (reading(rule.pk, value) for value in (rule.opens_at, rule.closes_at))
    return f"opens at {opens}, closes at {closes}"


class OpenFilter(admin.SimpleListFilter):
    """Open or closed alerts."""

    title = "state"
    parameter_name = "open"
    found: dict[str, dict[str, Any]] = {"1": {"closed_at": None}, "0": {"closed_at__isnull": False}}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Open"), ("0", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset.filter(**self.found.get(self.value() or "", {}))


@dataclass(frozen=True)
class AlertRow:
    """An alert in the list at one moment."""

    alert: Alert
    at: datetime

    @column("Duration")
    def closed(self) -> str:
        lasted = display.ago((self.alert.closed_at or self.at) - self.alert.opened_at)
        return lasted if self.alert.closed_at else f"{lasted}, still open"


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """Alerts are opened and closed by the dispatcher alone: an alert ends when its cause ends."""

    title = "Alerts"
    empty = "No rule has been exceeded. Alert rules say when one opens and who gets an email."
    list_display = ("what", "state", "opened", AlertRow.closed, "remedy")
    list_filter = (OpenFilter, "rule")
    list_select_related = ("rule",)
    ordering = (F("closed_at").desc(nulls_first=True), "-id")
    fields = ("state", "to_do", "remedy", "opened", "closed", "threshold")
    readonly_fields = fields

    def rows(self, found: Sequence[Alert]) -> list[AlertRow]:
        at = clock.now()
        return [AlertRow(alert, at) for alert in found]

    @admin.display(description="Alert")
    def what(self, alert: Alert) -> str:
        return display.with_sub(alert.words, f"{alert.rule}, opens at {reading(alert.rule_id, alert.rule.opens_at)}")

    @admin.display(description="State")
    def state(self, alert: Alert) -> str:
        return display.badge("warn", "Open") if alert.closed_at is None else display.badge("completed", "Closed")

    @admin.display(description="Opened")
    def opened(self, alert: Alert) -> str:
        return display.when(alert.opened_at)

    @admin.display(description="Duration")
    def closed(self, alert: Alert) -> str:
        return AlertRow(alert, clock.now()).closed()

    @admin.display(description="Link")
    def remedy(self, alert: Alert) -> str:
        words, address = remedy(alert)
        return display.link(address, words)

    @admin.display(description="What to do")
    def to_do(self, alert: Alert) -> str:
        return TO_DO[Measure(alert.rule_id)]

    @admin.display(description="Rule")
    def threshold(self, alert: Alert) -> str:
        address = reverse("admin:queue_app_alertrule_change", args=[alert.rule_id])
        return display.link(address, f"{alert.rule}: {_values(alert.rule)}")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().change_view(request, object_id, form_url, {"title": "Alert", **(extra_context or {})})


class WholeNumber(forms.NumberInput):
    """A number shown without a zero fraction: 25, not 25.0."""

    def format_value(self, value: Any) -> str | None:
        return f"{value:.10g}" if isinstance(value, float) else super().format_value(value)


@dataclass(frozen=True)
class AlertRuleRow:
    """A rule in the list, with the number of its open alerts."""

    rule: AlertRule
    open_alerts: int

    @column("Open now")
    def ringing(self) -> str:
        query = urlencode({"open": "1", "rule__measure__exact": self.rule.pk})
        address = f"{reverse('admin:queue_app_alert_changelist')}?{query}"
        return display.link(address, display.number(self.open_alerts)) if self.open_alerts else "–"


@admin.register(AlertRule)
class AlertRuleAdmin(PolicyAdmin[AlertRule]):
    form = PolicyForm
    title = "Alert rules"
    empty = "Without rules, no alert opens. manage.py seed_catalogue adds the usual ones."
    list_display = ("line", "active", "mail", AlertRuleRow.ringing)
    ordering = ("measure",)
    fieldsets = (
        (None, {"fields": ("what", "active", "mail")}),
        ("Values", {"fields": ("opens_at", "closes_at"), "description": UNIT}),
        ("Audit", {"fields": ("why",)}),
    )
    readonly_fields = ("what",)
    formfield_overrides = {models.FloatField: {"widget": WholeNumber}}

    def rows(self, found: Sequence[AlertRule]) -> list[AlertRuleRow]:
        alerts = Alert.objects.filter(rule__in=found, closed_at=None).order_by().values_list("rule").annotate(Count("pk"))
        open_alerts = dict(alerts)
        return [AlertRuleRow(rule, open_alerts.get(rule.pk, 0)) for rule in found]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # one for each measure, seeded

    @admin.display(description="Measure", ordering="measure")
    def line(self, rule: AlertRule) -> str:
        return display.with_sub(self.what(rule), _values(rule))

    @admin.display(description="Measure")
    def what(self, rule: AlertRule) -> str:
        words = str(rule)
        return words[0].upper() + words[1:]
