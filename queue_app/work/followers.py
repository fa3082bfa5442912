"""
Applications above the queue that keep what follows from its rows. The settings name them: ``FOLLOWERS``, in ``HOLD_AGAIN`` those
that put retried jobs on hold, and in ``SWEEPS`` those that look for something in every sweep.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from queue_app.models import Job


def tell(what: str, pk: int, changed: Mapping[str, Any]) -> None:
    """Tell them, in the transaction of the change, which values of a row are others now. What they raise refuses the change."""
    for path in settings.FOLLOWERS[what]:
        import_string(path)(pk, changed)


def hold_again(jobs: Sequence[Job]) -> None:
    """Let them set ``held_for`` of jobs that are about to be queued again, for what these were never released from."""
    for path in settings.HOLD_AGAIN:
        import_string(path)(jobs)


def look(*, at: datetime) -> None:
    """Let them look for what follows from rows that no call tells them of, such as failures. They find nothing at little cost."""
    for path in settings.SWEEPS:
        import_string(path)(at=at)
