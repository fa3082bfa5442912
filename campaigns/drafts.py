"""
The form that somebody is filling in: one open draft for each account, saved at every change.

A body holds the fields as they were typed, all texts but ``dimensions`` (key → value keys), ``exclude``, and ``images``, ``kept``
and ``urls`` (`ui.parameters.Typed`). A form names the
draft and the revision that it was made from, and the tab it is in: a tab may save over itself, never over what another saved.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns.brief import TEXTS
from campaigns.models import Campaign, Draft
from queue_app.models import User
from queue_app.ui import parameters

Body = dict[str, Any]
TAB = "tab"


class DraftConflict(Exception):
    """
    Something newer than the form has been saved or launched; nothing was written. ``other`` is the draft that is open now, if
    any; ``launched`` the campaign that the form's own draft has become, if it has.
    """

    def __init__(self, other: Draft | None, launched: Campaign | None = None):
        self.other, self.launched = other, launched
        super().__init__("This draft was changed, launched or discarded in another tab.")


def open_of(owner: User) -> Draft | None:
    """The draft that the account is filling in."""
    return Draft.objects.filter(owner=owner, campaign=None).first()


@transaction.atomic
def save(owner: User, body: Body, *, draft: uuid.UUID, revision: int, tab: str, at: datetime) -> Draft:
    """
    Keep what was typed; the first save makes the draft. A launched draft is given back if it was launched with this very body.

    :raises DraftConflict: another tab was faster, or the draft was launched with something else in it.
    """
    made = Draft(pk=draft, owner=owner, body={TAB: tab}, updated_at=at)
    Draft.objects.bulk_create([made], ignore_conflicts=True)  # it is there, or another one is open, or it is a stranger's
    mine = Draft.objects.select_for_update().filter(pk=draft, owner=owner).first()
    if mine is None:
        raise DraftConflict(open_of(owner))
    if fields_of(mine) == body:
        return mine
    if mine.campaign is not None:
        raise DraftConflict(open_of(owner), mine.campaign)
    if mine.revision != revision and mine.body.get(TAB) != tab:
        raise DraftConflict(mine)
    mine.body, mine.revision, mine.updated_at = {**body, TAB: tab}, mine.revision + 1, at
    mine.save(update_fields=["body", "revision", "updated_at"])
    return mine


def discard(owner: User, *, draft: uuid.UUID, revision: int) -> bool:
    """Throw the open draft away, unless it has changed since that revision. Says whether it is gone."""
    Draft.objects.filter(pk=draft, owner=owner, campaign=None, revision=revision).delete()
    return not Draft.objects.filter(pk=draft, owner=owner, campaign=None).exists()


def fields_of(draft: Draft) -> Body:
    """The fields alone, without what tells tabs apart."""
    return {name: value for name, value in draft.body.items() if name != TAB}


def from_campaign(campaign: Campaign) -> Body:
    """The fields of an old campaign, to start a new one from; its priority is left to the queue again."""
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
    }
