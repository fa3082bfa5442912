"""
The claim of the next job with 1,000 and with 1,000,000 queued jobs, for several kinds of backlog: the time must not grow with it.

All use the same rows. The first fifth are held or delayed jobs. The next two fifths have the same user, batch and kind, each of
which can be set to its limit. The rest belongs to 1,000 other users, who take turns: one job of each in a round.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import stand

ROUNDS = 40
FEW, MANY = 1_000, 1_000_000
USERS = ACCOUNTS = 1_000
FILL = """
    INSERT INTO queue_app_job (
        owner_id, batch_id, kind_id, model_id, prompt, parameters, metadata, priority, priority_reasons, order_key,
        held, not_before, state, event_seq, attempt_number, fence, lease_taken, leased_by, worker_deaths, store_tries,
        cancel_reason, error_code, error_message, preview, tickets, usd_estimate, queued_at)
    SELECT CASE WHEN n <= %(front)s THEN %(owner)s ELSE (%(others)s::bigint[])[1 + n %% %(users)s] END,
        CASE WHEN n <= %(front)s THEN %(batch)s::bigint END, CASE WHEN n <= %(front)s THEN 'doubt' ELSE 'video' END,
        (%(models)s::text[])[1 + n %% %(count)s], 'number ' || n, '{}', '{}', 0, '[]',
        CASE WHEN n <= %(front)s THEN n - %(base)s - %(front)s ELSE %(base)s + n / %(users)s END,
        n <= %(aside)s AND n %% 2 = 0, CASE WHEN n <= %(aside)s AND n %% 2 = 1 THEN clock_timestamp() + interval '1 day' END,
        'queued', 1, 0, 0, false, '', 0, 0, '', '', '', true, 1, 0, clock_timestamp()
      FROM generate_series(1, %(jobs)s) n
"""
HOLD = """
    INSERT INTO queue_app_reservation (job_id, wallet_id, amount, state, created_at)
    SELECT id, %(wallet)s, 1, 'held', clock_timestamp() FROM queue_app_job job
     WHERE NOT EXISTS (SELECT 1 FROM queue_app_reservation r WHERE r.job_id = job.id)
"""
PUT_BACK = """
    DELETE FROM queue_app_attempt;
    UPDATE queue_app_job SET state = 'queued', attempt_number = 0, started_at = NULL, lease_until = NULL
     WHERE state = 'submitting';
    UPDATE queue_app_job SET held = false, held_for = '' WHERE held_for = 'budget'
"""


def fill(jobs: int, *, blocked: bool = False) -> None:
    """Insert queued jobs without their history, which is not used here. With ``blocked``, the first ones can be blocked."""
    from django.db import connection

    from queue_app.models import Batch, GenerationModel, Job, User, Wallet

    user = User.objects.get_or_create(username="bench")[0]
    wallet = Wallet.objects.get_or_create(owner=user)[0]
    models = list(GenerationModel.objects.order_by("key").values_list("key", flat=True)[:11])
    others = list(User.objects.filter(username__startswith="other").values_list("pk", flat=True)) or [user.pk]
    batch = Batch.objects.filter(owner=user).values_list("pk", flat=True).first()
    values = {"owner": user.pk, "others": others, "users": len(others), "batch": batch, "models": models, "count": len(models)}
    values |= {"base": Job.objects.count(), "jobs": jobs, "front": jobs * 3 // 5 * blocked, "aside": jobs // 5 * blocked}
    past_the_triggers(FILL, values)
    past_the_triggers(HOLD, {"wallet": wallet.pk})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE queue_app_job")
        cursor.execute("VACUUM ANALYZE queue_app_reservation")


def past_the_triggers(sql: str, values: dict[str, Any] | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET session_replication_role = DEFAULT")


def milliseconds(rounds: int = ROUNDS) -> list[float]:
    """Claim one job at a time and return the times in ms. The whole queue's limit is always one above the used slots."""
    from queue_app import clock
    from queue_app.models import QueueSettings
    from queue_app.models.job import slots_in_use
    from queue_app.work import dispatch

    taken = []
    for _ in range(rounds):
        at = clock.now()
        QueueSettings.objects.update(max_concurrent=sum(row[-1] for row in slots_in_use(at)) + 1, peak_factor=1)
        began = time.perf_counter()
        leases = dispatch.claim_due_jobs(at=at)
        taken.append((time.perf_counter() - began) * 1000)
        if len(leases) != 1:
            raise RuntimeError(f"{len(leases)} claimed instead of 1")
    return taken


