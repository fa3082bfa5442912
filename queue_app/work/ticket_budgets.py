"""
Ticket budgets of users, campaigns and API keys. A job that would exceed one is not claimed: it goes on hold (`holds`) until the
budget starts again, is raised or removed, or tickets come back.

What counts are the tickets of the scope's jobs that have started in the period and neither failed nor were cancelled. A job
counts once, from its first start on: while it waits for its next attempt, too. A job that somebody retries counts again when it
starts, at its new price. A refund gives nothing back to the budget: the job was generated, and a refund of last month must not
start jobs today. Budgets in US dollars of provider accounts are in `budgets`.

The sums are read from the jobs under the claim lock, so that claims never exceed a budget together. All writers of a budget's row
hold that lock. A total budget keeps the sum of its old jobs (`count_on`), so that no claim adds up a whole history.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum

from queue_app import announce, wake
from queue_app.lifecycle import Pick
from queue_app.models import ApiKey, Batch, HeldFor, Job, QueueSettings, State, TicketBudget, User
from queue_app.models.budget import MOST, SCOPES
from queue_app.models.job import OPEN_STATES
from queue_app.rules.limits import Blocker, Key
from queue_app.rules.numbers import counted
from queue_app.statements import Statement
from queue_app.work import holds, policy
from queue_app.work.budgets import day_of
from queue_app.work.capacity import Capacity

CHUNK = 100  # jobs that one transaction holds or releases: it has the claim lock
SETTLED = timedelta(hours=1)  # since its start, before a job's tickets are counted for good; no clocks differ by as much
STEPS = 10  # such transactions for one owner in one look
WINDOW = 5_000  # an owner's first jobs, of which one look holds; those behind them are held when they are picked
NAMES = {"user": "user", "batch": "campaign", "key": "key"}  # scope → what `waiting_on` calls it
SPENT = "budget used up"  # why a job waits
TOO_BIG = "this job costs more than the whole budget"
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # before all jobs
_ENDLESS = 1 << 62

_COSTS = "job.state NOT IN ('failed', 'cancelled')"
_OF_SCOPE = {"user": "owner_id", "batch": "batch_id", "key": "submitted_with_id"}


def _of_each(sql: str) -> str:
    """Return the branches of a CASE by scope; each reads one range of its scope's index."""
    branches = (f"WHEN '{scope}' THEN {sql.format(of=f'job.{column} = asked.id')}" for scope, column in _OF_SCOPE.items())
    return "\n           ".join(branches)


# what the jobs of each scope cost that have started
_USED = Statement(f"""
    SELECT CASE asked.scope {
    _of_each(f'''(
                SELECT coalesce(sum(job.tickets), 0) FROM queue_app_job job
                 WHERE {{of}} AND job.started_at >= asked.since AND {_COSTS})''')
} END
      FROM unnest(%(scopes)s::text[], %(ids)s::bigint[], %(since)s::timestamptz[])
           WITH ORDINALITY AS asked (scope, id, since, number)
     ORDER BY number
""")  # noqa: S608 - constants
# what those of each scope cost that may start any moment, and the sum of their ids, by which another look tells whether they are
# others: of the first ``most`` of them, as each costs at least one ticket
_SOON = Statement(f"""
    SELECT CASE asked.scope {
    _of_each(f'''(
                SELECT ARRAY[coalesce(sum(tickets), 0), coalesce(sum(id), 0)]::bigint[] FROM (
                    SELECT job.tickets, job.id FROM queue_app_job job
                     WHERE {{of}} AND job.started_at IS NULL AND NOT job.held AND job.not_before IS NULL AND {_COSTS}
                     LIMIT asked.most) soon)''')
} END
      FROM unnest(%(scopes)s::text[], %(ids)s::bigint[], %(most)s::bigint[]) WITH ORDINALITY AS asked (scope, id, most, number)
     ORDER BY number
""")  # noqa: S608 - constants
# whether a job on hold does not fit in the room that is left
_HELD = """EXISTS (SELECT FROM queue_app_job job
                     WHERE {of} AND job.owner_id = %(owner)s::bigint AND job.held_for = 'budget' AND job.tickets > asked.room)"""
