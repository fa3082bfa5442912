"""What every adapter must keep: subclass, say how to make one, and its dialect is judged like all others."""

from __future__ import annotations

import io
import time
from typing import Any
from uuid import uuid4

import pytest

from queue_app.providers.base import (
    AccountConfig,
    ErrorKind,
    PollResult,
    Provider,
    ProviderError,
    RemoteRef,
    SubmitRequest,
    TaskState,
    Verdict,
    accepted_verdict,
)
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Call, Lookup, Walk
from tests.providers.wire import Reply, WireServer, answer, drip, hang, reset

PROMPT = "A fox — “über” the hill.\nSecond line, 100 % & more; 日本\t🦊"

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
BREAKS = {
    "reset": reset,
    "closed": lambda sock: sock.close(),
    "hangs": hang,
    "drips": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
    "cut": lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
}


def request(provider: Provider, endpoint_id: str, codec: Codec, prompt: str = PROMPT, **parameters: Any) -> SubmitRequest:
    """A request as the queue makes it: our parameters, said by a route's codec."""
    wire = provider.validate(endpoint_id, codec, {"prompt": prompt, **parameters})
    return SubmitRequest(attempt_id=uuid4(), endpoint_id=wire.endpoint_id, inputs=wire.inputs)


class CreateContract:
    """A create is sent once, and its failure says what is known of its fate."""

    create_seconds: tuple[Any, str]  # where the adapter keeps its limit: module and name
    endpoint_id: str
    codec: Codec

    def adapter(self, base_url: str, **changes: Any) -> Provider:
        raise NotImplementedError

    def refusal(self, server: WireServer, *replies: Reply, **changes: Any) -> ProviderError:
        server.says(*replies)
        provider = self.adapter(server.url, **changes)
        with pytest.raises(ProviderError) as refused:
            provider.submit(request(provider, self.endpoint_id, self.codec))
        return refused.value

    @pytest.mark.parametrize(("status", "body", "kind", "verdict"), ANSWERS)
    def test_an_answer_other_than_yes(
        self, server: WireServer, status: int, body: Any, kind: ErrorKind, verdict: Verdict
    ) -> None:
        error = self.refusal(server, answer(status, body, {"x-request-id": "req-7", "Location": "/elsewhere"}))
        assert (error.kind, accepted_verdict(error), error.http_status, error.request_id) == (kind, verdict, status, "req-7")
        assert len(server.seen) == 1

    @pytest.mark.parametrize("how", BREAKS)
    def test_a_broken_exchange_is_unknown_and_never_sent_again(
        self, server: WireServer, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(*self.create_seconds, 3.0)
        error = self.refusal(server, BREAKS[how])
        assert (error.kind, accepted_verdict(error)) == (ErrorKind.AMBIGUOUS, UNKNOWN)
        assert len(server.seen) == 1

    def test_a_create_that_never_left_is_not_accepted(self, server: WireServer) -> None:
        server.__exit__()
        error = self.refusal(server)
        assert (accepted_verdict(error), error.code) == (NOT_ACCEPTED, "not_sent")

    def test_what_the_operator_vouches_for_is_not_accepted(self, server: WireServer) -> None:
        error = self.refusal(server, answer(503, {}), options={"not_accepted_statuses": [503]})
        assert accepted_verdict(error) is NOT_ACCEPTED

    def test_an_unreadable_yes_is_kept_for_a_person(self, server: WireServer) -> None:
        assert self.refusal(server, answer(200, b"<b>queued as 77</b>")).raw == "<b>queued as 77</b>"

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "7"}, 7.0),
            ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
            ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": "Sat, 21 Nov 2026 10:01:30 GMT"}, 90.0),
            ({"Retry-After": "999999999999"}, 86_400.0),
            ({"Retry-After": "1800000000"}, 86_400.0),  # the moment, in seconds since 1970
            ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400.0),
            ({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", "Retry-After": f"Sat, 21 Nov {10**30} 10:00:00 GMT"}, None),
            ({"Retry-After": "soon"}, None),
            ({}, None),
        ],
    )
    def test_a_429_says_how_long_to_wait_up_to_a_day(
        self, server: WireServer, headers: dict[str, str], seconds: float | None
    ) -> None:
        assert self.refusal(server, answer(429, {}, headers)).retry_after == seconds

    @pytest.mark.parametrize(("status", "kind"), [(401, ErrorKind.AUTH), (422, ErrorKind.INVALID_REQUEST)])
    def test_words_lose_what_no_column_can_keep(self, server: WireServer, status: int, kind: ErrorKind) -> None:
        said = rb'{"error": {"code": "a\u0000b", "message": "bad \u0000 or \ud800 key"}}'
        error = self.refusal(server, answer(status, said))
        assert (error.kind, error.code, error.message) == (kind, "ab", f"HTTP {status}: bad  or ? key")
        assert "\x00" not in f"{error}{self.refusal(server, answer(status, b'a' + bytes(1))).raw}"

    @pytest.mark.parametrize(
        "body", [rb'{"id": "a\u0000b"}', rb'{"id": "a\ud800"}', b"[" * 100_000], ids=["NUL", "half a pair", "too deep"]
    )
    def test_a_yes_whose_id_cannot_be_kept_is_unknown(self, server: WireServer, body: bytes) -> None:
        error = self.refusal(server, answer(200, body))
        assert (accepted_verdict(error), error.code) == (UNKNOWN, "unreadable")

    def test_the_key_is_sent_and_appears_nowhere_else(self, server: WireServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        error = self.refusal(
            server, answer(401, {"error": {"message": "Incorrect API key: sk-very-secret"}}), api_key="sk-very-secret"
        )
        assert "sk-very-secret" in " ".join(server.seen[0].headers.values())
        assert "sk-very-secret" not in f"{error!r} {error} {error.raw} {error.__cause__!r} {caplog.text}"
        assert "sk-very-secret" not in repr(
            AccountConfig("a", "b", "c", api_key="sk-very-secret", webhook_secret="sk-very-secret")
        )


class ProviderContract:
    """
    The life of a task at a rig that really works: create, poll, fetch, find again, stop. ``parameters`` are those of the first
    task.
    """

    endpoint_id: str
    codec: Codec
    parameters: dict[str, Any]

    @pytest.fixture
    def provider(self) -> Provider:
        raise NotImplementedError

    def ask(self, provider: Provider, prompt: str, **parameters: Any) -> SubmitRequest:
        return request(provider, self.endpoint_id, self.codec, prompt, **parameters)

    def end_of(self, provider: Provider, ref: RemoteRef, seconds: float = 20) -> PollResult:
        late = time.monotonic() + seconds
        while not (result := provider.poll(ref)).state.is_terminal:
            assert time.monotonic() < late, result
            time.sleep(0.05)
        return result

    def test_a_task_lives_from_create_to_its_files(self, provider: Provider) -> None:
        ref = RemoteRef.from_json(provider.submit(self.ask(provider, PROMPT, **self.parameters)).to_json())
        result = self.end_of(provider, ref)
        assert result.state is TaskState.SUCCEEDED
        assert [asset.required for asset in result.assets if asset.required]
        for asset in result.assets:
            sink = io.BytesIO()
            got = provider.fetch(ref, asset, sink, 10_000_000)
            assert got.size == sink.tell() > 100
            assert len(got.sha256) == 64

    def test_a_file_over_the_cap_is_refused(self, provider: Provider) -> None:
        ref = provider.submit(self.ask(provider, "cap"))
        main = next(asset for asset in self.end_of(provider, ref).assets if asset.required)
        with pytest.raises(ProviderError) as refused:
            provider.fetch(ref, main, io.BytesIO(), 50)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.INVALID_REQUEST, "too_large")

    def test_a_lost_answer_is_found_again_by_what_was_asked(self, provider: Provider) -> None:
        asked, before = self.ask(provider, f"lost {uuid4()}"), time.time()
        refs = [provider.submit(self.ask(provider, f"known {uuid4()}")), provider.submit(asked)]
        found = self.look_up(provider, asked, called_at=before)
        assert [row.id for row in found.sure] == [refs[1].remote_id]
        never = self.ask(provider, f"never sent {uuid4()}")
        assert not self.look_up(provider, never, called_at=before).sure

    @staticmethod
    def look_up(provider: Provider, asked: SubmitRequest, *, called_at: float) -> Lookup:
        walk = Walk(call=Call(asked.inputs["prompt"], asked.endpoint_id, called_at), now=time.time(), grace=120)
        while not walk.is_over:
            last = walk.pages[-1].cursor if walk.pages else None
            after = last or next((row.id for row in reversed(walk.rows)), None)
            page = provider.list_tasks(after, endpoint_id=asked.endpoint_id, seconds=20)
            walk = walk.and_then(page, [], now=time.time())
        return walk.judge()

    def test_an_unknown_id_is_lost(self, provider: Provider) -> None:
        result = provider.poll(provider.ref("no/such+id==", endpoint_id=self.endpoint_id))
        assert result.state is TaskState.LOST
        assert result.error is not None
        assert result.error.kind is ErrorKind.NOT_FOUND

    def test_a_cancel_stops_a_task_but_keeps_a_result(self, provider: Provider) -> None:
        ref = provider.submit(self.ask(provider, "stop me"))
        assert provider.cancel(ref) in {TaskState.CANCELED, TaskState.CANCELING}
        assert self.end_of(provider, ref).state in {TaskState.CANCELED, TaskState.LOST}
        done = provider.submit(self.ask(provider, "too late"))
        self.end_of(provider, done)
        assert provider.cancel(done) is TaskState.SUCCEEDED
        assert provider.poll(done).state is TaskState.SUCCEEDED
