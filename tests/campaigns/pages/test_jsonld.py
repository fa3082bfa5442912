"""What search engines read of a page: only what the data says, in shapes that are checked."""

import json
from typing import Any

import pytest

from campaigns.pages.assembly import assemble
from campaigns.pages.jsonld import build, text_of, validate
from campaigns.pages.types import PageType, Product
from tests.campaigns.pages.samples import OTHER, SHOE, TEXTS, components, context


def nodes(page_type: PageType = PageType.PRODUCT, **request: Any) -> dict[str, Any]:
    built = build(context(page_type, **request))
    assert validate(built) == []
    return {node["@type"]: node for node in built["@graph"]}


def test_a_product_has_what_its_data_has() -> None:
    assert nodes()["Product"] == {
        "@type": "Product",
        "name": "Fell 2",
        "sku": "F2-240",
        "brand": {"@type": "Brand", "name": "Ridge"},
        "description": "A light shoe for wet rock.",
        "image": "https://shop.example/fell-2.jpg",
        "url": "https://shop.example/fell-2",
        "additionalProperty": [
            {"@type": "PropertyValue", "name": name, "value": value} for name, value in SHOE.attributes.items()
        ],
        "offers": {"@type": "Offer", "price": "129.90", "priceCurrency": "EUR", "url": "https://shop.example/fell-2"},
    }


@pytest.mark.parametrize(
    ("price", "currency"), [("129.90", ""), ("", "EUR"), ("about 100", "EUR"), ("1,299", "EUR"), ("9", "euro")]
)
def test_there_is_no_offer_without_a_price_and_its_currency(price: str, currency: str) -> None:
    product = nodes(products=(Product("A", price=price, currency=currency),))["Product"]
    assert product == {"@type": "Product", "name": "A", "url": "https://shop.example/shoes/fell-2"}


@pytest.mark.parametrize("page_type", [PageType.CATEGORY, PageType.COMPARISON])
def test_several_products_are_a_list(page_type: PageType) -> None:
    found = nodes(page_type)["ItemList"]
    assert found["numberOfItems"] == 2
    assert [(one["position"], one["item"]["name"]) for one in found["itemListElement"]] == [(1, "Fell 2"), (2, "Fell 3")]
    assert "offers" not in found["itemListElement"][1]["item"] and OTHER.price


def test_a_guide_is_an_article_without_date_and_author() -> None:
    assert nodes(PageType.GUIDE, language="de")["Article"] == {
        "@type": "Article",
        "headline": "trail shoes",
        "inLanguage": "de",
        "mainEntityOfPage": "https://shop.example/shoes/fell-2",
        "keywords": ["trail shoes"],
    }


@pytest.mark.parametrize("page_type", PageType)
def test_nothing_that_a_model_wrote_stands_in_it(page_type: PageType) -> None:
    of = context(page_type)
    changed = {**TEXTS, "faq": {"questions": [{"question": "Is it rated?", "answer": "Rated 4.9 by 10,000 runners."}]}}
    first, other = (assemble(of, components(of, texts)).json_ld for texts in (TEXTS, changed))
    assert first == other and validate(first) == []
    assert "FAQPage" not in nodes(page_type)


def test_the_way_to_a_page_is_of_its_address() -> None:
    steps = nodes()["BreadcrumbList"]["itemListElement"]
    assert [(one["name"], one["item"]) for one in steps] == [
        ("shop.example", "https://shop.example/"),
        ("Fell 2", "https://shop.example/shoes/fell-2"),
    ]


BROKEN: list[tuple[Any, str]] = [
    ({}, "@context"),
    ({"@context": "https://schema.org", "@graph": []}, "@graph"),
    ({"@type": "Review"}, "“Review”"),
    ({"@type": ["Product"]}, "@graph.0.@type"),
    ({"@type": "Product"}, "'name' is a required property"),
    ({"@type": "Product", "name": "A", "aggregateRating": {"ratingValue": 5}}, "aggregateRating"),
    ({"@type": "Product", "name": "A", "offers": {"@type": "Offer", "price": "1"}}, "Product offers"),
    ({"@type": "Product", "name": "A", "offers": {"@type": "Offer", "price": 1, "priceCurrency": "EUR"}}, "offers.price"),
    ({"@type": "Product", "name": "A", "url": "javascript:alert(1)"}, "Product url"),
    ({"@type": "FAQPage", "mainEntity": []}, "“FAQPage”"),
    ({"@type": "Article", "headline": "", "inLanguage": "en"}, "headline"),
    ({"@type": "ItemList", "name": "A", "numberOfItems": 0, "itemListElement": []}, "numberOfItems"),
    ({"@type": "BreadcrumbList", "itemListElement": [{"@type": "ListItem", "position": 0, "name": "A"}]}, "position"),
]


@pytest.mark.parametrize(("value", "named"), BROKEN)
def test_what_does_not_fit_is_named(value: Any, named: str) -> None:
    whole = {"@context": "https://schema.org", "@graph": [value]} if "@type" in value else value
    assert named in " ".join(validate(whole))


def test_its_text_can_stand_in_a_script_element() -> None:
    value = {"a": "</script><!-- & \u2028\u2029 é"}
    text = text_of(value)
    assert not set("<>&\u2028\u2029") & set(text) and "é" in text
    assert json.loads(text) == value
