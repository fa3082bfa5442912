"""
Images that jobs start from: uploaded by users or fetched for them, checked, re-encoded, and kept as files of our own.

Providers load them from this site, each under a token of its own (`address`). Nothing that a client sent is passed on.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from queue_app import http
from queue_app.models import Asset, Upload, User
from queue_app.rules import parameters
from queue_app.work import disk, media, media_child
from queue_app.work.storing import UPLOADS

BYTES_MOST = media_child.UPLOAD_BYTES
FETCH_SECONDS = 15.0
REDIRECTS = 3
UNUSED_MOST = 500  # per user
KEPT_UNUSED = timedelta(days=30)  # a draft may name them
PRUNED_AT_ONCE = 500
DECODERS, DECODER_SECONDS = 2, 20.0  # at the same time in one process, and how long another one waits
_decoding = threading.BoundedSemaphore(DECODERS)


class UploadRefused(Exception):
    """The image can't be used; nothing was kept. The message is for the user."""


def receive(owner: User, chunks: Iterable[bytes], *, at: datetime) -> Upload:
    """
    Keep an image that a user sends.

    :raises UploadRefused: it is too large, no image of a supported type, damaged or dangerous to decode.
    """

    def write(sink: BinaryIO) -> None:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > BYTES_MOST:
                raise UploadRefused(_too_large())
            sink.write(chunk)

    return _keep(owner, write, at=at)


def fetch(owner: User, url: str, *, at: datetime, seconds: float = FETCH_SECONDS) -> Upload:
    """
    Fetch an image for a user and keep it. Only public https addresses are called (I37). No transaction may be open.

    :raises UploadRefused: as `receive`, or the address can't be used.
    """

    def write(sink: BinaryIO) -> None:
        with _in_words():
            http.download(url, sink, max_bytes=BYTES_MOST, total_timeout=seconds, purpose="image", redirects=REDIRECTS)

    return _keep(owner, write, at=at)


def owned(owner: User, ids: Iterable[str]) -> dict[str, Upload]:
    """Return the uploads of a user among these ids, by id."""
    wanted = {value for value in ids if parameters.is_upload(value)}
    found = Upload.objects.filter(owner=owner, pk__in=wanted) if wanted else ()
    return {str(upload.pk): upload for upload in found}


def adopt(owner: User, files: Iterable[Asset], *, at: datetime) -> dict[UUID, Upload]:
    """
    Let images that were generated for a user be uploads of theirs, without a copy: both rows name the same file. Return the
    uploads by the file's id; a file that has been deleted is left out. Needs a transaction: the files stay until its end.
    """
    wanted = [file.pk for file in files]
    kept = list(Asset.objects.kept().filter(pk__in=wanted, kind=Asset.Kind.IMAGE).order_by("pk").select_for_update(no_key=True))
    Upload.objects.bulk_create([_adopted(owner, file, at=at) for file in kept], ignore_conflicts=True)
    # one that the user uploaded before is the same image
    equal = Upload.objects.filter(owner=owner, sha256__in=[file.sha256 for file in kept]).order_by("pk").select_for_update()
    known = {upload.sha256: upload for upload in equal}
    return {file.pk: known[file.sha256] for file in kept}


def mark_used(owner: User, ids: Collection[str], *, at: datetime) -> bool:
    """Keep these uploads for as long as the jobs that name them. Return whether all of them are there. Needs a transaction."""
    found = list(Upload.objects.filter(owner=owner, pk__in=ids).order_by("pk").select_for_update())
    fresh = [upload.pk for upload in found if upload.used_at is None]
    Upload.objects.filter(pk__in=fresh).update(used_at=at)
    return len(found) == len({*ids})


