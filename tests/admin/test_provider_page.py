"""The page of a provider account: what it shows, and the two things that its buttons do."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client

from queue_app import clock
from queue_app.models import Attempt, AuditEntry, InboundWebhook, ModelRoute, ProviderAccount
from tests.admin.conftest import StaffWith
from tests.factories import make_job
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import free_port
from tests.providers.wire import WireServer, answer, reset

pytestmark = pytest.mark.django_db
KEY = "sk-very-secret-12345"
KEYS = {
    "OPENAI_VIDEOS_API_KEY": KEY,
    "FAL_KEY": KEY,
    "REPLICATE_API_TOKEN": KEY,
    "OPENROUTER_API_KEY": KEY,
    "OPENAI_IMAGES_API_KEY": KEY,
    "CHAT_API_KEY": KEY,
}
ACCOUNTS = ("openai_videos", "fal", "replicate", "openrouter", "openai_images", "chat")


def address(account: str, page: str = "change") -> str:
    return f"/admin/queue_app/provideraccount/{account}/{page}/"


def words(answer: Any) -> str:
    """Return what a page says, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[WireServer]:
    """A provider of every kind, whose key is set."""
    with WireServer() as server:
        ProviderAccount.objects.filter(pk__in=ACCOUNTS).update(base_url=server.url)
        settings.PROVIDER_KEYS, settings.TRUSTED_ORIGINS = KEYS, [server.url]
        yield server


@pytest.fixture(scope="module")
def studio_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path_factory.mktemp("studio"))
    yield process
    process.stop()


