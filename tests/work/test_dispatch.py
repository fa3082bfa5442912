"""Claims: the order, all limits alone and together, pauses, and that a blocked job never blocks the jobs behind it."""

from collections import Counter
from contextlib import closing
from datetime import timedelta

import hypothesis
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import (
    Attempt,
    Batch,
    Job,
    Kind,
    ModelConcurrencyLimit,
    ModelRoute,
    Outcome,
    ProviderAccount,
    QueueSettings,
    State,
    User,
)
from queue_app.statements import Statement
from queue_app.work import dispatch, policy
from queue_app.work.capacity import ROUTES_AT_FIRST
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, begun, make_job, make_route

pytestmark = pytest.mark.django_db

SOON = NOON + timedelta(minutes=1)
PEAK = NOON.replace(hour=7)


def claim(at=NOON):
    """Claim; return the ids of the claimed jobs in order."""
    return [lease.job_id for lease in dispatch.claim_due_jobs(at=at)]


def queue(count, **fields):
    """Queue jobs of one user, by default of `manim`, whose account has no limit."""
    fields = {"model_id": "manim", "owner": User.objects.first() or UserFactory()} | fields
    jobs = JobFactory.build_batch(count, **fields)
    lifecycle.enter(jobs, at=NOON, actor="user")
    return [job.pk for job in jobs]


def limit(model, most):
    ModelConcurrencyLimit.objects.filter(model=model).update(max_concurrent=most)


def settings_row(**fields):
    QueueSettings.objects.update(**fields)


@pytest.fixture(autouse=True)
def wide():
    """Set wide limits; each test narrows one."""
    settings_row(max_concurrent=100, peak_hours="")
    for model in ("manim", "sora-2", "sora-2-pro"):
        limit(model, 50)
    ProviderAccount.objects.update(max_concurrent=None)


class TestOrder:
    def test_is_first_in_first_out(self):
        jobs = queue(5)

        assert claim() == jobs

    def test_within_a_lane_is_by_priority_then_place_then_number(self):
        low, normal, moved, high = (queue(1, priority=priority)[0] for priority in (-10, 0, 0, 10))
        Job.objects.filter(pk=moved).update(order_key=-1)

        assert claim() == [high, moved, normal, low]

    def test_across_lanes_is_the_same(self):
        settings_row(max_concurrent=3)
        first, second = queue(1, model_id="sora-2")[0], queue(1)[0]
        queue(1, priority=-10)
        urgent = queue(1, model_id="sora-2-pro", priority=20)[0]

        assert claim() == [urgent, first, second]

    def test_a_full_model_does_not_hold_up_another(self):
        limit("sora-2", 1)
        first, _, other = *queue(2, model_id="sora-2"), *queue(1)

        assert claim() == [first, other]

    def test_goes_on_beyond_a_page(self):
        jobs = queue(2 * dispatch.PAGE + 3)

        assert claim() == jobs

    @pytest.mark.parametrize("priority", [10, -10])
    def test_beyond_a_page_is_by_priority_too(self, priority):
        jobs = queue(dispatch.PAGE, priority=20) + queue(dispatch.PAGE + 1, priority=priority) + queue(2, priority=-20)

        assert claim() == jobs


