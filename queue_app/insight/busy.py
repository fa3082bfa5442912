"""How busy each model is for all users: counts only, so that everyone may see them."""

from dataclasses import dataclass
from datetime import datetime

from queue_app.caching import at_most_every
from queue_app.forecast.estimates import Estimate
from queue_app.insight import snapshot
from queue_app.insight.snapshot import Lane

KEPT = 2.0  # seconds for which all pages of a process show the same counts


@dataclass(frozen=True)
class Busy:
    """
    The queue of a model. ``limit`` is the number of jobs that may run now; ``left`` is the time until the last waiting job is
    done, ``None`` if none waits.
    """

    model: str
    running: int
    limit: int
    waiting: int
    left: Estimate | None
    is_paused: bool

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.waiting or self.is_paused)


def models(*, at: datetime) -> list[Busy]:
    """Return the available models, the busiest first. All callers of a process share an answer for two seconds."""
    return at_most_every(KEPT, "busy:models", lambda: _look(at))


def _look(at: datetime) -> list[Busy]:
    found = [_busy(lane) for lane in snapshot.take(at=at, within=KEPT).lanes if lane.is_available]
    return sorted(found, key=lambda one: (-one.waiting, -one.running, not one.is_paused, one.model))


def _busy(lane: Lane) -> Busy:
    limit = lane.limit
    return Busy(lane.key, lane.used, limit.effective or limit.maximum or 0, lane.waiting, lane.drained, limit.shut)
