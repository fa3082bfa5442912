"""Where a queued job stands, why it waits and how long: from the very rules that claim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import F

from queue_app.insight.shared import at_most_every
from queue_app.models import Attempt, Job, QueueSettings, State
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.rules import eta as eta_rules
from queue_app.rules import limits
from queue_app.rules.limits import Blocker
from queue_app.work import progress, room
from queue_app.work.room import Floor

PAST_KEPT = 5.0  # seconds for which the durations of a model are remembered

# One count of what is above, for each lane and priority asked for; then only the steps from one asked job to the next.
_POSITIONS = """
    WITH asked AS (
        SELECT id, model_id, priority, order_key, lag(order_key) OVER place AS key_before, lag(id) OVER place AS id_before
          FROM queue_app_job WHERE id = ANY(%(ids)s) AND state = 'queued'
        WINDOW place AS (PARTITION BY model_id, priority ORDER BY order_key, id)
    ), above AS (
        SELECT lane.*, (SELECT count(*) FROM queue_app_job job
                         WHERE job.state = 'queued' AND job.model_id = lane.model_id AND job.priority > lane.priority) AS jobs
          FROM (SELECT DISTINCT model_id, priority FROM asked) lane
    ), steps AS (
        SELECT asked.*, (SELECT count(*) FROM queue_app_job job
                          WHERE job.state = 'queued' AND job.model_id = asked.model_id AND job.priority = asked.priority
                            AND (job.order_key, job.id) > (coalesce(key_before, -9223372036854775808), coalesce(id_before, 0))
                            AND (job.order_key, job.id) <= (asked.order_key, asked.id)) AS jobs
          FROM asked
    )
    SELECT steps.id, above.jobs + sum(steps.jobs) OVER (PARTITION BY model_id, priority ORDER BY steps.order_key, steps.id)
      FROM steps JOIN above USING (model_id, priority)
"""


@dataclass(frozen=True)
class Eta:
    """Seconds until a job is done: median and 90th percentile, ``None`` where nobody can know; ``basis``: what they rest on."""

    p50_seconds: float | None
    p90_seconds: float | None
    basis: str


@dataclass
class Outlook:
    """What can be said about some jobs at one moment; made by `outlook`."""

    at: datetime
    positions: dict[int, int]
    floor: Floor | None
    called_at: dict[int, datetime | None] = field(default_factory=dict)

    def position(self, job: Job) -> int | None:
        """1-based, dense, in its lane, held and delayed jobs counted (I18); ``None`` for a job that is not queued."""
        return self.positions.get(job.pk)

    def waiting_on(self, job: Job) -> list[Blocker]:
        """Everything a queued job waits for; at least the jobs ahead of it. Empty for a job that is not queued."""
        place = self.position(job)
        if place is None or self.floor is None:
            return []
        found = self.floor.blockers(model=job.model_id, kind=job.kind_id, batch=job.batch_id, owner=job.owner_id)
        if job.not_before and job.not_before > self.at:
            found.append(Blocker("not_before", "", 0, 0, job.not_before, "asked for, or a pause before its next try"))
        if not found:
            found.append(Blocker("jobs_ahead", job.model_id, place - 1, self._slots(job)[1]))
        return found

    def sentence(self, job: Job) -> str:
        """Why it waits, in one line with numbers; empty for a job that is not queued."""
        blockers = self.waiting_on(job)
        if not blockers:
            return ""
        ahead = (self.position(job) or 1) - 1
        jobs = "no job is" if not ahead else "1 job is" if ahead == 1 else f"{ahead:,} jobs are"
        if blockers[0].limit == "jobs_ahead":
            return f"Its turn comes with the next free slot of {job.model_id}; {jobs} ahead of it."
        return f"{'; '.join(map(_words, blockers))}; {jobs} ahead of it."

    def eta(self, job: Job) -> Eta | None:
        """Time until it is done; ``None`` once it has ended."""
        if not job.is_open:
            return None
        if job.state == State.STORING:
            return Eta(0.0, 0.0, "made; its files are being stored")
        typical = settings.STUDIO_SECONDS if job.preview else job.model.typical_seconds
        known, basis = eta_rules.durations(_past_runs(job.model_id), typical=typical)
        if job.state == State.QUEUED:
            return self._eta_of_queued(job, known, basis)
        if job.state in (State.UNKNOWN, State.CANCELLING):
            return Eta(None, None, str(State(job.state).label).lower())
        elapsed = (self.at - (self.called_at.get(job.pk) or self.at)).total_seconds()
        return _rounded(eta_rules.of_running(elapsed=elapsed, durations=known), basis)

    def _eta_of_queued(self, job: Job, durations: Sequence[float], basis: str) -> Eta:
        closed = [blocker for blocker in self.waiting_on(job) if blocker.max == 0 and blocker.limit != "jobs_ahead"]
        for blocker in closed:
            if blocker.until is None:
                return Eta(None, None, blocker.reason or "paused")
        delay = max(((blocker.until - self.at).total_seconds() for blocker in closed if blocker.until), default=0.0)
        free, slots = self._slots(job)
        ahead = (self.position(job) or 1) - 1
        free = slots if closed else free
        return _rounded(eta_rules.of_queued(ahead=ahead, free=free, slots=slots, durations=durations, delay=delay), basis)

    def _slots(self, job: Job) -> tuple[int, int]:
        """Slots that the job's lane could take now, and has in all, under the limits that its jobs share."""
        assert self.floor is not None
        route = self.floor.route_for(job.model_id) or next(iter(self.floor.routes.get(job.model_id, ())), None)
        account = route.account_id if route else ""
        keys = limits.keys_of(model=job.model_id, account=account, kind=job.kind_id, batch=None, owner=0)[:4]
        caps = [cap for key in keys if (cap := self.floor.room.caps.get(key)) is not None]
        slots = max(1, min(caps, default=1))
        return min(self.floor.room.free(key, slots) for key in keys), slots


