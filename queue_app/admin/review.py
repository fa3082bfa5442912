"""What waits for a person: outcomes that nobody can ask for, money paid and nothing delivered; and the page to decide on each."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from queue_app import clock
from queue_app.admin import lookups
from queue_app.admin.review_page import RIGHTS, shown
from queue_app.models import ReviewItem, State, User
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.model_admin import OfJob
from queue_app.work import decisions
from queue_app.work.decisions import DecisionRefused
from queue_app.work.roles import Right

REASON_MOST = 300


class OpenFilter(admin.SimpleListFilter):
    """Open ones, unless others are asked for."""

    title = "status"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("closed", "Resolved"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [{**first, "display": "Open"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
        if self.value() == "all":
            return queryset
        return queryset.filter(closed_at__isnull=self.value() != "closed")


@admin.register(ReviewItem)
class ReviewItemAdmin(OfJob):
    title = "Needs attention"
    list_display = ("job_link", "prompt_line", "happened", "sent", "looked_up", "tickets", "decide", "settled")
    list_filter = (OpenFilter,)
    list_select_related = ("job__owner", "attempt__account")
    # the open ones first, and of them the one that waits longest
    ordering = (F("closed_at").desc(nulls_first=True), "opened_at", "id")
    actions = ("queue_again", "give_up")
    change_list_template = "admin/queue_app/reviewitem/change_list.html"

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        """What is open has nothing to say of its end."""
        return self.list_display if request.GET.get(OpenFilter.parameter_name) else self.list_display[:-1]

    def dress(self, rows: list[ReviewItem]) -> None:
        at = clock.now()
        for row in rows:
            row.at = at  # type: ignore[attr-defined]

    @admin.display(description="Prompt")
    def prompt_line(self, item: ReviewItem) -> str:
        return display.clipped(item.job.prompt, f"{item.job.model_id} · {item.job.owner.username}")

    @admin.display(description="Problem")
    def happened(self, item: ReviewItem) -> str:
        badge = display.badge(item.job.state)  # an unknown outcome begins with the badge's words
        return display.with_sub(badge, display.clipped(item.what.removeprefix(f"{State.UNKNOWN.label.capitalize()}: ")))

    @admin.display(description="Sent")
    def sent(self, item: ReviewItem) -> str:
        attempt = item.attempt
        if attempt is None or attempt.called_at is None:
            return "–"
        where = f"{attempt.account_id} · {attempt.endpoint_id}"
        return display.with_sub(f"{display.ago(item.at - attempt.called_at)} ago", where)  # type: ignore[attr-defined]

    @admin.display(description="Checks")
    def looked_up(self, item: ReviewItem) -> str:
        return lookups.in_short(item.attempt) if item.attempt and item.job.state == State.UNKNOWN else "–"

    @admin.display(description="Tickets reserved")
    def tickets(self, item: ReviewItem) -> str:
        return display.number(item.job.tickets) if item.job.is_open else "–"

    @admin.display(description="Decide by")
    def decide(self, item: ReviewItem) -> str:
        url = reverse("admin:queue_app_reviewitem_change", args=[item.pk])
        by = f"in {display.ago(item.decide_by - item.at)}" if item.decide_by and not item.closed_at else ""  # type: ignore[attr-defined]
        words = "Open" if item.closed_at else "Decide…" if item.job.state == State.UNKNOWN else "Check…"
        return display.with_sub(display.link(url, words), by)

    @admin.display(description="Resolved")
    def settled(self, item: ReviewItem) -> str:
        if item.closed_at is None:
            return "–"
        return display.with_sub(display.when(item.closed_at), f"by {item.closed_by}")

    def get_urls(self) -> list[URLPattern]:
        decide = path("<int:item_id>/decide/", self.admin_site.admin_view(self.decide_view), name="queue_app_reviewitem_decide")
        return [decide, *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ReviewItem | None:
        return _find(object_id)

    def page(self, request: HttpRequest, row: ReviewItem) -> HttpResponse:
        return self._page(request, row)

    def decide_view(self, request: HttpRequest, item_id: int) -> HttpResponse:
        """Carry a decision out; refused, the page comes again with what was typed."""
        item = _find(str(item_id))
        if item is None:
            raise Http404
        asked = request.POST.get("decision", "")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request, item) or asked not in RIGHTS or not request.user.has_perm(RIGHTS[asked]):
            raise PermissionDenied
        reason, task = _typed(request, "reason")[:REASON_MOST], _typed(request, "task")
        assert isinstance(request.user, User)
        try:
            said = _DECISIONS[asked](item, clock.now(), request.user, reason, task)
        except DecisionRefused as refusal:
            return self._page(request, item, asked=asked, refusal=str(refusal), reason=reason, task=task)
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:queue_app_reviewitem_changelist"))

    def _page(self, request: HttpRequest, item: ReviewItem, **typed: str) -> TemplateResponse:
        assert isinstance(request.user, User)
        fresh = _find(str(item.pk)) or item
        context = {**self.admin_site.each_context(request), **shown(fresh, at=clock.now(), user=request.user), **typed}
        return TemplateResponse(request, "admin/queue_app/reviewitem/change_form.html", context | {"opts": self.opts})

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Right.OPERATE)

    def has_give_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Right.FORCE_FAIL)

    @admin.action(description="Not accepted: requeue…", permissions=["again"])
    def queue_again(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> HttpResponse | None:
        return self._settle(request, items, action="queue_again")

    @admin.action(description="Fail jobs…", permissions=["give_up"])
    def give_up(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> HttpResponse | None:
        return self._settle(request, items, action="give_up")

    def _settle(self, request: HttpRequest, items: QuerySet[ReviewItem], *, action: str) -> HttpResponse | None:
        assert isinstance(request.user, User)
        again, reason = action == "queue_again", _typed(request, "reason")[:REASON_MOST]
        chosen = list(items.filter(closed_at=None).select_related("job__kind", "job__owner").order_by("pk"))
        if not reason:
            return self._ask_why(request, chosen, action)
        came_to = decisions.settle_each(chosen, again=again, at=clock.now(), actor=request.user, reason=reason)
        for state, count in Counter(came_to.values()).items():
            self.message_user(request, f"{_jobs(count)} {_THEN[state]}.", messages.SUCCESS)
        if len(came_to) < len(chosen) or not chosen:
            self.message_user(request, "The other items have no unknown outcome. They were not changed.", messages.WARNING)
        return None

    def _ask_why(self, request: HttpRequest, chosen: Sequence[ReviewItem], action: str) -> TemplateResponse:
        unknown = [item for item in chosen if item.is_undecided]
        again = action == "queue_again"
        then = Counter(decisions.after_another_try(item.job) if again else State.FAILED for item in unknown)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{'Requeue' if again else 'Fail'} {_jobs(len(unknown))}?",
            "action": action,
            "chosen": chosen,
            "acts_on": len(unknown),
            "left": len(chosen) - len(unknown),
            "then": [{"count": count, "state": state, "words": _THEN[state]} for state, count in then.items()],
            "tickets": sum(item.job.tickets for item in unknown),
            "usd": sum(item.job.usd_estimate for item in unknown),
        }
        return TemplateResponse(request, "admin/queue_app/reviewitem/settle.html", context)


def _find(object_id: str) -> ReviewItem | None:
    whole = ReviewItem.objects.select_related("job__owner", "job__model", "job__kind", "job__batch", "attempt__account")
    return whole.filter(pk=numbers.of_row(object_id)).first()


def _typed(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip()


def _jobs(count: int) -> str:
    return f"{display.number(count)} job{'' if count == 1 else 's'}"


_THEN = {
    State.QUEUED: "back in the queue for another attempt",
    State.FAILED: "failed, tickets returned",
    State.CANCELLED: "cancelled as requested, tickets returned",
}


def _found(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    decisions.take_up(item, task, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} continues with task {task[:60]}. Checking with the provider now."


def _again(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    state = decisions.settle(item, again=True, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} {_THEN[state]}."


def _give_up(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    state = decisions.settle(item, again=False, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} {_THEN[state]}."


def _close(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    decisions.close(item, at=at, actor=actor, reason=reason)
    return f"Resolved. Job {display.number(item.job_id)} is unchanged."


_DECISIONS: dict[str, Callable[[ReviewItem, datetime, User, str, str], str]] = {
    "found": _found,
    "again": _again,
    "give_up": _give_up,
    "close": _close,
}