def backlogs() -> dict[str, tuple[Callable[[], Any], bool]]:
    """Return by name a function that sets up a backlog, and whether it blocks the first jobs."""
    from queue_app.models import Batch, Kind, ProviderAccount, User

    instant = ProviderAccount.objects.filter(pk="instant")
    return {
        "8 of 11 models full": (lambda: None, False),
        "a user at his limit": (lambda: User.objects.filter(username="bench").update(max_concurrent=1), True),
        "a batch at its limit": (lambda: Batch.objects.update(max_concurrent=1), True),
        "a kind at its limit": (lambda: Kind.objects.filter(pk="doubt").update(max_concurrent=1), True),
        "an account at its limit": (lambda: instant.update(max_concurrent=1), False),
        "held and delayed jobs first": (lambda: None, False),
        f"{ACCOUNTS:,} accounts": (add_accounts, False),
        "a user's ticket budget used up": (lambda: add_budgets(1, username="bench"), True),
        f"{USERS:,} users with ticket budgets": (lambda: add_budgets(1_000_000, username__startswith="other"), False),
    }


def add_accounts() -> None:
    """Add routes from the open models to many more accounts, each with a limit."""
    from queue_app.models import ModelRoute, ProviderAccount

    models = list(ModelRoute.objects.filter(account__in=("instant", "elsewhere")).values_list("model", flat=True))
    accounts = [ProviderAccount(key=f"account-{n}", adapter="instant", max_concurrent=4) for n in range(ACCOUNTS)]
    ProviderAccount.objects.bulk_create(accounts)
    ModelRoute.objects.bulk_create(
        ModelRoute(model_id=models[n % len(models)], account=account, endpoint_id="instant", position=1)
        for n, account in enumerate(accounts)
    )
    ProviderAccount.objects.filter(pk="instant").update(max_concurrent=1)


def add_budgets(tickets: int, **users: str) -> None:
    """Add a ticket budget for each of these users."""
    from queue_app import clock
    from queue_app.models import TicketBudget, User

    found, at = User.objects.filter(**users), clock.now()
    TicketBudget.objects.bulk_create(TicketBudget(user=user, tickets=tickets, created_at=at) for user in found)


def open_wide() -> None:
    """Undo the last backlog: requeue all jobs, remove limits, budgets and extra accounts, and claim one of the first jobs."""
    from queue_app.models import Batch, Kind, ModelRoute, ProviderAccount, TicketBudget, User

    past_the_triggers(PUT_BACK)
    TicketBudget.objects.all().delete()
    User.objects.filter(username="bench").update(max_concurrent=None)
    Batch.objects.update(max_concurrent=None)
    Kind.objects.update(max_concurrent=None)
    ProviderAccount.objects.filter(pk="instant").update(max_concurrent=None)
    ModelRoute.objects.filter(position=1).delete()
    ProviderAccount.objects.filter(pk__startswith="account-").delete()
    milliseconds(1)


def measure() -> dict[str, float]:
    """Return the median time in ms of each backlog, with the jobs that are queued now."""
    from queue_app.models import Job, State

    medians, queued = {}, Job.objects.filter(state=State.QUEUED).count()
    for words, (make, is_blocked) in backlogs().items():
        open_wide()
        make()
        taken = milliseconds()
        if is_blocked != (Job.objects.filter(state=State.SUBMITTING, kind="doubt").count() == 1):
            raise RuntimeError(f"{words}: the wrong jobs were claimed")
        medians[words] = statistics.median(taken)
        print(
            f"claim with {queued:9,} queued, {words}: p50 {medians[words]:5.2f} ms   p95 {stand.percentile(taken, 0.95):5.2f} ms"
        )
    return medians


def prepare() -> None:
    """Open three models at two accounts, pause the others, and create the users and the batch."""
    from django.contrib.auth.hashers import make_password

    from queue_app import clock
    from queue_app.models import Batch, GenerationModel, ModelConcurrencyLimit, ModelRoute, ProviderAccount, User

    stand.buy_instantly(limit=50)
    open_ones = list(GenerationModel.objects.order_by("key").values_list("key", flat=True)[:3])
    ModelRoute.objects.filter(model__in=open_ones).delete()
    ProviderAccount.objects.create(key="elsewhere", adapter="instant")
    for model, account in zip(open_ones, ("instant", "instant", "elsewhere"), strict=True):
        ModelRoute.objects.create(model_id=model, account_id=account, endpoint_id="instant")
    ModelConcurrencyLimit.objects.exclude(model__in=open_ones).update(paused=True, paused_reason="full")
    ModelConcurrencyLimit.objects.filter(model__in=open_ones).update(max_concurrent=50)
    password = make_password(None)
    User.objects.bulk_create(User(username=f"other{n}", password=password) for n in range(USERS))
    Batch.objects.create(owner=User.objects.create_user("bench"), created_at=clock.now())


def main() -> None:
    prepare()
    fill(FEW, blocked=True)
    few = measure()
    fill(MANY - FEW, blocked=True)
    stand.say_load()
    many = measure()
    for words in few:
        stand.verdict(f"claim ratio {MANY:,} / {FEW:,} queued, {words}", many[words] / few[words], most=2)
        stand.verdict(f"claim p50 with {MANY:,} queued, {words}", many[words], most=5, unit=" ms")


if __name__ == "__main__":
    with stand.installation():
        main()
