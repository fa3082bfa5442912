"""The list of items that need attention: unknown outcomes, and paid jobs without files. `review_page` shows one item."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.admin import lookups, review_page
from queue_app.admin.review_page import THEN
from queue_app.models import ReviewItem, State
from queue_app.rules.numbers import counted
from queue_app.ui import display
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, column, job_link
from queue_app.work import decisions
from queue_app.work.roles import Right


class ResolvedFilter(admin.SimpleListFilter):
    """Open items by default; resolved ones or all on request."""

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
    list_filter = (ResolvedFilter,)
    list_select_related = ("job__owner", "attempt__account")
    # open items first, the longest wait before the others
    ordering = (F("closed_at").desc(nulls_first=True), "opened_at", "id")
    actions = ("queue_again", "give_up")
    change_list_template = "admin/queue_app/reviewitem/change_list.html"

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        """Leave out the column of the end where only open items are shown."""
        return self.list_display if request.GET.get(ResolvedFilter.parameter_name) else self.list_display[:-1]

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
        again, reason = action == "queue_again", review_page.reason_of(request)
        chosen = list(items.filter(closed_at=None).select_related("job__kind", "job__owner").order_by("pk"))
        if not reason:
            return self._ask_why(request, chosen, action)
        came_to = decisions.settle_each(chosen, again=again, at=clock.now(), actor=staff(request), reason=reason)
        for state, count in Counter(came_to.values()).items():
            self.message_user(request, f"{counted(count, 'job')} {THEN[state]}.", messages.SUCCESS)
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
            "title": f"{'Requeue' if again else 'Fail'} {counted(len(unknown), 'job')}?",
            "action": action,
            "chosen": chosen,
            "acts_on": len(unknown),
            "left": len(chosen) - len(unknown),
            "then": [{"count": count, "state": state, "words": THEN[state]} for state, count in then.items()],
            "tickets": sum(item.job.tickets for item in unknown),
            "usd": sum(item.job.usd_estimate for item in unknown),
        }
        return TemplateResponse(request, "admin/queue_app/reviewitem/settle.html", context)
