"""The version of a combination that counts for review, export and download. The others keep their files and reviews."""

from datetime import datetime

from django.db import transaction

from campaigns.models import Combination, Version
from campaigns.models.combination import REVIEW_FIELDS
from queue_app.models import Batch, State, User
from queue_app.models.job import OPEN_STATES
from queue_app.work import policy


class VersionRefused(Exception):
    """The version can't count. Nothing was written."""


@transaction.atomic
def use(cell: Combination, number: int, *, at: datetime, by: User) -> Combination:
    """
    Let another version of a combination count, with its own review and note. Safe to repeat. Return the changed row.

    :raises VersionRefused: there is no completed version with that number, or a version is still generating.
    """
    locked = Combination.objects.select_for_update().get(pk=cell.pk)
    version = locked.versions.select_related("job").filter(number=number).first()
    if version is None or version.job.state != State.COMPLETED:
        raise VersionRefused(f"Version {number} is not completed. Choose a completed version.")
    if version.job_id == locked.job_id:
        return locked
    if is_open(locked):
        raise VersionRefused("A version is still generating. Wait for it or cancel it first.")
    before = counted(locked).number
    put_aside(locked)
    locked.job, locked.prompt = version.job, version.prompt
    for name in REVIEW_FIELDS:
        setattr(locked, name, getattr(version, name))
    locked.save()
    owner = Batch.objects.values_list("owner", flat=True).get(pk=locked.campaign_id)
    was, now = {"version": before}, {"version": number}
    policy.audit_others(owner, "choose version", str(locked), at=at, actor=by, before=was, after=now, of=locked)
    return locked


def put_aside(cell: Combination) -> None:
    """Save the review with the version that counts, before another one counts. The caller holds the lock."""
    reviewed = {name: getattr(cell, name) for name in REVIEW_FIELDS}
    Version.objects.filter(combination=cell, job=cell.job_id).update(**reviewed)


def counted(cell: Combination) -> Version:
    """Return the version that counts; the combination is not blocked."""
    return cell.versions.get(job=cell.job_id)


def is_open(cell: Combination) -> bool:
    """Whether a version of this combination is unfinished."""
    return cell.versions.filter(job__state__in=OPEN_STATES).exists()
