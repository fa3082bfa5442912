"""
What search engines read of a page: JSON-LD of schema.org, built from the page's data: no text that a model wrote, and no rating,
review, date or price that the data does not have.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema

from campaigns.pages.components import MOST_ROWS, working_title
from campaigns.pages.plain import address
from campaigns.pages.types import Context, PageType, Product
from campaigns.pages.wording import line

Node = dict[str, Any]

CONTEXT = "https://schema.org"
PRICE, CURRENCY = re.compile(r"\d+(\.\d+)?", re.ASCII), re.compile(r"[A-Z]{3}")
# what would end a script element, or a line of a script
UNSAFE_IN_SCRIPTS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def build(context: Context) -> Node:
    """Return the JSON-LD of a page: what it is about, and where it stands."""
    nodes = [*ABOUT[context.request.page_type](context), _trail(context)]
    return {"@context": CONTEXT, "@graph": nodes}


def text_of(json_ld: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return JSON-LD as text that may stand in a script element as it is."""
    return json.dumps(json_ld, ensure_ascii=False, indent=indent).translate(UNSAFE_IN_SCRIPTS)


def validate(json_ld: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with JSON-LD, one sentence each; none if it fits the schemas of the types that pages have."""
    top = sorted(TOP.iter_errors(json_ld), key=str)
    if top:
        return [_said("JSON-LD", error) for error in top]
    found = []
    for node in json_ld["@graph"]:
        schema = NODES.get(node.get("@type"))
        if schema is None:
            found.append(f"JSON-LD: pages have no nodes of the type “{str(node.get('@type'))[:40]}”.")
        else:
            found += [_said(node["@type"], error) for error in sorted(schema.iter_errors(node), key=str)]
    return found


def _product(product: Product, *, url: str) -> Node:
    """Return a product; what its data does not have is left out. ``url``: of its page if the data names none."""
    where = address(product.url) or url
    offer = {"@type": "Offer", "price": product.price, "priceCurrency": product.currency, "url": where}
    is_priced = PRICE.fullmatch(product.price) and CURRENCY.fullmatch(product.currency)
    attributes = [
        {"@type": "PropertyValue", "name": line(str(name)), "value": line(str(value))}
        for name, value in product.attributes.items()
        if line(str(name)) and line(str(value))
    ]
    return _filled(
        {
            "@type": "Product",
            "name": line(product.name),
            "sku": line(product.sku),
            "brand": {"@type": "Brand", "name": line(product.brand)} if line(product.brand) else "",
            "description": line(product.description),
            "image": address(product.image),
            "url": where,
            "additionalProperty": attributes[:MOST_ROWS],
            "offers": _filled(offer) if is_priced else "",
        }
    )


def _single(context: Context) -> Iterator[Node]:
    for product in context.request.products[:1]:
        yield _product(product, url=address(context.request.target_url))


def _list(context: Context) -> Iterator[Node]:
    products = context.request.products[:MOST_ROWS]
    if products:
        items = [
            {"@type": "ListItem", "position": place, "item": _product(one, url="")} for place, one in enumerate(products, start=1)
        ]
        yield {
            "@type": "ItemList",
            "name": working_title(context),
            "numberOfItems": len(items),
            "itemListElement": items,
        }


def _article(context: Context) -> Iterator[Node]:
    request = context.request
    yield _filled(
        {
            "@type": "Article",
            "headline": working_title(context),
            "inLanguage": request.language,
            "mainEntityOfPage": address(request.target_url),
            "keywords": [line(one) for one in request.keywords],
        }
    )


ABOUT = {
    PageType.PRODUCT: _single,
    PageType.CATEGORY: _list,
    PageType.COMPARISON: _list,
    PageType.GUIDE: _article,
}


def _trail(context: Context) -> Node:
    """Return the way to the page: its site by name, then the page. The data says nothing of pages between them."""
    target = address(context.request.target_url)
    site = urlsplit(target)
    steps = [(site.hostname or "", f"{site.scheme}://{site.netloc}/")] if site.path.strip("/") else []
    return {
        "@type": "BreadcrumbList",
        "itemListElement": [
            _filled({"@type": "ListItem", "position": place, "name": name, "item": url})
            for place, (name, url) in enumerate([*steps, (working_title(context), target)], start=1)
        ],
    }


def _filled(node: Node) -> Node:
    return {key: value for key, value in node.items() if value}


def _said(what: str, error: jsonschema.ValidationError) -> str:
    where = ".".join(str(one) for one in error.absolute_path)
    return f"{what}{' ' if where else ''}{where}: {error.message[:200]}"


def _schema(kind: str, *needed: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"@type": {"const": kind}, **properties},
        "required": ["@type", *needed],
        "additionalProperties": False,
    }


_TEXT = {"type": "string", "minLength": 1}
_URL = {"type": "string", "pattern": r"^https?://[^\s<>\"']+$"}


def _several(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_PRODUCT = _schema(
    "Product",
    "name",
    name=_TEXT,
    sku=_TEXT,
    brand=_schema("Brand", "name", name=_TEXT),
    description=_TEXT,
    image=_URL,
    url=_URL,
    additionalProperty=_several(_schema("PropertyValue", "name", "value", name=_TEXT, value=_TEXT)),
    offers=_schema(
        "Offer",
        "price",
        "priceCurrency",
        price={"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"},
        priceCurrency={"type": "string", "pattern": "^[A-Z]{3}$"},
        url=_URL,
    ),
)
_PLACE = {"type": "integer", "minimum": 1}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Product": _PRODUCT,
    "ItemList": _schema(
        "ItemList",
        "name",
        "numberOfItems",
        "itemListElement",
        name=_TEXT,
        numberOfItems=_PLACE,
        itemListElement=_several(_schema("ListItem", "position", "item", position=_PLACE, item=_PRODUCT)),
    ),
    "Article": _schema(
        "Article",
        "headline",
        "inLanguage",
        headline=_TEXT,
        inLanguage={"type": "string", "pattern": "^[a-z]{2}$"},
        mainEntityOfPage=_URL,
        keywords=_several(_TEXT),
    ),
    "BreadcrumbList": _schema(
        "BreadcrumbList",
        "itemListElement",
        itemListElement=_several(_schema("ListItem", "position", "name", position=_PLACE, name=_TEXT, item=_URL)),
    ),
}
_NODE = {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]}
NODES = {kind: jsonschema.Draft202012Validator(schema) for kind, schema in SCHEMAS.items()}
TOP = jsonschema.Draft202012Validator(
    {
        "type": "object",
        "properties": {"@context": {"const": CONTEXT}, "@graph": _several(_NODE)},
        "required": ["@context", "@graph"],
        "additionalProperties": False,
    }
)
