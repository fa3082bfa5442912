"""Faked name resolution, and the call that most tests make."""

import socket
from typing import Any

import pytest

from queue_app import http

PUBLIC = "93.184.215.14"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to these addresses; return a list that collects the names."""
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