class TestEachLimit:
    def test_of_a_model(self):
        limit("manim", 4)

        jobs = queue(6)

        assert claim() == jobs[:4]
        assert claim() == []

    def test_of_the_whole_queue(self):
        settings_row(max_concurrent=3)
        queue(2)
        queue(2, model_id="sora-2")

        assert len(claim()) == 3

    def test_of_the_whole_queue_is_higher_in_peak_hours_rounded_down(self):
        settings_row(max_concurrent=3, peak_hours="06:00-09:00", peak_factor="1.5")
        queue(9)

        assert len(claim(at=NOON)) == 3
        assert len(claim(at=PEAK)) == 1

    def test_of_a_kind_over_all_its_models(self):
        Kind.objects.filter(pk="video").update(max_concurrent=2)
        queue(2)
        queue(2, model_id="sora-2")
        other = queue(1, kind_id="doubt")

        assert claim()[2:] == other

    def test_of_an_account_is_shared_by_its_models(self):
        settings_row(fair_share=False)
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=4)
        jobs = queue(3, model_id="sora-2") + queue(3, model_id="sora-2-pro")
        elsewhere = queue(1)

        assert claim() == jobs[:4] + elsewhere

    def test_of_an_account_is_lower_after_a_429_and_creeps_back(self):
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=4, lowered_by=2, lowered_at=NOON)
        queue(6, model_id="sora-2")

        assert len(claim()) == 2
        assert len(claim(at=NOON + timedelta(minutes=5))) == 1
        assert len(claim(at=NOON + timedelta(minutes=10))) == 1

    def test_of_a_batch(self):
        queue(3, batch=BatchFactory(max_concurrent=2))

        assert len(claim()) == 2

    def test_of_a_user_and_of_all_users_who_have_none_of_their_own(self):
        settings_row(user_max_concurrent=1)
        mine, theirs = UserFactory(max_concurrent=3), UserFactory()
        queue(5, owner=mine)
        queue(5, owner=theirs)

        owners = list(Job.objects.filter(pk__in=claim()).values_list("owner", flat=True))
        assert (owners.count(mine.pk), owners.count(theirs.pk)) == (3, 1)

    def test_the_narrowest_of_all_holds(self):
        settings_row(max_concurrent=9, fair_share=False)
        limit("sora-2", 5)
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=4)
        batch = BatchFactory(max_concurrent=3)
        queue(9, model_id="sora-2", batch=batch)
        queue(9, model_id="sora-2")
        queue(9)

        claimed = list(Job.objects.filter(pk__in=claim()).values_list("model", "batch"))
        assert claimed.count(("sora-2", batch.pk)) == 3
        assert claimed.count(("sora-2", None)) == 1
        assert claimed.count(("manim", None)) == 5

    def test_lowered_stops_claims_and_kills_nothing(self):
        queue(6)
        claim()
        limit("manim", 2)
        queue(1)

        assert claim() == []
        assert Job.objects.filter(state=State.SUBMITTING).count() == 6

    def test_the_event_tells_what_is_used_with_it_and_the_limit(self):
        settings_row(max_concurrent=7, user_max_concurrent=6)
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=5)
        limit("sora-2", 4)
        Kind.objects.filter(pk="video").update(max_concurrent=8)
        _, second = queue(2, model_id="sora-2", batch=BatchFactory(max_concurrent=3))

        claim()

        told = Job.objects.get(pk=second).events.latest("seq").data
        numbers = {"queue": [2, 7], "kind": [2, 8], "account": [2, 5], "model": [2, 4], "batch": [2, 3], "user": [2, 6]}
        assert told == {"limits": numbers, "account": "openai_videos"}


class TestBlockedHeads:
    """More blocked jobs than a page, so that the claim must search behind them."""

    MANY = dispatch.PAGE * 2 + 1

    def test_of_a_full_batch_hide_nobody(self):
        first, *_ = queue(self.MANY, batch=BatchFactory(max_concurrent=1))
        behind = queue(1)

        assert claim() == [first, *behind]

    def test_of_a_full_user_hide_nobody(self):
        first, *_ = queue(self.MANY, owner=UserFactory(max_concurrent=1))
        behind = queue(1, owner=UserFactory())

        assert claim() == [first, *behind]

    def test_of_a_full_kind_hide_nobody(self):
        Kind.objects.filter(pk="doubt").update(max_concurrent=1)
        first, *_ = queue(self.MANY, kind_id="doubt")
        behind = queue(1)

        assert claim() == [first, *behind]

    def test_of_several_full_ones_hide_nobody(self):
        Kind.objects.filter(pk="doubt").update(max_concurrent=1)
        batch, user = BatchFactory(max_concurrent=1), UserFactory(max_concurrent=1)
        for _ in range(dispatch.PAGE):
            queue(1, batch=batch)
            queue(1, owner=user)
            queue(1, kind_id="doubt")
        behind = queue(1, priority=-10)

        assert len(claim()) == 4
        assert Job.objects.get(pk=behind[0]).state == State.SUBMITTING

    def test_that_somebody_else_has_locked_hide_nobody_and_take_no_place(self, transactional_db):
        settings_row(max_concurrent=100, peak_hours="")
        limit("manim", 2)
        locked, second, third = queue(3)
        with closing(connection.get_new_connection(connection.get_connection_params())) as other, other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM queue_app_job WHERE id = %s FOR UPDATE", [locked])

            assert claim() == [second, third]

        told = [Job.objects.get(pk=pk).events.latest("seq").data["limits"]["model"] for pk in (second, third)]
        assert told == [[1, 2], [2, 2]]


