"""
What a file really is. Nobody's header or name is believed: the first bytes decide, then a decoder must agree.

The decoders are large and native, and they are fed by strangers: they run in a process of their own (`media_child`) with
limits on memory, processor time and files, so that a crash or a bomb ends there and not in the worker.
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
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/webp"})
ALLOWED_TYPES: Mapping[str, frozenset[str]] = {
    Kind.VIDEO: frozenset({"video/mp4", "video/webm"}),
    Kind.IMAGE: IMAGES,
    Kind.THUMBNAIL: IMAGES,
    Kind.SPRITESHEET: IMAGES,
    Kind.PAGE: frozenset({"text/html", "text/plain"}),
}
HEAD_BYTES = 4096
# brands of the ISO container that are films in MP4; the same container also holds HEIC, AVIF, QuickTime and audio
MP4_BRANDS = ("iso", "mp4", "avc1", "dash", "M4V", "MSNV", "av01")
CHILD_SECONDS = 45  # wall clock; the store task has 300 s in all


class NotUsable(Exception):
    """A file is not what its job asked for. ``code`` is stable: ``wrong_type``, ``damaged`` or ``unreadable``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Piece:
    """A checked file: the one that was delivered, or a still made from it. Pixels, and seconds of videos."""

    kind: str
    path: Path
    content_type: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def sniff(path: Path) -> str:
    """
    Name the content type by the file's own bytes.

    :raises NotUsable: ``wrong_type``, none of the types that we keep.
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
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head:  # EBML, DocType of four letters
        return "video/webm"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def _text_type(path: Path, head: bytes) -> str | None:
    """UTF-8 from end to end without control characters is text; it is a page when it says so itself."""
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
    Check a file that should be of this kind; gives it first, then its stills, which lie in the directory ``room``: a thumbnail,
    and of a video a spritesheet of ten frames in one row. Text has nothing to decode.

    :raises NotUsable: ``wrong_type``; ``damaged``, it cannot be decoded to its end; ``unreadable``, it broke or outlasted the
        decoder.
    """
    content_type = sniff(path)
    if content_type not in ALLOWED_TYPES[kind]:
        raise NotUsable("wrong_type", f"Expected {kind}, got {content_type}.")
    if kind == Kind.PAGE:
        return [Piece(kind, path, content_type)]
    said = _child(path, content_type, room)
    if "problem" in said:
        raise NotUsable("damaged", f"The {kind} is damaged: {said['problem']}")
    stills = [
        Piece(name, found, sniff(found), width, height)
        for name, (width, height) in said["stills"].items()
        for found in [room / media_child.STILLS[name]]
    ]
    return [Piece(kind, path, content_type, said["width"], said["height"], said["seconds"]), *stills]


def _child(path: Path, content_type: str, room: Path) -> dict[str, Any]:
    # -I: nothing of our environment or directory reaches it, no keys either
    command = [sys.executable, "-I", media_child.__file__, str(path), content_type, str(room)]
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
    said: dict[str, Any] = json.loads(done.stdout)
    return said
