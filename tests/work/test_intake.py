"""Intake: defaults, prices, priorities, and a helpful message for every bad input."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from queue_app import lifecycle, tickets
from queue_app.lifecycle import MoveRefused
from queue_app.models import (
    Batch,
    GenerationModel,
    Job,
    JobEvent,
    Kind,
    LedgerTransaction,
    ModelConcurrencyLimit,
    ModelRoute,
    ProviderAccount,
    Wallet,
)
from queue_app.tickets import NotEnoughTickets
from queue_app.work import intake
from queue_app.work.intake import Draft, IntakeRefused, KindRestricted, ModelNotAvailable
from tests.factories import NOON, PAGE, BatchFactory, UserFactory, make_job, make_route

pytestmark = pytest.mark.django_db


def enqueue(*drafts, owner=None, **more):
    return intake.enqueue(owner or UserFactory(), list(drafts), at=NOON, actor="user", **more)


def one(owner=None, /, **fields):
    fields = {"model": "sora-2", "prompt": "A tram."} | fields
    return enqueue(Draft(**fields), owner=owner)[1][0]


def problem_of(**fields):
    """Send a bad draft of a user without a wallet; check that nothing was written; return its problem's field and message."""
    owner = UserFactory(tickets=0)
    before = [model.objects.count() for model in (Job, JobEvent, Batch, LedgerTransaction, Wallet)]
    with pytest.raises(IntakeRefused) as refused:
        enqueue(Draft(**{"model": "sora-2", "prompt": "A tram."} | fields), owner=owner, batch_name="mine")
    assert [model.objects.count() for model in (Job, JobEvent, Batch, LedgerTransaction, Wallet)] == before
    (problem,) = refused.value.problems
    return problem.field, problem.message


class TestEnqueue:
    def test_fills_in_what_was_not_said(self):
        job = one()

        job.refresh_from_db()
        assert (job.kind_id, job.priority, job.priority_reasons) == ("video", 0, ["default for video"])
        assert job.parameters == {"duration": 8, "aspect_ratio": "16:9", "loop": False}
        assert (job.not_before, job.deadline, job.batch, job.held) == (None, None, None, False)
        assert job.preview, "no key is set: the studio makes it"

    @pytest.mark.parametrize(
        ("model", "parameters", "price", "usd"),
        [
            ("sora-2", {"duration": 12}, 12, "6.0"),
            ("sora-2-pro", {"duration": 10}, 20, "12.0"),
            ("manim", {"duration": 4}, 4, "0"),
        ],
    )
    def test_prices_by_the_second(self, model, parameters, price, usd):
        job = one(model=model, parameters=parameters)

        assert (job.tickets, job.usd_estimate) == (price, Decimal(usd))

    def test_reserves_the_sum(self):
        owner = UserFactory(tickets=20)

        enqueue(*[Draft("sora-2", "A tram.", parameters={"duration": 4})] * 3, owner=owner)

        assert (tickets.balances(owner)["available"], tickets.balances(owner)["reserved"]) == (8, 12)

    def test_without_tickets_for_all_takes_none_and_makes_no_wallet(self):
        owner = UserFactory(tickets=0)

        with pytest.raises(NotEnoughTickets, match="needs 16 tickets, but only 0 are available"):
            enqueue(*[Draft("sora-2", "A tram.")] * 2, owner=owner, batch_name="mine")

        assert not (Job.objects.exists() or Batch.objects.exists() or Wallet.objects.exists())

    def test_makes_a_batch_when_one_is_named_and_joins_one_that_is_given(self):
        owner = UserFactory()
        batch, jobs = enqueue(*[Draft("sora-2", "A tram.")] * 2, owner=owner, batch_name="Trams", max_concurrent=2)

        assert batch is not None and (batch.name, batch.max_concurrent, batch.owner) == ("Trams", 2, owner)
        assert {job.batch for job in jobs} == {batch}
        assert enqueue(Draft("sora-2", "One more."), owner=owner, batch=batch)[1][0].batch == batch

    def test_joins_a_paused_batch_as_held(self):
        owner = UserFactory()

        _, (job,) = enqueue(Draft("sora-2", "A tram."), owner=owner, batch=BatchFactory(owner=owner, paused=True))

        assert Job.objects.get(pk=job.pk).held

    def test_keeps_the_order_they_were_sent_in(self):
        _, jobs = enqueue(*[Draft("sora-2", f"Take {n}.", parameters={"duration": 4}) for n in range(30)])

        assert [job.prompt for job in Job.objects.in_dispatch_order()] == [job.prompt for job in jobs]

    def test_a_time_that_has_passed_is_no_delay(self):
        assert one(not_before=NOON - timedelta(minutes=1)).not_before is None
        assert one(not_before=NOON + timedelta(minutes=1)).not_before == NOON + timedelta(minutes=1)

    @pytest.mark.parametrize("minutes", [-1, 1])
    def test_keeps_the_time_that_was_asked_for_as_it_was(self, minutes):
        asked = NOON + timedelta(minutes=minutes)

        assert Job.objects.get(pk=one(not_before=asked).pk).client_not_before == asked

    def test_a_thousand_are_taken_and_one_more_is_refused(self):
        owner = UserFactory(tickets=4_004)
        draft = Draft("sora-2", "A tram.", parameters={"duration": 4})

        with pytest.raises(IntakeRefused, match="Send 1 to 1,000 jobs per request, not 1,001"):
            enqueue(*[draft] * 1_001, owner=owner)
        assert not Job.objects.exists()

        enqueue(*[draft] * 1_000, owner=owner)
        assert Job.objects.count() == JobEvent.objects.count() == 1_000
        assert tickets.balances(owner)["available"] == 4

    @pytest.mark.parametrize("read", [intake.problems, intake.price])
    def test_what_follows_more_problems_than_are_named_is_not_looked_at(self, read, monkeypatch):
        looked_at, prompt_problem = [], intake.prompt_problem
        monkeypatch.setattr(intake, "prompt_problem", lambda prompt: looked_at.append(prompt) or prompt_problem(prompt))
        wrong = Draft("sora-2", "A tram.", parameters={f"p{n}": n for n in range(40)})

        try:
            problems = read(UserFactory(), [wrong] * 1_000, at=NOON)
        except IntakeRefused as refused:
            problems = refused.problems
            assert str(refused) == " ".join(one.message for one in problems[:5])

        assert len(looked_at) == 3
        assert len(problems) == 120

    def test_none_is_refused(self):
        with pytest.raises(IntakeRefused, match="not 0"):
            enqueue()


