"""
Bulk actions: one verb of staff, applied to many jobs.

``record`` is the life of an action, the same for every verb. ``verbs`` has one class per verb with all that is particular to it,
made of the parts in ``base`` and ``options``. ``selection``, ``retries`` and ``preview`` are the numbers that are shown before an
action is confirmed.
"""

from queue_app.work.bulk.options import BulkRefused
from queue_app.work.bulk.record import (
    JOBS_KEPT,
    OWNERS,
    STARTS_AFTER,
    abort,
    amend,
    confirm,
    draft,
    drafts,
    lease_due,
    may,
    name,
    prune,
    run_now,
    stop,
    undo,
    work,
)

__all__ = [
    "JOBS_KEPT",
    "OWNERS",
    "STARTS_AFTER",
    "BulkRefused",
    "abort",
    "amend",
    "confirm",
    "draft",
    "drafts",
    "lease_due",
    "may",
    "name",
    "prune",
    "run_now",
    "stop",
    "undo",
    "work",
]