class TestPauses:
    PAUSES = {
        "queue": lambda **pause: settings_row(**pause),
        "model": lambda **pause: ModelConcurrencyLimit.objects.filter(model="manim").update(**pause),
        "account": lambda **pause: ProviderAccount.objects.filter(pk="studio").update(**pause),
    }

    @pytest.mark.parametrize("what", PAUSES)
    def test_close_until_they_are_lifted(self, what):
        jobs = queue(2)
        self.PAUSES[what](paused=True)

        assert claim() == []
        self.PAUSES[what](paused=False)
        assert claim() == jobs

    @pytest.mark.parametrize("what", PAUSES)
    def test_with_an_end_open_by_themselves(self, what):
        jobs = queue(2)
        self.PAUSES[what](paused=True, paused_until=SOON)

        assert claim(at=SOON - timedelta(seconds=1)) == []
        assert claim(at=SOON) == jobs

    @pytest.mark.parametrize("what", ["model", "account"])
    def test_do_not_hold_up_others(self, what):
        queue(1)
        other = queue(1, model_id="sora-2")
        self.PAUSES[what](paused=True)

        assert claim() == other

    def test_of_a_batch_keep_its_jobs_places(self):
        batch = BatchFactory()
        held, free = *queue(1, batch=batch), *queue(1)
        policy.pause_batch(batch, at=NOON, actor=None)
        limit("manim", 1)

        assert claim() == [free]
        limit("manim", 2)
        late = queue(1)
        policy.resume_batch(batch, at=NOON, actor=None)
        assert claim() == [held]
        assert Job.objects.get(pk=late[0]).state == State.QUEUED

    def test_of_a_batch_hold_even_for_a_job_that_was_not_marked(self):
        queue(1, batch=BatchFactory(paused=True))
        Job.objects.update(held=False)

        assert claim() == []

    def test_a_cool_down_closes_the_account_until_then(self):
        jobs = queue(1)
        ProviderAccount.objects.filter(pk="studio").update(cooldown_until=SOON)

        assert claim() == []
        assert claim(at=SOON) == jobs


class TestDelays:
    def test_keep_a_job_out_until_the_dispatcher_lets_it_in(self):
        late, now = *queue(1, not_before=SOON), *queue(1)

        assert dispatch.next_due(at=NOON).at == SOON
        assert claim() == [now]
        assert dispatch.wake_due(at=NOON) == 0
        assert dispatch.wake_due(at=SOON) == 1
        assert claim(at=SOON) == [late]

    def test_keep_its_place(self):
        late, _ = *queue(1, not_before=SOON), *queue(1)
        limit("manim", 1)
        dispatch.wake_due(at=SOON)

        assert claim(at=SOON) == [late]

    def test_next_due_is_the_earliest_of_what_nobody_tells(self):
        assert dispatch.next_due(at=NOON).at is None
        ProviderAccount.objects.filter(pk="studio").update(cooldown_until=SOON)
        settings_row(paused=True, paused_until=SOON - timedelta(seconds=5))

        assert dispatch.next_due(at=NOON).at == SOON - timedelta(seconds=5)


class TestDeadlines:
    def test_keep_out_what_is_late_even_before_it_has_failed(self):
        late, in_time = *queue(1, deadline=SOON), *queue(1, deadline=SOON + timedelta(seconds=1))
        limit("manim", 1)

        assert claim(at=SOON) == [in_time]
        assert Job.objects.get(pk=late).state == "queued"

    def test_let_in_what_is_in_time(self):
        assert claim(at=SOON - timedelta(seconds=1)) == [] != queue(1, deadline=SOON)
        assert len(claim(at=SOON - timedelta(seconds=1))) == 1

    def test_are_due_untold(self):
        queue(1, deadline=SOON)

        assert dispatch.next_due(at=NOON).claims_at == SOON


