"""Webhooks of the studio: signatures, further tries, and every fault."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import replicate
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from replicate.webhook import Webhooks
from standardwebhooks import Webhook, WebhookVerificationError

from genqueue_site.studio.config import WEBHOOK_SECRET, BadSetting, read
from tests.genqueue_site.studio.conftest import StartStudio
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for
from tests.providers.wire import Seen, WireServer, answer

pytestmark = pytest.mark.processes


@pytest.fixture
def ear() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server


def predict(process: StudioProcess, url: str, *events: str) -> str:
    fields: dict[str, Any] = {"input": {"prompt": "A whale", "duration": 1}, "webhook": url}
    if events:
        fields["webhook_events_filter"] = list(events)
    answer = requests.post(f"{process.url}/v1/models/bytedance/seedance-2.0/predictions", json=fields, timeout=15)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def generate(process: StudioProcess, url: str) -> str:
    fields = {"model": "alibaba/wan-2.7", "prompt": "A whale", "duration": 2, "callback_url": url}
    return str(requests.post(f"{process.url}/api/v1/videos", json=fields, timeout=15).json()["id"])


def heard(ear: WireServer, count: int) -> list[Seen]:
    wait_for(lambda: len(ear.seen) >= count, of=f"{count} webhooks")
    return ear.seen


def is_signed(seen: Seen) -> bool:
    try:
        Webhook(WEBHOOK_SECRET).verify(seen.body, seen.headers, json_parse=False)  # type: ignore[call-arg]
    except WebhookVerificationError:
        return False
    return True


class TestReplicates:
    def test_are_the_bare_prediction_at_its_start_and_end(self, shared: StudioProcess, ear: WireServer) -> None:
        number = predict(shared, f"{ear.url}/hooks/replicate/7?x=1", "start", "completed")
        start, end = heard(ear, 2)
        assert (start.method, start.target) == ("POST", "/hooks/replicate/7?x=1")
        told = [json.loads(seen.body) for seen in (start, end)]
        assert [(one["id"], one["status"]) for one in told] == [(number, "processing"), (number, "succeeded")]
        assert start.headers["webhook-id"] != end.headers["webhook-id"]
        secret = replicate.Client(base_url=shared.url).webhooks.default.secret()
        for seen in (start, end):
            Webhooks.validate(headers=seen.headers, body=seen.body.decode(), secret=secret, tolerance=60)

    def test_come_at_the_end_alone_unless_more_is_wanted(self, shared: StudioProcess, ear: WireServer) -> None:
        predict(shared, ear.url)
        predict(shared, ear.url, "logs")
        assert json.loads(heard(ear, 1)[0].body)["status"] == "succeeded"
        shared.wait_until_idle()
        assert len(ear.seen) == 1

    def test_tell_of_a_cancel(self, shared: StudioProcess, ear: WireServer) -> None:
        number = predict(shared, ear.url)
        requests.post(f"{shared.url}/v1/predictions/{number}/cancel", timeout=15)
        assert json.loads(heard(ear, 1)[0].body)["status"] == "canceled"


class TestOpenRouters:
    def test_are_signed_over_time_comma_body(self, shared: StudioProcess, ear: WireServer) -> None:
        number = generate(shared, f"{ear.url}/hooks/openrouter/7")
        [seen] = heard(ear, 1)
        told = json.loads(seen.body)
        assert told["type"] == "video.generation.completed"
        assert (told["data"]["id"], told["data"]["usage"]["cost"]) == (number, 0.2)
        assert seen.headers["x-openrouter-idempotency-key"] == f"{number}-completed"
        moment, given = seen.headers["x-openrouter-signature"].split(",")
        assert abs(int(moment.removeprefix("t=")) - time.time()) < 60
        signed = moment.removeprefix("t=").encode() + b"," + seen.body
        assert given == "v1=" + hmac.new(WEBHOOK_SECRET.encode(), signed, hashlib.sha256).hexdigest()


def ask(process: StudioProcess, url: str, **fields: Any) -> str:
    """Send a request to fal's queue."""
    body = {"prompt": "A whale", "duration": 2, "resolution": "720p", **fields}
    where = f"{process.url}/fal/fal-ai/wan/v2.7/text-to-video"
    return str(requests.post(where, params={"fal_webhook": url}, json=body, timeout=15).json()["request_id"])


def is_fals(process: StudioProcess, seen: Seen) -> bool:
    """Verify a webhook by fal's rules with the keys that the studio publishes."""
    [row] = requests.get(f"{process.url}/fal/.well-known/jwks.json", timeout=15).json()["keys"]
    assert (row["kty"], row["crv"]) == ("OKP", "Ed25519")
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(row["x"] + "="))
    lines = [seen.headers.get(f"x-fal-webhook-{name}", "") for name in ("request-id", "user-id", "timestamp")]
    try:
        key.verify(
            bytes.fromhex(seen.headers.get("x-fal-webhook-signature", "")),
            "\n".join([*lines, hashlib.sha256(seen.body).hexdigest()]).encode(),
        )
    except (InvalidSignature, ValueError):
        return False
    return abs(int(lines[2]) - time.time()) < 300


