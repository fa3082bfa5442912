"""Wallets and the ledger: shown, and moved only by actions with a reason (I39)."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app.admin.base import FoundExactly, OfJob, ReadOnlyAdmin
from queue_app.models import LedgerEntry, LedgerTransaction, Reservation, Wallet


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ("owner", "available", "reserved")
    list_select_related = ("owner",)
    search_fields = ("owner__username",)
    ordering = ("owner__username", "id")


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]
    model = LedgerEntry
    fields = readonly_fields = ("side", "wallet", "amount")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(FoundExactly):
    title = "Ledger"
    list_display = ("at", "kind", "wallet", "amount", "job", "actor", "reason", "key")
    list_filter = ("kind",)
    list_select_related = ("wallet__owner", "reservation")
    search_fields = ("key", "wallet__owner__username")
    search_help_text = "A key such as settle:12, or a user's whole name"
    ordering = ("-id",)
    inlines = (EntryInline,)

    def found_by(self, word: str) -> dict[str, Any]:
        return {"key": word} if ":" in word else {"wallet__owner__username": word}

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerTransaction]:
        return super().get_queryset(request).prefetch_related("entries")

    @admin.display(description="Tickets")
    def amount(self, entry: LedgerTransaction) -> int:
        return max(leg.amount for leg in entry.entries.all())

    @admin.display(description="Job")
    def job(self, entry: LedgerTransaction) -> str:
        return str(entry.reservation.job_id) if entry.reservation else "–"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(FoundExactly):
    list_display = ("id", "transaction", "wallet", "side", "amount")
    list_filter = ("side",)
    list_select_related = ("transaction", "wallet__owner")
    search_fields = ("transaction__key",)
    search_help_text = "A transaction's key, such as settle:12"
    ordering = ("-id",)

    def found_by(self, word: str) -> dict[str, Any]:
        return {"transaction__key": word}


@admin.register(Reservation)
class ReservationAdmin(OfJob):
    list_display = ("id", "job_link", "wallet", "amount", "state", "created_at", "settled_at")
    list_filter = ("state",)
    list_select_related = ("wallet__owner",)
    ordering = ("-id",)