class TestWhatTakesASlot:
    TIMEOUT = timedelta(seconds=1200)
    TAKERS = ("submitting", "running", "cancelling", "unknown")
    OTHERS = ("storing", "completed", "failed", "cancelled")

    def test_is_said_of_every_state(self):
        assert {"queued", *self.TAKERS, *self.OTHERS} == set(State.values)

    def claimed_beside(self, job, at=NOON):
        limit("sora-2", 1)
        queue(1, model_id="sora-2")
        return len(claim(at=at))

    @pytest.mark.parametrize("state", TAKERS)
    def test_is_what_the_provider_may_be_at(self, state):
        assert self.claimed_beside(make_job(state)) == 0

    @pytest.mark.parametrize("state", OTHERS)
    def test_is_nothing_that_the_provider_is_done_with(self, state):
        assert self.claimed_beside(make_job(state)) == 1

    @pytest.mark.parametrize("state", ["submitting", "running", "cancelling"])
    def test_is_what_runs_however_long(self, state):
        assert self.claimed_beside(make_job(state), at=NOON + 2 * self.TIMEOUT) == 0

    def test_an_unknown_outcome_does_until_its_slot_is_over(self):
        job = make_job("unknown")

        assert self.claimed_beside(job, at=NOON + self.TIMEOUT - timedelta(seconds=1)) == 0
        assert self.claimed_beside(job, at=NOON + self.TIMEOUT) == 1

    def test_an_abandoned_attempt_does_as_well_and_beside_the_retry(self):
        job = make_job("running")
        lifecycle.force_fail([job.pk], at=NOON, actor="staff", reason="it hangs")
        lifecycle.queue_again([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="staff")
        limit("sora-2", 1)

        assert claim(at=NOON + self.TIMEOUT - timedelta(seconds=1)) == []
        assert claim(at=NOON + self.TIMEOUT) == [job.pk]

    def test_only_the_current_attempt_does(self):
        job = make_job("running")
        trouble = Trouble("provider_failed", "It broke.")
        lifecycle.put_back(
            Job.objects.lock().get(pk=job.pk), at=NOON, actor="worker", outcome=Outcome.FAILED, spent=True, trouble=trouble,
            not_before=None,
        )  # fmt: skip
        begun(job)
        limit("sora-2", 2)
        queue(2, model_id="sora-2")

        assert len(claim()) == 1


class TestRoutes:
    @pytest.fixture(autouse=True)
    def two_routes(self):
        make_route(model_id="sora-2", account_id="studio", endpoint_id="sora-2-there", position=1)
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=2)

    def bought_at(self, jobs):
        attempts = Attempt.objects.filter(job__in=jobs).order_by("job")
        return list(attempts.values_list("account", "endpoint_id"))

    def test_the_first_open_one_is_taken_then_the_next(self):
        jobs = queue(3, model_id="sora-2")

        assert claim() == jobs
        assert self.bought_at(jobs) == [("openai_videos", "sora-2")] * 2 + [("studio", "sora-2-there")]

    @pytest.mark.parametrize("closed", [{"paused": True}, {"cooldown_until": SOON}])
    def test_a_closed_account_is_passed_over(self, closed):
        ProviderAccount.objects.filter(pk="openai_videos").update(**closed)
        jobs = queue(1, model_id="sora-2")

        claim()

        assert self.bought_at(jobs) == [("studio", "sora-2-there")]

    def test_an_inactive_one_is_not_taken(self):
        ModelRoute.objects.filter(account="studio", model="sora-2").update(active=False)

        jobs = queue(3, model_id="sora-2")

        assert claim() == jobs[:2]

    def test_one_that_a_claim_reads_only_when_all_before_it_are_full_is_taken_as_far_as_its_own_limit(self):
        """More routes than are read first; each account takes one job, the last one two."""
        ProviderAccount.objects.filter(pk__in=("openai_videos", "studio")).update(max_concurrent=1)
        count = ROUTES_AT_FIRST + 2
        for number in range(count):
            ProviderAccount.objects.create(
                key=f"more-{number}", adapter="openai_videos", max_concurrent=1 + (number == count - 1)
            )
            make_route(model_id="sora-2", account_id=f"more-{number}", endpoint_id="e", position=10 + number)
        before = ModelRoute.objects.filter(model="sora-2").count()
        jobs = queue(before + 3, model_id="sora-2")

        assert claim() == jobs[: before + 1]
        accounts = list(Attempt.objects.order_by("job").values_list("account", flat=True))
        assert accounts[-count - 1 :] == [f"more-{number}" for number in range(count)] + [f"more-{count - 1}"]

    def test_without_any_the_job_waits(self):
        ModelRoute.objects.filter(model="sora-2").delete()
        queue(1, model_id="sora-2")

        assert claim() == []


