"""The rows of the dashboard's capacity and limits: slots as cells, the state of the limit, and its editor."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import reverse

from queue_app.admin.dashboard import words
from queue_app.admin.dashboard.words import Age
from queue_app.forecast.estimates import Estimate
from queue_app.insight.counts import Oldest
from queue_app.insight.snapshot import Lane, Limit, Snapshot
from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.models.catalog import LIMIT_MESSAGE
from queue_app.ui import display

MOST_CELLS = 20  # above it a bar
WIDTH, GAP = 120.0, 2.0
HIGHEST = {"model": 50, "queue": 1_000, "account": 32_767, "kind": 32_767}
MAY_BE_EMPTY = ("account", "kind")
WRONG = {
    "model": LIMIT_MESSAGE,
    "queue": "Enter a whole number from 1 to 1,000. To stop the queue, pause it.",
    "account": "Enter a whole number above 0, or leave it empty for no limit.",
    "kind": "Enter a whole number above 0, or leave it empty for no limit.",
}


@dataclass(frozen=True)
class Segment:
    """One slot, or a part of a bar."""

    kind: str
    x: str
    width: str


@dataclass(frozen=True)
class CapacityRow:
    """A limit. ``id`` is that of its element; ``value`` is in the editor; ``off``: the model is unavailable."""

    id: str
    what: str
    key: str
    name: str
    url: str
    icon: str
    note: str
    cells: list[Segment]
    is_bar: bool
    slots: str
    slots_words: str
    value: str
    highest: int
    may_be_empty: bool
    can_pause: bool
    paused: bool
    cooling: bool
    off: bool = False
    used: int = 0
    waiting: int = 0
    waiting_url: str = ""
    oldest: Age | None = None
    oldest_url: str = ""
    wait_p50: str = ""
    drained: str = ""
    drained_p90: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs, waits or is paused here."""
        return not (self.used or self.waiting or self.paused)

    @property
    def is_limited(self) -> bool:
        return bool(self.value)


def lanes(now: Snapshot, *, at: datetime) -> list[CapacityRow]:
    """Return the whole queue, then a row for each model: the busiest first, then idle, paused and unavailable ones."""

    def rank(lane: Lane) -> tuple[bool, bool, int, int, str]:
        return not lane.is_available and not lane.waiting, lane.limit.paused, -lane.waiting, -lane.used, lane.key

    return [of_queue(now, at=at), *(of_lane(lane, now, at=at) for lane in sorted(now.lanes, key=rank))]


def shared(now: Snapshot, *, at: datetime) -> list[CapacityRow]:
    """Return a row for each account and each job type."""
    return [
        *(_row(limit, *words.of_limit(limit, at=at), url=_page(ProviderAccount, limit.key)) for limit in now.accounts.values()),
        *(_row(limit, *words.of_limit(limit, at=at), url=_jobs(kind=limit.key)) for limit in now.kinds),
    ]


def of_queue(now: Snapshot, *, at: datetime) -> CapacityRow:
    row = _row(now.queue, *words.of_limit(now.queue, at=at, peak=now.peak), url=_page(QueueSettings, "1"))
    row = _waiting(row, now.waiting, now.oldest[1] if now.oldest else None, None, now.drained, at=at)
    if not now.stuck:
        return row
    drained = f"{display.number(words.moving(now))} in {row.drained}" if row.drained_p90 else row.drained
    return replace(row, note=", ".join(filter(None, [row.note, *words.stuck(now)])), drained=drained)


def of_lane(lane: Lane, now: Snapshot, *, at: datetime) -> CapacityRow:
    row = _row(lane.limit, *words.of_lane(lane, now.queue, at=at), url=_page(ModelConcurrencyLimit, lane.key))
    row = replace(row, off=not lane.is_available)
    return _waiting(row, lane.waiting, lane.oldest, lane.wait_p50, lane.drained, at=at)


