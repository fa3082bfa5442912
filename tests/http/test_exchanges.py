import gzip
import hashlib
import io
import logging
import os
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from queue_app import http
from queue_app.http import client, pool
from tests.http.support import get, resolve_to
from tests.providers.wire import Reply, Seen, WireServer, answer, cut, drip, hang, reset

BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "deflate": zlib.compress,
    "gzip": gzip.compress,
    "gzip, gzip": lambda content: gzip.compress(gzip.compress(content)),
    "deflate, gzip": lambda content: gzip.compress(zlib.compress(content)),
}


@pytest.mark.processes  # depends on milliseconds
class TestTheWallClock:
    @pytest.mark.parametrize(
        "head",
        [
            None,
            b"HTTP/1.1 200 OK\r\nX-Slow: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ],
        ids=["no answer", "dripping headers", "dripping body", "dripping body without a length"],
    )
    def test_cuts_a_server_that_never_ends(self, server: WireServer, head: bytes | None) -> None:
        dripped: list[bytes] = []
        server.says(hang if head is None else drip(head, sent=dripped))
        started = time.monotonic()
        with pytest.raises(http.TimedOut) as late:
            get(server.url, total_timeout=0.4)
        assert late.value.sent is True
        assert time.monotonic() - started > 0.3
        assert len(dripped) < 2_000  # it was cut before its end

    def test_covers_the_name_and_says_that_nothing_was_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def getaddrinfo(*args: object, **kwargs: object) -> None:
            time.sleep(2)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(http.TimedOut) as late:
            get("https://slow-name.example/", connect_timeout=0.1)
        assert late.value.sent is False

    def test_covers_a_server_that_accepts_and_then_shakes_no_hands(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            settings.TRUSTED_ORIGINS = [url]
            with pytest.raises(http.TimedOut) as late:
                get(url, connect_timeout=0.2)
        assert late.value.sent is False

    def test_runs_on_over_redirects(self, server: WireServer) -> None:
        def slow(sock: socket.socket) -> None:
            time.sleep(0.3)
            sock.sendall(answer(302, headers={"Location": "/again", "Connection": "close"}))

        server.says(*[slow] * 10)
        with pytest.raises(http.TimedOut):  # with 0.4 s for each hop there would be too many redirects
            get(server.url, redirects=9, total_timeout=0.4)
        assert len(server.seen) <= 2


class TestWhatWasSent:
    def test_nothing_when_nobody_listens(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings.TRUSTED_ORIGINS = [url]
        with pytest.raises(http.ConnectFailed) as failed:
            get(url)
        assert failed.value.sent is False

    def test_nothing_when_there_is_no_such_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def getaddrinfo(*args: object, **kwargs: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(http.ConnectFailed) as failed:
            get("https://nowhere.example/")
        assert failed.value.sent is False

    @pytest.mark.parametrize(
        "reply",
        [reset, lambda sock: sock.close(), lambda sock: sock.sendall(b"garbage\r\n\r\n")],
        ids=["reset", "closed", "garbage"],
    )
    def test_perhaps_everything_when_the_connection_breaks_afterwards(self, server: WireServer, reply: Any) -> None:
        server.says(reply)
        with pytest.raises(http.TransferBroken) as broken:
            http.request("POST", server.url, purpose="test", json={"a": 1}, allow_trusted=True)
        assert broken.value.sent is True
        assert len(server.seen) == 1

    def test_perhaps_everything_when_the_body_is_shorter_than_told(self, server: WireServer) -> None:
        server.says(lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
        with pytest.raises(http.TransferBroken):
            get(server.url)

    def test_a_500_is_an_answer_and_is_not_asked_again(self, server: WireServer) -> None:
        server.says(answer(500, {"error": "no"}))
        assert get(server.url).status == 500
        assert len(server.seen) == 1


class TestSizes:
    def test_a_body_announced_too_large_is_not_read(self, server: WireServer) -> None:
        server.says(answer(200, b"x" * 101))
        with pytest.raises(http.TooLarge, match="101"):
            get(server.url, max_bytes=100)

    def test_a_body_that_grows_too_large_is_cut(self, server: WireServer) -> None:
        server.says(lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000))
        sink = io.BytesIO()
        with pytest.raises(http.TooLarge):
            http.download(server.url, sink, max_bytes=100_000, total_timeout=30, allow_trusted=True)
        assert sink.tell() <= 100_000

    @pytest.mark.parametrize("encoding", BOMBS)
    def test_a_compression_bomb_counts_by_what_it_unpacks_to(self, server: WireServer, encoding: str) -> None:
        bomb = BOMBS[encoding](b"0" * 10_000_000)
        assert len(bomb) < 20_000
        server.says(answer(200, bomb, {"Content-Encoding": encoding}))
        with pytest.raises(http.TooLarge):
            get(server.url, max_bytes=1_000_000)
        sink = io.BytesIO()
        with pytest.raises(http.TooLarge):
            http.download(server.url, sink, max_bytes=1_000_000, total_timeout=30, allow_trusted=True)
        assert sink.tell() <= 1_000_000


class TestDownload:
    def test_counts_hashes_and_writes_what_came(self, server: WireServer) -> None:
        body = os.urandom(300_000)
        server.says(answer(200, body, {"Content-Type": "video/mp4", "X-More": "1"}))
        sink = io.BytesIO()
        got = http.download(server.url, sink, max_bytes=300_000, total_timeout=30, allow_trusted=True)
        assert (got.size, got.sha256, got.content_type) == (300_000, hashlib.sha256(body).hexdigest(), "video/mp4")
        assert sink.getvalue() == body
        assert got.headers["x-more"] == "1"

    def test_writes_nothing_of_a_refusal_and_shows_its_answer(self, server: WireServer) -> None:
        server.says(answer(404, {"error": "gone"}))
        sink = io.BytesIO()
        with pytest.raises(http.BadStatus) as refused:
            http.download(server.url, sink, max_bytes=100, total_timeout=30, allow_trusted=True)
        assert (refused.value.response.status, refused.value.response.json(), sink.tell()) == (404, {"error": "gone"}, 0)

    def test_a_full_disk_is_not_taken_for_a_broken_transfer(self, server: WireServer) -> None:
        class Full(io.BytesIO):
            def write(self, chunk: Any) -> int:
                raise OSError(28, "No space left on device")

        server.says(answer(200, b"x"))
        with pytest.raises(OSError, match="No space left"):
            http.download(server.url, Full(), max_bytes=100, total_timeout=30, allow_trusted=True)


def of_version(
    tag: str, body: bytes, *, bytes_sent: int | None = None, first: int = 0, **more: str
) -> Callable[[socket.socket], None]:
    """Return a reply with ``body`` from ``first`` on that breaks after ``bytes_sent`` bytes."""
    part = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"} if first else {}
    headers = {"ETag": tag, "Accept-Ranges": "bytes", **part, **more}
    head, _, content = answer(206 if first else 200, body[first:], headers).partition(b"\r\n\r\n")
    return cut(head + b"\r\n\r\n" + content[:bytes_sent])


class TestBrokenDownload:
    BODY = os.urandom(300_000)

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "RESUME_PAUSE_SECONDS", 0)

    def download(self, server: WireServer, **limits: Any) -> tuple[http.Downloaded, bytes]:
        sink = io.BytesIO()
        got = http.download(server.url, sink, total_timeout=30, allow_trusted=True, **{"max_bytes": 300_000, **limits})
        return got, sink.getvalue()

    def test_it_continues_where_it_broke(self, server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
        breaks = [100_000, 70_000]

        def reply_to(seen: Seen) -> Reply:
            first = int(seen.headers.get("range", "bytes=0-")[6:-1])
            return of_version('"v1"', self.BODY, first=first, bytes_sent=breaks.pop(0) if breaks else None)

        monkeypatch.setattr(server, "reply_to", reply_to)
        got, body = self.download(server)
        assert (body, got.size, got.sha256) == (self.BODY, 300_000, hashlib.sha256(self.BODY).hexdigest())
        asked = [seen.headers.get("range", "bytes=0-") for seen in server.seen]
        assert len(asked) == 3 and sorted(set(asked), key=asked.index) == asked and asked[-1] != "bytes=0-"
        assert [seen.headers.get("if-range") for seen in server.seen] == [None, '"v1"', '"v1"']

    def test_it_does_not_mix_two_versions(self, server: WireServer) -> None:
        server.says(of_version('"v1"', self.BODY, bytes_sent=client.CHUNK_BYTES), *[of_version('"v2"', os.urandom(300_000))] * 4)
        with pytest.raises(http.TransferBroken):
            self.download(server)

    def test_it_takes_no_other_part_than_the_missing_one(self, server: WireServer) -> None:
        server.says(of_version('"v1"', self.BODY, bytes_sent=100_000), *[of_version('"v1"', self.BODY, first=90_000)] * 4)
        with pytest.raises(http.TransferBroken):
            self.download(server)

    @pytest.mark.parametrize(
        ("tag", "more"),
        [('W/"v1"', {}), ("", {}), ('"v1"', {"Accept-Ranges": "none"}), ('"v1"', {"Content-Encoding": "br"})],
        ids=["weak", "unnamed", "no ranges", "encoded"],
    )
    def test_it_ends_if_the_server_promises_no_ranges_of_a_version(
        self, server: WireServer, tag: str, more: dict[str, str]
    ) -> None:
        server.says(of_version(tag, self.BODY, bytes_sent=100_000, **more))
        with pytest.raises(http.TransferBroken):
            self.download(server)
        assert len(server.seen) == 1

    def test_it_is_not_tried_for_ever(self, server: WireServer) -> None:
        broken = [of_version('"v1"', self.BODY, first=client.CHUNK_BYTES, bytes_sent=0) for number in range(9)]
        server.says(of_version('"v1"', self.BODY, bytes_sent=100_000), *broken)
        with pytest.raises(http.TransferBroken):
            self.download(server)
        assert len(server.seen) == 1 + client.RESUMES

    def test_all_parts_together_are_not_larger_than_allowed(self, server: WireServer) -> None:
        first = client.CHUNK_BYTES
        server.says(
            of_version('"v1"', self.BODY[:100_000], bytes_sent=first),
            of_version('"v1"', self.BODY, first=first),
        )
        with pytest.raises(http.TooLarge):
            self.download(server, max_bytes=100_000)


class TestKeptConnections:
    def test_serve_the_next_call_to_the_same_origin(self, server: WireServer) -> None:
        assert [get(server.url).status for _ in range(3)] == [200, 200, 200]
        assert server.connections == 1

    def test_are_not_trusted_once_they_have_rested(self, server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
        get(server.url)
        monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
        get(server.url)
        assert server.connections == 2

    def test_are_not_used_when_the_name_leads_elsewhere_now(
        self, server: WireServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.TRUSTED_ORIGINS = [f"http://moving.test:{server.port}"]
        resolve_to(monkeypatch, "127.0.0.1")
        get(f"http://moving.test:{server.port}/")
        resolve_to(monkeypatch, "127.0.0.2")
        with pytest.raises(http.ConnectFailed):
            get(f"http://moving.test:{server.port}/")

    def test_are_not_shared_with_a_forked_child(self, server: WireServer) -> None:
        get(server.url)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if get(server.url).status == 200 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        get(server.url)
        assert [seen.connection for seen in server.seen] == [1, 2, 1]

    def test_carry_no_cookies(self, server: WireServer) -> None:
        server.says(answer(200, {}, {"Set-Cookie": "session=1; Path=/"}))
        get(server.url), get(server.url)
        assert "cookie" not in server.seen[1].headers


class TestOpenTransactions:
    @pytest.mark.django_db
    def test_the_test_cases_own_does_not_count_but_one_inside_it_does(self, server: WireServer) -> None:
        assert connection.in_atomic_block
        assert get(server.url).status == 200
        with transaction.atomic(), pytest.raises(http.TransactionOpen, match="commit first"):
            get(server.url)
        with transaction.atomic(), pytest.raises(http.TransactionOpen):
            http.download(server.url, io.BytesIO(), max_bytes=1, total_timeout=1, allow_trusted=True)
        assert len(server.seen) == 1


class TestSecrets:
    def test_stay_out_of_messages_causes_and_logs(self, server: WireServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        server.says(reset)
        told = []
        for headers in ({"Authorization": "Bearer sk-secret"}, {"Authorization": "Bearer sk-secret\n"}):
            with pytest.raises(http.HttpError) as failed:
                get(f"{server.url}/hooks/sk-secret?token=sk-secret", headers=headers)
            told.append(f"{failed.value!r} {failed.value.__cause__!r} {failed.value.__suppress_context__}")
        assert "sk-secret" not in " ".join(told) + caplog.text
        assert all(text.endswith("True") for text in told)