class TestKinds:
    @pytest.mark.parametrize(("kind", "level"), [("doubt", 10), ("topic_short", 0), ("daily_ca", -10), ("video", 0)])
    def test_give_their_priority(self, kind, level):
        job = one(UserFactory(rights=["submit_restricted_kinds", "exceed_normal_priority"]), kind=kind)

        assert (job.kind_id, job.priority, job.priority_reasons) == (kind, level, [f"default for {kind}"])

    def test_that_are_not_known_are_refused_with_those_that_are(self):
        field, message = problem_of(kind="movie")

        assert field == "kind"
        assert message == "Unknown kind “movie”. Available: daily_ca, doubt, image, page, text, topic_short, video."

    @pytest.mark.parametrize("kind", ["page", "image"])
    def test_belong_to_a_medium_and_are_refused_for_models_of_another(self, kind):
        assert problem_of(kind=kind, metadata={"sku_count": 1500, "content_status": "missing"}) == (
            "kind",
            f"“{kind}” is for {kind}s; sora-2 generates videos. Choose one of: video.",
        )

    @pytest.mark.parametrize("kind", ["doubt", "topic_short", "daily_ca"])
    def test_that_are_restricted_take_a_right(self, kind):
        for owner in (UserFactory(), UserFactory(staff=True), UserFactory(rights=["exceed_normal_priority", "operate_queue"])):
            with pytest.raises(
                KindRestricted, match=f"You don't have permission for the job type “{kind}”. Choose another one, or ask staff"
            ):
                enqueue(Draft("sora-2", "A tram."), Draft("sora-2", "A tram.", kind=kind), owner=owner)

        assert not Job.objects.exists()
        assert one(UserFactory(rights=["submit_restricted_kinds"]), kind=kind).kind_id == kind
        assert one(UserFactory(admin=True), kind=kind).kind_id == kind

    def test_that_staff_restrict_are_restricted_at_once(self):
        Kind.objects.filter(pk="video").update(restricted=True)

        with pytest.raises(KindRestricted):
            one()

    def test_that_are_restricted_do_not_hide_what_else_is_wrong(self):
        with pytest.raises(IntakeRefused) as refused:
            enqueue(Draft("sora-2", "A tram.", kind="doubt"), Draft("sora-2", ""))

        assert [(problem.index, problem.field) for problem in refused.value.problems] == [(0, "kind"), (1, "prompt")]


