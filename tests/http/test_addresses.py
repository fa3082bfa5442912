import io
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from queue_app import http
from queue_app.http import pool
from tests.http.support import PUBLIC, forbid_connections, get, resolve_to
from tests.providers.wire import WireServer, answer, drip


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
        with pytest.raises(http.AddressRefused, match="not public"):
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
            http.download(server.url, io.BytesIO(), max_bytes=100, total_timeout=30, allow_trusted=True)

    def test_take_the_key_along_only_within_the_origin(self, server: WireServer, settings: Settings) -> None:
        with WireServer() as other:
            settings.TRUSTED_ORIGINS = [server.url, other.url]
            server.says(answer(307, headers={"Location": "/near"}), answer(307, headers={"Location": f"{other.url}/far"}))
            other.says(answer(200, b"file"))
            keys = {"Authorization": "Bearer sk-1", "api-key": "sk-2", "X-Own": "sk-3", "Range": "bytes=0-"}
            http.download(server.url, io.BytesIO(), max_bytes=100, total_timeout=30, allow_trusted=True, headers=keys)
        assert server.seen[1].headers["authorization"] == "Bearer sk-1"
        assert not {"authorization", "api-key", "x-own"} & set(other.seen[0].headers)
        assert other.seen[0].headers["range"] == "bytes=0-"

    def test_are_never_followed_by_a_post(self) -> None:
        with pytest.raises(ValueError, match="never sent a second time"):
            http.request("POST", "https://example.com", purpose="test", redirects=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for studio.test."""
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
