"""The page of a provider account: connection, models, failures, speed and cost; and the test of its connection."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app.insight import accounts as insight
from queue_app.insight.accounts import AccountFacts, RouteFacts
from queue_app.models import ProviderAccount
from queue_app.providers import registry
from queue_app.rules import limits
from queue_app.rules.words import one_line
from queue_app.ui import display, pages
from queue_app.work import accounts, budgets, capacity, connection


@dataclass(frozen=True)
class Meter:
    """The part of a budget that is spent, in percent; ``over`` once it is all."""

    percent: int
    over: bool


def about(account: ProviderAccount, *, at: datetime) -> dict[str, Any]:
    """Return what the page shows above the form."""
    facts = insight.look(account, at=at)
    steps = limits.steps_back(by=account.lowered_by, since=account.lowered_at)
    return {
        "badge": _badge(account, at),
        "is_paused": limits.is_closed(account.paused, account.paused_until, at=at),
        "facts": display.chips([account.adapter, "previews only" if account.is_preview else "API key set"]),
        "key_variable": account.api_key_env,
        "has_key": bool(settings.PROVIDER_KEYS.get(account.api_key_env)),
        "goes_to": settings.STUDIO_URL if account.is_preview else account.base_url,
        "is_preview": account.is_preview,
        "is_usable": account.is_usable,
        "webhooks": _webhooks(account, facts, at),
        "limit": _limit(account, facts.running, at),
        "cooling": account.cooldown_until is not None and account.cooldown_until > at,
        "lowered": limits.steps_off(by=account.lowered_by, since=account.lowered_at, at=at),
        "until": display.moment(account.cooldown_until, at) if account.cooldown_until else "",
        "back": [display.moment(one, at) for one in steps if one > at],
        "routes": [_route(one) for one in facts.routes],
        "offered": sum(one.route.active for one in facts.routes),
        "failures": [
            {"at": display.clock_time(one.at, at), "job": one.job, "kind": one.kind, "words": one_line(one.words)[:300]}
            for one in facts.failures
        ],
        "calls": facts.latency.calls,
        "median": _milliseconds(facts.latency.median),
        "p95": _milliseconds(facts.latency.p95),
        "today": facts.today,
        "month": facts.month,
        "repeated": facts.repeated,
        "budget": account.daily_budget_usd,
        "left": max(account.daily_budget_usd - facts.today.total, 0) if account.daily_budget_usd else None,
        "meter": _meter(account, facts),
        "day_ends": display.moment(budgets.day_of(at)[1], at),
    }


def test(request: HttpRequest, object_id: str) -> HttpResponse:
    """
    Test the connection of an account, and lead back to its page.

    :raises PermissionDenied: the user may not edit the account.
    """
    rows = admin.site.get_model_admin(ProviderAccount)
    account = rows.get_object(request, unquote(object_id))
    if account is None:
        return pages.not_there(request, rows.opts, object_id)
    if not rows.has_change_permission(request, account):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    result = connection.probe(account)
    (messages.success if result.works else messages.error)(request, " ".join(result.words.split()))
    return HttpResponseRedirect(reverse("admin:queue_app_provideraccount_change", args=[account.pk]))


def _badge(account: ProviderAccount, at: datetime) -> SafeString:
    if limits.is_closed(account.paused, account.paused_until, at=at):
        until = f" until {display.moment(account.paused_until, at)}" if account.paused_until else ""
        return display.badge("warn", f"Paused{until}", "pause")
    if account.cooldown_until and account.cooldown_until > at:
        return display.badge("warn", f"Cooling down until {display.moment(account.cooldown_until, at)}")
    if not account.is_usable:
        return display.badge("failed", "No API key")
    return display.badge("queued", "Previews", "play") if account.is_preview else display.badge("completed", "Ready")


def _webhooks(account: ProviderAccount, facts: AccountFacts, at: datetime) -> dict[str, Any]:
    """Return the badge of the webhooks and a sentence about them, with the address to register at the provider, if any."""
    caps = registry.get(accounts.present_config(account)).caps
    address = f"{settings.WEBHOOK_URL}{reverse('webhooks-of-account', args=[account.pk])}" if settings.WEBHOOK_URL else ""
    is_own = caps["webhooks"] == "per_account"
    if facts.last_webhook:
        count = display.number(facts.webhooks)
        words = f"last one {display.moment(facts.last_webhook, at)}, {count} in the last 24 hours"
        return {"badge": display.badge("completed", "Verified"), "words": words, "address": address if is_own else ""}
    if caps["webhooks"] == "none":
        wanted = account.webhook_secret_env
        words = f"{wanted} is not set" if wanted and not account.is_preview else "this provider sends none that we can verify"
        return {"badge": "", "words": f"Off: {words}. Tasks are checked on a schedule.", "address": ""}
    if not settings.WEBHOOK_URL or not (account.is_preview or settings.WEBHOOK_URL.startswith("https://")):
        words = "Off: set PUBLIC_URL or WEBHOOK_URL to an https address that this provider can reach."
        return {"badge": "", "words": words, "address": ""}
    return {"badge": "", "words": "None received yet.", "address": address if is_own else ""}


def _limit(account: ProviderAccount, running: int, at: datetime) -> str:
    now = capacity.account_limit(account, at=at)
    return display.capacity(running, now) if now else f"{display.number(running)} running, no limit"


def _route(one: RouteFacts) -> dict[str, Any]:
    return {
        "route": one.route,
        "typical": display.duration(one.seconds) if one.seconds is not None else "–",
        "failed": f"{display.number(one.failed)} of {display.number(one.ended)}" if one.ended else "–",
    }


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{round(1000 * seconds):,} ms"


def _meter(account: ProviderAccount, facts: AccountFacts) -> Meter | None:
    if not account.daily_budget_usd:
        return None
    percent = int(100 * facts.today.total / account.daily_budget_usd)
    return Meter(min(100, percent), percent >= 100)
