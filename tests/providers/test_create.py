"""A create call is sent once, and its error says whether a task may exist. The same for all adapters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from queue_app import http
from queue_app.providers.base import AccountConfig, ErrorKind, ProviderError, Verdict, accepted_verdict
from tests.providers.conftest import let_time_run_out
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.vendors.vendor import PROMPT
from tests.providers.wire import Reply, WireServer, answer, cut, drip, hang, reset

NOT_ACCEPTED, REFUSED, UNKNOWN = Verdict.NOT_ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN
ANSWERS = [
    (400, {"error": {"message": "bad size"}}, ErrorKind.INVALID_REQUEST, REFUSED),
    (422, {"detail": [{"loc": ["body", "size"], "msg": "bad size", "type": "x"}]}, ErrorKind.INVALID_REQUEST, REFUSED),
    (400, {"error": {"code": "moderation_blocked", "message": "no"}}, ErrorKind.REJECTED, REFUSED),
    (404, {"error": {"code": "model_not_found", "message": "no such model"}}, ErrorKind.NOT_FOUND, REFUSED),
    (401, {"error": {"message": "bad key"}}, ErrorKind.AUTH, NOT_ACCEPTED),
    (403, {"detail": "forbidden"}, ErrorKind.AUTH, NOT_ACCEPTED),
    (402, {"error": "pay"}, ErrorKind.QUOTA, NOT_ACCEPTED),
    (429, {"error": {"code": "rate_limit_exceeded"}}, ErrorKind.RATE_LIMITED, NOT_ACCEPTED),
    (429, {"error": {"code": "insufficient_quota"}}, ErrorKind.QUOTA, NOT_ACCEPTED),
    (408, {}, ErrorKind.AMBIGUOUS, UNKNOWN),
    (409, {}, ErrorKind.AMBIGUOUS, UNKNOWN),
    (425, {}, ErrorKind.AMBIGUOUS, UNKNOWN),
    (500, {"error": {"message": "oops"}}, ErrorKind.AMBIGUOUS, UNKNOWN),
    (503, b"<html>busy</html>", ErrorKind.AMBIGUOUS, UNKNOWN),
    (307, b"", ErrorKind.AMBIGUOUS, UNKNOWN),
    (200, b"not json", ErrorKind.AMBIGUOUS, UNKNOWN),
    (200, b"", ErrorKind.AMBIGUOUS, UNKNOWN),
    (200, [], ErrorKind.AMBIGUOUS, UNKNOWN),
    (202, {"nothing": "useful"}, ErrorKind.AMBIGUOUS, UNKNOWN),
]
BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"
BREAKS: dict[str, Reply] = {"reset": reset, "closed": lambda sock: sock.close(), "cut": cut(BEGINNING)}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


def refusal(vendor: Vendor, server: WireServer, *replies: Reply, **changes: Any) -> ProviderError:
    server.says(*replies)
    provider = vendor.at(server.url, **changes)
    with pytest.raises(ProviderError) as refused:
        provider.submit(vendor.request(provider))
    return refused.value


@pytest.mark.parametrize(("status", "body", "kind", "verdict"), ANSWERS)
def test_an_answer_other_than_yes(
    vendor: Vendor, server: WireServer, status: int, body: Any, kind: ErrorKind, verdict: Verdict
) -> None:
    error = refusal(vendor, server, answer(status, body, {"x-request-id": "req-7", "Location": "/elsewhere"}))
    assert (error.kind, accepted_verdict(error), error.http_status, error.request_id) == (kind, verdict, status, "req-7")
    assert len(server.seen) == 1


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_exchange_is_unknown_and_never_sent_again(vendor: Vendor, server: WireServer, how: str) -> None:
    error = refusal(vendor, server, BREAKS[how])
    assert (error.kind, accepted_verdict(error)) == (ErrorKind.AMBIGUOUS, UNKNOWN)
    assert len(server.seen) == 1


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_an_exchange_without_end_is_unknown_and_never_sent_again(
    vendor: Vendor, server: WireServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dripped: list[bytes] = []
    let_time_run_out(monkeypatch, when=lambda: len(dripped) > 2 if how == "drips" else bool(server.seen))
    error = refusal(vendor, server, drip(BEGINNING, every=0.01, sent=dripped) if how == "drips" else hang)
    assert (error.kind, accepted_verdict(error), type(error.__cause__)) == (ErrorKind.AMBIGUOUS, UNKNOWN, http.TimedOut)
    assert len(server.seen) == 1


def test_a_create_that_never_left_is_not_accepted(vendor: Vendor, server: WireServer) -> None:
    server.__exit__()
    error = refusal(vendor, server)
    assert (accepted_verdict(error), error.code) == (NOT_ACCEPTED, "not_sent")


def test_what_the_operator_vouches_for_is_not_accepted(vendor: Vendor, server: WireServer) -> None:
    error = refusal(vendor, server, answer(503, {}), options={"not_accepted_statuses": [503]})
    assert accepted_verdict(error) is NOT_ACCEPTED


def test_an_unreadable_yes_is_kept_for_a_person(vendor: Vendor, server: WireServer) -> None:
    assert refusal(vendor, server, answer(200, b"<b>queued as 77</b>")).raw == "<b>queued as 77</b>"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": "Sat, 21 Nov 2026 10:01:30 GMT"}, 90.0),
        ({"Retry-After": "999999999999"}, 86_400.0),
        ({"Retry-After": "1800000000"}, 86_400.0),  # as seconds since 1970
        ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400.0),
        ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": f"Sat, 21 Nov {10**30} 10:00:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_429_says_how_long_to_wait_up_to_a_day(
    vendor: Vendor, server: WireServer, headers: dict[str, str], seconds: float | None
) -> None:
    assert refusal(vendor, server, answer(429, {}, headers)).retry_after == seconds


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Your rate limit resets in ~30s.", 30.0),
        ("Please try again in 250ms.", 0.25),
        ("Try again after 2 minutes.", 120.0),
        ("Resets in 1 second", 1.0),
        ("Wait in 900000m", 86_400.0),
        ("You sent 30s of audio", None),
        ("in a while", None),
    ],
)
def test_a_429_may_say_it_in_words(vendor: Vendor, server: WireServer, words: str, seconds: float | None) -> None:
    assert refusal(vendor, server, answer(429, vendor.error(429, words))).retry_after == seconds


@pytest.mark.parametrize(("status", "kind"), [(401, ErrorKind.AUTH), (422, ErrorKind.INVALID_REQUEST)])
def test_words_lose_what_no_column_can_keep(vendor: Vendor, server: WireServer, status: int, kind: ErrorKind) -> None:
    said = rb'{"error": {"code": "a\u0000b", "message": "bad \u0000 or \ud800 key"}}'
    error = refusal(vendor, server, answer(status, said))
    assert (error.kind, error.code, error.message) == (kind, "ab", f"HTTP {status}: bad  or ? key")
    assert "\x00" not in f"{error}{refusal(vendor, server, answer(status, b'a' + bytes(1))).raw}"


def test_the_key_is_sent_and_appears_nowhere_else(vendor: Vendor, server: WireServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    error = refusal(vendor, server, answer(401, vendor.error(401, "Incorrect API key: sk-very-secret")), api_key="sk-very-secret")
    assert "sk-very-secret" in " ".join(server.seen[0].headers.values())
    assert "sk-very-secret" not in f"{error!r} {error} {error.raw} {error.__cause__!r} {caplog.text}"
    assert "sk-very-secret" not in repr(AccountConfig("a", "b", "c", api_key="sk-very-secret", webhook_secret="sk-very-secret"))


def test_no_key_is_sent_where_there_is_none(vendor: Vendor, server: WireServer) -> None:
    refusal(vendor, server, answer(500, {}), api_key=None)
    assert not {"authorization", "api-key"} & set(server.seen[0].headers)


def test_the_prompt_and_the_endpoint_arrive_as_they_are(vendor: Vendor, server: WireServer) -> None:
    server.says(answer(vendor.create_status, vendor.accepted("t-1")))
    provider = vendor.at(server.url)
    request = vendor.request(provider)
    assert provider.submit(request).remote_id == vendor.remote_id(request, "t-1")
    (seen,) = server.seen
    assert (seen.method, vendor.sent(seen)) == ("POST", (PROMPT, vendor.endpoint_id))


def test_a_webhook_is_asked_for_where_each_request_may_have_one(vendor: Vendor, server: WireServer) -> None:
    server.says(answer(vendor.create_status, vendor.accepted("t-1")))
    provider, url = vendor.at(server.url), "https://genqueue.example/hooks/acme/7-token"
    provider.submit(vendor.request(provider, webhook_url=url))
    (seen,) = server.seen
    carried = url.encode() in seen.body or quote(url, safe="") in seen.target
    assert carried == (provider.caps["webhooks"] == "per_request")


def test_a_create_says_the_same_every_time(vendor: Vendor, server: WireServer) -> None:
    server.says(answer(vendor.create_status, vendor.accepted("t-1")))
    provider = vendor.at(server.url)
    request = vendor.request(provider)
    again = replace(request, attempt_id=uuid4()) if vendor.is_synchronous else request  # a result is saved once per attempt
    for one in (request, again):
        provider.submit(one)
    first, second = ({**vars(seen), "connection": 0, "headers": 0, "body": vendor.sent(seen)} for seen in server.seen)
    assert first == second


def test_a_parameter_that_cannot_be_said_is_refused_before_anything_is_sent(vendor: Vendor, server: WireServer) -> None:
    with pytest.raises(ProviderError) as refused:
        vendor.at(server.url).validate(vendor.endpoint_id, vendor.codec, {"prompt": "x", **vendor.unsayable})
    (name,) = vendor.unsayable
    assert refused.value.kind is ErrorKind.INVALID_REQUEST and f"{name} must be" in refused.value.message
    assert server.seen == []
