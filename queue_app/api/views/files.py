"""
Stored files, in ranges so that videos can be sought in: ``/files/{id}/{name}``, for the job's owner and staff only; images that
jobs start from, ``/uploads/{id}/{name}``, for their owner and staff, and ``/inputs/{token}/{name}``, for providers. Other views
decide themselves who may have a file, and send it with `sent`.

A file is streamed in pieces and never held in memory. Each kind of server gets its own kind of iterator: an async one would read
a plain iterator to its end first.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from queue_app.api import errors, ranges
from queue_app.api.generics import StrictAPIView
from queue_app.api.negotiation import OneType
from queue_app.api.permissions import HasScope
from queue_app.api.schema import takes
from queue_app.api.serializers.base import Query
from queue_app.models import Asset, Job, Upload, User
from queue_app.work import disk

log = logging.getLogger(__name__)
Stored = Asset | Upload
CHUNK_BYTES = 256 * 1024
# a page is foreign HTML on our own origin: no scripts, no forms, nothing loaded; our own pages may frame it
PAGE_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"

# sources of a page: browsers show them in many ways, so they are only saved
SAVED_ONLY = ("text/markdown", "application/ld+json")


class FileQuery(Query):
    """Display in the browser, or download."""

    download = serializers.ChoiceField(["0", "1"], required=False)


@dataclass
class FilePart:
    """The next ``length`` bytes of a file. The response closes it, also when the client hangs up."""

    file: BinaryIO
    length: int

    def close(self) -> None:
        self.file.close()


class Pieces(FilePart):
    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        while left > 0 and (piece := self.file.read(min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece


class AsyncPieces(FilePart):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self.length
        while left > 0 and (piece := await asyncio.to_thread(self.file.read, min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece


@extend_schema(exclude=True)
class FileView(StrictAPIView):
    """One stored file. ``?download=1`` lets browsers save it. 404 for other users, 410 once it has expired."""

    content_negotiation_class = OneType
    permission_classes = (HasScope,)  # without IsAuthenticated: files of others are 404 for all, logged in or not

    @takes(FileQuery)
    def get(self, request: Request, asset_id: UUID, name: str) -> HttpResponseBase:
        asset = _readable(request, asset_id)
        if asset.expired_at:
            gone = errors.refusal(410, f"This file was deleted at {asset.expired_at:%Y-%m-%d %H:%M} UTC.")
            return JsonResponse(gone, status=410, content_type=errors.CONTENT_TYPE)
        return _answer(request, asset, _saved_as(asset))


@extend_schema(exclude=True)
class UploadView(StrictAPIView):
    """An uploaded image, for its owner and staff. 404 for other users."""

    content_negotiation_class = OneType
    permission_classes = (HasScope,)  # as above

    @takes(FileQuery)
    def get(self, request: Request, upload_id: UUID, name: str) -> HttpResponseBase:
        if not isinstance(request.user, User):
            raise Http404
        reachable = Upload.objects.all() if request.user.is_staff else Upload.objects.filter(owner=request.user)
        upload = get_object_or_404(reachable, pk=upload_id)
        return _answer(request, upload, f"upload{PurePosixPath(upload.name).suffix}")


@extend_schema(exclude=True)
class InputView(StrictAPIView):
    """An uploaded image for the provider that a job was sent to: its token is the only key. 404 for any other."""

    content_negotiation_class = OneType
    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, token: str, name: str) -> HttpResponseBase:
        upload = get_object_or_404(Upload, token=token)
        response = _answer(request, upload, f"image{PurePosixPath(upload.name).suffix}")
        response["X-Robots-Tag"] = "noindex"
        return response


def sent(request: HttpRequest, stored: Stored, saved_as: str, *, download: bool = False) -> HttpResponseBase:
    """
    Return a file, the part of it that the request asks for, or 304. The caller sets how long it may be cached.

    :param saved_as: the name that a browser saves it by.
    :raises Http404: the object is missing in the storage, which `check_invariants` reports as well (I34).
    """
    etag, made_at = f'"{stored.sha256}"', int(stored.created_at.timestamp())
    unchanged = get_conditional_response(request, etag=etag, last_modified=made_at)
    response = unchanged or _whole_or_part(request, stored, etag, made_at)
    response["ETag"], response["Last-Modified"] = etag, http_date(made_at)
    response["Accept-Ranges"] = "bytes"
    if response.status_code in (200, 206):
        _describe(response, stored, saved_as, download=download)
    return response


def _answer(request: Request, stored: Stored, saved_as: str) -> HttpResponseBase:
    response = sent(request._request, stored, saved_as, download=request.query_params.get("download") == "1")
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response


def _saved_as(asset: Asset) -> str:
    """Return the name that a browser saves a file of a job by."""
    number = f"-{asset.number}" if asset.number > 1 else ""
    return f"job-{asset.job_id}-{asset.kind}{number}-v{asset.version}{PurePosixPath(asset.name).suffix}"


def _readable(request: Request, asset_id: UUID) -> Asset:
    """:raises Http404: there is none, or it belongs to another user (I35)."""
    if not isinstance(request.user, User):
        raise Http404
    found = Asset.objects.filter(pk=asset_id, job__in=Job.objects.of(request.user)).first()
    if found is None:
        raise Http404
    return found


def _whole_or_part(request: HttpRequest, asset: Stored, etag: str, made_at: int) -> HttpResponseBase:
    wanted = None
    if request.method == "GET" and _range_holds(request.headers.get("If-Range", ""), etag, made_at):
        try:
            wanted = ranges.wanted(request.headers.get("Range", ""), asset.size)
        except ranges.Unsatisfiable:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{asset.size}"})
    part = wanted or ranges.ByteRange(0, asset.size - 1, asset.size)
    response = _stream(request, asset, part)
    response["Content-Length"] = str(part.length)
    if wanted:
        response.status_code = 206
        response["Content-Range"] = part.content_range
    return response


def _range_holds(if_range: str, etag: str, made_at: int) -> bool:
    """Whether the client's earlier part is of this version of the file."""
    return not if_range or if_range == etag or parse_http_date_safe(if_range) == made_at


def _describe(response: HttpResponseBase, asset: Stored, saved_as: str, *, download: bool) -> None:
    is_text = asset.content_type.startswith("text/")
    response["Content-Type"] = f"{asset.content_type}; charset=utf-8" if is_text else asset.content_type
    response["X-Content-Type-Options"] = "nosniff"
    download = download or asset.content_type in SAVED_ONLY
    response["Content-Disposition"] = content_disposition_header(download, saved_as) or "inline"
    if asset.content_type == "text/html":
        response["Content-Security-Policy"] = PAGE_POLICY
        response["X-Frame-Options"] = "SAMEORIGIN"


def _stream(request: HttpRequest, asset: Stored, part: ranges.ByteRange) -> HttpResponseBase:
    """:raises Http404: the object is missing in the storage, which `check_invariants` reports as well (I34)."""
    if request.method == "HEAD":
        return HttpResponse()
    try:
        file = disk.open_from(asset.name, part.first)
    except FileNotFoundError:
        log.error("%s (%s): its object %s is missing", asset, asset.pk, asset.name)
        raise Http404 from None
    is_async = isinstance(request, ASGIRequest)
    return StreamingHttpResponse(AsyncPieces(file, part.length) if is_async else Pieces(file, part.length))
