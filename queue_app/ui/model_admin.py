"""What the admin's classes share: lists that stay fast at a million rows, and rows that are shown and never edited."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin import widgets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db import connection, models
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property

from queue_app.insight import search
from queue_app.models.job import JobQuerySet
from queue_app.rules import numbers
from queue_app.ui import display
from queue_app.ui.history import AuditedHistory

EXACT_UP_TO = 2_000  # above it the planner's estimate is close enough for page numbers
DEEP = 1_000  # rows before a page, from which on it is found by the keys alone


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """
    Counts exactly while that is cheap, then believes the planner: ``count(*)`` is what grows with the table. What lies before a
    deep page is passed over in the index.
    """

    def validate_number(self, number: int | float | str) -> int:
        """The nearest page that there is: a list grows shorter while somebody reads its end."""
        return min(max(1, int(number)), self.num_pages)

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
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
        """Whether `count` is the planner's word, to be said with “about”."""
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


class FoundPaginator(EstimatingPaginator):
    """The same for those of ``jobs`` that words were searched for: counted and cut by `insight.search`."""

    def __init__(self, *args: Any, jobs: JobQuerySet, words: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.jobs, self.words = jobs, words

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
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


class DayAndTime(widgets.AdminSplitDateTime):
    """Django's two fields of a moment, each with a name for who cannot see where it stands."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        for part, name in zip(self.widgets, ("Date", "Time"), strict=True):
            part.attrs["aria-label"] = name


class NamedCells(BaseFormSet):  # type: ignore[type-arg]
    """Forms in the rows of a table, whose fields are named by nothing but the column's head."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            field.widget.attrs.setdefault("aria-label", field.label)


class Rows(NamedCells, forms.BaseModelFormSet):  # type: ignore[type-arg]
    """The rows of a list that is edited in place."""


class DressedList(ChangeList):
    """A page of rows that the admin class looks up what it shows of them for, once for all."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> models.QuerySet[Any]:
        """What is searched for and cannot be read finds nothing. Django leaves it out, and so would find everything."""
        found: models.QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return found if self.search_form_class(request.GET).is_valid() else found.none()

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.page_num = self.paginator.validate_number(self.page_num)
        # the rows are the queryset's own, kept in it: a list that can be edited needs the queryset
        self.model_admin.dress(list(self.result_list))  # type: ignore[attr-defined]


class FastAdmin(AuditedHistory):
    """A list whose cost does not follow the table's size."""

    paginator = EstimatingPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter grows with the table
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}, models.DateTimeField: {"widget": DayAndTime}}
    list_per_page = 50
    list_max_show_all = 0  # nobody asks for a million rows on one page
    title: str = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DressedList

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, **{"formset": Rows, **kwargs})

    def dress(self, rows: list[Any]) -> None:
        """Put on the rows of a page what their columns need, with a fixed number of queries."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        name = self.title or str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": name, **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        shown = {"show_save_and_add_another": False, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, shown)


class ReadOnlyAdmin(FastAdmin):
    """Rows that only verbs write; large tables, so the one order is the one that an index gives."""

    sortable_by = ()

    def page(self, request: HttpRequest, row: Any) -> HttpResponse | None:
        """The row's own page in place of Django's form; ``None`` for those that have none. Whoever sees it may view the row."""
        return None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id) if request.method == "GET" else None  # nothing is edited by a POST here
        page = self.page(request, row) if row is not None and self.has_view_permission(request, row) else None
        return page or super().change_view(request, object_id, form_url, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class FoundExactly(ReadOnlyAdmin):
    """Large tables, searched by a whole value that an index answers; ``contains`` would read all of them."""

    def found_by(self, word: str) -> dict[str, Any] | None:
        """The filter for what was typed; ``None`` when nothing can be called so."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        word = search_term.replace("\x00", "").strip()
        if not word:
            return queryset, False
        wanted = self.found_by(word)
        return (queryset.none() if wanted is None else queryset.filter(**wanted)), False


class OfJob(FoundExactly):
    """Rows of jobs, found by the job's number."""

    search_fields = ("job",)
    search_help_text = "Job number"
    list_display_links = None

    def found_by(self, word: str) -> dict[str, Any] | None:
        number = numbers.of_row(word)
        return {"job": number} if number else None

    @admin.display(description="Job")
    def job_link(self, row: Any) -> str:
        return display.link(reverse("admin:queue_app_job_change", args=[row.job_id]), display.number(row.job_id))