class TestPriorities:
    def test_of_staff_may_be_high_and_are_told_as_asked_for(self):
        job = one(UserFactory(staff=True), priority=20)

        assert (job.priority, job.priority_reasons) == (20, ["requested"])

    @pytest.mark.parametrize("level", [0, -10, -100])
    def test_of_a_client_may_be_low(self, level):
        assert one(priority=level).priority == level

    def test_above_normal_are_for_staff(self):
        assert problem_of(priority=1) == ("priority", "Only staff can set a priority above 0 (normal).")

    @pytest.mark.parametrize("level", [-101, 101, 10**9])
    def test_are_within_their_span(self, level):
        assert problem_of(priority=level) == ("priority", "Enter a whole number from -100 to 100.")

    @pytest.fixture
    def page(self, monkeypatch):
        """Return the draft of a page with a score of 90 points."""
        monkeypatch.setattr("queue_app.providers.registry.is_available", bool)
        content = PAGE | {"sku_count": 1500, "content_status": "missing"}
        return {"model": "page-writer", "metadata": content, "deadline": NOON + timedelta(hours=5)}

    @pytest.mark.parametrize("traits", [{"staff": True}, {"rights": ["exceed_normal_priority"]}])
    def test_of_pages_are_scored_with_reasons(self, page, traits):
        job = one(UserFactory(**traits), **page)

        assert (job.kind_id, job.priority) == ("page", 10)
        assert job.priority_reasons[-1] == "90 points: high"

    def test_that_are_computed_stay_at_normal_without_the_right_and_say_so(self, page):
        capped = "lowered from high to normal: above normal needs permission"
        Kind.objects.filter(pk="video").update(default_priority=10)
        scored, default = one(**page), one()
        bulk = one(priority=10, priority_reasons=["campaign over 20 videos"])

        assert [job.priority for job in (scored, default, bulk)] == [0, 0, 0]
        assert scored.priority_reasons[-2:] == ["90 points: high", capped]
        assert default.priority_reasons == ["default for video", capped]
        assert bulk.priority_reasons == ["campaign over 20 videos", capped]

    def test_that_are_computed_may_be_low_for_anybody(self):
        Kind.objects.filter(pk="video").update(default_priority=-10)

        assert (one().priority, one().priority_reasons) == (-10, ["default for video"])


