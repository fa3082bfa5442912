"""The audit: found by who, what and when; each entry readable; and shown on the page of the thing that was changed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Dimension
from queue_app import clock
from queue_app.admin.audit import calendar_days
from queue_app.models import AuditEntry, BulkAction, ModelConcurrencyLimit, OutboxMessage, User
from queue_app.ui import display, history
from queue_app.work import bulk, grants, jobs, policy, stop
from tests.admin.conftest import StaffWith
from tests.campaigns.support import make_campaign
from tests.factories import BatchFactory, UserFactory, make_endpoint, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
LIST = "/admin/queue_app/auditentry/"
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""
Verb = BulkAction.Verb


@pytest.fixture
def ada() -> User:
    return UserFactory(staff=True, tickets=0, username="ada", rights=["operate_queue"])


@pytest.fixture
def lowered(ada: User) -> AuditEntry:
    """Ada has lowered the limit of sora-2 from 4 to 2."""
    limit = ModelConcurrencyLimit.objects.get(model="sora-2")
    policy.change(limit, at=clock.now(), actor=ada, reason="a quiet day", max_concurrent=2)
    return AuditEntry.objects.get()


class TestList:
    @pytest.fixture
    def targets(self, admin: Client) -> Callable[..., list[str]]:
        def found(**asked: str) -> list[str]:
            answer = admin.get(LIST, asked)
            assert answer.status_code == 200
            return [entry.target for entry in answer.context["cl"].result_list]

        return found

    @pytest.fixture(autouse=True)
    def entries(self, ada: User) -> None:
        bob, now = UserFactory(staff=True, tickets=0, username="bob"), clock.now()
        for actor, action, target, age in (
            (ada, "set model limit", "sora-2", 0),
            (ada, "grant tickets", "carol", 3),
            (bob, "set model limit", "kling-1.6", 40),
        ):
            policy.audit(action, target, at=now - timedelta(days=age), actor=actor, reason=f"for {target}")

    def test_is_newest_first(self, targets: Callable[..., list[str]]) -> None:
        assert targets() == ["kling-1.6", "carol", "sora-2"]

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"who": "ada"}, ["carol", "sora-2"]),
            ({"action": "set model limit"}, ["kling-1.6", "sora-2"]),
            ({"who": "bob", "action": "set model limit"}, ["kling-1.6"]),
            ({"when": "24h"}, ["sora-2"]),
            ({"when": "7d"}, ["carol", "sora-2"]),
            ({"q": "bob"}, ["kling-1.6"]),
            ({"q": "for carol"}, ["carol"]),
            ({"when": "soon"}, ["kling-1.6", "carol", "sora-2"]),
            ({"about": "queue_app.wallet"}, []),
        ],
    )
    def test_is_found_by_who_what_and_when(
        self, targets: Callable[..., list[str]], asked: dict[str, str], found: list[str]
    ) -> None:
        assert targets(**asked) == found

    def test_is_found_by_month_and_day(self, targets: Callable[..., list[str]]) -> None:
        day = clock.now() - timedelta(days=40)
        assert "kling-1.6" in targets(when=f"{day:%Y-%m}")
        assert targets(when=f"{day:%Y-%m-%d}") == ["kling-1.6"]

    def test_offers_the_days_of_a_chosen_month(self, admin: Client) -> None:
        assert "?when=2026-02-28" in admin.get(LIST, {"when": "2026-02"}).content.decode()

    def test_costs_the_same_number_of_queries_with_more_rows(
        self, admin: Client, django_assert_max_num_queries: Callable[[int], object], ada: User
    ) -> None:
        for number in range(30):
            policy.audit("set model limit", f"model {number}", at=clock.now(), actor=ada)
        with django_assert_max_num_queries(13):
            admin.get(LIST)

    @pytest.mark.parametrize("word", ["", "2026", "2026-13", "2026-02-30", "9999999", "----------", "٢٠٢٦-٠٢"])
    def test_what_is_no_date_is_none(self, word: str) -> None:
        assert calendar_days(word) == []


class TestSentences:
    """What the list shows of an entry."""

    def told(self, client: Client, **asked: str) -> list[tuple[str, str, list[str]]]:
        """Return of each entry the sentence with its actor and reason, the address of its target, and the figures."""
        days = client.get(LIST, asked).context["cl"].days
        return [
            (
                f"{deed.entry.actor_name} {deed.told}" + (f": {deed.entry.reason}" if deed.entry.reason else ""),
                deed.url,
                [*(f"{one.name}: {one.before} → {one.after}" for one in deed.changes), *deed.notes],
            )
            for day in days
            for deed in day.deeds
        ]

    def test_a_limit_is_raised_or_lowered(self, admin: Client, lowered: AuditEntry, ada: User) -> None:
        limit = ModelConcurrencyLimit.objects.get(model="sora-2")
        policy.change(limit, at=clock.now(), actor=ada, max_concurrent=7)
        url = reverse("admin:queue_app_modelconcurrencylimit_change", args=["sora-2"])
        assert self.told(admin) == [
            ("ada raised the limit of sora-2", url, ["Concurrent jobs: 2 → 7"]),
            ("ada lowered the limit of sora-2: a quiet day", url, ["Concurrent jobs: 4 → 2"]),
        ]

    def test_a_pause_says_its_reason_and_end_and_a_rule_is_no_person(self, admin: Client) -> None:
        limit, until = ModelConcurrencyLimit.objects.get(model="sora-2"), clock.now() + timedelta(days=2)
        pause = {"paused": True, "paused_reason": "four unknown outcomes", "paused_until": until}
        policy.change(limit, at=clock.now(), actor=None, reason="four unknown outcomes", **pause)
        ((sentence, _, notes),) = self.told(admin)
        assert sentence == "genqueue paused model sora-2: four unknown outcomes"
        assert notes == [f"until {display.moment(until, clock.now())}"]
        assert admin.get(LIST).context["cl"].days[0].deeds[0].is_system

    def test_a_bulk_action_its_run_and_its_undo_are_one(self, admin: Client, ada: User) -> None:
        jobs, at = [make_job().pk, make_job().pk], clock.now()
        undone, run = (bulk.draft(Verb.CANCEL, jobs, at=at, actor=ada, chosen="by hand") for _ in range(2))
        bulk.confirm(undone, at=at, actor=ada, reason="wrong brand")
        bulk.undo(undone, at=at, actor=ada)
        bulk.confirm(run, at=at, actor=ada)
        bulk.run_now(run, at=at, actor=ada)
        BulkAction.objects.filter(pk=run.pk).update(results={"cancelled": 1, "refused": 1})
        time = display.moment(at, clock.now())
        assert self.told(admin) == [
            (
                "ada cancelled 2 jobs",
                f"/admin/queue_app/bulkaction/{run.pk}/change/",
                ["selected: by hand", f"started immediately at {time}", "1 cancelled, 1 skipped"],
            ),
            (
                "ada cancelled 2 jobs: wrong brand",
                f"/admin/queue_app/bulkaction/{undone.pk}/change/",
                ["selected: by hand", f"undone at {time}"],
            ),
        ]

    def test_what_another_undid_is_an_entry_of_theirs(self, admin: Client, ada: User) -> None:
        at, bob = clock.now(), UserFactory(staff=True, tickets=0, username="bob", rights=["operate_queue"])
        action = bulk.draft(Verb.PRIORITY, [make_job().pk], at=at, actor=ada, chosen="by hand", options={"priority": "10"})
        bulk.confirm(action, at=at, actor=ada)
        bulk.undo(action, at=at, actor=bob)
        told = self.told(admin)
        assert [sentence for sentence, _, _ in told] == [
            "bob undid Set priority of 1 job",
            "ada set the priority of 1 job to high",
        ]
        assert told[1][2][1].startswith("undone by bob at ")

    def test_a_stop_says_what_it_cancels(self, admin: Client, ada: User) -> None:
        make_job()
        stop.stop_all(at=clock.now(), actor=ada, reason="invoice dispute", cancel_queued=True)
        told = {sentence: notes for sentence, _, notes in self.told(admin)}
        assert told["ada stopped the whole queue: invoice dispute"] == ["queue paused", "cancelling 1 job"]
        assert "ada paused the whole queue: invoice dispute" in told

    def test_a_launch_is_in_it_with_its_cost(self, admin: Client) -> None:
        campaign = make_campaign(UserFactory(username="carol"), name="Autumn scent")
        assert self.told(admin) == [
            (
                "carol launched campaign Autumn scent",
                reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
                ["4 jobs", "16 tickets reserved"],
            )
        ]

    def test_tickets_batches_and_jobs_are_called_by_their_names(self, admin: Client, ada: User) -> None:
        at, owner, batch = clock.now(), UserFactory(username="carol"), BatchFactory(name="Winter")
        grants.grant(owner, 50, at=at, actor=ada, reason="spring budget")
        policy.pause_batch(batch, at=at, actor=ada)
        jobs.cancel(job := make_job(owner=owner), at=at, actor=ada, reason="asked by phone")
        assert [sentence for sentence, _, _ in self.told(admin, who="ada")] == [
            f"ada cancelled job {job.pk}: asked by phone",
            "ada paused batch Winter",
            "ada granted 50 tickets to carol: spring budget",
        ]

    @pytest.mark.parametrize("action", ["stretch sky", "cancel", "", "{0}", "set  limit"])
    def test_an_action_of_another_version_is_told_in_its_own_words(self, admin: Client, ada: User, action: str) -> None:
        policy.audit(action, "the {sky}", at=clock.now(), actor=ada)
        ((sentence, url, notes),) = self.told(admin)
        assert sentence.endswith("the {sky}") and not url and not notes

    def test_come_by_day(self, admin: Client, ada: User) -> None:
        now = clock.now()
        for age in (400, 1, 0, 0):
            policy.audit("set password", "carol", at=now - timedelta(days=age), actor=ada)
        days = admin.get(LIST).context["cl"].days
        year = (timezone.localtime(now) - timedelta(days=400)).year
        assert [len(day.deeds) for day in days] == [2, 1, 1]
        assert [day.name.partition(",")[0] for day in days[:2]] == ["Today", "Yesterday"] and days[2].name.endswith(f" {year}")

    def test_hostile_text_is_text(self, admin: Client, ada: User) -> None:
        changed = {"before": {"name": "a"}, "after": {"name": HOSTILE}}
        policy.audit("change brand", HOSTILE, at=clock.now(), actor=ada, reason=HOSTILE, **changed)
        text = admin.get(LIST).content.decode()
        assert text.count("&lt;script&gt;alert(1)") == 3 and "7|add:7" in text
        assert "<script>alert" not in text and "<img src=x" not in text


class TestDownload:
    def test_is_the_list_with_its_filters_as_csv(self, admin: Client, lowered: AuditEntry, ada: User) -> None:
        policy.audit("set password", "=cmd()", at=clock.now(), actor=UserFactory(username="bob"))
        rows = b"".join(admin.get(f"{LIST}export/", {"who": "ada"})).decode().splitlines()  # type: ignore[call-overload]
        assert rows[0].endswith('"Time","Who","Action","Target","Change","Reason"') and len(rows) == 2
        assert '"ada","set model limit","sora-2","concurrent jobs: 4 → 2","a quiet day"' in rows[1]
        assert "'=cmd()" in b"".join(admin.get(f"{LIST}export/")).decode()  # type: ignore[call-overload]

    def test_is_for_those_who_may_read_the_audit(self, staff_with: StaffWith) -> None:
        assert staff_with("view_job")[1].get(f"{LIST}export/").status_code == 403


class TestEntry:
    def test_shows_before_and_after_in_the_words_of_the_form(self, admin: Client, lowered: AuditEntry) -> None:
        page = html_of(admin.get(f"{LIST}{lowered.pk}/change/"))
        assert '<th scope="row">Concurrent jobs</th><td class="gq-quiet">4</td><td>2</td>' in page
        assert "a quiet day" in page and "?who=ada" in page
        assert reverse("admin:queue_app_modelconcurrencylimit_change", args=["sora-2"]) in page

    def test_of_what_is_gone_leads_nowhere(self, lowered: AuditEntry) -> None:
        lowered.target_pk = "vhs-1"
        assert history.address(lowered) == ""
        lowered.target_model = "queue_app.taperecorder"
        assert history.address(lowered) == ""

    def test_values_are_said_as_people_say_them(self) -> None:
        entry = AuditEntry(
            before={"paused": False, "paused_until": None, "groups": []},
            after={"paused": True, "paused_until": "2026-11-20T12:00:00Z", "groups": ["Viewer", "Finance"]},
        )
        said = [(change.before, change.after) for change in history.changes(entry)]
        assert said == [("no", "yes"), ("–", "20 Nov 2026, 12:00:00 UTC"), ("–", "Viewer, Finance")]

    def test_nobody_changes_or_removes_one(self, admin: Client, lowered: AuditEntry) -> None:
        assert admin.post(f"{LIST}{lowered.pk}/change/", {"reason": "another"}).status_code == 403
        assert admin.post(f"{LIST}{lowered.pk}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("number", ["x", "9" * 30, "0"])
    def test_one_that_is_not_there_leads_back(self, admin: Client, number: str) -> None:
        assert admin.get(f"{LIST}{number}/change/").status_code == 302


class TestHistoryOfAThing:
    def test_is_its_audit(self, admin: Client, lowered: AuditEntry) -> None:
        page = admin.get(reverse("admin:queue_app_modelconcurrencylimit_history", args=["sora-2"])).content.decode()
        assert "Concurrent jobs" in page and "ada" in page and "a quiet day" in page
        assert f"{LIST}{lowered.pk}/change/" in page

    def test_is_its_own_alone(self, admin: Client, lowered: AuditEntry) -> None:
        page = admin.get(reverse("admin:queue_app_modelconcurrencylimit_history", args=["kling-1.6"])).content.decode()
        assert "No changes yet" in page

    def test_needs_the_right_to_see_the_thing(self, staff_with: StaffWith, lowered: AuditEntry) -> None:
        address = reverse("admin:queue_app_modelconcurrencylimit_history", args=["sora-2"])
        assert staff_with("view_job")[1].get(address).status_code == 403
        page = staff_with("view_modelconcurrencylimit")[1].get(address)
        assert page.status_code == 200 and f"{LIST}{lowered.pk}/" not in page.content.decode()

    def test_of_a_user_tells_rights_and_passwords_set(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        form = {
            "username": user.username,
            "email": user.email,
            "is_active": "on",
            "is_staff": "on",
            "max_concurrent": "",
            "share_weight": "1",
        }
        admin.post(f"/admin/queue_app/user/{user.pk}/change/", {**form, "last_login_0": "", "last_login_1": ""})
        new = {"password1": "a-new-password-1", "password2": "a-new-password-1", "usable_password": "true"}
        assert admin.post(f"/admin/queue_app/user/{user.pk}/password/", new).status_code == 302
        page = admin.get(f"/admin/queue_app/user/{user.pk}/history/").content.decode()
        assert "Staff status" in page and "Set password" in page and "a-new-password-1" not in page

    def test_of_a_wallet_tells_grants_by_command(self, admin: Client) -> None:
        user = UserFactory()
        call_command("grant_tickets", user.username, "7", reason="for the fair")
        page = admin.get(reverse("admin:queue_app_wallet_history", args=[user.wallet.pk])).content.decode()
        assert "Grant tickets" in page and "for the fair" in page

    def test_of_a_user_tells_their_keys_made_and_revoked(self, admin: Client, capsys: pytest.CaptureFixture[str]) -> None:
        user = UserFactory(tickets=0)
        call_command("create_api_key", user.username)
        key = capsys.readouterr().out.strip()
        row = user.auth_token_set.get()
        admin.post(reverse("admin:queue_app_apikey_delete", args=[row.pk]), {"post": "yes"})
        page = admin.get(f"/admin/queue_app/user/{user.pk}/history/").content.decode()
        assert "Add API key" in page and "read, submit" in page and key not in page
        assert "Revoke API key" in page

    def test_of_a_dimension_tells_what_became_of_its_values(self, admin: Client) -> None:
        mood = Dimension.objects.get(key="mood")
        values = list(mood.values.order_by("position", "id"))
        form = {"label": mood.label, "prompt_label": mood.prompt_label, "position": mood.position}
        form |= {"values-TOTAL_FORMS": len(values), "values-INITIAL_FORMS": len(values)}
        for place, value in enumerate(values):
            row = {"id": value.pk, "dimension": mood.pk, "label": value.label + "!" * (place == 0), "position": value.position}
            form |= {f"values-{place}-{name}": content for name, content in row.items()}
        assert admin.post(reverse("admin:campaigns_dimension_change", args=[mood.pk]), form).status_code == 302
        page = admin.get(reverse("admin:campaigns_dimension_history", args=[mood.pk])).content.decode()
        assert "Change dimension value" in page and f"{values[0].label}!" in page


class TestOutbox:
    def test_is_narrowed_to_a_channel_or_event_without_a_look_at_all_its_rows(self, admin: Client) -> None:
        make_endpoint(owner := UserFactory())
        make_job("failed", owner=owner, notify=True)
        outbox = "/admin/queue_app/outboxmessage/"

        with CaptureQueriesContext(connection) as asked:
            html = html_of(admin.get(outbox))

        assert not [query["sql"] for query in asked if "DISTINCT" in query["sql"]]
        assert "?channel=emails" in html and "?event=wallet.low" in html and "?event=batch_ended" in html
        found = admin.get(outbox, {"channel": "webhooks", "event": "job.failed"}).context["cl"].result_list
        assert list(found) == [OutboxMessage.objects.get(channel="webhooks")]
