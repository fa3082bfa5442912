"""
Long calls: the hand-off of short jobs (see `handoff`) while ten create calls of 20 s last all the time, beside the same alone.

The long calls are texts that the studio writes; each takes the place of a worker for long calls until it is answered.
"""

import statistics

from benchmarks import handoff, stand

TEXTS, AT_ONCE, SECONDS = 40, 10, 20
MODEL = "text-writer"


def ask_for_texts() -> None:
    """Submit the long calls and wait until as many run as the workers allow."""
    from queue_app import clock, tickets
    from queue_app.models import ModelConcurrencyLimit, User
    from queue_app.work import intake

    ModelConcurrencyLimit.objects.filter(model=MODEL).update(max_concurrent=AT_ONCE)
    writer, at = User.objects.create_user("writer"), clock.now()
    tickets.grant(writer, TEXTS, at=at, actor="bench", reason="bench")
    intake.enqueue(writer, [intake.Draft(MODEL, f"Letter {number}") for number in range(TEXTS)], at=at, actor="bench")
    stand.wait_until(lambda: lasting() == AT_ONCE, seconds=60)


def lasting() -> int:
    """Return the number of long calls that were made and not answered."""
    from queue_app.models import Attempt

    return Attempt.objects.filter(synchronous=True, called_at__isnull=False, accepted_at=None, outcome=None).count()


def main() -> None:
    port = stand.free_port()
    with stand.installation(
        WORKERS="4",
        LONG_WORKERS=str(AT_ONCE),
        STUDIO_URL=f"http://127.0.0.1:{port}",
        STUDIO_SECONDS_PER_JOB=str(SECONDS),
    ):
        stand.buy_instantly(limit=handoff.LIMIT)
        with stand.program("studio", "manage.py", "studio", "--port", str(port)):
            stand.wait_until(lambda: stand.listens(port), seconds=60)
            with stand.worker():
                alone = handoff.handed_over("alone")
                ask_for_texts()
                beside = handoff.handed_over("beside")
                still = lasting()
    if still == 0:
        raise RuntimeError("the long calls were over before the short jobs were")
    for name, values in (("alone", alone), (f"beside {AT_ONCE} calls of {SECONDS} s", beside)):
        stand.figure(f"hand-off p50, {name}", statistics.median(values) * 1000, " ms")
        stand.figure(f"hand-off p95, {name}", stand.percentile(values, 0.95) * 1000, " ms")
    stand.verdict("hand-off p50 ratio beside long calls / alone", statistics.median(beside) / statistics.median(alone), most=1.25)


if __name__ == "__main__":
    main()
