"""The page of price drift: our price rules beside what providers charged in the last 30 days."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from queue_app import clock
from queue_app.insight import drift
from queue_app.insight.drift import DriftLine
from queue_app.models import Job
from queue_app.rules import numbers
from queue_app.ui import display

RIGHTS = ("queue_app.view_job", "queue_app.view_generationmodel")
DAYS = 30
OF = {"": "Providers", "studio": "Studio previews"}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """
    Show each model with the same parameters: the rule, the charge, the difference.

    :raises PermissionDenied: the user may not see jobs or models.
    """
    if not all(request.user.has_perm(right) for right in RIGHTS):
        raise PermissionDenied
    at = clock.now()
    of = request.GET.get("of", "") if request.GET.get("of", "") in OF else ""
    found = drift.of(at - timedelta(days=DAYS), at, preview=of == "studio")
    context = {
        "title": "Price drift",
        "days": DAYS,
        "found": found,
        "sides": [{"name": name, "query": f"?of={key}" if key else "?", "current": key == of} for key, name in OF.items()],
        "rows": [_row(line) for line in found.lines],
        "is_cut": len(found.lines) == drift.LINES_MOST,
    }
    return TemplateResponse(request, "admin/drift/page.html", {**admin.site.each_context(request), **context})


def _row(line: DriftLine) -> dict[str, Any]:
    amounts = {name: numbers.dollars(getattr(line, name) or Decimal(0)) for name in ("rule", "charged", "least", "most")}
    return {"line": line, "parameters": _said(line), "difference": _difference(line), **amounts}


def _said(line: DriftLine) -> str:
    return ", ".join(display.parameters(Job(parameters=line.parameters))) or "defaults"


def _difference(line: DriftLine) -> str:
    percent = line.difference
    if percent is None:
        return "–" if not line.charged else "no price"
    return "as the rule" if not line.is_off else f"{percent:+,.0f}%".replace("-", "−")
