"""
The facts of the dashboard, in parts: each has a version that changes exactly when the part would look different.

All viewers of a process share one look, at most a tenth of a second old while it is cheap: a page that heard of a change asks
later than that, so it never gets the state before it. Ages (“12m”) are moments and make no new version.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app.admin.dashboard import banners, cards, charts, rows, words
from queue_app.admin.dashboard.rows import CapacityRow
from queue_app.caching import while_worth
from queue_app.insight import counts, failures, hourly, snapshot, workers
from queue_app.insight.failures import Failure
from queue_app.insight.snapshot import Snapshot
from queue_app.insight.workers import Machine
from queue_app.models import AuditEntry, State
from queue_app.rules import priority
from queue_app.rules.numbers import counted
from queue_app.ui import deeds, display, history
from queue_app.ui.deeds import Sentence

FRESH, WORTH = 0.1, 3  # seconds a look is shared at least, and times what it cost
DEEDS, ERRORS = 5, 3  # rows that are shown
NAMED = 3  # models in the line of a fold


@dataclass(frozen=True)
class Dashboard:
    """All parts; ``token`` is the version of the whole, ``versions`` are those of its parts."""

    token: str
    versions: dict[str, str]
    parts: dict[str, Any]


@dataclass(frozen=True)
class Level:
    """Waiting jobs of one priority; ``width`` in percent of the longest bar."""

    name: str
    rank: str
    jobs: int
    width: str


@dataclass(frozen=True)
class Deed:
    """An entry of the audit as a sentence, then ``change`` and ``reason``; ``url`` is that of the entry."""

    id: str
    when: SafeString
    told: Sentence
    url: str
    change: str
    reason: str


@dataclass(frozen=True)
class Fold:
    """Rows that are folded under a line of ``words``, with a second, quiet part of it; ``warns``: that one is a warning."""

    rows: list[CapacityRow]
    words: str
    sub: str
    warns: bool = False

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.rows]


@dataclass(frozen=True)
class Chip:
    """A standing fact beside the head, with all of it in ``whole``."""

    words: str
    whole: str
    url: str


def shared(*, at: datetime, act: str = "") -> Dashboard:
    """
    Return what all viewers share. ``act`` names the last change of this viewer (`fragments.act`): the first look after it shares
    nothing that is older, so that the page agrees with the message about the change.
    """
    return while_worth(
        WORTH,
        "dashboard",
        lambda: look(at=at),
        at_least=FRESH,
        act=act,
        compute_after_act=lambda: look(at=at, anew=True),
    )


def look(*, at: datetime, anew: bool = False) -> Dashboard:
    """Read everything, ``anew`` without counts that others share; a fixed number of queries."""
    within = 0 if anew else None
    now, hours = snapshot.take(at=at, within=within, anew=anew), hourly.day(at=at)
    errors = failures.by_error(at=at, anew=anew)
    in_progress, ended, machines = counts.in_progress(), counts.finished(at=at, within=within), workers.machines(at=at)
    lanes = rows.lanes(now, at=at)
    parts: dict[str, Any] = {
        "head": {"paused": now.queue.paused, "completed": ended[State.COMPLETED]},
        "chips": _chips(now),
        "notes": banners.of(now, machines, at=at),
        "cards": cards.six(now, hours, in_progress, ended, len(errors), at=at),
        "capacity": f"{now.queue.used} of {now.queue.effective} slots used, {_waiting(now)}{_peak(now)}",
        "lanes": {
            "rows": [row for row in lanes if row.what == "queue" or not row.is_idle],
            "idle": _idle([row for row in lanes if row.what == "model" and row.is_idle]),
        },
        "limits": _limits(rows.shared(now, at=at)),
        "throughput": charts.throughput(hours),
        "waits": charts.waits(hours),
        "failure_rate": charts.failure_rate(hours),
        "priorities": {"levels": _levels(now), "waiting": now.waiting},
        "failures": _failures(errors, at),
        "workers": _workers(machines, at),
        "audit": _deeds(at),
    }
    versions = {name: _version(part) for name, part in parts.items()}
    return Dashboard(_version(versions), versions, parts)


def _version(shown: Any) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


def _waiting(now: Snapshot) -> str:
    return "no jobs waiting" if not now.waiting else f"{display.number(now.waiting)} job{'s' * (now.waiting > 1)} waiting"


def _peak(now: Snapshot) -> str:
    return f". {now.peak.words}" if now.peak else ""


def _levels(now: Snapshot) -> list[Level]:
    most = max((count for _, count in now.waiting_by_priority), default=1)
    return [
        Level(priority.name(level), _rank(level), count, f"{max(1.0, 100 * count / most):.1f}")
        for level, count in now.waiting_by_priority
    ]


def _rank(level: int) -> str:
    if level == priority.NORMAL:
        return "normal"
    return "urgent" if level >= priority.URGENT else "high" if level > priority.NORMAL else "low"


def _chips(now: Snapshot) -> list[Chip]:
    models = [lane.key for lane in now.lanes if lane.is_preview]
    if not models:
        return []
    whole = f"No API key for {banners.named(models)}: the studio renders previews."
    return [Chip(f"{counted(len(models), 'model')} on preview", whole, reverse("admin:queue_app_provideraccount_changelist"))]


def _idle(found: list[CapacityRow]) -> Fold:
    off = sum(row.off for row in found)
    words = counted(len(found), "idle model") + (f", {off} not available" if off else "")
    others = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return Fold(found, words, ", ".join(row.name for row in found[:NAMED]) + others)


def _limits(found: list[CapacityRow]) -> Fold:
    """Fold accounts and job types: the line names those with a limit, then the accounts with trouble, or how many have none."""
    limited = [row for row in found if row.is_limited]
    named = ", ".join(f"{row.key} {row.slots}" for row in limited[:NAMED])
    trouble = [f"{row.key} {'paused' if row.paused else 'cooling down'}" for row in found if row.paused or row.cooling]
    sub = ", ".join(trouble) or f"{len(found) - len(limited)} without a limit"
    return Fold(found, f"Accounts and job types{f': {named}' if named else ''}", sub, warns=bool(trouble))


def _failures(errors: list[Failure], at: datetime) -> dict[str, Any]:
    return {
        "jobs": sum(failure.jobs for failure in errors),
        "errors": [
            {
                "id": rows.element_id("error", failure.code),
                "code": failure.code or "no error code",
                "query": urlencode({"status": "failed", "error": failure.code, "ended": "24h"}),
                "jobs": failure.jobs,
                "last_at": failure.last_at,
                "last": display.moment(failure.last_at, at),
                "models": ", ".join(model for model, _ in failure.models[:3]) + (" …" if len(failure.models) > 3 else ""),
                "remedy": failure.remedy,
                "is_retried": failure.is_retried,
            }
            for failure in errors[:ERRORS]
        ],
        "left_out": max(0, len(errors) - ERRORS),
    }


def _workers(machines: list[Machine], at: datetime) -> dict[str, Any]:
    """Return machines in words. A living machine shows no age, so its next heartbeat makes no new version."""
    silent = sum(not machine.alive for machine in machines)
    silent += sum(not group.alive for machine in machines if machine.alive for group in machine.groups)
    return {
        "silent": silent,
        "machines": [
            {
                "id": rows.element_id("machine", machine.host),
                "host": machine.host,
                "busy": sum(group.busy for group in machine.groups),
                "workers": sum(group.workers for group in machine.groups),
                "trouble": sum(not group.alive for group in machine.groups) if machine.alive else 0,
                "role": "leader" if machine.leads else "standby" if machine.alive else "not responding",
                "silent": None if machine.alive else words.age(machine.beat_at, at),
                "since": machine.since,
                "restarts": machine.restarts,
                "clusters": [
                    {
                        "queue": group.queue,
                        "silent": None if group.alive else words.age(group.beat_at, at),
                        "workers": group.workers,
                        "busy": group.busy,
                        "tasks": group.tasks,
                        "restarted_at": group.restarted_at,
                        "replaced": group.replaced,
                    }
                    for group in machine.groups
                ],
            }
            for machine in machines
        ],
    }


def _deeds(at: datetime) -> list[Deed]:
    return [
        Deed(
            id=f"deed-{told.entry.pk}",
            when=display.clock_time(told.entry.at, at),
            told=told,
            url=reverse("admin:queue_app_auditentry_change", args=[told.entry.pk]),
            change=", ".join([*map(history.in_short, told.changes), *told.notes])[:160],
            reason=told.entry.reason[:160],
        )
        for told in deeds.of(AuditEntry.objects.order_by("-id")[:DEEDS], at=at)
    ]
