import hashlib
import io
import logging
import os
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from queue_app import http
from queue_app.http import pool
from tests.providers.wire import WireServer, answer, drip, hang, reset

PUBLIC = "93.184.215.14"


@pytest.fixture
def server(settings: Settings) -> Iterator[WireServer]:
    with WireServer() as server:
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to these addresses; gives the names that were asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in zip(families, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def forbid_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*args: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)


def get(url: str, **kwargs: Any) -> http.Response:
    options: dict[str, Any] = {"purpose": "test", "allow_trusted": True, "total_timeout": 3.0} | kwargs
    return http.request("GET", url, **options)


class TestIsGlobal:
    @pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
    def test_says_yes_to_public_addresses(self, address: str) -> None:
        assert http.is_global(address)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.1.2.3", "224.0.0.1",
            "240.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1",
            "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "2001:db8::1",
        ],
    )  # fmt: skip
    def test_says_no_to_everything_else(self, address: str) -> None:
        assert not http.is_global(address)


class TestWhereACallMayGo:
    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/", "https://localhost/",
            "https://[::ffff:169.254.169.254]/", "http://169.254.169.254/latest/meta-data/", "https://0/",
        ],
    )  # fmt: skip
    def test_private_addresses_are_refused_in_every_spelling(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        forbid_connections(monkeypatch)
        with pytest.raises(http.AddressRefused) as refused:
            get(url)
        assert refused.value.sent is False

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://example.com/", "file:///etc/passwd", "https://", "//example.com", "https://user:pw@example.com/",
            "https://exa mple.com/", "https://a:99999/",
        ],
    )  # fmt: skip
    def test_anything_but_plain_http_urls_is_refused(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve_to(monkeypatch, PUBLIC)
        forbid_connections(monkeypatch)
        with pytest.raises(http.AddressRefused) as refused:
            get(url)
        assert "pw" not in str(refused.value)

    def test_plain_http_is_refused_even_at_a_public_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve_to(monkeypatch, PUBLIC)
        forbid_connections(monkeypatch)
        with pytest.raises(http.AddressRefused, match="not https"):
            get("http://example.com/")

    def test_one_private_address_among_public_ones_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve_to(monkeypatch, PUBLIC, "10.0.0.5")
        forbid_connections(monkeypatch)
        with pytest.raises(http.AddressRefused, match="not global"):
            get("https://mixed.example/")

    def test_connects_to_the_very_address_that_was_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = resolve_to(monkeypatch, PUBLIC)
        tried: list[Any] = []

        def connect(sock: socket.socket, address: Any) -> None:
            tried.append(address)
            raise ConnectionRefusedError(111, "Connection refused")

        monkeypatch.setattr(socket.socket, "connect", connect)
        with pytest.raises(http.ConnectFailed, match="Connection refused") as failed:
            get("https://rebinding.example/")
        assert (asked, tried, failed.value.sent) == (["rebinding.example"], [(PUBLIC, 443)], False)

    def test_a_trusted_origin_is_called_at_a_private_address_by_its_own_name(
        self, server: WireServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.TRUSTED_ORIGINS = [f"http://studio.test:{server.port}"]
        asked = resolve_to(monkeypatch, "127.0.0.1")
        assert get(f"http://studio.test:{server.port}/x").status == 200
        assert (server.seen[0].headers["host"], asked) == (f"studio.test:{server.port}", ["studio.test"])

    def test_trust_counts_only_where_the_caller_allows_it(self, server: WireServer) -> None:
        with pytest.raises(http.AddressRefused):
            get(server.url, allow_trusted=False)
        assert server.connections == 0

    def test_trust_is_of_the_exact_origin(self, server: WireServer) -> None:
        for other in (
            f"http://localhost:{server.port}",
            f"http://127.0.0.1:{server.port + 1}",
            f"https://127.0.0.1:{server.port}",
        ):
            with pytest.raises(http.AddressRefused):
                get(other)
        assert server.connections == 0

    def test_the_next_checked_address_is_tried_when_the_first_is_dead(
        self, server: WireServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.TRUSTED_ORIGINS = [f"http://two.test:{server.port}"]
        resolve_to(monkeypatch, "::1", "127.0.0.1")
        assert get(f"http://two.test:{server.port}/").status == 200

    def test_proxies_of_the_environment_are_ignored(self, server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert get(server.url).status == 200


class TestRedirects:
    def test_are_not_followed_unless_asked(self, server: WireServer) -> None:
        server.says(answer(302, headers={"Location": "/there"}))
        assert get(server.url).status == 302
        assert len(server.seen) == 1

    def test_are_followed_as_often_as_allowed_and_no_further(self, server: WireServer) -> None:
        server.says(answer(302, headers={"Location": "/again"}))
        with pytest.raises(http.RedirectRefused):
            get(server.url, redirects=2)
        assert [seen.target for seen in server.seen] == ["/", "/again", "/again"]

    @pytest.mark.parametrize(
        "target", ["https://169.254.169.254/latest", "https://[::1]/", "http://10.0.0.1/", "file:///etc/passwd", "//[/"]
    )
    def test_to_a_forbidden_place_are_refused(self, server: WireServer, target: str) -> None:
        server.says(answer(302, headers={"Location": target}))
        with pytest.raises(http.AddressRefused):
            http.download(server.url, io.BytesIO(), max_bytes=100, total_timeout=3, allow_trusted=True)

    def test_take_the_key_along_only_within_the_origin(self, server: WireServer, settings: Settings) -> None:
        with WireServer() as other:
            settings.TRUSTED_ORIGINS = [server.url, other.url]
            server.says(answer(307, headers={"Location": "/near"}), answer(307, headers={"Location": f"{other.url}/far"}))
            other.says(answer(200, b"file"))
            keys = {"Authorization": "Bearer sk-1", "api-key": "sk-2", "X-Own": "sk-3", "Range": "bytes=0-"}
            http.download(server.url, io.BytesIO(), max_bytes=100, total_timeout=3, allow_trusted=True, headers=keys)
        assert server.seen[1].headers["authorization"] == "Bearer sk-1"
        assert not {"authorization", "api-key", "x-own"} & set(other.seen[0].headers)
        assert other.seen[0].headers["range"] == "bytes=0-"

    def test_are_never_followed_by_a_post(self) -> None:
        with pytest.raises(ValueError, match="never sent a second time"):
            http.request("POST", "https://example.com", purpose="test", redirects=1)


class TestTheWallClock:
    @pytest.mark.parametrize(
        "reply",
        [
            hang,
            drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
            drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
            drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        ],
        ids=["no answer", "dripping headers", "dripping body", "dripping body without a length"],
    )
    def test_cuts_a_server_that_never_ends(self, server: WireServer, reply: Any) -> None:
        server.says(reply)
        started = time.monotonic()
        with pytest.raises(http.TimedOut) as late:
            get(server.url, total_timeout=0.4)
        assert late.value.sent is True
        assert 0.3 < time.monotonic() - started < 1.0

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
            time.sleep(0.25)
            sock.sendall(answer(302, headers={"Location": "/again", "Connection": "close"}))

        server.says(slow)
        with pytest.raises(http.TimedOut):
            get(server.url, redirects=9, total_timeout=0.4)
        assert len(server.seen) == 2


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
            http.download(server.url, sink, max_bytes=100_000, total_timeout=3, allow_trusted=True)
        assert sink.tell() <= 100_000

    def test_a_compression_bomb_counts_by_what_it_unpacks_to(self, server: WireServer) -> None:
        server.says(answer(200, zlib.compress(b"0" * 10_000_000), {"Content-Encoding": "deflate"}))
        with pytest.raises(http.TooLarge):
            get(server.url, max_bytes=1_000_000)


class TestDownload:
    def test_counts_hashes_and_writes_what_came(self, server: WireServer) -> None:
        body = os.urandom(300_000)
        server.says(answer(200, body, {"Content-Type": "video/mp4", "X-More": "1"}))
        sink = io.BytesIO()
        got = http.download(server.url, sink, max_bytes=300_000, total_timeout=3, allow_trusted=True)
        assert (got.size, got.sha256, got.content_type) == (300_000, hashlib.sha256(body).hexdigest(), "video/mp4")
        assert sink.getvalue() == body
        assert got.headers["x-more"] == "1"

    def test_writes_nothing_of_a_refusal_and_shows_its_answer(self, server: WireServer) -> None:
        server.says(answer(404, {"error": "gone"}))
        sink = io.BytesIO()
        with pytest.raises(http.BadStatus) as refused:
            http.download(server.url, sink, max_bytes=100, total_timeout=3, allow_trusted=True)
        assert (refused.value.response.status, refused.value.response.json(), sink.tell()) == (404, {"error": "gone"}, 0)

    def test_a_full_disk_is_not_taken_for_a_broken_transfer(self, server: WireServer) -> None:
        class Full(io.BytesIO):
            def write(self, chunk: Any) -> int:
                raise OSError(28, "No space left on device")

        server.says(answer(200, b"x"))
        with pytest.raises(OSError, match="No space left"):
            http.download(server.url, Full(), max_bytes=100, total_timeout=3, allow_trusted=True)


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


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for studio.test that is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=DNS:studio.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


class TestTls:
    @pytest.fixture
    def secure(self, authority: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
        resolve_to(monkeypatch, "127.0.0.1")
        with WireServer(tls=context) as server:
            settings.TRUSTED_ORIGINS = [f"https://studio.test:{server.port}", f"https://other.test:{server.port}"]
            yield server

    @pytest.fixture
    def trusting(self, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context = ssl.create_default_context(cafile=str(authority / "cert.pem"))
        monkeypatch.setattr(pool, "_tls_context", lambda: context)
        monkeypatch.setattr(pool, "_local", threading.local())

    def test_checks_the_certificate_by_the_urls_name(self, secure: WireServer, trusting: None) -> None:
        assert get(f"https://studio.test:{secure.port}/").status == 200
        with pytest.raises(http.ConnectFailed, match="Hostname mismatch") as failed:
            get(f"https://other.test:{secure.port}/")
        assert failed.value.sent is False
        assert len(secure.seen) == 1

    def test_refuses_an_authority_it_does_not_know(self, secure: WireServer) -> None:
        with pytest.raises(http.ConnectFailed, match="certificate refused") as failed:
            get(f"https://studio.test:{secure.port}/")
        assert (failed.value.sent, secure.seen) == (False, [])

    def test_the_wall_clock_cuts_it_too(self, secure: WireServer, trusting: None) -> None:
        secure.says(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"))
        with pytest.raises(http.TimedOut):
            get(f"https://studio.test:{secure.port}/", total_timeout=0.4)


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
