"""The catalogue in the admin: models, limits, provider accounts, routes, job types and the queue's settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat

from queue_app import clock
from queue_app.admin import peak_hours, prices, provider_page
from queue_app.admin.policy_forms import ListForm, PolicyForm
from queue_app.insight import snapshot
from queue_app.insight.snapshot import Lane
from queue_app.models import GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from queue_app.providers import registry
from queue_app.rules.numbers import counted
from queue_app.ui import display
from queue_app.ui.access import staff
from queue_app.ui.model_admin import PolicyAdmin, column
from queue_app.work import budgets, retention, usual

EFFECT = "How many jobs of this model run at the same time, 1 to 50. Applies to the next job; running jobs continue."
CHOSEN_ONCE = ("key", "medium")  # jobs name the key, and a job's kind and model have the same medium (I41)
RETENTION = "Deleted once an hour. Jobs, their history and charges always stay."
RETRIES = ("max_attempts", "backoff", "retry_base_seconds", "retry_cap_seconds")
AGAIN = "Apply to the next failure. Attempts count from the last time that a person or client queued the job. Models can differ."
OF_TYPE = "Empty fields take the value of the job type. Changes apply to the next failure."
PAUSE = "While paused, no new jobs start. Running jobs continue and queued jobs keep their position."


@admin.display(description="Paused")
def pause(row: ModelConcurrencyLimit | ProviderAccount | QueueSettings) -> str:
    """The column of a row that can be paused."""
    return display.pause(row.paused, row.paused_reason, row.paused_until)


@dataclass(frozen=True)
class SlotsRow:
    """A model in a list: its slots and its waiting jobs, as a snapshot counts them; no lane if the model is not active."""

    lane: Lane | None
    limit: int
    paused: bool

    @column("Slots used")
    def slots(self) -> str:
        return display.capacity(self.lane.used, self.limit, held=self.paused) if self.lane else "–"

    @column("Waiting")
    def waiting(self) -> str:
        return display.number(self.lane.waiting) if self.lane else "–"


def _lanes() -> dict[str, Lane]:
    return {lane.key: lane for lane in snapshot.take(at=clock.now()).lanes}


@admin.register(GenerationModel)
class GenerationModelAdmin(PolicyAdmin[GenerationModel]):
    form = PolicyForm
    title = "Models"
    empty = "Without models, nothing can be generated. manage.py seed_catalogue adds the usual ones."
    change_form_template = "admin/queue_app/generationmodel/change_form.html"
    list_display = ("key", "medium", SlotsRow.slots, SlotsRow.waiting, "price", "typical", "active")
    list_filter = ("medium", "active")
    search_fields = ("key", "label")
    ordering = ("medium", "key")
    fieldsets = (
        (None, {"fields": ("key", "label", "medium", "active")}),
        (
            "Price and time",
            {
                "fields": ("unit", "tickets_per_unit", "usd_per_unit", "price", "typical_seconds"),
                "description": "Prices apply to new jobs and retries. Queued jobs keep their price.",
            },
        ),
        ("Timeout and retries", {"fields": ("timeout_seconds", *RETRIES), "description": OF_TYPE}),
        ("Allowed parameters", {"fields": ("parameters",)}),
        ("Audit", {"fields": ("why",)}),
    )

    def rows(self, found: Sequence[GenerationModel]) -> list[SlotsRow]:
        lanes = _lanes()
        known = [lanes.get(model.pk) for model in found]
        return [
            SlotsRow(lane, lane.model.limit.max_concurrent, lane.pause is not None) if lane else SlotsRow(None, 0, False)
            for lane in known
        ]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> HttpResponse:
        model: GenerationModel | None = context["original"]
        posted = {name: text for name, text in request.POST.items() if isinstance(text, str)}
        shown = {"calculation": prices.calculate(posted, model), "key": model.pk if model else ""}
        return super().render_change_form(request, {**context, **shown}, *args, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: GenerationModel | None = None) -> tuple[str, ...]:
        return CHOSEN_ONCE if obj else ()

    @admin.display(description="Price")
    def price(self, model: GenerationModel) -> str:
        tickets = f"{counted(model.tickets_per_unit, 'ticket')} per {model.unit}"
        return display.with_sub(tickets, f"${model.usd_per_unit:.3f} (estimate)")

    @admin.display(description="Usual time", ordering="typical_seconds")
    def typical(self, model: GenerationModel) -> str:
        found = usual.of(model)
        return display.with_sub(display.duration(found.seconds), found.basis)


@admin.register(ModelConcurrencyLimit)
class ModelConcurrencyLimitAdmin(PolicyAdmin[ModelConcurrencyLimit]):
    form = PolicyForm
    title = "Limits"
    empty = "Each model has a limit. Add a model first."
    list_display = ("model", SlotsRow.slots, SlotsRow.waiting, "max_concurrent", pause)
    list_editable = ("max_concurrent",)
    list_select_related = ("model",)
    search_fields = ("model__key",)
    ordering = ("model__key",)
    fieldsets = (
        (None, {"fields": ("model", "max_concurrent"), "description": EFFECT}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )

    def rows(self, found: Sequence[ModelConcurrencyLimit]) -> list[SlotsRow]:
        lanes = _lanes()
        return [SlotsRow(lanes.get(limit.pk), limit.max_concurrent, limit.paused) for limit in found]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": ListForm, **kwargs})

    def get_readonly_fields(self, request: HttpRequest, obj: ModelConcurrencyLimit | None = None) -> tuple[str, ...]:
        return ("model",) if obj else ()


@admin.register(ProviderAccount)
class ProviderAccountAdmin(PolicyAdmin[ProviderAccount]):
    empty = "Without an account, no job can start. manage.py seed_catalogue adds one for each provider."
    form = PolicyForm
    list_display = ("key", "adapter", "bought_at", "max_concurrent", "lowered_by", "cooldown_until", pause)
    search_fields = ("key", "adapter")
    ordering = ("key",)
    change_form_template = "admin/queue_app/provideraccount/change_form.html"
    fieldsets = (
        (None, {"fields": ("key", "adapter", "base_url", "api_key_env", "webhook_secret_env", "options")}),
        ("Lost answers", {"fields": ("can_look_up", "trusts_list", "may_repeat")}),
        ("Limit", {"fields": ("max_concurrent", "lowered_by", "lowered_at", "cooldown_until", "failures_in_a_row")}),
        ("Budget", {"fields": ("daily_budget_usd",)}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )
    measured = ("cooldown_until", "lowered_by", "lowered_at", "failures_in_a_row")
    # where secrets are sent, and which of them: only superusers edit them (I36)
    leads_the_key = ("base_url", "api_key_env", "webhook_secret_env")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ProviderAccount]:
        return super().get_queryset(request).filter(pk__in=_with_adapter())

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "adapter":  # an adapter of this version, by name
            return forms.ChoiceField(choices=[(name, name) for name in registry.names()])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: ProviderAccount | None = None) -> tuple[str, ...]:
        shown = self.measured if request.user.is_superuser else (*self.measured, *self.leads_the_key)
        return ("key", *shown) if obj else shown

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "daily_budget_usd" in form.changed_data:
            budgets.reconsider(ProviderAccount.objects.get(pk=obj.pk), at=clock.now(), actor=staff(request))

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            context["about"] = provider_page.about(obj, at=clock.now())
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.display(description="Provider")
    def bought_at(self, account: ProviderAccount) -> str:
        if not account.is_preview:
            return display.with_sub(account.base_url, f"key from {account.api_key_env}")
        usable = "no API key: previews only" if account.is_usable else "no API key and ALLOW_STUDIO is off: unavailable"
        return display.with_sub("studio", usable)


@admin.register(ModelRoute)
class ModelRouteAdmin(PolicyAdmin[ModelRoute]):
    empty = "A route says which account serves a model. Without one, the model is not available."
    form = PolicyForm
    list_display = ("model", "account", "endpoint_id", "active", "needs_check", "checked_at", "reason", "position")
    list_filter = ("active", "needs_check", ("account", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("model", "account")
    search_fields = ("model__key", "endpoint_id")
    ordering = ("model", "position", "id")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ModelRoute]:
        return super().get_queryset(request).filter(account__in=_with_adapter())

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "account":
            kwargs["queryset"] = _with_adapter()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Kind)
class KindAdmin(PolicyAdmin[Kind]):
    empty = "Every job has a type. manage.py seed_catalogue adds the usual ones."
    form = PolicyForm
    list_display = (
        *("key", "label", "medium", "restricted", "default_priority"),
        *("max_concurrent", "timeout_seconds", "max_attempts", "backoff"),
    )
    list_filter = ("medium", "restricted")
    ordering = ("key",)
    fieldsets = (
        (None, {"fields": ("key", "label", "medium", "restricted")}),
        (
            "Queue",
            {"fields": ("default_priority", "max_concurrent")},
        ),
        ("Timeout and retries", {"fields": ("timeout_seconds", *RETRIES), "description": AGAIN}),
        ("Retention", {"fields": ("files_kept_days", "payloads_kept_days", "due"), "description": RETENTION}),
        ("Audit", {"fields": ("why",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Kind | None = None) -> tuple[str, ...]:
        return (*CHOSEN_ONCE, "due") if obj else ("due",)

    @admin.display(description="Deleted next")
    def due(self, kind: Kind) -> str:
        found = retention.due(kind, at=clock.now()) if kind.pk else None
        if not found or not (found.files or found.answers):
            return "Nothing"
        return f"{counted(found.files, 'file')} ({filesizeformat(found.bytes)}), {counted(found.answers, 'provider answer')}"


@admin.register(QueueSettings)
class QueueSettingsAdmin(PolicyAdmin[QueueSettings]):
    form = PolicyForm
    title = "Queue settings"
    change_form_template = "admin/queue_app/queuesettings/change_form.html"
    list_display = ("__str__", "max_concurrent", "peak_hours", "peak_time_zone", "peak_factor", pause)
    fieldsets = (
        ("Limits", {"fields": ("max_concurrent", "user_max_concurrent"), "description": "Apply to the next job."}),
        ("Peak hours", {"fields": ("peak_hours", "peak_time_zone", "peak_factor"), "description": "Apply to the next job."}),
        ("Order", {"fields": ("fair_share", "aging_minutes", "bulk_priority")}),
        ("Campaigns", {"fields": ("matrix_breaker",)}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> HttpResponse:
        posted = {name: text for name, text in request.POST.items() if isinstance(text, str)}
        day = peak_hours.by_form(posted, QueueSettings.objects.current(), at=clock.now())
        return super().render_change_form(request, {**context, "day": day}, *args, **options)


def _with_adapter() -> models.QuerySet[ProviderAccount]:
    """Return the accounts that this version has an adapter for. Others are shown nowhere: their settings have no effect."""
    return ProviderAccount.objects.filter(adapter__in=registry.names())