def outlook(jobs: Iterable[Job], *, at: datetime) -> Outlook:
    """Look at jobs (model loaded) with a fixed number of queries, however many they are; positions of a page come in one."""
    listed = list(jobs)
    queued = [job for job in listed if job.state == State.QUEUED]
    made = Outlook(at=at, positions=positions(job.pk for job in queued), floor=None)
    if queued:
        made.floor = room.load(at=at, policy=QueueSettings.objects.current())
        made.floor.learn({job.batch_id for job in queued}, {job.owner_id for job in queued})
    in_flight = [job.pk for job in listed if job.state in IN_FLIGHT_STATES]
    if in_flight:
        current = Attempt.objects.filter(job__in=in_flight, step="main", number=F("job__attempt_number"))
        made.called_at = dict(current.values_list("job_id", "called_at"))
    return made


def positions(ids: Iterable[int]) -> dict[int, int]:
    """The place of each of these jobs in its lane; what is not queued is left out."""
    listed = list(ids)
    if not listed:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS, {"ids": listed})
        return {pk: int(place) for pk, place in cursor.fetchall()}


def position(job: Job) -> int | None:
    """The job's place in its lane, 1-based and dense; ``None`` when it is not queued."""
    return positions([job.pk]).get(job.pk)


def waiting_on(job: Job, at: datetime) -> list[Blocker]:
    """What a queued job waits for, by the rules of the claim."""
    return outlook([job], at=at).waiting_on(job)


def eta(job: Job, at: datetime) -> Eta | None:
    """Time until the job is done."""
    return outlook([job], at=at).eta(job)


def _past_runs(model: str) -> list[float]:
    return at_most_every(PAST_KEPT, f"past_runs:{model}", lambda: progress.past_runs(model))


def _rounded(seconds: tuple[float, float], basis: str) -> Eta:
    return Eta(round(seconds[0], 1), round(seconds[1], 1), basis)


_NAMES = {
    "queue": "the whole queue",
    "kind": "kind {}",
    "account": "provider account {}",
    "model": "{}",
    "user": "the owner's limit",
    "batch": "batch {}",
}


def _words(blocker: Blocker) -> str:
    if blocker.limit == "not_before":
        return f"It starts not before {blocker.until:%Y-%m-%d %H:%M:%S} UTC"
    name = _NAMES[blocker.limit].format(blocker.key)
    name = name[0].upper() + name[1:] if blocker.limit != "model" else name
    if blocker.max:
        return f"{name} is full, {blocker.used} of {blocker.max} run"
    until = f" until {blocker.until:%Y-%m-%d %H:%M:%S} UTC" if blocker.until else ""
    reason = f" ({blocker.reason})" if blocker.reason not in ("", "paused") else ""
    return f"{name} is closed{until}{reason}"
