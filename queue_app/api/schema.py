"""How the schema says of calls what they refuse, so that it is no looser than the server, and how refusals look."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from queue_app.api import reading
from queue_app.api.errors import CODES
from queue_app.api.shapes import Shape

STORABLE = "^[^\\u0000]*$"  # text without NUL


class CallSchema(AutoSchema):
    """Of a call with a body: the body must be there, also where none of its fields must."""

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        body: dict[str, Any] | None = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        return body and {**body, "required": True}


class StrictSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Of what is taken: nothing else, within its bounds."""

    target_class = reading.StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema["additionalProperties"] = False
        if self.target.one_of:
            schema["anyOf"] = [{"required": [name]} for name in self.target.one_of]
        for name, field in self.target.fields.items():
            narrowed = _narrowed(schema["properties"][name], field)
            schema["properties"][name] = _or_empty(narrowed) if reading.may_be_empty(self.target, name) else narrowed
        return schema


class FieldProblem(Shape):
    field = serializers.CharField()
    message = serializers.CharField()


class Problem(Shape):
    """An error, as application/problem+json."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=CODES)
    errors = FieldProblem(many=True)  # type: ignore[assignment]
    needed = serializers.IntegerField(required=False)
    available = serializers.IntegerField(required=False)
    missing = serializers.IntegerField(required=False)


def _narrowed(schema: dict[str, Any], field: Any) -> dict[str, Any]:
    """A field's schema, with what is taken of it beside its type."""
    if isinstance(field, reading.StrictList):
        return {**schema, "minItems": field.min_length or 0, "maxItems": field.max_length}
    if isinstance(field, reading.Listed):
        return {**schema, "items": _narrowed(schema["items"], field.child), "maxItems": field.most}
    if isinstance(field, reading.Named):
        values = _narrowed(schema["additionalProperties"], field.child)
        return {**schema, "additionalProperties": values, "maxProperties": field.most}
    if isinstance(field, reading.Text) and field.most:
        kept: dict[str, Any] = {name: schema[name] for name in ("description", "nullable") if name in schema}
        return {"type": "string", "minLength": field.least, "maxLength": field.most, "pattern": STORABLE, **kept}
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "format"}:
        return {**schema, "pattern": STORABLE}
    return schema


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}], **described}
