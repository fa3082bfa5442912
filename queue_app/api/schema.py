"""
Declarations of calls: their parameters and bodies, at run time and in the schema, and their answers.

The schema is no looser than the server.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers

from queue_app.api import fields, idempotency, throttling
from queue_app.api.errors import CODES, CONTENT_TYPE
from queue_app.api.parsers import FileParser, StrictJSONParser
from queue_app.api.serializers.base import NoBody, Query, Shape, StrictList, StrictSerializer

STORABLE = "^[^\\u0000]*$"  # text without NUL
EVERYWHERE = (400, 401, 403, 405, 406, 413, 415, 429, 500, 503)  # statuses of problems that any call may answer with
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Repeating a request with the same key runs it once and returns the first response.",
)
RATES = [
    OpenApiParameter(
        throttling.POLICY,
        {"type": "string", "pattern": r'^"(read|write)";q=[0-9]+;w=[0-9]+$'},
        OpenApiParameter.HEADER,
        response=True,
        description="Calls `q` in `w` seconds.",
    ),
    OpenApiParameter(
        throttling.LIMIT,
        {"type": "string", "pattern": r'^"(read|write)";r=[0-9]+;t=[0-9]+$'},
        OpenApiParameter.HEADER,
        response=True,
        description="Calls `r` left now, one more in `t` seconds.",
    ),
]
LOCATION = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201], description="URL of the new object.")
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=60`: answer once the job is finished, after at most these seconds (1 to 60).",
)
PREFERENCE_APPLIED = OpenApiParameter(
    "Preference-Applied", str, OpenApiParameter.HEADER, response=[201], description="`wait=60`: the answer was waited for."
)
ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes with everything but `starts_in` and `eta`."
)
IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The `ETag` of an earlier answer.")
RETRY_HINT = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[200, 304],
    description="Seconds until it is worth asking again, 1 to 60. Missing once the job is finished.",
)
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The last `id` that you heard, to get what you have missed."
)
NOT_MODIFIED = OpenApiResponse(description="Nothing but `starts_in` and `eta` has changed.")
Method = TypeVar("Method", bound=Callable[..., Any])


class FieldProblem(Shape):
    field = serializers.CharField()
    message = serializers.CharField()


@extend_schema_serializer(component_name="Problem")
class ProblemOut(Shape):
    """An error, as application/problem+json."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=CODES)
    errors: Any = FieldProblem(many=True)  # fields leave the class, so `Serializer.errors` stays what it was
    needed = serializers.IntegerField(required=False)
    available = serializers.IntegerField(required=False)
    missing = serializers.IntegerField(required=False)


def call(
    operation: str,
    good: Any,
    *refusals: int,
    status: int = 200,
    query: type[Query] = Query,
    body: type[StrictSerializer] = NoBody,
    form: type[StrictSerializer] | None = None,
    priced: Any = None,
    repeatable: bool = False,
    media_type: str = "application/json",
    other: Mapping[int, Any] = MappingProxyType({}),
    summary: str | None = None,
    description: str | None = None,
    examples: Mapping[str, Any] = MappingProxyType({}),
    headers: Sequence[OpenApiParameter] = (),
) -> Callable[[Method], Method]:
    """
    Declare what a call answers and what it takes: `StrictAPIView` refuses everything else. It goes above ``@action``.

    :param refusals: the statuses of problems beside those that every call may answer with.
    :param form: what it takes as multipart/form-data, in place of ``body``.
    :param priced: the answer to a dry run, with status 200.
    :param repeatable: takes an Idempotency-Key.
    :param other: further good answers, by status. :param summary, description: where they are not the docstring's.
    :param examples: bodies that a client might send, by what they are.
    """
    answers: dict[Any, Any] = dict(other)
    answers[status, media_type] = good
    if priced:
        answers[200] = priced
    answers |= {(code, CONTENT_TYPE): OpenApiResponse(ProblemOut) for code in sorted({*EVERYWHERE, *refusals})}
    parameters: list[Any] = [*RATES, _retry_after(429, 503, *([409] if repeatable else []))] + ([query] if query().fields else [])
    parameters += [IDEMPOTENCY_KEY, _replayed(status)] if repeatable else []
    parameters += [*([LOCATION] if status == 201 else []), *headers]
    schema: dict[str, Any] = {"operation_id": operation, "parameters": parameters, "responses": answers}
    taken: Any = None if body is NoBody else body
    if form:
        taken = {StrictJSONParser.media_type: body, FileParser.media_type: form}
    shown = [OpenApiExample(name, value=value, request_only=True) for name, value in examples.items()]
    schema |= {"request": taken, "filters": False, "examples": shown}  # filters are in `query`

    def declared(method: Method) -> Method:
        return extend_schema(**schema, summary=summary, description=description)(takes(query, body, form)(method))

    return declared


