"""Usage: jobs, times and cost of a period."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.generics import JsonAPIView
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.requests import UsageQuery
from queue_app.api.serializers.usage import UsageOut
from queue_app.insight import usage
from queue_app.models import User
from queue_app.work import ticket_budgets
from queue_app.work.roles import SEE_USAGE

DAYS, LONGEST = 7, 366  # of a period: unless asked for, and at most


class UsageView(JsonAPIView):
    @call("usage_read", UsageOut, query=UsageQuery)
    def get(self, request: Request) -> Response:
        """
        Read your jobs that finished on these days, with the tickets charged and refunded on them, by day or by model. Staff who
        may see usage can ask for any `owner`. `budgets` are the ticket budgets as they stand now.
        """
        zone = ZoneInfo(settings.QUEUE_TIME_ZONE)
        at = clock.now()
        last: date = self.query.get("to") or at.astimezone(zone).date()
        first: date = self.query.get("from") or last - timedelta(days=DAYS - 1)
        if not 0 <= (last - first).days < LONGEST:
            raise ValidationError({"from": [f"Choose 1 to {LONGEST} days that end with `to`."]})
        start, end = (datetime.combine(day, time.min, zone) for day in (first, last + timedelta(days=1)))
        owner, by = _owner(request, self.query.get("owner")), self.query.get("by", "day")
        found = usage.of(start, end, by=by, owner=owner)
        lines = sorted(found.lines, key=lambda line: line.name)
        facts: dict[str, Any] = {"from": first, "to": last, "by": by, "owner": owner.username}
        budgets = [_budget(one) for one in ticket_budgets.of_owner(owner.pk, at=at)]
        return Response(render(UsageOut, {**facts, "lines": lines, "total": found.total, "budgets": budgets}))


def _budget(one: ticket_budgets.BudgetStanding) -> dict[str, Any]:
    scope, pk = one.scope
    return {
        "scope": ticket_budgets.NAMES[scope],
        "id": pk,
        "name": one.name,
        "period": one.budget.period,
        "tickets": one.budget.tickets,
        "used": one.used,
        "resets_at": one.until,
    }


def _owner(request: Request, name: str | None) -> User:
    """
    Return whose usage is asked for.

    :raises PermissionDenied: somebody else's, without the right. :raises ValidationError: there is no such user.
    """
    user = caller(request)
    if name in (None, user.username):
        return user
    if not (user.is_staff and user.has_perms(SEE_USAGE)):
        raise PermissionDenied("Only staff who may see usage can ask for that of other users.")
    if found := User.objects.filter(username=name).first():
        return found
    raise ValidationError({"owner": ["Unknown user."]})