class TestBadInput:
    def test_an_unknown_model_is_answered_with_the_known(self):
        field, message = problem_of(model="sora-9")

        assert field == "model"
        assert message.startswith("Unknown model “sora-9”. Available: flash-scanner-v2.5, flux-2-pro,")

    @pytest.mark.parametrize("model", ["sora\x002", "sora\ud83d", "x" * 5_000, ""])
    def test_a_model_that_is_no_name_at_all_is_unknown(self, model):
        assert problem_of(model=model)[0] == "model"

    @pytest.mark.parametrize("prompt", ["", " \n\t"])
    def test_an_empty_prompt(self, prompt):
        assert problem_of(prompt=prompt) == ("prompt", "Enter a prompt.")

    def test_a_prompt_that_is_too_long(self):
        assert problem_of(prompt="x" * 32_001) == ("prompt", "The prompt is 32,001 characters; the limit is 32,000.")
        assert one(prompt="é" * 32_000).pk

    @pytest.mark.parametrize(("prompt", "words"), [("a\x00b", "NUL"), ("a\ud83d", "surrogate")])
    def test_a_prompt_that_cannot_be_kept(self, prompt, words):
        field, message = problem_of(prompt=prompt)

        assert field == "prompt" and words in message

    def test_what_the_model_does_not_offer(self):
        assert problem_of(parameters={"duration": 7}) == (
            "parameters.duration",
            "duration must be 4, 5, 8, 10, 12, 16 or 20 s for sora-2, not 7.",
        )
        assert problem_of(parameters={"aspect_ratio": "4:3"})[1] == "aspect_ratio must be 16:9, 9:16 or 1:1 for sora-2, not 4:3."
        assert problem_of(parameters={"fps": 60})[0] == "parameters.fps"

    @pytest.mark.parametrize(
        "metadata",
        [{"note": "x" * 16_000}, {"note": "a\x00b"}, {"\x00": 1}, {"note": "\ud83d"}, {"n": float("nan")}, {"n": float("inf")},
         {"n": NOON}, {"n": {1, 2}}],
    )  # fmt: skip
    def test_metadata_that_cannot_be_kept(self, metadata):
        assert problem_of(metadata=metadata)[0] == "metadata"

    def test_metadata_may_spell_out_an_escape(self):
        job = one(metadata={"note": "write \\u0000 here"})

        job.refresh_from_db()
        assert job.metadata == {"note": "write \\u0000 here"}

    def test_a_deadline_that_has_passed(self):
        for moment in (NOON, NOON - timedelta(days=1)):
            words = "The deadline has passed. Choose a later time, or leave it out."
            assert problem_of(deadline=moment) == ("deadline", words)

    def test_a_deadline_before_the_start(self):
        soon = NOON + timedelta(hours=1)
        words = "The deadline must be later than not_before. Choose a later time."
        assert problem_of(not_before=soon, deadline=soon) == ("deadline", words)

    def test_a_start_more_than_a_year_ahead(self):
        assert problem_of(not_before=NOON + timedelta(days=367))[0] == "not_before"

    @pytest.mark.parametrize("limit", [0, 51, -1])
    def test_a_batch_s_limit(self, limit):
        with pytest.raises(IntakeRefused, match=f"whole number from 1 to 50, not {limit}. Omit it for no limit") as refused:
            enqueue(Draft("sora-2", "A tram."), batch_name="mine", max_concurrent=limit)
        assert refused.value.problems[0].field == "max_concurrent"
        assert not Batch.objects.exists()

    @pytest.mark.parametrize("name", ["a\x00b", "\ud83d", "x" * 201])
    def test_a_batch_s_name(self, name):
        with pytest.raises(IntakeRefused) as refused:
            enqueue(Draft("sora-2", "A tram."), batch_name=name)
        assert refused.value.problems[0].field == "name"

    def test_every_problem_is_told_with_its_place(self):
        good, bad = Draft("sora-2", "A tram."), Draft("sora-2", "", parameters={"duration": 7}, priority=999)

        with pytest.raises(IntakeRefused) as refused:
            enqueue(good, bad, Draft("nobody", "A tram."))

        places = [(problem.index, problem.field) for problem in refused.value.problems]
        assert places == [(1, "parameters.duration"), (1, "prompt"), (1, "priority"), (2, "model")]


class TestWhatNoRouteCanSay:
    """Parameters that the model allows but that no open route can combine: nothing is reserved for them."""

    FOUR = {
        "duration": {"field": "seconds", "as": "string", "values": [4]},
        "aspect": {"field": "size", "values": ["16:9"]},
        "prompt": {"most": 50},
    }

    @pytest.fixture(autouse=True)
    def four_seconds(self):
        ModelRoute.objects.filter(model="sora-2").update(codec=self.FOUR)

    def test_is_refused_with_the_parameter_named(self):
        assert problem_of(parameters={"duration": 8}) == ("parameters.duration", "duration must be 4 s, not 8.")

    def test_is_refused_for_its_prompt(self):
        found = problem_of(prompt="A tram. " * 10, parameters={"duration": 4})

        assert found == ("prompt", "The prompt is 80 characters; the limit is 50.")

    def test_is_taken_where_another_open_route_can(self):
        make_route(model_id="sora-2", account_id="studio", endpoint_id="there", position=1)

        assert one(parameters={"duration": 8}).state == "queued"

    def test_is_refused_where_that_one_is_not_open(self):
        make_route(model_id="sora-2", account_id="studio", endpoint_id="there", position=1, active=False)

        assert problem_of(parameters={"duration": 8})[0] == "parameters.duration"

    def test_is_refused_again_at_a_retry(self):
        job = make_job("failed", parameters={"duration": 8, "aspect_ratio": "16:9", "loop": False})

        with pytest.raises(MoveRefused, match=r"can't be retried as it is: duration must be 4 s, not 8\.$"):
            intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user")


