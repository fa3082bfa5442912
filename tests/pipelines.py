"""A small pipeline, for tests of what the queue does with one: it needs a language that it knows, and two products."""

from queue_app.models import Job
from queue_app.work.pipeline import Objection, PipelineStage

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
        language = [] if metadata.get("language") in ("en", "de") else [NO_LANGUAGE]
        return language + ([TOO_FEW] if len(metadata.get("products", ())) < 2 else [])

    def prompt(self, metadata):
        return f"A leaflet in {metadata['language']}."

    def entered(self, jobs):
        self.jobs += jobs


LEAFLETS = Leaflets()
PIPELINES = {"page": "tests.pipelines.LEAFLETS"}