class TestWordsOfARoute:
    """A job goes only to routes that can express it; one that no route can express blocks no other job."""

    FOUR = {
        "duration": {"field": "seconds", "as": "string", "values": [4]},
        "aspect": {"field": "size", "values": ["16:9"]},
        "prompt": {"most": 500},
        "images": {"first_frame": "image_url", "endpoint": "from-image"},
    }
    EIGHT = FOUR | {"duration": {"field": "seconds", "as": "string", "values": [4, 8]}}

    @pytest.fixture(autouse=True)
    def first_route_of_four_seconds(self):
        self.first = ModelRoute.objects.get(model="sora-2", active=True)
        ModelRoute.objects.filter(pk=self.first.pk).update(codec=self.FOUR)

    def queue(self, seconds=4, *, count=1, **more):
        parameters = {"duration": seconds, "aspect_ratio": "16:9"} | more.pop("parameters", {})
        return queue(count, model_id="sora-2", parameters=parameters, **more)

    def second_route(self):
        return make_route(model_id="sora-2", account_id="studio", endpoint_id="there", position=1, codec=self.EIGHT)

    def endpoints(self):
        return dict(Attempt.objects.values_list("job", "endpoint_id"))

    def test_the_first_open_one_with_words_is_taken(self):
        self.second_route()
        short, long = *self.queue(4), *self.queue(8)

        assert claim() == [short, long]
        assert self.endpoints() == {short: "sora-2", long: "there"}

    def test_images_lead_to_the_endpoint_for_them(self):
        (job,) = self.queue(parameters={"images": {"first_frame": "https://files.example/a.png"}})

        assert claim() == [job]
        assert self.endpoints() == {job: "from-image"}

    def test_a_job_that_none_has_words_for_stands_aside_and_keeps_its_place(self):
        long, *behind = *self.queue(8), *self.queue(4, count=2)

        assert claim() == behind
        job = Job.objects.get(pk=long)
        assert (job.state, job.not_before, job.event_seq) == ("queued", NOON + dispatch.ASIDE, 1)

        self.second_route()
        late = self.queue(4)
        dispatch.wake_due(at=job.not_before)
        assert claim(at=job.not_before) == [long, *late]

    def test_a_route_that_is_only_busy_is_waited_for_in_the_lane(self):
        second = self.second_route()
        ProviderAccount.objects.filter(pk=second.account_id).update(max_concurrent=1)
        first, waits = self.queue(8, count=2)

        assert claim() == [first]
        assert claim() == []
        assert Job.objects.get(pk=waits).state == "queued"

    def test_many_of_them_hide_nobody_for_long(self):
        limit("sora-2", 1)
        aside = self.queue(8, count=dispatch.MOST_SET_ASIDE + 5)
        behind = self.queue(4)

        assert claim() == []
        assert Job.objects.filter(pk__in=aside, not_before=None).count() == 5
        assert claim() == behind

    def test_a_prompt_may_be_too_long_for_one_of_them(self):
        self.second_route()
        ModelRoute.objects.filter(pk=self.first.pk).update(codec=self.FOUR | {"prompt": {"most": 5}})
        short, long = *self.queue(prompt="A fox"), *self.queue(prompt="A tram")

        assert claim() == [short, long]
        assert self.endpoints() == {short: "sora-2", long: "there"}

    @pytest.mark.parametrize("broken", [{"duration": {"values": [4]}}, {"duration": 7}, {"images": 7, "duration": None}])
    def test_one_that_was_written_wrongly_stops_nobody(self, broken):
        ModelRoute.objects.filter(pk=self.first.pk).update(codec=broken)
        self.queue()
        other = queue(1)

        assert claim() == other


