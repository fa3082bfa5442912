"""The measures of alert rules. Each runs one or two queries that an index answers, whatever the size of the queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Exists, Max, Min, OuterRef, Q

from queue_app.models import AlertRule, Job, JobEvent, ProviderAccount, State, WorkerProcess
from queue_app.rules import numbers
from queue_app.work import budgets

COUNTED = 10_000  # count at least up to this many jobs; more are shown as "at least"
FEW = 8  # finished jobs in an hour; a rate of fewer is not meaningful
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(hours=24), timedelta(days=7)

# low wallets whose owners reserved or were charged within a week; one probe of the ledger per low wallet
_LOW_WALLETS = """
    SELECT account.username, wallet.available
      FROM queue_app_wallet wallet
      JOIN queue_app_user account ON account.id = wallet.owner_id AND account.is_active
     CROSS JOIN LATERAL (
        SELECT spent.at FROM queue_app_ledgertransaction spent
         WHERE spent.wallet_id = wallet.id AND spent.kind IN ('reserve', 'capture')
         ORDER BY spent.id DESC LIMIT 1
     ) last
     WHERE wallet.available < %(below)s AND last.at > %(since)s
"""

# The oldest transaction that keeps dead rows from being removed. A session that is idle between statements and has written
# nothing does not. Sessions of other database users are visible only with pg_read_all_stats.
_OLDEST_SNAPSHOT = """
    SELECT pid, state, xact_start FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND xact_start IS NOT NULL
     ORDER BY xact_start LIMIT 1
"""


@dataclass(frozen=True)
class Measurement:
    """A measured value and a sentence that explains it."""

    value: float
    words: str


Found = Mapping[str, Measurement]  # by subject; a subject that is missing is fine


def _queue_depth(rule: AlertRule, at: datetime) -> Found:
    most = max(COUNTED, int(2 * rule.opens_at))
    waiting = Job.objects.filter(state=State.QUEUED).order_by()[:most].count()
    return {"": Measurement(waiting, f"{'At least ' if waiting == most else ''}{_jobs(waiting)} waiting.")}


def _oldest_wait(rule: AlertRule, at: datetime) -> Found:
    ready = Job.objects.filter(state=State.QUEUED, held=False, not_before=None)
    since = ready.aggregate(since=Min("queued_at"))["since"]
    if since is None:
        return {}
    seconds = (at - since).total_seconds()
    return {"": Measurement(seconds, f"The oldest job has been waiting for {_time(seconds)}.")}


def _failure_rate(rule: AlertRule, at: datetime) -> Found:
    """Return the share of failed jobs among completed and failed ones, in percent; cancelled jobs do not count."""
    ended = Job.objects.filter(ended_at__gt=at - HOUR, state__in=(State.COMPLETED, State.FAILED))
    counts = ended.aggregate(all=Count("pk"), failed=Count("pk", filter=Q(state=State.FAILED)))
    if counts["all"] < FEW:
        return {}
    percent = 100 * counts["failed"] / counts["all"]
    return {"": Measurement(percent, f"{counts['failed']} of {_jobs(counts['all'])} failed in the last hour: {percent:.0f}%.")}


def _unknown_jobs(rule: AlertRule, at: datetime) -> Found:
    unknown = Job.objects.filter(state=State.UNKNOWN).count()
    return {
        "": Measurement(unknown, f"{_jobs(unknown)} with an unknown outcome. Nothing is charged, but you may have to decide.")
    }


def _worker_silent(rule: AlertRule, at: datetime) -> Found:
    """
    Return the longest silence in seconds, by machine and role, and that of the active dispatcher on any machine.

    A process that exits normally deletes its row, so a silent row is a killed process or a lost machine.
    """
    rows = WorkerProcess.objects.order_by("host", "role").values_list("host", "role").annotate(Min("beat_at"))
    found = {}
    for host, role, beat_at in rows:
        seconds = (at - beat_at).total_seconds()
        found[f"{role} on {host}"] = Measurement(seconds, f"No heartbeat from the {role} on {host} for {_time(seconds)}.")
    led_at = WorkerProcess.objects.filter(leader=True).aggregate(at=Max("beat_at"))["at"]
    if led_at is not None:
        seconds = (at - led_at).total_seconds()
        found["leader"] = Measurement(seconds, f"No active dispatcher: the last heartbeat was {_time(seconds)} ago.")
    return found


def _tickets_low(rule: AlertRule, at: datetime) -> Found:
    with connection.cursor() as cursor:
        cursor.execute(_LOW_WALLETS, {"below": rule.closes_at, "since": at - WEEK})
        rows: list[tuple[str, int]] = cursor.fetchall()
    return {owner: Measurement(left, f"{owner} has {numbers.counted(left, 'ticket')} left.") for owner, left in rows}


def _paid_not_delivered(rule: AlertRule, at: datetime) -> Found:
    """Return the number of jobs that failed after their provider was done and were not queued again since."""
    lost = JobEvent.objects.filter(job=OuterRef("pk"), from_state=State.STORING, to_state=State.FAILED, at__gt=at - DAY)
    count = Job.objects.filter(Exists(lost), state=State.FAILED, ended_at__gt=at - DAY).count()
    return {"": Measurement(count, f"{_jobs(count)} paid but not delivered in the last 24 hours.")}


def _budget_spent(rule: AlertRule, at: datetime) -> Found:
    """Return the part of its daily budget that each provider account has spent today, in percent."""
    begins, _ = budgets.day_of(at)
    found = {}
    for account, budget in ProviderAccount.objects.exclude(daily_budget_usd=None).values_list("pk", "daily_budget_usd"):
        total = budgets.spent(account, since=begins).total
        percent = int(100 * total / budget) if budget else 100
        words = f"Account {account} has spent ${total:,.2f} of its daily budget of ${budget:,.2f} ({percent}%)."
        found[account] = Measurement(percent, words)
    return found


def _old_snapshot(rule: AlertRule, at: datetime) -> Found:
    """Return the age in seconds of the oldest transaction that blocks database cleanup, which slows down all readers."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_SNAPSHOT)
        oldest: tuple[int, str, datetime] | None = cursor.fetchone()
    if oldest is None:
        return {}
    session, state, since = oldest
    seconds = (at - since).total_seconds()
    words = f"Database session {session} ({state}) has had a transaction open for {_time(seconds)}. This blocks database cleanup."
    return {"": Measurement(seconds, words)}


