"""What the audit knows of a thing: each entry as a table of before and after, and the page of a thing's own entries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from queue_app.models import AuditEntry
from queue_app.rules.words import one_line

NOTHING = "–"
LISTED = 50  # values of a list
SHOWN = 200  # entries on the page of a thing, newest first


@dataclass(frozen=True)
class Change:
    """One value as people read it."""

    name: str
    before: str
    after: str


def changes(entry: AuditEntry) -> list[Change]:
    """What an entry says of each value, in the words of the form that shows it."""
    names = dict.fromkeys([*entry.before, *entry.after])
    return [
        Change(words, _said(before), _said(after))
        for name in names
        for words, before, after in _leaves(_label(entry, name), entry.before.get(name), entry.after.get(name))
    ]


def summary(entry: AuditEntry) -> str:
    """The changes on one line: “concurrent jobs: 4 → 2; paused: no → yes”."""
    return "; ".join(_short(change) for change in changes(entry))


def address(entry: AuditEntry) -> str:
    """Where the thing is shown that the entry is about; empty where there is no such page, or the thing is gone."""
    model = model_of(entry)
    if model is None or not model._default_manager.filter(pk=entry.target_pk).exists():
        return ""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(entry.target_pk)])
    except NoReverseMatch:
        return ""


def model_of(entry: AuditEntry) -> type[Model] | None:
    """What the entry's thing is a row of, where the entry knows it."""
    if not entry.target_model:
        return None
    try:
        return apps.get_model(entry.target_model)
    except LookupError:  # a table that this version no longer has
        return None


class AuditedHistory(ModelAdmin):  # type: ignore[type-arg]
    """The history of a row is what the audit says of it; Django's own log, which only forms write, is not shown."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        entries = list(_of(row))
        for entry in entries:
            entry.changes = changes(entry)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": "History",
            "opts": self.opts,
            "object": row,
            "entries": entries[:SHOWN],
            "more": len(entries) > SHOWN,
            "may_open": request.user.has_perm("queue_app.view_auditentry"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/audit/history.html", context)


def _of(row: Model) -> Iterator[AuditEntry]:
    found = AuditEntry.objects.filter(target_model=row._meta.label_lower, target_pk=str(row.pk))
    return found.order_by("-id")[: SHOWN + 1].iterator()


def _leaves(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Of an object with values in it, those that differ."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield name, before, after
        return
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield from _leaves(f"{name}: {key}", before.get(key), after.get(key))


def _label(entry: AuditEntry, name: str) -> str:
    model = model_of(entry)
    try:
        words = str(getattr(model._meta.get_field(name), "verbose_name", name)) if model else name
    except FieldDoesNotExist:
        words = name
    words = words.replace("_", " ")
    return words[:1].upper() + words[1:]


def _short(change: Change) -> str:
    name = change.name[:1].lower() + change.name[1:]
    if change.before == NOTHING:
        return f"{name}: {one_line(change.after)}"
    return f"{name}: {one_line(change.before)} → {one_line(change.after)}"


def _said(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        left_out = f", and {len(value) - LISTED} more" if len(value) > LISTED else ""
        return ", ".join(map(_said, value[:LISTED])) + left_out or NOTHING
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else NOTHING
    moment = _moment(value) if isinstance(value, str) else None
    return f"{timezone.localtime(moment):%d %b %Y, %H:%M:%S %Z}" if moment else str(value)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
