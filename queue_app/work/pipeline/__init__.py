"""
Jobs that work in several stages, some of them with several paid calls, such as pages.

`shape` is what an application says about such a job type, `running` how the queue runs its stages, `calls` how it makes their
paid calls.
"""

from queue_app.work.pipeline.calls import Stopped
from queue_app.work.pipeline.running import enter, files, saved, stop, work
from queue_app.work.pipeline.shape import (
    Json,
    Objection,
    Pipeline,
    PipelineStage,
    Question,
    StageFailed,
    StageRun,
    Unusable,
    of,
)

__all__ = [
    "Json",
    "Objection",
    "Pipeline",
    "PipelineStage",
    "Question",
    "StageFailed",
    "StageRun",
    "Stopped",
    "Unusable",
    "enter",
    "files",
    "of",
    "saved",
    "stop",
    "work",
]
