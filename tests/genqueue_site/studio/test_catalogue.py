"""The studio simulates every seeded route: it accepts all values that the route's codec can express."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genqueue_site.studio.config import Config
from genqueue_site.studio.dialects import openai, openai_images
from genqueue_site.studio.dialects.openrouter.request import order_of
from genqueue_site.studio.dialects.replicate.models import MODELS as REPLICATE
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.wire import Request
from queue_app.rules.codec import CannotSay, Codec, encode
from queue_app.rules.codec_offers import offers
from queue_app.work.catalogue.seeds import MODELS

RETIRED = {"haiper-2.0"}
URL = "https://example.com/a.png"
ROUTES = {
    (route.account, route.endpoint_id): route.codec for model in MODELS if model.key not in RETIRED for route in model.routes
}


def of(account: str) -> list[Any]:
    return [pytest.param(slug, codec, id=slug) for (where, slug), codec in ROUTES.items() if where == account]


def every_wire(codec: Codec) -> Iterator[dict[str, Any]]:
    """Yield the first values of all parameters, then each other value of each parameter in turn."""
    offered = {name: list(_values(name, rule)) for name, rule in offers(codec).items()}
    plain = {name: values[0] for name, values in offered.items() if values and name != "images"}
    for name, values in offered.items():
        for value in values:
            try:
                yield encode(codec, {"prompt": "A whale", **plain, name: value})[0]
            except CannotSay:
                continue  # two values that can't be combined


def _values(name: str, rule: dict[str, Any]) -> Iterator[Any]:
    if name == "images":
        for role, most in rule["roles"].items():
            yield {role: [URL] * most if role == "references" else URL} | ({"first_frame": URL} if role == "last_frame" else {})
    elif "values" in rule:
        yield from rule["values"]
    elif "most" in rule:
        yield "x" * rule["most"]
    else:
        yield from (rule["low"], rule["high"])


@pytest.mark.parametrize(("slug", "codec"), of("replicate"))
def test_replicates_models_take_what_their_routes_say(slug: str, codec: Codec) -> None:
    model, said = REPLICATE[slug], list(every_wire(codec))
    assert said
    for wire in said:
        assert model.settle(wire)[1] == []
        assert set(wire) <= set(model.fields)


@pytest.mark.parametrize(("slug", "codec"), of("openrouter"))
def test_openrouters_models_take_what_their_routes_say(slug: str, codec: Codec, tmp_path: Path) -> None:
    floor, request = Floor(Config(home=tmp_path), lambda job, moment: None), Request(method="POST", path="/api/v1/videos")
    for wire in every_wire(codec):
        order = order_of(floor, request, {"model": slug, **wire})
        assert order.recipe.seconds == wire.get("duration", order.recipe.seconds)


@pytest.mark.parametrize(("slug", "codec"), of("openai_images"))
def test_the_images_api_takes_what_its_routes_say(slug: str, codec: Codec) -> None:
    for wire in every_wire(codec):
        fields = {"model": slug, **wire}
        openai.known_only(fields, [*openai_images.KNOWN, *(["images"] if "images" in wire else [])])
        recipe = openai_images.recipe_of(fields)
        assert (f"{recipe.width}x{recipe.height}", recipe.count) == (wire.get("size", "1024x1024"), wire.get("n", 1))


def test_all_of_them_have_routes() -> None:
    assert of("replicate") and of("openrouter") and of("openai_images")
