"""
What adapters can tell without generating anything: whether an account works, and what its provider lists.

Both are optional: an adapter has the methods of `Reachable` and `Listable` if its provider documents free calls for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, runtime_checkable

Schema = Mapping[str, Any]  # JSON schema of one input field
DEEPEST = 5  # references and choices inside each other


@dataclass(frozen=True)
class ListedEndpoint:
    """
    What a provider lists of an endpoint.

    ``fields`` are the input fields by name, ``None`` if it lists none. ``prices`` are in USD, by the provider's name of the unit
    or of the price.
    """

    deprecated: bool = False
    fields: Mapping[str, Schema] | None = None
    prices: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """
    The endpoints that a provider lists, of those that were asked for; a missing one is gone. ``others`` are those it lists
    besides, if its list is short enough to read whole.
    """

    found: Mapping[str, ListedEndpoint]
    others: tuple[str, ...] = ()


@runtime_checkable
class Reachable(Protocol):
    """An adapter with a free call that shows whether address and key work."""

    def test_connection(self) -> str:
        """
        Make one free call; return what it told about the account in a few words, which may be none.

        :raises ProviderError: no answer, or a refusal.
        """
        ...


@runtime_checkable
class Listable(Protocol):
    """An adapter whose provider lists its endpoints for free."""

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Ask what the provider lists of these endpoints.

        :raises ProviderError: no answer, or a refusal.
        """
        ...


def named(endpoints: Collection[str], listed: Collection[str]) -> Listing:
    """Return the listing of a provider that lists only names."""
    return Listing({name: ListedEndpoint() for name in endpoints if name in listed})


def usd(value: Any) -> Decimal | None:
    """Return an amount out of JSON, number or text; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def properties_of(document: Any) -> Mapping[str, Schema] | None:
    """
    Return the input fields in an OpenAPI document, references resolved: those of the schema “Input”, else of the body of its POST
    call. ``None`` if it names none.
    """
    schemas = _inside(document, "components", "schemas")
    found = schemas.get("Input") or _resolved(_posted(document), schemas)
    properties = _inside(found, "properties")
    return {name: _resolved(one, schemas) for name, one in properties.items() if isinstance(one, Mapping)} or None


def _posted(document: Any) -> Schema:
    calls = _inside(document, "paths").values()
    bodies = (_inside(one, "post", "requestBody", "content", "application/json", "schema") for one in calls)
    return next((body for body in bodies if body), {})


def _inside(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _resolved(schema: Schema, schemas: Mapping[str, Any], deepest: int = DEEPEST) -> Schema:
    """Replace a reference, and the only member of ``allOf``, by what it stands for; the same in each choice."""
    for _ in range(DEEPEST):
        whole, reference = schema.get("allOf"), schema.get("$ref")
        if isinstance(whole, list) and len(whole) == 1 and isinstance(whole[0], Mapping):
            schema = whole[0]
        elif isinstance(reference, str):
            schema = _inside(schemas, reference.rpartition("/")[2])
        else:
            break
    choices = {name: schema[name] for name in ("anyOf", "oneOf") if deepest and isinstance(schema.get(name), list)}
    resolved = {
        name: [_resolved(one, schemas, deepest - 1) for one in listed if isinstance(one, Mapping)]
        for name, listed in choices.items()
    }
    return {**schema, **resolved}
