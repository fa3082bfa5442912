"""Odd text is sent to every URL of the site, wherever text is accepted: it is refused if it can't be handled. Nothing breaks."""

import asyncio
import itertools
import logging
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.core import signals
from django.db import close_old_connections, transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from campaigns import sharing
from genqueue_site.asgi import Handler
from queue_app import clock
from queue_app.models import ApiKey, WorkerProcess
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import UserFactory, make_asset, make_job

pytestmark = pytest.mark.django_db
TEMPLATES = Path(settings.ROOT) / "templates"
# half of the requests by default; for all of them: ODD_TEXT=all pytest tests/genqueue_site/test_odd_text.py
SHARE = 1 if os.environ.get("ODD_TEXT") == "all" else 2
AT_LEAST = 2_000 // SHARE
# texts for a path, a query or a form, in the form in which they are sent
ODD = {
    "NUL": "a%00b",
    "half a surrogate": "%ED%A0%80",
    "no UTF-8": "%FF%FE%C0%80",
    "a broken escape": "%zz%2",
    "a long text": "x%20" * 2_000,
    "a long number": "9" * 40,
    "a number without end": "9" * 5_000,
    "a negative number": "-1",
    "other digits": "%D9%A3",
    "line breaks": "a%0D%0AX-Odd:%20b",
    "a turn of direction": "%E2%80%AE%F0%9F%92%A9",
    "quotes": "%27%22%3C%3E%5C%25",
    "brackets": "%5B" * 600,
    "nothing": "",
}
REFUSED = (400, 404, 405, 415)
HANDED_ON = ("/admin/queue_app/job/", "/admin/queue_app/bulkaction/")  # their forms pass on the filters of the list
HEADERS = {
    "accept": [b"*;q=x, a/b; c*=BOGUS''d", b"\xff\xfe/x", b"," * 3_000],
    "content-type": [
        b"application/json; charset*=BOGUS''x",
        b"text/html; charset=rot13",
        b"a; charset=utf-7",
        b"multipart/form-data",
    ],
    "cookie": [b'sessionid="a\\000b"', b"sessionid=\xff\xfe; csrftoken=\x01", b"=;;=" * 500],
    "authorization": [b"Bearer \xff\xfe", b"Bearer gq_" + b"x" * 3_000, b"Basic ?", b"Bearer"],
    "idempotency-key": [b"\xff", b"x" * 256, b""],
    "hx-current-url": [b"http://[", b"/?rows=%00&columns=%zz"],
    "hx-request": [b"true\x7f"],
    "host": [b"a b", b"[::", b"x" * 300],
    "range": [b"bytes=9999999999999999999999-", b"bytes=-", b"\xff"],
    "if-none-match": [b'W/"\xff', b"*, *"],
    "if-modified-since": [b"Sun, 99 Foo 99999 99:99:99 GMT", b"\xff"],
    "if-range": [b"\xff", b"Sun, 31 Feb 0000 00:00:00 GMT"],
    "referer": [b"http://[", b"\xff"],
    "origin": [b"http://[", b"null"],
    "x-forwarded-for": [b"999.1.1.1, \xff", b"x" * 2_000],
    "x-request-id": [b"a\x1b[31m", b"x" * 5_000],
    "user-agent": [b"\xff\x1b[2J"],
    "content-length": [b"12"],
}

FORM = {"content-type": b"application/x-www-form-urlencoded"}
JSON = {"content-type": b"application/json"}


@dataclass(frozen=True)
class Asked:
    """A request and its odd part."""

    odd: str
    path: str
    query: str = ""
    method: str = "GET"
    headers: dict[str, bytes] = field(default_factory=dict)
    body: bytes = b""


@pytest.fixture
def rows(tmp_path, settings):
    """Create the objects that URLs name, so that odd text reaches the views."""
    settings.MEDIA_ROOT = str(tmp_path)
    staff = UserFactory(admin=True, tickets=100)
    campaign = make_campaign(staff)
    bring(jobs_of(campaign)[0], "completed")
    job = make_job(owner=staff)
    asset = make_asset(make_job("storing", owner=staff))
    at = clock.now()
    new = sharing.NewLink(uuid.uuid4(), label="Alder", may_answer=True)
    link, token = sharing.create(campaign, new, at=at, by=staff)
    alive = {"host": "one", "pid": 1, "group_id": 1, "group_started": "1", "started_at": at, "beat_at": at}
    WorkerProcess.objects.create(role="worker", **alive)
    WorkerProcess.objects.create(role="dispatcher", leader=True, turned_at=at, **alive)
    known = {
        "pk": {
            "campaigns": campaign.pk,
            "combinations": campaign.combinations.first().pk,
            "batches": campaign.pk,
            "jobs": job.pk,
        },
        "object_id": {"job": job.pk, "campaign": campaign.pk, "batch": campaign.pk, "user": staff.pk, "combination": 1},
    }
    plain = {"index": 1, "key": "sora-2", "asset_id": asset.pk, "name": "a.mp4", "id": staff.pk, "action_id": 1, "item_id": 1}
    plain |= {"token": token, "link": link.pk}
    return staff, known, plain


