"""How long jobs of a model usually take: as measured, or as the catalogue says while few have run. Whoever says it asks here."""

from statistics import median
from typing import NamedTuple

from django.conf import settings

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


def of(model: GenerationModel, *, preview: bool = False) -> Usual:
    """
    Return the usual time of a model's jobs. At most one statement a minute, for all models together.

    :param preview: the studio renders them: until they are measured, its time counts.
    """
    measured = at_most_every(KEPT, "usual", _measured)
    return measured.get(model.pk) or Usual(float(settings.STUDIO_SECONDS if preview else model.typical_seconds), 0)


def _measured() -> dict[str, Usual]:
    found = progress.recent_runs(GenerationModel.objects.values_list("pk", flat=True))
    return {
        model: Usual(median(run.seconds for run in runs), len(runs)) for model, runs in found.items() if len(runs) >= schedule.FEW
    }