def _waiting(
    row: CapacityRow, count: int, oldest: Oldest | None, wait_p50: float | None, drained: Estimate | None, *, at: datetime
) -> CapacityRow:
    """Add the waiting jobs to a row."""
    return replace(
        row,
        waiting=count,
        waiting_url=_jobs(status="queued", **({"model": row.key} if row.what == "model" else {})),
        oldest=words.age(oldest.since, at) if oldest else None,
        oldest_url=reverse("admin:queue_app_job_change", args=[oldest.job]) if oldest else "",
        wait_p50=display.duration(wait_p50) if wait_p50 is not None else "",
        drained=display.about(drained.p50_seconds) if drained else "",
        drained_p90=display.about(drained.p90_seconds) if drained and drained.p90_seconds is not None else "",
    )


def find(now: Snapshot, what: str, key: str, *, at: datetime) -> CapacityRow | None:
    """Return the row of one limit; ``None`` if there is no such limit."""
    every = [*lanes(now, at=at), *shared(now, at=at)]
    return next((row for row in every if (row.what, row.key) == (what, key)), None)


def element_id(what: str, key: str) -> str:
    """Return an id that needs no escaping anywhere and is unique for every key."""
    return f"{what}-" + re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}_", key)


def _row(limit: Limit, icon: str, note: str, *, url: str) -> CapacityRow:
    cells, is_bar = _cells(limit)
    return CapacityRow(
        id=element_id(limit.what, limit.key),
        what=limit.what,
        key=limit.key,
        name=words.name(limit),
        url=url,
        icon=icon,
        note=note,
        cells=cells,
        is_bar=is_bar,
        used=limit.used,
        slots=f"{limit.used} / {'∞' if limit.effective is None else limit.effective}",
        slots_words=_slots_words(limit),
        value="" if limit.maximum is None else str(limit.maximum),
        highest=HIGHEST[limit.what],
        may_be_empty=limit.what in MAY_BE_EMPTY,
        can_pause=limit.what != "kind",
        paused=limit.paused,
        cooling=bool(limit.cooling_until) or (limit.what == "account" and (limit.effective or 0) < (limit.maximum or 0)),
    )


def _slots_words(limit: Limit) -> str:
    if limit.maximum is None:
        return f"{limit.used} slots used, no limit"
    lowered = f", limit {limit.maximum} lowered to {limit.effective}" if (limit.effective or 0) < limit.maximum else ""
    shut = "" if not limit.shut else ", cooling down" if limit.cooling_until and not limit.paused else ", paused"
    return f"{limit.used} of {limit.effective} slots used, {limit.free} free now{lowered}{shut}"


def _cells(limit: Limit) -> tuple[list[Segment], bool]:
    """Return used, free and unavailable slots, in this order; jobs above a lowered limit apart. Up to 20 cells, else a bar."""
    if limit.maximum is None or limit.effective is None:
        return [], False
    slots = max(limit.maximum, limit.effective, limit.used)
    over = max(0, limit.used - limit.effective)
    parts = {"used": limit.used - over, "over": over, "free": min(limit.free, slots - limit.used)}
    parts["held"] = slots - sum(parts.values())
    if slots > MOST_CELLS:
        return _bar(parts, slots), True
    width = (WIDTH - GAP * (slots - 1)) / slots
    kinds = [kind for kind, count in parts.items() for _ in range(count)]
    return [Segment(kind, f"{place * (width + GAP):.1f}", f"{width:.1f}") for place, kind in enumerate(kinds)], False


def _bar(parts: dict[str, int], slots: int) -> list[Segment]:
    found, begins = [], 0.0
    for kind, count in parts.items():
        width = WIDTH * count / slots
        if count:
            found.append(Segment(kind, f"{begins:.1f}", f"{width:.1f}"))
        begins += width
    return found


def _page(model: type, pk: str) -> str:
    return reverse(f"admin:queue_app_{model.__name__.lower()}_change", args=[quote(pk)])


def _jobs(**asked: str) -> str:
    return f"{reverse('admin:queue_app_job_changelist')}?{urlencode(asked)}"
