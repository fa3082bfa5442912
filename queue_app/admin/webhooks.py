"""Verified webhooks of providers, newest first. Rejected ones are in the log only: they change nothing (I38)."""

from typing import Any

from django.contrib import admin
from django.urls import reverse

from queue_app.models import InboundWebhook
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin


@admin.register(InboundWebhook)
class InboundWebhookAdmin(ExactSearch, ReadOnlyAdmin[InboundWebhook]):
    title = "Received webhooks"
    empty = "Calls of providers appear here. Each account says whether its webhooks arrive."
    list_display = ("received", "account", "type", "job", "effect")
    list_display_links = ("received",)
    list_filter = ("effect", "account")
    list_select_related = ("account", "attempt")
    search_fields = ("attempt",)
    ordering = ("-id",)
    fields = ("received_at", "account", "type", "job", "effect", "event_id", "remote_id")
    readonly_fields = fields

    def found_by(self, word: str) -> dict[str, Any] | None:
        number = numbers.of_row(word)
        return {"attempt__job": number} if number else None

    @admin.display(description="Received")
    def received(self, webhook: InboundWebhook) -> str:
        return display.when(webhook.received_at)

    @admin.display(description="Job")
    def job(self, webhook: InboundWebhook) -> str:
        if webhook.attempt is None:
            return "–"
        number = webhook.attempt.job_id
        return display.link(reverse("admin:queue_app_job_change", args=[number]), display.number(number))
