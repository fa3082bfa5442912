"""The budget of a campaign: how many tickets its jobs may cost together."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from campaigns.views.access import campaign_to_change
from queue_app import clock
from queue_app.models.budget import MOST
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.ui.access import viewer
from queue_app.work import batches, ticket_budgets
from queue_app.work.intake import IntakeRefused


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the budget; on POST, set it, or remove it if the field is empty."""
    campaign = campaign_to_change(request, pk)
    at, now = clock.now(), ticket_budgets.own(campaign.batch)
    typed = request.POST.get("budget_tickets", str(now.tickets) if now else "").strip()
    used = next((one.used for one in ticket_budgets.of(batches=[campaign.pk], at=at)), None)
    context = {"campaign": campaign, "typed": typed, "most": MOST, "used": used}
    if request.method == "POST":
        tickets = numbers.of_row(typed) if typed else None
        try:
            batches.change(campaign.batch, {"budget_tickets": tickets}, at=at, actor=viewer(request))
        except IntakeRefused as refusal:
            return render(request, "campaigns/budget.html", context | {"wrong": str(refusal)}, status=422)
        messages.success(request, f"Budget set to {counted(tickets, 'ticket')}." if tickets else "Budget removed.")
        return redirect("campaigns:page", pk)
    return render(request, "campaigns/budget.html", context)
