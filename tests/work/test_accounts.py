"""Provider accounts: where calls go, and how answers change the account."""

from datetime import timedelta

import pytest

from queue_app.models import Attempt, AuditEntry, ProviderAccount
from queue_app.providers.base import ErrorKind, ProviderError, Verdict, accepted_verdict
from queue_app.work import accounts, dispatch, policy
from queue_app.work.capacity import account_limit
from tests.factories import NOON, JobFactory, UserFactory

pytestmark = pytest.mark.django_db


def sora() -> ProviderAccount:
    return ProviderAccount.objects.get(key="openai_videos")


def tried(*, preview: bool | None = None) -> Attempt:
    """Create an attempt at the account; by default at the place that the account uses now."""
    return Attempt(account=sora(), preview=sora().is_preview if preview is None else preview)


def trouble(kind: ErrorKind, *, retry_after: float | None = None) -> ProviderError:
    return ProviderError(kind, "No.", retry_after=retry_after)


def claimed_at(seconds: float) -> int:
    return len(dispatch.claim_due_jobs(at=NOON + timedelta(seconds=seconds)))


class TestConfig:
    def test_speaks_to_the_studio_and_says_so_while_there_is_no_key(self, settings):
        settings.STUDIO_URL = "http://127.0.0.1:9"
        config = accounts.config(tried())
        assert (config.base_url, config.api_key, config.preview) == ("http://127.0.0.1:9", None, True)

    def test_speaks_to_the_vendor_with_its_key_alone(self, settings):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-secret", "FAL_KEY": "other"}
        config = accounts.config(tried())
        assert (config.base_url, config.api_key, config.preview) == ("https://api.openai.com/v1", "sk-secret", False)
        assert "sk-secret" not in repr(config)

    def test_shows_the_key_to_nobody_but_the_vendor(self, settings):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-secret"}
        config = accounts.config(tried(preview=True))
        assert (config.base_url, config.api_key, config.preview) == (settings.STUDIO_URL, None, True)


class TestProviderFor:
    def test_sends_nobody_to_the_studio_with_what_the_vendor_has(self):
        with pytest.raises(ProviderError, match="OPENAI_VIDEOS_API_KEY") as refused:
            accounts.provider_for(tried(preview=False))
        assert (accepted_verdict(refused.value), refused.value.code) == (Verdict.NOT_ACCEPTED, "not_sent")


class TestWentBadly:
    @pytest.mark.parametrize("kind", [ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED, ErrorKind.AUTH])
    def test_leaves_the_account_alone_where_it_was_not_asked_but_the_studio(self, settings, kind: ErrorKind):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-secret"}
        ProviderAccount.objects.update(failures_in_a_row=4)
        before = ProviderAccount.objects.values().get(key="openai_videos")
        assert accounts.went_badly(tried(preview=True), trouble(kind), at=NOON) == NOON + accounts.ELSEWHERE
        accounts.went_well(tried(preview=True))
        assert ProviderAccount.objects.values().get(key="openai_videos") == before

    def test_keeps_everyone_off_the_account_until_it_has_cooled_down(self):
        JobFactory.create_batch(2)
        until = accounts.went_badly(tried(), trouble(ErrorKind.RATE_LIMITED, retry_after=30), at=NOON)

        assert until is not None and timedelta(seconds=30) <= until - NOON <= timedelta(seconds=36)
        assert claimed_at(29) == 0
        assert claimed_at(37) == 2

    def test_never_shortens_a_cool_down(self):
        long = accounts.went_badly(tried(), trouble(ErrorKind.RATE_LIMITED, retry_after=300), at=NOON)
        assert accounts.went_badly(tried(), trouble(ErrorKind.RETRYABLE), at=NOON + timedelta(seconds=1)) == long

    def test_waits_10_s_where_a_429_does_not_say_how_long(self):
        until = accounts.went_badly(tried(), trouble(ErrorKind.RATE_LIMITED), at=NOON)
        assert until is not None and timedelta(seconds=10) <= until - NOON <= timedelta(seconds=12)

    def test_halves_the_limit_once_in_each_cool_down_never_under_1_and_has_it_back_in_ten_minutes(self):
        ProviderAccount.objects.filter(key="openai_videos").update(max_concurrent=12)
        found = []
        for minute in range(5):
            at = NOON + timedelta(minutes=minute)
            for second in range(3):  # from calls in flight, or from polls
                then = at + timedelta(seconds=second)
                accounts.went_badly(tried(), trouble(ErrorKind.RATE_LIMITED, retry_after=20), at=then)
            found.append(account_limit(sora(), at=then))
        assert found == [6, 3, 1, 1, 1]
        minutes = [account_limit(sora(), at=then + timedelta(minutes=minute)) for minute in range(11)]
        assert minutes == sorted(minutes) and len(set(minutes)) > 8
        assert minutes[-1] == 12

    @pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.QUOTA])
    def test_pauses_an_account_that_is_refused_until_a_person_resumes_it(self, kind: ErrorKind):
        JobFactory()
        assert accounts.went_badly(tried(), trouble(kind), at=NOON) is None
        assert sora().paused and sora().paused_until is None
        assert claimed_at(100_000) == 0

    @pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.QUOTA])
    def test_is_not_paused_again_by_a_call_from_before_a_person_resumed_it(self, kind: ErrorKind):
        accounts.went_badly(tried(), trouble(kind), at=NOON)
        resumed = {"paused": False, "paused_reason": "", "paused_until": None}
        policy.change(sora(), at=NOON + timedelta(seconds=10), actor=UserFactory(staff=True), **resumed)

        for asked, paused in ((5, False), (11, True)):
            at, asked_at = NOON + timedelta(seconds=20), NOON + timedelta(seconds=asked)
            assert accounts.went_badly(tried(), trouble(kind), at=at, asked_at=asked_at) is None
            assert sora().paused is paused

    def test_says_a_pause_once_however_many_calls_find_out(self):
        for _ in range(3):
            accounts.went_badly(tried(), trouble(ErrorKind.AUTH), at=NOON)
        assert AuditEntry.objects.count() == 1

    @pytest.mark.parametrize("kind", [ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND, ErrorKind.AMBIGUOUS])
    def test_leaves_the_account_alone_where_the_failure_is_about_one_job(self, kind: ErrorKind):
        before = ProviderAccount.objects.values().get(key="openai_videos")
        assert accounts.went_badly(tried(), trouble(kind), at=NOON) is None
        assert ProviderAccount.objects.values().get(key="openai_videos") == before

    def test_counts_no_further_than_its_column_holds(self):
        ProviderAccount.objects.filter(key="openai_videos").update(failures_in_a_row=accounts.MANY)
        accounts.went_badly(tried(), trouble(ErrorKind.RETRYABLE), at=NOON)
        assert sora().failures_in_a_row == accounts.MANY


class TestWentWell:
    def test_starts_the_count_of_failures_anew(self):
        for _ in range(4):
            accounts.went_badly(tried(), trouble(ErrorKind.RETRYABLE), at=NOON)
        accounts.went_well(tried())
        assert accounts.went_badly(tried(), trouble(ErrorKind.RETRYABLE), at=NOON + timedelta(hours=1)) == NOON + timedelta(
            hours=1, seconds=2
        )
