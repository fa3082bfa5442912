"""What all views of the API share: the strict parser, pages, and how the schema tells of answers and refusals."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from queue_app.api import idempotency, shapes
from queue_app.api.errors import CONTENT_TYPE
from queue_app.api.reading import StrictJSONParser

EVERYWHERE = (401, 403, 405, 406, 429)
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Repeat a request with the same key and it happens once; the first answer comes again.",
)
PAGING = [
    OpenApiParameter("cursor", str, description="From the `next` or `previous` link of another page."),
    OpenApiParameter("page_size", int, description="1 to 100."),
]


class View(APIView):
    """A call of the API."""

    parser_classes = [StrictJSONParser]
    many_jobs = False  # whether refusals name the job they are about: jobs[3].prompt


class Pages(CursorPagination):
    """Cursor pages: ``{next, previous, results}``; rows that come in meanwhile shift nothing."""

    page_size = 50
    max_page_size = 100
    page_size_query_param = "page_size"

    def __init__(self, ordering: str, page_size: int = 50) -> None:
        self.ordering = ordering
        self.page_size = page_size

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise _no_cursor() from None
        position = str(cursor.position) if cursor is not None and cursor.position is not None else "0"
        if not position.isdecimal() or len(position) > 18:
            raise _no_cursor()
        return cursor


def _no_cursor() -> ValidationError:
    return ValidationError({"cursor": ["This is no cursor of ours; take it from a next or previous link, or leave it out."]})


def page_of(shape: type[shapes.Shape], name: str) -> Any:
    """The schema of a page of ``shape``."""
    return inline_serializer(
        f"{name}Page",
        {
            "next": serializers.CharField(allow_null=True, help_text="The address of the next page."),
            "previous": serializers.CharField(allow_null=True),
            "results": shape(many=True),
        },
    )


def answers(good: Any, *refusals: int, status: int = 200) -> dict[Any, Any]:
    """The schema of a call's answers: the good one, and problems with these statuses beside those that every call may give."""
    problems: Iterable[int] = (*EVERYWHERE, *refusals)
    told = {(code, CONTENT_TYPE): OpenApiResponse(shapes.Problem) for code in problems}
    return {status: good, **told}
