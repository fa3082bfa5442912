"""What comes in: strict JSON, strict types, no unknown fields."""

import json
from collections.abc import Mapping
from datetime import UTC
from typing import IO, Any, NoReturn

from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from queue_app.api.errors import BodyTooLarge

BODY_MOST = 64_000_000  # bytes: a thousand jobs with long prompts


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it, within what can be kept: no NaN, no number beyond all bounds, no half characters, no bomb."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """:raises ParseError: not such JSON. :raises BodyTooLarge: more than 64 MB."""
        raw = stream.read(BODY_MOST + 1)
        if len(raw) > BODY_MOST:
            raise BodyTooLarge(f"The body has more than {BODY_MOST:,} bytes; send it in parts.")
        try:
            text = raw.decode("utf-8")
            parsed = json.loads(text, parse_constant=_refuse, parse_float=_finite)
            if "\\ud" in text.lower():  # an escape that may be half of a pair: such text cannot be kept or sent back
                json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ParseError("The body holds half of a surrogate pair, which is no character; send valid Unicode.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as problem:
            raise ParseError(f"The body is not valid JSON: {problem}.") from None
        return parsed


class StrictSerializer(serializers.Serializer[Any]):
    """Takes only the fields it names, and names those it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": [f"Send an object, not {_kind(data)}."]})
        known = ", ".join(self.fields)
        unknown = {name: [f"There is no such field. Fields: {known}."] for name in data if name not in self.fields}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as problem:
            raise serializers.ValidationError(unknown | dict(problem.detail)) from None  # type: ignore[arg-type]
        if unknown:
            raise serializers.ValidationError(unknown)
        return value


class Text(serializers.CharField):
    """A string and nothing else; spaces are kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            raise serializers.ValidationError(f"Send a string, not {_kind(data)}.")
        return super().run_validation(data)


class Whole(serializers.IntegerField):
    """A whole number and nothing else."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError(f"Send a whole number, not {_kind(data)}.")
        return data


class YesNo(serializers.BooleanField):
    """``true`` or ``false`` and nothing else."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(f"Send true or false, not {_kind(data)}.")
        return data


class Moment(serializers.DateTimeField):
    """A time as ISO 8601 writes it; without an offset it is UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"default_timezone": UTC, **options})

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _is_time(value):
            raise serializers.ValidationError("Send a time such as 2026-11-21T09:30:00Z.")
        return super().to_internal_value(value)


class Mapped(serializers.DictField):
    """An object with values of any kind."""

    default_error_messages = {"not_a_dict": "Send an object, not {input_type}."}


def asked(request: Request, serializer: type[StrictSerializer], **context: Any) -> dict[str, Any]:
    """
    Give the request's body, checked.

    :raises ValidationError: naming every field that is wrong.
    """
    found = serializer(data=request.data, context=context)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def asked_by_query(request: Request, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """
    Give the query's parameters, checked; unknown and empty ones are ignored.

    :raises ValidationError: naming every parameter that is wrong.
    """
    found = serializer(data={name: value for name, value in request.query_params.items() if value})
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def _is_time(value: str) -> bool:
    try:
        return parse_datetime(value) is not None
    except ValueError:
        return False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _kind(value: Any) -> str:
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a string"),
        (Mapping, "an object"),
        (list, "a list"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "null")
