"""Settings of every database session, so that a client that vanishes or freezes does not keep its locks."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

# no transaction makes network calls, so none is idle for long; a lost host is noticed within a minute instead of two hours
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
