"""Webhooks that nobody must believe, or that come too late, twice or in any order: not one of them changes a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from queue_app import clock, lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import Attempt, InboundWebhook, Job, JobEvent, Outcome, ProviderAccount
from tests.hooks.speakers import OTHER_SECRET, SECRET, SPEAKERS, Headers, Speaker, Vendor, key_set, now, rows, sign_as_fal
from tests.providers.wire import answer

pytestmark = pytest.mark.django_db
DEEP = b'{"data":' + b"[" * 60_000 + b"]" * 60_000 + b"}"
Post = Callable[[Speaker, Attempt, Attempt], Any]


def signed(speaker: Speaker, attempt: Attempt, body: bytes, **how: Any) -> Any:
    return speaker.call(attempt, body, headers=speaker.signed(body, **how))


def to(speaker: Speaker, attempt: Attempt, address: str) -> Any:
    return speaker.call(attempt, address=address)


def altered(speaker: Speaker, attempt: Attempt, change: Callable[[Headers], Headers]) -> Any:
    body = speaker.body()
    return speaker.call(attempt, body, headers=change(speaker.signed(body)))


# what is sent, with the status that answers it
FORGED: dict[str, tuple[int, Post]] = {
    "no signature": (401, lambda by, mine, other: by.call(mine, headers={})),
    "another secret": (401, lambda by, mine, other: signed(by, mine, by.body(), secret=OTHER_SECRET)),
    "another body": (401, lambda by, mine, other: by.call(mine, by.body() + b" ", headers=by.signed(by.body()))),
    "half of the body": (401, lambda by, mine, other: by.call(mine, by.body()[:20], headers=by.signed(by.body()))),
    "half of the body, signed": (401, lambda by, mine, other: signed(by, mine, by.body()[:20])),
    "nothing": (401, lambda by, mine, other: by.call(mine, b"", headers=by.signed(by.body()))),
    "nothing, signed": (401, lambda by, mine, other: signed(by, mine, b"")),
    "no JSON, signed": (401, lambda by, mine, other: signed(by, mine, b"{")),
    "no object, signed": (401, lambda by, mine, other: signed(by, mine, b"[]")),
    "no UTF-8": (401, lambda by, mine, other: by.call(mine, b"\xff\xfe", headers=by.signed(by.body()))),
    "too deep, signed": (401, lambda by, mine, other: signed(by, mine, DEEP)),
    "six minutes old": (401, lambda by, mine, other: signed(by, mine, by.body(), at=now() - timedelta(minutes=6))),
    "of the future": (401, lambda by, mine, other: signed(by, mine, by.body(), at=now() + timedelta(minutes=6))),
    "empty headers": (401, lambda by, mine, other: altered(by, mine, lambda headers: dict.fromkeys(headers, ""))),
    "headers in words": (401, lambda by, mine, other: altered(by, mine, lambda headers: dict.fromkeys(headers, "v1,x"))),
    "another id in the headers": (401, lambda by, mine, other: altered(by, mine, lambda headers: _with_another_id(headers))),
    "too large": (413, lambda by, mine, other: by.call(mine, b" " * (settings.WEBHOOK_MAX_BYTES + 1), headers={})),
    "an unknown account": (404, lambda by, mine, other: to(by, mine, "/hooks/nobody/")),
    "a token of nobody": (404, lambda by, mine, other: to(by, mine, f"/hooks/{by.account}/{'x' * 43}")),
    "a token that is cut": (404, lambda by, mine, other: to(by, mine, f"/hooks/{by.account}/{mine.token[:-1]}")),
    "a token in other letters": (404, lambda by, mine, other: to(by, mine, f"/hooks/{by.account}/{mine.token.swapcase()}")),
    "a token of 4,000 letters": (404, lambda by, mine, other: to(by, mine, f"/hooks/{by.account}/{'x' * 4_000}")),
    "a token at another account": (404, lambda by, mine, other: to(by, mine, f"/hooks/studio/{mine.token}")),
    "a question": (405, lambda by, mine, other: Client().get(by.address(mine))),
    "a form with a file": (400, lambda by, mine, other: _form(by, mine)),
}
# of those that name an attempt in their address
OF_ATTEMPTS: dict[str, tuple[int, Post]] = {
    "about another task": (401, lambda by, mine, other: signed(by, mine, by.body("t-2"))),
    "about another job's task": (401, lambda by, mine, other: signed(by, mine, by.body(str(other.remote_id)))),
    "at the account's address": (401, lambda by, mine, other: to(by, mine, f"/hooks/{by.account}/")),
    "behind one more slash": (404, lambda by, mine, other: to(by, mine, f"{by.address(mine)}/")),
}


def _form(speaker: Speaker, attempt: Attempt) -> Any:
    body = speaker.body()
    return Client().post(speaker.address(attempt), {"payload": body.decode()}, headers=speaker.signed(body))


def _with_another_id(headers: Headers) -> Headers:
    """Change what tells deliveries apart, or, where it is not signed, the signature."""
    names = {"Webhook-Id", "X-Fal-Webhook-Request-Id", "X-OpenRouter-Signature"}
    return {name: f"{value}0" if name in names else value for name, value in headers.items()}


@pytest.fixture
def mine(speaker: Speaker) -> Attempt:
    return Attempt.objects.get(job=speaker.job())


@pytest.fixture
def other(speaker: Speaker, mine: Attempt) -> Attempt:
    return Attempt.objects.get(job=speaker.job(remote_id="t-9"))


@pytest.mark.parametrize("name", FORGED)
def test_nothing_changes_by_what_is_forged(speaker: Speaker, mine: Attempt, other: Attempt, name: str) -> None:
    status, post = FORGED[name]
    before = rows()
    assert post(speaker, mine, other).status_code == status
    assert rows() == before


@pytest.mark.parametrize("account", [name for name, speaker in SPEAKERS.items() if speaker.per_attempt])
@pytest.mark.parametrize("name", OF_ATTEMPTS)
def test_nor_by_what_is_about_something_else(vendor: Vendor, account: str, name: str) -> None:
    speaker = SPEAKERS[account]
    mine, other = (Attempt.objects.get(job=speaker.job(remote_id=number)) for number in ("t-1", "t-9"))
    status, post = OF_ATTEMPTS[name]
    before = rows()
    assert post(speaker, mine, other).status_code == status
    assert rows() == before


class TestWithoutASecret:
    """I38: a missing secret means refuse."""

    @pytest.mark.parametrize("account", ["openai_videos", "openrouter"])
    def test_nothing_is_believed(self, vendor: Vendor, settings, account: str) -> None:
        ProviderAccount.objects.filter(pk=account).update(options={})
        speaker = SPEAKERS[account]
        mine = Attempt.objects.get(job=speaker.job())
        settings.PROVIDER_KEYS = {name: key for name, key in settings.PROVIDER_KEYS.items() if "SECRET" not in name}
        before = rows()
        assert speaker.call(mine).status_code == 401
        assert rows() == before

    def test_the_token_is_proof_enough_where_staff_say_so(self, vendor: Vendor, settings) -> None:
        speaker = SPEAKERS["openrouter"]  # seeded so: it signs only once its workspace has a secret
        mine = Attempt.objects.get(job=speaker.job())
        settings.PROVIDER_KEYS = settings.PROVIDER_KEYS | {"OPENROUTER_WEBHOOK_SECRET": ""}
        assert speaker.call(mine, headers={}).status_code == 204
        assert InboundWebhook.objects.get().effect == "checked"

    def test_but_not_beside_a_secret(self, vendor: Vendor) -> None:
        speaker = SPEAKERS["openrouter"]
        before = rows_of(speaker)
        assert speaker.call(before[0], headers={}).status_code == 401
        assert rows() == before[1]


def rows_of(speaker: Speaker) -> tuple[Attempt, dict[str, Any]]:
    attempt = Attempt.objects.get(job=speaker.job())
    return attempt, rows()


class TestFals:
    """fal signs for all of its customers with the same keys."""

    def test_of_another_customer_change_nothing(self, vendor: Vendor) -> None:
        speaker = SPEAKERS["fal"]
        first, second = (Attempt.objects.get(job=speaker.job(remote_id=number)) for number in ("t-1", "t-9"))
        assert speaker.call(first).status_code == 204  # whoever is called first about a task of ours, is us
        before, body = rows(), speaker.body("t-9")
        assert speaker.call(second, body, headers=sign_as_fal(body, now(), SECRET, user="user-2")).status_code == 401
        assert rows() == before

    def test_are_compared_with_the_account_s_option(self, vendor: Vendor) -> None:
        ProviderAccount.objects.filter(pk="fal").update(options={"webhook_sender": "user-2"})
        attempt, before = rows_of(SPEAKERS["fal"])
        assert SPEAKERS["fal"].call(attempt).status_code == 401
        assert rows() == before

    def test_whose_signature_is_for_another_request_change_nothing(self, vendor: Vendor) -> None:
        speaker = SPEAKERS["fal"]
        attempt, before = rows_of(speaker)
        body = speaker.body()
        assert speaker.call(attempt, body, headers=sign_as_fal(body, now(), SECRET, number="t-7")).status_code == 401
        assert rows() == before

    @pytest.mark.parametrize(
        "keys",
        [
            answer(500, b"down"),
            answer(200, {"keys": []}),
            answer(200, b"{"),
            answer(200, {"keys": [{"kty": "RSA", "crv": "Ed25519", "x": "AA"}, 7, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}),
            answer(302, b"", {"Location": "https://evil.example/keys"}),
        ],
        ids=["an error", "no keys", "no JSON", "keys of another kind", "a redirect"],
    )
    def test_may_come_again_while_its_keys_can_t_be_read(self, vendor: Vendor, keys: bytes) -> None:
        vendor.keys = keys
        attempt, before = rows_of(SPEAKERS["fal"])
        answered = SPEAKERS["fal"].call(attempt)
        assert (answered.status_code, answered.headers["Retry-After"]) == (503, "60")
        assert rows() == before

    def test_are_verified_with_keys_that_are_read_once(self, vendor: Vendor) -> None:
        attempt, _ = rows_of(SPEAKERS["fal"])
        for _ in range(3):
            assert SPEAKERS["fal"].call(attempt).status_code == 204
        assert vendor.asked("jwks") == 1

    def test_that_are_forged_make_us_read_the_keys_again_once_a_minute_at_most(self, vendor: Vendor) -> None:
        attempt, before = rows_of(SPEAKERS["fal"])
        for _ in range(5):
            body = SPEAKERS["fal"].body()
            headers = SPEAKERS["fal"].signed(body, secret=OTHER_SECRET)
            assert SPEAKERS["fal"].call(attempt, body, headers=headers).status_code == 401
        assert vendor.asked("jwks") == 1
        assert rows() == before

    def test_are_believed_with_any_of_its_keys(self, vendor: Vendor) -> None:
        vendor.keys = answer(200, key_set(OTHER_SECRET, SECRET))
        attempt, _ = rows_of(SPEAKERS["fal"])
        assert SPEAKERS["fal"].call(attempt).status_code == 204


# how a job came to where no webhook changes it: its state, and what its attempt came to
ENDS: dict[str, Callable[[Speaker], Job]] = {
    "completed": lambda by: by.job("completed"),
    "being saved": lambda by: by.job("storing"),
    "failed": lambda by: by.job("failed"),
    "queued again": lambda by: _queued_again(by, Outcome.FAILED),
    "queued again, as it was lost": lambda by: _queued_again(by, Outcome.LOST),
    "queued again, as it was not accepted": lambda by: _queued_again(by, Outcome.NOT_ACCEPTED),
    "given up": lambda by: _given_up(by),
}


def _queued_again(speaker: Speaker, outcome: Outcome) -> Job:
    job = speaker.job("running")
    trouble = Trouble("provider_failed", "It broke.", "retryable")
    lifecycle.put_back(job, at=clock.now(), actor="worker", outcome=outcome, spent=True, trouble=trouble, not_before=None)
    return Job.objects.get(pk=job.pk)


def _given_up(speaker: Speaker) -> Job:
    job = speaker.job("running")
    lifecycle.force_fail([job.pk], at=clock.now(), actor="ana", reason="stuck")
    return Job.objects.get(pk=job.pk)


def without_notes(found: dict[str, Any]) -> dict[str, Any]:
    """Return the rows without those that a late webhook may add: itself, and a note in the history."""
    kept = {name: table for name, table in found.items() if name not in ("InboundWebhook", "JobEvent")}
    kept["Job"] = [{**row, "event_seq": 0} for row in kept["Job"]]
    kept["moves"] = [row for row in found["JobEvent"] if row["from_state"] != row["to_state"]]
    return kept


@pytest.mark.parametrize("end", ENDS)
def test_a_late_one_changes_no_job_however_often_it_comes(speaker: Speaker, end: str) -> None:
    job = ENDS[end](speaker)
    attempt, before = Attempt.objects.get(job=job), without_notes(rows())
    for _ in range(3):
        assert speaker.call(attempt).status_code == 204
    assert without_notes(rows()) == before
    assert InboundWebhook.objects.get().effect == "late"
    notes = JobEvent.objects.filter(job=job, actor="webhook")
    billed = end in ("queued again, as it was lost", "queued again, as it was not accepted", "given up")
    assert [note.reason for note in notes if "may be billed" in note.reason] == [note.reason for note in notes]
    assert len(notes) == billed


@pytest.mark.parametrize("word", ["failed", "cancelled", "canceled", "ERROR", "expired", "something else", ""])
def test_whatever_it_says_a_running_job_is_only_checked(speaker: Speaker, word: str) -> None:
    job = speaker.job()
    attempt, before = Attempt.objects.get(job=job), rows()
    assert speaker.call(attempt, speaker.body(word=word)).status_code == 204
    after = rows()
    (old,), (new,) = before["Job"], after["Job"]
    assert new["next_check_at"] <= clock.now()
    assert {**new, "next_check_at": None} == {**old, "next_check_at": None}
    for table in set(before) - {"Job", "InboundWebhook"}:
        assert after[table] == before[table]


def test_of_two_in_the_wrong_order_each_is_a_hint(speaker: Speaker) -> None:
    job = speaker.job("cancelling")
    attempt = Attempt.objects.get(job=job)
    for word in (speaker.done, "processing"):
        assert speaker.call(attempt, speaker.body(word=word)).status_code == 204
    assert Job.objects.get(pk=job.pk).state == "cancelling"
    assert set(InboundWebhook.objects.values_list("effect", flat=True)) == {"checked"}
