"""Calls that were sent again after their answer was lost, as the account allows, so that they may be billed twice (I46)."""

from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef

from queue_app.models import Attempt, Outcome


def by_account(*, since: datetime) -> dict[str, int]:
    """Return how many lost calls since then were sent again, by account; none for accounts without one. Previews cost nothing."""
    lost = Attempt.objects.filter(outcome=Outcome.ABANDONED, slot_until__gt=since, ended_at__gt=since, preview=False)
    again = Attempt.objects.filter(job=OuterRef("job"), step=OuterRef("step"), number=OuterRef("number") + 1)
    found = lost.exclude(step="main").filter(Exists(again)).values_list("account")
    return dict(found.annotate(calls=Count("pk")).order_by(F("calls").desc(), "account"))
