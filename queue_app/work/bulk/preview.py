"""Preview of a bulk action: what its verb would do, its jobs by state and owner, ticket movements, possible provider cost."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from queue_app.models import BulkAction, Job, State, User
from queue_app.rules import numbers
from queue_app.work.bulk import verbs
from queue_app.work.bulk.base import BulkVerb, Effect
from queue_app.work.bulk.selection import Selection

SHOWN = 200  # jobs listed
MANY = 20_000  # jobs; for more of them, reading the whole table is faster than looking each up
OWNERS = 6  # named, those with the most jobs first


@dataclass(frozen=True)
class DraftPreview:
    """Everything that the page of a draft shows."""

    verb: BulkVerb
    effect: Effect
    total: int
    by_status: str
    by_owner: str
    newest: list[Job]

    @property
    def title(self) -> str:
        return self.verb.title(self.total)

    @property
    def button(self) -> str:
        return self.verb.named(self.effect.acts_on)


@transaction.atomic
def of(action: BulkAction, *, at: datetime) -> DraftPreview:
    """Return the preview of a draft as its jobs are now."""
    if action.total > MANY:  # the planner takes every array for a short one, and would look up a million jobs one by one
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_nestloop = off")
    chosen, verb = Selection.of(action, at=at), verbs.of(action)
    return DraftPreview(
        verb=verb,
        effect=verb.effect(chosen, action.options),
        total=action.total,
        by_status=", ".join(f"{jobs:,} {state.label.lower()}" for state in State if (jobs := chosen.count(state))),
        by_owner=_by_owner(chosen.owners(*State)),
        newest=_newest(action),
    )


def _by_owner(owners: Counter[int]) -> str:
    """“ana 12, bo 3 and 4 others”."""
    most = owners.most_common(OWNERS)
    names = dict(User.objects.filter(pk__in=[pk for pk, _ in most]).values_list("pk", "username"))
    said, others = ", ".join(f"{names[pk]} {jobs:,}" for pk, jobs in most), len(owners) - len(most)
    return f"{said} and {numbers.counted(others, 'other')}" if others else said


def _newest(action: BulkAction) -> list[Job]:
    first = max(0, action.total - SHOWN)
    ids = BulkAction.objects.values_list(f"job_ids__{first}_{action.total}", flat=True).get(pk=action.pk)
    return list(Job.objects.filter(pk__in=ids).order_by("-pk"))
