"""
What an application above the queue says about a job type that works in stages.

The setting ``PIPELINES`` names the pipeline of a job type. It says which stages there are; the queue runs them under one lease,
keeps what each has made, and makes their paid calls. After a crash the work goes on at the first stage that is not finished.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from queue_app.models import Job

Json = Any


@dataclass(frozen=True)
class Question:
    """
    What a model is asked: the text of the user's message. ``schema`` is a JSON Schema of its answer, empty for plain text; it is
    sent where the endpoint takes one, so the text must ask for that JSON, too. ``most_tokens`` limits the answer.
    """

    text: str
    most_tokens: int
    schema: Mapping[str, Any] = field(default_factory=dict)
    schema_name: str = "answer"


class Unusable(Exception):
    """
    An answer that can't be used; the message says why. ``code`` is stable: ``cut_off`` if it was truncated, else such as
    ``not_json``. The model is asked again, a few times.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class StageFailed(Exception):
    """A stage can't succeed, however often it is tried. The job fails with this code and message; its tickets return."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Objection(NamedTuple):
    """Why a pipeline refuses a job: the field of the request, and what to do. ``plan``: its data can't carry what it promises."""

    field: str
    message: str
    plan: bool = False


class StageRun(Protocol):
    """A job at work, as its stages see it."""

    job_id: int
    owner_id: int
    prompt: str
    metadata: Mapping[str, Any]
    results: dict[str, Json]
    """Stage → what it made, as JSON, of the stages that are finished."""

    def ask(self, step: str, question: Callable[[Unusable | None], Question], read: Callable[[str], Json]) -> Json:
        """
        Return what ``read`` makes of a model's answer, as JSON. A finished step is never asked again, also after a crash.

        :param step: its name among all steps of the job, up to 20 characters.
        :param question: returns the question; called with the reason if the last answer was not usable.
        :param read: converts the answer's text, or raises `Unusable`.
        """

    def once(self, step: str, make: Callable[[], Json]) -> Json:
        """Return what ``make`` makes, as JSON. Once it is kept it is not made again, also after a crash."""

    def advance(self, share: float) -> None:
        """Tell how much of this stage is done, 0 to 1."""


@dataclass(frozen=True)
class PipelineStage:
    """
    A stage by its name. ``work`` returns what it makes, as JSON; ``None``: the queue itself saves the files that the stage before
    has made (`MadeFile`). ``share`` is its part of the whole work, all together 1.
    ``saves``: it works after the paid calls, without a slot of the model. ``is_skipped`` tells whether a job leaves it out, by
    its metadata.
    """

    name: str
    share: float
    work: Callable[[StageRun], Json] | None
    saves: bool = False
    is_skipped: Callable[[Mapping[str, Any]], bool] | None = None


class Pipeline(Protocol):
    """The stages of a job type, in order. The last but one returns ``{"files": [MadeFile as JSON]}``, and the last saves them."""

    stages: Sequence[PipelineStage]

    def objections(self, metadata: Mapping[str, Any], prompt: str, *, owner_id: int) -> list[Objection]:
        """Return why a job with this metadata and prompt is refused; none if it can be queued."""

    def prompt(self, metadata: Mapping[str, Any]) -> str:
        """Return the prompt of a job that was requested without one."""

    def entered(self, jobs: Sequence[Job]) -> None:
        """Keep what belongs to jobs that have just been queued, in the same transaction."""


class MadeFile(NamedTuple):
    """A file that a job has made itself: the kind of its asset, the content type and the text."""

    kind: str
    content_type: str
    text: str


def of(kind: str) -> Pipeline | None:
    """Return the pipeline of a job type; ``None`` if its jobs are bought whole."""
    path = settings.PIPELINES.get(kind)
    found: Pipeline | None = import_string(path) if path else None
    return found
