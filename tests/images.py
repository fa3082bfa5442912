"""Images that clients send: good ones, and ones that must do no harm. And a server with a public address that has some."""

import io
import socket
import ssl
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from queue_app.http import pool
from tests.http.support import PUBLIC
from tests.providers.wire import WireServer

PNG = b"\x89PNG\r\n\x1a\n"
SCRIPT = b"<script>alert(1)</script>"


def picture(form: str = "PNG", size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """Return an image with different pixels."""
    grey = Image.linear_gradient("L").resize(size)
    if mode == "I;16":
        return saved(Image.frombytes(mode, size, b"".join(bytes([one, one]) for one in grey.tobytes())), form, **options)
    made = grey.convert(mode)
    if mode in ("RGBA", "LA"):
        made.putalpha(100)
    return saved(made, form, **options)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG with one more chunk after its head."""
    whole = picture()
    return whole[:33] + chunk(kind, data) + whole[33:]


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it is of this size and has nearly nothing in it."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG + head + chunk(b"IDAT", zlib.compress(bytes(1_000))) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    """Return a JPEG that says it is of this size."""
    whole = picture("JPEG")
    place = whole.index(b"\xff\xc0") + 5
    return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]


def gif_of(frames: int) -> bytes:
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + frames * frame + b"\x3b"


def animated(form: str, frames: int = 3) -> bytes:
    first, *others = [Image.new("RGB", (16, 16), (number * 60, 0, 0)) for number in range(frames)]
    return saved(first, form, save_all=True, append_images=others)


# what it is → its bytes, and a word of the refusal
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "40 megapixels": (lambda: saved(Image.new("L", (8_000, 5_000)), "PNG"), "40.0 megapixels (8000 × 5000); the limit is 25"),
    "a PNG of 256 megapixels": (lambda: saved(Image.new("1", (16_000, 16_000)), "PNG"), "more than 25 megapixels"),
    "a PNG that says 50,000 × 50,000": (lambda: png_of(50_000, 50_000), "more than 25 megapixels"),
    "a PNG that says 2 billion pixels wide": (lambda: png_of(2**31 - 1, 1), "more than 25 megapixels"),
    "a JPEG that says 65,500 × 65,500": (lambda: jpeg_of(65_500, 65_500), "more than 25 megapixels"),
    "a JPEG that says 40 megapixels": (lambda: jpeg_of(8_000, 5_000), "megapixels"),
    "a PNG with a text of 80 MB": (lambda: with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))), "damaged"),
    "a PNG with a profile of 80 MB": (lambda: with_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000))), "damaged"),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "not an SVG"),
    "an SVG of a billion laughs": (
        lambda: b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><svg><text>&b;</text></svg>',
        "not an SVG",
    ),
    "a GIF of 10,000 frames": (lambda: gif_of(10_000), "not a GIF"),
    "a GIF that is a script": (lambda: b"GIF89a/*" + bytes(100) + b"*/=1;alert(1)", "not a GIF"),
    "an animated PNG": (lambda: animated("PNG"), "Animated"),
    "an animated PNG of 1,000 frames": (lambda: animated("PNG", 1_000), "Animated"),
    "an animated WebP": (lambda: animated("WEBP"), "Animated"),
    "half a PNG": (lambda: picture(size=(200, 200))[:-300], "cut off"),
    "half a JPEG": (lambda: picture("JPEG", (300, 300))[:-800], "cut off"),
    "half a WebP": (lambda: picture("WEBP", (300, 300))[:-100], "cut off"),
    "a PNG without its end": (lambda: picture()[:-12], "cut off"),
    "a PNG whose data ends early": (lambda: png_of(3_000, 3_000), "damaged"),
    "a PNG with a wrong checksum": (lambda: picture().replace(b"IDAT", b"IDAT")[:50] + b"\0" + picture()[51:], "damaged"),
    "a PNG with a ZIP behind it": (lambda: picture() + b"PK\x05\x06" + bytes(18), "goes on after its image"),
    "a JPEG with PHP behind it": (lambda: picture("JPEG") + b"<?php system($_GET[0]);", "goes on after its image"),
    "a WebP with HTML behind it": (lambda: picture("WEBP") + SCRIPT, "goes on after its image"),
    "a JPEG with a program behind it": (lambda: picture("JPEG") + b"MZ" + bytes(60) + b"!", "goes on after its image"),
    "a TIFF": (lambda: picture("TIFF"), "not this type"),
    "a BMP": (lambda: picture("BMP"), "not this type"),
    "an ICO": (lambda: picture("ICO"), "not this type"),
    "a HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not a HEIC"),
    "a PDF": (lambda: b"%PDF-1.7\n" + SCRIPT, "not this type"),
    "a web page": (lambda: b"<!doctype html>" + SCRIPT, "not this type"),
    "a ZIP": (lambda: b"PK\x03\x04" + bytes(100), "not this type"),
    "a PNG by its first bytes alone": (lambda: PNG + SCRIPT, "cut off"),
    "a JPEG by its first bytes alone": (lambda: b"\xff\xd8\xff" + SCRIPT, "cut off"),
    "nothing": (lambda: b"", "empty"),
}


def with_text() -> bytes:
    """Return a PNG with a script in a comment."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", SCRIPT.decode())
    return picture(pnginfo=told)


