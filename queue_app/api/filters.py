"""Filters of lists, with django-filter."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django_filters import Filter
from django_filters.rest_framework import DjangoFilterBackend, FilterSet

from queue_app.insight.deliveries import WITH_STATUS
from queue_app.models.job import BatchQuerySet, JobQuerySet


class CheckedFilterSet(FilterSet):
    """
    Filters by parameters that the view has checked (`serializers.base.Query`).

    django-filter's form is left out: it ignores unknown parameters and takes values that the API refuses.
    """

    def is_valid(self) -> bool:
        return True

    @property
    def qs(self) -> QuerySet[Any]:
        found: QuerySet[Any] = self.queryset
        for name, narrowed in self.filters.items():
            if name in self.data:
                found = narrowed.filter(found, self.data[name])
        return found


class CheckedFilterBackend(DjangoFilterBackend):
    """Narrows by the ``filterset_class`` of a viewset or an ``@action``."""

    def get_filterset_kwargs(self, request: Any, queryset: QuerySet[Any], view: Any) -> dict[str, Any]:
        return {"data": view.query, "queryset": queryset, "request": request}


class JobFilterSet(CheckedFilterSet):
    """`GET jobs/`. Its search is in `pagination.JobPages`."""

    status = Filter(method="with_status")
    model = Filter()
    kind = Filter()
    campaign = Filter("batch")
    batch = Filter("batch")
    created_after = Filter("queued_at", "gte")
    created_before = Filter("queued_at", "lt")
    completed_after = Filter("ended_at", "gte")
    completed_before = Filter("ended_at", "lt")
    metadata = Filter(method="with_metadata")

    def with_status(self, jobs: JobQuerySet, name: str, statuses: str) -> JobQuerySet:
        return jobs.with_status(*statuses.split(","))

    def with_metadata(self, jobs: JobQuerySet, name: str, values: Mapping[str, str]) -> JobQuerySet:
        return jobs.tagged(values)


class BatchFilterSet(CheckedFilterSet):
    """`GET batches/`."""

    paused = Filter()
    done = Filter(method="that_are_done")
    search = Filter(method="called")

    def that_are_done(self, batches: BatchQuerySet, name: str, done: bool) -> BatchQuerySet:
        return batches.done() if done else batches.open()

    def called(self, batches: BatchQuerySet, name: str, words: str) -> BatchQuerySet:
        return batches.search(words)


class DeliveryFilterSet(CheckedFilterSet):
    """`GET webhook-endpoints/{id}/deliveries/`."""

    status = Filter(method="with_status")

    def with_status(self, messages: QuerySet[Any], name: str, status: str) -> QuerySet[Any]:
        return messages.filter(WITH_STATUS[status])
