"""What every session of the database is told: who vanishes or is stopped in the middle lets go of its locks."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

# a transaction makes no network call, so none rests for long; a host that is gone is noticed within a minute, not in two hours
LIMITS = {
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
}
_SET = "; ".join(f"SET {name} = '{value}'" for name, value in LIMITS.items())


@receiver(connection_created, dispatch_uid="genqueue_site.db.session")
def limit(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SET)
