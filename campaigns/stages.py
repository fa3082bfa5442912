"""Which job of a combination is its next step: its video, or of a storyboard the still that the video waits for."""

from typing import Any, NamedTuple

from queue_app.models import HeldFor

OURS = (HeldFor.CANARY, HeldFor.STORYBOARD, HeldFor.BREAKER)  # a budget is released by those who set it
STAGED = (
    *("pk", "index", "values", "job", "job__state", "job__error_code", "job__held_for"),
    *("still", "still__state", "still__error_code", "still__held_for"),
)


class CellStage(NamedTuple):
    """A row of `STAGED`. ``job`` is ``None`` if the combination is blocked, ``still`` without a storyboard."""

    pk: int
    number: int
    values: dict[str, Any]
    job: int | None
    job_state: str | None
    job_code: str | None
    job_held_for: str | None
    still: int | None
    still_state: str | None
    still_code: str | None
    still_held_for: str | None

    @property
    def is_board(self) -> bool:
        """Whether the video waits for its still."""
        return self.job_held_for == HeldFor.STORYBOARD

    @property
    def stage(self) -> int | None:
        return self.still if self.is_board else self.job

    @property
    def state(self) -> str:
        """Return the state of the stage's job; empty if the combination is blocked."""
        return (self.still_state if self.is_board else self.job_state) or ""

    @property
    def code(self) -> str:
        return (self.still_code if self.is_board else self.job_code) or ""

    @property
    def held_for(self) -> str:
        return held_for(self.job_held_for or "", self.still_held_for or "")


def held_for(job: str, still: str) -> str:
    """
    Return what a combination is on hold for, of what its video and its still are. While the video waits for the still, the still
    comes first, unless it waits for a budget: that ends by itself, and then the approval is still to come.
    """
    return still if job == HeldFor.STORYBOARD and still in OURS else job
