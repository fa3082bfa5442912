"""What a cancel or a retry would do to jobs, said before it is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from queue_app.models import Job, State
from queue_app.models.job import TERMINAL_STATES
from queue_app.work import accounts

BEYOND = "can't be stopped"
WAITING = "Still in the queue, not at the provider."


@dataclass(frozen=True)
class Line:
    """One line of a preview: how many, what becomes of them, why, and the badge beside it."""

    count: int
    what: str
    why: str
    state: str
    word: str


def of_cancel(jobs: QuerySet[Job], count: Callable[..., int]) -> tuple[list[Line], int]:
    """What a cancel does to these jobs, of which ``count(*states)`` are in these states, and to how many of them."""
    queued, running, unsure = count(State.QUEUED), count(State.RUNNING), count(State.SUBMITTING, State.UNKNOWN)
    beyond = accounts.beyond_stopping(jobs.filter(state=State.RUNNING)).count() if running else 0
    storing, asked, ended = count(State.STORING), count(State.CANCELLING), count(*TERMINAL_STATES)
    stop = "Shown as “Cancelling” until the provider confirms. A job that finishes first is kept and charged."
    later = "The provider has not confirmed yet. If it accepted a job, we ask it to stop; if not, the job is cancelled."
    left = f"{storing} saving, {asked} already cancelling, {ended} finished. These can't be cancelled."
    lines = [
        Line(queued, "cancelled immediately", WAITING, State.QUEUED, "Queued"),
        Line(running - beyond, "cancelling at the provider", stop, State.RUNNING, "Running"),
        Line(beyond, BEYOND, "This provider has no cancel. Delivered jobs are charged.", State.RUNNING, "Running"),
        Line(unsure, "decided once the provider answers", later, State.UNKNOWN, "Unconfirmed"),
        left_as(storing + asked + ended, left, "Too late"),
    ]
    return lines, queued + running + unsure


def of_retry(count: Callable[..., int], not_offered: Mapping[str, int], late: int) -> tuple[list[Line], int]:
    """
    The same of a retry. Of the failed and cancelled ones the deadline of ``late`` has passed; ``not_offered`` are the others of
    each model that nobody offers now.
    """
    ended, lost = count(State.FAILED, State.CANCELLED), sum(not_offered.values())
    able = ended - lost - late
    lines = [
        Line(able, "back in the queue", "Each goes to the back of the queue with new attempts.", State.QUEUED, "Queued"),
        left_as(lost, f"{', '.join(sorted(not_offered))}: no provider right now.", "Not available"),
        left_as(late, "Past the deadline. Submit a new job with a later deadline.", "Too late"),
        left_as(count(*State) - ended, "Only failed and cancelled jobs can be retried.", "Not retryable"),
    ]
    return lines, able


def left_as(count: int, why: str, word: str) -> Line:
    return Line(count, "unchanged", why, "blocked", word)