_HOLDS = Statement(f"""
    SELECT CASE asked.scope {_of_each(_HELD)} END
      FROM unnest(%(scopes)s::text[], %(ids)s::bigint[], %(rooms)s::bigint[]) WITH ORDINALITY AS asked (scope, id, room, number)
     ORDER BY number
""")  # noqa: S608 - constants
# The tickets that are left for a job: of the narrowest budget that it counts in. These statements are not prepared, since some
# owners have thousands of times the jobs of others.
_LIMITED = """
      LEFT JOIN unnest(%(batches)s::bigint[], %(batches_left)s::bigint[]) of_batch (id, tickets) ON of_batch.id = job.batch_id
      LEFT JOIN unnest(%(keys)s::bigint[], %(keys_left)s::bigint[]) of_key (id, tickets) ON of_key.id = job.submitted_with_id"""
_FITS = "job.tickets <= least(%(user_left)s, of_batch.tickets, of_key.tickets)"  # least() ignores budgets that are not there
_FREE = f"job.started_at IS NULL AND NOT job.held AND {_COSTS}"
_PLACE = "job.priority * -1, job.order_key, job.id"
# an owner's first jobs that have not started and are too dear
_TOO_MUCH = f"""
    SELECT job.id, job.tickets, job.batch_id, job.submitted_with_id
      FROM (SELECT * FROM queue_app_job job WHERE job.owner_id = %(owner)s AND job.state = 'queued' AND {_FREE}
             ORDER BY job.started_at, job.held, job.id LIMIT {WINDOW}) job {_LIMITED}
     WHERE NOT {_FITS} ORDER BY {_PLACE} LIMIT %(most)s
"""  # noqa: S608 - constants
# An owner's jobs on hold for which enough tickets are left after the jobs ahead of them in dispatch order that may start, with
# what those cost of the user's, the batch's and the key's tickets. Jobs of a model that is paused are ahead of that model's only.
# Of the first ``window`` jobs for which enough is left at all; ``NULL``: of all.
_LINE = """job.id, job.tickets, job.batch_id, job.submitted_with_id, job.priority * -1 AS rank, job.order_key,
               CASE WHEN job.model_id = ANY(%(open)s::text[]) THEN '' ELSE job.model_id END AS lane"""
_AHEAD = "sum(free) OVER (PARTITION BY lane{of} ORDER BY rank, order_key, id)::bigint"
_TO_RELEASE = f"""
    WITH held AS MATERIALIZED (
        SELECT {_LINE}, 0 AS free FROM queue_app_job job {_LIMITED}
         WHERE job.owner_id = %(owner)s AND job.held_for = 'budget' AND %(user_left)s > 0 AND {_FITS}
         ORDER BY {_PLACE} LIMIT %(window)s
    ), line AS (
        SELECT *, {_AHEAD.format(of="")} AS of_user, {_AHEAD.format(of=", batch_id")} AS of_batch,
               {_AHEAD.format(of=", submitted_with_id")} AS of_key
          FROM (SELECT * FROM held
                 UNION ALL
                SELECT {_LINE}, job.tickets FROM queue_app_job job
                 WHERE job.owner_id = %(owner)s AND job.state = 'queued' AND {_FREE} AND job.not_before IS NULL
                   AND EXISTS (SELECT FROM held)) both_kinds
    )
    SELECT job.id, job.tickets, job.batch_id, job.submitted_with_id, job.of_user, job.of_batch, job.of_key
      FROM line job {_LIMITED}
     WHERE job.free = 0 AND job.tickets <= least(
               %(user_left)s - job.of_user, of_batch.tickets - job.of_batch, of_key.tickets - job.of_key)
     ORDER BY rank, order_key, job.id LIMIT %(most)s
"""  # noqa: S608 - constants


@dataclass
class BudgetStanding:
    """
    A budget at one moment: tickets ``used`` since ``since``, up to ``until`` (``None``: for good), and, where that was asked
    for, the tickets of jobs that may start ``soon``, and a ``mark``: while it is the same, no job on hold can be released.
    """

    budget: TicketBudget
    used: int
    since: datetime
    until: datetime | None
    soon: int = 0
    mark: int = 0

    @property
    def left(self) -> int:
        """The tickets that jobs may still cost; below 0 if the budget came later or was lowered."""
        return self.budget.tickets - self.used

    @property
    def room(self) -> int:
        """The tickets that are left for a job on hold that is behind all that may start."""
        return self.left - self.soon

    @property
    def scope(self) -> tuple[str, int]:
        """The scope and the number of its row: ("batch", 12)."""
        return self.budget.scope, getattr(self.budget, f"{self.budget.scope}_id")

    @property
    def name(self) -> str:
        """The name of the user, of the batch or of the key."""
        row = self.budget
        if row.key is not None:
            return row.key.name or str(row.key.token_key)
        return str(row.batch or row.user)

    def applies_to(self, job: Job) -> bool:
        """Whether the tickets of a job count in it."""
        scope, pk = self.scope
        return pk == {"user": job.owner_id, "batch": job.batch_id, "key": job.submitted_with_id}[scope]

    def blocker(self, job: Job) -> Blocker | None:
        """Return the reason why a job that has not started does not fit, or ``None``."""
        if job.tickets <= self.left:
            return None
        scope, pk = self.scope
        too_big = job.tickets > self.budget.tickets
        until, why = (None, TOO_BIG) if too_big else (self.until, SPENT)
        return Blocker("budget", NAMES[scope], self.used, self.budget.tickets, until, why, is_pause=True, of=pk)


