"""The admin site: Django's own, under our name and theme, its sections in the order of the work."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

# a schedule of django-q2 runs any callable, and a task's arguments are pickles: neither is for the admin (I40)
NEVER_SHOWN = {"django_q", "axes", "knox"}

# section → the models in it, in order; what is not named here comes last, by its application
SECTIONS: dict[str, tuple[str, ...]] = {
    "Queue": (
        "Job",
        "Batch",
        "ReviewItem",
        "GenerationModel",
        "ModelConcurrencyLimit",
        "ProviderAccount",
        "ModelRoute",
        "Kind",
        "QueueSettings",
    ),
    "Campaigns": ("Campaign", "Combination", "Brand", "ComplianceRule", "Dimension"),
    "Tickets": ("Wallet", "LedgerTransaction", "LedgerEntry", "Reservation"),
    "History": ("AuditEntry", "JobEvent", "Attempt", "OutboxMessage", "WorkerProcess"),
    "People": ("User", "Group", "ApiKey"),
}


class GenqueueAdminSite(admin.AdminSite):
    site_header = "Genqueue"
    site_title = "Genqueue"
    index_title = "Queue"

    def register(self, model_or_iterable: Any, *args: Any, **options: Any) -> None:
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        if kept := [model for model in models if model._meta.app_label not in NEVER_SHOWN]:
            super().register(kept, *args, **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        found = {model["object_name"]: model for app in apps for model in app["models"]}
        sections = [
            {"name": name, "app_label": name.lower(), "app_url": "", "has_module_perms": True, "models": models}
            for name, wanted in SECTIONS.items()
            if (models := [found.pop(model) for model in wanted if model in found])
        ]
        return [
            *sections,
            *({**app, "models": rest} for app in apps if (rest := [m for m in app["models"] if m["object_name"] in found])),
        ]
