"""Ticket budgets of users, campaigns and API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.admin.policy_forms import PolicyForm
from queue_app.models import TicketBudget
from queue_app.models.budget import SCOPES
from queue_app.rules.numbers import counted
from queue_app.ui import display
from queue_app.ui.access import staff
from queue_app.ui.model_admin import PolicyAdmin, column
from queue_app.work import ticket_budgets
from queue_app.work.ticket_budgets import BudgetStanding


@dataclass(frozen=True)
class BudgetRow:
    """A budget in the list, as it stands."""

    of: BudgetStanding | None
    waiting: int
    at: Any

    @column("Used")
    def used(self) -> str:
        if self.of is None:
            return "removed"
        return f"{display.number(self.of.used)} of {display.number(self.of.budget.tickets)}"

    @column("Waiting")
    def waits(self) -> SafeString | str:
        return display.badge("warn", counted(self.waiting, "job"), "pause") if self.waiting else "–"

    @column("Starts again")
    def again(self) -> str:
        return display.moment(self.of.until, self.at) if self.of and self.of.until else "–"


@admin.register(TicketBudget)
class TicketBudgetAdmin(PolicyAdmin[TicketBudget]):
    """Staff see all budgets and edit them; owners edit those of their campaigns and keys on their own pages."""

    title = "Ticket budgets"
    empty = "A budget limits the tickets of a user, a campaign or an API key. Jobs beyond it wait. Add one here."
    form = PolicyForm
    may_be_deleted = True
    list_display = ("whose", "period", BudgetRow.used, BudgetRow.waits, BudgetRow.again)
    list_filter = ("period",)
    list_select_related = ("user", "batch__owner", "key__user")
    search_fields = ("user__username", "batch__name", "batch__owner__username", "key__name", "key__user__username")
    ordering = ("-id",)
    sortable_by = ()
    raw_id_fields = SCOPES
    formfield_overrides: ClassVar[Any] = {
        **PolicyAdmin.formfield_overrides,
        models.TimeField: {"widget": forms.TimeInput(attrs={"type": "time"}, format="%H:%M")},
    }
    fieldsets = (
        ("Whose jobs", {"fields": SCOPES, "description": "Exactly one of them. It can't be changed later."}),
        (None, {"fields": ("tickets", "period", "resets_at", "why")}),
    )

    @admin.display(description="For")
    def whose(self, budget: TicketBudget) -> str:
        return budget.scope_name

    def rows(self, found: Sequence[TicketBudget]) -> list[BudgetRow]:
        at = clock.now()
        known = ticket_budgets.standings(TicketBudget.objects.filter(pk__in=[row.pk for row in found]), at=at)
        stands = {one.budget.pk: one for one in known}
        return [BudgetRow(stands.get(row.pk), _waiting(row, stands.get(row.pk)), at) for row in found]

    def get_readonly_fields(self, request: HttpRequest, obj: TicketBudget | None = None) -> tuple[str, ...]:
        return SCOPES if obj else ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in {f"{scope}__id__exact" for scope in SCOPES} or super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: TicketBudget, form: Any, change: bool) -> None:
        names = form.changed_data if change else form.cleaned_data
        values = {name: form.cleaned_data[name] for name in names if name in ("tickets", "period", "resets_at")}
        reason = form.cleaned_data.get("why", "")
        ticket_budgets.save(obj, values if change else {}, at=clock.now(), actor=staff(request), reason=reason)

    def delete_model(self, request: HttpRequest, obj: TicketBudget) -> None:
        ticket_budgets.remove(obj, at=clock.now(), actor=staff(request))
        messages.info(request, "Waiting jobs of this budget are released.")


def _waiting(row: TicketBudget, stands: BudgetStanding | None) -> int:
    """Return the number of jobs that wait for a budget; counted only where jobs are on hold for it."""
    return sum(ticket_budgets.waiting(row, used=stands.used)) if stands and row.held_since else 0