@dataclass
class Over:
    """Picked jobs that exceed budgets, with these budgets."""

    found: dict[int, list[BudgetStanding]]

    @property
    def limits(self) -> set[Key]:
        """
        The limits that leave out the jobs of the same scopes, for the rest of a claim. A claim does not know the keys of jobs, so
        it leaves out all jobs of a key's user.
        """
        return {
            (scope, str(pk)) if scope != "key" else ("user", str(one.budget.owner_id))
            for standings in self.found.values()
            for one in standings
            for scope, pk in [one.scope]
        }


def of(
    *, users: Iterable[int] = (), batches: Iterable[int | None] = (), keys: Iterable[int | None] = (), at: datetime
) -> list[BudgetStanding]:
    """Return the budgets of these users, batches and API keys as they stand. Two queries, one without a budget."""
    ids = {"user": users, "batch": batches, "key": keys}
    asked = {f"{scope}__in": [pk for pk in set(listed) if pk is not None] for scope, listed in ids.items()}
    where = Q(user__in=asked["user__in"]) | Q(batch__in=asked["batch__in"]) | Q(key__in=asked["key__in"])
    return standings(TicketBudget.objects.filter(where), at=at)


def of_owner(owner: int, *, at: datetime) -> list[BudgetStanding]:
    """Return all budgets in which jobs of this user may count, but those of finished batches that were looked at since."""
    of_batch = Q(batch__owner=owner) & (Q(batch__ended_at=None) | Q(held_since__isnull=False))
    return standings(TicketBudget.objects.filter(Q(user=owner) | of_batch | Q(key__user=owner)), at=at)


def standings(budgets: QuerySet[TicketBudget], *, at: datetime) -> list[BudgetStanding]:
    """Return these budgets as they stand, but those that were removed. Exact only under the claim lock."""
    rows = list(budgets.filter(lifted=False).select_related("user", "batch__owner", "key__user").order_by("pk"))
    periods = [period(row, at=at) for row in rows]
    totals = [row.period == TicketBudget.Period.TOTAL and row.counted_until for row in rows]
    since = [until or begins for until, (begins, _) in zip(totals, periods, strict=True)]
    found = _USED.run(**_scopes(rows), since=since) if rows else []
    counted = [row.counted if until else 0 for row, until in zip(rows, totals, strict=True)]
    return [
        BudgetStanding(row, before + used, *when)
        for row, before, (used,), when in zip(rows, counted, found, periods, strict=True)
    ]


def _with_soon(known: Sequence[BudgetStanding], open_models: Sequence[str]) -> list[BudgetStanding]:
    """Return standings with the tickets of jobs that may start soon, and with their marks."""
    rows = [one.budget for one in known]
    found = _SOON.run(**_scopes(rows), most=[row.tickets for row in rows]) if rows else []
    return [
        replace(one, soon=soon, mark=zlib.crc32(repr((one.left, ids, sorted(open_models))).encode()))
        for one, ((soon, ids),) in zip(known, found, strict=True)
    ]


def _open_models(at: datetime) -> list[str]:
    """Return the models that are not paused: jobs of the others can't start, however many tickets are left."""
    capacity = Capacity(at=at, policy=QueueSettings.objects.current())
    capacity.read()  # without the slots in use: a full model has room soon
    capacity.room.closed = {key: why for key, why in capacity.room.closed.items() if why.is_pause}
    return capacity.open_models


def _scopes(rows: Sequence[TicketBudget]) -> dict[str, list[Any]]:
    return {"scopes": [row.scope for row in rows], "ids": [getattr(row, f"{row.scope}_id") for row in rows]}


