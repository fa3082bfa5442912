"""A small pipeline: two notes written by a model, and a file made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from queue_app.models import Job
from queue_app.work.pipeline import Objection, PipelineStage, Question, StageFailed, StageRun, Unusable

STEPS = ("first", "second")


def read(text: str) -> dict[str, str]:
    if text.startswith("?"):
        raise Unusable("not_json", f"It begins with {text[:3]}.")
    return {"text": text}


def write(run: StageRun) -> dict[str, Any]:
    notes = []
    for number, step in enumerate(STEPS, 1):

        def question(last: Unusable | None, step: str = step) -> Question:
            again = f" (again: {last.code})" if last else ""
            return Question(f"{run.metadata.get('title', 'Note')}: {step}{again}", 200, {"type": "object"})

        notes.append(run.ask(step, question, read)["text"])
        run.advance(number / len(STEPS))
    return {"notes": notes}


def check(run: StageRun) -> dict[str, Any]:
    if run.metadata.get("broken"):
        raise StageFailed("not_good", "This note is not good enough.")
    if run.metadata.get("bug"):
        raise KeyError("bug")
    return {"checks": []}


def finish(run: StageRun) -> dict[str, Any]:
    return {"files": [{"kind": "page", "content_type": "text/plain", "text": "\n".join(run.results["writing"]["notes"])}]}


class Notes:
    stages: Sequence[PipelineStage] = (
        PipelineStage("writing", 0.6, write),
        PipelineStage("checking", 0.2, check, is_skipped=lambda metadata: bool(metadata.get("skip"))),
        PipelineStage("finishing", 0.1, finish, saves=True),
        PipelineStage("saving", 0.1, None, saves=True),
    )

    def objections(self, metadata: Mapping[str, Any], prompt: str, *, owner_id: int) -> list[Objection]:
        return []

    def prompt(self, metadata: Mapping[str, Any]) -> str:
        return str(metadata.get("title", "Notes"))

    def entered(self, jobs: Sequence[Job]) -> None:
        return None


NOTES = Notes()
