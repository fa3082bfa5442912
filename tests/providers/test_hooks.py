"""Inbound webhooks: only readable ones with a current signature by the account's secret are events."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from queue_app.providers.base import TaskState, WebhookEvent, WebhookRefused
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.vendors.vendor import SECRET, heard

OTHER = "whsec_" + base64.b64encode(b"another secret, also long enough").decode()


@pytest.fixture(params=[name for name, vendor in VENDORS.items() if vendor.hook])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


@pytest.fixture
def at() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def signed(vendor: Vendor, body: bytes, at: datetime, *, secret: str = SECRET) -> dict[str, str]:
    assert vendor.hook is not None
    return vendor.hook(body, at, secret)


def event(vendor: Vendor, word: str = "completed") -> bytes:
    assert vendor.event is not None
    return vendor.event("t-1", word)


def test_a_signed_event_names_its_task(vendor: Vendor, at: datetime) -> None:
    body = event(vendor)
    found = heard(vendor, signed(vendor, body, at), body, at=at)
    assert isinstance(found, WebhookEvent)
    assert (found.remote_id, "completed" in found.type) == ("t-1", True)


def test_a_delivery_again_is_the_same_event_whatever_the_case_of_its_headers(vendor: Vendor, at: datetime) -> None:
    body, later = event(vendor), at + timedelta(seconds=90)
    headers = {name.upper(): value for name, value in signed(vendor, body, later).items()}
    first, second = heard(vendor, signed(vendor, body, at), body, at=at), heard(vendor, headers, body, at=later)
    assert first and second and first.event_id == second.event_id


@pytest.mark.parametrize("secret", [None, ""])
def test_nothing_is_believed_without_a_secret(vendor: Vendor, at: datetime, secret: str | None) -> None:
    body = event(vendor)
    with pytest.raises(WebhookRefused, match="no webhook secret"):
        vendor.at("https://vendor.example", webhook_secret=secret).parse_webhook(signed(vendor, body, at), body, at=at)


@pytest.mark.parametrize("secret", ["whsec_!", "whsec_", "hunter2"])
def test_a_secret_that_is_none_is_no_reason_to_crash(vendor: Vendor, at: datetime, secret: str) -> None:
    body = event(vendor)
    assert heard(vendor, signed(vendor, body, at), body, at=at, webhook_secret=secret) is None


FORGERIES = {
    "another secret": lambda vendor, body, at: (signed(vendor, body, at, secret=OTHER), body),
    "another body": lambda vendor, body, at: (signed(vendor, body, at), body + b" "),
    "no headers": lambda vendor, body, at: ({}, body),
    "half of the body": lambda vendor, body, at: (signed(vendor, body, at), body[: len(body) // 2]),
    "half of the body, signed": lambda vendor, body, at: (signed(vendor, body[:20], at), body[:20]),
    "too old": lambda vendor, body, at: (signed(vendor, body, at - timedelta(minutes=6)), body),
    "of the future": lambda vendor, body, at: (signed(vendor, body, at + timedelta(minutes=6)), body),
    "no JSON": lambda vendor, body, at: (signed(vendor, b"{", at), b"{"),
    "no object": lambda vendor, body, at: (signed(vendor, b"[]", at), b"[]"),
    "no UTF-8": lambda vendor, body, at: (signed(vendor, body, at), b"\xff\xfe"),
    "nothing": lambda vendor, body, at: (signed(vendor, body, at), b""),
    "too deep": lambda vendor, body, at: (signed(vendor, b"[" * 100_000, at), b"[" * 100_000),
    "a signature of nothing": lambda vendor, body, at: (dict.fromkeys(signed(vendor, body, at), ""), body),
    "a signature of words": lambda vendor, body, at: (dict.fromkeys(signed(vendor, body, at), "nocomma"), body),
    "a signature of signs": lambda vendor, body, at: (dict.fromkeys(signed(vendor, body, at), "v1,é"), body),
    "times of old": lambda vendor, body, at: (
        {name: value.replace(str(int(at.timestamp())), "1e999") for name, value in signed(vendor, body, at).items()},
        body,
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_old_or_broken_event_is_refused(vendor: Vendor, at: datetime, name: str) -> None:
    headers, body = FORGERIES[name](vendor, event(vendor), at)
    assert heard(vendor, headers, body, at=at) is None


@pytest.mark.parametrize("number", ['{"a": 1}', "null", "true", '""', '"a\\u0000b"'])
def test_an_event_whose_task_has_no_readable_id_names_none(vendor: Vendor, at: datetime, number: str) -> None:
    body = event(vendor).replace(b'"t-1"', number.encode())
    found = heard(vendor, signed(vendor, body, at), body, at=at)
    assert found is not None and found.remote_id is None


def test_each_state_has_its_event(vendor: Vendor, at: datetime) -> None:
    for state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED):
        body = event(vendor, vendor.word(state))
        found = heard(vendor, signed(vendor, body, at), body, at=at)
        assert found is not None and vendor.word(state) in found.type
