"""What can be bought, where and how much at once. Each save is a `policy.change`: claim lock, audit entry, next claim."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from queue_app import clock
from queue_app.admin.policies import ListForm, PolicyForm
from queue_app.insight import board
from queue_app.models import GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings, User
from queue_app.providers import registry
from queue_app.ui import display
from queue_app.ui.model_admin import FastAdmin
from queue_app.work import policy

EFFECT = "How many jobs of this model run at the same time, 1 to 50. Applies to the next job; running jobs continue."
CHOSEN_ONCE = ("key", "medium")  # jobs name the key, and a job's kind and model are of one medium (I41)
PAUSE = "While paused, no new jobs start. Running jobs continue and queued jobs keep their position."


class PolicyAdmin(FastAdmin):
    """Edits by the verb; nothing here is deleted while jobs name it."""

    form = PolicyForm
    change_form_template = "admin/policy_form.html"

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": ListForm, **kwargs})

    def save_model(self, request: HttpRequest, obj: models.Model, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        assert isinstance(request.user, User)
        said = form.cleaned_data
        at, reason = clock.now(), said.get("why", "")  # a list that is edited in place asks for none
        if change:
            changed = {name: said[name] for name in form.changed_data if name not in ("why", "showed")}
            policy.change(obj, at=at, actor=request.user, reason=reason, **changed)
        else:
            policy.add(obj, at=at, actor=request.user, reason=reason)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @admin.display(description="Paused")
    def pause(self, row: ModelConcurrencyLimit | ProviderAccount | QueueSettings) -> str:
        return display.pause(row.paused, row.paused_reason, row.paused_until)


class SlotsAdmin(PolicyAdmin):
    """Rows by model key, dressed with the model's slots as the board shows them."""

    def dress(self, rows: list[Any]) -> None:
        lines = {line.key: line for line in board.shared(at=clock.now()).models}
        for row in rows:
            row.line = lines.get(row.pk)


