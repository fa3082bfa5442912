"""What a cancel or a retry would do to jobs, said before it is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from queue_app.models import Job, State
from queue_app.models.job import TERMINAL_STATES
from queue_app.work import accounts

BEYOND = "cannot be stopped"


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
    stop = "Shown as “Cancel asked” until the provider answers. If it was faster, the result is kept and charged."
    later = "We do not know yet whether the provider took it. It ends as cancelled, or runs on and is then asked to stop."
    left = f"{storing} {are(storing)} being stored, {asked} asked before, {ended} ended. They cannot be cancelled."
    lines = [
        Line(queued, "cancelled at once", "They wait in the queue; nothing was bought.", State.QUEUED, "Queued"),
        Line(running - beyond, "asked to stop at the provider", stop, State.RUNNING, "Running"),
        Line(beyond, BEYOND, "Their provider has no cancel. What is delivered is charged.", State.RUNNING, "Running"),
        Line(unsure, "decided later", later, State.UNKNOWN, "Not known"),
        Line(storing + asked + ended, "left as they are", left, "blocked", "Too late"),
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
        Line(able, "queued again", "Each at the end of its lane, with all its tries.", State.QUEUED, "Queued"),
        left_as(lost, f"{', '.join(sorted(not_offered))}: no provider offers it now.", "Not offered"),
        left_as(late, "Past the deadline. Submit a new job with a later deadline.", "Too late"),
        left_as(count(*State) - ended, "Only failed and cancelled jobs can be retried.", "Not for retry"),
    ]
    return lines, able


def left_as(count: int, why: str, word: str) -> Line:
    return Line(count, "left as they are" if count != 1 else "left as it is", why, "blocked", word)


def are(count: int) -> str:
    return "is" if count == 1 else "are"
