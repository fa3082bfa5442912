"""Campaigns in the admin: what was asked for is shown, never edited; brands, rules and dimensions are edited, and audited."""

from typing import Any, TypedDict

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django_stubs_ext import WithAnnotations

from campaigns import cells as cell_reads
from campaigns.models import Brand, Campaign, Combination, ComplianceRule, Dimension, DimensionValue
from queue_app import clock
from queue_app.models import User
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.model_admin import FastAdmin, FoundExactly, NamedCells
from queue_app.work import policy

_LEVELS = {"clear": "No issues", "warn": "Allowed with a warning", "block": "Blocked"}
Facts = dict[str, Any]  # field → value
RETIRE = "Existing campaigns use it. Retire it instead to hide it from new campaigns."


class _RulesMade(TypedDict):
    rules_made: int


class _ValuesOffered(TypedDict):
    values_offered: int


class AuditedAdmin(FastAdmin):
    """Rows of the catalogue: each addition, change and deletion is written into the audit, those of inlines too."""

    def save_model(self, request: HttpRequest, obj: models.Model, form: forms.ModelForm[Any], change: bool) -> None:
        super().save_model(request, obj, form, change)
        _audit_form(request, form, is_new=not change, of=obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for obj in formset.deleted_objects:  # gone already: the row that held it shows it
            _audit(request, "delete", obj, before=_facts(obj), of=form.instance)
        new = {id(obj) for obj in formset.new_objects}
        for one in formset.forms:
            if one.instance.pk and one.has_changed() and one not in formset.deleted_forms:
                has_page = self.admin_site.is_registered(type(one.instance))
                of = one.instance if has_page else form.instance
                _audit_form(request, one, is_new=id(one.instance) in new, of=of)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        _audit(request, "delete", obj, before=_facts(obj), of=obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            _audit(request, "delete", obj, before=_facts(obj), of=obj)
        super().delete_queryset(request, queryset)


class RuleInline(admin.StackedInline[ComplianceRule, Brand]):
    """A brand's own rules; their patterns are checked as everywhere, by the model."""

    model = ComplianceRule
    fields = (("name", "active"), ("kind", "severity"), "pattern", "reason", "instead")
    extra = 0
    verbose_name = "rule"
    verbose_name_plural = "brand rules"


@admin.register(Brand)
class BrandAdmin(AuditedAdmin):
    list_display = ("name", "voice_line", "rule_count")
    search_fields = ("name",)
    ordering = ("name", "id")
    inlines = (RuleInline,)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Brand]:
        brands: models.QuerySet[Brand] = super().get_queryset(request)
        return brands.annotate(rules_made=models.Count("rules"))

    @admin.display(description="Voice")
    def voice_line(self, brand: Brand) -> str:
        return display.clipped(brand.voice) if brand.voice else "–"

    @admin.display(description="Brand rules")
    def rule_count(self, brand: "WithAnnotations[Brand, _RulesMade]") -> str:
        return display.number(brand.rules_made)


@admin.register(ComplianceRule)
class ComplianceRuleAdmin(AuditedAdmin):
    title = "Compliance rules"
    list_display = ("name", "holds_for", "kind", "pattern_line", "severity", "instead", "active")
    list_filter = ("severity", "kind", "active")
    list_select_related = ("brand",)
    search_fields = ("name", "pattern", "reason")
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "brand", "active")}),
        ("Forbidden text", {"fields": ("kind", "pattern", "severity")}),
        ("Message to users", {"fields": ("reason", "instead")}),
    )

    @admin.display(description="Brand", ordering="brand__name")
    def holds_for(self, rule: ComplianceRule) -> str:
        return str(rule.brand or "all brands")

    @admin.display(description="Term or pattern")
    def pattern_line(self, rule: ComplianceRule) -> str:
        return display.clipped(rule.pattern)


class ValueForm(forms.ModelForm[DimensionValue]):
    """A value whose key is chosen once: campaigns keep it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and "key" in self.fields:
            self.fields["key"].disabled = True


class ValueFormSet(NamedCells, forms.BaseInlineFormSet[DimensionValue, Dimension, forms.ModelForm[DimensionValue]]):
    """Values of one dimension; one that a campaign was made with is retired, never deleted."""

    def clean(self) -> None:
        super().clean()
        for form in self.deleted_forms:
            value = form.instance
            if value.pk and campaigns_with(self.instance, value).exists():
                raise ValidationError(f"“{value.label}” can't be deleted. {RETIRE}")


class ValueInline(admin.TabularInline[DimensionValue, Dimension]):
    model = DimensionValue
    form = ValueForm
    formset = ValueFormSet
    fields = ("key", "label", "position", "retired")
    ordering = ("position", "id")
    extra = 0


@admin.register(Dimension)
class DimensionAdmin(AuditedAdmin):
    list_display = ("label", "key", "prompt_label", "offered", "position", "retired")
    list_editable = ("position", "retired")
    search_fields = ("key", "label")
    ordering = ("position", "id")
    inlines = (ValueInline,)
    actions = None  # several are deleted one by one, so that each can say why it stays
    fieldsets = (
        (None, {"fields": ("key", "label", "prompt_label")}),
        ("Availability", {"fields": ("position", "retired"), "description": "Lower positions come first."}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Dimension]:
        dimensions: models.QuerySet[Dimension] = super().get_queryset(request)
        return dimensions.annotate(values_offered=models.Count("values", filter=models.Q(values__retired=False)))

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        is_kept = isinstance(obj, Dimension) and campaigns_with(obj).exists()
        return super().has_delete_permission(request, obj) and not is_kept

    @admin.display(description="Active values")
    def offered(self, dimension: "WithAnnotations[Dimension, _ValuesOffered]") -> str:
        return display.number(dimension.values_offered)


class ShownAdmin(FoundExactly):
    """Rows that were made by a launch; found by a campaign's number or by words of its name."""

    search_help_text = "Campaign number or exact owner name"
    campaign = ""  # how the row leads to its campaign

    def found_by(self, word: str) -> dict[str, Any] | None:
        if number := numbers.of_row(word):
            return {f"{self.campaign}pk": number}
        return {f"{self.campaign}batch__owner__username": word}


