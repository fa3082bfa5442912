"""
Content checks of delivered files. Headers and names are not trusted: the first bytes decide the type, then a decoder must agree.

Decoders are large native code and read untrusted files. They run in a separate process (`media_child`) with limits on memory,
processor time and files, so that a crash or a decompression bomb does not reach the worker.
"""

import codecs
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queue_app.models import Asset
from queue_app.work import media_child

Kind = Asset.Kind
EXTENSIONS = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/ld+json": "jsonld",
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/webp"})
ALLOWED_TYPES: Mapping[str, frozenset[str]] = {
    Kind.VIDEO: frozenset({"video/mp4", "video/webm"}),
    Kind.IMAGE: IMAGES,
    Kind.THUMBNAIL: IMAGES,
    Kind.TILE: IMAGES,
    Kind.SPRITESHEET: IMAGES,
    Kind.PAGE: frozenset({"text/html", "text/plain"}),
    Kind.MARKDOWN: frozenset({"text/markdown"}),
    Kind.JSON_LD: frozenset({"application/ld+json"}),
    Kind.TEXT: frozenset({"text/html", "text/plain"}),
}
HEAD_BYTES = 4096
# brands of the ISO container that are MP4 videos; the same container is used for HEIC, AVIF, QuickTime and audio
MP4_BRANDS = ("iso", "mp4", "avc1", "dash", "M4V", "MSNV", "av01")
CHILD_SECONDS = 45  # wall clock; the store task has 300 s in all


class NotUsable(Exception):
    """The file is not usable as a result. ``code`` is stable: ``wrong_type``, ``damaged`` or ``unreadable``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Piece:
    """A checked file, delivered or a still made from it. Width and height are in pixels, ``seconds`` is set for videos."""

    kind: str
    path: Path
    content_type: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def sniff(path: Path) -> str:
    """
    Return the content type by the file's own bytes.

    :raises NotUsable: ``wrong_type``, not a supported type.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    found = _by_magic(head) or _text_type(path, head)
    if found is None:
        raise NotUsable("wrong_type", f"Unsupported file type (starts with {head[:16].hex(' ') or 'nothing'}).")
    return found


def _by_magic(head: bytes) -> str | None:
    if head[4:8] == b"ftyp" and head[8:12].decode("latin-1").startswith(MP4_BRANDS):
        return "video/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head:  # EBML with a four-letter DocType
        return "video/webm"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def _text_type(path: Path, head: bytes) -> str | None:
    """Return ``text/html`` or ``text/plain`` if the whole file is UTF-8 without control characters, else ``None``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(1 << 20):
                if any(letter < " " and letter not in "\t\n\f\r" for letter in decoder.decode(chunk)):
                    return None
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    beginning = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n").lower()
    if not beginning:
        return None
    return "text/html" if beginning.startswith(("<!doctype html", "<html")) else "text/plain"


def examine(kind: str, path: Path, room: Path) -> list[Piece]:
    """
    Check a file that should be of this kind. Return it first, then its stills, written to the directory ``room``: a thumbnail
    in two sizes, and for a video a spritesheet of ten frames in one row. Text is not decoded.

    :raises NotUsable: ``wrong_type``; ``damaged``: it can't be decoded to its end; ``unreadable``: the decoder crashed or took
        too long.
    """
    content_type = sniff(path)
    if content_type not in ALLOWED_TYPES[kind]:
        raise NotUsable("wrong_type", f"Expected {kind}, got {content_type}.")
    if kind == Kind.PAGE:
        return [Piece(kind, path, content_type)]
    if kind == Kind.TEXT:  # never served as HTML, even if it looks like it
        return [Piece(kind, path, "text/plain")]
    report = _decode(path, content_type, room)
    if "problem" in report:
        raise NotUsable("damaged", f"The {kind} is damaged: {report['problem']}")
    stills = [
        Piece(name, found, sniff(found), width, height)
        for name, (width, height) in report["stills"].items()
        for found in [room / media_child.STILLS[name]]
    ]
    return [Piece(kind, path, content_type, report["width"], report["height"], report["seconds"]), *stills]


def check_made(kind: str, path: Path, content_type: str) -> Piece:
    """
    Check a text file that a job has made itself, of a kind and a content type that it tells.

    :raises NotUsable: ``wrong_type``: it is no text, or no file of this kind has the type.
    """
    if content_type not in ALLOWED_TYPES[kind] or sniff(path) not in ALLOWED_TYPES[Kind.TEXT]:
        raise NotUsable("wrong_type", f"Expected {kind}, got {content_type}.")
    return Piece(kind, path, content_type)


def reencode(path: Path, room: Path) -> Piece:
    """
    Check an image that a user sent or had fetched, and re-encode it into the directory ``room``: only its pixels are kept.

    :raises NotUsable: ``wrong_type`` or ``unreadable``, or ``refused``; the message is for the user.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    content_type = _by_magic(head)
    if content_type not in IMAGES:
        raise NotUsable("wrong_type", f"Upload a PNG, JPEG or WebP image, not {_said_type(head)}.")
    try:
        report = _decode(path, content_type, room, "reencode")
    except NotUsable as problem:
        raise NotUsable(problem.code, "The image is damaged: it can't be decoded. Save it again and upload that.") from problem
    if "problem" in report:
        raise NotUsable("refused", report["problem"])
    made = room / report["name"]
    return Piece(Kind.IMAGE, made, sniff(made), report["width"], report["height"])


def _said_type(head: bytes) -> str:
    """Return what a file that is no image of ours seems to be, in words."""
    if not head:
        return "an empty file"
    if head.startswith(b"GIF8"):
        return "a GIF"
    if b"<svg" in head[:1024].lower():
        return "an SVG"
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    return "this type of file"


def _decode(path: Path, content_type: str, room: Path, task: str = "examine") -> dict[str, Any]:
    # -I and an empty environment: the decoder gets none of our modules, variables or keys
    command = [sys.executable, "-I", media_child.__file__, str(path), content_type, str(room), task]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=CHILD_SECONDS,
            check=False,
            cwd=room,
            env={"LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise NotUsable("unreadable", f"The {content_type} file took longer than {CHILD_SECONDS}s to decode.") from None
    if done.returncode:
        raise NotUsable("unreadable", f"The {content_type} file crashed the decoder (exit status {done.returncode}).")
    report: dict[str, Any] = json.loads(done.stdout)
    return report