@pytest.fixture(autouse=True)
def quickly():
    """Turn off logging, and keep the test's single connection open at the end of requests."""
    logging.disable()
    ends = (signals.request_started, signals.request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)
    logging.disable(logging.NOTSET)


def test_every_address_answers_odd_text_and_never_breaks(rows, figures, time_stands_still):
    staff, known, plain = rows
    browser = Client()
    browser.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    _, key = ApiKey.objects.create(staff, scopes=["read", "submit", "manage"])
    requests = list(_requests(known, plain))[::SHARE]

    answered = list(zip(requests, async_to_sync(_send_all)(requests, session, key), strict=True))

    broken = [f"{answer.status} {asked}"[:300] for asked, answer in answered if answer.status >= 500]
    taken = [
        f"{answer.status} {asked}"[:300] for asked, answer in answered if asked.odd == "NUL" and answer.status not in REFUSED
    ]
    pages = [f"{answer} {asked}"[:300] for asked, answer in answered if asked.path.startswith("/api/") and answer.is_page]
    assert (broken, taken, pages) == ([], [], [])
    assert len(requests) >= AT_LEAST
    counts = dict(sorted(Counter(answer.status for _, answer in answered).items()))
    figures(f"odd text: {len(requests):,} requests to {len({asked.path for asked in requests}):,} addresses answered {counts}")


def _requests(known: dict[str, dict[str, int]], plain: dict[str, object]) -> Iterator[Asked]:
    """Yield requests in which odd texts and headers alternate, so that each reaches many URLs, and each URL gets several."""
    turns, heads = itertools.cycle(ODD.items()), itertools.cycle((name, value) for name in HEADERS for value in HEADERS[name])
    fields = sorted(_names_in_templates())
    for route, callback in _routes(get_resolver().url_patterns):
        right = _filled(route, known, plain)
        methods = ["GET", "POST"] + (["PATCH"] if hasattr(getattr(callback, "cls", None), "patch") else [])
        yield Asked("NUL", f"{right}%00")
        yield Asked("NUL", right, method="POST", headers=FORM, body=b"reason%00=late")
        for name in re.findall(r"<(?:\w+:)?(\w+)>", route):
            for odd, text in itertools.islice(turns, 3):
                yield Asked(odd, _filled(route, known, plain | {name: text or "%20"}, only=name))
        if names := _query_names(route, callback):
            for odd, text in itertools.islice(turns, 2):
                yield Asked(odd, right, query="&".join(f"{name}={text}" for name in names))
        odd, text = ("NUL", ODD["NUL"]) if right.startswith("/admin/") else next(turns)
        yield Asked(odd, right, query=f"{text}=1&{text}")
        for method in methods[1:]:
            odd, text = next(turns)
            form = "&".join([f"{name}={text}" for name in fields] + [f"{text}=1"])
            yield Asked(odd, right, method=method, headers=FORM, body=form.encode())
        if right.startswith(HANDED_ON):  # a URL in a field is encoded twice
            for odd, text in (("NUL twice", "q=a%00b"), ("NUL in a name twice", "%00=1"), *itertools.islice(turns, 2)):
                twice = quote(text if "=" in text else f"q={text}")
                yield Asked(f"{odd} in a query", right, query=f"_changelist_filters={twice}&jobs={twice}")
                form = f"verb=cancel&do=confirm&query={twice}&jobs={twice}&_changelist_filters={twice}&next=/admin/?{twice}"
                yield Asked(f"{odd} in a query", right, method="POST", headers=FORM, body=form.encode())
        if right.startswith("/api/"):
            for odd, text in itertools.islice(turns, 4):
                yield Asked(odd, right, method=methods[-1], headers=JSON, body=_json(odd, text))
        reads_headers = right in ("/campaigns/", "/api/v1/jobs/") or right.startswith("/files/")
        is_row = right.startswith("/admin/") and ("<" in route or right.endswith("/add/"))
        for name, value in itertools.islice(heads, 40 if reads_headers else 0 if is_row else 1):
            yield Asked(f"{name}: {value[:40]!r}", right, method=methods[len(value) % 2], headers={name: value})


