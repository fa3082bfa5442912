"""The pauses that a campaign waits for: its own, and that of its model, its accounts or the whole queue."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from campaigns.cells import held_words
from campaigns.models import Campaign
from queue_app.insight import pauses
from queue_app.insight.pauses import Pause
from queue_app.models import Job, State
from queue_app.rules.words import one_line
from queue_app.ui import display

_THINGS = {"queue": "the queue", "account": "account {}", "model": "{}"}


@dataclass(frozen=True)
class Hold:
    """
    A pause in words. ``is_own``: the campaign itself is paused, so its owner can resume it. ``noun`` is what its batch is called.
    """

    pause: Pause
    noun: str = "campaign"

    @property
    def is_own(self) -> bool:
        return self.pause.key[0] == "batch"

    @property
    def thing(self) -> str:
        """What is paused: “sora-2”, “the queue”, “this campaign”."""
        return f"this {self.noun}" if self.is_own else _THINGS[self.pause.key[0]].format(self.pause.key[1])

    @property
    def words(self) -> str:
        """“sora-2 paused”."""
        return f"{self.noun} paused" if self.is_own else f"{self.thing} paused"

    @property
    def reason(self) -> str:
        return one_line(self.pause.reason)

    def sentence(self, at: datetime, *, reader: str = "") -> str:
        """
        Return who paused what and when, without the reason: “operator paused sora-2 at 01:25”, “sora-2 is paused until 14:30”.

        :param reader: the username of the reader, who is called “you”.
        """
        until = f" until {display.minute(self.pause.until, at)}" if self.pause.until else ""
        if self.pause.since is None:
            return (
                f"{self.thing[0].upper()}{self.thing[1:]} is paused{until}" if self.is_own else f"{self.thing} is paused{until}"
            )
        by = "You" if reader and self.pause.by == reader else self.pause.by or "A safety rule"
        return f"{by} paused {self.thing} at {display.minute(self.pause.since, at)}{until}"


def of(campaign: Campaign, *, at: datetime) -> list[Hold]:
    """Return the campaign's own pause, then that of its model, account or queue. Its batch is loaded."""
    own = pauses.of_batches([campaign.batch])
    of_model = pauses.of_models([campaign.model_id], at=at)
    return [Hold(pause) for pause in (*own.values(), *of_model.values())]


def of_models(models: Iterable[str], *, at: datetime) -> dict[str, Hold]:
    """Return the pauses that new jobs of these models would wait for, by model."""
    return {model: Hold(pause) for model, pause in pauses.of_models(models, at=at).items()}


def of_jobs(jobs: Iterable[Job], *, at: datetime) -> dict[int, str]:
    """Return what stops queued jobs, by job, in words: “sora-2 paused”. Jobs that no pause stops are left out."""
    queued = [job for job in jobs if job.state == State.QUEUED]
    paused = of_models({job.model_id for job in queued}, at=at) if queued else {}
    words = {model: hold.words for model, hold in paused.items()}
    stopped = [job for job in queued if job.held or job.model_id in words]
    return {job.pk: held_words(job.held_for) or ("campaign paused" if job.held else words[job.model_id]) for job in stopped}