@admin.register(Campaign)
class CampaignAdmin(ShownAdmin):
    list_display = ("name", "owner", "brand", "model", "made_at", "jobs")
    list_select_related = ("batch__owner", "brand", "model")
    search_fields = ("batch",)
    ordering = ("-batch",)
    fieldsets = (
        (None, {"fields": ("name", "owner", "jobs", "made_at", "brand", "product_category")}),
        ("Brief", {"fields": ("big_idea", "visual_messaging", "audio_messaging")}),
        ("Matrix", {"fields": ("chosen", "exclude", "cells")}),
        ("Production", {"fields": ("model", "parameters", "priority")}),
    )
    readonly_fields = ("owner", "jobs", "made_at", "chosen", "cells")

    @admin.display(description="Owner")
    def owner(self, campaign: Campaign) -> str:
        return campaign.batch.owner.username

    @admin.display(description="Launched", ordering="-batch")
    def made_at(self, campaign: Campaign) -> str:
        return display.when(campaign.created_at)

    @admin.display(description="Jobs")
    def jobs(self, campaign: Campaign) -> str:
        return display.link(f"{reverse('admin:queue_app_job_changelist')}?campaign={campaign.pk}", "Jobs")

    @admin.display(description="Combinations")
    def cells(self, campaign: Campaign) -> str:
        return display.link(f"{reverse('admin:campaigns_combination_changelist')}?q={campaign.pk}", "Combinations")

    @admin.display(description="Dimensions")
    def chosen(self, campaign: Campaign) -> str:
        labels = campaign.labels
        said = (
            f"{labels.get(key, {}).get('label', key)}: {', '.join(cell_reads.label_of(labels, key, value) for value in values)}"
            for key, values in campaign.dimensions.items()
        )
        return display.chips(said)


@admin.register(Combination)
class CombinationAdmin(ShownAdmin):
    campaign = "campaign__"
    list_display = ("number", "of", "what", "state", "review", "job_link")
    list_filter = ("review", "blocked")
    list_select_related = ("campaign", "job", "reviewed_by")
    search_fields = ("campaign",)
    ordering = ("-campaign", "index")
    fields = ("of", "number", "what", "prompt", "verdict", "job_link", "state", "review", "reviewed_by", "reviewed_at", "note")
    readonly_fields = ("of", "number", "what", "verdict", "job_link", "state")

    @admin.display(description="Number")
    def number(self, cell: Combination) -> str:
        return display.number(cell.index)

    @admin.display(description="Campaign")
    def of(self, cell: Combination) -> str:
        return display.link(reverse("campaigns:page", args=[cell.campaign_id]), cell.campaign.name)

    @admin.display(description="Combination")
    def what(self, cell: Combination) -> str:
        values = {key: cell.values[key] for key in cell.campaign.dimensions}  # in its order: JSON of the database keeps none
        return cell_reads.name(values, cell.campaign.labels)

    @admin.display(description="Compliance")
    def verdict(self, cell: Combination) -> str:
        hits = [
            f"{hit['rule']}, “{hit['matched']}”: {hit['reason']}" if hit["matched"] else hit["reason"]
            for hit in cell.compliance.get("hits", ())
        ]
        return display.with_sub(_LEVELS[cell.compliance.get("level", "clear")], " ".join(hits))

    @admin.display(description="Status")
    def state(self, cell: Combination) -> str:
        return display.badge(cell.job.state) if cell.job else "Blocked"

    @admin.display(description="Job")
    def job_link(self, cell: Combination) -> str:
        if cell.job_id is None:
            return "–"
        return display.link(reverse("admin:queue_app_job_change", args=[cell.job_id]), display.number(cell.job_id))


def campaigns_with(dimension: Dimension, value: DimensionValue | None = None) -> models.QuerySet[Campaign]:
    """The campaigns that were made with a dimension, or with one value of it."""
    made = Campaign.objects.annotate(made_with=Cast("dimensions", models.JSONField()))
    if value is None:
        return made.filter(made_with__has_key=dimension.key)
    return made.filter(models.Q(made_with__contains={dimension.key: [value.key]}))


def _audit_form(request: HttpRequest, form: Any, *, is_new: bool, of: models.Model) -> None:
    """What a saved form has changed; the page of ``of`` shows it."""
    if is_new:
        _audit(request, "add", form.instance, after=_facts(form.instance), of=of)
    elif form.changed_data:
        before = {name: form.initial.get(name) for name in form.changed_data}
        _audit(request, "change", form.instance, before=before, after=_facts(form.instance, form.changed_data), of=of)


def _audit(
    request: HttpRequest,
    verb: str,
    obj: models.Model,
    *,
    of: models.Model,
    before: Facts | None = None,
    after: Facts | None = None,
) -> None:
    assert isinstance(request.user, User)
    action, at = f"{verb} {obj._meta.verbose_name}", clock.now()
    policy.audit(action[:60], str(obj)[:200], at=at, actor=request.user, before=before, after=after, of=of)


def _facts(obj: models.Model, names: list[str] | None = None) -> Facts:
    wanted = [field for field in obj._meta.concrete_fields if names is None or field.name in names]
    return {field.name: getattr(obj, field.attname) for field in wanted}
