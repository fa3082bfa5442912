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

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app.admin.dashboard import banners, cards, charts, rows, words
from queue_app.admin.dashboard.words import Age
from queue_app.caching import while_worth
from queue_app.insight import counts, failures, hourly, snapshot, workers
from queue_app.insight.failures import Failure
from queue_app.insight.snapshot import Snapshot
from queue_app.insight.workers import Machine
from queue_app.models import AuditEntry, Job, State
from queue_app.rules import priority
from queue_app.ui import display, history

FRESH, WORTH = 0.1, 3  # seconds a look is shared at least, and times what it cost
RECENT, DEEDS, ERRORS = 8, 6, 6  # rows that are shown


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
class Recent:
    """A recent job."""

    pk: int
    url: str
    prompt: str
    model: str
    owner: str
    state: str
    state_words: str
    level: str
    age: Age


@dataclass(frozen=True)
class Deed:
    """An entry of the audit log."""

    when: SafeString
    actor: str
    action: str
    target: str
    change: str
    reason: str


def shared(*, at: datetime, act: str = "") -> Dashboard:
    """Return what all viewers share; ``act`` names the last change of this viewer (`fragments.act`)."""
    return while_worth(WORTH, "dashboard", lambda: look(at=at), at_least=FRESH, act=act)


def look(*, at: datetime) -> Dashboard:
    """Read everything; a fixed number of queries."""
    now, hours, errors = snapshot.take(at=at), hourly.day(at=at), failures.by_error(at=at)
    in_progress, ended, machines = counts.in_progress(), counts.finished(at=at), workers.machines(at=at)
    parts: dict[str, Any] = {
        "head": {"paused": now.queue.paused, "completed": ended[State.COMPLETED]},
        "notes": banners.of(now, machines, at=at),
        "cards": cards.six(now, hours, in_progress, ended, len(errors), at=at),
        "lanes": {
            "rows": rows.lanes(now, at=at),
            "sub": f"{now.queue.used} of {now.queue.effective} slots used, {_waiting(now)}",
        },
        "limits": {"rows": rows.shared(now, at=at)},
        "throughput": charts.throughput(hours),
        "waits": charts.waits(hours),
        "failure_rate": charts.failure_rate(hours),
        "priorities": {"levels": _levels(now), "waiting": now.waiting},
        "recent": _recent(at),
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


def _recent(at: datetime) -> list[Recent]:
    jobs: QuerySet[Job] = Job.objects.filter(archived_at=None).select_related("owner").order_by("-id")
    return [
        Recent(
            pk=job.pk,
            url=reverse("admin:queue_app_job_change", args=[job.pk]),
            prompt=job.prompt[:160],
            model=job.model_id,
            owner=job.owner.username,
            state=job.state,
            state_words=str(State(job.state).label).capitalize(),
            level="" if job.priority == priority.NORMAL else priority.name(job.priority),
            age=words.age(job.queued_at, at),
        )
        for job in jobs[:RECENT]
    ]


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
                "host": machine.host,
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
            when=display.clock_time(entry.at, at),
            actor=entry.actor_name,
            action=entry.action,
            target=entry.target,
            change=history.summary(entry)[:160],
            reason=entry.reason[:160],
        )
        for entry in AuditEntry.objects.order_by("-id")[:DEEDS]
    ]