MEASURES: dict[str, Callable[[AlertRule, datetime], Found]] = {
    AlertRule.Measure.QUEUE_DEPTH: _queue_depth,
    AlertRule.Measure.OLDEST_WAIT: _oldest_wait,
    AlertRule.Measure.FAILURE_RATE: _failure_rate,
    AlertRule.Measure.UNKNOWN_JOBS: _unknown_jobs,
    AlertRule.Measure.WORKER_SILENT: _worker_silent,
    AlertRule.Measure.TICKETS_LOW: _tickets_low,
    AlertRule.Measure.PAID_NOT_DELIVERED: _paid_not_delivered,
    AlertRule.Measure.BUDGET_SPENT: _budget_spent,
    AlertRule.Measure.OLD_SNAPSHOT: _old_snapshot,
}


UNITS: dict[str, str] = {
    AlertRule.Measure.OLDEST_WAIT: "s",
    AlertRule.Measure.FAILURE_RATE: "%",
    AlertRule.Measure.WORKER_SILENT: "s",
    AlertRule.Measure.BUDGET_SPENT: "%",
    AlertRule.Measure.OLD_SNAPSHOT: "s",
}


def reading(measure: str, value: float) -> str:
    """Format a value of a measure with its unit, such as “25%”, “3,600s” or “500”."""
    return f"{_number(value)}{UNITS.get(measure, '')}"


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _jobs(count: int) -> str:
    return numbers.counted(count, "job")


def _time(seconds: float) -> str:
    return numbers.duration(seconds)
