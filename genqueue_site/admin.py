"""The admin site: Django's own, under our name and theme, its sections in the order of the work."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.functional import SimpleLazyObject

from queue_app.models import ReviewItem

# a schedule of django-q2 runs any callable, and a task's arguments are pickles: neither is for the admin (I40)
NEVER_SHOWN = {"django_q", "axes", "knox"}

# section → the models in it, in order; what is not named here comes last, by its application
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
    "Tickets": ("Wallet", "LedgerTransaction", "LedgerEntry", "Reservation"),
    "People": ("User", "Group", "ApiKey"),
    "History": ("AuditEntry", "JobEvent", "Attempt", "OutboxMessage", "WorkerProcess"),
}
LINKED_ABOVE = {"ReviewItem"}  # “Needs attention” stands over the sections, with its count


class GenqueueAdminSite(admin.AdminSite):
    site_header = "Genqueue"
    site_title = "Genqueue"
    index_title = "Queue"
    app_index_template = "admin/dashboard/sections.html"

    def register(self, model_or_iterable: Any, *args: Any, **options: Any) -> None:
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        if kept := [model for model in models if model._meta.app_label not in NEVER_SHOWN]:
            super().register(kept, *args, **options)

    def get_urls(self) -> list[Any]:
        from queue_app.admin import dashboard, usage  # here: the modules of the admin register themselves with this site

        return [*dashboard.urls(self), path("usage/", self.admin_view(usage.page), name="usage"), *super().get_urls()]

    def index(  # type: ignore[override]  # 204 and a fragment are not Django's template of an index
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The dashboard of the queue."""
        from queue_app.admin.dashboard import page

        return page.index(self, request, extra_context)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # asked for where it is shown, and once
        waiting = SimpleLazyObject(ReviewItem.objects.filter(closed_at=None).count)
        return {**super().each_context(request), "needs_a_person": waiting}

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