def period(budget: TicketBudget, *, at: datetime) -> tuple[datetime, datetime | None]:
    """Return the beginning and the end of the period that a budget is in; a total budget has no end."""
    if budget.period == TicketBudget.Period.TOTAL:
        return _ALWAYS, None
    begins, ends = day_of(at, begins=budget.resets_at)
    return begins.astimezone(UTC), ends.astimezone(UTC)


@transaction.atomic
def count_on(*, at: datetime) -> None:
    """
    Note what the jobs of the total budgets of users and keys cost that will not change any more, so that claims add only what
    started later. Each hour; the history of a batch is short.

    All jobs of the scope that started before that moment are completed, failed or cancelled, and a retry starts a job anew.
    """
    QueueSettings.objects.lock_claims()
    old = Q(counted_until=None) | Q(counted_until__lt=at - 2 * SETTLED)
    for row in TicketBudget.objects.filter(old, period=TicketBudget.Period.TOTAL, batch=None):
        since = row.counted_until or _ALWAYS
        of_scope = {_OF_SCOPE[row.scope]: getattr(row, f"{row.scope}_id")}
        later = Job.objects.filter(**of_scope, started_at__gte=since).order_by("started_at")
        is_open = later.filter(state__in=OPEN_STATES).values_list("started_at", flat=True).first()
        until = max(since, min(filter(None, [at - SETTLED, is_open])))
        final = later.order_by().filter(started_at__lt=until, state=State.COMPLETED)
        row.counted += final.aggregate(tickets=Sum("tickets"))["tickets"] or 0
        row.counted_until = until
        row.save(update_fields=["counted", "counted_until"])


# --- claims -------------------------------------------------------------------------------------------------------


def over(picks: Sequence[Pick], *, at: datetime) -> Over:
    """
    Return the picked jobs that exceed a budget together with those before them. The caller holds the claim lock.

    A job that has started before is counted already, in the period of its first start.
    """
    jobs = [pick.job for pick in picks if pick.job.started_at is None]
    known = of(
        users=(job.owner_id for job in jobs),
        batches=(job.batch_id for job in jobs),
        keys=(job.submitted_with_id for job in jobs),
        at=at,
    )
    found: dict[int, list[BudgetStanding]] = {}
    for job in jobs if known else ():
        own = [one for one in known if one.applies_to(job)]
        if short := [one for one in own if job.tickets > one.left]:
            found[job.pk] = short
            continue
        for one in own:
            one.used += job.tickets
    return Over(found)


def hold(exceeding: Over, *, at: datetime) -> None:
    """Put picked jobs on hold. The caller holds the claim lock and the row locks. `look` follows with the others."""
    _hold(exceeding.found, at=at)
    wake.dispatcher()


# --- afterwards ---------------------------------------------------------------------------------------------------


def look(*, at: datetime) -> int:
    """
    Release jobs on hold for which there is room again, and hold the others that don't fit, of all owners with jobs on hold.
    Return the number of jobs.

    In transactions of at most `CHUNK` jobs each way; what they leave is done at the next look.
    """
    holding = TicketBudget.objects.filter(held_since__isnull=False)
    lifted = holding.filter(lifted=True).select_related("batch", "key")
    owners = {row.owner_id for row in lifted}
    if known := standings(holding, at=at):
        owners |= {one.budget.owner_id for one in _with_soon(known, _open_models(at)) if _has_news(one, at=at)}
    changed = 0
    for owner in sorted(owners):
        for _ in range(STEPS):
            number, is_done = look_at(owner, at=at)
            changed += number
            if is_done:
                break
    return changed


@transaction.atomic
def look_at(owner: int, *, at: datetime) -> tuple[int, bool]:
    """
    Hold an owner's jobs that don't fit in their budgets and release those on hold that do, in dispatch order, at most `CHUNK` of
    each. Return their number, and whether these were all.
    """
    QueueSettings.objects.lock_claims()
    known, open_models = of_owner(owner, at=at), _open_models(at)
    left = _left(known)
    too_much = [job for job, _ in _jobs(_TOO_MUCH, owner, left)]
    short = {job.pk: [one for one in known if one.applies_to(job) and job.tickets > one.left] for job in too_much}
    _hold(short, at=at)
    waiting, released = _to_release(owner, left, open_models), []
    taken: Counter[int] = Counter()  # by those that are released here
    for job, ahead in waiting:
        own = [one for one in known if one.applies_to(job)]
        if all(job.tickets + ahead[one.budget.scope] + taken[one.budget.pk] <= one.left for one in own):
            released.append(job.pk)
            taken.update({one.budget.pk: job.tickets for one in own})
    holds.release(released, HeldFor.BUDGET, at=at, actor="dispatcher", reason="Released: its budgets have room")
    is_done = len(too_much) < CHUNK and len(waiting) < CHUNK
    if is_done:
        _note(owner, _with_soon(known, open_models), at=at)
    else:
        TicketBudget.objects.filter(pk__in=[one.budget.pk for one in known]).update(seen=None)
    return len(short) + len(released), is_done