# images that are good, with something in them that must not be kept
CLEANED: dict[str, Callable[[], bytes]] = {
    "a PNG with a script in a comment": with_text,
    "a JPEG with a script in a comment": lambda: picture("JPEG", comment=SCRIPT),
    "a JPEG with a script for a profile": lambda: picture("JPEG", icc_profile=SCRIPT),
    "a PNG with a script for a profile": lambda: picture(icc_profile=SCRIPT),
    "a WebP with a script in its notes": lambda: picture("WEBP", exif=b"Exif\0\0" + SCRIPT),
    "a PNG with a chunk of its own": lambda: with_chunk(b"prVt", SCRIPT),
    "a transparent PNG with a script for a profile": lambda: picture(mode="RGBA", icc_profile=SCRIPT),
    "a photograph with a film behind it": lambda: picture("JPEG") + b"\0\0\0\x18ftypmp42" + SCRIPT,
}

# addresses that no fetch may reach, in every spelling
PRIVATE = [
    "https://127.0.0.1/a.png", "https://127.1/a.png", "https://127.0.1/a.png", "https://2130706433/a.png", "https://0x7f000001/a.png",
    "https://0x7f.1/a.png", "https://0177.0.0.1/a.png", "https://017700000001/a.png", "https://0/a.png", "https://0.0.0.0/a.png",
    "https://localhost/a.png", "https://LOCALHOST/a.png", "https://localhost./a.png", "https://[::1]/a.png", "https://[::]/a.png",
    "https://[0:0:0:0:0:0:0:1]/a.png", "https://[::ffff:127.0.0.1]/a.png", "https://[::ffff:7f00:1]/a.png",
    "https://[::127.0.0.1]/a.png", "https://[64:ff9b::7f00:1]/a.png", "https://[2002:7f00:1::]/a.png", "https://[fe80::1]/a.png",
    "https://[fc00::1]/a.png", "https://[fd00:ec2::254]/a.png", "https://[fec0::1]/a.png", "https://[ff02::1]/a.png",
    "https://[2001:db8::1]/a.png", "https://[2001::1]/a.png", "https://10.0.0.1/a.png", "https://10.255.255.255/a.png",
    "https://172.16.0.1/a.png", "https://172.31.255.255/a.png", "https://192.168.0.1/a.png", "https://192.168.1.254/a.png",
    "https://169.254.169.254/latest/meta-data/", "https://169.254.170.2/v2/credentials", "https://[::ffff:169.254.169.254]/a.png",
    "https://[64:ff9b::a9fe:a9fe]/a.png", "https://2852039166/a.png", "https://0xa9fea9fe/a.png",
    "https://0251.0376.0251.0376/a.png", "https://100.64.0.1/a.png", "https://100.100.100.200/a.png", "https://192.0.0.1/a.png",
    "https://192.0.2.1/a.png", "https://198.18.0.1/a.png", "https://198.51.100.1/a.png", "https://203.0.113.1/a.png",
    "https://224.0.0.1/a.png", "https://240.0.0.1/a.png", "https://255.255.255.255/a.png", "https://127.0.0.1:5432/a.png",
    "https://127.0.0.1:6379/a.png", "https://localhost:8001/_studio/log", "https://①②⑦.⓪.⓪.①/a.png", "https://127。0。0。1/a.png",
    "http://127.0.0.1:8000/admin/", "http://169.254.169.254/latest/meta-data/", "http://[::1]:8000/a.png", "http://93.184.215.14/a.png",
    "https://127.0.0.1/a.png?x=https://example.com/", "https://127.0.0.1/a.png#https://example.com/",
]  # fmt: skip
# what is no address of an image at all
NO_ADDRESS = [
    "file:///etc/passwd", "ftp://93.184.215.14/a.png", "gopher://127.0.0.1:6379/_x", "dict://127.0.0.1:11211/",
    "javascript:alert(1)", "data:image/png;base64,iVBORw0KGgo=", "//127.0.0.1/a.png", "/inputs/a.png", "https://",
    "https:///a.png", "https://[::1/a.png", "https://user:pw@93.184.215.14/a.png", "https://example.com@127.0.0.1/a.png",
    "https://exa mple.com/a.png", "jar:https://example.com!/a", "https://example.com/\r\nX: y", "unix:/var/run/docker.sock", "",
]  # fmt: skip
# The rule is one, so the forms are tried with some of each; the API is tried with all.
SOME_REFUSED, SOME_PRIVATE = list(REFUSED)[::5], PRIVATE[::5]


@contextmanager
def public_server(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[WireServer]:
    """Run a TLS server, known and trusted as studio.test, at a public address."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=DNS:studio.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    trusted = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    connect = socket.socket.connect

    def lead_home(sock: socket.socket, address: Any) -> None:
        connect(sock, ("127.0.0.1", address[1]) if address[0] == PUBLIC else address)

    getaddrinfo = socket.getaddrinfo

    def resolved(host: str, port: int, **options: Any) -> list[Any]:
        return getaddrinfo(PUBLIC if host == "studio.test" else host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket.socket, "connect", lead_home)
    monkeypatch.setattr(pool, "_tls_context", lambda: trusted)
    monkeypatch.setattr(pool, "_local", threading.local())
    with WireServer(tls=context) as server:
        yield server
