"""
What the dashboard shows, in parts: each with a version that changes exactly when what is shown of it does.

All viewers of a process share one look, a tenth of a second old at most when it is cheap: a page that heard of a change asks
later than that, so it never gets the state before it. What ages (“12 m”) is told as a moment and makes no new version.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from queue_app.admin.dashboard import cards, charts, notes, rows, words
from queue_app.admin.dashboard.words import Age
from queue_app.insight import counts, failures, hourly, lanes, workers
from queue_app.insight.failures import Failure
from queue_app.insight.lanes import Lanes
from queue_app.insight.shared import while_worth
from queue_app.insight.workers import Machine
from queue_app.models import AuditEntry, Job, State
from queue_app.rules import priority
from queue_app.ui import display, history

FRESH, WORTH = 0.1, 3  # seconds a look is shared at least, and times what it cost
RECENT, DEEDS, ERRORS = 8, 6, 6  # rows that are shown


@dataclass(frozen=True)
class Board:
    """Everything; ``token`` is the version of the whole, ``versions`` those of its parts."""

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
    """A job that entered the queue lately."""

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
    """Who did what."""

    at: datetime
    actor: str
    action: str
    target: str
    change: str
    reason: str


def shared(*, at: datetime, act: str = "") -> Board:
    """The board of all viewers; ``act`` names what this one changed last, see `live.act`."""
    return while_worth(WORTH, "dashboard", lambda: look(at=at), at_least=FRESH, act=act)


def look(*, at: datetime) -> Board:
    """The board, fresh; a fixed number of queries."""
    now, hours, errors = lanes.look(at=at), hourly.day(at=at), failures.by_error(at=at)
    in_flight, ended, machines = counts.in_flight(), counts.ended(at=at), workers.look(at=at)
    parts: dict[str, Any] = {
        "head": {"paused": now.queue.paused, "completed": ended[State.COMPLETED]},
        "notes": notes.of(now, machines, at=at),
        "cards": cards.six(now, hours, in_flight, ended, len(errors), at=at),
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
        "failures": _failures(errors),
        "workers": _workers(machines, at),
        "audit": _deeds(),
    }
    versions = {name: _version(part) for name, part in parts.items()}
    return Board(_version(versions), versions, parts)


def _version(shown: Any) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


def _waiting(now: Lanes) -> str:
    return "no jobs waiting" if not now.waiting else f"{display.number(now.waiting)} job{'s' * (now.waiting > 1)} waiting"


def _levels(now: Lanes) -> list[Level]:
    most = max((count for _, count in now.by_priority), default=1)
    return [
        Level(priority.name(level), _rank(level), count, f"{max(1.0, 100 * count / most):.1f}")
        for level, count in now.by_priority
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


def _failures(errors: list[Failure]) -> dict[str, Any]:
    return {
        "jobs": sum(failure.jobs for failure in errors),
        "errors": [
            {
                "id": rows.element_id("error", failure.code),
                "code": failure.code or "no error code",
                "query": urlencode({"status": "failed", "error": failure.code, "ended": "24h"}),
                "jobs": failure.jobs,
                "last_at": failure.last_at,
                "models": ", ".join(model for model, _ in failure.models[:3]) + (" …" if len(failure.models) > 3 else ""),
                "remedy": failure.remedy,
            }
            for failure in errors[:ERRORS]
        ],
        "left_out": max(0, len(errors) - ERRORS),
    }


def _workers(machines: list[Machine], at: datetime) -> dict[str, Any]:
    """Machines with heartbeats as words: one that beats says no age, so that beating on is no news."""
    silent = sum(not machine.alive for machine in machines)
    silent += sum(not cluster.alive for machine in machines if machine.alive for cluster in machine.clusters)
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
                        "queue": cluster.queue,
                        "silent": None if cluster.alive else words.age(cluster.beat_at, at),
                        "workers": cluster.workers,
                        "busy": cluster.busy,
                        "tasks": cluster.tasks,
                        "restarted_at": cluster.restarted_at,
                        "replaced": cluster.replaced,
                    }
                    for cluster in machine.clusters
                ],
            }
            for machine in machines
        ],
    }


def _deeds() -> list[Deed]:
    return [
        Deed(entry.at, entry.actor_name, entry.action, entry.target, history.summary(entry)[:160], entry.reason[:160])
        for entry in AuditEntry.objects.order_by("-id")[:DEEDS]
    ]
