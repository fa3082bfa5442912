"""The base views of all calls. They refuse, by name, everything that a method does not declare."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from django.db.models import Model
from rest_framework.exceptions import ValidationError
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import BasePagination
from rest_framework.parsers import BaseParser, FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from queue_app.api import errors, throttling
from queue_app.api.errors import Wrong
from queue_app.api.filters import CheckedFilterBackend, CheckedFilterSet
from queue_app.api.negotiation import OnlyJson
from queue_app.api.pagination import CursorPages
from queue_app.api.parsers import FileParser, StrictJSONParser
from queue_app.api.serializers.base import NoBody, Query, StrictSerializer
from queue_app.api.throttling import Told

_ONCE = "Send it once. To send several values, join them with commas."
Row = TypeVar("Row", bound=Model)


class NameAndTypes(SimpleMetadata):
    """The answer to OPTIONS: name and media types, for viewsets as for other views. Fields are in the schema."""

    def determine_actions(self, request: Request, view: APIView) -> dict[str, Any]:
        return {}


class StrictAPIView(APIView):
    """
    Checks parameters and body before the method runs, which finds them in ``query`` and ``given``.

    Serializers that a method calls would be too late: one answer names everything that is wrong with both.
    """

    parser_classes = [StrictJSONParser]
    metadata_class = NameAndTypes
    many_jobs = False  # whether refusals name the job they are about: jobs[3].prompt
    told: Told | None = None  # what a throttle says of the caller's rate

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """:raises ValidationError: naming everything that is wrong with the parameters and the body."""
        super().initial(request, *args, **kwargs)
        if self._handler() is None:
            return  # refused next, as 405
        query, body, form = self._takes()
        if form and (request.content_type or "").startswith(FileParser.media_type):
            body = form
        asked: list[Wrong] = []
        unreadable: list[Wrong] = []
        readable: Mapping[str, Any] | None = None
        try:
            self.query = checked_query(request, query)
        except ValidationError as problem:
            asked = list(errors.named(problem, many=False))
        try:
            self.given = readable = dict(body().run_validation(request.data))
        except ValidationError as problem:
            unreadable, readable = list(errors.named(problem, many=self.many_jobs)), getattr(problem, "readable", None)
        if asked or unreadable:
            has_values = body is not NoBody and len(asked) + len(unreadable) <= errors.ERRORS_MOST
            also = self.also_wrong(request, readable) if has_values and readable is not None else ()
            raise ValidationError(together(asked, unreadable, also))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell the caller's rate with every answer, refusals too."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        if self.told is not None:
            throttling.tell(self.told, answer)
        return answer

    def check_permissions(self, request: Request) -> None:
        """Count the call of a known caller before anything about it is refused, so that refused calls count, too."""
        if request.user.is_authenticated:
            super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Leave it: `check_permissions` has counted the call."""

    def get_parsers(self) -> list[BaseParser]:
        """
        Return parsers of forms too if the call takes a form, or may come without a body: an empty form is none.
        """
        _, body, form = self._takes()
        may_be_empty = body is NoBody or body.may_be_missing
        of_forms: list[type[BaseParser]] = [FileParser] if form else [FormParser, MultiPartParser] if may_be_empty else []
        return [parser() for parser in (*self.parser_classes, *of_forms)]

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterable[Wrong]:
        """Return what is wrong with the values of the fields that could be read, if others or the parameters are refused."""
        return ()

    def _handler(self) -> Any:
        """Return the method that will answer, in a viewset the one that the router bound; None if the answer will be 405."""
        method = (self.request.method or "").lower() if self.request else ""
        actions: Mapping[str, str] = getattr(self, "action_map", None) or {}
        return getattr(self, actions.get(method, method), None)

    def _takes(self) -> tuple[type[Query], type[StrictSerializer], type[StrictSerializer] | None]:
        taken: tuple[type[Query], type[StrictSerializer], type[StrictSerializer] | None]
        taken = getattr(self._handler(), "takes", (Query, NoBody, None))
        return taken


class JsonAPIView(StrictAPIView):
    """A call that answers in JSON."""

    content_negotiation_class: type[BaseContentNegotiation] = OnlyJson


class JsonViewSet(JsonAPIView, GenericViewSet[Row]):
    """
    The calls of one resource. Its `get_queryset` returns the rows that the caller may read or, for an unsafe method, change.

    There is no ``serializer_class``: methods render with `serializers.base.render`, which is faster for long lists.
    """

    filter_backends = [CheckedFilterBackend]
    filterset_class: type[CheckedFilterSet] | None = None
    pagination_class: type[BasePagination] = CursorPages
    lookup_value_converter = "int"


def checked_query(request: Request, shape: type[Query]) -> dict[str, Any]:
    """
    Return the parameters of the address. An empty one counts as left out if the shape says so.

    :raises ValidationError: naming every parameter that is wrong, unknown, or there more than once.
    """
    reader = shape()
    given = dict(request.query_params.lists())
    repeated = {name: [_ONCE] for name, values in given.items() if len(values) > 1}
    counted = {name: values[-1] for name, values in given.items() if values[-1] or not reader.may_be_empty(name)}
    try:
        found = dict(reader.run_validation(counted))
    except ValidationError as problem:
        wrong: Any = problem.detail
        raise ValidationError({**wrong, **repeated}) from None
    if repeated:
        raise ValidationError(repeated)
    return found


def together(asked: Sequence[Wrong], unreadable: Sequence[Wrong], also: Iterable[Wrong]) -> dict[str, list[str]]:
    """
    Return what is wrong with the parameters, what cannot be read of a body, and what else is wrong that does not depend on it: as
    much as an answer lists, and one more.
    """
    independent = (one for one in also if not any(_one_in_the_other(one[0], name) for name, _ in unreadable))
    found: dict[str, list[str]] = {}
    for name, message in islice(chain(asked, unreadable, independent), errors.ERRORS_MOST + 1):
        found.setdefault(name, []).append(message)
    return found


def _one_in_the_other(one: str, other: str) -> bool:
    """Whether one field is the other or lies in it: ``jobs[3].parameters.seed`` in ``jobs[3].parameters`` and in ``jobs[3]``."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))
