"""Failed jobs of the last 24 hours by error: how many, the latest, their models, and the remedy."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Max

from queue_app.caching import SERVED, at_most_every, without_waiting
from queue_app.insight import remedies
from queue_app.models import Attempt, Job, State

RECENT = timedelta(hours=24)
FRESH, WORTH = 1.0, 20  # seconds for which the answer is used at least, and times what it cost


@dataclass(frozen=True)
class Failure:
    """Failed jobs of one error that are not cleared; ``models`` by failures. ``is_retried``: a retry may help."""

    code: str
    jobs: int
    last_at: datetime
    models: list[tuple[str, int]]
    remedy: str
    is_retried: bool


def by_error(*, at: datetime, anew: bool = False) -> list[Failure]:
    """Return the errors of the last 24 hours, the most frequent first; ``anew``: not what others looked up before."""
    if anew:
        return at_most_every(0, "failures:by_error", lambda: look(at=at), kept=SERVED)
    return without_waiting(WORTH, "failures:by_error", lambda: look(at=at), at_least=FRESH)


def look(*, at: datetime) -> list[Failure]:
    """Return the same, not shared."""
    failed = Job.objects.filter(state=State.FAILED, ended_at__gt=at - RECENT, archived_at=None)
    rows = failed.values_list("error_code", "model").annotate(jobs=Count("*"), last=Max("ended_at"), newest=Max("pk")).order_by()
    models: dict[str, Counter[str]] = {}
    last: dict[str, datetime] = {}
    newest: dict[str, int] = {}
    for code, model, jobs, ended_at, job in rows:
        models.setdefault(code, Counter())[model] += jobs
        last[code] = max(last.get(code, ended_at), ended_at)
        newest[code] = max(newest.get(code, job), job)
    kinds = _kinds(newest.values())
    found = [
        Failure(
            code=code,
            jobs=sum(hit.values()),
            last_at=last[code],
            models=sorted(hit.items(), key=lambda one: (-one[1], one[0])),
            remedy=remedies.of(code, kinds.get(newest[code], "")),
            is_retried=remedies.is_retried(code, kinds.get(newest[code], "")),
        )
        for code, hit in models.items()
    ]
    return sorted(found, key=lambda failure: (-failure.jobs, failure.code))


def _kinds(jobs: Iterable[int]) -> dict[int, str]:
    """Return the kind of error that each job's last attempt ended with."""
    last = Attempt.objects.filter(job__in=list(jobs), step="main", number=F("job__attempt_number"))
    return dict(last.values_list("job_id", "error_kind"))
