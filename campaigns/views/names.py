"""The template of a campaign's file names, with the names of its own files while the user types."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from campaigns import exports, naming
from campaigns.models import Campaign, Combination
from campaigns.naming import FileNamesRefused
from campaigns.rules import file_names
from campaigns.views.access import campaign_to_change
from queue_app import clock
from queue_app.models import State
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted

SAMPLES = 5


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the template with the names of the first files; to htmx, only the names. On POST with ``do=save``, save it."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        return _show(request, campaign, naming.template_of(campaign))
    typed = request.POST.get("template", "")
    if request.POST.get("do") != "save":
        return _show(request, campaign, typed)
    try:
        naming.change(campaign, typed, at=clock.now(), by=viewer(request))
    except FileNamesRefused:  # `_show` says why at the field
        return _show(request, campaign, typed, status=422)
    messages.success(request, "File names saved. The next download uses them.")
    return redirect("campaigns:review", pk)


def _show(request: HttpRequest, campaign: Campaign, typed: str, *, status: int = 200) -> HttpResponse:
    """An empty field shows the default names."""
    problem = naming.problem(campaign, typed) if typed.strip() else ""
    context = {
        "campaign": campaign,
        "typed": typed,
        "problem": problem,
        "samples": [] if problem else _samples(campaign, typed.strip()),
        "fields": naming.fields_of(campaign),
        "most": file_names.TEMPLATE_MOST,
    }
    fragment = "campaigns/names/_samples.html"
    return render(request, fragment if fragment_wanted(request) else "campaigns/names/page.html", context, status=status)


def _samples(campaign: Campaign, template: str) -> list[str]:
    """Return the names of the first approved files; while there are none, those of the first completed ones."""
    files = exports.approved_files(campaign)
    if not files:
        completed = Combination.objects.filter(campaign=campaign, job__state=State.COMPLETED).select_related("job")
        files = exports.with_files(completed.order_by("index")[:SAMPLES])
    return naming.names(campaign, files[:SAMPLES], template or naming.default(campaign))
