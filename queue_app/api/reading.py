"""What comes in: strict JSON, strict types, no unknown fields or parameters, and everything that is wrong named at once."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from datetime import UTC
from itertools import chain, islice
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from queue_app.api.errors import ERRORS_MOST, BodyTooLarge
from queue_app.rules import nesting, words

NESTED_MOST = nesting.KEPT_MOST + 4  # levels: what is kept lies in a job, in a list, in the body
_ONCE = "Send it once. To send several values, join them with commas."
Wrong = tuple[str, str]
"""A field as it is named to the client, and what is wrong with it."""


class StrictJSONParser(JSONParser):
    """
    JSON as RFC 8259 has it, within what can be kept: no NaN, no number beyond all bounds, no name twice, no half characters, no
    bomb.
    """

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """
        :raises ParseError: not such JSON. :raises ValidationError: a name appears twice in an object, or it is nested too deep.
        :raises BodyTooLarge: more bytes than the site takes.
        """
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge
        try:
            text = raw.decode("utf-8")
            parsed = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse, parse_float=_finite)
            if nesting.is_deeper(parsed, NESTED_MOST):
                raise serializers.ValidationError(
                    {nesting.place_of_deeper(parsed, NESTED_MOST): [f"Nested more than {nesting.KEPT_MOST} levels deep."]}
                )
            if "\\ud" in text.lower():  # an escape that may be half of a pair: such text cannot be kept or sent back
                json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ParseError("The body contains an unpaired surrogate. Send valid Unicode.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as problem:
            raise ParseError(f"The body is not valid JSON: {problem}.") from None
        return parsed


class Unreadable(serializers.ValidationError):
    """Some fields cannot be read; ``readable`` holds the others, so that what is wrong with these can be named as well."""

    def __init__(self, detail: Any, readable: Any) -> None:
        super().__init__(detail)
        self.readable = readable


class StrictList(serializers.ListSerializer[Any]):
    """A list of objects. Where one cannot be read, the others are read nevertheless, each in its place."""

    min_length: int | None
    max_length: int | None

    def to_internal_value(self, data: Any) -> list[Any]:
        """:raises Unreadable: naming every field of every item that is wrong."""
        if not isinstance(data, list):
            raise serializers.ValidationError(f"Send a list, not {_kind(data)}.")
        _count(data, self.min_length or 0, self.max_length or len(data), f"{self.field_name} per request")
        found, wrong = _one_by_one(enumerate(data), self.run_child_validation)
        if wrong:
            raise Unreadable(wrong, [*found.values()])
        return [*found.values()]


class StrictSerializer(serializers.Serializer[Any]):
    """Takes only the fields it names, and names those it does not know. Of ``one_of`` at least one must be there."""

    called = "field"
    one_of: tuple[str, ...] = ()
    left_out = ""  # what is said where none of them is there

    def to_internal_value(self, data: Any) -> Any:
        """:raises Unreadable: naming every field that is wrong."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": [f"Send an object, not {_kind(data)}."]})
        unknown = [name for name in data if name not in self.fields][: ERRORS_MOST + 1]
        wrong: dict[str, Any] = dict.fromkeys(unknown, [self._unknown()] if unknown else [])
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            try:
                found[name] = field.run_validation(field.get_value(data))
            except serializers.SkipField:
                continue
            except serializers.ValidationError as problem:
                wrong[name] = problem.detail
                if hasattr(problem, "readable"):
                    found[name] = problem.readable
        if wrong:
            raise Unreadable(wrong, found)
        return found

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.one_of and not attrs.keys() & {*self.one_of}:
            raise serializers.ValidationError(self.left_out)
        return attrs

    def _unknown(self) -> str:
        known = ", ".join(self.fields)
        what = f"Available: {known}." if known else f"This call takes no {self.called}s."
        return f"Unknown {self.called}. {what}"


class Query(StrictSerializer):
    """The parameters of an address: each at most once. An empty one is as good as left out, where leaving it out is no order."""

    called = "parameter"


class NoBody(StrictSerializer):
    """The body of a call that takes none: nothing, or an empty object."""


class Text(serializers.CharField):
    """
    A string and nothing else; spaces are kept.

    ``least`` and ``most`` are for the schema: how many characters are taken by what checks the values, which says it in words.
    """

    def __init__(self, *, least: int = 0, most: int = 0, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})
        self.least, self.most = least, most

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


