"""The audit in sentences: who did what to what, why, and the figures. A bulk action and its run are one sentence."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import quote
from django.core.exceptions import ValidationError
from django.urls import NoReverseMatch, reverse
from django.utils.dateparse import parse_datetime

from queue_app.models import AuditEntry, Batch, BulkAction
from queue_app.rules import priority
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.ui import display, history
from queue_app.ui.history import Change
from queue_app.work.bulk import verbs

Phase = BulkAction.Phase
STEP = ": "  # in an action's name: what follows is a later step of the same bulk action
CHANGES_MOST = 3  # of one sentence
# the verb that begins an action → its past tense
_PAST = {
    **{verb: f"{verb}ed" for verb in ("add", "clear", "fail", "grant", "launch", "link", "refund", "review", "force-fail")},
    **{verb: f"{verb}d" for verb in ("change", "delete", "generate", "move", "pause", "requeue", "resolve", "resume", "revoke")},
    "cancel": "cancelled",
    "retry": "retried",
    "rotate": "rotated",
    "set": "set",
    "stop": "stopped",
}
# an action → what its actor did, in words before its target and after it; any other action says it by its own words
_SAID: dict[str, tuple[str, str]] = {
    "pause queue": ("paused the", ""),
    "resume queue": ("resumed the", ""),
    "stop all": ("stopped", ""),
    "cancel jobs": ("cancelled", ""),
    "retry jobs": ("retried", ""),
    "set job priority": ("set the priority of", "to {priority}"),
    "move jobs to front": ("moved", "to the front"),
    "reorder job": ("moved", "among its owner's jobs"),
    "clear jobs": ("cleared", ""),
    "delete files": ("deleted the files of", ""),
    "refund jobs": ("refunded", ""),
    "force-fail jobs": ("force-failed", ""),
    "grant tickets": ("granted {tickets} to", ""),
    "set password": ("set the password of", ""),
    "add API key": ("created API key", ""),
    "link provider task": ("linked a provider task to", ""),
    "resolve item": ("resolved an item of", ""),
    "requeue unknown job": ("requeued", ""),
    "fail unknown job": ("failed", ""),
    "turn off webhook endpoint": ("turned off webhook endpoint", ""),
    "generate version": ("generated a new version of", ""),
    "release videos": ("released videos of", ""),
    "drop videos": ("dropped videos of", ""),
    "rewrite prompts": ("rewrote prompts of", ""),
}
_STEPS = {"run now": ("started", "immediately"), "undone": ("undid", ""), "stopped": ("stopped", "")}
_BRIEFLY = {"run now": "started immediately", "undone": "undone", "stopped": "stopped"}  # the same, of one's own bulk action
_CHANGING = ("change", "review", "set")  # verbs whose sentence is followed by what changed


@dataclass(frozen=True)
class Sentence:
    """
    An entry of the audit as a sentence: its actor, ``said``, the target with its address, ``rest``, the reason; then the figures.
    ``more``: changes that are not listed.
    """

    entry: AuditEntry
    said: str
    target: str
    url: str
    rest: str
    changes: list[Change]
    more: int
    notes: list[str]

    @property
    def is_system(self) -> bool:
        """Whether a rule did it, not a person."""
        return self.entry.actor_id is None

    @property
    def initial(self) -> str:
        return self.entry.actor_name[:1].upper()

    @property
    def told(self) -> str:
        """Return what follows the actor, as plain text."""
        return " ".join(filter(None, [self.said, self.target, self.rest]))


def of(entries: Iterable[AuditEntry], *, at: datetime) -> list[Sentence]:
    """Return these entries as sentences, with a fixed number of queries for each kind of target."""
    listed = list(entries)
    known = _Told.about(listed, at)
    return [_deed(entry, known) for entry in listed]


def words(entry: AuditEntry) -> tuple[str, str]:
    """Return what the actor of an entry did, in words before its target and after it."""
    action, _, step = entry.action.partition(STEP)
    if step:
        return next(found for name, found in _STEPS.items() if step.startswith(name))
    if action.startswith("set ") and action.endswith(" limit"):
        return f"{_moved(entry.before.get('max_concurrent'), entry.after.get('max_concurrent'))} the limit of", ""
    if action in _SAID:
        before, after = _SAID[action]
        return before.format(**_figures(entry)), after.format(**_figures(entry))
    verb, _, rest = action.partition(" ")
    return f"{_PAST.get(verb, verb)} {rest}".strip(), ""


@dataclass(frozen=True)
class _Told:
    """What the sentences of some entries name: addresses by entry, bulk actions, their later steps, and names of batches."""

    at: datetime
    urls: Mapping[int, str]
    actions: Mapping[int, BulkAction]
    steps: Mapping[str, Sequence[AuditEntry]]
    batches: Mapping[int, str]

    @classmethod
    def about(cls, entries: Sequence[AuditEntry], at: datetime) -> "_Told":
        bulk, batch = BulkAction._meta.label_lower, Batch._meta.label_lower
        keys = {label: [one.target_pk for one in entries if one.target_model == label] for label in (bulk, batch)}
        stopped = [pk for one in entries for pk in one.after.get("actions", ()) if one.action == "stop all"]
        steps: dict[str, list[AuditEntry]] = defaultdict(list)
        if keys[bulk]:
            later = AuditEntry.objects.filter(target_model=bulk, target_pk__in=keys[bulk], action__contains=STEP)
            for one in later.order_by("id"):
                steps[one.target_pk].append(one)
        return cls(
            at=at,
            urls=_urls(entries),
            actions=BulkAction.objects.defer("job_ids").in_bulk([*map(int, keys[bulk]), *stopped]),
            steps=steps,
            batches={pk: one_line(str(one)) for pk, one in Batch.objects.in_bulk(list(map(int, keys[batch]))).items()},
        )


def _deed(entry: AuditEntry, known: _Told) -> Sentence:
    said, rest = words(entry)
    changed = history.changes(entry) if entry.action.partition(" ")[0] in _CHANGING and not _is_bulk(entry) else []
    return Sentence(
        entry=entry,
        said=said,
        target=_target(entry, known),
        url=known.urls.get(entry.pk, ""),
        rest=rest,
        changes=changed[:CHANGES_MOST],
        more=max(0, len(changed) - CHANGES_MOST),
        notes=_notes(entry, known),
    )


def _is_bulk(entry: AuditEntry) -> bool:
    return entry.target_model == BulkAction._meta.label_lower


def _target(entry: AuditEntry, known: _Told) -> str:
    if _is_bulk(entry) and STEP not in entry.action:
        return counted(entry.after.get("jobs", 0), "job")
    if entry.target_model == Batch._meta.label_lower:
        return known.batches.get(int(entry.target_pk), entry.target)
    name = one_line(entry.target)
    return name[:1].lower() + name[1:] if name.startswith("Job ") else name


def _notes(entry: AuditEntry, known: _Told) -> list[str]:
    """Return the figures of an entry in words: what became of a bulk action, tickets, the end of a pause."""
    if _is_bulk(entry):
        return _of_bulk(entry, known) if STEP not in entry.action else []
    after = entry.after
    if entry.action == "stop all":
        chosen = sum(known.actions[pk].total for pk in after.get("actions", ()) if pk in known.actions)
        return ["queue paused", *([f"cancelling {counted(chosen, 'job')}"] if chosen else [])]
    if entry.action == "launch campaign":
        return [counted(after.get("jobs", 0), "job"), f"{counted(after.get('tickets', 0), 'ticket')} reserved"]
    if entry.action in ("refund", "retry jobs", "retry batch") and isinstance(after.get("tickets"), int):
        return [f"{counted(after['tickets'], 'ticket')} {'returned' if entry.action == 'refund' else 'reserved'}"]
    until = parse_datetime(after["paused_until"]) if isinstance(after.get("paused_until"), str) else None
    return [f"until {display.moment(until, known.at)}"] if until else []


def _of_bulk(entry: AuditEntry, known: _Told) -> list[str]:
    action = known.actions.get(int(entry.target_pk))
    chosen = str(entry.after.get("chosen", ""))
    notes = [f"selected: {chosen}"] if chosen else []
    for step in known.steps.get(entry.target_pk, ()):
        name = step.action.partition(STEP)[2]
        by = f" by {step.actor_name}" if step.actor_name != entry.actor_name else ""
        told = next((told for begin, told in _BRIEFLY.items() if name.startswith(begin)), name)
        notes.append(f"{told}{by} at {display.moment(step.at, known.at)}")
    if action is not None and action.results:
        notes.append(verbs.of(action).summary(action.results))
    return notes


def _urls(entries: Sequence[AuditEntry]) -> dict[int, str]:
    """Return the addresses of the rows that these entries are about, by entry; one query for each kind of row."""
    by_model: dict[Any, list[AuditEntry]] = defaultdict(list)
    for entry in entries:
        if model := history.model_of(entry):
            by_model[model].append(entry)
    found: dict[int, str] = {}
    for model, those in by_model.items():
        try:
            page = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            rows = model._default_manager.filter(pk__in={one.target_pk for one in those})
            there = set(map(str, rows.values_list("pk", flat=True)))
            found |= {one.pk: reverse(page, args=[quote(one.target_pk)]) for one in those if one.target_pk in there}
        except (NoReverseMatch, ValidationError, ValueError):  # no page, or keys of another kind than this version's
            continue
    return found


def _moved(before: Any, after: Any) -> str:
    if after is None:
        return "removed"
    return "set" if before is None else "raised" if after > before else "lowered"


def _figures(entry: AuditEntry) -> dict[str, str]:
    """Return the values of an entry that its sentence names."""
    tickets, level = entry.after.get("tickets") or 0, entry.after.get("priority") or 0
    return {"tickets": counted(tickets, "ticket"), "priority": priority.name(level).lower()}
