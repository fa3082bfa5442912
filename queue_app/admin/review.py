"""What waits for a person: outcomes that nobody can ask for, money paid and nothing delivered."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app import clock, lifecycle
from queue_app.admin import display
from queue_app.admin.base import OfJob
from queue_app.models import ReviewItem, User
from queue_app.work import policy


@admin.register(ReviewItem)
class ReviewItemAdmin(OfJob):
    title = "Needs a person"
    list_display = ("job_link", "what", "state", "opened_at", "decide_by", "closed_at", "closed_by")
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    list_select_related = ("job",)
    ordering = ("-id",)

    actions = ("queue_again", "give_up")

    @admin.display(description="Job is")
    def state(self, item: ReviewItem) -> str:
        return display.badge(item.job.state)

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queue_app.force_fail_job")

    @admin.action(description="The provider did not take it: queue again", permissions=["settle"])
    def queue_again(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> None:
        self._settle(request, items, again=True, done="queued for another attempt")

    @admin.action(description="Give up: fail it, tickets go back", permissions=["settle"])
    def give_up(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> None:
        self._settle(request, items, again=False, done="failed, tickets given back")

    def _settle(self, request: HttpRequest, items: QuerySet[ReviewItem], *, again: bool, done: str) -> None:
        assert isinstance(request.user, User)
        at, name = clock.now(), request.user.username
        asked = list(items.filter(closed_at=None).values_list("job_id", flat=True))
        settled = lifecycle.settle_unknown(asked, again=again, at=at, actor=name, reason=f"looked at the provider's side; {done}")
        if settled:
            policy.audit(f"settle unknown: {done}", f"{len(settled)} jobs", at=at, actor=request.user, after={"jobs": settled})
            self.message_user(request, f"{len(settled)} {done}.", messages.SUCCESS)
        if len(settled) < len(asked) or not asked:
            self.message_user(request, "The others have no unknown outcome any more.", messages.WARNING)
