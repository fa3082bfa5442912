"""Granting tickets in the admin: a form, its preview, and the grant, once however often the button is pressed."""

import re
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from queue_app import clock, tickets
from queue_app.models import User, Wallet
from queue_app.rules.numbers import counted
from queue_app.ui import display
from queue_app.ui.access import staff
from queue_app.work import grants
from queue_app.work.roles import Right

HOW_MANY = f"Enter a whole number from 1 to {display.number(tickets.GRANT_MOST)}."
_KEY = re.compile(r"[0-9a-f]{32}")


class GrantForm(forms.Form):
    """User, amount and reason of a grant."""

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


def page(request: HttpRequest) -> HttpResponse:
    """
    Show the form; on POST, its preview; on POST with the preview's key, grant.

    :raises PermissionDenied: without the right to move tickets.
    """
    if not request.user.has_perm(Right.MOVE_TICKETS):
        raise PermissionDenied
    if request.method != "POST":
        form = GrantForm(initial={name: request.GET.get(name, "") for name in ("user", "amount", "reason")})
        return _page(request, form)
    form, key = GrantForm(request.POST), request.POST.get("key", "")
    if not form.is_valid() or "edit" in request.POST:
        return _page(request, form)
    if not _KEY.fullmatch(key):
        return _page(request, form, **_preview(form.cleaned_data))
    return _grant(request, form.cleaned_data, key)


def _preview(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the balances before and after. The key belongs to this preview: another key is another grant."""
    now = tickets.balances(asked["user"])
    after = now["available"] + asked["amount"]
    return {"now": now, "after": after, "owner": asked["user"], "amount": asked["amount"], "key": uuid.uuid4().hex}


def _grant(request: HttpRequest, asked: dict[str, Any], key: str) -> HttpResponse:
    owner: User = asked["user"]
    entry, is_new = grants.grant(owner, asked["amount"], at=clock.now(), actor=staff(request), reason=asked["reason"], key=key)
    given = counted(asked["amount"], "ticket")
    if is_new:
        available = display.number(tickets.balances(owner)["available"])
        messages.success(request, f"{given} granted to {owner}. {available} now available.")
    else:
        messages.info(request, "Already granted. No tickets were added twice.")
    if request.user.has_perm("queue_app.view_wallet"):
        return HttpResponseRedirect(reverse("admin:queue_app_wallet_change", args=[entry.wallet_id]))
    return HttpResponseRedirect(reverse("admin:index"))


def _page(request: HttpRequest, form: GrantForm, **shown: Any) -> TemplateResponse:
    title = f"Grant {counted(shown['amount'], 'ticket')} to {shown['owner']}?" if shown else "Grant tickets"
    context = {**site.each_context(request), "opts": Wallet._meta, "title": title, "form": form, **shown}
    return TemplateResponse(request, "admin/queue_app/wallet/grant.html", context)
