"""The admin site: our name and theme, pages that applications register, and sections in the order of the work."""

from typing import Any

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from queue_app import clock
from queue_app.models import ReviewItem
from queue_app.ui import addresses, pending
from queue_app.ui.pages import PagedAdminSite

# a schedule of django-q2 runs any callable and a task's arguments are pickles: neither belongs in the admin (I40)
NEVER_SHOWN = {"django_q", "axes", "knox"}

# section → its models, in order; models that are not named here come last, by application
SECTIONS: dict[str, tuple[str, ...]] = {
    "Queue": ("Job", "Batch", "BulkAction", "Alert"),
    "Limits and prices": (
        "ModelConcurrencyLimit",
        "GenerationModel",
        "ProviderAccount",
        "ModelRoute",
        "Kind",
        "QueueSettings",
        "AlertRule",
    ),
    "Campaigns": ("Campaign", "Combination", "Brand", "ComplianceRule", "Dimension"),
    "Tickets": ("Wallet", "TicketBudget", "LedgerTransaction", "LedgerEntry", "Reservation"),
    "People": ("User", "Group", "ApiKey", "WebhookEndpoint", "Schedule"),
    "History": ("AuditEntry", "JobEvent", "Attempt", "InboundWebhook", "OutboxMessage", "WorkerProcess"),
}
LINKED_ABOVE = {"ReviewItem"}  # “Needs attention” is linked above the sections, with its count


class GenqueueAdminSite(PagedAdminSite):
    site_header = "Genqueue"
    site_title = "Genqueue"
    index_title = "Queue"
    app_index_template = "admin/dashboard/sections.html"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """
        Lead to the log-in page that all users share.

        :raises PermissionDenied: the user has logged in and is not staff; that page would lead back here.
        """
        wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
        if not request.user.is_authenticated:
            return redirect_to_login(wanted or reverse("admin:index"))
        if not self.has_permission(request):
            raise PermissionDenied("These pages are for staff.")
        return HttpResponseRedirect(addresses.of_ours(request, wanted) or reverse("admin:index"))

    def register(self, model_or_iterable: Any, *args: Any, **options: Any) -> None:
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        if kept := [model for model in models if model._meta.app_label not in NEVER_SHOWN]:
            super().register(kept, *args, **options)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # looked up only where it is shown, and once
        waiting = SimpleLazyObject(ReviewItem.objects.filter(closed_at=None).count)
        strip = SimpleLazyObject(lambda: pending.strip(request, at=clock.now()))
        return {**super().each_context(request), "needs_a_person": waiting, "pending": strip}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        found = {
            model["object_name"]: {**model, "here": request.path.startswith(model["admin_url"] or "//")}
            for app in apps
            for model in app["models"]
            if model["object_name"] not in LINKED_ABOVE
        }
        sections = []
        for name, wanted in SECTIONS.items():
            if models := [found.pop(model) for model in wanted if model in found]:
                label = name.split()[0].lower()
                url = f"{reverse('admin:sections', current_app=self.name)}#{label}"
                sections.append({"name": name, "app_label": label, "app_url": url, "has_module_perms": True, "models": models})
        rest = [
            {**app, "models": [found[name] for model in app["models"] if (name := model["object_name"]) in found]} for app in apps
        ]
        return [*sections, *(app for app in rest if app["models"])]
