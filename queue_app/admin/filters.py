"""Filters of the job list; none of them asks the database what there is to choose from."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app import clock
from queue_app.models import Job, ReviewItem, Status
from queue_app.models.job import STATES_OF_STATUS


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, str(status.label)) for status in Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        states = STATES_OF_STATUS.get(self.value() or "")
        return queryset.filter(state__in=states) if states else queryset


class PriorityFilter(admin.SimpleListFilter):
    title = "priority"
    parameter_name = "level"
    spans = {"raised": {"priority__gt": 0}, "normal": {"priority": 0}, "low": {"priority__lt": 0}}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, key.capitalize()) for key in self.spans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(**self.spans.get(self.value() or "", {}))


class ReviewFilter(admin.SimpleListFilter):
    """Jobs that wait for a decision of a person; a saved view's, shown only there."""

    title = "needs a person"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open")] if self.parameter_name in request.GET else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(pk__in=ReviewItem.objects.filter(closed_at=None).values("job")) if self.value() else queryset


class WhenFilter(admin.SimpleListFilter):
    """Ended in the last 24 h and not cleared from view: the very jobs that the summary counts."""

    title = "ended"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("24h", "Last 24 h")] if self.parameter_name in request.GET else []  # a saved view's, shown only there

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        if not self.value():
            return queryset
        return queryset.filter(ended_at__gt=clock.now() - timedelta(hours=24), archived_at=None)
