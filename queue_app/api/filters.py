"""Filters of lists, with django-filter."""

from typing import Any

from django.db.models import QuerySet
from django_filters import Filter
from django_filters.rest_framework import DjangoFilterBackend, FilterSet

from queue_app.insight.deliveries import WITH_STATUS
from queue_app.models.job import JobQuerySet


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

    def with_status(self, jobs: JobQuerySet, name: str, statuses: str) -> JobQuerySet:
        return jobs.with_status(*statuses.split(","))


class DeliveryFilterSet(CheckedFilterSet):
    """`GET webhook-endpoints/{id}/deliveries/`."""

    status = Filter(method="with_status")

    def with_status(self, messages: QuerySet[Any], name: str, status: str) -> QuerySet[Any]:
        return messages.filter(WITH_STATUS[status])
