"""
Slot use: the time that the same durations in the same order would take if no slot were ever idle, divided by the time they took.

200 jobs of 1–3 s are run, four at a time, at a studio that is polled. 60 jobs of 20–60 s are replayed without waiting through the
same schedule of checks, with the overhead measured in the run, and for comparison with a check every 30 s.
"""

import heapq
import statistics
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from benchmarks import stand
from queue_app.rules import schedule

MODEL, LIMIT = "sora-2", 4
JOBS, SHORTEST, LONGEST = 200, 1, 3
PLAYED, SHORTEST_PLAYED, LONGEST_PLAYED = 60, 20, 60
PAST_RUNS = 200  # the same as `progress.PAST_RUNS`
DRAWS = 9  # replays with different jitter; the median counts

Plan = Callable[[float, Sequence[float], float, Random], float]


class Replay(NamedTuple):
    """Result of a replay: slot use (0 to 1); per job, the median number of checks and the mean seconds from its end to one."""

    use: float
    checks: float
    wasted: float


class Run(NamedTuple):
    """Result of a real run, in seconds. ``durations`` are the provider's, in the order of the create calls."""

    durations: list[float]
    seconds: float
    handoff: float  # median time from a freed slot to the next task's start at the provider
    late: float  # delay of a check even if it comes right at the task's end: p5

    @property
    def use(self) -> float:
        return ideal(self.durations) / self.seconds


def ideal(durations: Sequence[float]) -> float:
    """Return the seconds until the last job ends if each starts in the first free slot without delay."""
    free = [0.0] * LIMIT
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def drawn(jobs: int, shortest: float, longest: float) -> list[float]:
    """Return random durations in seconds, the same in every run."""
    chance = Random(7)
    return [chance.uniform(shortest, longest) for _ in range(jobs)]


