"""Granting tickets: the movement and its audit entry in one transaction, once per key."""

from datetime import datetime

from django.db import transaction

from queue_app import tickets
from queue_app.models import LedgerTransaction, User
from queue_app.work import policy


@transaction.atomic
def grant(
    owner: User, amount: int, *, at: datetime, actor: User | None, reason: str, key: str | None = None
) -> tuple[LedgerTransaction, bool]:
    """
    Grant new tickets to a user. Return the movement and whether it is new: a repeated ``key`` moves and audits nothing.

    :param actor: ``None`` for the command line.
    :raises ValueError: the amount is outside 1 to a billion, or the reason is empty.
    """
    name = actor.username if actor else "command line"
    entry = tickets.grant(owner, amount, at=at, actor=name, reason=reason, key=key)
    is_new = entry.at == at
    if is_new:
        after = {"tickets": amount, "ledger": entry.key}
        policy.audit("grant tickets", owner.username, at=at, actor=actor, after=after, reason=reason, of=entry.wallet)
    return entry, is_new