class TestWhatIsNotOffered:
    @pytest.mark.parametrize("model", ["kling-1.6", "nano-banana", "haiper-2.0", "page-writer"])
    def test_a_model_whose_adapter_is_missing(self, model, monkeypatch):
        monkeypatch.setattr("queue_app.providers.registry.is_available", lambda adapter: adapter == "openai_videos")

        with pytest.raises(ModelNotAvailable, match=f"{re.escape(model)} is not available right now") as refused:
            one(model=model)

        assert "Available models: manim, sora-2, sora-2-pro." in str(refused.value)

    def test_a_model_without_a_route_an_active_one_or_a_limit(self):
        for change in (
            lambda: ModelRoute.objects.filter(model="sora-2").update(active=False),
            lambda: GenerationModel.objects.filter(pk="sora-2").update(active=False),
            lambda: ModelConcurrencyLimit.objects.filter(model="sora-2").delete(),
            lambda: ProviderAccount.objects.filter(pk="openai_videos").update(adapter="none"),
        ):
            with pytest.raises(ModelNotAvailable), transaction.atomic():
                change()
                one()

    def test_anything_when_neither_a_key_nor_the_studio_is_there(self, settings):
        settings.ALLOW_STUDIO = False

        with pytest.raises(ModelNotAvailable, match="Available models: none"):
            one()

    def test_a_paused_model_is_taken_all_the_same(self):
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True)

        assert one().state == "queued"


class TestRetry:
    def test_is_at_today_s_price(self):
        owner = UserFactory(tickets=20)
        job = make_job("failed", owner=owner)
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=3, usd_per_unit=1)

        intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user")

        job.refresh_from_db()
        assert (job.state, job.tickets, job.usd_estimate) == ("queued", 12, Decimal(4))
        assert tickets.balances(owner)["reserved"] == 12

    def test_of_a_model_that_nobody_offers_is_refused(self):
        job = make_job("failed")
        GenerationModel.objects.filter(pk="sora-2").update(active=False)

        with pytest.raises(ModelNotAvailable):
            intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user")

    def test_of_an_open_job_is_refused(self):
        with pytest.raises(MoveRefused, match=r"is running. You can only retry failed or cancelled jobs"):
            intake.retry([make_job("running")], at=NOON, actor="user")

    def test_of_many_is_all_or_none(self):
        owner = UserFactory(tickets=7)
        jobs = [make_job("cancelled", owner=owner) for _ in range(2)]

        with pytest.raises(NotEnoughTickets), transaction.atomic():
            intake.retry(jobs, at=NOON, actor="user")

        assert Job.objects.filter(state="cancelled").count() == 2

    def test_keeps_what_its_client_asked_for(self):
        start, end = NOON + timedelta(days=30), NOON + timedelta(days=31)
        job = one(not_before=start, deadline=end)
        for _ in range(2):
            lifecycle.cancel([job.pk], at=NOON, actor="user")
            intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user")

        job.refresh_from_db()
        assert (job.state, job.not_before, job.client_not_before, job.deadline) == ("queued", start, start, end)
        lifecycle.cancel([job.pk], at=start, actor="user")
        intake.retry([Job.objects.lock().get(pk=job.pk)], at=start, actor="user")
        job.refresh_from_db()
        assert (job.not_before, job.client_not_before) == (None, start)

    def test_past_its_deadline_is_refused(self):
        job = one(deadline=NOON + timedelta(hours=1))
        lifecycle.cancel([job.pk], at=NOON, actor="user")

        with pytest.raises(MoveRefused, match=f"The deadline of Job {job.pk} has passed. Submit it as a new job"):
            intake.retry([Job.objects.lock().get(pk=job.pk)], at=NOON + timedelta(hours=1), actor="user")


def test_the_seeded_kinds_are_those_of_the_design():
    kinds = {"image", "video", "page", "text", "doubt", "topic_short", "daily_ca"}

    assert set(Kind.objects.values_list("pk", flat=True)) == kinds
