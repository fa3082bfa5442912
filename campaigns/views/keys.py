"""The user's own API keys: create one, see it once, rename, renew and revoke them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from queue_app import clock, tickets
from queue_app.models import ApiKey, TicketBudget, User
from queue_app.rules import numbers
from queue_app.rules.words import one_line
from queue_app.ui.access import viewer
from queue_app.work import keys, ticket_budgets
from queue_app.work.keys import KeyProblem, KeyRefused, KeyRevoked, NewKey, TooManyKeys
from queue_app.work.ticket_budgets import BudgetStanding

# what a key with a scope can do, as its form says
SCOPES = {
    "read": "See your jobs, campaigns and wallet",
    "submit": "Generate, cancel, retry and review",
    "manage": "Your webhooks",
}
TO_STAFF = {"manage": "Your webhooks. Limits and other users' jobs, if your role allows them"}
NEVER, AS_IT_IS = "never", "as-it-is"
EMPTY = {"name": "", "scopes": ("read", "submit"), "ends": "90", "budget": ""}  # the form as it is offered
SOON = timedelta(days=14)  # before its end a key is to be renewed


@dataclass(frozen=True)
class ListedKey:
    """A key in the list: when it ended, whether it ends soon, and its daily budget as it stands."""

    key: ApiKey
    at: datetime
    budget: BudgetStanding | None = None

    @property
    def has_expired(self) -> bool:
        return self.key.expiry is not None and self.key.expiry <= self.at

    @property
    def has_ended(self) -> bool:
        """Whether the key lets nobody in any more. Such keys are listed last."""
        return self.key.revoked_at is not None or self.has_expired

    @property
    def days_left(self) -> int | None:
        """Return the whole days until the end of a key that ends soon."""
        left = self.key.expiry - self.at if self.key.expiry else None
        return left.days if left is not None and timedelta(0) < left <= SOON else None


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the keys and the form for a new one; on POST, create it and show it, this once."""
    if request.method != "POST":
        return _show(request, EMPTY)
    user, at = viewer(request), clock.now()
    sent = request.POST
    form: dict[str, Any] = {"name": sent.get("name", ""), "scopes": tuple(sent.getlist("scopes")), "ends": sent.get("ends", "")}
    ends, form["budget"] = _ends(form["ends"], at), sent.get("budget", "").strip()
    new = NewKey(form["name"], form["scopes"], ends.get("expires_at"), _form_key(request), _budget(form["budget"]))
    try:
        _check(_unnamed(new.name), _unchosen(ends), keys.problems(user, new, at=at))
        row, key = keys.make(user, new, at=at, actor=user)
    except (KeyRefused, TooManyKeys) as refusal:
        return _show(request, form, status=422, errors=_errors(refusal))
    if not key:
        messages.info(request, "This key exists already. It is shown only once: create a new key if you lost it.")
        return redirect("campaigns:keys")
    # no redirect: the key would have to be stored in the session until then
    return _show(request, EMPTY, status=201, created=row, secret=key)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, key: int) -> HttpResponse:
    """Show one key; on POST, rename it or move its end."""
    user, at = viewer(request), clock.now()
    row = get_object_or_404(keys.of(user).filter(revoked_at=None), pk=key)
    now = str(ticket_budgets.tickets_of(row) or "")
    form = {"name": request.POST.get("name", row.name), "ends": request.POST.get("ends", AS_IT_IS)}
    form["budget"] = request.POST.get("budget", now).strip()
    if request.method != "POST":
        return _show_one(request, row, form)
    ends = {} if form["ends"] == AS_IT_IS else _ends(form["ends"], at)
    try:
        _check(_unnamed(form["name"]), [] if form["ends"] == AS_IT_IS else _unchosen(ends))
        budget = {"budget": _budget(form["budget"])} if form["budget"] != now else {}
        row = keys.change(row, {"name": form["name"], **ends, **budget}, at=at, actor=user)
    except KeyRefused as refusal:
        return _show_one(request, row, form, status=422, errors=_errors(refusal))
    except KeyRevoked as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, f"API key “{row.name}” saved.")
    return redirect("campaigns:keys")


@login_required
@require_POST
def revoke(request: HttpRequest, key: int) -> HttpResponse:
    """Turn off a key forever."""
    user = viewer(request)
    row = get_object_or_404(keys.of(user), pk=key)
    if keys.revoke(row, at=clock.now(), actor=user):
        messages.success(request, f"API key “{row.name or row.token_key}” revoked. Its next call is refused.")
    else:
        messages.info(request, f"API key “{row.name or row.token_key}” was revoked before.")
    return redirect("campaigns:keys")


def _show(request: HttpRequest, form: Mapping[str, Any], *, status: int = 200, **told: Any) -> HttpResponse:
    user, at = viewer(request), clock.now()
    context = {
        "form": form,
        "form_key": uuid.uuid4(),
        "rows": _listed(user, at),
        "valid": keys.valid(user, at=at).count(),
        "choices": list((SCOPES | (TO_STAFF if user.is_staff else {})).items()),
        "days": keys.DAYS,
        "available": tickets.balances(user)["available"],
        "errors": {},
        "at": at,
        **told,
    }
    return render(request, "campaigns/keys/page.html", context, status=status)


def _listed(user: User, at: datetime) -> list[ListedKey]:
    """Return the keys of a user, those that let nobody in any more last."""
    found = list(keys.of(user))
    known = ticket_budgets.of(keys=(key.pk for key in found), at=at)
    daily = {one.budget.key_id: one for one in known if one.budget.period == TicketBudget.Period.DAY}
    return sorted((ListedKey(key, at, daily.get(key.pk)) for key in found), key=lambda one: one.has_ended)


def _show_one(request: HttpRequest, key: ApiKey, form: Mapping[str, Any], *, status: int = 200, **told: Any) -> HttpResponse:
    context = {
        "key": key,
        "row": ListedKey(key, clock.now()),
        "form": form,
        "days": keys.DAYS,
        "errors": {},
        "at": clock.now(),
        **told,
    }
    return render(request, "campaigns/keys/key.html", context, status=status)


def _form_key(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("form_key", ""))
    except ValueError:
        return None


def _check(*found: Sequence[KeyProblem]) -> None:
    """:raises KeyRefused: there is a problem."""
    if every := list(chain(*found)):
        raise KeyRefused(*every)


def _unnamed(name: str) -> list[KeyProblem]:
    """Return a problem if the name is empty: only programs create keys without one."""
    return [] if one_line(name) else [KeyProblem("name", "Enter a name.")]


def _ends(chosen: str, at: datetime) -> dict[str, datetime | None]:
    """Return the end that was chosen as ``expires_at``; nothing if the form does not offer it."""
    if chosen == NEVER:
        return {"expires_at": None}
    days = numbers.of_row(chosen)
    return {"expires_at": at + timedelta(days=days)} if days in keys.DAYS else {}


def _budget(typed: str) -> int | None:
    """Return the typed number of tickets; ``None`` if nothing was typed, 0 if it is no whole number."""
    return (numbers.of_row(typed) or 0) if typed else None


def _unchosen(ends: Mapping[str, datetime | None]) -> list[KeyProblem]:
    return [] if ends else [KeyProblem("expires_at", "Choose when the key expires.")]


def _errors(refusal: KeyRefused | TooManyKeys) -> dict[str, str]:
    """Return the messages by field; that of the whole form as ``all``."""
    if isinstance(refusal, TooManyKeys):
        return {"all": refusal.detail}
    return {problem.field or "all": problem.message for problem in refusal.problems}
