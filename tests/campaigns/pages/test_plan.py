"""What pages consist of, and whether the data carries it."""

from collections.abc import Sequence

import pytest

from campaigns.pages import plan
from campaigns.pages.types import PageRequest, PageType, Product

MANY = {"Weight": "240 g", "Drop": "6 mm", "Material": "Nylon"}


def request(page_type: PageType, *products: Product, brief: str = "") -> PageRequest:
    return PageRequest(page_type, "https://a.example/", ("shoes",), "en", brief=brief, products=products)


def shoe(name: str = "Fell", count: int = 3, **attributes: str) -> Product:
    return Product(name=name, attributes={**dict([*MANY.items()][:count]), **attributes})


@pytest.mark.parametrize(
    ("page_type", "keys", "words"),
    [
        (PageType.PRODUCT, "meta hero body specs faq", (300, 500)),
        (PageType.CATEGORY, "meta hero products body faq", (600, 900)),
        (PageType.COMPARISON, "meta hero comparison body faq", (600, 900)),
        (PageType.GUIDE, "meta hero body faq", (1200, 2000)),
    ],
)
def test_a_page_has_the_components_of_its_type(page_type: PageType, keys: str, words: tuple[int, int]) -> None:
    components = plan.planned(request(page_type))
    assert " ".join(one.key for one in components) == keys
    assert {one.key for one in components if not one.paid} <= {"specs", "products", "comparison"}
    assert plan.words(page_type) == words


@pytest.mark.parametrize(
    "good",
    [
        request(PageType.PRODUCT, shoe()),
        request(PageType.CATEGORY, Product("A"), Product("B")),
        request(PageType.COMPARISON, shoe("A", 2), shoe("B", 0, WEIGHT="1", drop="2")),
        request(PageType.GUIDE, shoe()),
        request(PageType.GUIDE, brief="x" * 200),
    ],
)
def test_data_that_carries_a_page_is_taken(good: PageRequest) -> None:
    assert plan.objections(good) == []


@pytest.mark.parametrize(
    ("page_type", "products", "field", "words"),
    [
        (PageType.PRODUCT, (), "metadata.product", "needs its product"),
        (PageType.PRODUCT, (shoe("A"), shoe("B")), "metadata.products", "about one product, not 2"),
        (PageType.PRODUCT, (shoe(count=2),), "metadata.product.attributes", "at least 3 attributes; this product has 2"),
        (PageType.PRODUCT, (shoe(count=0),), "metadata.product.attributes", "this product has none"),
        (PageType.CATEGORY, (), "metadata.products", "at least 2 products; it has none"),
        (PageType.CATEGORY, (shoe(),), "metadata.products", "at least 2 products; it has 1"),
        (PageType.COMPARISON, (shoe(),), "metadata.products", "at least 2 products; it has 1"),
        (PageType.COMPARISON, (shoe("A"), shoe("B", 1)), "metadata.products", "these share Weight"),
        (PageType.COMPARISON, (shoe("A"), shoe("B", 0, Colour="red")), "metadata.products", "these share none"),
        (PageType.COMPARISON, tuple(shoe(str(number)) for number in range(7)), "metadata.products", "at most 6 products, not 7"),
        (PageType.GUIDE, (), "prompt", "it has 0), or products with at least 3 facts (there are 0)"),
        (PageType.GUIDE, (shoe("A", 2),), "prompt", "there are 2"),
    ],
)
def test_data_that_does_not_is_refused_with_what_is_missing(
    page_type: PageType, products: Sequence[Product], field: str, words: str
) -> None:
    objections = plan.objections(request(page_type, *products))

    assert [(one.field, one.plan) for one in objections] == [(field, True)]
    assert words in objections[0].message


def test_shared_attributes_are_those_of_all_products() -> None:
    assert plan.shared([shoe("A"), shoe("B", 1, drop="4 mm", Colour="red")]) == ["Weight", "Drop"]
    assert plan.shared([]) == []