def planned(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
    return schedule.next_check(elapsed, past, typical=typical, chance=chance)


def fixed(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
    return 30.0


def replayed(durations: Sequence[float], plan: Plan, *, handoff: float, late: float) -> Replay:
    """Replay durations with a schedule of checks that starts without past runs and gets no progress from the provider."""
    plays = [_play(durations, plan, Random(draw), handoff=handoff, late=late) for draw in range(DRAWS)]
    return Replay(*(statistics.median(values) for values in zip(*plays, strict=True)))


def _play(durations: Sequence[float], plan: Plan, chance: Random, *, handoff: float, late: float) -> Replay:
    free, typical = [0.0] * LIMIT, statistics.mean(durations)
    written: list[tuple[float, float]] = []  # per job: when its end was noticed, and its estimated run time
    checks, wasted = [], []
    for duration in durations:
        began = free[0]
        past = sorted(ran for at, ran in sorted(written)[-PAST_RUNS:] if at <= began)
        looked, looks = [0.0], 0
        while looked[-1] < duration:
            looked.append(looked[-1] + plan(looked[-1], past, typical, chance) + late)
            looks += 1
        written.append((began + looked[-1], (looked[-1] + looked[-2]) / 2))  # the same estimate as in `progress.apply`
        checks.append(looks)
        wasted.append(looked[-1] - duration)
        heapq.heapreplace(free, began + looked[-1] + handoff)
    return Replay(ideal(durations) / (max(free) - handoff), statistics.median(checks), statistics.mean(wasted))


def run() -> Run:
    import requests
    from django.conf import settings

    from queue_app import clock, tickets
    from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings, User
    from queue_app.work import intake

    ModelConcurrencyLimit.objects.filter(model=MODEL).update(max_concurrent=LIMIT)
    ProviderAccount.objects.filter(key="openai_videos").update(max_concurrent=LIMIT)
    QueueSettings.objects.update(max_concurrent=1_000)
    user = User.objects.create_user("bench")
    tickets.grant(user, 100 * JOBS, at=clock.now(), actor="bench", reason="bench")
    drafts = [intake.Draft(MODEL, f"A kite over the bay, take {number}", parameters={"duration": 4}) for number in range(JOBS)]
    port = settings.STUDIO_URL.rsplit(":", 1)[-1]
    with stand.program("studio", "-m", "benchmarks.one_film", "--port", port):
        stand.wait_until(lambda: stand.listens(int(port)), seconds=60)
        with stand.worker():
            intake.enqueue(user, drafts, at=clock.now(), actor="bench", batch_name="bench")
            stand.wait_until(lambda: not _left(), seconds=900)
        log = requests.get(f"{settings.STUDIO_URL}/_studio/log", timeout=30).json()
    return _read(log)


def _left() -> int:
    """Return the number of jobs that wait or use a slot; files may still be stored."""
    from queue_app.models import Job, State
    from queue_app.models.job import OPEN_STATES

    return Job.objects.filter(state__in=OPEN_STATES).exclude(state=State.STORING).count()


def _read(log: dict[str, Any]) -> Run:
    from queue_app.models import Attempt, JobEvent, State

    tasks = sorted((task for task in log["creates"] if task["accepted"]), key=lambda task: task["at"])
    if len(tasks) != JOBS or log["peak"] > LIMIT:
        raise RuntimeError(f"{len(tasks)} tasks instead of {JOBS}, at most {log['peak']} at once")
    freed = {
        prompt: at.timestamp() for prompt, at in JobEvent.objects.filter(to_state=State.STORING).values_list("job__prompt", "at")
    }
    called = sorted(at.timestamp() for at in Attempt.objects.values_list("called_at", flat=True) if at)
    ends = sorted(freed.values())
    began = [task["at"] for task in tasks]
    accepted = statistics.median(at - call for call, at in zip(called, began, strict=True))
    handoff = statistics.median(call - end for end, call in zip(ends, called[LIMIT:], strict=False))
    late = stand.percentile([freed[task["prompt"]] - task["ended"] for task in tasks], 0.05)
    return Run([task["ended"] - task["at"] for task in tasks], ends[-1] - began[0], handoff + accepted, max(0.0, late))


def main() -> None:
    port = stand.free_port()
    with stand.installation(
        WORKERS="4",
        STUDIO_URL=f"http://127.0.0.1:{port}",
        STUDIO_SECONDS_PER_JOB=f"{(SHORTEST + LONGEST) / 2:g}",
        STUDIO_SECONDS_APART=f"{(LONGEST - SHORTEST) / 2:g}",
    ):
        real = run()
    held = (LIMIT * real.seconds - sum(real.durations)) / JOBS
    print(f"{JOBS} jobs of {SHORTEST}–{LONGEST} s: {real.seconds:.1f} s, ideal {ideal(real.durations):.1f} s", end="; ")
    idle, handoff, late = (1000 * seconds for seconds in (held, real.handoff, real.late))
    print(f"a slot is idle {idle:.0f} ms a job; hand-off {handoff:.0f} ms, a check {late:.0f} ms late")
    stand.verdict(f"slot use, {JOBS} jobs of {SHORTEST}–{LONGEST} s, run", real.use, least=0.88)
    overhead = {"handoff": real.handoff, "late": real.late}
    blind = replayed(real.durations, planned, **overhead)
    stand.figure("the same, replayed without a word of the provider's on its progress", blind.use)
    durations = drawn(PLAYED, SHORTEST_PLAYED, LONGEST_PLAYED)
    played, every_30_s = replayed(durations, planned, **overhead), replayed(durations, fixed, **overhead)
    words = f"slot use, {PLAYED} jobs of {SHORTEST_PLAYED}–{LONGEST_PLAYED} s, replayed"
    stand.verdict(words, played.use, least=0.97)
    stand.figure("the same, checks of a job", played.checks)
    stand.figure("the same with a check every 30 s", every_30_s.use)


if __name__ == "__main__":
    main()
