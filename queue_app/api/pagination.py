"""Pages of lists: ``{next, previous, results}``."""

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import BasePagination, Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from queue_app.api.answers import visible
from queue_app.insight import search
from queue_app.models import Job


class CursorPages(CursorPagination):
    """Pages by cursor, newest first. Rows that are added between two requests shift nothing."""

    ordering = "-id"
    page_size = 50
    max_page_size = 100
    page_size_query_param = "page_size"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """:raises ValidationError: the cursor is none that a page has linked to."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise _no_cursor() from None
        position = str(cursor.position) if cursor is not None and cursor.position is not None else "0"
        if not position.isdecimal() or len(position) > 18:
            raise _no_cursor()
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return _schema(schema)


class JobPages(CursorPages):
    """
    Pages of jobs; with ``?search=``, of those that the search finds.

    The search is no filter: it needs to know the page, so that its cost does not depend on how frequent the words are.
    """

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return (view.query.get("ordering", CursorPages.ordering),)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        if "search" not in view.query:
            return super().paginate_queryset(queryset, request, view)
        offset, backward, position = self.decode_cursor(request) or (0, False, None)
        rising = backward != (view.query.get("ordering") == "id")
        beyond = None if position is None else int(position)
        most = offset + (self.get_page_size(request) or 0) + 1  # one more shows whether a page follows
        found = search.first(queryset, view.query["search"], most, beyond=beyond, rising=rising)
        # by id alone: a job that no longer matches the filters would be missing, and the page would look like the last
        return super().paginate_queryset(visible(Job.objects.filter(pk__in=found)), request, view)


class EventPages(CursorPages):
    """Pages of a job's history, oldest first."""

    ordering = "seq"
    page_size = 100


class OnePage(BasePagination):
    """All rows on one page."""

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        return [*queryset]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": None, "previous": None, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return _schema(schema)


def _schema(results: dict[str, Any]) -> dict[str, Any]:
    address = {"type": "string", "nullable": True}
    properties = {"next": {**address, "description": "URL of the next page."}, "previous": address, "results": results}
    return {"type": "object", "properties": properties, "required": [*properties]}


def _no_cursor() -> ValidationError:
    return ValidationError({"cursor": ["Invalid cursor. Use one from a `next` or `previous` link, or omit it."]})
