"""The parts of every bulk verb: its words and permission, its preview, its application to jobs, and the results."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from queue_app import lifecycle
from queue_app.models import BulkAction, Job, State, User
from queue_app.rules import numbers
from queue_app.work.bulk.options import Option
from queue_app.work.bulk.selection import Selection
from queue_app.work.roles import Right

UNCHANGED = "unchanged"


# --- before: the preview


@dataclass(frozen=True)
class Consequence:
    """One line of a preview: how many jobs, what happens to them, why, and the state and word of the badge beside it."""

    count: int
    what: str
    why: str
    state: str
    word: str

    @property
    def is_change(self) -> bool:
        return self.what != UNCHANGED


@dataclass(frozen=True)
class Remark:
    """A sentence about tickets or money; ``what`` is shown in bold."""

    what: str
    rest: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Effect:
    """
    The effect of a verb on the chosen jobs as they are now, and the option that it offers for them.

    Tickets: ``returned`` at once, ``returned_later`` at most, once providers confirm, and ``reserved``. ``beyond``: jobs that
    can't be stopped.
    """

    lines: list[Consequence]
    remarks: list[Remark] = field(default_factory=list)
    option: Option | None = None
    returned: int = 0
    returned_later: int = 0
    reserved: int = 0
    beyond: int = 0

    @property
    def with_jobs(self) -> list[Consequence]:
        """Return the lines that concern at least one job."""
        return [line for line in self.lines if line.count]

    @property
    def acts_on(self) -> int:
        """Return how many jobs the verb would change."""
        return sum(line.count for line in self.lines if line.is_change)


def left_as_is(count: int, why: str, word: str) -> Consequence:
    return Consequence(count, UNCHANGED, why, "blocked", word)


# --- after: the results


@dataclass
class ChunkOutcome:
    """The jobs of a chunk: how many by result, and the reason for each that was refused."""

    results: Counter[str] = field(default_factory=Counter)
    refused: dict[int, str] = field(default_factory=dict)

    def add(self, other: "ChunkOutcome") -> None:
        self.results.update(other.results)
        self.refused.update(other.refused)


@dataclass(frozen=True)
class Result:
    """A possible result for a job: its key in the record, and the words and colour (a job's state) of its badge."""

    key: str
    words: str
    state: str = "completed"
    short: str = ""  # in a list of several, where there is no room for all of the words


# of any verb, after its own
COMMON_RESULTS = (
    Result("unchanged", "unchanged", "cancelled"),
    Result("refused", "skipped, reasons below", "warn", short="skipped"),
)


# --- the verb


@dataclass(frozen=True)
class Button:
    """A button that leads to the preview. ``icon`` and ``css`` are names of the theme."""

    verb: BulkAction.Verb
    words: str
    icon: str = ""
    css: str = ""


@dataclass(frozen=True)
class Look:
    """The look of a verb's button. ``place`` orders the buttons of a job's page; the main one comes last."""

    icon: str = ""
    css: str = ""
    place: int = 0


class BulkVerb(ABC):
    """One verb. Its ``key`` is a choice of the model; its label and the words of its button are that choice's label."""

    key: BulkAction.Verb
    phrase: str  # "Cancel {}" of “12 jobs”: the action's name, and the button that confirms it
    keep: str  # the link that leaves the jobs as they are
    results: tuple[Result, ...]  # what may become of a job, in the order of the action's page
    states: tuple[State, ...]  # of the jobs that it may change
    in_list: Look
    on_page: Look
    right: Right = Right.OPERATE
    option: Option | None = None
    needs_reason = False
    reason_in_history = False  # the reason is in each job's history too, not in the audit alone
    is_final = False  # no other verb takes it back
    chunk = lifecycle.CHUNK  # jobs of one transaction
    rank: tuple[str, ...] = ("id",)  # the order in which jobs are worked through

    def is_legal(self, job: Job, *, refundable: int) -> bool:
        """Whether it would change this job, of whose charge ``refundable`` tickets are left."""
        return job.state in self.states

    @abstractmethod
    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        """Return what it would do to these jobs with these options of the record."""

    @abstractmethod
    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        """Apply it to a chunk of the action's jobs, in the chunk's transaction. Lock order: claims, batches, jobs, wallets."""

    def may(self, user: User) -> bool:
        """Whether this user may use it."""
        return user.has_perm(self.right)

    @property
    def words(self) -> str:
        """“Cancel…”: on a button that leads to the preview."""
        return f"{self.key.label}…"

    @property
    def deed(self) -> str:
        """“cancel jobs”: its name in the audit."""
        return f"{self.key.label.lower()} jobs"

    def named(self, count: int) -> str:
        """“Cancel 12 jobs”."""
        return self.phrase.format(numbers.counted(count, "job"))

    def title(self, count: int) -> str:
        """“Cancel 12 jobs?”."""
        return f"{self.named(count)}?"

    def list_button(self) -> Button:
        return Button(self.key, self.words, self.in_list.icon, self.in_list.css)

    def page_button(self) -> Button:
        return Button(self.key, self.words, self.on_page.icon, self.on_page.css)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the verb's option among the fields ``given``, as the record keeps it.

        :raises BulkRefused: the value makes no sense.
        """
        return self.option.read(given) if self.option else {}

    def check(self, options: Mapping[str, Any], *, actor: User, reason: str) -> None:
        """
        Check the record's options when ``actor`` confirms it.

        :raises BulkRefused: the option is missing, not allowed, or needs a reason.
        """
        if self.option:
            self.option.check(options, actor=actor, reason=reason)

    def option_said(self, options: Mapping[str, Any]) -> str:
        """Return the option chosen in the record, in words."""
        return self.option.said(options[self.option.name]) if self.option and self.option.name in options else ""

    def outcomes(self, results: Mapping[str, int]) -> list[tuple[Result, int]]:
        """Return what became of the jobs: each result that occurred, with its number of jobs."""
        return [(one, results[one.key]) for one in (*self.results, *COMMON_RESULTS) if results.get(one.key)]

    def summary(self, results: Mapping[str, int]) -> str:
        """“12 cancelled, 3 skipped”."""
        return ", ".join(f"{count:,} {one.short or one.words}" for one, count in self.outcomes(results))


# --- parts of `apply`


def locked(ids: Sequence[int], states: Iterable[State], why_not: str) -> tuple[list[Job], dict[int, str]]:
    """Lock these jobs, ids ascending. Return those in one of the states, and for the others the reason for their refusal."""
    jobs, wanted = list(Job.objects.lock().filter(pk__in=ids)), set(states)
    return [job for job in jobs if job.state in wanted], refusals((job for job in jobs if job.state not in wanted), why_not)


def refusals(jobs: Iterable[Job], why: str) -> dict[int, str]:
    return {job.pk: f"Skipped ({job.get_state_display().lower()}): {why}." for job in jobs}