class TestFals:
    def test_are_signed_with_a_key_that_everyone_may_read(self, shared: StudioProcess, ear: WireServer) -> None:
        number = ask(shared, f"{ear.url}/hooks/fal/7")
        [seen] = heard(ear, 1)
        told = json.loads(seen.body)
        assert (told["request_id"], told["status"], seen.target) == (number, "OK", "/hooks/fal/7")
        assert told["payload"]["video"]["url"].startswith(shared.url)
        assert seen.headers["x-fal-webhook-request-id"] == number
        assert is_fals(shared, seen)

    @pytest.mark.parametrize(("doom", "error"), [("failed_job", "The runner"), ("moderated_job", "Invalid status code: 422")])
    def test_tell_of_a_failure(self, shared: StudioProcess, ear: WireServer, doom: str, error: str) -> None:
        shared.queue_faults(create=[doom])
        ask(shared, ear.url)
        [seen] = heard(ear, 1)
        told = json.loads(seen.body)
        assert told["status"] == "ERROR" and told["error"]
        assert is_fals(shared, seen)

    @pytest.mark.parametrize(("fault", "genuine"), [("forged", False), ("unsigned", False), ("stale", False), ("halved", True)])
    def test_can_be_wrong(self, shared: StudioProcess, ear: WireServer, fault: str, genuine: bool) -> None:
        shared.queue_faults(webhook=[fault])
        ask(shared, ear.url)
        [seen] = heard(ear, 1)
        assert is_fals(shared, seen) == genuine

    def test_keep_their_key_over_a_restart(self, studio: StartStudio, ear: WireServer) -> None:
        process = studio()
        before = requests.get(f"{process.url}/fal/.well-known/jwks.json", timeout=15).json()
        process.restart()
        assert requests.get(f"{process.url}/fal/.well-known/jwks.json", timeout=15).json() == before


class TestDelivery:
    def test_is_tried_again_with_the_same_id_and_a_new_moment(self, shared: StudioProcess, ear: WireServer) -> None:
        ear.says(answer(503), answer(302, headers={"Location": "/elsewhere"}), answer(204))
        predict(shared, ear.url)
        seen = heard(ear, 3)
        assert [one.target for one in seen] == ["/"] * 3
        assert len({one.headers["webhook-id"] for one in seen}) == 1
        assert len({one.headers["webhook-timestamp"] for one in seen}) > 1
        assert all(map(is_signed, seen))

    def test_may_happen_before_the_create_is_answered(self, studio: StartStudio, ear: WireServer) -> None:
        process = studio()
        process.queue_faults(create=["slow_answer:40"])
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(predict, process, ear.url)
            heard(ear, 1)
            assert not asked.done()
            process.kill()
            assert isinstance(asked.exception(), requests.ConnectionError)

    def test_holds_nobody_up(self, shared: StudioProcess) -> None:
        predict(shared, "http://127.0.0.1:9/nobody")
        shared.wait_until_idle()
        wait_for(lambda: {row["status"] for row in shared.log()["webhooks"]} >= {0}, of="a webhook that nobody took")


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "count", "signed"),
        [("twice", 2, True), ("late:0.5", 1, True), ("stale", 1, False), ("forged", 1, False), ("unsigned", 1, False)],
    )
    def test_change_what_arrives(self, shared: StudioProcess, ear: WireServer, fault: str, count: int, signed: bool) -> None:
        shared.queue_faults(webhook=[fault])
        number = predict(shared, ear.url)
        seen = heard(ear, count)
        assert [is_signed(one) for one in seen] == [signed] * count
        assert {json.loads(one.body)["id"] for one in seen} == {number}

    def test_can_halve_it(self, shared: StudioProcess, ear: WireServer) -> None:
        shared.queue_faults(webhook=["halved"])
        predict(shared, ear.url)
        [seen] = heard(ear, 1)
        assert is_signed(seen)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(seen.body)

    def test_can_lose_it_and_let_a_start_come_after_its_end(self, shared: StudioProcess, ear: WireServer) -> None:
        shared.queue_faults(webhook=["lost"])
        predict(shared, ear.url)
        shared.wait_until_idle()
        shared.queue_faults(webhook=["late:40"])
        predict(shared, ear.url, "start", "completed")
        assert [json.loads(seen.body)["status"] for seen in heard(ear, 1)] == ["succeeded"]


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_???", "c3R1ZGlvIHByZXZpZXcsIG5vIHNlY3JldCBhdCBhbGw="])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(BadSetting, match="STUDIO_WEBHOOK_SECRET"):
        read({"STUDIO_WEBHOOK_SECRET": secret})
