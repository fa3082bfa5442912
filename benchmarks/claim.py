"""The claim of the next job with 1,000 and with 1,000,000 queued, 8 of 11 models full: the time must not follow the backlog."""

import statistics
import time

from benchmarks import stand

ROUNDS = 40
FILL = """
    INSERT INTO queue_app_job (
        owner_id, kind_id, model_id, prompt, parameters, metadata, priority, priority_reasons, order_key,
        held, state, event_seq, attempt_number, fence, lease_taken, leased_by, worker_deaths, store_tries, cancel_reason,
        error_code, error_message, preview, tickets, usd_estimate, queued_at)
    SELECT %(owner)s, 'video', (%(models)s::text[])[1 + n %% %(count)s], 'number ' || n, '{}', '{}', 0, '[]',
        %(base)s + n, false, 'queued', 1, 0, 0, false, '', 0, 0, '', '', '', true, 1, 0, clock_timestamp()
      FROM generate_series(1, %(jobs)s) n
"""
HOLD = """
    INSERT INTO queue_app_reservation (job_id, wallet_id, amount, state, created_at)
    SELECT id, %(wallet)s, 1, 'held', clock_timestamp() FROM queue_app_job job
     WHERE NOT EXISTS (SELECT 1 FROM queue_app_reservation r WHERE r.job_id = job.id)
"""


def fill(jobs: int) -> None:
    """Queue rows without their history: nothing here asks for it."""
    from django.db import connection

    from queue_app.models import GenerationModel, Job, User, Wallet

    user = User.objects.get_or_create(username="bench")[0]
    wallet = Wallet.objects.get_or_create(owner=user)[0]
    models = list(GenerationModel.objects.order_by("key").values_list("key", flat=True)[:11])
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        values = {"owner": user.pk, "models": models, "count": len(models), "base": Job.objects.count(), "jobs": jobs}
        cursor.execute(FILL, values)
        cursor.execute(HOLD, {"wallet": wallet.pk})
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE queue_app_job")
        cursor.execute("VACUUM ANALYZE queue_app_reservation")


def milliseconds() -> list[float]:
    """Claim one job at a time: the whole queue's limit is always one above what runs."""
    from queue_app import clock
    from queue_app.models import QueueSettings
    from queue_app.models.job import slots_in_use
    from queue_app.work import dispatch

    taken = []
    for _ in range(ROUNDS):
        at = clock.now()
        QueueSettings.objects.update(max_concurrent=sum(row[-1] for row in slots_in_use(at)) + 1, peak_factor=1)
        began = time.perf_counter()
        leases = dispatch.claim_due_jobs(at=at)
        taken.append((time.perf_counter() - began) * 1000)
        if len(leases) != 1:
            raise RuntimeError(f"{len(leases)} claimed instead of 1")
    return taken


def main() -> None:
    from queue_app.models import GenerationModel, ModelConcurrencyLimit, ModelRoute

    stand.buy_instantly(limit=50)
    open_ones = list(GenerationModel.objects.order_by("key").values_list("key", flat=True)[:3])
    for model in open_ones:
        ModelRoute.objects.get_or_create(model_id=model, account_id="instant", endpoint_id="instant")
    ModelConcurrencyLimit.objects.exclude(model__in=open_ones).update(paused=True, paused_reason="full")
    ModelConcurrencyLimit.objects.filter(model__in=open_ones).update(max_concurrent=50)
    fill(1_000)
    few = milliseconds()
    fill(999_000)
    many = milliseconds()
    for jobs, values in ((1_000, few), (1_000_000, many)):
        print(
            f"claim with {jobs:9,} queued: p50 {statistics.median(values):5.2f} ms   p95 {stand.percentile(values, 0.95):5.2f} ms"
        )
    ratio = statistics.median(many) / statistics.median(few)
    stand.verdict("claim ratio 1,000,000 / 1,000 queued", ratio, most=2)
    stand.verdict("claim p50 with 1,000,000 queued", statistics.median(many), most=5, unit=" ms")


if __name__ == "__main__":
    with stand.installation():
        main()
