"""
Small pipelines, for tests of what the queue does with one. Leaflets need a language that they know, and two products; their
stages do nothing. Notes are two texts written by a model, and a file made of them.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from queue_app.models import Attempt, Job, JobStage
from queue_app.work.pipeline import Objection, PipelineStage, Question, StageFailed, StageRun, Unusable
from tests.factories import NOON

NAMES = (
    "validation",
    "context building",
    "component generation",
    "template assembly",
    "quality validation",
    "post-processing",
    "storage",
)
LEAFLET = {"language": "en", "products": ["a kettle", "a pan"]}
NO_LANGUAGE = Objection("metadata.language", "“xx” is not a language that we write. Choose one of: en, de.")
TOO_FEW = Objection("metadata.products", "A leaflet needs 2 products. Add one.", plan=True)


def _nothing(run):
    return {}


def _skips_checks(metadata):
    return metadata.get("skip_quality_check") is True


class Leaflets:
    """Remembers the jobs that entered."""

    stages = tuple(
        PipelineStage(name, 1 / 7, _nothing, is_skipped=_skips_checks if name == "quality validation" else None) for name in NAMES
    )

    def __init__(self):
        self.jobs: list[Job] = []

    def objections(self, metadata, prompt, *, owner_id):
        if prompt == "For nobody.":
            return [Objection("prompt", "Say who reads it.", plan=True)]
        language = [] if metadata.get("language") in ("en", "de") else [NO_LANGUAGE]
        return language + ([TOO_FEW] if len(metadata.get("products", ())) < 2 else [])

    def prompt(self, metadata):
        return f"A leaflet in {metadata['language']}."

    def entered(self, jobs):
        self.jobs += jobs


STEPS = ("first", "second")


def read_note(text: str) -> dict[str, str]:
    if text.startswith("?"):
        raise Unusable("not_json", f"It begins with {text[:3]}.")
    return {"text": text}


def write_notes(run: StageRun) -> dict[str, Any]:
    notes = []
    for number, step in enumerate(STEPS, 1):

        def question(last: Unusable | None, step: str = step) -> Question:
            again = f" (again: {last.code})" if last else ""
            return Question(f"{run.metadata.get('title', 'Note')}: {step}{again}", 200, {"type": "object"})

        notes.append(run.ask(step, question, read_note)["text"])
        run.advance(number / len(STEPS))
    return {"notes": notes}


def check_notes(run: StageRun) -> dict[str, Any]:
    if run.metadata.get("broken"):
        raise StageFailed("not_good", "This note is not good enough.")
    if run.metadata.get("bug"):
        raise KeyError("bug")
    return {"checks": []}


def finish_notes(run: StageRun) -> dict[str, Any]:
    return {"files": [{"kind": "page", "content_type": "text/plain", "text": "\n".join(run.results["writing"]["notes"])}]}


class Notes:
    stages: Sequence[PipelineStage] = (
        PipelineStage("writing", 0.6, write_notes),
        PipelineStage("checking", 0.2, check_notes, is_skipped=lambda metadata: bool(metadata.get("skip"))),
        PipelineStage("finishing", 0.1, finish_notes, saves=True),
        PipelineStage("saving", 0.1, None, saves=True),
    )

    def objections(self, metadata: Mapping[str, Any], prompt: str, *, owner_id: int) -> list[Objection]:
        return []

    def prompt(self, metadata: Mapping[str, Any]) -> str:
        return str(metadata.get("title", "Notes"))

    def entered(self, jobs: Sequence[Job]) -> None:
        return None


NOTES = Notes()
LEAFLETS = Leaflets()
PIPELINES = {"page": "tests.pipelines.LEAFLETS"}
REPORT = {
    "checks": [
        {
            "name": "Grounding",
            "outcome": "fail",
            "figure": "1 of 14",
            "bound": "0",
            "sentence": "“2.5 l” is in none of the facts. Remove it, or add it to the data.",
            "components": ["body"],
            "found": ["2.5 l"],
        }
    ],
    "verdict": "review",
    "rewritten": [],
}


def finished(job, *names, seconds=2.0, **fields):
    """Write the rows of stages that a job has finished, as the engine does; that of the checks has a report."""
    for name in names:
        result = {"report": REPORT, "document": {}} if name == "quality validation" else {}
        JobStage.objects.create(
            job=job,
            name=name,
            **{"started_at": NOON, "ended_at": NOON, "seconds": seconds, "result": result, "sha256": "0" * 64} | fields,
        )


def call(job, step, number, outcome, *, cost=None, at=NOON, **fields):
    """Write the attempt of one call of a job in steps, beside the main one, as the engine does."""
    main = job.attempts.get(step="main", number=job.attempt_number)
    same = ("job_id", "reservation_id", "route_id", "account_id", "endpoint_id", "preview")
    known = {name: getattr(main, name) for name in same} | {"synchronous": True, "token": secrets.token_urlsafe(32)}
    times = {"created_at": at, "called_at": at, "slot_until": at + timedelta(seconds=170), "ended_at": at if outcome else None}
    return Attempt.objects.create(step=step, number=number, outcome=outcome, cost=cost, **known | times | fields)