class Listed(serializers.ListField):
    """A list of at most ``max_length`` values; ``of`` is what they are called. Longer ones are refused unread."""

    def __init__(self, *, of: str, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        self.of, self.most = of, max_length

    def to_internal_value(self, data: Any) -> list[Any]:
        """:raises ValidationError: naming the first ``ERRORS_MOST`` values that are wrong, and one more."""
        if not isinstance(data, list):
            raise serializers.ValidationError(f"Send a list, not {_kind(data)}.")
        _count(data, 0, self.most, self.of)
        found, wrong = _one_by_one(enumerate(data), self.child.run_validation)
        if wrong:
            raise serializers.ValidationError(wrong)
        return [*found.values()]


class Named(serializers.DictField):
    """An object of at most ``most`` values of one kind; ``of`` is what they are called, ``such_as`` one such object."""

    def __init__(self, *, of: str, most: int, such_as: str, **options: Any) -> None:
        super().__init__(**options)
        self.of, self.most, self.such_as = of, most, such_as

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """:raises ValidationError: naming the first ``ERRORS_MOST`` values that are wrong, and one more."""
        if not isinstance(data, dict):
            raise serializers.ValidationError(f"Send an object such as {self.such_as}, not {_kind(data)}.")
        _count(data, 0, self.most, self.of)
        found, wrong = _one_by_one(data.items(), self.child.run_validation)
        if wrong:
            raise serializers.ValidationError(wrong)
        return found


class Number(serializers.IntegerField):
    """A whole number in an address, written in digits and nothing else."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch("[0-9]{1,19}", data):
            span = "" if self.max_value is None else f" from {self.min_value} to {self.max_value}"
            raise serializers.ValidationError(f"Send a whole number{span}.")
        return int(data)


class Flag(serializers.BooleanField):
    """``true`` or ``false`` in an address; empty it is neither."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            raise serializers.ValidationError("Send true or false.")
        return bool(data == "true")


class PageQuery(Query):
    """Which page of a list."""

    cursor = serializers.CharField(required=False, help_text="From a `next` or `previous` link.")
    page_size = Number(required=False, min_value=1, max_value=100, help_text="Rows per page.")


def body(request: Request, shape: type[StrictSerializer]) -> dict[str, Any]:
    """
    Give the request's body, checked.

    :raises Unreadable: naming every field that is wrong.
    """
    return dict(shape().run_validation(request.data))


def query(request: Request, shape: type[Query]) -> dict[str, Any]:
    """
    Give the address's parameters, checked.

    :raises ValidationError: naming every parameter that is wrong, unknown, or there more than once.
    """
    reader = shape()
    given = dict(request.query_params.lists())
    repeated = {name: [_ONCE] for name, values in given.items() if len(values) > 1}
    counted = {name: values[-1] for name, values in given.items() if values[-1] or not may_be_empty(reader, name)}
    try:
        found = dict(reader.run_validation(counted))
    except serializers.ValidationError as problem:
        raise serializers.ValidationError({**problem.detail, **repeated}) from None  # type: ignore[dict-item]
    if repeated:
        raise serializers.ValidationError(repeated)
    return found


def together(asked: Sequence[Wrong], unreadable: Sequence[Wrong], also: Iterable[Wrong]) -> dict[str, list[str]]:
    """
    What is wrong with the parameters, what of a body cannot be read, and what else is wrong where that does not rest on it: as
    much as is said, and one more.
    """
    rests_on_none = (one for one in also if not any(_one_in_the_other(one[0], name) for name, _ in unreadable))
    found: dict[str, list[str]] = {}
    for name, message in islice(chain(asked, unreadable, rests_on_none), ERRORS_MOST + 1):
        found.setdefault(name, []).append(message)
    return found


def may_be_empty(reader: serializers.Serializer[Any], name: str) -> bool:
    """``?status=`` is what a form sends that asks for nothing; ``?dry_run`` may be meant as an order, and is refused."""
    return isinstance(reader, Query) and name in reader.fields and not isinstance(reader.fields[name], Flag)


def _one_in_the_other(one: str, other: str) -> bool:
    """``jobs[3].parameters.seed`` lies in ``jobs[3].parameters`` and in ``jobs[3]``."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def _count(data: Sized, least: int, most: int, of: str) -> None:
    """:raises ValidationError: so many of them are not taken; asked before the first is read."""
    if not least <= len(data) <= most:
        span = f"{least:,} to {most:,}" if least else f"at most {most:,}"
        raise serializers.ValidationError(f"Send {span} {of}, not {len(data):,}.")


def _one_by_one(items: Iterable[tuple[Any, Any]], read: Callable[[Any], Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """
    What was read of each item, as far as it could be, and what is wrong with it, both by its place.

    Once more items are wrong than are said the rest is left unread: each would cost time and memory, and its message be dropped.
    """
    found: dict[Any, Any] = {}
    wrong: dict[Any, Any] = {}
    for place, item in items:
        try:
            found[place] = read(item)
        except serializers.ValidationError as problem:
            wrong[place] = problem.detail
            found[place] = getattr(problem, "readable", {})
        if len(wrong) > ERRORS_MOST:
            break
    return found, wrong


def _is_time(value: str) -> bool:
    try:
        return parse_datetime(value) is not None
    except ValueError:
        return False


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """:raises ValidationError: naming a name that appears twice in this object: nobody knows which of the two is meant."""
    found = dict(members)
    if len(found) < len(members):
        names = Counter(name for name, _ in members)
        repeated = next(name for name, times in names.items() if times > 1)
        message = f"“{words.storable(repeated)}” appears more than once in an object. Send it once."
        raise serializers.ValidationError({words.storable(repeated): [message]})
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large")
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
