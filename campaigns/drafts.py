"""
Drafts of campaigns: one open draft per user, saved at every change of the form.

A body holds the fields as typed: texts, ``dimensions`` (key → value keys), ``exclude``, and the ``images``, ``kept`` and ``urls``
of `ui.parameters.Typed`. A form sends the draft and the revision that it was rendered from, and the tab that it is in: a tab may
overwrite its own changes, never those of another tab. Beside the fields, a body has the mark of the tab that saved it, and what
`polishing` remembers: posts of the form don't have it and can't change it.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns.brief import TEXTS
from campaigns.models import Campaign, Draft
from queue_app.models import User
from queue_app.ui import parameters
from queue_app.work import ticket_budgets

Body = dict[str, Any]
TAB, POLISHING = "tab", "polishing"


class DraftConflict(Exception):
    """
    A newer version than the form's was saved, launched or discarded. Nothing was written. ``other`` is the open draft, if there
    is one; ``launched`` is the campaign that was launched from the form's own draft, if it was.
    """

    def __init__(self, other: Draft | None, launched: Campaign | None = None):
        self.other, self.launched = other, launched
        super().__init__("This draft was changed, launched or discarded in another tab.")


def open_of(owner: User) -> Draft | None:
    """Return the open draft of the user."""
    return Draft.objects.filter(owner=owner, campaign=None).first()


@transaction.atomic
def save(owner: User, body: Body, *, draft: uuid.UUID, revision: int, tab: str, at: datetime) -> Draft:
    """
    Save the body; the first save creates the draft. A draft that was launched with exactly this body is returned unchanged.

    :raises DraftConflict: another tab saved first, or the draft was launched with another body.
    """
    made = Draft(pk=draft, owner=owner, body={TAB: tab}, updated_at=at)
    Draft.objects.bulk_create([made], ignore_conflicts=True)  # conflicts if it exists, or if the user has another open draft
    mine = Draft.objects.select_for_update().filter(pk=draft, owner=owner).first()
    if mine is None:
        raise DraftConflict(open_of(owner))
    if fields_of(mine) == body:
        return mine
    if mine.campaign is not None:
        raise DraftConflict(open_of(owner), mine.campaign)
    if mine.revision != revision and mine.body.get(TAB) != tab:
        raise DraftConflict(mine)
    remembered = {name: value for name, value in mine.body.items() if name == POLISHING}
    mine.body, mine.revision, mine.updated_at = {**body, TAB: tab, **remembered}, mine.revision + 1, at
    mine.save(update_fields=["body", "revision", "updated_at"])
    return mine


@transaction.atomic
def change(draft: Draft, how: Callable[[Body], Body], *, at: datetime) -> Draft:
    """
    Replace the body of an open draft by what ``how`` makes of it. Only a change of fields is a new revision, which other tabs are
    told about. A launched draft is returned unchanged.

    :raises DraftConflict: the draft was discarded.
    """
    mine = Draft.objects.select_for_update().filter(pk=draft.pk).first()
    if mine is None:
        raise DraftConflict(open_of(draft.owner))
    before = fields_of(mine)
    if mine.campaign is None:
        mine.body = how(mine.body)
        if fields_of(mine) != before:
            mine.revision, mine.updated_at = mine.revision + 1, at
        mine.save(update_fields=["body", "revision", "updated_at"])
    return mine


def discard(owner: User, *, draft: uuid.UUID, revision: int) -> bool:
    """Delete the open draft if it still has this revision. Return whether it is gone."""
    Draft.objects.filter(pk=draft, owner=owner, campaign=None, revision=revision).delete()
    return not Draft.objects.filter(pk=draft, owner=owner, campaign=None).exists()


def fields_of(draft: Draft) -> Body:
    """Return the fields of a draft as the form sent them."""
    return {name: value for name, value in draft.body.items() if name not in (TAB, POLISHING)}


def from_campaign(campaign: Campaign) -> Body:
    """Return the fields of a campaign as the start of a new one. Name and priority are left empty."""
    texts = {name: getattr(campaign, name) for name in TEXTS if name != "brand"}
    return {
        **texts,
        "name": "",
        "brand": campaign.brand.name,
        "dimensions": dict(campaign.dimensions),
        "exclude": list(campaign.exclude),
        "model": campaign.model_id,
        **parameters.as_typed(campaign.parameters).body,
        "priority": "",
        "max_concurrent": str(campaign.batch.max_concurrent or ""),
        "budget_tickets": str(ticket_budgets.tickets_of(campaign.batch) or ""),
        "start": campaign.start,
        "still_model": campaign.still_model_id or "",
    }
