"""Wallets and the ledger: shown, and moved only by actions with a reason (I39)."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app.admin.base import ReadOnlyAdmin
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
class LedgerTransactionAdmin(ReadOnlyAdmin):
    title = "Ledger"
    list_display = ("at", "kind", "wallet", "amount", "job", "actor", "reason", "key")
    list_filter = ("kind",)
    list_select_related = ("wallet__owner", "reservation")
    search_fields = ("=key", "=wallet__owner__username")
    search_help_text = "A key such as settle:12, or a user's name"
    ordering = ("-id",)
    inlines = (EntryInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerTransaction]:
        return super().get_queryset(request).prefetch_related("entries")

    @admin.display(description="Tickets")
    def amount(self, entry: LedgerTransaction) -> int:
        return max(leg.amount for leg in entry.entries.all())

    @admin.display(description="Job")
    def job(self, entry: LedgerTransaction) -> str:
        return str(entry.reservation.job_id) if entry.reservation else "–"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "transaction", "wallet", "side", "amount")
    list_filter = ("side",)
    list_select_related = ("transaction", "wallet__owner")
    search_fields = ("=transaction__key",)
    ordering = ("-id",)


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ("id", "job", "wallet", "amount", "state", "created_at", "settled_at")
    list_filter = ("state",)
    list_select_related = ("job", "wallet__owner")
    search_fields = ("=job__id",)
    ordering = ("-id",)