@admin.register(GenerationModel)
class GenerationModelAdmin(SlotsAdmin):
    title = "Models"
    list_display = ("key", "medium", "slots", "waiting", "price", "typical", "active")
    list_filter = ("medium", "active")
    search_fields = ("key", "label")
    ordering = ("medium", "key")
    fieldsets = (
        (None, {"fields": ("key", "label", "medium", "active")}),
        (
            "Price and time",
            {
                "fields": ("unit", "tickets_per_unit", "usd_per_unit", "price", "typical_seconds", "timeout_seconds"),
                "description": "Prices apply to new jobs and retries. Queued jobs keep their price.",
            },
        ),
        ("Allowed parameters", {"fields": ("parameters",)}),
        ("Audit", {"fields": ("why",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        return CHOSEN_ONCE if obj else ()

    @admin.display(description="Slots used")
    def slots(self, model: GenerationModel) -> str:
        line = model.line  # type: ignore[attr-defined]
        return display.capacity(line.used, line.max_concurrent, held=line.paused) if line else "–"

    @admin.display(description="Waiting")
    def waiting(self, model: GenerationModel) -> str:
        line = model.line  # type: ignore[attr-defined]
        return display.number(line.queued) if line else "–"

    @admin.display(description="Price")
    def price(self, model: GenerationModel) -> str:
        count = model.tickets_per_unit
        tickets = f"{display.number(count)} ticket{'s' * (count != 1)} per {model.unit}"
        return display.with_sub(tickets, f"${model.usd_per_unit:.3f} (estimate)")

    @admin.display(description="Typical time", ordering="typical_seconds")
    def typical(self, model: GenerationModel) -> str:
        return display.duration(model.typical_seconds)


@admin.register(ModelConcurrencyLimit)
class ModelConcurrencyLimitAdmin(SlotsAdmin):
    title = "Limits"
    list_display = ("model", "slots", "waiting", "max_concurrent", "pause")
    list_editable = ("max_concurrent",)
    list_select_related = ("model",)
    search_fields = ("model__key",)
    ordering = ("model__key",)
    fieldsets = (
        (None, {"fields": ("model", "max_concurrent"), "description": EFFECT}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        return ("model",) if obj else ()

    @admin.display(description="Slots used")
    def slots(self, limit: ModelConcurrencyLimit) -> str:
        line = limit.line  # type: ignore[attr-defined]
        return display.capacity(line.used, limit.max_concurrent, held=limit.paused) if line else "–"

    @admin.display(description="Waiting")
    def waiting(self, limit: ModelConcurrencyLimit) -> str:
        line = limit.line  # type: ignore[attr-defined]
        return display.number(line.queued) if line else "–"


class RouteInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ModelRoute
    fields = readonly_fields = ("model", "endpoint_id", "active", "position")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(ProviderAccount)
class ProviderAccountAdmin(PolicyAdmin):
    list_display = ("key", "adapter", "bought_at", "max_concurrent", "lowered_by", "cooldown_until", "pause")
    search_fields = ("key", "adapter")
    ordering = ("key",)
    inlines = (RouteInline,)
    fieldsets = (
        (None, {"fields": ("key", "adapter", "base_url", "api_key_env", "options", "can_look_up", "trusts_list")}),
        ("Limit", {"fields": ("max_concurrent", "lowered_by", "lowered_at", "cooldown_until", "failures_in_a_row")}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )
    measured = ("cooldown_until", "lowered_by", "lowered_at", "failures_in_a_row")
    leads_the_key = ("base_url", "api_key_env")  # together they say where a secret is sent: superusers alone write them (I36)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ProviderAccount]:
        found: models.QuerySet[ProviderAccount] = super().get_queryset(request)
        return found.filter(pk__in=_with_adapter())

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "adapter":  # the adapters of this version, by name
            return forms.ChoiceField(choices=[(name, name) for name in registry.names()])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        shown = self.measured if request.user.is_superuser else (*self.measured, *self.leads_the_key)
        return ("key", *shown) if obj else shown

    @admin.display(description="Provider")
    def bought_at(self, account: ProviderAccount) -> str:
        if not account.is_preview:
            return display.with_sub(account.base_url, f"key from {account.api_key_env}")
        usable = "no API key: previews only" if account.is_usable else "no API key and ALLOW_STUDIO is off: unavailable"
        return display.with_sub("studio", usable)


@admin.register(ModelRoute)
class ModelRouteAdmin(PolicyAdmin):
    list_display = ("model", "account", "endpoint_id", "active", "needs_check", "checked_at", "reason", "position")
    list_filter = ("active", "needs_check", ("account", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("model", "account")
    search_fields = ("model__key", "endpoint_id")
    ordering = ("model", "position", "id")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ModelRoute]:
        found: models.QuerySet[ModelRoute] = super().get_queryset(request)
        return found.filter(account__in=_with_adapter())

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "account":
            kwargs["queryset"] = _with_adapter()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Kind)
class KindAdmin(PolicyAdmin):
    list_display = (
        *("key", "label", "medium", "restricted", "default_priority"),
        *("max_concurrent", "timeout_seconds", "max_attempts", "backoff"),
    )
    list_filter = ("medium", "restricted")
    ordering = ("key",)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        return CHOSEN_ONCE if obj else ()


@admin.register(QueueSettings)
class QueueSettingsAdmin(PolicyAdmin):
    title = "Queue settings"
    list_display = ("__str__", "max_concurrent", "peak_hours", "peak_factor", "pause")
    fieldsets = (
        ("Limits", {"fields": ("max_concurrent", "user_max_concurrent"), "description": "Apply to the next job."}),
        ("Peak hours", {"fields": ("peak_hours", "peak_factor")}),
        ("Order", {"fields": ("bulk_priority",)}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until"), "description": PAUSE}),
        ("Audit", {"fields": ("why",)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


def _with_adapter() -> models.QuerySet[ProviderAccount]:
    """The accounts that this version can buy at. Others are rows, and shown nowhere: what is set there has no effect."""
    return ProviderAccount.objects.filter(adapter__in=registry.names())
