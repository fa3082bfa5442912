"""The audit as people read it: each entry as a table of values before and after, and the history of one row."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.admin.utils import quote
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from queue_app.models import AuditEntry
from queue_app.rules.words import one_line

NOTHING = "–"
LISTED = 50  # values of a list
SHOWN = 200  # entries of a history


@dataclass(frozen=True)
class Change:
    """One value before and after, as people read it."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class HistoryEntry:
    """An audit entry on the page of its thing."""

    pk: int
    at: datetime
    actor_name: str
    action: str
    reason: str
    changes: list[Change]


def changes(entry: AuditEntry) -> list[Change]:
    """Return the values that an entry changed, named as the form names them."""
    names = dict.fromkeys([*entry.before, *entry.after])
    return [
        Change(words, _said(before), _said(after))
        for name in names
        for words, before, after in _leaves(_label(entry, name), entry.before.get(name), entry.after.get(name))
    ]


def summary(entry: AuditEntry) -> str:
    """Return the changes on one line: “concurrent jobs: 4 → 2; paused: no → yes”."""
    return "; ".join(in_short(change) for change in changes(entry))


def address(entry: AuditEntry) -> str:
    """Return the address of the row that the entry is about; empty if it has no page or was deleted."""
    model = model_of(entry)
    if model is None or not model._default_manager.filter(pk=entry.target_pk).exists():
        return ""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(entry.target_pk)])
    except NoReverseMatch:
        return ""


def model_of(entry: AuditEntry) -> type[Model] | None:
    """Return the model of the row that the entry is about, if the entry names one that exists."""
    if not entry.target_model:
        return None
    try:
        return apps.get_model(entry.target_model)
    except (LookupError, ValueError):  # this version has no such table, or it is no name of one
        return None


def of(row: Model) -> list[HistoryEntry]:
    """Return the audit of a row, newest first; one more than `SHOWN` if there are more."""
    found = AuditEntry.objects.filter(target_model=row._meta.label_lower, target_pk=str(row.pk)).order_by("-id")
    return [
        HistoryEntry(entry.pk, entry.at, entry.actor_name, entry.action, entry.reason, changes(entry))
        for entry in found[: SHOWN + 1]
    ]


def _leaves(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the values that differ; of an object, those in it."""
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


def in_short(change: Change) -> str:
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
