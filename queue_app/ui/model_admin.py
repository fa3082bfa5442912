"""
The two bases of the admin's classes: `ReadOnlyAdmin` for rows that only verbs write, `PolicyAdmin` for rows that staff edit; and
`ExactSearch`, for large tables.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.templatetags import admin_list
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django_stubs_ext import StrOrPromise

from queue_app import clock
from queue_app.rules import numbers
from queue_app.rules.words import storable
from queue_app.ui import display, history, holds, pages
from queue_app.ui.access import staff
from queue_app.ui.paging import EstimatingPaginator, PageList
from queue_app.work import policy
from queue_app.work.roles import Right

M = TypeVar("M", bound=models.Model)
F = TypeVar("F", bound=forms.BaseForm)


# Django draws a picture for yes and no, in lists and on pages that only show; it offers no other way to change that
admin_list._boolean_icon = display.yes_or_no  # type: ignore[attr-defined]


class DayAndTime(forms.SplitDateTimeWidget):
    """A moment in the browser's own fields for a date and a time, each with a name for screen readers."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        date, time = {"type": "date", "aria-label": "Date"}, {"type": "time", "step": "1", "aria-label": "Time"}
        super().__init__(attrs, date_format="%Y-%m-%d", time_format="%H:%M:%S", date_attrs=date, time_attrs=time)


class NamedCells(BaseFormSet[F]):
    """Forms in the rows of a table: the only label of a field is its column's head, so each field names itself."""

    def add_fields(self, form: F, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            field.widget.attrs.setdefault("aria-label", str(field.label))


class EditedRows(NamedCells[forms.ModelForm[M]], forms.BaseModelFormSet[M, forms.ModelForm[M]]):
    """The rows of a list that is edited in place."""


class ListAdmin(admin.ModelAdmin[M]):
    """The common part of both bases: a list whose cost is independent of the table's size, and the audit as a row's history."""

    paginator = EstimatingPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # the counts beside a filter's choices grow with the table
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}, models.DateTimeField: {"widget": DayAndTime}}
    list_per_page = 50
    list_max_show_all = 0  # no page shows a million rows
    title: str = ""
    empty: str = ""  # what an empty list says: what will appear in it, and from where
    may_be_deleted = False  # jobs and the ledger refer to most rows permanently

    def rows(self, found: Sequence[M]) -> Sequence[Any]:
        """
        Return a dataclass for each row of a page, made from one lookup for all of them; nothing if no column needs one.

        Its methods with `column` are columns in ``list_display``, like the fields of the model and the methods of this class.
        """
        return ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(db_field, models.DateTimeField) and field is not None:
            field.help_text = " ".join(filter(None, [str(field.help_text), f"In {timezone.get_current_timezone_name()}."]))
        return field

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        row = context.get("original")
        pause = holds.pause_of(row, at=clock.now()) if row is not None else None
        shown = {"pause": pause, "may_operate": request.user.has_perm(Right.OPERATE)}
        return super().render_change_form(request, {**context, **shown}, *args, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return self.may_be_deleted and super().has_delete_permission(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageList

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, **{"formset": EditedRows, **kwargs})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        name = self.title or capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": name, **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown = {"show_save_and_add_another": False, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, shown)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the audit of a row. Django's own log, which only forms write, is not shown."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return pages.not_there(request, self.opts, object_id)
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        entries = history.of(row)
        page, kept = f"admin:{self.opts.app_label}_{self.opts.model_name}", self.get_preserved_filters(request)
        context = {
            "list_address": add_preserved_filters({"opts": self.opts, "preserved_filters": kept}, reverse(f"{page}_changelist")),
            "row_address": reverse(f"{page}_change", args=[quote(row.pk)]) + (f"?{kept}" if kept else ""),
            **self.admin_site.each_context(request),
            "title": "History",
            "opts": self.opts,
            "object": row,
            "entries": entries[: history.SHOWN],
            "more": len(entries) > history.SHOWN,
            "may_open": request.user.has_perm("queue_app.view_auditentry"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/audit/history.html", context)


class ReadOnlyAdmin(ListAdmin[M]):
    """Rows that only verbs write. Their tables are large, so a list has one order: that of an index."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class PolicyAdmin(ListAdmin[M]):
    """Rows that staff edit. Each row of a form, inlines too, is saved by the verb that audits it: `policy.save`."""

    change_form_template = "admin/policy_form.html"

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        names = {field.name for field in obj._meta.get_fields()}
        touched = form.changed_data if change else form.cleaned_data
        values = {name: form.cleaned_data[name] for name in touched if name in names}
        reason = form.cleaned_data.get("why", "")  # only some forms ask for one
        policy.save(obj, values, at=clock.now(), actor=staff(request), reason=reason)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the rows of an inline. Where they have no page of their own, the audit shows them on that of ``form``'s row."""
        at, by, has_page = clock.now(), staff(request), self.admin_site.is_registered(formset.model)
        formset.save(commit=False)
        for row in formset.deleted_objects:
            policy.remove(row, at=at, actor=by, of=form.instance)
        for row, touched in formset.changed_objects:
            values = {name: getattr(row, name) for name in touched}
            policy.save(row, values, at=at, actor=by, of=row if has_page else form.instance)
        for row in formset.new_objects:
            policy.save(row, {}, at=at, actor=by, of=row if has_page else form.instance)

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        policy.remove(obj, at=clock.now(), actor=staff(request))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[M]) -> None:
        for row in queryset:
            self.delete_model(request, row)


class ExactSearch:
    """A search by a whole value that an index answers: ``contains`` would read all of a large table."""

    search_fields: ClassVar[list[str] | tuple[str, ...]] = ("job",)
    search_help_text: ClassVar[StrOrPromise | None] = "Job number"

    def found_by(self, word: str) -> dict[str, Any] | None:
        """Return the filter for what was typed, or ``None`` if no row can match it."""
        number = numbers.of_row(word)
        return {"job": number} if number else None

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        word = storable(search_term).strip()
        if not word:
            return queryset, False
        wanted = self.found_by(word)
        return (queryset.none() if wanted is None else queryset.filter(**wanted)), False


def column(description: str) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Make a method of a row dataclass a column with this head; see `ListAdmin.rows`."""
    return admin.display(description=description)


class OfJob(Protocol):
    """A row that belongs to a job."""

    job_id: int


@admin.display(description="Job")
def job_link(row: OfJob) -> SafeString:
    """The column that links a row to its job."""
    return display.link(reverse("admin:queue_app_job_change", args=[row.job_id]), display.number(row.job_id))
