"""The statement: every movement of the user's tickets."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from campaigns import home
from queue_app import tickets
from queue_app.ui.access import viewer

ENTRIES_A_PAGE = 50


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the user's balances and the ledger, newest first."""
    user = viewer(request)
    shown = Paginator(home.movements(user), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": shown, "entries": home.entries(shown), "balances": tickets.balances(user)}
    return render(request, "campaigns/statement.html", context)
