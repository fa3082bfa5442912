"""
The bases of all serializers: `StrictSerializer` and `Query` for what calls take, `Shape` for what they answer.

Unknown names are refused, and everything that is wrong is named at once.
"""

from collections.abc import Callable, Mapping
from functools import cache, cached_property, partial
from typing import Any

from rest_framework import serializers

from queue_app.api.errors import ERRORS_MOST
from queue_app.api.fields import Flag, Keyed, Number, check_count, kind_of, read_each


class Unreadable(serializers.ValidationError):
    """Some fields cannot be read. ``readable`` holds the others, so that their values can be checked as well."""

    def __init__(self, detail: Any, readable: Any) -> None:
        super().__init__(detail)
        self.readable = readable


class StrictList(serializers.ListSerializer[Any]):
    """A list of objects. If one cannot be read, the others are still read, each in its place."""

    min_length: int | None
    max_length: int | None

    def to_internal_value(self, data: Any) -> list[Any]:
        """:raises Unreadable: naming every field of every item that is wrong."""
        if not isinstance(data, list):
            raise serializers.ValidationError(f"Send a list, not {kind_of(data)}.")
        check_count(data, self.min_length or 0, self.max_length or len(data), f"{self.field_name} per request")
        found, wrong = read_each(enumerate(data), self.run_child_validation)
        if wrong:
            raise Unreadable(wrong, [*found.values()])
        return [*found.values()]


class StrictSerializer(serializers.Serializer[Any]):
    """Takes only the fields it has, and names the others. At least one of ``one_of`` must be there."""

    called = "field"
    one_of: tuple[str, ...] = ()
    left_out = ""  # the message if none of them is there
    may_be_missing = False  # whether the call may be made without a body

    def to_internal_value(self, data: Any) -> Any:
        """:raises Unreadable: naming every field that is wrong."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": [f"Send an object, not {kind_of(data)}."]})
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

    def may_be_empty(self, name: str) -> bool:
        """Whether an empty value of this field counts as left out."""
        return False

    def _unknown(self) -> str:
        known = ", ".join(self.fields)
        what = f"Available: {known}." if known else f"This call takes no {self.called}s."
        return f"Unknown {self.called}. {what}"


class NoBody(StrictSerializer):
    """The body of a call that takes none: nothing, or an empty object."""


class Query(StrictSerializer):
    """The parameters of an address, each at most once."""

    called = "parameter"

    def to_internal_value(self, data: Any) -> Any:
        """:raises Unreadable: naming every parameter that is wrong."""
        for field in self.fields.values():
            if isinstance(field, Keyed) and isinstance(data, Mapping):
                data = field.gathered(data)
        return super().to_internal_value(data)

    def may_be_empty(self, name: str) -> bool:
        """A form sends ``?status=`` if nothing was chosen. ``?dry_run`` may be meant as an order, so it is refused."""
        return name in self.fields and not isinstance(self.fields[name], Flag)


class PageQuery(Query):
    """Which page of a list."""

    cursor = serializers.CharField(required=False, help_text="From a `next` or `previous` link.")
    page_size = Number(required=False, min_value=1, max_value=100, help_text="Rows per page.")


class Shape(serializers.Serializer[Any]):
    """Reads attributes or keys; ``None`` is null. A list of jobs has thousands of fields: each is read as plainly as can be."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        read = instance.__getitem__ if isinstance(instance, dict) else partial(getattr, instance)
        told: dict[str, Any] = {}
        for name, source, tell in self._told:
            value = instance if source == "*" else read(source)
            told[name] = None if value is None else tell(value)
        return told

    @cached_property
    def _told(self) -> list[tuple[str, str, Callable[[Any], Any]]]:
        return [(name, field.source or name, field.to_representation) for name, field in self.fields.items()]


def render(shape: type[Shape], facts: Any) -> dict[str, Any]:
    """Return ``facts`` in this shape. Shapes are made once: making their fields takes longer than filling them."""
    return dict(_made(shape).to_representation(facts))


@cache
def _made(shape: type[Shape]) -> Shape:
    return shape()
