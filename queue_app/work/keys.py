"""API keys and passwords, which let someone in as a user. Making, revoking and setting one are audited for every caller."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from queue_app.models import ApiKey, User
from queue_app.work import policy


@transaction.atomic
def make(user: User, *, scopes: Sequence[str], name: str, at: datetime, actor: User | None) -> str:
    """
    Make an API key for a user. Return the key itself; only its hash is stored.

    :param actor: ``None`` for the command line.
    """
    row, key = ApiKey.objects.create(user, scopes=list(scopes), name=name)
    found = {"user": user.username, "name": name, "scopes": list(scopes)}
    policy.audit("add API key", str(row), at=at, actor=actor, after=found, of=user)
    return str(key)


@transaction.atomic
def revoke(key: ApiKey, *, at: datetime, actor: User) -> None:
    """Delete an API key: its next call is refused."""
    policy.audit("revoke API key", str(key), at=at, actor=actor, before={"scopes": key.scopes}, of=key.user)
    key.delete()


def password_set(user: User, *, at: datetime, actor: User) -> None:
    """Audit that ``actor`` set the user's password, in the transaction of that: they may log in as that user."""
    policy.audit("set password", user.username, at=at, actor=actor, of=user)
