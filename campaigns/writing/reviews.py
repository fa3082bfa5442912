"""Verbs of a page's review: a person approves or rejects it, whatever its checks say, and takes that back."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from campaigns import review
from campaigns.models import Approval, Page
from queue_app import lifecycle, wake
from queue_app.models import Job, State, User
from queue_app.work import policy

DECISIONS = (Approval.NONE, Approval.APPROVE, Approval.REJECT)


class NotDecidable(Exception):
    """The page is not completed. Nothing was written."""


@transaction.atomic
def decide(page: Page, decision: str, *, at: datetime, by: User, note: str | None = None) -> Page:
    """
    Approve or reject a page, with a note unless it is ``None``. An empty decision takes it back, so that the checks count again.
    Return the changed row; in another user's page the change is audited (I45).

    :raises ValueError: it is none of `DECISIONS`. :raises NotDecidable: the page is not completed.
    :raises NoteRefused: the note is too long, or can't be stored.
    """
    if decision not in DECISIONS:
        raise ValueError(f"{decision} is no decision.")
    locked = Page.objects.select_for_update().get(pk=page.pk)
    job = Job.objects.get(pk=locked.pk)
    if job.state != State.COMPLETED:
        raise NotDecidable(f"You can only review completed pages. This one {lifecycle.state_phrase(job)}.")
    before = _decided(locked)
    if locked.decision != decision:
        locked.decision = Approval(decision)
        locked.decided_by, locked.decided_at = (by, at) if decision else (None, None)
    if note is not None:
        locked.note = review.checked_note(note)
    locked.save(update_fields=["decision", "decided_by", "decided_at", "note"])
    after = _decided(locked)
    if changed := [name for name in after if after[name] != before[name]]:
        was, now = ({name: values[name] for name in changed} for values in (before, after))
        policy.audit_others(locked.owner_id, "review page", str(locked), at=at, actor=by, before=was, after=now, of=locked)
        wake.jobs_changed([locked.pk])
    return locked


def _decided(page: Page) -> Mapping[str, str]:
    return {"decision": page.decision, "note": page.note}
