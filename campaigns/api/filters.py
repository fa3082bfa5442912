"""Filters of lists."""

from typing import Any

from django.db.models import Q, QuerySet
from django_filters import Filter

from campaigns.models.combination import TO_JUDGE
from campaigns.standing import BLOCKED
from queue_app.api.filters import CheckedFilterSet
from queue_app.models.job import STATES_OF_STATUS


class CombinationFilterSet(CheckedFilterSet):
    """`GET campaigns/{id}/combinations/`."""

    status = Filter(method="with_status")
    review = Filter(method="with_review")

    def with_status(self, found: QuerySet[Any], name: str, status: str) -> QuerySet[Any]:
        return found.filter(blocked=True) if status == BLOCKED else found.filter(job__state__in=STATES_OF_STATUS[status])

    def with_review(self, found: QuerySet[Any], name: str, review: str) -> QuerySet[Any]:
        return found.filter(TO_JUDGE if review == "none" else Q(review=review))
