"""Files that a page makes as it is asked for them: saved by the browser, and streamed in pieces if they are large."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

CSV, ZIP = "text/csv; charset=utf-8", "application/zip"


def streamed(request: HttpRequest, pieces: Iterator[bytes], content_type: str, name: str) -> HttpResponseBase:
    """Return a download that is sent while it is made. The pieces are made in another thread, which must not use the database."""
    # an async server would read a plain iterator to its end before it sent anything
    content = _without_blocking(pieces) if isinstance(request, ASGIRequest) else pieces
    return StreamingHttpResponse(content, headers=saved_as(content_type, name))


def saved_as(content_type: str, name: str) -> dict[str, str]:
    """Return the headers of a download."""
    disposition = content_disposition_header(True, name)
    assert disposition is not None  # a download always has one
    return {"Content-Type": content_type, "Content-Disposition": disposition, "Cache-Control": "no-store"}


async def _without_blocking(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
