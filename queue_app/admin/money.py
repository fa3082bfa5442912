"""Wallets and the ledger: shown, and moved only by actions with a reason (I39)."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from queue_app import clock
from queue_app.admin import grants
from queue_app.models import LedgerEntry, LedgerTransaction, Reservation, Wallet
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.model_admin import FoundExactly, OfJob, ReadOnlyAdmin

Kind, Side = LedgerTransaction.Kind, LedgerEntry.Side
LATELY = timedelta(days=30)
SHOWN = 50  # movements on a wallet's page


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    title = "Wallets"
    list_display = ("owner", "available_now", "reserved_now", "captured")
    list_display_links = ("owner",)
    list_select_related = ("owner",)
    search_fields = ("owner__username",)
    search_help_text = "Search usernames"
    ordering = ("owner__username", "id")
    change_list_template = "admin/queue_app/wallet/change_list.html"

    def dress(self, rows: list[Wallet]) -> None:
        spent = LedgerEntry.objects.filter(
            wallet__in=rows, side=Side.SPENT, transaction__kind=Kind.CAPTURE, transaction__at__gt=clock.now() - LATELY
        )
        sums = dict(spent.order_by().values_list("wallet").annotate(Sum("amount")))
        for row in rows:
            row.captured_lately = sums.get(row.pk, 0)  # type: ignore[attr-defined]

    @admin.display(description="Available", ordering="available")
    def available_now(self, wallet: Wallet) -> str:
        return display.number(wallet.available)

    @admin.display(description="Reserved", ordering="reserved")
    def reserved_now(self, wallet: Wallet) -> str:
        return display.number(wallet.reserved)

    @admin.display(description="Charged, last 30 days")
    def captured(self, wallet: Wallet) -> str:
        return display.number(wallet.captured_lately)  # type: ignore[attr-defined]

    def get_urls(self) -> list[URLPattern]:
        grant = path("grant/", self.admin_site.admin_view(self.grant_view), name="queue_app_wallet_grant")
        return [grant, *super().get_urls()]

    def grant_view(self, request: HttpRequest) -> HttpResponse:
        return grants.view(self, request)

    def page(self, request: HttpRequest, row: Wallet) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **_of(row),
            "opts": self.opts,
            "title": f"Wallet of {row.owner}",
        }
        return TemplateResponse(request, "admin/queue_app/wallet/change_form.html", context)


def _of(wallet: Wallet) -> dict[str, Any]:
    """The balances, what the last 30 days moved, and the last movements."""
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


def _movement(row: LedgerTransaction, at: Any) -> dict[str, Any]:
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
class LedgerEntryAdmin(FoundExactly):
    list_display = ("id", "transaction", "wallet", "side", "amount")
    list_filter = ("side",)
    list_select_related = ("transaction", "wallet__owner")
    search_fields = ("transaction__key",)
    search_help_text = "Transaction key, such as settle:12"
    ordering = ("-id",)

    def found_by(self, word: str) -> dict[str, Any]:
        return {"transaction__key": word}


@admin.register(Reservation)
class ReservationAdmin(OfJob):
    list_display = ("id", "job_link", "wallet", "amount", "state", "created_at", "settled_at")
    list_filter = ("state",)
    list_select_related = ("wallet__owner",)
    ordering = ("-id",)