class TestThePage:
    def test_says_whether_the_key_is_set_and_never_shows_it(self, admin: Client, provider: WireServer, settings: Any) -> None:
        page = admin.get(address("fal"))
        assert "Set FAL_KEY Read from the environment" in words(page) and "Ready" in words(page)
        assert KEY not in page.content.decode() and KEY[-4:] not in words(page)
        settings.PROVIDER_KEYS = {}
        said = words(admin.get(address("fal")))
        assert "Not set FAL_KEY" in said and "The studio simulates this provider." in said

    def test_says_when_nothing_can_be_generated_there(self, admin: Client, settings: Any) -> None:
        settings.ALLOW_STUDIO = False
        assert "No API key" in words(admin.get(address("fal")))

    def test_names_what_keeps_jobs_waiting(self, admin: Client) -> None:
        at = clock.now()
        ProviderAccount.objects.filter(pk="fal").update(
            cooldown_until=at + timedelta(minutes=5), lowered_by=1, lowered_at=at, max_concurrent=2
        )
        said = words(admin.get(address("fal")))
        assert "Cooling down until" in said and "Rate limits lowered the limit by 1." in said
        ProviderAccount.objects.filter(pk="fal").update(paused=True, paused_reason="quality check")
        assert "Paused" in words(admin.get(address("fal")))

    def test_lists_models_with_their_routes(self, admin: Client, provider: WireServer) -> None:
        ModelRoute.objects.filter(account="fal", model="veo-3.1").update(reason="Dear.")
        said = words(admin.get(address("fal")))
        assert "veo-3.1 fal-ai/veo3.1 Dear. After a check" in said
        assert "nano-banana-pro fal-ai/nano-banana-pro Yes" in said

    def test_counts_the_last_day(self, admin: Client, provider: WireServer) -> None:
        at = clock.now()
        for state in ("completed", "completed", "failed", "running"):
            make_job(state, at=at - timedelta(hours=1))
        make_job("failed", at=at - timedelta(days=2))
        said = words(admin.get(address("openai_videos")))
        assert "sora-2 sora-2 Yes 30s 1 of 3" in said
        assert "retryable It broke. job" in said and said.count("It broke.") == 1
        assert "Running 1 / 4" in said

    def test_tells_how_fast_calls_are_accepted(self, admin: Client, provider: WireServer) -> None:
        assert "Half answered within –" in words(admin.get(address("openai_videos")))
        at = clock.now()
        for milliseconds in (100, 200, 300, 4_000):
            job = make_job("running", at=at)
            Attempt.objects.filter(job=job).update(accepted_at=at + timedelta(milliseconds=milliseconds))
        found = make_job("running", at=at)  # by a lookup, an hour later: no answer took so long
        Attempt.objects.filter(job=found).update(accepted_at=at + timedelta(hours=1), lookups=[{"took": "t-1"}])
        said = words(admin.get(address("openai_videos")))
        assert "last 4 accepted calls" in said
        assert "Half answered within 250 ms 95% answered within 4,000 ms" in said

    def test_adds_up_the_cost(self, admin: Client, provider: WireServer) -> None:
        at = clock.now()
        make_job("completed", at=at)
        make_job("completed", at=at - timedelta(days=5))
        Attempt.objects.update(cost=Decimal("1.25"))
        make_job("running", at=at)
        said = words(admin.get(address("openai_videos")))
        assert "Delivered today $1.25 Running, estimated $2.00" in said
        assert "Delivered, last 30 days $2.50" in said and "No daily budget." in said
        ProviderAccount.objects.filter(pk="openai_videos").update(daily_budget_usd="5.00")
        said = words(admin.get(address("openai_videos")))
        assert "Left of $5.00 $1.75" in said and "the account pauses until" in said

    def test_tells_of_webhooks(self, admin: Client, provider: WireServer, settings: Any) -> None:
        assert "Off: set PUBLIC_URL or WEBHOOK_URL" in words(admin.get(address("fal")))
        settings.WEBHOOK_URL = "https://queue.example"
        assert "None received yet." in words(admin.get(address("fal")))
        assert "Off: OPENAI_WEBHOOK_SECRET is not set" in words(admin.get(address("openai_videos")))
        settings.PROVIDER_KEYS = KEYS | {"OPENAI_WEBHOOK_SECRET": "whsec_x"}
        assert "https://queue.example/hooks/openai_videos/" in words(admin.get(address("openai_videos")))
        row = {"account_id": "fal", "type": "x", "effect": "checked"}
        InboundWebhook.objects.create(event_id="1", received_at=clock.now(), **row)
        InboundWebhook.objects.create(event_id="2", received_at=clock.now() - timedelta(days=2), **row)
        assert re.search(r"Verified last one \S+, 1 in the last 24 hours", words(admin.get(address("fal"))))

    def test_takes_as_many_queries_however_much_there_is(
        self, admin: Client, provider: WireServer, django_assert_num_queries: Any, django_assert_max_num_queries: Any
    ) -> None:
        admin.get(address("openai_videos"))
        with django_assert_max_num_queries(40) as before:
            admin.get(address("openai_videos"))
        for state in ("completed", "failed", "running") * 4:
            make_job(state, at=clock.now())
        with django_assert_num_queries(len(before)):
            admin.get(address("openai_videos"))

    def test_is_only_for_reading_without_the_right(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_provideraccount")
        page = client.get(address("fal"))
        assert page.status_code == 200
        assert "Test connection" not in words(page) and "/admin/queue_app/modelroute/" not in page.content.decode()

    def test_has_nothing_to_tell_of_a_new_account(self, admin: Client) -> None:
        page = admin.get("/admin/queue_app/provideraccount/add/")
        assert page.status_code == 200 and "Test connection" not in words(page)


class TestTheConnection:
    OK = {
        "openai_videos": {"data": [], "has_more": False},
        "fal": {"username": "acme", "credits": {"current_balance": 12.5}},
        "replicate": {"username": "acme"},
        "openrouter": {"data": {"limit_remaining": 74.5}},
        "openai_images": {"data": [{"id": "gpt-image-2"}]},
        "chat": {"data": [{"id": "gpt-5-mini"}]},
    }
    CALLS = {
        "openai_videos": "/v1/videos?limit=1",
        "fal": "/fal/v1/account/billing",
        "replicate": "/v1/account",
        "openrouter": "/api/v1/key",
        "openai_images": "/v1/models",
        "chat": "/v1/models",
    }
    TOLD = {"fal": " (account acme, $12.50 of credit)", "replicate": " (account acme)", "openrouter": " ($74.50 left on the key)"}

    def test_fits_the_table(self) -> None:
        assert set(ACCOUNTS) == self.OK.keys() == self.CALLS.keys()

    @pytest.mark.parametrize("account", ACCOUNTS)
    def test_is_tested_by_one_free_call(self, admin: Client, provider: WireServer, account: str) -> None:
        provider.says(answer(200, self.OK[account]))
        said = words(admin.post(address(account, "test"), follow=True))
        told = re.escape(self.TOLD.get(account, ""))
        assert re.search(
            rf"Connection works\. The provider answered in [\d,]+ ms and accepted the API key{told}\. Nothing was generated", said
        )
        (seen,) = provider.seen
        assert (seen.method, seen.target.startswith(self.CALLS[account])) == ("GET", True)
        assert KEY in str(seen.headers)

    @pytest.mark.parametrize("account", ACCOUNTS)
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (answer(401, {"error": {"message": f"Incorrect API key: {KEY}"}}), "Connection failed: HTTP 401: Incorrect API key"),
            (answer(402, {"detail": "Insufficient credit"}), "Add credit at the provider."),
            (answer(404, b"<html>"), "Check the base URL."),
            (answer(429, {"detail": "Slow down"}), "Try again in a few minutes."),
            (answer(200, b"<html>"), "Connection failed: HTTP 200: no"),
            (reset, "Connection failed: "),
        ],
        ids=["a bad key", "no credit", "no such place", "too many", "a page", "cut off"],
    )
    def test_that_fails_says_why_and_changes_nothing(
        self, admin: Client, provider: WireServer, account: str, reply: Any, said: str
    ) -> None:
        before = ProviderAccount.objects.filter(pk=account).values().get()
        provider.says(reply)
        page = admin.post(address(account, "test"), follow=True)
        assert said in words(page) and "Nothing was generated or charged." in words(page)
        assert KEY not in page.content.decode()
        assert ProviderAccount.objects.filter(pk=account).values().get() == before

    def test_that_nobody_answers(self, admin: Client, provider: WireServer, settings: Any) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        ProviderAccount.objects.filter(pk="fal").update(base_url=url)
        settings.TRUSTED_ORIGINS = [url]
        assert "Connection failed: " in words(admin.post(address("fal", "test"), follow=True))

    def test_to_a_private_address_is_refused(self, admin: Client, provider: WireServer, settings: Any) -> None:
        settings.TRUSTED_ORIGINS = []
        said = words(admin.post(address("fal", "test"), follow=True))
        assert "Connection failed: " in said and not provider.seen

    @pytest.mark.parametrize("account", ["studio", *ACCOUNTS])
    def test_without_a_key_is_one_to_the_studio(
        self, admin: Client, studio_process: StudioProcess, settings: Any, account: str
    ) -> None:
        settings.STUDIO_URL, settings.TRUSTED_ORIGINS = studio_process.url, [studio_process.url]
        said = words(admin.post(address(account, "test"), follow=True))
        assert "Connection works. The studio answered in" in said and "accepted the API key" not in said

    def test_cannot_be_tested_without_either(self, admin: Client, settings: Any) -> None:
        settings.ALLOW_STUDIO = False
        assert "Not tested: FAL_KEY is not set" in words(admin.post(address("fal", "test"), follow=True))

    def test_needs_the_right_and_a_post(self, staff_with: StaffWith, admin: Client, provider: WireServer) -> None:
        _, client = staff_with("view_provideraccount")
        assert client.post(address("fal", "test")).status_code == 403
        assert admin.get(address("fal", "test")).status_code == 405
        assert "not found" in words(admin.post(address("nobody", "test"), follow=True))
        assert not provider.seen


