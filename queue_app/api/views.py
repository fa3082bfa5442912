"""What all calls of the API share: each declares what it takes, and refuses by name whatever else it is sent."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.views import APIView

from queue_app.api import errors, idempotency, reading, shapes
from queue_app.api.errors import CONTENT_TYPE
from queue_app.api.negotiation import OnlyJson
from queue_app.api.schema import Problem
from queue_app.insight import search
from queue_app.models.job import JobQuerySet

EVERYWHERE = (400, 401, 403, 405, 406, 413, 415, 429, 500, 503)  # statuses of problems that any call may answer with
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Repeating a request with the same key runs it once and returns the first response.",
)
LOCATION = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201], description="URL of the new object.")
Method = TypeVar("Method", bound=Callable[..., Any])


def call(
    operation: str,
    good: Any,
    *refusals: int,
    status: int = 200,
    query: type[reading.Query] = reading.Query,
    body: type[reading.StrictSerializer] = reading.NoBody,
    priced: Any = None,
    repeatable: bool = False,
    media_type: str = "application/json",
    other: Mapping[int, Any] = MappingProxyType({}),
    summary: str | None = None,
    description: str | None = None,
) -> Callable[[Method], Method]:
    """
    Declare a call: what it answers, and what it takes. Nothing else is taken, by any call.

    :param refusals: the statuses of problems beside those that every call may answer with.
    :param priced: the answer to a dry run, with status 200.
    :param repeatable: takes an Idempotency-Key.
    :param other: further good answers, by status. :param summary, description: where they are not the docstring's.
    """
    answers: dict[Any, Any] = dict(other)
    answers[status, media_type] = good
    if priced:
        answers[200] = priced
    answers |= {(code, CONTENT_TYPE): OpenApiResponse(Problem) for code in sorted({*EVERYWHERE, *refusals})}
    parameters: list[Any] = [_retry_after(429, 503, *([409] if repeatable else []))] + ([query] if query().fields else [])
    parameters += [IDEMPOTENCY_KEY, _replayed(status)] if repeatable else []
    parameters += [LOCATION] if status == 201 else []
    request = None if body is reading.NoBody else body

    def declared(method: Method) -> Method:
        takes(query, body)(method)
        schema: dict[str, Any] = {"operation_id": operation, "request": request, "parameters": parameters, "responses": answers}
        return extend_schema(**schema, summary=summary, description=description)(method)

    return declared


def _retry_after(*statuses: int) -> OpenApiParameter:
    words = "Seconds to wait before the next request."
    return OpenApiParameter("Retry-After", int, OpenApiParameter.HEADER, response=[*statuses], description=words)


def _replayed(status: int) -> OpenApiParameter:
    words = "This is the saved first response to a request with the same Idempotency-Key."
    only = {"type": "string", "enum": ["true"]}
    return OpenApiParameter(idempotency.REPLAYED, only, OpenApiParameter.HEADER, response=[status], description=words)


def takes(query: type[reading.Query], body: type[reading.StrictSerializer] = reading.NoBody) -> Callable[[Method], Method]:
    """What a method takes of an address that is no call of the schema."""

    def declared(method: Method) -> Method:
        method.takes = (query, body)  # type: ignore[attr-defined]
        return method

    return declared


class Strict(APIView):
    """
    Before a method runs, the address's parameters are in ``query`` and the body's fields in ``given``, checked; whatever the
    method does not declare has been refused by name.
    """

    parser_classes = [reading.StrictJSONParser]
    many_jobs = False  # whether refusals name the job they are about: jobs[3].prompt

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """:raises ValidationError: naming everything that is wrong with the parameters and the body."""
        super().initial(request, *args, **kwargs)
        if self._method() is None:
            return  # refused next, as 405
        query, body = self._takes()
        asked: list[reading.Wrong] = []
        unreadable: list[reading.Wrong] = []
        readable: Mapping[str, Any] | None = None
        try:
            self.query = reading.query(request, query)
        except ValidationError as problem:
            asked = list(errors.named(problem, many=False))
        try:
            self.given = readable = reading.body(request, body)
        except ValidationError as problem:
            unreadable, readable = list(errors.named(problem, many=self.many_jobs)), getattr(problem, "readable", None)
        if asked or unreadable:
            has_values = body is not reading.NoBody and len(asked) + len(unreadable) <= errors.ERRORS_MOST
            also = self.also_wrong(request, readable) if has_values and readable is not None else ()
            raise ValidationError(reading.together(asked, unreadable, also))

    def get_parsers(self) -> list[Any]:
        """A call without a body reads forms as well, so that an empty one is none and a field of one is refused by name."""
        takes_none = self._takes()[1] is reading.NoBody
        return [
            parser() for parser in ([*self.parser_classes, FormParser, MultiPartParser] if takes_none else self.parser_classes)
        ]

    def _method(self) -> Any:
        return getattr(self, (self.request.method or "").lower(), None) if self.request else None

    def _takes(self) -> tuple[type[reading.Query], type[reading.StrictSerializer]]:
        taken: tuple[type[reading.Query], type[reading.StrictSerializer]]
        taken = getattr(self._method(), "takes", (reading.Query, reading.NoBody))
        return taken

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterable[reading.Wrong]:
        """What is wrong with the values of the fields that could be read, where others or the parameters are refused."""
        return ()


class View(Strict):
    """A call of the API."""

    content_negotiation_class: type[BaseContentNegotiation] = OnlyJson


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


class FoundPages(Pages):
    """Pages of jobs that a search finds; ``rows`` are all jobs with what an answer needs of them."""

    def __init__(self, words: str, rows: JobQuerySet) -> None:
        super().__init__("-id")
        self.words, self.rows = words, rows

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        offset, rising, position = self.decode_cursor(request) or (0, False, None)
        beyond = None if position is None else int(position)
        most = offset + (self.get_page_size(request) or 0) + 1  # one more tells whether a page follows
        found = search.first(queryset, self.words, most, beyond=beyond, rising=rising)
        # by their ids alone: one that has moved on meanwhile would be missing, and the page would look like the last
        return super().paginate_queryset(self.rows.filter(pk__in=found), request, view)


def page_of(shape: type[shapes.Shape], name: str) -> Any:
    """The schema of a page of ``shape``."""
    return inline_serializer(
        f"{name}Page",
        {
            "next": serializers.CharField(allow_null=True, help_text="URL of the next page."),
            "previous": serializers.CharField(allow_null=True),
            "results": shape(many=True),
        },
    )


def _no_cursor() -> ValidationError:
    return ValidationError({"cursor": ["Invalid cursor. Use one from a `next` or `previous` link, or omit it."]})
