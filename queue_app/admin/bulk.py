"""Bulk actions in the admin: drafted from the list or a job, previewed, confirmed, undone, stopped; and the list of them all."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path, reverse

from queue_app import clock
from queue_app.models import BulkAction, BulkRefusal, Job, User
from queue_app.ui import addresses, display, fragments, pages, pending
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ReadOnlyAdmin
from queue_app.work import bulk
from queue_app.work.bulk import BulkRefused, preview, verbs
from queue_app.work.bulk.base import Button

Phase = BulkAction.Phase
PAGE, FRAGMENT = "admin/queue_app/bulkaction/change_form.html", "admin/queue_app/bulkaction/_progress.html"
REFUSALS = 200  # shown on the page of an action
_BADGES = {  # of a phase: its colour and its word
    Phase.DRAFT: ("cancelled", "Not confirmed"),
    Phase.WAITING: ("queued", "Starts soon"),
    Phase.RUNNING: ("running", "Running"),
    Phase.DONE: ("completed", "Done"),
    Phase.UNDONE: ("cancelled", "Undone"),
    Phase.ABORTED: ("failed", "Stopped"),
}
_STEPS = {"run_now": bulk.run_now, "undo": bulk.undo, "abort": bulk.abort}


def drafted(
    request: HttpRequest,
    verb: BulkAction.Verb,
    jobs: "QuerySet[Job] | Iterable[int]",
    *,
    chosen: str,
    options: Mapping[str, Any],
    query: str,
) -> HttpResponse:
    """
    Draft an action and go to its preview; if there is nothing to draft, go back to the list and say why.

    :param query: the filters of the list that the request came from; the ways back lead there.
    :raises PermissionDenied: the user may not use the verb.
    """
    user = staff(request)
    if not bulk.may(user, verb):
        raise PermissionDenied
    try:
        action = bulk.draft(verb, jobs, at=clock.now(), actor=user, chosen=chosen, options=options)
    except BulkRefused as refusal:
        return back_to_the_list(request, str(refusal), query)
    return HttpResponseRedirect(_page_of(action, reason=_text(options.get("reason", "")), jobs=query))


def back_to_the_list(request: HttpRequest, why: str, query: str = "") -> HttpResponseRedirect:
    messages.warning(request, why)
    return HttpResponseRedirect(addresses.jobs(query))


def buttons(user: User) -> list[Button]:
    """Return the verbs that this user may use on the jobs selected in the list."""
    return [verb.list_button() for verb in verbs.VERBS.values() if verb.may(user)]


def pending_strip(request: HttpRequest) -> HttpResponse:
    """Return the strip of pending actions to htmx, or 204 if it has not changed."""
    strip = pending.strip(request, at=clock.now())
    if fragments.unchanged(request, strip.token):
        return HttpResponse(status=204)
    return render(request, "admin/pending.html", {"pending": strip})


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnlyAdmin[BulkAction]):
    title = "Bulk actions"
    empty = "Select jobs in the job list and choose an action. It appears here with its result."
    list_display = ("name", "phase_badge", "actor", "result", "reason", "chosen", "created_at")
    list_filter = ("phase", "verb")
    list_select_related = ("actor",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkAction]:
        found: QuerySet[BulkAction] = super().get_queryset(request).defer("job_ids")
        return found

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or (obj is not None and bulk.may(staff(request), obj.verb))

    @admin.display(description="Action")
    def name(self, action: BulkAction) -> str:
        return bulk.name(action)

    @admin.display(description="Status")
    def phase_badge(self, action: BulkAction) -> str:
        return display.badge(*_BADGES[Phase(action.phase)])

    @admin.display(description="Result")
    def result(self, action: BulkAction) -> str:
        return _sums(action) or "–"

    def get_urls(self) -> list[Any]:
        step = self.admin_site.admin_view(self.step)
        return [path("<int:action_id>/step/", step, name="queue_app_bulkaction_step"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return pages.of_row(BulkAction)(self.page)(request, object_id)

    def page(self, request: HttpRequest, row: BulkAction) -> HttpResponse:
        return self._page(request, row, {"reason": _text(request.GET.get("reason", ""))})

    def step(self, request: HttpRequest, action_id: int) -> HttpResponse:
        """Confirm, run now, undo or abort, by POST; then go back to the page of the request."""
        action = BulkAction.objects.defer("job_ids").filter(pk=action_id).first()
        if action is None or request.method != "POST":
            return back_to_the_list(request, "This action expired because it was not confirmed within 24 hours.")
        user = staff(request)
        if not bulk.may(user, action.verb):
            raise PermissionDenied
        at, do, fields = clock.now(), request.POST.get("do", ""), request.POST.dict()
        reason, query = _text(fields.get("reason", "")), fields.get("jobs", "")
        try:
            if do == "confirm" and bulk.amend(action, at=at, actor=user, options=fields):
                return self._page(request, action, {"reason": reason, "amended": True})
            if do == "confirm":
                bulk.confirm(action, at=at, actor=user, reason=reason, options=fields)
            elif do in _STEPS:
                _STEPS[do](action, at=at, actor=user)
        except BulkRefused as refusal:
            if do == "confirm" and action.phase == Phase.DRAFT:
                return self._page(request, action, {"error": str(refusal), "reason": reason}, typed=fields)
            messages.warning(request, str(refusal))
        if "next" in request.POST:
            return HttpResponseRedirect(addresses.of_ours(request, request.POST["next"]) or addresses.jobs(query))
        return HttpResponseRedirect(_page_of(action, jobs=query))

    def _page(
        self, request: HttpRequest, action: BulkAction, extra: dict[str, Any], *, typed: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Show the action: the preview of a draft once, any other as a page that renews itself."""
        user, at = staff(request), clock.now()
        query = (request.POST if request.method == "POST" else request.GET).get("jobs", "")
        shown = {
            **self.admin_site.each_context(request),
            "list_query": query,
            "list_address": addresses.jobs(query),
            "opts": self.opts,
            "action": action,
            "may": bulk.may(user, action.verb),
            "at": at,
            **extra,
        }
        if action.phase == Phase.DRAFT:
            shown |= _draft(action, user, typed or {}, at=at)
            return TemplateResponse(request, "admin/queue_app/job/bulk_preview.html", shown)
        refusals = BulkRefusal.objects.filter(action=action).order_by("pk")
        verb = verbs.of(action)
        shown |= {
            "title": bulk.name(action),
            "badge": display.badge(*_BADGES[Phase(action.phase)]),
            "outcomes": verb.outcomes(action.results),
            "refusals": refusals[:REFUSALS],
            "kept": bulk.JOBS_KEPT.days,
            "refused": action.results.get("refused", 0),
            "percent": 100 * action.worked // action.total,
            "option_said": verb.option_said(action.options),
            "chunk": verb.chunk,
        }
        return fragments.answer(request, PAGE, FRAGMENT, shown)


def _draft(action: BulkAction, user: User, typed: Mapping[str, str], *, at: datetime) -> dict[str, Any]:
    """Return what the preview shows, with the option as it was ``typed`` or drafted; to those who may choose it."""
    found = preview.of(action, at=at)
    option = found.effect.option if found.effect.option and found.effect.option.may(user) else None
    value = {**action.options, **typed}.get(option.name, option.default) if option else ""
    reason = "required" if found.verb.needs_reason else option.reason if option else "optional"
    return {"preview": found, "title": found.title, "option": option, "value": str(value), "reason_is": reason}


def _page_of(action: BulkAction, *, jobs: str, reason: str = "") -> str:
    """Return the address of the action; ``jobs``: the filters of the list that the request came from."""
    query = {"reason": reason, "jobs": addresses.filters(jobs)}
    asked = urlencode({name: value for name, value in query.items() if value})
    return reverse("admin:queue_app_bulkaction_change", args=[action.pk]) + (f"?{asked}" if asked else "")


def _sums(action: BulkAction) -> str:
    return verbs.of(action).summary(action.results)


def _text(value: str) -> str:
    return value.strip()[:300]
