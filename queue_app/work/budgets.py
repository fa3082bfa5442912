"""
Daily budgets of provider accounts. Once an account's finished and running jobs of the day have cost as much as its budget, it
pauses until midnight. A job that has started is never stopped for that, so the last one may go over.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings

from queue_app.lifecycle import Pick
from queue_app.models import ProviderAccount, User
from queue_app.statements import Statement
from queue_app.work import policy

log = logging.getLogger(__name__)
BEGINNING = "Daily budget of $"  # of the reason of such a pause

# By the day of the create call; jobs that were just claimed have not been called yet. The cost of a job in several steps is that
# of its main attempts, which includes its calls. What comes on top: a call that was given up and repeated, which may be billed
# once more, at most as the whole job; and finished calls, by the cost that was told, of a main attempt that ended without one.
_SPENT = Statement("""
    SELECT coalesce(sum(found.cost), 0), coalesce(sum(found.estimate) FILTER (WHERE found.outcome IS NULL), 0),
           coalesce(sum(found.estimate) FILTER (WHERE found.outcome IS NOT NULL), 0)
      FROM (
        SELECT attempt.cost, attempt.outcome,
               CASE WHEN attempt.cost IS NULL AND (attempt.outcome IS NULL OR attempt.outcome IN ('abandoned', 'lost'))
                    THEN (SELECT usd_estimate FROM queue_app_job job WHERE job.id = attempt.job_id) END
          FROM queue_app_attempt attempt
         WHERE attempt.account_id = %(account)s AND attempt.called_at >= %(since)s AND NOT attempt.preview
           AND (attempt.step = 'main' OR NOT EXISTS (
                SELECT 1 FROM queue_app_attempt main
                 WHERE main.reservation_id = attempt.reservation_id AND main.step = 'main'
                   AND (main.outcome IN ('abandoned', 'lost')
                        OR (attempt.outcome IS DISTINCT FROM 'abandoned' AND (main.outcome IS NULL OR main.cost IS NOT NULL)))))
         UNION ALL
        SELECT NULL, NULL, job.usd_estimate
          FROM queue_app_job job
          JOIN queue_app_attempt attempt
            ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
         WHERE job.state = 'submitting' AND attempt.account_id = %(account)s AND attempt.called_at IS NULL
           AND NOT attempt.preview
      ) found (cost, outcome, estimate)
""")


@dataclass(frozen=True)
class Spend:
    """
    The cost of an account's jobs in USD. ``charged`` is for delivered ones, as told by the provider or by price; ``running`` and
    ``unclear`` are estimates, the latter for jobs that were given up or lost and may be billed.
    """

    charged: Decimal
    running: Decimal
    unclear: Decimal

    @property
    def total(self) -> Decimal:
        return self.charged + self.running + self.unclear


def spent(account: str, *, since: datetime) -> Spend:
    """Return what the account's jobs since then have cost; previews cost nothing."""
    return Spend(*_SPENT.run(account=account, since=since)[0])


def day_of(at: datetime, *, begins: time = time.min) -> tuple[datetime, datetime]:
    """
    Return the beginning and the end of the day in the queue's time zone.

    :param begins: the time of day at which it begins. Where clocks skip it, as much later; where they show it twice, the first.
    """
    zone = ZoneInfo(settings.QUEUE_TIME_ZONE)
    today = at.astimezone(zone).date()
    if at < _moment(today, begins, zone):
        today -= timedelta(days=1)
    return _moment(today, begins, zone), _moment(today + timedelta(days=1), begins, zone)


def within(picks: Sequence[Pick], budgets: Mapping[str, Decimal], *, at: datetime) -> list[Pick]:
    """
    Return the picks whose accounts have budget left, and pause the accounts that have none. The caller holds the claim lock.

    :param budgets: by account; an account that is not named has none.
    """
    mine = {pick.route.account_id for pick in picks if pick.route.account_id in budgets and not pick.route.account.is_preview}
    if not mine:
        return list(picks)
    begins, _ = day_of(at)
    left = {account: budgets[account] - spent(account, since=begins).total for account in mine}
    kept = []
    for pick in picks:
        account = pick.route.account_id
        if account in left:
            if left[account] <= 0:
                continue
            left[account] -= pick.job.usd_estimate
        kept.append(pick)
    for account, rest in left.items():
        if rest <= 0:
            _pause(account, budgets[account], at=at)
    return kept


def spent_words(account: str, budget: Decimal, *, at: datetime) -> str:
    """Return the reason of the pause that the next claim for this account will make; empty while some of its budget is left."""
    begins, _ = day_of(at)
    return _words(budget) if spent(account, since=begins).total >= budget else ""


def reconsider(account: ProviderAccount, *, at: datetime, actor: User | None) -> bool:
    """Resume an account that is paused for its budget, if it now has some left. Return whether it was resumed."""
    if not (account.paused and account.paused_reason.startswith(BEGINNING)):
        return False
    begins, _ = day_of(at)
    budget = account.daily_budget_usd
    if budget is not None and spent(account.pk, since=begins).total >= budget:
        return False
    return policy.change(
        account, at=at, actor=actor, reason="The daily budget was changed", paused=False, paused_reason="", paused_until=None
    )


def _pause(account: str, budget: Decimal, *, at: datetime) -> None:
    _, ends = day_of(at)
    words = _words(budget)
    row = ProviderAccount.objects.get(pk=account)
    if policy.change(row, at=at, actor=None, reason=words, paused=True, paused_reason=words, paused_until=ends):
        log.warning("account %s paused until %s: %s", account, ends, words)


def _words(budget: Decimal) -> str:
    return f"{BEGINNING}{budget:,.2f} spent"


def _moment(day: date, of_day: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, of_day, tzinfo=zone)
