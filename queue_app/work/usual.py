"""How long jobs of a model usually take: as measured, or as the catalogue says while few have run. Whoever says it asks here."""

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from queue_app.caching import at_most_every
from queue_app.models import GenerationModel
from queue_app.rules import schedule
from queue_app.work import progress

KEPT = 60.0  # seconds for which a process uses the same times


class Usual(NamedTuple):
    """The median of the last runs in seconds, and their number; with none the typical time of the catalogue."""

    seconds: float
    runs: int

    @property
    def basis(self) -> str:
        """“the last 37 runs”, or “the model's typical time”."""
        return schedule.basis(self.runs)


def of(model: GenerationModel) -> Usual:
    """Return the usual time of a model's jobs."""
    return of_each([model])[model.pk]


def of_each(models: Iterable[GenerationModel]) -> dict[str, Usual]:
    """Return the usual times by model. At most one statement a minute, for all models together."""
    measured = at_most_every(KEPT, "usual", _measured)
    return {model.pk: measured.get(model.pk) or Usual(float(model.typical_seconds), 0) for model in models}


def _measured() -> dict[str, Usual]:
    found = progress.recent_runs(GenerationModel.objects.values_list("pk", flat=True))
    return {
        model: Usual(median(run.seconds for run in runs), len(runs)) for model, runs in found.items() if len(runs) >= schedule.FEW
    }
