"""
Drafts of the forms of pages: one open draft per user and form, saved at every change. The newest change counts, whichever tab it
came from; each tab keeps what was typed in it.
"""

import hashlib
import json
import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns.models import PageDraft
from queue_app.models import User

Body = dict[str, Any]
ONE, MANY = PageDraft.Form.ONE, PageDraft.Form.MANY
MADE_OF = "sha256"  # in the body of a draft whose pages are queued


class AlreadyMade(Exception):
    """The draft was queued, with other words than these. Nothing was saved. ``made`` is the job or batch that it became."""

    def __init__(self, made: int):
        self.made = made
        super().__init__("This draft is queued already, from another tab.")


def open_of(owner: User, form: str) -> PageDraft | None:
    """Return the open draft of the user."""
    return PageDraft.objects.filter(owner=owner, form=form, made=None).first()


@transaction.atomic
def save(owner: User, form: str, body: Body, *, draft: uuid.UUID, at: datetime) -> PageDraft:
    """
    Save the body; the first save creates the draft, in place of another open one. A draft that was queued with exactly this body
    is returned unchanged.

    :raises AlreadyMade: the draft was queued with another body.
    """
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # one tab after the other
    mine = PageDraft.objects.select_for_update().filter(pk=draft, owner=owner, form=form).first()
    if mine is None:
        PageDraft.objects.filter(owner=owner, form=form, made=None).delete()
        key = uuid.uuid4() if PageDraft.objects.filter(pk=draft).exists() else draft
        return PageDraft.objects.create(pk=key, owner=owner, form=form, body=body, updated_at=at)
    if made_of(mine, body) is None and mine.body != body:
        mine.body, mine.updated_at = body, at
        mine.save(update_fields=["body", "updated_at"])
    return mine


def made_of(locked: PageDraft, body: Body) -> int | None:
    """
    Return the job or batch that a draft became; ``None`` while it is open. The caller holds its lock.

    :raises AlreadyMade: the draft was queued with another body.
    """
    if locked.made is not None and locked.body.get(MADE_OF) != _sha256(body):
        raise AlreadyMade(locked.made)
    return locked.made


def mark_made(draft: PageDraft, body: Body, made: int, rest: Body | None, *, at: datetime) -> None:
    """Record what this body of a draft became. The caller holds its lock. ``rest`` stays open, as a new draft."""
    draft.body, draft.made, draft.updated_at = {MADE_OF: _sha256(body)}, made, at
    draft.save(update_fields=["body", "made", "updated_at"])
    if rest is not None:
        PageDraft.objects.create(owner_id=draft.owner_id, form=draft.form, body=rest, updated_at=at)


def discard(owner: User, form: str, draft: uuid.UUID) -> bool:
    """Delete the open draft with this id, and return whether there was one: it may have been queued in the meantime."""
    deleted, _ = PageDraft.objects.filter(pk=draft, owner=owner, form=form, made=None).delete()
    return bool(deleted)


def _sha256(body: Body) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode(errors="replace")).hexdigest()