class TestTheOtherButtons:
    def test_are_for_operators_and_those_of_the_dashboard(self, admin: Client, staff_with: StaffWith) -> None:
        at = clock.now()
        ProviderAccount.objects.filter(pk="fal").update(cooldown_until=at + timedelta(hours=1), lowered_by=1, lowered_at=at)
        page = admin.get(address("fal")).content.decode()
        assert "/admin/pause/?what=account&amp;key=fal" in page and 'action="/admin/end-cooldown/"' in page
        ProviderAccount.objects.filter(pk="fal").update(paused=True, cooldown_until=None, lowered_by=0)
        page = admin.get(address("fal")).content.decode()
        assert 'action="/admin/resume/"' in page and "end-cooldown" not in page and "/admin/pause/?" not in page
        _, client = staff_with("view_provideraccount")
        assert "/admin/resume/" not in client.get(address("fal")).content.decode()


class TestTheBudget:
    def form(self, **fields: str) -> dict[str, str]:
        row = ProviderAccount.objects.get(pk="openai_videos")
        shown = {
            "adapter": row.adapter,
            "base_url": row.base_url,
            "api_key_env": row.api_key_env,
            "webhook_secret_env": row.webhook_secret_env,
            "options": "{}",
            "can_look_up": "on",
            "max_concurrent": "4",
            "paused_reason": row.paused_reason,
            "paused_until_0": f"{row.paused_until:%Y-%m-%d}" if row.paused_until else "",
            "paused_until_1": f"{row.paused_until:%H:%M:%S}" if row.paused_until else "",
            "daily_budget_usd": "",
            "why": "",
        }
        return shown | ({"paused": "on"} if row.paused else {}) | fields

    def test_is_set_in_the_form_and_audited(self, admin: Client) -> None:
        assert admin.post(address("openai_videos"), self.form(daily_budget_usd="25", why="a trial")).status_code == 302
        assert ProviderAccount.objects.get(pk="openai_videos").daily_budget_usd == 25
        entry = AuditEntry.objects.get()
        assert (entry.after, entry.reason) == ({"daily_budget_usd": "25"}, "a trial")

    def test_that_lost_calls_may_be_repeated_is_set_there_too(self, admin: Client) -> None:
        text = words(admin.get(address("openai_videos")))
        assert "May repeat lost calls" in text and "it may be billed twice" in text
        assert admin.post(address("openai_videos"), self.form(may_repeat="on", why="a contract")).status_code == 302
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after, entry.reason) == ({"may_repeat": False}, {"may_repeat": True}, "a contract")

    @pytest.mark.parametrize("wrong", ["0", "-1", "much", "1e12"])
    def test_is_an_amount(self, admin: Client, wrong: str) -> None:
        assert admin.post(address("openai_videos"), self.form(daily_budget_usd=wrong)).status_code == 200
        assert ProviderAccount.objects.get(pk="openai_videos").daily_budget_usd is None

    def test_that_is_raised_resumes_the_account(self, admin: Client, provider: WireServer) -> None:
        at = clock.now()
        until = (at + timedelta(hours=5)).replace(microsecond=0)
        ProviderAccount.objects.filter(pk="openai_videos").update(
            daily_budget_usd="1.00", paused=True, paused_reason="Daily budget of $1.00 spent", paused_until=until
        )
        make_job("completed", at=at)
        assert admin.post(address("openai_videos"), self.form(daily_budget_usd="50.00")).status_code == 302
        assert not ProviderAccount.objects.get(pk="openai_videos").paused


def test_received_webhooks_are_listed_and_never_edited(admin: Client) -> None:
    job = make_job("running")
    row = InboundWebhook.objects.create(
        account_id="fal", event_id="e-1", type="request.ok", effect="checked", received_at=clock.now(), attempt=job.attempts.get()
    )
    listed = "/admin/queue_app/inboundwebhook/"
    assert "request.ok" in words(admin.get(listed)) and "checked immediately" in words(admin.get(listed))
    assert "request.ok" in words(admin.get(listed, {"q": str(job.pk)})) and "0 received" not in words(admin.get(listed))
    assert "request.ok" not in words(admin.get(listed, {"q": "999999"}))
    assert admin.get(f"{listed}{row.pk}/change/").status_code == 200
    assert admin.post(f"{listed}{row.pk}/change/", {"type": "x"}).status_code == 403
    assert admin.get(f"{listed}add/").status_code == 403