def _to_release(owner: int, left: Mapping[str, Any], open_models: Sequence[str]) -> list[tuple[Job, dict[str, int]]]:
    """
    Return the next jobs on hold for which there is room, as `_jobs`. If those at the front are fewer than `CHUNK`, the whole line
    is read: they may be blocked by budgets that those behind them don't count in.
    """
    for window in (WINDOW, None):
        found = _jobs(_TO_RELEASE, owner, {**left, "open": open_models, "window": window})
        if len(found) == CHUNK:
            break
    return found


def _jobs(sql: str, owner: int, values: Mapping[str, Any]) -> list[tuple[Job, dict[str, int]]]:
    """Return jobs with no more than what budgets need to know of them, and what those ahead cost by scope, if it was read."""
    with connection.cursor() as cursor:
        cursor.execute(sql, {"owner": owner, "most": CHUNK, **values})
        rows = cursor.fetchall()
    names = ("pk", "tickets", "batch_id", "submitted_with_id")
    jobs = [Job(owner_id=owner, **dict(zip(names, row, strict=False))) for row in rows]
    return [(job, dict(zip(SCOPES, row[len(names) :], strict=False))) for job, row in zip(jobs, rows, strict=True)]


def _has_news(one: BudgetStanding, *, at: datetime) -> bool:
    row = one.budget
    is_finished = row.batch is not None and row.batch.ended_at is not None
    opens = row.opens_at is not None and row.opens_at <= at
    return one.mark != row.seen or opens or is_finished


def _hold(short: Mapping[int, Sequence[BudgetStanding]], *, at: datetime) -> None:
    """Put jobs on hold, each for these budgets. The caller holds the claim lock."""
    by_budget: dict[int, list[int]] = defaultdict(list)
    for pk, standings_of_job in short.items():
        by_budget[standings_of_job[0].budget.pk].append(pk)
    known = {one.budget.pk: one for many in short.values() for one in many}
    for budget, ids in by_budget.items():
        one = known[budget]
        used = f"{one.used:,} of {counted(one.budget.tickets, 'ticket')} used"
        reason = f"On hold: budget of {one.budget.scope_name}, {used}"
        holds.hold(ids, HeldFor.BUDGET, at=at, actor="dispatcher", reason=reason)
    for one in known.values():
        _holds_now(one, at=at)


def _holds_now(one: BudgetStanding, *, at: datetime) -> None:
    """Note that jobs are on hold for a budget, and tell its owner unless that was told in this period."""
    row = one.budget
    is_news = row.told_at is None or row.told_at < one.since
    row.held_since, row.opens_at, row.seen = row.held_since or at, one.until, None
    row.told_at = at if is_news else row.told_at
    row.save(update_fields=["held_since", "opens_at", "seen", "told_at"])
    if is_news:
        announce.budget_reached(row, used=one.used, at=at)


def _note(owner: int, known: Sequence[BudgetStanding], *, at: datetime) -> None:
    """Note which budgets hold jobs now, and their marks, so that the next look can tell whether there is news."""
    scopes = _scopes([one.budget for one in known])
    holds_jobs = _HOLDS.run(owner=owner, **scopes, rooms=[one.room for one in known])
    for one, (is_holding,) in zip(known, holds_jobs, strict=True):
        row = one.budget
        if is_holding and row.held_since is None:
            _holds_now(one, at=at)
        row.held_since = row.held_since if is_holding else None
        row.opens_at, row.seen = (one.until, one.mark) if is_holding else (None, None)
        row.save(update_fields=["held_since", "opens_at", "seen"])
    of_owner = Q(user=owner) | Q(batch__owner=owner) | Q(key__user=owner)
    TicketBudget.objects.filter(of_owner, lifted=True).delete()


def _left(known: Iterable[BudgetStanding]) -> dict[str, Any]:
    """Return the tickets left of the narrowest budget of each scope, for `_LIMITED`."""
    narrowest: dict[str, dict[int, int]] = {"user": {}, "batch": {}, "key": {}}
    for one in known:
        scope, pk = one.scope
        narrowest[scope][pk] = min(one.left, narrowest[scope].get(pk, _ENDLESS))
    return {
        "user_left": min(narrowest["user"].values(), default=_ENDLESS),
        "batches": list(narrowest["batch"]),
        "batches_left": list(narrowest["batch"].values()),
        "keys": list(narrowest["key"]),
        "keys_left": list(narrowest["key"].values()),
    }


