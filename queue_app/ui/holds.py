"""Why a queued job waits, for its page: each limit that applies to it, who paused what, when and why, and what happens then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model

from queue_app.insight import counts, pauses
from queue_app.insight.waiting import Outlook, words
from queue_app.models import Job
from queue_app.rules import limits
from queue_app.rules.limits import Blocker, Key
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.ui import display
from queue_app.work.capacity import COOLING, NO_WORKER, NOT_AVAILABLE, NOT_EXPRESSED, UNTOLD, keys_of

# a limit → its name on a line of its own, and within a sentence; ``{0}`` is its key, ``{1}`` the word for the job's batch
NAMES = {
    "queue": ("Whole queue", "the queue"),
    "kind": ("Job type {0}", "job type {0}"),
    "account": ("Account {0}", "account {0}"),
    "long": ("Workers for long calls", "the workers for long calls"),
    "model": ("Model {0}", "{0}"),
    "user": ("Owner's limit", "the owner's limit"),
    "batch": ("{1} {2}", "the {1}"),
    "held": ("On hold", "the hold"),
}
# what closed a limit → what opens it
OPENS = {
    NOT_AVAILABLE: "a provider is available",
    NOT_EXPRESSED: "a provider supports its parameters",
    NO_WORKER: "a worker runs",
}


@dataclass(frozen=True)
class Hold:
    """
    A limit that applies to a queued job, with its use as a drawing. ``is_cause``: the job waits for it; ``why`` then says what
    closed it and ``until`` for how long. ``called`` is its name within a sentence.
    """

    key: Key
    name: str
    called: str
    bar: str
    is_cause: bool = False
    is_pause: bool = False
    is_cooldown: bool = False
    why: str = ""
    until: str = ""

    @property
    def form(self) -> str:
        """Its key as one value of a form: “model:sora-2”."""
        return ":".join(self.key)


@dataclass(frozen=True)
class Remedy:
    """
    A button that ends what holds a job: where it is sent, the hold as one value of a form, and its words, alone and with what
    they are about: “Resume”, “Resume sora-2”.
    """

    address: str
    hold: str
    words: str
    named: str


@dataclass(frozen=True)
class Mended:
    """A limit, the address of its page, that where the user may change it, and what ends it here; empty for what they may not."""

    hold: Hold
    url: str = ""
    change: str = ""
    remedy: Remedy | None = None


@dataclass(frozen=True)
class PausedRow:
    """A paused row of a limit: its key as one value of a form, and who paused it, when and why."""

    hold: str
    told: str


@dataclass(frozen=True)
class Lead:
    """The sentence about what a job waits for; ``begin`` is shown in bold. ``ends``: an estimate of the wait belongs after it."""

    begin: str
    rest: str
    ends: bool

    @property
    def words(self) -> str:
        return f"{self.begin} {self.rest}"


def of_job(job: Job, looked: Outlook, at: datetime, *, group: str) -> list[Hold]:
    """
    Return every limit that applies to a queued job: pauses first, then other limits that it waits for, then the widest. Nothing
    for a job that is not queued.

    :param group: the word for its batch.
    """
    if looked.capacity is None or looked.position(job) is None:
        return []
    capacity = looked.capacity
    keys = keys_of(looked.route(job), model=job.model_id, kind=job.kind_id, batch=job.batch_id, owner=job.owner_id)
    causes = {one.names: one for one in sorted(looked.waiting_on(job), key=lambda one: one.is_pause)}
    keys = [("held", job.held_for), *keys] if job.held_for else keys
    title = one_line(job.batch.name) or str(job.batch_id) if job.batch else ""
    shown = []
    for key in keys:
        cause, cap = causes.get(key), capacity.room.caps.get(key)
        if cause is not None or cap is not None:
            name, called = (form.format(key[1], group, title) for form in NAMES[key[0]])
            shown.append(_hold(key, (name[0].upper() + name[1:], called), cause, capacity.room.used[key], cap, at))
    shown += [_budget(cause, at, group=group) for cause in causes.values() if cause.limit == "budget"]
    return sorted(shown, key=lambda one: (not one.is_pause, not one.is_cause))


def lead(job: Job, holds: Sequence[Hold], looked: Outlook, at: datetime, *, group: str) -> Lead | None:
    """Return what a queued job waits for; of a pause who paused it, when and why. ``None`` for a job that is not queued."""
    place = looked.position(job)
    if place is None:
        return None
    hold = next((one for one in holds if one.is_pause), None)
    position = f"position {display.number(place)}"
    if hold is None:
        sentence = looked.sentence(job).replace(f"Batch {job.batch_id} ", f"The {group} ")
        return Lead(position.capitalize(), f"in the {job.model_id} queue. {sentence}", ends=True)
    if hold.key[0] == "budget":
        ends = f"It starts again at {hold.until}." if hold.until != "it is raised" else ""
        then = f"This job keeps {position} and starts in its turn once there is room."
        used = f"{hold.bar} used."
        whose = hold.called[0].upper() + hold.called[1:]
        return Lead(f"{whose} is used up.", " ".join(filter(None, [used, ends, then])), ends=False)
    waiting = sum(jobs for (model, _), jobs in counts.waiting().items() if model == job.model_id)
    of_all = f" of {display.number(waiting)}" if waiting >= place else ""
    others = (f"{words(one)}." for one in looked.waiting_on(job) if one.names != hold.key)
    if hold.key[0] == "held":
        then = f"It keeps its place, position {display.number(place)}{of_all} now, and starts in its turn once it is released."
        return Lead(f"Waits for {hold.why}.", " ".join([*others, then]), ends=False)
    ends = f"The pause ends at {hold.until}." if hold.until else ""
    then = f"This job keeps {position}{of_all} and starts in its turn once {hold.called} resumes."
    begin = hold.called if hold.key[0] == "model" else hold.called[0].upper() + hold.called[1:]
    return Lead(
        f"{begin} is paused.", " ".join(filter(None, [_told(hold.key, hold.why, at), ends, *others, then])), ends=bool(hold.until)
    )


def pause_of(row: Model, *, at: datetime) -> PausedRow | None:
    """Return the pause of a row of a limit; ``None`` if it is not paused at ``at``, or is nothing that can be paused."""
    what = next((what for what, model in pauses.ROWS.items() if isinstance(row, model)), "")
    until: datetime | None = getattr(row, "paused_until", None)
    if not what or not limits.is_closed(getattr(row, "paused", False), until, at=at):
        return None
    key = "" if what == "queue" else str(row.pk)
    told = _told((what, key), one_line(getattr(row, "paused_reason", "")), at)
    ends = f"The pause ends at {display.moment(until, at)}." if until else ""
    return PausedRow(f"{what}:{key}", " ".join(filter(None, [told, ends])))


def _budget(cause: Blocker, at: datetime, *, group: str) -> Hold:
    """Return a ticket budget that is used up."""
    whose = {"user": "the owner's budget", "campaign": f"the {group}'s budget", "key": "the API key's budget"}[cause.key]
    bar = f"{display.number(cause.used)} of {counted(cause.max, 'ticket')}"
    until = display.moment(cause.until, at) if cause.until else "it is raised"
    name = whose.removeprefix("the ")
    return Hold(cause.names, name[0].upper() + name[1:], whose, bar, True, True, why=cause.reason, until=until)


def _told(key: Key, why: str, at: datetime) -> str:
    """Return who paused it: “operator paused it at 01:25:10: “client moved the shoot”.”."""
    author = pauses.authors([key]).get(key)
    if author is None:
        return f"Reason: “{why}”." if why else ""
    return f"{author.actor or 'A safety rule'} paused it at {display.moment(author.at, at)}{f': “{why}”' if why else ''}."


def _hold(key: Key, names: tuple[str, str], cause: Blocker | None, used: int, cap: int | None, at: datetime) -> Hold:
    if key[0] == "held" and cause is not None:
        return Hold(key, *names, "", is_cause=True, is_pause=True, why=cause.reason, until="it is released")
    is_shut = cause is not None and not cause.max
    bar = display.capacity(used, cap, held=is_shut) if cap else f"{display.number(used)}, no limit"
    if cause is None:
        return Hold(key, *names, bar)
    return Hold(
        key,
        *names,
        bar,
        is_cause=True,
        is_pause=cause.is_pause,
        is_cooldown=cause.reason == COOLING and not cause.is_pause,
        why="" if cause.reason == UNTOLD else one_line(cause.reason),
        until=_until(cause, at),
    )


def _until(cause: Blocker, at: datetime) -> str:
    if cause.until:
        return display.moment(cause.until, at)
    return "a slot frees up" if cause.max else OPENS.get(cause.reason, "")
