"""Bulk actions in the admin: drafted from the list or a job, shown, confirmed, undone, stopped; and the list of them all."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from queue_app import clock
from queue_app.admin import preview
from queue_app.admin.selection import Selection
from queue_app.models import BulkAction, BulkRefusal, Job, User
from queue_app.rules import priority
from queue_app.ui import addresses, display, fragments, pages
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ReadOnlyAdmin
from queue_app.work import bulk
from queue_app.work.bulk import BulkRefused, Phase, Verb

PAGE, FRAGMENT = "admin/queue_app/bulkaction/change_form.html", "admin/queue_app/bulkaction/_progress.html"
AMENDED = preview.Note("Not confirmed yet.", "The amount changed: check the new total, then confirm.", warns=True)
REFUSALS = 200  # shown on the page of an action
LATEST = 10
TOLD_FOR = timedelta(seconds=20)  # on the job list, after its end
# name of a button on the job list, its icon and its look
_BUTTONS = {
    Verb.CANCEL: ("Cancel…", "cancelling", ""),
    Verb.RETRY: ("Retry…", "retry", ""),
    Verb.PRIORITY: ("Set priority…", "gauge", ""),
    Verb.FRONT: ("Move to front…", "front", ""),
    Verb.CLEAR: ("Clear…", "box", ""),
    Verb.REFUND: ("Refund…", "ticket", ""),
    Verb.FORCE_FAIL: ("Force-fail…", "failed", "is-danger gq-push"),
}
_STATES = {  # the badge of a phase: its colour and its word
    Phase.DRAFT: ("cancelled", "Not confirmed"),
    Phase.WAITING: ("queued", "Starts soon"),
    Phase.RUNNING: ("running", "Running"),
    Phase.DONE: ("completed", "Done"),
    Phase.UNDONE: ("cancelled", "Undone"),
    Phase.ABORTED: ("failed", "Stopped"),
}
# what a job came to: its word, and the colour of it
_OUTCOMES = {
    "cancelled": ("cancelled", "cancelled"),
    "requested": ("cancelling at the provider", "cancelling"),
    "queued": ("back in the queue", "queued"),
    "changed": ("priority changed", "completed"),
    "moved": ("moved to the front", "completed"),
    "cleared": ("cleared", "completed"),
    "failed": ("force-failed", "failed"),
    "refunded": ("refunded", "completed"),
    "unchanged": ("unchanged", "cancelled"),
    "refused": ("skipped, reasons below", "warn"),
}


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
    Draft an action and go to its preview; back to the list with a reason where there is nothing to draft.

    :param query: the filters of the list that it was asked for in, which the ways back lead to.
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


def buttons(user: User) -> list[dict[str, str]]:
    """The verbs that this user may use over what is chosen in the list."""
    return [
        {"verb": verb.value, "words": words, "icon": icon, "css": css}
        for verb, (words, icon, css) in _BUTTONS.items()
        if bulk.may(user, verb)
    ]


def notes(user: User, *, at: datetime) -> list[dict[str, Any]]:
    """What is under way or has just ended, told on the job list."""
    latest = BulkAction.objects.defer("job_ids").select_related("actor").exclude(phase=Phase.DRAFT).order_by("-id")[:LATEST]
    told = [one for one in latest if not one.is_over or (one.ended_at and one.ended_at > at - TOLD_FOR)]
    return [
        {
            "pk": one.pk,
            "name": str(one),
            "by": one.actor.username,
            "phase": str(one.phase),
            "starts": one.starts_at.isoformat() if one.starts_at else "",
            "sums": _sums(one),
            "refused": one.results.get("refused", 0),
            "may": bulk.may(user, one.verb),
        }
        for one in told
    ]


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnlyAdmin[BulkAction]):
    title = "Bulk actions"
    list_display = ("name", "phase_badge", "actor", "came_to", "reason", "chosen", "created_at")
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
        return str(action)

    @admin.display(description="Status")
    def phase_badge(self, action: BulkAction) -> str:
        return display.badge(*_STATES[Phase(action.phase)])

    @admin.display(description="Result")
    def came_to(self, action: BulkAction) -> str:
        return _sums(action) or "–"

    def get_urls(self) -> list[Any]:
        step = self.admin_site.admin_view(self.step)
        return [path("<int:action_id>/step/", step, name="queue_app_bulkaction_step"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return pages.of_row(BulkAction)(self.page)(request, object_id)

    def page(self, request: HttpRequest, row: BulkAction) -> HttpResponse:
        return self._page(request, row, {"reason": _text(request.GET.get("reason", ""))})

    def step(self, request: HttpRequest, action_id: int) -> HttpResponse:
        """Confirm, run now, undo or abort, by POST; then back to where it was asked."""
        action = BulkAction.objects.defer("job_ids").filter(pk=action_id).first()
        if action is None or request.method != "POST":
            return back_to_the_list(request, "This action expired because it was not confirmed within 24 hours.")
        user = staff(request)
        if not bulk.may(user, action.verb):
            raise PermissionDenied
        at, asked, reason = clock.now(), request.POST.get("do"), _text(request.POST.get("reason", ""))
        query = request.POST.get("jobs", "")
        try:
            if asked == "confirm" and _amended(action, user, request.POST.dict()):
                return self._page(request, action, {"reason": reason, "amended": True})
            if asked == "confirm":
                bulk.confirm(action, at=at, actor=user, reason=reason, options=request.POST.dict())
            elif asked == "run_now":
                bulk.run_now(action, at=at, actor=user)
            elif asked == "undo":
                bulk.undo(action, at=at, actor=user)
            elif asked == "abort":
                bulk.abort(action, at=at, actor=user)
        except BulkRefused as refusal:
            if asked == "confirm" and action.phase == Phase.DRAFT:
                return self._page(request, action, {"error": str(refusal), "reason": reason, "asked": request.POST.dict()})
            messages.warning(request, str(refusal))
        if "next" in request.POST:
            return HttpResponseRedirect(addresses.of_ours(request, request.POST["next"]) or addresses.jobs(query))
        return HttpResponseRedirect(_page_of(action, jobs=query))

    def _page(self, request: HttpRequest, action: BulkAction, extra: dict[str, Any]) -> HttpResponse:
        """A draft is shown once; from then on the page renews itself."""
        user = staff(request)
        at, query = clock.now(), (request.POST if request.method == "POST" else request.GET).get("jobs", "")
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
            looked = preview.look(action, at=at)
            if "amended" in extra:
                looked["preview"].notes.insert(0, AMENDED)
            options = {**action.options, **extra.get("asked", {})}
            level = str(options.get("priority", priority.HIGH))
            shown |= {**looked, "title": looked["preview"].title, "level": level, "tickets": options.get("tickets", "")}
            shown |= {"refund": options.get("refund"), "may_refund": bulk.may(user, Verb.REFUND)}
            return TemplateResponse(request, "admin/queue_app/job/bulk_preview.html", shown)
        refusals = BulkRefusal.objects.filter(action=action).order_by("pk")
        shown |= {
            "title": str(action),
            "badge": display.badge(*_STATES[Phase(action.phase)]),
            "outcomes": _outcomes(action),
            "refusals": refusals[:REFUSALS],
            "kept": bulk.JOBS_KEPT.days,
            "refused": action.results.get("refused", 0),
            "percent": 100 * action.worked // action.total,
            "option": _option(action),
        }
        return fragments.answer(request, PAGE, FRAGMENT, shown)


def _amended(action: BulkAction, user: User, typed: Mapping[str, Any]) -> bool:
    """Whether an amount was typed that the preview did not reckon with: it is kept, and must be shown before it is confirmed."""
    if action.verb != Verb.REFUND or "tickets" not in typed:
        return False
    left = Selection(action, at=clock.now()).charged().aggregate(most=Max("still"))["most"] or 1
    return bulk.amend(action, actor=user, options=typed, most=left)


def _page_of(action: BulkAction, *, jobs: str, reason: str = "") -> str:
    """The action's address; ``jobs``: the filters of the list that it was asked for in."""
    query = {"reason": reason, "jobs": addresses.filters(jobs)}
    asked = urlencode({name: value for name, value in query.items() if value})
    return reverse("admin:queue_app_bulkaction_change", args=[action.pk]) + (f"?{asked}" if asked else "")


def _sums(action: BulkAction) -> str:
    """“12 cancelled, 3 skipped”."""
    words = {**{name: word for name, (word, _) in _OUTCOMES.items()}, "refused": "skipped", "requested": "cancelling"}
    return ", ".join(f"{display.number(action.results[name])} {words[name]}" for name in _OUTCOMES if action.results.get(name))


def _outcomes(action: BulkAction) -> list[dict[str, Any]]:
    return [
        {"count": action.results[name], "word": word, "state": state}
        for name, (word, state) in _OUTCOMES.items()
        if action.results.get(name)
    ]


def _option(action: BulkAction) -> str:
    """What the verb was told besides the jobs."""
    if "priority" in action.options:
        return f"priority {priority.name(action.options['priority']).lower()}"
    if "refund" in action.options:
        return "refund if delivered"
    return f"{_tickets(action.options['tickets'])} per job" if "tickets" in action.options else ""


def _tickets(count: int) -> str:
    return f"{display.number(count)} ticket{'' if count == 1 else 's'}"


def _text(value: str) -> str:
    return value.strip()[:300]
