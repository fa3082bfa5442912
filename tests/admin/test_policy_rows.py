"""What staff set in the admin: limits and pauses of batches, peak hours as they would be, and what each field says of itself."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django import forms
from django.contrib import admin as admin_site
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory

from queue_app import clock
from queue_app.models import (
    AuditEntry,
    Batch,
    GenerationModel,
    Kind,
    ModelConcurrencyLimit,
    ProviderAccount,
    QueueSettings,
    TicketBudget,
    User,
)
from queue_app.work import policy
from tests.admin.conftest import StaffWith
from tests.factories import BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
BATCHES = "/admin/queue_app/batch/"
OPERATE = "operate_queue"


def form(**fields: str) -> dict[str, str]:
    empty = {"max_concurrent": "", "paused_reason": "", "paused_until_0": "", "paused_until_1": "", "why": ""}
    return {**empty, **fields}


class TestABatch:
    def test_gets_a_limit_from_an_operator_with_an_audit_entry(self, staff_with: StaffWith) -> None:
        ana, client = staff_with(OPERATE, "view_batch")
        batch = BatchFactory()
        assert client.post(f"{BATCHES}{batch.pk}/change/", form(max_concurrent="3", why="a quiet day")).status_code == 302
        batch.refresh_from_db()
        entry = AuditEntry.objects.get()
        assert (batch.max_concurrent, entry.actor, entry.action) == (3, ana, "change batch")
        assert (entry.before, entry.after, entry.reason) == ({"max_concurrent": None}, {"max_concurrent": 3}, "a quiet day")

    def test_is_not_changed_by_those_who_only_look(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_batch")
        batch = BatchFactory()
        assert client.post(f"{BATCHES}{batch.pk}/change/", form(max_concurrent="3")).status_code == 403

    def test_refuses_a_limit_above_50(self, admin: Client) -> None:
        batch = BatchFactory()
        answer = admin.post(f"{BATCHES}{batch.pk}/change/", form(max_concurrent="51"))
        assert "max_concurrent" in answer.context["adminform"].form.errors

    def test_is_paused_with_a_reason_and_an_end_and_resumed(self, admin: Client) -> None:
        batch = BatchFactory()
        job, page = make_job(batch=batch), f"{BATCHES}{batch.pk}/change/"
        refused = admin.post(page, form(paused="on"))
        assert refused.context["adminform"].form.errors == {
            "paused_reason": ["Enter a reason. Everyone with a waiting job sees it."]
        }
        asked = form(paused="on", paused_reason="legal check", paused_until_0="2030-01-02", paused_until_1="08:00")
        assert admin.post(page, asked).status_code == 302
        batch.refresh_from_db()
        job.refresh_from_db()
        assert (batch.paused, batch.paused_reason, str(batch.paused_until)) == (True, "legal check", "2030-01-02 08:00:00+00:00")
        assert job.held and "legal check" in admin.get(BATCHES).content.decode()
        assert admin.post(page, form()).status_code == 302
        job.refresh_from_db()
        assert not job.held
        assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == ["pause batch", "resume batch"]

    def test_is_paused_with_others_from_the_list_after_a_reason(self, admin: Client) -> None:
        picked = [BatchFactory().pk, BatchFactory().pk]
        asked = {"action": "pause", "_selected_action": picked}
        page = admin.post(BATCHES, asked).content.decode()
        assert "Pause 2 batches?" in page and not Batch.objects.filter(paused=True).exists()
        assert "Enter a reason." in admin.post(BATCHES, {**asked, "minutes": "60", "reason": " "}).content.decode()
        before = clock.now()
        admin.post(BATCHES, {**asked, "minutes": "60", "reason": "legal check"})
        paused = Batch.objects.filter(paused=True, paused_reason="legal check", paused_until__gte=before + timedelta(hours=1))
        assert sorted(paused.values_list("pk", flat=True)) == sorted(picked)


@pytest.mark.parametrize("hold", ["queue:", "model:sora-2", "account:openai_videos"])
def test_a_pause_on_the_dashboard_needs_a_reason(admin: Client, hold: str) -> None:
    asked = {"hold": hold, "minutes": "15"}
    refused = admin.post("/admin/pause/", asked)
    assert "Enter a reason. Everyone with a waiting job sees it." in refused.content.decode()
    assert '<option value="15" selected>' in refused.content.decode()
    assert not AuditEntry.objects.exists()
    assert admin.post("/admin/pause/", {**asked, "reason": "stocktaking"}).status_code == 302
    assert AuditEntry.objects.get().after["paused_reason"] == "stocktaking"


@pytest.mark.parametrize("level", [-101, 101, 30_000])
def test_no_row_gives_a_priority_outside_the_range_that_jobs_have(level: int) -> None:
    for row, name in ((QueueSettings.objects.current(), "bulk_priority"), (Kind.objects.get(pk="doubt"), "default_priority")):
        with pytest.raises(ValidationError) as refused:
            policy.change(row, at=clock.now(), actor=UserFactory(), **{name: level})
        assert [*refused.value.message_dict] == [name]


class TestPeakHoursPage:
    def day(self, admin: Client, **typed: str) -> str:
        page = unescape(admin.post("/admin/queue_app/queuesettings/day/", typed).content.decode())
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))

    def test_shows_a_day_by_the_values_that_are_typed(self, admin: Client) -> None:
        shown = self.day(admin, max_concurrent="7", peak_hours="22:00-02:00", peak_factor="2", peak_time_zone="Asia/Tokyo")
        assert "00:00–02:00 limit 14, peak 02:00–22:00 limit 7 22:00–24:00 limit 14, peak" in shown
        assert "in Asia/Tokyo" in shown
        assert QueueSettings.objects.current().max_concurrent == 10

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"peak_hours": "9 to 5"}, "“9 to 5” is not a time range."),
            ({"peak_time_zone": "Mars/Olympus"}, "“Mars/Olympus” is not a time zone. Use a name like Europe/Madrid or UTC."),
            ({"peak_factor": "0.5"}, "Enter a peak factor from 1 to 99.99."),
            ({"peak_factor": "NaN"}, "Enter a peak factor from 1 to 99.99."),
            ({"max_concurrent": "many"}, "Enter the concurrent jobs of the whole queue."),
        ],
    )
    def test_says_what_is_wrong_with_them(self, admin: Client, typed: dict[str, str], said: str) -> None:
        assert said in self.day(admin, **typed)

    def test_is_on_the_page_of_the_settings_with_the_zone(self, admin: Client) -> None:
        policy.change(QueueSettings.objects.current(), at=clock.now(), actor=UserFactory(), peak_time_zone="Europe/Madrid")
        page = admin.get("/admin/queue_app/queuesettings/1/change/").content.decode()
        assert "Europe/Madrid. Peak hours follow the clocks there" in re.sub(r"\s+", " ", page)


UNIT = re.compile(
    r"seconds|minutes|\bdays|hours of the day|time of day|dollars|characters|date and time|time zone|tickets that|how many|"
    r"how often|turns in|times the limit|larger numbers",
    re.I,
)
DEFAULT = re.compile(r"Default: |Empty: |No default\.")
EXAMPLE = re.compile(r"Example: ")
HAS_NO_UNIT = (forms.BooleanField, forms.TypedChoiceField)
# model → fields that decide when a job starts, runs, is tried again or pauses
POLICY: dict[type, str] = {
    QueueSettings: "max_concurrent user_max_concurrent peak_hours peak_time_zone peak_factor fair_share aging_minutes "
    "bulk_priority matrix_breaker paused paused_reason paused_until",
    Kind: "default_priority max_concurrent timeout_seconds max_attempts backoff retry_base_seconds retry_cap_seconds "
    "files_kept_days payloads_kept_days",
    GenerationModel: "typical_seconds timeout_seconds max_attempts backoff retry_base_seconds retry_cap_seconds",
    ModelConcurrencyLimit: "max_concurrent paused paused_reason paused_until",
    ProviderAccount: "max_concurrent daily_budget_usd paused paused_reason paused_until",
    User: "max_concurrent share_weight",
    Batch: "max_concurrent paused paused_reason paused_until",
    TicketBudget: "tickets period resets_at",
}


@pytest.mark.parametrize("model", POLICY, ids=lambda model: model.__name__)
def test_each_policy_is_in_the_admin_with_a_help_text_of_unit_default_and_example(model: type) -> None:
    request = RequestFactory().get("/")
    request.user = UserFactory(admin=True)
    fields = admin_site.site._registry[model].get_form(request, model()).base_fields
    for name in POLICY[model].split():
        said = str(fields[name].help_text)
        wanted = (DEFAULT, EXAMPLE) if isinstance(fields[name], HAS_NO_UNIT) else (UNIT, DEFAULT, EXAMPLE)
        assert all(one.search(said) for one in wanted), f"{name}: {said}"
