"""The list of items that need attention: unknown outcomes, and paid jobs without files. `review_page` shows one item."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.admin import lookups, review_page
from queue_app.admin.review_page import THEN
from queue_app.models import ReviewItem, State
from queue_app.models.job import ReviewItemQuerySet
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.ui import addresses, display
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, column, job_link
from queue_app.work import decisions
from queue_app.work.decisions import DecisionRefused
from queue_app.work.roles import Right


class Show(StrEnum):
    """The choices of the list's filter; without one it shows all open items."""

    UNKNOWN = "unknown"
    CHECK = "check"
    CLOSED = "closed"
    ALL = "all"


SHOWN: dict[str | None, Callable[[ReviewItemQuerySet], ReviewItemQuerySet]] = {
    Show.UNKNOWN: lambda items: items.undecided(),
    Show.CHECK: lambda items: items.to_check(),
    Show.CLOSED: lambda items: items.filter(closed_at__isnull=False),
    Show.ALL: lambda items: items,
}


class ShowFilter(admin.SimpleListFilter):
    """Open items by default; of these only what has to be decided or checked, resolved ones or all on request."""

    title = "status"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = {Show.UNKNOWN: "Outcome unknown", Show.CHECK: "To check", Show.CLOSED: "Resolved", Show.ALL: "All"}
        return [(str(show), words) for show, words in named.items()]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [{**first, "display": "Open"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
        show = SHOWN.get(self.value())
        return show(cast(ReviewItemQuerySet, queryset)) if show else queryset.filter(closed_at=None)


@dataclass(frozen=True)
class Together:
    """A decision on many unknown outcomes: what it says of the provider, its verb on buttons, and the right that it needs."""

    says: str
    verb: str
    again: bool
    right: Right


TOGETHER = {
    "queue_again": Together("The provider never accepted these jobs.", "Requeue", True, Right.OPERATE),
    "give_up": Together("Stop waiting for the provider.", "Fail", False, Right.FORCE_FAIL),
}
MOST = 1_000  # items of one decision: they are decided in one transaction


@dataclass(frozen=True)
class ReviewRow:
    """An item in the list at one moment. Its columns show times relative to it."""

    item: ReviewItem
    at: datetime

    @column("Sent")
    def sent(self) -> str:
        attempt = self.item.attempt
        if attempt is None or attempt.called_at is None:
            return "–"
        where = f"{attempt.account_id} · {attempt.endpoint_id}"
        return display.with_sub(f"{display.ago(self.at - attempt.called_at)} ago", where)

    @column("Decide by")
    def decide(self) -> SafeString:
        item = self.item
        url = reverse("admin:queue_app_reviewitem_change", args=[item.pk])
        by = f"in {display.ago(item.decide_by - self.at)}" if item.decide_by and not item.closed_at else ""
        words = "Open" if item.closed_at else "Decide…" if item.job.state == State.UNKNOWN else "Check…"
        return display.with_sub(display.link(url, words), by)


@admin.register(ReviewItem)
class ReviewItemAdmin(ExactSearch, ReadOnlyAdmin[ReviewItem]):
    title = "Needs attention"
    list_display = (job_link, "prompt_line", "happened", ReviewRow.sent, "looked_up", "tickets", ReviewRow.decide, "settled")
    list_display_links = None
    list_filter = (ShowFilter,)
    list_select_related = ("job__owner", "attempt__account")
    # open items first, the longest wait before the others
    ordering = (F("closed_at").desc(nulls_first=True), "opened_at", "id")
    actions = ("queue_again", "give_up")
    change_list_template = "admin/queue_app/reviewitem/change_list.html"

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        """Leave out the column of the end where only open items are shown."""
        shows_resolved = request.GET.get(ShowFilter.parameter_name) in (Show.CLOSED, Show.ALL)
        return self.list_display if shows_resolved else self.list_display[:-1]

    def rows(self, found: Sequence[ReviewItem]) -> list[ReviewRow]:
        at = clock.now()
        return [ReviewRow(item, at) for item in found]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ReviewItem | None:
        return review_page.find(object_id)

    @admin.display(description="Prompt")
    def prompt_line(self, item: ReviewItem) -> str:
        return display.clipped(item.job.prompt, f"{item.job.model_id} · {item.job.owner.username}")

    @admin.display(description="Problem")
    def happened(self, item: ReviewItem) -> str:
        badge = display.badge(item.job.state)  # an unknown outcome begins with the badge's words
        return display.with_sub(badge, display.clipped(item.what.removeprefix(f"{State.UNKNOWN.label.capitalize()}: ")))

    @admin.display(description="Checks")
    def looked_up(self, item: ReviewItem) -> str:
        return lookups.in_short(item.attempt) if item.attempt and item.job.state == State.UNKNOWN else "–"

    @admin.display(description="Tickets reserved")
    def tickets(self, item: ReviewItem) -> str:
        return display.number(item.job.tickets) if item.job.is_open else "–"

    @admin.display(description="Resolved")
    def settled(self, item: ReviewItem) -> str:
        if item.closed_at is None:
            return "–"
        return display.with_sub(display.when(item.closed_at), f"by {item.closed_by}")

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(TOGETHER["queue_again"].right)

    def has_give_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(TOGETHER["give_up"].right)

    @admin.action(description="Not accepted: requeue…", permissions=["again"])
    def queue_again(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> HttpResponse:
        return self._chosen(request, items, "queue_again")

    @admin.action(description="Fail jobs…", permissions=["give_up"])
    def give_up(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> HttpResponse:
        return self._chosen(request, items, "give_up")

    def _chosen(self, request: HttpRequest, items: QuerySet[ReviewItem], decision: str) -> HttpResponse:
        numbered = items.filter(closed_at=None).order_by("pk").values_list("pk", flat=True)
        return _ask_why(request, decision, list(numbered[: MOST + 1]), query=request.GET.urlencode())


def settle(request: HttpRequest) -> HttpResponse:
    """
    Take one decision on many items, with one reason, and go back to the list. Without a reason, ask for it again.

    :raises PermissionDenied: the user may not take this decision.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    user, decision, query = staff(request), request.POST.get("decision", ""), addresses.filters(request.POST.get("query", ""))
    together = TOGETHER.get(decision)
    if together is None or not user.has_perm(together.right) or not user.has_perm("queue_app.view_reviewitem"):
        raise PermissionDenied
    pks = [pk for word in request.POST.get("items", "").split(",")[:MOST] if (pk := numbers.of_row(word))]
    try:
        found = ReviewItem.objects.filter(pk__in=pks, closed_at=None).order_by("pk")
        reason = review_page.reason_of(request)
        came_to = decisions.settle_each(found, again=together.again, at=clock.now(), actor=user, reason=reason)
    except DecisionRefused as refusal:
        return _ask_why(request, decision, pks, query=query, refusal=str(refusal))
    for state, count in Counter(came_to.values()).items():
        messages.success(request, f"{counted(count, 'job')} {THEN[state]}.")
    if len(came_to) < len(pks):
        messages.warning(request, "The other items have no unknown outcome. They were not changed.")
    return HttpResponseRedirect(reverse("admin:queue_app_reviewitem_changelist") + (f"?{query}" if query else ""))


def _ask_why(request: HttpRequest, decision: str, pks: Sequence[int], *, query: str, refusal: str = "") -> TemplateResponse:
    """Show what the decision leads to for each of these items, and ask for the reason."""
    together, model_admin = TOGETHER[decision], site.get_model_admin(ReviewItem)
    items = ReviewItem.objects.filter(pk__in=pks[:MOST], closed_at=None).select_related("job__kind", "job__owner", "attempt")
    chosen = list(items.order_by("pk"))
    unknown = [item for item in chosen if item.is_undecided]
    then = Counter(decisions.after_another_try(item.job) if together.again else State.FAILED for item in unknown)
    context = {
        **site.each_context(request),
        "opts": model_admin.opts,
        "title": f"{together.verb} {counted(len(unknown), 'job')}?",
        "decision": decision,
        "together": together,
        "query": query,
        "refusal": refusal,
        "chosen": chosen,
        "items": ",".join(str(item.pk) for item in chosen),
        "acts_on": len(unknown),
        "left": len(chosen) - len(unknown),
        "too_many": MOST if len(pks) > MOST else 0,
        "then": [{"count": count, "state": state, "words": THEN[state]} for state, count in then.items()],
        "sent_to": Counter(item.attempt.account_id for item in unknown if item.attempt).most_common(),
        "tickets": sum(item.job.tickets for item in unknown),
        "usd": sum(item.job.usd_estimate for item in unknown),
    }
    return TemplateResponse(request, "admin/queue_app/reviewitem/settle.html", context)