def takes(
    query: type[Query], body: type[StrictSerializer] = NoBody, form: type[StrictSerializer] | None = None
) -> Callable[[Method], Method]:
    """Declare what a method takes; on its own for addresses that are not in the schema."""

    def declared(method: Method) -> Method:
        marked: Any = method
        marked.takes = (query, body, form)
        return method

    return declared


class CallSchema(AutoSchema):
    """The schema of a call."""

    def get_paginated_name(self, serializer_name: str) -> str:
        """``JobOut`` → ``JobPage``."""
        return re.sub("(Out|Line)$", "Page", serializer_name)

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        """A call with a body requires one, even if none of its fields is required, unless the body says otherwise."""
        body: dict[str, Any] | None = AutoSchema._get_request_body(self, direction)
        return body and {**body, "required": not getattr(self.get_request_serializer(), "may_be_missing", False)}


class StrictSchema(OpenApiSerializerExtension):
    """The schema of what a call takes: no other fields, and every bound."""

    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema["additionalProperties"] = False
        if self.target.one_of:
            schema["anyOf"] = [{"required": [name]} for name in self.target.one_of]
        for name, field in self.target.fields.items():
            narrowed = _narrowed(schema["properties"][name], field)
            schema["properties"][name] = _or_empty(narrowed) if self.target.may_be_empty(name) else narrowed
            if isinstance(field, fields.Keyed) and isinstance(self.target, Query):
                del schema["properties"][name]
                schema["properties"][f"{name}.KEY"] = {**narrowed["additionalProperties"], "description": field.help_text}
        return schema


def _retry_after(*statuses: int) -> OpenApiParameter:
    words = "Seconds to wait before the next request."
    return OpenApiParameter("Retry-After", int, OpenApiParameter.HEADER, response=[*statuses], description=words)


def _replayed(status: int) -> OpenApiParameter:
    words = "This is the saved first response to a request with the same Idempotency-Key."
    only = {"type": "string", "enum": ["true"]}
    return OpenApiParameter(idempotency.REPLAYED, only, OpenApiParameter.HEADER, response=[status], description=words)


def _narrowed(schema: dict[str, Any], field: Any) -> dict[str, Any]:
    """Return a field's schema with all its bounds."""
    if isinstance(field, StrictList):
        return {**schema, "minItems": field.min_length or 0, "maxItems": field.max_length}
    if isinstance(field, fields.Listed):
        return {**schema, "items": _narrowed(schema["items"], field.child), "maxItems": field.most}
    if isinstance(field, fields.Named):
        values = _narrowed(schema["additionalProperties"], field.child)
        return {**schema, "additionalProperties": values, "maxProperties": field.most}
    if isinstance(field, fields.Text) and field.most:
        kept: dict[str, Any] = {name: schema[name] for name in ("description", "nullable") if name in schema}
        return {"type": "string", "minLength": field.least, "maxLength": field.most, "pattern": STORABLE, **kept}
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "format"}:
        return {**schema, "pattern": STORABLE}
    return schema


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}], **described}
