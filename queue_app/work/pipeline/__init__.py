"""
Jobs that work in several stages, some of them with several paid calls, such as pages.

`shape` is what an application says about such a job type, `duties` what workers do on its jobs by their state, `running` how the
stages run, `calls` how their paid calls are made, `kept` what is kept of them.
"""

from queue_app.work.pipeline.calls import Stopped
from queue_app.work.pipeline.duties import enter, files, saved, stop, work
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