class TestAgainstAnOracle:
    """With any queue and any limits, a claim takes the same jobs, in the same order, as a walk through the whole queue."""

    JOBS = st.lists(
        st.fixed_dictionaries(
            {
                "owner": st.integers(0, 5),
                "batch": st.sampled_from([None, None, 0, 1, 2]),
                "kind_id": st.sampled_from(["video", "video", "doubt", "topic_short"]),
                "model_id": st.sampled_from(["sora-2", "sora-2-pro", "manim"]),
                "priority": st.sampled_from([-10, 0, 0, 0, 10]),
                "order_key": st.integers(-40, 40),
                "not_before": st.sampled_from([None] * 6 + [SOON]),
                "deadline": st.sampled_from([None] * 6 + [NOON, SOON]),
                "held": st.sampled_from([False] * 6 + [True]),
            }
        ),
        min_size=1,
        max_size=60,
    )
    CAPS = st.fixed_dictionaries(
        {
            "queue": st.integers(1, 40),
            "user": st.sampled_from([None, 1, 2]),
            "users": st.lists(st.sampled_from([None, 1, 2, 9]), min_size=6, max_size=6),
            "batches": st.lists(st.sampled_from([None, 1, 2]), min_size=3, max_size=3),
            "kind": st.sampled_from([None, 1, 3]),
            "account": st.sampled_from([None, 1, 4]),
            "model": st.integers(1, 9),
            "paused": st.booleans(),
        }
    )

    @pytest.fixture(autouse=True)
    def soon_split(self, monkeypatch):
        """Use pages of two jobs and stretches of four keys, so that a few jobs cover all cases of many."""
        monkeypatch.setattr(dispatch, "PAGE", 2)
        monkeypatch.setattr(dispatch, "STRETCH", 2)
        for name in ("_FIRST_HEADS", "_NEXT_HEADS", "_OF_STRETCH"):
            sql = getattr(dispatch, name).sql
            for long, short in (("LIMIT 20", "LIMIT 2"), (">> 13", ">> 2"), ("<< 13", "<< 2")):
                sql = sql.replace(long, short)
            monkeypatch.setattr(dispatch, name, Statement(sql))
        make_route(model_id="sora-2-pro", account_id="studio", endpoint_id="elsewhere", position=1)

    @given(jobs=JOBS, caps=CAPS)
    @hypothesis.settings(max_examples=25, suppress_health_check=list(hypothesis.HealthCheck))
    def test_takes_the_same_in_the_same_order(self, jobs, caps):
        before = transaction.savepoint()
        try:
            self.fill(jobs, caps)
            for _ in range(3):
                expected = self.walk()
                assert claim() == expected
                settings_row(max_concurrent=caps["queue"] + len(expected) + 2)
                limit("manim", 50)
        finally:
            transaction.savepoint_rollback(before)

    def fill(self, jobs, caps):
        settings_row(max_concurrent=caps["queue"], user_max_concurrent=caps["user"])
        limit("manim", caps["model"])
        Kind.objects.filter(pk="doubt").update(max_concurrent=caps["kind"])
        ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=caps["account"])
        owners = [UserFactory(max_concurrent=most) for most in caps["users"]]
        batches = [BatchFactory(owner=owners[0], max_concurrent=most) for most in caps["batches"]]
        made = [
            JobFactory.build(
                **{name: one[name] for name in ("kind_id", "model_id", "priority", "not_before", "deadline")},
                owner=owners[one["owner"]],
                batch=None if one["batch"] is None else batches[one["batch"]],
            )
            for one in jobs
        ]
        lifecycle.enter(made, at=NOON - timedelta(days=1), actor="user")
        for job, one in zip(made, jobs, strict=True):
            job.order_key, job.held = one["order_key"], one["held"]
        Job.objects.bulk_update(made, ["order_key", "held"])
        if caps["paused"]:
            Batch.objects.filter(pk=batches[0].pk).update(paused=True)

    def walk(self):
        """The same rules in the simplest form: sort all jobs and take each that fits under all limits."""
        policy = QueueSettings.objects.current()
        caps = {("queue", ""): policy.max_concurrent}
        caps |= {("kind", kind.pk): kind.max_concurrent for kind in Kind.objects.all()}
        caps |= {("model", row.pk): row.max_concurrent for row in ModelConcurrencyLimit.objects.all()}
        caps |= {("account", row.pk): row.max_concurrent for row in ProviderAccount.objects.all()}
        caps |= {("user", user.pk): user.max_concurrent or policy.user_max_concurrent for user in User.objects.all()}
        caps |= {("batch", batch.pk): 0 if batch.paused else batch.max_concurrent for batch in Batch.objects.all()}
        used = Counter()

        def passes(job, account):
            keys = [("queue", ""), ("kind", job.kind_id), ("model", job.model_id), ("account", account), ("user", job.owner_id)]
            return [*keys, ("batch", job.batch_id)] if job.batch_id else keys

        for attempt in Attempt.objects.filter(job__state=State.SUBMITTING).select_related("job"):
            used.update(passes(attempt.job, attempt.account_id))
        taken = []
        waiting = Job.objects.filter(state=State.QUEUED, held=False, not_before=None).in_time(NOON)
        for job in sorted(waiting, key=lambda job: (-job.priority, job.order_key, job.pk)):
            for route in ModelRoute.objects.filter(model=job.model_id, active=True).order_by("position", "pk"):
                keys = passes(job, route.account_id)
                if all(caps.get(key) is None or used[key] < caps[key] for key in keys):
                    used.update(keys)
                    taken.append(job.pk)
                    break
        return taken