def for_provider(job_parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's parameters with the addresses of its uploads in place of their ids; always the same for a job."""
    images = job_parameters.get("images")
    if not images:
        return dict(job_parameters)
    ids = [value for value in parameters.images_in(images) if parameters.is_upload(value)]
    addresses = {str(upload.pk): address(upload) for upload in Upload.objects.filter(pk__in=ids)}
    return {**job_parameters, "images": parameters.with_images(images, lambda value: addresses.get(value, value))}


def address(upload: Upload) -> str:
    """Return the URL that a provider loads an upload from. Anyone who has it can load the image, so no page shows it."""
    return settings.PUBLIC_URL + reverse("input", args=[upload.token, upload.file_name])


def prune(*, at: datetime) -> None:
    """Delete uploads that no job has used within 30 days, with their files."""
    with transaction.atomic():
        old = Upload.objects.filter(used_at=None, created_at__lt=at - KEPT_UNUSED).order_by("pk")
        rows = list(old.select_for_update(skip_locked=True)[:PRUNED_AT_ONCE])
        Upload.objects.filter(pk__in=[upload.pk for upload in rows]).delete()
    disk.delete(upload.name for upload in rows)


def _keep(owner: User, write: Callable[[BinaryIO], None], *, at: datetime) -> Upload:
    if Upload.objects.filter(owner=owner, used_at=None).count() >= UNUSED_MOST:
        raise UploadRefused(f"You have {UNUSED_MOST} images that no job uses. Use them, or wait: unused ones are deleted.")
    with disk.workroom() as room:
        with (room / "sent").open("wb") as sink:
            write(sink)
        with _a_decoder():
            try:
                piece = media.reencode(room / "sent", room)
            except media.NotUsable as problem:
                raise UploadRefused(str(problem)) from problem
        key = uuid4()
        saved = disk.save(piece.path, f"{UPLOADS}/{at:%Y/%m}/{key}.{media.EXTENSIONS[piece.content_type]}")
    return _recorded(owner, key, piece, saved, at=at)


def _recorded(owner: User, key: UUID, piece: media.Piece, saved: disk.Saved, *, at: datetime) -> Upload:
    """Write the row; the same image again is the row that is there already."""
    upload = Upload(
        id=key,
        owner=owner,
        name=saved.name,
        content_type=piece.content_type,
        size=saved.size,
        sha256=saved.sha256,
        width=piece.width or 0,
        height=piece.height or 0,
        created_at=at,
    )
    with transaction.atomic():
        Upload.objects.bulk_create([upload], ignore_conflicts=True)
        kept = Upload.objects.select_for_update().get(owner=owner, sha256=saved.sha256)
        if kept.pk != key:
            Upload.objects.filter(pk=kept.pk).update(created_at=at)
    if kept.pk != key:
        disk.delete([saved.name])
    return kept


def _adopted(owner: User, file: Asset, *, at: datetime) -> Upload:
    same = {name: getattr(file, name) for name in ("name", "content_type", "size", "sha256")}
    return Upload(owner=owner, **same, width=file.width or 0, height=file.height or 0, created_at=at, used_at=at)


@contextmanager
def _a_decoder() -> Iterator[None]:
    """
    Wait until few enough images are being decoded.

    :raises UploadRefused: that took too long.
    """
    if not _decoding.acquire(timeout=DECODER_SECONDS):
        raise UploadRefused("Too many images are being checked right now. Try again in a minute.")
    try:
        yield
    finally:
        _decoding.release()


@contextmanager
def _in_words() -> Iterator[None]:
    """:raises UploadRefused: a fetch failed. Says no more of an address that is not public than that it is none."""
    try:
        yield
    except http.AddressRefused as problem:
        words = "This address can't be used. Use a public https address, or upload the image."
        raise UploadRefused(words) from problem
    except http.TooLarge as problem:
        raise UploadRefused(_too_large()) from problem
    except http.BadStatus as problem:
        status = problem.response.status
        raise UploadRefused(f"The address answered {status}, not an image. Check it, or upload the image.") from problem
    except http.RedirectRefused as problem:
        raise UploadRefused("The address redirects too often. Use the image's own address, or upload the image.") from problem
    except http.HttpError as problem:
        raise UploadRefused("The image could not be fetched. Check its address, or upload the image.") from problem


def _too_large() -> str:
    return f"The image is larger than {BYTES_MOST // 1_000_000} MB. Make it smaller."
