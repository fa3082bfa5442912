"""Requests, contexts and components of pages, as tests like them."""

from collections.abc import Mapping
from typing import Any

from campaigns.pages.components import from_data
from campaigns.pages.types import Component, Context, PageRequest, PageType, Planned, Product

SHOE = Product(
    name="Fell 2",
    sku="F2-240",
    brand="Ridge",
    price="129.90",
    currency="EUR",
    url="https://shop.example/fell-2",
    image="https://shop.example/fell-2.jpg",
    description="A light shoe for wet rock.",
    attributes={"Weight": "240 g", "Drop": "6 mm", "Sole": "rubber"},
)
OTHER = Product(name="Fell 3", price="149.00", attributes={"weight": "260 g", "Lacing": "wire"})
TEXTS = {
    "meta": {"title": "Fell 2: a light shoe for wet rock", "description": "The Fell 2 weighs 240 g and has a drop of 6 mm."},
    "hero": {"headline": "Fell 2", "lead": "It weighs 240 g."},
    "body": {
        "sections": [
            {"heading": "Light", "paragraphs": ["It weighs 240 g.", "Its drop is 6 mm."], "points": ["240 g", "6 mm"]},
            {"heading": "Grip", "paragraphs": ["Its sole is rubber."], "points": []},
        ]
    },
    "faq": {"questions": [{"question": "What does it weigh?", "answer": "240 g."}]},
}


def context(page_type: PageType = PageType.PRODUCT, **request: Any) -> Context:
    given = {"products": (SHOE, OTHER) if page_type is not PageType.PRODUCT else (SHOE,), "keywords": ("trail shoes",)} | request
    return Context(
        PageRequest(page_type=page_type, target_url="https://shop.example/shoes/fell-2", **{"language": "en"} | given),
        facts=("Fell 2", "Weight: 240 g", "Drop: 6 mm"),
    )


def components(of: Context, texts: Mapping[str, Any] = TEXTS, data: tuple[str, ...] = ("specs",)) -> list[Component]:
    """The written components, then those from data."""
    return [
        *(Component(key, content) for key, content in texts.items()),
        *(from_data(Planned(kind, kind, paid=False), of) for kind in data),  # type: ignore[arg-type]
    ]