def waiting(budget: TicketBudget, *, used: int) -> tuple[int, int]:
    """
    Return the number of jobs that wait for a budget of which ``used`` tickets are used, on hold or not yet, and of those that
    cost more than all of it.
    """
    of_scope = {_OF_SCOPE[budget.scope]: getattr(budget, f"{budget.scope}_id")}
    jobs = Job.objects.filter(**of_scope, state=State.QUEUED, started_at=None, tickets__gt=budget.tickets - used)
    never = jobs.filter(tickets__gt=budget.tickets).count()
    return jobs.count() - never, never


# --- people -------------------------------------------------------------------------------------------------------


@transaction.atomic
def save(budget: TicketBudget, values: Mapping[str, Any], *, at: datetime, actor: User | None, reason: str = "") -> bool:
    """
    Add or change a budget, see `policy.save`, and release the jobs that fit now. Return whether anything changed.

    :raises ValidationError: a value is not allowed; nothing is written.
    """
    if budget._state.adding:
        budget.created_at = at
    if not policy.save(budget, values, at=at, actor=actor, reason=reason):
        return False
    TicketBudget.objects.filter(pk=budget.pk).update(told_at=None, seen=None)  # to reach it now is news
    look_at(budget.owner_id, at=at)
    return True


@transaction.atomic
def remove(budget: TicketBudget, *, at: datetime, actor: User | None, reason: str = "") -> None:
    """Remove a budget and release the jobs that fit now: `CHUNK` of them here, the others at the next looks."""
    QueueSettings.objects.lock_claims()
    row = TicketBudget.objects.get(pk=budget.pk)
    if row.held_since is None:
        policy.remove(row, at=at, actor=actor, reason=reason)
        return
    before = {"tickets": row.tickets, "period": row.period}
    policy.audit("delete ticket budget", str(row), at=at, actor=actor, before=before, reason=reason, of=row)
    TicketBudget.objects.filter(pk=row.pk).update(lifted=True)
    look_at(row.owner_id, at=at)
    wake.queue_changed()


def add(scope: Batch | ApiKey, tickets: int, *, at: datetime) -> None:
    """Add the budget of a new batch or API key, of which nobody else knows yet. The audit entry of its owner names it."""
    TicketBudget.objects.create(**_own(scope), tickets=tickets, created_at=at)


def set_own(scope: Batch | ApiKey, tickets: int | None, *, at: datetime, actor: User | None, reason: str = "") -> bool:
    """
    Set what owners set themselves: the total budget of a batch, or the daily one of an API key. ``None`` removes it. Return
    whether anything changed.

    :param tickets: checked by `problem`.
    """
    row = own(scope)
    if tickets is not None:
        new = TicketBudget(**_own(scope), tickets=tickets)
        return save(row or new, {"tickets": tickets} if row else {}, at=at, actor=actor, reason=reason)
    if row is not None:
        remove(row, at=at, actor=actor, reason=reason)
    return row is not None


def own(scope: Batch | ApiKey) -> TicketBudget | None:
    """Return the budget that `set_own` sets, if there is one."""
    return TicketBudget.objects.filter(**_own(scope), lifted=False).first()


def tickets_of(scope: Batch | ApiKey) -> int | None:
    """Return the tickets of the budget that `set_own` sets, if there is one."""
    row = own(scope)
    return row.tickets if row else None


def daily_of(keys: Iterable[ApiKey]) -> dict[int, int]:
    """Return the tickets of the daily budgets of API keys, by key. One query."""
    found = TicketBudget.objects.filter(key__in=[key.pk for key in keys], period=TicketBudget.Period.DAY, lifted=False)
    return {budget.key_id or 0: budget.tickets for budget in found}


def problem(tickets: int) -> str | None:
    """Return what is wrong with a number of tickets, or ``None``."""
    return None if 1 <= tickets <= MOST else f"Enter a whole number from 1 to {MOST:,}, or leave it empty for no budget."


def _own(scope: Batch | ApiKey) -> dict[str, Any]:
    if isinstance(scope, Batch):
        return {"batch": scope, "period": TicketBudget.Period.TOTAL}
    return {"key": scope, "period": TicketBudget.Period.DAY}
