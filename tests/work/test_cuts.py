"""
The connection is cut at every statement in a job's life, in turn, and before and after every commit.

No time passes and no sweep runs: the cut processes continue on their own. No task id is lost, no file is removed, and nothing is
done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections, transaction
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from queue_app import clock, database, lifecycle
from queue_app.insight import invariants
from queue_app.lifecycle import Trouble
from queue_app.models import (
    Asset,
    Job,
    LedgerTransaction,
    ProviderAccount,
    ReviewItem,
    State,
    User,
)
from queue_app.runtime import tasks
from queue_app.runtime.dispatcher import Dispatcher
from queue_app.runtime.queues import Queue
from tests.cuts import Scissors
from tests.factories import UserFactory, claimed, make_job
from tests.providers.wire import Reply, Seen, WireServer, answer
from tests.work.steps import attempt_of, fresh, moves, queued, tickets_of

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 6
FEWEST_PLACES = 15  # least number of places in a part of a job's life; fewer would mean that they are not counted


class Vendor(WireServer):
    """A provider that accepts each create call with a new task (or answers ``refuses``) and finishes it immediately."""

    film: bytes
    refuses: Reply | None = None
    listed: Sequence[Mapping[str, object]] = ()

    def reply_to(self, request: Seen) -> Reply:
        if request.method == "POST":
            return self.refuses or answer(200, {"id": f"video_{len(self.creates())}", "status": "queued"})
        if "?limit=" in request.target:
            return answer(200, {"object": "list", "data": list(self.listed), "has_more": False})
        if request.target.endswith("/content"):
            return answer(200, self.film, {"Content-Type": "video/mp4"})
        return answer(200, {"id": request.target.rpartition("/")[2], "status": "completed", "progress": 100})

    def creates(self) -> list[str]:
        return [request.form()["prompt"] for request in self.seen if request.method == "POST"]


@pytest.fixture
def vendor(settings, tmp_path: Path, film: Callable[..., Path]) -> Iterator[Vendor]:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    with Vendor() as server:
        server.film = film(seconds=1, size=(64, 36)).read_bytes()
        settings.STUDIO_URL = server.url
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


class Line:
    """A dispatcher and a worker with their own connections that take turns, instead of running concurrently as processes."""

    def __init__(self) -> None:
        self._dispatcher = Dispatcher()
        self._connections = {who: connections.create_connection("default") for who in ("dispatcher", "worker")}
        with self._connected("dispatcher", None):
            self._dispatcher.turn(woken=False)  # sweeps and prunes, so that neither is due again in a test

    def go_on(self, job: Job, *, to: list[str], queues: tuple[Queue, ...], scissors: Scissors) -> None:
        """Let the job go through these states, with cuts in what the two do."""
        for _ in range(ROUNDS):
            with self._connected("dispatcher", scissors):
                self._turn()
            mine = OrmQ.objects.filter(key__in=[queue.cluster for queue in queues]).order_by("id")
            while (task := mine.first()) is not None:
                task.delete()
                with self._connected("worker", scissors):
                    tasks.work(*SignedPackage.loads(task.payload)["args"])
            if moves(job) == to:
                return
        pytest.fail(f"after {ROUNDS} rounds {job} has gone through {moves(job)}, not {to}")

    def close(self) -> None:
        for one in self._connections.values():
            one.close()

    def _turn(self) -> None:
        """Do a round of the dispatcher as its loop does."""
        try:
            self._dispatcher.turn(woken=True)
        except Exception as error:
            assert database.is_gone(error), error
            self._dispatcher.begin_anew()

    @contextmanager
    def _connected(self, who: str, scissors: Scissors | None) -> Iterator[None]:
        ours, connections["default"] = connections["default"], self._connections[who]
        try:
            with scissors.at_work() if scissors else nullcontext():
                yield
        finally:
            connections["default"] = ours


@pytest.fixture
def cut_everywhere(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """
    Return a function that lets a job go through the states ``to`` without a cut, to count the places, and then one job per place
    with a cut there. ``judge`` checks each of them.
    """
    monkeypatch.setattr(database, "PAUSES", (0.0,))
    line = Line()

    def cut(
        begin: Callable[[], Job],
        *,
        to: list[str],
        judge: Callable[[Job], None],
        queues: tuple[Queue, ...] = (Queue.DEFAULT,),
        since: str = "",
    ) -> list[str]:
        places: list[str] = []
        for number in count(-1):
            if number == len(places) > 0:
                break
            if 0 <= number < next((first for first, place in enumerate(places) if since in place), 0):
                continue
            job, scissors = begin(), Scissors(number)
            try:
                line.go_on(job, to=to, queues=queues, scissors=scissors)
                job = fresh(job)
                assert (job.attempt_number, job.worker_deaths) == (1, 0)
                judge(job)
            except BaseException as error:
                error.add_note(f"cut at {number}: {places[number] if number >= 0 else 'nowhere'}")
                raise
            put_aside(job)
            places = places or scissors.places
        assert len(places) >= FEWEST_PLACES and "COMMIT, made and not told" in places
        assert invariants.check(at=None) == []
        return places

    yield cut
    line.close()


@transaction.atomic
def put_aside(job: Job) -> None:
    """End unfinished jobs, so that they use no slot, and undo the effect on the account."""
    OrmQ.objects.all().delete()
    locked = Job.objects.lock().get(pk=job.pk)
    if locked.state == State.QUEUED:
        lifecycle.cancel([job.pk], at=clock.now(), actor="tests")
    elif locked.is_open:
        lifecycle.fail(locked, at=clock.now(), actor="tests", trouble=Trouble("aside", "Put aside."))
    ProviderAccount.objects.update(cooldown_until=None, lowered_by=0, failures_in_a_row=0, paused=False)
    ReviewItem.objects.filter(job=job).delete()


def due(state: str, owner: User) -> Job:
    """Create a job in this state that the dispatcher must hand out now."""
    job = make_job(state, at=clock.now(), owner=owner)
    Job.objects.filter(pk=job.pk).update(lease_until=None, next_check_at=clock.now())
    return job


@pytest.fixture(autouse=True)
def ada(transactional_db: None) -> User:
    """A user with tickets for all jobs."""
    return UserFactory(username="ada", tickets=100_000)


class TestFromTheClaimToTheAnswer:
    def test_the_task_is_written_down_and_bought_once(
        self, vendor: Vendor, ada: User, cut_everywhere: Callable[..., list[str]]
    ) -> None:
        def judge(job: Job) -> None:
            assert vendor.creates().count(job.prompt) == 1
            assert attempt_of(job).remote_id == f"video_{len(vendor.creates())}"
            assert tickets_of(job)[0] == "held"

        places = cut_everywhere(lambda: queued(owner=ada), to=["queued", "submitting", "running"], judge=judge)

        assert any(place.startswith("SET LOCAL lock_timeout") for place in places), "the claim"
        assert any("SET fence = fence + 1, lease_taken = true" in place for place in places), "the beginning"

    def test_a_cancel_before_the_beginning_ends_it_and_nothing_is_bought(
        self, vendor: Vendor, ada: User, cut_everywhere: Callable[..., list[str]]
    ) -> None:
        def begin() -> Job:
            job = queued(owner=ada)
            tasks.hand_out([(claimed(job, at=clock.now()), State.SUBMITTING)])
            lifecycle.cancel([job.pk], at=clock.now(), actor="tests")
            return job

        def judge(job: Job) -> None:
            assert vendor.creates().count(job.prompt) == 0
            assert attempt_of(job).outcome == "not_accepted" and tickets_of(job)[0] == "released"

        cut_everywhere(begin, to=["queued", "submitting", "queued", "cancelled"], judge=judge)

    @pytest.mark.parametrize(
        ("status", "state", "outcome", "reservation"),
        [
            (500, "unknown", None, "held"),
            (422, "failed", "not_accepted", "released"),
            (429, "queued", "not_accepted", "held"),
        ],
    )
    def test_a_call_that_was_lost_or_refused_is_settled_once_and_not_made_again(
        self,
        vendor: Vendor,
        ada: User,
        cut_everywhere: Callable[..., list[str]],
        status: int,
        state: str,
        outcome: str | None,
        reservation: str,
    ) -> None:
        vendor.refuses = answer(status, {"error": {"message": "No."}})

        def judge(job: Job) -> None:
            assert vendor.creates().count(job.prompt) == 1
            assert attempt_of(job).outcome == outcome
            assert ReviewItem.objects.filter(job=job).count() == (state == "unknown")
            assert tickets_of(job)[0] == reservation

        way = ["queued", "submitting", state]
        cut_everywhere(lambda: queued(owner=ada), to=way, judge=judge, since="called_at")  # up to here it is covered above


class TestALook:
    def test_is_written_down_once(self, ada: User, cut_everywhere: Callable[..., list[str]]) -> None:
        def judge(job: Job) -> None:
            assert job.ran_seconds is not None
            assert OrmQ.objects.filter(key=Queue.STORE.cluster).exists(), "its files are fetched at once"

        cut_everywhere(lambda: due("running", ada), to=["queued", "submitting", "running", "storing"], judge=judge)


class TestALookUp:
    def test_takes_the_task_that_it_finds_once(self, vendor: Vendor, ada: User, cut_everywhere: Callable[..., list[str]]) -> None:
        def lost() -> Job:
            job = due("unknown", ada)
            made = attempt_of(job).called_at
            assert made is not None
            vendor.listed = [{"id": f"found_{job.pk}", "prompt": job.prompt, "model": "sora-2", "created_at": made.timestamp()}]
            return job

        def judge(job: Job) -> None:
            assert attempt_of(job).remote_id == f"found_{job.pk}"
            assert tickets_of(job)[0] == "held"
            assert vendor.creates() == []

        cut_everywhere(lost, to=["queued", "submitting", "unknown", "running"], judge=judge)


class TestStoring:
    def test_keeps_each_file_once_and_charges_once(
        self, vendor: Vendor, ada: User, cut_everywhere: Callable[..., list[str]]
    ) -> None:
        def judge(job: Job) -> None:
            names = set(Asset.objects.filter(job=job).values_list("name", flat=True))
            files = {str(path.relative_to(settings.MEDIA_ROOT)) for path in Path(settings.MEDIA_ROOT).rglob("assets/**/*.*")}
            assert (len(names), files) == (4, set(Asset.objects.values_list("name", flat=True))), "no file without a row"
            assert LedgerTransaction.objects.filter(reservation__job=job, kind="capture").count() == 1
            assert (tickets_of(job)[0], job.store_tries) == ("captured", 1)
            downloads = sum(seen.target.endswith("/content") for seen in vendor.seen)
            assert downloads == Asset.objects.filter(kind="video").count(), "what was fetched is not fetched again"

        states = ["queued", "submitting", "running", "storing", "completed"]
        cut_everywhere(lambda: due("storing", ada), to=states, judge=judge, queues=(Queue.DEFAULT, Queue.STORE))
