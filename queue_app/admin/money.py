"""Wallets and the ledger: shown here, moved only by actions with a reason (I39)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from queue_app import clock
from queue_app.models import LedgerEntry, LedgerTransaction, Reservation, Wallet
from queue_app.rules import numbers
from queue_app.ui import display, pages
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, column, job_link

Side = LedgerEntry.Side
LATELY = timedelta(days=30)
SHOWN = 50  # movements on the page of a wallet


@dataclass(frozen=True)
class WalletRow:
    """A wallet in the list: the tickets charged in the last 30 days."""

    charged: int

    @column("Charged, last 30 days")
    def captured(self) -> str:
        return display.number(self.charged)


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin[Wallet]):
    title = "Wallets"
    empty = "Each user has a wallet. Add a user, then grant tickets."
    list_display = ("owner", "available_now", "reserved_now", WalletRow.captured)
    list_display_links = ("owner",)
    list_select_related = ("owner",)
    search_fields = ("owner__username",)
    search_help_text = "Search usernames"
    ordering = ("owner__username", "id")
    change_list_template = "admin/queue_app/wallet/change_list.html"

    def rows(self, found: Sequence[Wallet]) -> list[WalletRow]:
        charged = LedgerTransaction.Kind.CAPTURE
        spent = LedgerEntry.objects.filter(
            wallet__in=found, side=Side.SPENT, transaction__kind=charged, transaction__at__gt=clock.now() - LATELY
        )
        sums = dict(spent.order_by().values_list("wallet").annotate(Sum("amount")))
        return [WalletRow(sums.get(wallet.pk, 0)) for wallet in found]

    @admin.display(description="Available", ordering="available")
    def available_now(self, wallet: Wallet) -> str:
        return display.number(wallet.available)

    @admin.display(description="Reserved", ordering="reserved")
    def reserved_now(self, wallet: Wallet) -> str:
        return display.number(wallet.reserved)


@pages.of_row(Wallet)
def wallet_page(request: HttpRequest, wallet: Wallet) -> HttpResponse:
    """Show the balances and the last movements of a wallet."""
    shown = {**admin.site.each_context(request), **_of(wallet), "opts": Wallet._meta, "title": f"Wallet of {wallet.owner}"}
    return TemplateResponse(request, "admin/queue_app/wallet/change_form.html", shown)


def _of(wallet: Wallet) -> dict[str, Any]:
    """Return the balances, the sums of the last 30 days, and the last movements."""
    at = clock.now()
    lately = LedgerTransaction.objects.filter(wallet=wallet, at__gt=at - LATELY)
    moved = LedgerEntry.objects.filter(transaction__in=lately, amount__gt=0).order_by()
    last = LedgerTransaction.objects.filter(wallet=wallet).select_related("reservation").prefetch_related("entries")
    rows = list(last.order_by("-id")[: SHOWN + 1])
    return {
        "wallet": wallet,
        "lately": dict(moved.values_list("transaction__kind").annotate(Sum("amount"))),
        "movements": [_movement(row, at) for row in rows[:SHOWN]],
        "more": len(rows) > SHOWN,
    }


def _movement(row: LedgerTransaction, at: datetime) -> dict[str, Any]:
    by_side = {entry.side: entry.amount for entry in row.entries.all()}
    return {
        "row": row,
        "at": display.clock_time(row.at, at),
        "available": _signed(by_side.get(Side.AVAILABLE, 0)),
        "reserved": _signed(by_side.get(Side.RESERVED, 0)),
    }


def _signed(amount: int) -> str:
    sign = "+" if amount > 0 else "−"
    return f"{sign}{display.number(abs(amount))}" if amount else "–"


class EntryInline(admin.TabularInline[LedgerEntry, LedgerTransaction]):
    model = LedgerEntry
    fields = readonly_fields = ("side", "wallet", "amount")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(ExactSearch, ReadOnlyAdmin[LedgerTransaction]):
    title = "Ledger"
    empty = "Every movement of tickets appears here. Grant tickets to begin."
    list_display = ("when", "kind", "wallet_link", "amount", "job", "who", "key")
    list_display_links = ("when",)
    list_filter = ("kind",)
    list_select_related = ("wallet__owner", "reservation")
    search_fields = ("key", "wallet__owner__username")
    search_help_text = "Job number, exact username, or a key such as settle:12"
    ordering = ("-id",)
    inlines = (EntryInline,)
    change_list_template = "admin/queue_app/ledgertransaction/change_list.html"

    def found_by(self, word: str) -> dict[str, Any]:
        if number := numbers.of_row(word):
            return {"reservation__job": number}
        return {"key": word} if ":" in word else {"wallet__owner__username": word}

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerTransaction]:
        return super().get_queryset(request).prefetch_related("entries")

    @admin.display(description="When")
    def when(self, entry: LedgerTransaction) -> str:
        return display.when(entry.at)

    @admin.display(description="Wallet")
    def wallet_link(self, entry: LedgerTransaction) -> str:
        return display.link(reverse("admin:queue_app_wallet_change", args=[entry.wallet_id]), entry.wallet.owner.username)

    @admin.display(description="Tickets")
    def amount(self, entry: LedgerTransaction) -> str:
        return display.number(max((leg.amount for leg in entry.entries.all()), default=0))

    @admin.display(description="Job")
    def job(self, entry: LedgerTransaction) -> str:
        if entry.reservation is None:
            return "–"
        number = entry.reservation.job_id
        return display.link(reverse("admin:queue_app_job_change", args=[number]), display.number(number))

    @admin.display(description="By")
    def who(self, entry: LedgerTransaction) -> str:
        return display.with_sub(entry.actor, display.clipped(entry.reason) if entry.reason else "")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ExactSearch, ReadOnlyAdmin[LedgerEntry]):
    empty = "The entries of every movement of tickets appear here."
    list_display = ("id", "transaction", "wallet", "side", "amount")
    list_filter = ("side",)
    list_select_related = ("transaction", "wallet__owner")
    search_fields = ("transaction__key",)
    search_help_text = "Transaction key, such as settle:12"
    ordering = ("-id",)

    def found_by(self, word: str) -> dict[str, Any]:
        return {"transaction__key": word}


@admin.register(Reservation)
class ReservationAdmin(ExactSearch, ReadOnlyAdmin[Reservation]):
    empty = "Tickets reserved for jobs appear here."
    list_display = ("id", job_link, "wallet", "amount", "state", "created_at", "settled_at")
    list_display_links = None
    list_filter = ("state",)
    list_select_related = ("wallet__owner",)
    ordering = ("-id",)
