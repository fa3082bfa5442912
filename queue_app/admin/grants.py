"""Granting tickets in the admin: a form, then what it leads to, then the grant, once however often it is pressed."""

import re
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from queue_app import clock, tickets
from queue_app.models import User
from queue_app.ui import display
from queue_app.work import grants
from queue_app.work.roles import Right

HOW_MANY = f"Enter a whole number from 1 to {display.number(tickets.GRANT_MOST)}."
_KEY = re.compile(r"[0-9a-f]{32}")


class GrantForm(forms.Form):
    """Who gets how many, and why."""

    user = forms.CharField(max_length=150, error_messages={"required": "Enter a username."})
    amount = forms.IntegerField(
        min_value=1,
        max_value=tickets.GRANT_MOST,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), HOW_MANY),
    )
    reason = forms.CharField(
        max_length=300, error_messages={"required": "Enter a reason. It is saved in the ledger and the audit."}
    )

    def clean_user(self) -> User:
        found = User.objects.filter(username=self.cleaned_data["user"]).first()
        if found is None:
            raise ValidationError("No user with this name.")
        return found


def view(admin: ModelAdmin, request: HttpRequest) -> HttpResponse:  # type: ignore[type-arg]
    """
    The form; on POST its preview; on POST with the preview's key the grant.

    :raises PermissionDenied: without the right to move tickets.
    """
    if not request.user.has_perm(Right.MOVE_TICKETS):
        raise PermissionDenied
    if request.method != "POST":
        form = GrantForm(initial={name: request.GET.get(name, "") for name in ("user", "amount", "reason")})
        return _page(admin, request, form)
    form, key = GrantForm(request.POST), request.POST.get("key", "")
    if not form.is_valid() or "edit" in request.POST:
        return _page(admin, request, form)
    if not _KEY.fullmatch(key):
        return _page(admin, request, form, **_preview(form.cleaned_data))
    return _grant(request, form.cleaned_data, key)


def _preview(asked: dict[str, Any]) -> dict[str, Any]:
    """What it would lead to. The key is this preview's: another one is another grant."""
    now = tickets.balances(asked["user"])
    after = now["available"] + asked["amount"]
    return {"now": now, "after": after, "owner": asked["user"], "amount": asked["amount"], "key": uuid.uuid4().hex}


def _grant(request: HttpRequest, asked: dict[str, Any], key: str) -> HttpResponse:
    assert isinstance(request.user, User)
    owner: User = asked["user"]
    entry, is_new = grants.grant(owner, asked["amount"], at=clock.now(), actor=request.user, reason=asked["reason"], key=key)
    given = _tickets(asked["amount"])
    if is_new:
        available = display.number(tickets.balances(owner)["available"])
        messages.success(request, f"{given} granted to {owner}. {available} now available.")
    else:
        messages.info(request, "Already granted. No tickets were added twice.")
    if request.user.has_perm("queue_app.view_wallet"):
        return HttpResponseRedirect(reverse("admin:queue_app_wallet_change", args=[entry.wallet_id]))
    return HttpResponseRedirect(reverse("admin:index"))


def _tickets(amount: int) -> str:
    return f"{display.number(amount)} ticket{'s' * (amount != 1)}"


def _page(admin: ModelAdmin, request: HttpRequest, form: GrantForm, **shown: Any) -> TemplateResponse:  # type: ignore[type-arg]
    title = f"Grant {_tickets(shown['amount'])} to {shown['owner']}?" if shown else "Grant tickets"
    context = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": title, "form": form, **shown}
    return TemplateResponse(request, "admin/queue_app/wallet/grant.html", context)
