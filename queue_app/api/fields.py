"""Serializer fields that take one type and nothing else, and say what they were sent instead."""

import re
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import UTC, date, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from queue_app.api.errors import ERRORS_MOST

EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)  # beyond them, days near the ends of the calendar have no neighbour


class Text(serializers.CharField):
    """
    A string. Spaces are kept.

    ``least`` and ``most`` are for the schema: the verb checks how many characters a value may have, and says so in words.
    """

    def __init__(self, *, least: int = 0, most: int = 0, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})
        self.least, self.most = least, most

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            raise serializers.ValidationError(f"Send a string, not {kind_of(data)}.")
        return super().run_validation(data)


class Whole(serializers.IntegerField):
    """A whole number."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError(f"Send a whole number, not {kind_of(data)}.")
        return data


class YesNo(serializers.BooleanField):
    """``true`` or ``false``."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(f"Send true or false, not {kind_of(data)}.")
        return data


class Moment(serializers.DateTimeField):
    """A time in ISO 8601. Without an offset it is read as UTC; it is always written in UTC, whatever the queue's time zone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"default_timezone": UTC, **options})

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _is_time(value):
            raise serializers.ValidationError("Send a time such as 2026-11-21T09:30:00Z.")
        return super().to_internal_value(value)

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class CalendarDay(serializers.DateField):
    """A day in ISO 8601."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            day = date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else None
        except ValueError:
            day = None
        if day is None or not EARLIEST <= day <= LATEST:
            raise serializers.ValidationError("Send a day such as 2026-11-21.")
        return day


class Mapped(serializers.DictField):
    """An object with values of any kind."""

    default_error_messages = {"not_a_dict": "Send an object, not {input_type}."}


class Listed(serializers.ListField):
    """A list of at most ``max_length`` values, called ``of`` in messages. Longer lists are refused unread."""

    def __init__(self, *, of: str, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        self.of, self.most = of, max_length

    def to_internal_value(self, data: Any) -> list[Any]:
        """:raises ValidationError: naming the first ``ERRORS_MOST`` values that are wrong, and one more."""
        if not isinstance(data, list):
            raise serializers.ValidationError(f"Send a list, not {kind_of(data)}.")
        check_count(data, 0, self.most, self.of)
        found, wrong = read_each(enumerate(data), self.child.run_validation)
        if wrong:
            raise serializers.ValidationError(wrong)
        return [*found.values()]


class Named(serializers.DictField):
    """An object of at most ``most`` values of one kind, called ``of`` in messages; ``such_as`` is an example of one."""

    def __init__(self, *, of: str, most: int, such_as: str, **options: Any) -> None:
        super().__init__(**options)
        self.of, self.most, self.such_as = of, most, such_as

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """:raises ValidationError: naming the first ``ERRORS_MOST`` values that are wrong, and one more."""
        if not isinstance(data, dict):
            raise serializers.ValidationError(f"Send an object such as {self.such_as}, not {kind_of(data)}.")
        check_count(data, 0, self.most, self.of)
        found, wrong = read_each(data.items(), self.child.run_validation)
        if wrong:
            raise serializers.ValidationError(wrong)
        return found


class Keyed(Named):
    """
    Parameters of an address that name keys of the client's own: ``metadata.order=4711``. Gathers them into one object, in which
    a body sends them.
    """

    def gathered(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``data`` with these parameters as one value."""
        begin = f"{self.field_name}."
        own = {name.removeprefix(begin): value for name, value in data.items() if name.startswith(begin)}
        others = {name: value for name, value in data.items() if not name.startswith(begin)}
        return {**others, begin[:-1]: own} if own else others

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """:raises ValidationError: no key is named, one can't be stored, or naming the values that are wrong."""
        if not isinstance(data, dict):
            raise serializers.ValidationError(f"Name a key, such as {self.such_as}.")
        if any(not key or "\x00" in key for key in data):
            raise serializers.ValidationError("A key has at least 1 character and no NUL.")
        return super().to_internal_value(data)


class Number(serializers.IntegerField):
    """A whole number in an address, in digits."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch("[0-9]{1,19}", data):
            span = "" if self.max_value is None else f" from {self.min_value} to {self.max_value}"
            raise serializers.ValidationError(f"Send a whole number{span}.")
        return int(data)


class Flag(serializers.BooleanField):
    """``true`` or ``false`` in an address. An empty value is neither."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            raise serializers.ValidationError("Send true or false.")
        return bool(data == "true")


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value in words: “a number”."""
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a string"),
        (Mapping, "an object"),
        (list, "a list"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def check_count(data: Sized, least: int, most: int, of: str) -> None:
    """:raises ValidationError: there are too few or too many. Call it before reading the first."""
    if not least <= len(data) <= most:
        span = f"{least:,} to {most:,}" if least else f"at most {most:,}"
        raise serializers.ValidationError(f"Send {span} {of}, not {len(data):,}.")


def read_each(items: Iterable[tuple[Any, Any]], read: Callable[[Any], Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """
    Read items one by one. Return, both by place: what could be read of each, and what is wrong with it.

    Stops once more items are wrong than an answer lists: reading the others would take time for messages that are dropped.
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
