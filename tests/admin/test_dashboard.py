"""The queue dashboard: what it shows, what it costs, limits and pauses changed in place, and stop all with its way back."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queue_app import clock
from queue_app.admin.dashboard import facts
from queue_app.forecast import estimates
from queue_app.insight import counts, failures
from queue_app.models import (
    Alert,
    AlertRule,
    Attempt,
    AuditEntry,
    BulkAction,
    Job,
    Kind,
    ModelConcurrencyLimit,
    ModelRoute,
    ProviderAccount,
    QueueSettings,
    ReviewItem,
    State,
    WorkerProcess,
)
from queue_app.work import bulk, policy, stop, usual
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, make_job
from tests.markup import html_of
from tests.pipelines import call

pytestmark = pytest.mark.django_db
HOME = "/admin/"
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""


def page(client: Client) -> str:
    cache.clear()
    return unescape(html_of(client.get(HOME)))


def fragment(client: Client, seen: str = "") -> Any:
    return client.get(HOME, {"seen": seen}, headers={"HX-Request": "true"})


def set_limit(client: Client, what: str, key: str, value: str, **headers: str) -> Any:
    return client.post("/admin/limit/", {"what": what, "key": key, "value": value}, headers=headers)


def limit_of(model: str) -> int:
    return ModelConcurrencyLimit.objects.get(pk=model).max_concurrent


def worker(**fields: Any) -> WorkerProcess:
    at = clock.now()
    known = {"host": "one", "pid": 1, "role": "dispatcher", "group_id": 1, "group_started": "1", "started_at": at, "beat_at": at}
    return WorkerProcess.objects.create(**known | fields)


def cancelled(*actions: BulkAction) -> None:
    """Their ten seconds are over, and a worker has been through them."""
    for action in actions:
        bulk.run_now(action, at=clock.now(), actor=action.actor)
        bulk.work(action.pk, may_go_on=lambda: True)


class TestPage:
    def test_says_what_waits_runs_ended_and_who_did_what(self, admin: Client) -> None:
        at = clock.now()
        for state in (State.QUEUED, State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED):
            make_job(state, at=at - timedelta(minutes=5), prompt="A heron lands", batch=BatchFactory())
        policy.change(
            ModelConcurrencyLimit.objects.get(pk="manim"), at=at, actor=UserFactory(username="dita", tickets=0), max_concurrent=9
        )
        shown = page(admin)
        for words in ("Capacity", "Whole queue", "Account openai_videos", "Failures by error", "Workers", "Job type video"):
            assert words in shown, words
        for words in ("provider_failed", "Retry 1…", "Wait to start", "Throughput"):
            assert words in shown, words
        assert "<b>dita</b> raised the limit of" in shown and "</a>, <bdi>concurrent jobs: 4 → 9</bdi>" in shown

    def test_an_empty_queue_says_what_would_fill_it(self, admin: Client) -> None:
        shown = page(admin)
        nothing = (
            "No jobs finished in the last 24 hours. Finished jobs per hour appear here.",
            "No jobs started in the last 24 hours",
        )
        for words in ("No failures", "No jobs waiting", "No workers running", "No activity yet", *nothing):
            assert words in shown, words

    @pytest.mark.usefixtures("time_stands_still")  # within one hour
    def test_in_the_first_hour_the_charts_say_its_figures_instead(self, admin: Client) -> None:
        at = clock.now()
        for state in (State.COMPLETED, State.COMPLETED, State.FAILED):
            make_job(state, at=at)
        cache.clear()
        shown = admin.get(HOME).context
        assert [figure for _, _, figure in shown["throughput"].begins] == ["2", "1", "0"]
        assert [figure for _, _, figure in shown["failure_rate"].begins] == ["33.3%"]
        text = page(admin)
        assert text.count("This hour so far. The chart begins after the first full hour.") == 3
        assert "2 this hour" in text  # the card, too
        make_job(State.COMPLETED, at=at - timedelta(hours=2))
        cache.clear()
        assert admin.get(HOME).context["throughput"].begins == []

    def test_idle_models_and_the_limits_of_accounts_are_folded_under_a_line_each(self, admin: Client) -> None:
        make_job(model_id="sora-2", at=clock.now())
        make_job(State.RUNNING, model_id="kling-1.6", at=clock.now())
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        ModelRoute.objects.filter(model="veo-3.1").update(active=False)
        ProviderAccount.objects.filter(pk="fal").update(cooldown_until=clock.now() + timedelta(minutes=5))
        cache.clear()
        shown = admin.get(HOME).context
        idle, limits = shown["lanes"]["idle"], shown["limits"]
        assert {row.name for row in shown["lanes"]["rows"]} == {"Whole queue", "sora-2", "kling-1.6", "manim"}
        off = sum(row.off for row in idle.rows)
        assert (
            off
            and idle.words == f"{len(idle.rows)} idle models, {off} not available"
            and "veo-3.1" in [row.name for row in idle.rows if row.off]
        )
        assert re.search(r"^flash-scanner-v2.5, flux-2-pro, \S+ and \d+ more$", idle.sub)
        assert limits.words.startswith("Accounts and job types: ") and "openai_videos 0 / 4" in limits.words
        assert (limits.sub, limits.warns) == ("fal cooling down", True)
        ProviderAccount.objects.filter(pk="fal").update(cooldown_until=None)
        cache.clear()
        assert re.fullmatch(r"\d+ without a limit", admin.get(HOME).context["limits"].sub)

    def test_a_refused_limit_of_a_folded_row_opens_its_fold(self, admin: Client) -> None:
        shown = unescape(html_of(set_limit(admin, "model", "manim", "99")))
        assert re.search(r'<details class="gq-fold" id="fold-idle" data-fold\s+open', shown)
        assert not re.search(r'<details class="gq-fold" id="fold-limits" data-fold\s+open', shown)

    def test_what_is_paused_for_good_is_told_apart_from_what_will_be_drained(self, admin: Client) -> None:
        for model in ("manim", "manim", "manim", "sora-2"):
            make_job(model_id=model, at=clock.now())
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        cache.clear()
        shown = admin.get(HOME).context
        assert re.fullmatch(r"1 in about \S+", shown["cards"][0].sub)
        assert re.fullmatch(r"1 in about .+ \(p90 .+\), 3 paused", shown["cards"][0].whole)
        queue = shown["lanes"]["rows"][0]
        assert queue.drained.startswith("1 in ") and queue.note.endswith(", 3 paused")
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        cache.clear()
        assert admin.get(HOME).context["cards"][0].sub == "paused"

    def test_each_card_counts_the_jobs_of_the_list_behind_it(self, admin: Client) -> None:
        at = clock.now()
        for state in ("queued", "queued", "running", "storing", "unknown", "completed", "completed", "failed", "cancelled"):
            make_job(state, at=at)
        make_job("completed", at=at - timedelta(hours=25))
        Job.objects.filter(pk=make_job("completed", at=at).pk).update(archived_at=at)
        cache.clear()
        cards = admin.get(HOME).context["cards"]
        assert [card.value for card in cards][:5] == ["2", "3", "2", "1", "1"]
        for card in cards[:5]:
            assert str(admin.get(card.url).context["cl"].result_count) == card.value, card.name
        assert f"/admin/queue_app/job/{Job.objects.order_by('id')[0].pk}/change/" == cards[5].url

    def test_what_calls_for_somebody_stands_on_top(self, admin: Client) -> None:
        at = clock.now()
        make_job(State.UNKNOWN, at=at)
        make_job(at=at)
        make_job(model_id="manim", at=at)
        rule = AlertRule.objects.get_or_create(measure="queue_depth", defaults={"opens_at": 2, "closes_at": 1})[0]
        Alert.objects.create(rule=rule, value=2, words="2 jobs waiting.", opened_at=at)
        ProviderAccount.objects.filter(pk="openai_videos").update(cooldown_until=at + timedelta(minutes=3))
        policy.change(ModelConcurrencyLimit.objects.get(pk="manim"), at=at, actor=None, paused=True, paused_reason="bad frames")
        shown = page(admin)
        for words in (
            "No workers running.",
            "1 job may or may not have reached the provider.",
            "Account openai_videos is cooling down until",
            "manim paused: bad frames<",
            "models on preview</a>",
        ):
            assert words in shown, words
        assert "+3 more" in shown and shown.index("No workers running.") < shown.index("+3 more") < shown.index(
            "1 job may or may not"
        )
        assert "2 jobs waiting.</bdi>" not in shown  # of course: no worker runs

    def test_models_that_nobody_makes_for_want_of_a_key_are_named(self, admin: Client, settings: Any) -> None:
        settings.ALLOW_STUDIO = False
        shown = page(admin)
        assert "Some models are unavailable." in shown and "No API key for flash-scanner-v2.5, flux-2-pro, " in shown

    def test_what_needs_a_person_is_told_by_what_it_is_and_leads_to_just_that(self, admin: Client) -> None:
        paid = make_job(State.FAILED, at=clock.now())
        ReviewItem.objects.create(job=paid, what="Paid, nothing delivered.", opened_at=clock.now())
        shown = page(admin)
        assert "1 job may be billed without delivery." in shown and ">Check 1 job</a>" in shown and "Decide" not in shown
        jobs = [make_job(State.UNKNOWN, at=clock.now()) for _ in range(2)]
        ends = timezone.localtime(min(job.reviews.get().decide_by for job in jobs))
        shown = page(admin)
        assert "2 jobs may or may not have reached the provider.</bdi></b> Decide by" in shown
        assert f"Decide by {ends:%d %b, %H:%M}, or the first one fails and its tickets are returned." in shown
        for words, found in (("Decide 2 jobs", jobs), ("Check 1 job", [paid])):
            (address,) = re.findall(rf'href="([^"]+)">{words}</a>', shown)
            assert {item.job_id for item in admin.get(address).context["cl"].result_list} == {job.pk for job in found}

    def test_lost_calls_that_were_sent_again_are_counted_for_a_day(self, admin: Client) -> None:
        at = clock.now()
        job = make_job(State.RUNNING, at=at)
        for number, outcome in ((1, "abandoned"), (2, "abandoned"), (3, "delivered")):
            call(job, "hero", number, outcome, at=at, preview=False)
        shown = page(admin)
        assert "2 calls may be billed twice." in shown and "openai_videos may repeat lost calls." in shown
        Attempt.objects.filter(step="hero").update(ended_at=at - timedelta(hours=25))
        assert "may be billed twice" not in page(admin)

    def test_a_pause_says_who_made_it_when_and_why_and_who_waits(self, admin: Client, staff_with: StaffWith) -> None:
        at = clock.now()
        operator, _ = staff_with("operate_queue")
        for _ in range(2):
            make_job(model_id="manim", at=at)
        limit = ModelConcurrencyLimit.objects.get(pk="manim")
        policy.change(limit, at=at, actor=operator, reason="bad frames", paused=True, paused_reason="bad frames")
        shown = page(admin)
        said = f"{operator.username} paused manim at {timezone.localtime(at):%H:%M:%S}: bad frames</bdi></b> 2 jobs waiting."
        assert said in shown and "Resume manim</button>" in shown
        budget = "Daily budget spent"
        account = ProviderAccount.objects.get(pk="fal")
        policy.change(account, at=at, actor=None, reason=budget, paused=True, paused_reason=budget)
        assert f"Account fal paused: {budget}</bdi>" in page(admin)

    def test_one_cause_has_one_banner_for_those_who_see_it(self, admin: Client, staff_with: StaffWith) -> None:
        at = clock.now()
        worker()
        make_job(State.UNKNOWN, at=at)
        for measure, subject in (("unknown_jobs", ""), ("queue_depth", ""), ("tickets_low", "eve"), ("tickets_low", "bob")):
            rule = AlertRule.objects.get_or_create(measure=measure, defaults={"opens_at": 2, "closes_at": 1})[0]
            Alert.objects.create(rule=rule, subject=subject, value=2, words=f"{measure} {subject}.", opened_at=at)

        def told(client: Client) -> list[str]:
            cache.clear()
            return [banner.title for banner in client.get(HOME).context["notes"]]

        unknown = "1 job may or may not have reached the provider."
        assert told(admin) == [unknown, "tickets_low bob.", "queue_depth ."]
        assert "1 more alert of this kind." in page(admin)
        _, client = staff_with("view_job", "view_alert")
        assert told(client) == ["tickets_low bob.", "queue_depth .", "unknown_jobs ."]
        policy.change(QueueSettings.objects.current(), at=at, actor=None, paused=True, paused_reason="")
        assert told(admin) == ["Queue paused.", unknown, "tickets_low bob."]

    def test_a_moment_of_another_day_has_its_date(self, admin: Client) -> None:
        until = clock.now() + timedelta(days=2)
        ProviderAccount.objects.filter(pk="openai_videos").update(cooldown_until=until)
        shown, said = page(admin), f"until {timezone.localtime(until):%d %b, %H:%M}"
        assert f"Account openai_videos is cooling down {said}." in shown and f">cooling down {said}</span>" in shown

    @pytest.mark.usefixtures("time_stands_still")
    def test_a_silent_worker_is_told_and_one_that_was_replaced_is_not(self, admin: Client) -> None:
        at = clock.now()
        worker(leader=True)
        worker(pid=2, role="cluster", queue="store", started_at=at, beat_at=at - timedelta(seconds=40))
        assert "1 not responding" in page(admin)
        worker(pid=3, role="cluster", queue="store", started_at=at + timedelta(minutes=2))
        shown = page(admin)
        assert "All healthy" in shown and "restarted" in shown

    def test_hostile_text_is_text(self, admin: Client) -> None:
        owner = UserFactory(username="<b>eve</b>", tickets=1_000)
        make_job(prompt=HOSTILE, owner=owner, batch=BatchFactory(name=HOSTILE, owner=owner))
        failed = make_job(State.FAILED, prompt=HOSTILE, at=clock.now(), owner=owner)
        Job.objects.filter(pk=failed.pk).update(error_code=HOSTILE[:60])
        limit = ModelConcurrencyLimit.objects.get(pk="sora-2")
        policy.change(limit, at=NOON, actor=None, reason=HOSTILE, paused=True, paused_reason=HOSTILE)
        worker(host=HOSTILE, task=HOSTILE)
        cache.clear()
        for text in (admin.get(HOME).content.decode(), fragment(admin).content.decode()):
            assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text and "<img src=x" not in text
            assert "<b>eve" not in text

    def test_whatever_may_have_the_focus_has_an_id_by_which_it_gets_it_back(self, admin: Client) -> None:
        at = clock.now()
        codes = ["provider_failed", "<b>“odd” code</b>", ""]
        for code in codes:
            Job.objects.filter(pk=make_job(State.FAILED, at=at).pk).update(error_code=code)
        make_job(State.UNKNOWN, at=at)
        make_job(model_id="manim", at=at)
        for limit in (ModelConcurrencyLimit.objects.get(pk="manim"), QueueSettings.objects.current()):
            policy.change(limit, at=at, actor=None, paused=True, paused_reason="bad frames")
        worker()
        cache.clear()
        focusable = r'<(?:a|button|summary|input(?! type="hidden")|[a-z]+(?=[^>]* tabindex))\b[^>]*>'
        found = re.findall(focusable, fragment(admin).content.decode())
        ids = [match[1] if (match := re.search(r' id="([A-Za-z0-9_-]+)"', one)) else one for one in found]
        assert len(ids) > 50 and not [one for one in ids if one.startswith("<")]
        assert len(ids) == len(set(ids))
        assert sum(one.startswith(("retry-error-", "show-error-")) for one in ids) == len(codes)

    def test_a_key_with_any_character_has_an_id_that_needs_no_escaping(self, admin: Client) -> None:
        Kind.objects.create(key="daily/ca 2.0 “x”", label="odd")
        ids = re.findall(r'<tbody id="([^"]+)"', page(admin))
        assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[A-Za-z0-9_-]+", one) for one in ids)
        assert set_limit(admin, "kind", "daily/ca 2.0 “x”", "3").status_code == 302
        assert Kind.objects.get(label="odd").max_concurrent == 3


class TestLive:
    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_answers_204_while_nothing_changes_and_parts_when_something_does(self, admin: Client) -> None:
        make_job()
        seen = fragment(admin).context["token"]
        cache.clear()
        assert fragment(admin, seen).status_code == 204
        make_job()
        cache.clear()
        answer = fragment(admin, seen)
        assert answer.status_code == 200 and "part-cards" in answer.content.decode()
        assert "<html" not in answer.content.decode()

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_heartbeats_and_ages_are_no_change(self, admin: Client) -> None:
        row = worker()
        make_job(at=clock.now() - timedelta(hours=3))
        seen = fragment(admin).context["token"]
        WorkerProcess.objects.filter(pk=row.pk).update(beat_at=clock.now())
        cache.clear()
        assert fragment(admin, seen).status_code == 204

    def test_only_parts_that_changed_have_another_version(self, admin: Client) -> None:
        before = fragment(admin).context["versions"]
        make_job(State.FAILED, at=clock.now())
        cache.clear()
        after = fragment(admin).context["versions"]
        changed = {name for name in before if before[name] != after[name]}
        assert {"cards", "failures"} <= changed and not changed & {"workers", "audit", "limits", "notes"}

    def test_viewers_share_one_look(self, admin: Client) -> None:
        make_job()
        cache.clear()
        fragment(admin)
        with CaptureQueriesContext(connection) as asked:
            fragment(admin)
        assert not [one for one in asked if "queue_app_job" in one["sql"]]

    def test_asks_the_same_number_of_queries_for_3_jobs_and_for_30(self, admin: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(usual, "_measured", dict)  # once a minute, for all models and readers
        at = clock.now()

        def queries() -> int:
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                assert fragment(admin).status_code == 200
            return len(asked)

        def fill(times: int) -> None:
            for number in range(times):
                for state in (State.QUEUED, State.RUNNING, State.FAILED, State.UNKNOWN):
                    make_job(state, at=at, batch=BatchFactory(), priority=number)

        worker()
        fill(1)
        few = queries()
        fill(9)
        assert queries() == few <= 60


class TestLimits:
    def test_without_javascript_a_limit_is_set_and_the_page_comes_back(self, admin: Client) -> None:
        answer = set_limit(admin, "model", "sora-2", "7")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/#model-sora-2")
        assert limit_of("sora-2") == 7
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.before, entry.after) == ("ana", {"max_concurrent": 4}, {"max_concurrent": 7})

    def test_to_htmx_the_answer_is_the_row(self, admin: Client) -> None:
        answer = set_limit(admin, "model", "kling-1.6", "7", **{"HX-Request": "true"})
        text = unescape(html_of(answer))
        assert answer.status_code == 200 and text.lstrip().startswith('<tbody id="model-kling-1_2e_6"')
        assert "Limit for kling-1.6: 2 → 7." in text and 'value="7"' in text

    @pytest.mark.parametrize("value", ["0", "51", "-1", "2.5", "many", "", "1" * 30, "٣"])
    def test_a_bad_value_changes_nothing_and_says_what_is_right(self, admin: Client, value: str) -> None:
        for headers in ({"HX-Request": "true"}, {}):
            answer = set_limit(admin, "model", "sora-2", value, **headers)
            assert answer.status_code == 200
            assert "Enter a whole number from 1 to 50. To stop a model, pause it." in unescape(answer.content.decode())
        assert limit_of("sora-2") == 4 and not AuditEntry.objects.exists()

    @pytest.mark.parametrize(
        ("what", "key", "value", "table"),
        [("queue", "", "12", QueueSettings), ("account", "studio", "3", ProviderAccount), ("kind", "video", "5", Kind)],
    )
    def test_so_are_those_of_the_queue_of_accounts_and_of_kinds(
        self, admin: Client, what: str, key: str, value: str, table: Any
    ) -> None:
        assert set_limit(admin, what, key, value).status_code == 302
        assert table.objects.get(pk=key or 1).max_concurrent == int(value)

    def test_an_empty_limit_is_none_where_there_may_be_none(self, admin: Client) -> None:
        set_limit(admin, "account", "openai_videos", "")
        assert ProviderAccount.objects.get(pk="openai_videos").max_concurrent is None
        assert "from 1 to 1,000" in unescape(set_limit(admin, "queue", "", "").content.decode())

    @pytest.mark.parametrize(("what", "key"), [("model", "nope"), ("user", "1"), ("", ""), ("kind", "a\tb")])
    def test_a_limit_that_is_not_there_is_not_found(self, admin: Client, what: str, key: str) -> None:
        assert set_limit(admin, what, key, "3").status_code == 404

    def test_the_same_value_writes_nothing(self, admin: Client) -> None:
        assert set_limit(admin, "model", "sora-2", "4").status_code == 302
        assert not AuditEntry.objects.exists()

    def test_a_cool_down_may_be_ended(self, admin: Client) -> None:
        at = clock.now()
        ProviderAccount.objects.filter(pk="openai_videos").update(
            cooldown_until=at + timedelta(minutes=5), lowered_by=2, lowered_at=at
        )
        assert "End cooldown" in page(admin)
        admin.post("/admin/end-cooldown/", {"key": "openai_videos"})
        account = ProviderAccount.objects.get(pk="openai_videos")
        assert (account.cooldown_until, account.lowered_by) == (None, 0) and AuditEntry.objects.count() == 1


class TestWhatIf:
    def ask(self, client: Client, **asked: str) -> str:
        return unescape(html_of(client.get("/admin/limit/forecast/", asked)))

    def test_says_when_the_lane_is_drained_now_and_then_and_for_whom(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="manim").update(max_concurrent=1)
        batch = BatchFactory(name="Winter <i>")
        for _ in range(12):
            make_job(model_id="manim", batch=batch, owner=batch.owner, at=clock.now())
        said = self.ask(admin, what="model", key="manim", value="6")
        assert re.search(r"At 6: *</b> 12 jobs in about <b>.+</b>, instead of .+ \(p50\)\. Sooner: Winter <i> by", said)
        assert limit_of("manim") == 1

    def test_names_the_account_that_holds_it(self, admin: Client) -> None:
        for state in ["running"] * 4 + ["queued"] * 4:
            make_job(state, at=clock.now())
        said = self.ask(admin, what="model", key="sora-2", value="20")
        assert "no change.</b> Limited by account openai_videos 4 of 4." in said

    def test_says_what_no_limit_helps(self, admin: Client) -> None:
        for model in ("manim", "manim", "sora-2"):
            make_job(model_id=model, at=clock.now())
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        said = self.ask(admin, what="model", key="manim", value="20")
        assert "At 20: no change.</b> 2 manim jobs stay on hold: paused." in said and "either way" not in said
        said = self.ask(admin, what="queue", key="", value="2")
        assert "1 job takes about" in said and "2 manim jobs stay on hold: paused." in said

    def test_says_nothing_of_the_limit_as_it_is_and_what_is_wrong_with_a_bad_one(self, admin: Client) -> None:
        assert self.ask(admin, what="model", key="sora-2", value="4").strip() == ""
        assert "from 1 to 50" in self.ask(admin, what="model", key="sora-2", value="51")


class TestPauses:
    def test_a_pause_first_says_what_it_does(self, admin: Client) -> None:
        make_job(at=clock.now())
        make_job(State.RUNNING, at=clock.now())
        shown = unescape(admin.get("/admin/pause/", {"what": "model", "key": "sora-2"}).content.decode())
        assert "Pause sora-2?" in shown and "will wait until the pause ends" in shown
        assert not ModelConcurrencyLimit.objects.get(pk="sora-2").paused

    @pytest.mark.parametrize(
        ("what", "key", "table", "said"),
        [
            ("queue", "", QueueSettings, "Queue"),
            ("model", "kling-1.6", ModelConcurrencyLimit, "Model kling-1.6"),
            ("account", "studio", ProviderAccount, "Account studio"),
        ],
    )
    def test_then_pauses_with_reason_and_end_and_resumes(self, admin: Client, what: str, key: str, table: Any, said: str) -> None:
        asked = {"what": what, "key": key}
        before = clock.now()
        assert admin.post("/admin/pause/", {**asked, "reason": "bad frames", "minutes": "60"}).status_code == 302
        row = table.objects.get(pk=key or 1)
        assert (row.paused, row.paused_reason) == (True, "bad frames")
        assert before + timedelta(minutes=60) <= row.paused_until <= clock.now() + timedelta(minutes=60)
        shown = page(admin)
        assert "bad frames" in shown and f"{said} paused. Running jobs will finish" in shown
        admin.post("/admin/resume/", asked)
        row = table.objects.get(pk=key or 1)
        assert (row.paused, row.paused_reason, row.paused_until) == (False, "", None)
        assert [entry.reason for entry in AuditEntry.objects.order_by("id")] == ["bad frames", ""]

    def test_a_kind_is_not_paused(self, admin: Client) -> None:
        assert admin.post("/admin/pause/", {"what": "kind", "key": "video"}).status_code == 404

    def test_an_end_that_is_not_offered_is_none(self, admin: Client) -> None:
        admin.post("/admin/pause/", {"what": "queue", "minutes": "9999999999"})
        assert QueueSettings.objects.current().paused_until is None


class TestOnesOwnAction:
    """A look is shared by all viewers of a process, and in these tests it never grows old."""

    def test_is_never_contradicted_by_a_look_from_before_it(self, admin: Client) -> None:
        for number, act in enumerate(("pause", "resume", "pause")):
            before = admin.get(HOME).content.decode()
            asked = {"what": "model", "key": "manim", "reason": f"bad frames {number}"}
            after = admin.post(f"/admin/{act}/", asked, follow=True).content.decode()
            assert ("Model manim paused." in after) == (act == "pause")
            assert (f"bad frames {number}" in after) == (act == "pause")
            assert f"bad frames {number}" not in before
            assert (f"bad frames {number}" in fragment(admin).content.decode()) == (act == "pause")

    def test_done_by_htmx_is_in_the_next_look_too(self, admin: Client) -> None:
        admin.get(HOME)
        set_limit(admin, "model", "manim", "9", **{"HX-Request": "true"})
        assert "4 → 9" in unescape(fragment(admin).content.decode())

    def test_costs_one_look_more_and_those_of_others_none(self, admin: Client, staff_with: StaffWith, monkeypatch: Any) -> None:
        looks: list[int] = []
        look = facts.look
        monkeypatch.setattr(facts, "look", lambda **asked: looks.append(1) or look(**asked))
        _, other = staff_with("view_job")
        for client in (other, admin, other):
            client.get(HOME)
        set_limit(admin, "model", "manim", "9")
        for client in (other, admin, admin, other):
            client.get(HOME)
        assert len(looks) == 2

    def test_is_in_the_counts_and_estimates_that_others_share(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (counts, failures):
            monkeypatch.setattr(module, "FRESH", 1_000.0)
        monkeypatch.setattr(estimates, "KEPT", 1_000.0)
        job, failed = make_job(model_id="manim", at=clock.now()), make_job(State.FAILED, at=clock.now())
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        shown = admin.get(HOME).context["cards"]
        assert (shown[0].value, shown[0].sub, shown[3].value) == ("1", "paused", "1")
        asked = {"what": "model", "key": "manim"}
        assert admin.post("/admin/resume/", asked, follow=True).context["cards"][0].sub != "paused"
        for one in (job, failed):
            drafted = bulk.draft("cancel" if one is job else "retry", [one.pk], at=clock.now(), actor=job.owner, chosen="it")
            BulkAction.objects.filter(pk=drafted.pk).update(phase="waiting", starts_at=clock.now())
            bulk.work(drafted.pk, may_go_on=lambda: True)
        after = admin.post("/admin/resume/", asked, follow=True).context
        assert [card.value for card in after["cards"][3:5]] == ["0", "1"] and after["failures"]["jobs"] == 0
        assert after["cards"][0].value == "1"  # the one that was retried

    def test_that_ends_the_session_leaves_none(self, admin: Client) -> None:
        admin.post("/admin/logout/")
        assert "sessionid" not in admin.cookies or not admin.cookies["sessionid"].value


class TestStopAll:
    def stop(self, client: Client, **fields: str) -> str:
        asked = {"word": "stop", "reason": "the bill explodes", **fields}
        return unescape(html_of(client.post("/admin/stop/", asked, follow=True)))

    def test_says_what_would_be_stopped_and_does_nothing(self, admin: Client) -> None:
        make_job(at=clock.now(), tickets=4)
        make_job(State.RUNNING, at=clock.now())
        shown = unescape(html_of(admin.get("/admin/stop/")))
        for words in ("Stop all?", "Nothing changes until", "1 job, 4 tickets returned", "Up to $2.00 may still be billed"):
            assert words in shown, words
        assert not QueueSettings.objects.current().paused

    @pytest.mark.parametrize("fields", [{"word": ""}, {"word": "yes"}, {"reason": "  "}])
    def test_wants_the_word_and_a_reason(self, admin: Client, fields: dict[str, str]) -> None:
        shown = self.stop(admin, **fields)
        assert 'role="alert"' in shown and not QueueSettings.objects.current().paused

    def test_pauses_the_queue_at_once(self, admin: Client) -> None:
        shown = self.stop(admin)
        assert (
            "The queue is paused" in shown
            and "<b>ana</b> paused the queue at" in shown
            and "“<bdi>the bill explodes</bdi>”" in shown
        )
        settings = QueueSettings.objects.current()
        assert (settings.paused, settings.paused_reason) == (True, "the bill explodes")
        assert not BulkAction.objects.exists()
        assert "the bill explodes" in page(admin) and "Resume queue" in page(admin)

    def test_cancels_what_waits_and_what_runs_with_the_undo_of_any_bulk_action(self, admin: Client) -> None:
        queued, running = make_job(at=clock.now()), make_job(State.RUNNING, at=clock.now())
        make_job(State.STORING, at=clock.now())
        self.stop(admin, queued="1", running="1")
        actions = BulkAction.objects.order_by("id")
        assert [(one.verb, one.phase, one.job_ids, one.reason) for one in actions] == [
            ("cancel", "waiting", [running.pk], "the bill explodes"),
            ("cancel", "waiting", [queued.pk], "the bill explodes"),
        ]
        assert Job.objects.get(pk=queued.pk).state == State.QUEUED

    def test_pressed_twice_cancels_once_so_that_one_undo_is_enough(self, admin: Client) -> None:
        make_job(at=clock.now())
        assert "and 1 job is about to be cancelled" in self.stop(admin, queued="1")
        shown = self.stop(admin, queued="1")
        action = BulkAction.objects.get()
        assert "No more jobs to cancel." in shown and f"/admin/queue_app/bulkaction/{action.pk}/" in shown

    def test_says_what_it_did_what_it_will_do_and_what_it_leaves_alone(self, admin: Client) -> None:
        queued = [make_job(at=clock.now(), tickets=4) for _ in range(2)]
        for state in (State.RUNNING, State.STORING, State.UNKNOWN):
            make_job(state, at=clock.now())
        shown = self.stop(admin, queued="1")
        for words in (
            "8 tickets will be returned to 2 wallets. Undo keeps the jobs; the queue stays paused.",
            "<b>Queue paused</b>",
            "<b>Cancel 2 jobs</b>",
            "<b>1 running job will finish</b>",
            "<b>1 job being saved</b>",
            "<b>1 job with an unknown outcome stays as it is</b>",
            "Resume now, or wait for the cancel",
        ):
            assert words in shown, words
        assert {job.state for job in Job.objects.filter(pk__in=[job.pk for job in queued])} == {State.QUEUED}

    def test_is_undone_in_one_place_whatever_it_cancels(self, admin: Client) -> None:
        for state in (State.QUEUED, State.RUNNING):
            make_job(state, at=clock.now())
        self.stop(admin, queued="1", running="1")
        shown = unescape(html_of(admin.post("/admin/stop/undo/", follow=True)))
        assert "Cancel undone. 2 jobs kept; the queue stays paused." in shown
        assert [one.phase for one in BulkAction.objects.all()] == ["undone", "undone"]
        assert QueueSettings.objects.current().paused
        shown = unescape(html_of(admin.post("/admin/stop/undo/", follow=True)))
        assert "No cancel is waiting to start." in shown

    def test_what_has_started_is_not_undone(self, admin: Client) -> None:
        make_job(at=clock.now())
        self.stop(admin, queued="1")
        cancelled(BulkAction.objects.get())
        shown = unescape(html_of(admin.post("/admin/stop/undo/", follow=True)))
        assert "No cancel is waiting to start." in shown and BulkAction.objects.get().phase == "done"

    def test_renews_itself_while_the_queue_is_paused_and_only_then(self, admin: Client) -> None:
        make_job(at=clock.now())
        assert 'hx-get="/admin/stop/"' not in html_of(admin.get("/admin/stop/"))
        self.stop(admin, queued="1")
        shown = html_of(admin.get("/admin/stop/"))
        (seen,) = re.findall(r'name="seen" value="(\w+)"', shown)
        asked = {"seen": seen}
        assert 'hx-get="/admin/stop/"' in shown
        assert admin.get("/admin/stop/", asked, headers={"HX-Request": "true"}).status_code == 204
        cancelled(BulkAction.objects.get())
        answer = admin.get("/admin/stop/", asked, headers={"HX-Request": "true"})
        assert answer.status_code == 200 and "Resume and retry 1 job…" in unescape(html_of(answer))

    def test_more_than_one_action_takes_are_several_and_so_is_the_way_back(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bulk.record, "MOST", 2)
        jobs = [make_job(at=clock.now()).pk for _ in range(5)]
        self.stop(admin, queued="1")
        found = stop.last()
        assert found is not None and [one.job_ids for one in found.actions] == [jobs[:2], jobs[2:4], jobs[4:]]
        cancelled(*found.actions[:2])
        shown = unescape(admin.post("/admin/stop/queue-again/", follow=True).content.decode())
        assert "This needs 2 bulk actions. Open and confirm each one." in shown
        assert [one.job_ids for one in BulkAction.objects.filter(verb="retry").order_by("id")] == [jobs[:2], jobs[2:4]]

    def test_the_pause_stands_whatever_becomes_of_the_rest(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        make_job(at=clock.now())
        monkeypatch.setattr(bulk, "confirm", Mock(side_effect=OperationalError("the database went away")))
        with pytest.raises(OperationalError):
            self.stop(admin, queued="1")
        assert QueueSettings.objects.current().paused
        assert "Resume queue" in page(admin)

    def test_the_way_back_queues_again_what_was_cancelled(self, admin: Client) -> None:
        job = make_job(at=clock.now())
        self.stop(admin, queued="1")
        found = stop.last()
        assert found is not None and [one.job_ids for one in found.actions] == [[job.pk]]
        shown = unescape(admin.post("/admin/stop/queue-again/", follow=True).content.decode())
        assert "No cancelled jobs left to retry." in shown

        cancelled(*found.actions)
        answer = admin.post("/admin/stop/queue-again/")
        draft = BulkAction.objects.get(verb="retry")
        assert (draft.phase, draft.job_ids) == ("draft", [job.pk])
        assert answer.headers["Location"] == f"/admin/queue_app/bulkaction/{draft.pk}/change/"
        assert QueueSettings.objects.current().paused

    def test_the_way_back_may_resume_the_queue_in_the_same_step(self, admin: Client) -> None:
        make_job(at=clock.now())
        self.stop(admin, queued="1")
        cancelled(BulkAction.objects.get())
        shown = unescape(html_of(admin.post("/admin/stop/queue-again/", {"resume": "1"}, follow=True)))
        assert "Queue resumed." in shown and "Retry 1 job?" in shown
        assert not QueueSettings.objects.current().paused
        shown = unescape(html_of(admin.get("/admin/stop/")))  # not confirmed yet: still offered there
        assert "Last stop" in shown and "Retry 1 cancelled job…" in shown and "Stop all?" in shown
        cancelled(bulk.confirm(BulkAction.objects.get(verb="retry"), at=clock.now(), actor=BulkAction.objects.first().actor))
        assert "Last stop" not in html_of(admin.get("/admin/stop/"))


class TestRights:
    CHANGES = ("limit", "pause", "resume", "end-cooldown", "stop", "stop/undo", "stop/queue-again")

    def test_a_viewer_sees_everything_and_no_button(self, staff_with: StaffWith) -> None:
        make_job(State.FAILED, at=clock.now())
        _, client = staff_with("view_job", "view_auditentry", "view_workerprocess")
        shown = page(client)
        assert "Capacity" in shown and "provider_failed" in shown and "Workers" in shown
        main = shown[shown.index('id="board"') :]
        assert "<form" not in main and "Pause" not in main and "Stop all" not in main

    @pytest.mark.parametrize("address", CHANGES)
    def test_and_may_change_nothing(self, staff_with: StaffWith, address: str) -> None:
        _, client = staff_with("view_job", "change_modelconcurrencylimit")
        asked = {"what": "model", "key": "sora-2", "value": "9", "word": "stop", "reason": "x"}
        assert client.post(f"/admin/{address}/", asked).status_code == 403
        assert limit_of("sora-2") == 4 and not QueueSettings.objects.current().paused

    def test_nor_ask_what_if(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_job")
        assert client.get("/admin/limit/forecast/", {"what": "model", "key": "sora-2", "value": "9"}).status_code == 403

    def test_an_operator_may(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_job", "operate_queue")
        assert set_limit(client, "model", "sora-2", "9").status_code == 302
        assert limit_of("sora-2") == 9 and "Stop all…" in page(client)

    def test_parts_follow_the_rights(self, staff_with: StaffWith) -> None:
        make_job(State.UNKNOWN, at=clock.now())
        _, client = staff_with("view_job")
        shown = page(client)
        assert "Recent activity" not in shown and "part-workers" not in shown and "may or may not have" not in shown

    def test_who_may_not_see_jobs_gets_the_sections(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_wallet")
        shown = page(client)
        assert "You can't see the queue" in shown and "/admin/queue_app/wallet/" in shown and "part-cards" not in shown

    def test_end_users_are_sent_to_the_log_in(self, client: Client) -> None:
        for address in ("", "limit/", "pause/", "stop/", "sections/"):
            assert client.get(f"/admin/{address}").status_code == 302

    def test_a_look_changes_nothing(self, admin: Client) -> None:
        for address in ("limit", "resume", "end-cooldown", "stop/undo", "stop/queue-again"):
            assert admin.get(f"/admin/{address}/", {"what": "queue", "value": "3"}).status_code == 302
        assert not AuditEntry.objects.exists()