def _json(odd: str, text: str) -> bytes:
    """Return a body with the odd text in every field."""
    plain = unquote(text, errors="surrogateescape").encode(errors="surrogateescape")
    quoted = (
        b'"' + plain.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\r\n", b"\\r\\n").replace(b"\x00", b"\\u0000") + b'"'
    )
    names = ("model", "prompt", "brand", "big_idea", "reason", "review", "note", "name", "metadata", "jobs", "dimensions", odd)
    return b"{" + b", ".join(b'"' + name.encode() + b'": ' + quoted for name in names) + b"}"


def _routes(patterns, before="/"):
    for one in patterns:
        route = before + re.sub(r"[\^$]|\(\?P(<\w+>)[^)]*\)", r"\1", str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, route)
        else:
            yield route, one.callback


def _filled(route: str, known, values, only: str = "") -> str:
    """Return the URL with known values; ``only`` is the value that is not looked up."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        rows = {} if name == only else known.get(name, {})
        here = [number for part, number in rows.items() if f"/{part}/" in route]
        return str(here[-1] if here else values.get(name, 1))

    return re.sub(r"<(?:\w+:)?(\w+)>", value, route)


def _query_names(route: str, callback) -> list[str]:
    """Return the query parameters that a URL reads."""
    get = getattr(getattr(callback, "cls", None), "get", None)
    if get is not None:
        return list(getattr(get, "takes", [None])[0]().fields) if hasattr(get, "takes") else []
    for model, page in admin.site._registry.items():
        if route == f"/admin/{model._meta.app_label}/{model._meta.model_name}/":
            filters = [getattr(one, "parameter_name", one) for one in page.list_filter]
            names = [one if isinstance(one, str) else one[0] for one in filters]
            return [*names, *(f"{name}__exact" for name in names), "q", "o", "p", "all", "e", "_facets", "_changelist_filters"]
    if route.startswith("/admin/") and "<" in route:
        return []  # pages of one object, which read none
    return [
        "page",
        "status",
        "search",
        "rows",
        "columns",
        "verdict",
        "sort",
        "mood",
        "from",
        "seen",
        "next",
        "model",
        "duration",
        "ids",
    ]


def _names_in_templates() -> set[str]:
    """Return the field names of all forms in our templates."""
    found = {name for page in TEMPLATES.rglob("*.html") for name in re.findall(r'name="([\w.-]+)"', page.read_text())}
    return {*found, "action", "_selected_action", "index", "username", "password", "dim.mood"} - {"csrfmiddlewaretoken"}


@dataclass(frozen=True)
class Answered:
    status: int
    content_type: str

    @property
    def is_page(self) -> bool:
        """Whether the answer is a page although the client expects a problem document."""
        return self.status >= 400 and self.content_type != "application/problem+json"


async def _send_all(requests: list[Asked], session: str, key: str) -> list[Answered]:
    handler = Handler()
    return [await _send(handler, asked, session, key) for asked in requests]


async def _send(handler: Handler, asked: Asked, session: str, key: str) -> Answered:
    """Send the request as a server does, and roll back its changes."""
    if asked.method == "GET":
        return await _exchange(handler, asked, session, key)
    block = transaction.atomic()
    block._from_testcase = True
    await sync_to_async(block.__enter__)()
    try:
        return await _exchange(handler, asked, session, key)
    finally:
        await sync_to_async(_undo)(block)


def _undo(block: transaction.Atomic) -> None:
    transaction.set_rollback(True)
    block.__exit__(None, None, None)


async def _exchange(handler: Handler, asked: Asked, session: str, key: str) -> Answered:
    token = "t" * 32
    headers = {"host": b"testserver", "cookie": f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={token}".encode()}
    headers |= {"x-csrftoken": token.encode(), "content-length": str(len(asked.body)).encode()}
    if asked.path.startswith(("/api/", "/files/")):
        headers["authorization"] = f"Bearer {key}".encode()
    headers |= asked.headers
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(asked.path),
        "raw_path": asked.path.encode(),
        "query_string": asked.query.encode(),
        "headers": [(name.encode(), value) for name, value in headers.items()],
        "client": ("127.0.0.1", 5),
        "server": ("testserver", 80),
    }
    parts = [{"type": "http.request", "body": asked.body, "more_body": False}]
    answer: dict[str, object] = {}

    async def receive():
        if not parts:
            await asyncio.Event().wait()  # the client does not disconnect
        return parts.pop()

    async def send(message):
        if message["type"] == "http.response.start":
            answer.update(message)

    await handler.handle(scope, receive, send)
    content_type = dict(answer["headers"]).get(b"Content-Type", b"").decode()
    return Answered(int(answer["status"]), content_type)


def test_a_name_that_is_no_users_is_noted_as_far_as_it_can_be(client):
    answer = client.post("/login/", {"username": "x" * 5_000, "password": "wrong"})

    assert answer.status_code == 200
    assert AccessAttempt.objects.get().username == "x" * 255
