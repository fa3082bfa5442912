"""Pages of a list: paginators whose cost is independent of the table's size, and rows that are looked up once per page."""

from collections.abc import Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db import connection, models
from django.http import HttpRequest
from django.utils.functional import cached_property

from queue_app.insight import search
from queue_app.models import Job
from queue_app.models.job import JobQuerySet

if TYPE_CHECKING:
    from queue_app.ui.model_admin import ListAdmin

EXACT_UP_TO = 2_000  # rows; above it the planner's estimate is close enough for page numbers
DEEP = 1_000  # rows before a page, from which on the page is found by keys alone
M = TypeVar("M", bound=models.Model)


class EstimatingPaginator(Paginator[M]):
    """
    Counts exactly up to `EXACT_UP_TO` rows, then takes the planner's estimate: ``count(*)`` reads the whole table. A deep page is
    found in the index alone.
    """

    def validate_number(self, number: int | float | str) -> int:
        """Return the nearest page that exists: a list can grow shorter while someone reads its end."""
        return min(max(1, int(number)), self.num_pages)

    def page(self, number: int | str) -> Page[M]:
        number = self.validate_number(number)
        before = (number - 1) * self.per_page
        if before < DEEP:
            return super().page(number)
        assert isinstance(self.object_list, models.QuerySet)
        keys = list(self.object_list.values_list("pk", flat=True)[before : before + self.per_page])
        return Page(self.object_list.filter(pk__in=keys), number, self)

    @cached_property
    def count(self) -> int:
        return max(self._counted, self._estimate()) if self.is_estimate else self._counted

    @property
    def is_estimate(self) -> bool:
        """Whether `count` is the planner's estimate, to be shown with “about”."""
        return self._counted > EXACT_UP_TO

    @cached_property
    def _counted(self) -> int:
        return self._rows()[: EXACT_UP_TO + 1].count()

    def _rows(self) -> models.QuerySet[Any]:
        assert isinstance(self.object_list, models.QuerySet)
        return self.object_list.order_by()

    def _estimate(self) -> int:
        sql, params = self._rows().values("pk").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
            plan: list[dict[str, Any]] = cursor.fetchone()[0]
        return int(plan[0]["Plan"]["Plan Rows"])


class FoundPaginator(EstimatingPaginator[Job]):
    """Pages of the ``jobs`` that have all ``words``: `insight.search` counts and cuts them."""

    def __init__(self, *args: Any, jobs: JobQuerySet, words: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.jobs, self.words = jobs, words

    def page(self, number: int | str) -> Page[Job]:
        number = self.validate_number(number)
        before = (number - 1) * self.per_page
        keys = self._first[before : before + self.per_page]
        if self.is_estimate and before + self.per_page > len(self._first):
            keys = self._found(self.per_page, skip=before)
        return Page(cast(JobQuerySet, self.object_list).filter(pk__in=keys), number, self)

    @cached_property
    def _counted(self) -> int:
        return len(self._first)

    @cached_property
    def _first(self) -> list[int]:
        return self._found(EXACT_UP_TO + 1)

    def _found(self, most: int, *, skip: int = 0) -> list[int]:
        return search.first(self.jobs, self.words, most, skip=skip)


class PageList(ChangeList):
    """A page of a list. Columns that are methods of a row dataclass are called with the rows that `ListAdmin.rows` looks up."""

    model_admin: "ListAdmin[Any]"
    shown: Sequence[Any]  # what `ListAdmin.rows` made of the page

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> models.QuerySet[Any]:
        """Return no rows for an unreadable search; Django would ignore it and return all."""
        found: models.QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return found if self.search_form_class(request.GET).is_valid() else found.none()

    def pages(self, request: HttpRequest) -> Paginator[Any]:
        return self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def get_results(self, request: HttpRequest) -> None:
        """Read one page; never all rows, and never the count of the whole table."""
        self.paginator = self.pages(request)
        self.page_num = self.paginator.validate_number(self.page_num)
        self.result_list = self.paginator.page(self.page_num).object_list
        self.result_count, self.full_result_count = self.paginator.count, None
        self.multi_page, self.can_show_all = self.paginator.num_pages > 1, False
        self.show_full_result_count, self.show_admin_actions = False, True
        found = list(self.result_list)  # stays cached in the queryset, which a list that is edited in place needs
        self.shown = self.model_admin.rows(found)
        if self.shown:
            self._bind({one.pk: row for one, row in zip(found, self.shown, strict=True)})

    def _bind(self, rows: Mapping[Any, Any]) -> None:
        """Let Django call a method of the rows' dataclass with a model instance, as it calls every column."""
        methods = vars(type(self.shown[0]))

        def bound(column: Any) -> Any:
            if not callable(column) or methods.get(column.__name__) is not column:
                return column

            @wraps(column)
            def shown(one: models.Model) -> Any:
                return column(rows[one.pk])

            return shown

        self.list_display = [bound(column) for column in self.list_display]
