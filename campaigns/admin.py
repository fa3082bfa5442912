"""Campaigns in the admin: launched campaigns are read-only; brands, rules and dimensions are edited and audited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse

from campaigns import cells as cell_reads
from campaigns.models import Brand, Campaign, Combination, ComplianceRule, Dimension, DimensionValue
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.model_admin import ExactSearch, NamedCells, PolicyAdmin, ReadOnlyAdmin, column

_LEVELS = {"clear": "No issues", "warn": "Allowed with a warning", "block": "Blocked"}
SEARCH = "Campaign number or exact owner name"
RETIRE = "Existing campaigns use it. Retire it instead to hide it from new campaigns."


class RuleInline(admin.StackedInline[ComplianceRule, Brand]):
    """A brand's own rules. The model checks their patterns, as everywhere."""

    model = ComplianceRule
    fields = (("name", "active"), ("kind", "severity"), "pattern", "reason", "instead")
    extra = 0
    verbose_name = "rule"
    verbose_name_plural = "brand rules"


@dataclass(frozen=True)
class BrandRow:
    """A brand in the list, with the number of its rules."""

    rules: int

    @column("Brand rules")
    def rule_count(self) -> str:
        return display.number(self.rules)


@admin.register(Brand)
class BrandAdmin(PolicyAdmin[Brand]):
    empty = "A campaign adds its brand. Add one here to give it a voice and rules of its own."
    may_be_deleted = True
    list_display = ("name", "voice_line", BrandRow.rule_count)
    search_fields = ("name",)
    ordering = ("name", "id")
    inlines = (RuleInline,)

    def rows(self, found: Sequence[Brand]) -> list[BrandRow]:
        rules = dict(ComplianceRule.objects.filter(brand__in=found).values_list("brand").annotate(models.Count("pk")))
        return [BrandRow(rules.get(brand.pk, 0)) for brand in found]

    @admin.display(description="Voice")
    def voice_line(self, brand: Brand) -> str:
        return display.clipped(brand.voice) if brand.voice else "–"


@admin.register(ComplianceRule)
class ComplianceRuleAdmin(PolicyAdmin[ComplianceRule]):
    may_be_deleted = True
    title = "Compliance rules"
    empty = "Without rules, every prompt is allowed. A rule blocks a text or warns about it."
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
    """A value whose key is chosen once: campaigns refer to it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and "key" in self.fields:
            self.fields["key"].disabled = True


class ValueFormSet(
    NamedCells[forms.ModelForm[DimensionValue]],
    forms.BaseInlineFormSet[DimensionValue, Dimension, forms.ModelForm[DimensionValue]],
):
    """The values of one dimension. A value that a campaign uses is retired, never deleted."""

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


@dataclass(frozen=True)
class DimensionRow:
    """A dimension in the list, with the number of its values that are not retired."""

    values: int

    @column("Active values")
    def offered(self) -> str:
        return display.number(self.values)


@admin.register(Dimension)
class DimensionAdmin(PolicyAdmin[Dimension]):
    empty = "Without dimensions, no campaign can be launched. manage.py seed_catalogue adds the usual ones."
    may_be_deleted = True
    list_display = ("label", "key", "prompt_label", DimensionRow.offered, "position", "retired")
    list_editable = ("position", "retired")
    search_fields = ("key", "label")
    ordering = ("position", "id")
    inlines = (ValueInline,)
    actions = None  # dimensions are deleted one by one, so that each can say why it must stay
    fieldsets = (
        (None, {"fields": ("key", "label", "prompt_label")}),
        ("Availability", {"fields": ("position", "retired"), "description": "Lower positions come first."}),
    )

    def rows(self, found: Sequence[Dimension]) -> list[DimensionRow]:
        active = DimensionValue.objects.filter(dimension__in=found, retired=False)
        values = dict(active.values_list("dimension").annotate(models.Count("pk")))
        return [DimensionRow(values.get(dimension.pk, 0)) for dimension in found]

    def get_readonly_fields(self, request: HttpRequest, obj: Dimension | None = None) -> tuple[str, ...]:
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Dimension | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and campaigns_with(obj).exists())


def _made_by(word: str, campaign: str = "") -> dict[str, Any]:
    """Return the filter for rows of a campaign with this number or of this owner. ``campaign``: the path from a row to it."""
    if number := numbers.of_row(word):
        return {f"{campaign}pk": number}
    return {f"{campaign}batch__owner__username": word}


@admin.register(Campaign)
class CampaignAdmin(ExactSearch, ReadOnlyAdmin[Campaign]):
    empty = "Campaigns that users launch appear here."
    list_display = ("name", "owner", "brand", "model", "made_at", "jobs")
    list_select_related = ("batch__owner", "brand", "model")
    search_fields = ("batch",)
    search_help_text = SEARCH
    ordering = ("-batch",)
    fieldsets = (
        (None, {"fields": ("name", "owner", "jobs", "made_at", "brand", "product_category")}),
        ("Brief", {"fields": ("big_idea", "visual_messaging", "audio_messaging")}),
        ("Matrix", {"fields": ("chosen", "exclude", "cells")}),
        ("Production", {"fields": ("model", "parameters", "priority")}),
    )
    readonly_fields = ("owner", "jobs", "made_at", "chosen", "cells")

    def found_by(self, word: str) -> dict[str, Any]:
        return _made_by(word)

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
class CombinationAdmin(ExactSearch, ReadOnlyAdmin[Combination]):
    empty = "The combinations of launched campaigns appear here."
    list_display = ("number", "of", "what", "state", "review", "job_link")
    list_filter = ("review", "blocked")
    list_select_related = ("campaign", "job", "reviewed_by")
    search_fields = ("campaign",)
    search_help_text = SEARCH
    ordering = ("-campaign", "index")
    fields = ("of", "number", "what", "prompt", "verdict", "job_link", "state", "review", "reviewed_by", "reviewed_at", "note")
    readonly_fields = ("of", "number", "what", "verdict", "job_link", "state")

    def found_by(self, word: str) -> dict[str, Any]:
        return _made_by(word, "campaign__")

    @admin.display(description="Number")
    def number(self, cell: Combination) -> str:
        return display.number(cell.index)

    @admin.display(description="Campaign")
    def of(self, cell: Combination) -> str:
        return display.link(reverse("campaigns:page", args=[cell.campaign_id]), cell.campaign.name)

    @admin.display(description="Combination")
    def what(self, cell: Combination) -> str:
        values = {key: cell.values[key] for key in cell.campaign.dimensions}  # in the campaign's order: JSON keeps none
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
    """Return the campaigns that use a dimension, or one value of it."""
    made = Campaign.objects.annotate(made_with=Cast("dimensions", models.JSONField()))
    if value is None:
        return made.filter(made_with__has_key=dimension.key)
    return made.filter(models.Q(made_with__contains={dimension.key: [value.key]}))
