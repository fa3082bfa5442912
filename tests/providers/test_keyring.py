"""Keys that are read once and kept, and what the lists of providers are made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from queue_app.providers import keyring
from queue_app.providers.keyring import Keyring, KeysUnavailable
from queue_app.providers.listing import properties_of, usd


class Place:
    """Publishes what it is told to, and counts how often it was read."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.read_times = list(answers), 0

    def read(self) -> list[str]:
        self.read_times += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return list(found)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(keyring.time, "monotonic", lambda: now[0])
    return now


DOWN = KeysUnavailable("down")


def test_keys_are_read_once_a_day(clock: list[float]) -> None:
    place, ring = Place(["a"], ["b"]), Keyring[str]()
    assert [ring.keys("x", place.read) for _ in range(3)] == [["a"]] * 3
    clock[0] += keyring.KEPT_SECONDS
    assert (ring.keys("x", place.read), place.read_times) == (["b"], 2)


def test_fresh_ones_are_read_once_a_minute(clock: list[float]) -> None:
    place, ring = Place(["a"], ["b"], ["c"]), Keyring[str]()
    assert ring.keys("x", place.read, fresh=True) == ring.keys("x", place.read, fresh=True) == ["a"]
    clock[0] += keyring.AGAIN_SECONDS
    assert (ring.keys("x", place.read, fresh=True), place.read_times) == (["b"], 2)


def test_a_place_that_fails_is_asked_once_a_minute(clock: list[float]) -> None:
    place, ring = Place(DOWN, ["a"]), Keyring[str]()
    for _ in range(3):
        with pytest.raises(KeysUnavailable, match="down"):
            ring.keys("x", place.read)
    assert place.read_times == 1
    clock[0] += keyring.AGAIN_SECONDS
    assert ring.keys("x", place.read) == ["a"]


def test_old_keys_are_better_than_none(clock: list[float]) -> None:
    place, ring = Place(["a"], DOWN), Keyring[str]()
    ring.keys("x", place.read)
    clock[0] += keyring.KEPT_SECONDS
    assert ring.keys("x", place.read) == ring.keys("x", place.read, fresh=True) == ["a"]
    assert place.read_times == 2


def test_places_do_not_share_keys(clock: list[float]) -> None:
    ring = Keyring[str]()
    assert (ring.keys("x", Place(["a"]).read), ring.keys("y", Place(["b"]).read)) == (["a"], ["b"])
    ring.forget()
    assert ring.keys("x", Place(["c"]).read) == ["c"]


@pytest.mark.parametrize(
    ("value", "amount"),
    [(0.05, "0.05"), ("0.30", "0.30"), (3, "3"), (-1, None), (True, None), ("x", None), ("nan", None), (None, None), ([], None)],
)
def test_amounts_out_of_json(value: Any, amount: str | None) -> None:
    assert usd(value) == (None if amount is None else Decimal(amount))


SIZE = {"type": "object"}
CHOICE = {"anyOf": [{"$ref": "#/components/schemas/Size"}, {"type": "string", "enum": ["a"]}]}


def document(properties: Any, *, name: str = "ModelInput", **schemas: Any) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
    inputs = {"type": "object", "properties": properties}
    return {
        "paths": {"/requests/{id}": {"get": {}}, "/": {"post": {"requestBody": body}}},
        "components": {"schemas": {name: inputs, "Size": SIZE, **schemas}},
    }


class TestInputFields:
    def test_are_those_of_the_posted_body_or_of_the_schema_called_input(self) -> None:
        assert properties_of(document({"prompt": {"type": "string"}})) == {"prompt": {"type": "string"}}
        cog = document({"prompt": {}}, name="Input")
        del cog["paths"]
        assert properties_of(cog) == {"prompt": {}}

    def test_have_their_references_resolved(self) -> None:
        whole = {"a": {"$ref": "#/components/schemas/Size"}, "b": {"allOf": [{"$ref": "#/components/schemas/Size"}]}, "c": CHOICE}
        found = properties_of(document(whole))
        assert found is not None
        assert (found["a"], found["b"]["type"], found["c"]["anyOf"][0]) == (SIZE, "object", SIZE)

    def test_that_refer_in_circles_come_to_an_end(self) -> None:
        circle = {"$ref": "#/components/schemas/Circle"}
        assert properties_of(document({"a": circle}, Circle=circle)) is not None
        assert properties_of(document({"a": circle}, Circle={"anyOf": [circle, circle]})) is not None

    @pytest.mark.parametrize(
        "odd", [None, [], "x", {}, {"components": {"schemas": {"Input": 7}}}, {"paths": {"/": {"post": []}}}]
    )
    def test_of_a_document_that_is_none_are_not_known(self, odd: Any) -> None:
        assert properties_of(odd) is None
