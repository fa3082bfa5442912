"""What a page of each type consists of, and whether its data can carry that. Asked before anything is paid."""

from collections.abc import Iterator, Mapping, Sequence

from campaigns.pages import facts
from campaigns.pages.types import PageRequest, PageType, Planned, Product
from queue_app.work.pipeline import Objection

SPECS_LEAST = 3  # attributes in a specs table
COMPARED_LEAST, COMPARED_MOST, SHARED_LEAST = 2, 6, 2  # products in a comparison, and attributes that all of them have
LISTED_LEAST = 2  # products in a category
GUIDE_FACTS_LEAST, BRIEF_LEAST = 3, 200  # one of the two: facts of products, or characters of the brief

_META = Planned("meta", "meta", paid=True)
_PLANS: Mapping[PageType, tuple[Planned, ...]] = {
    PageType.PRODUCT: (
        _META,
        Planned("hero", "hero", paid=True, low=20, high=60),
        Planned("body", "body", paid=True, low=200, high=310),
        Planned("specs", "specs", paid=False),
        Planned("faq", "faq", paid=True, low=80, high=130),
    ),
    PageType.CATEGORY: (
        _META,
        Planned("hero", "hero", paid=True, low=30, high=80),
        Planned("products", "products", paid=False),
        Planned("body", "body", paid=True, low=430, high=610),
        Planned("faq", "faq", paid=True, low=140, high=210),
    ),
    PageType.COMPARISON: (
        _META,
        Planned("hero", "hero", paid=True, low=30, high=80),
        Planned("comparison", "comparison", paid=False),
        Planned("body", "body", paid=True, low=430, high=610),
        Planned("faq", "faq", paid=True, low=140, high=210),
    ),
    PageType.GUIDE: (
        _META,
        Planned("hero", "hero", paid=True, low=40, high=90),
        Planned("body", "body", paid=True, low=960, high=1590),
        Planned("faq", "faq", paid=True, low=200, high=320),
    ),
}


def planned(request: PageRequest) -> tuple[Planned, ...]:
    """Return the components of a page in the order that they are written."""
    return _PLANS[request.page_type]


def words(page_type: PageType) -> tuple[int, int]:
    """Return from how many to how many words a page of this type has, without its tables."""
    return sum(one.low for one in _PLANS[page_type]), sum(one.high for one in _PLANS[page_type])


def shared(products: Sequence[Product]) -> list[str]:
    """Return the attributes that all of these products have, as the first one writes them; capitals make no difference."""
    labels = [{label.casefold() for label in product.attributes} for product in products]
    return [label for label in products[0].attributes if all(label.casefold() in one for one in labels)] if products else []


def objections(request: PageRequest) -> list[Objection]:
    """Return what the data lacks for a page of this type; each says how to add it."""
    return [Objection(field, message, plan=True) for field, message in _CHECKS[request.page_type](request)]


def _product(request: PageRequest) -> Iterator[tuple[str, str]]:
    count = len(request.products)
    if count != 1:
        yield (
            ("metadata.product", "A product page needs its product. Add product with a name and its attributes.")
            if count == 0
            else (
                "metadata.products",
                f"A product page is about one product, not {count}. Send one, or choose category or comparison.",
            )
        )
        return
    if (has := len(request.products[0].attributes)) < SPECS_LEAST:
        yield (
            f"{_place(request, 0)}.attributes",
            f"The specs table needs at least {SPECS_LEAST} attributes; this product has {has or 'none'}. "
            "Add attributes such as weight, material or size.",
        )


def _category(request: PageRequest) -> Iterator[tuple[str, str]]:
    if (count := len(request.products)) < LISTED_LEAST:
        yield (
            "metadata.products",
            f"A category page needs at least {LISTED_LEAST} products; it has {count or 'none'}. Add products with their names.",
        )


def _comparison(request: PageRequest) -> Iterator[tuple[str, str]]:
    count = len(request.products)
    if count < COMPARED_LEAST:
        yield (
            "metadata.products",
            f"A comparison needs at least {COMPARED_LEAST} products; it has {count or 'none'}. "
            "Add products with the same attributes.",
        )
        return
    if count > COMPARED_MOST:
        yield "metadata.products", f"A comparison has at most {COMPARED_MOST} products, not {count}. Remove some."
    common = shared(request.products)
    if len(common) < SHARED_LEAST:
        yield (
            "metadata.products",
            f"A comparison needs at least {SHARED_LEAST} attributes that all its products have; these share "
            f"{common[0] if common else 'none'}. Give all of them attributes of the same names, such as Weight.",
        )


def _guide(request: PageRequest) -> Iterator[tuple[str, str]]:
    known, length = len(facts.of_products(request)) - len(request.products), len(request.brief)
    if known < GUIDE_FACTS_LEAST and length < BRIEF_LEAST:
        yield (
            "prompt",
            f"A guide needs facts to explain: a brief of at least {BRIEF_LEAST} characters (it has {length}), "
            f"or products with at least {GUIDE_FACTS_LEAST} facts (there are {known}). Extend the brief or add products.",
        )


_CHECKS = {
    PageType.PRODUCT: _product,
    PageType.CATEGORY: _category,
    PageType.COMPARISON: _comparison,
    PageType.GUIDE: _guide,
}


def _place(request: PageRequest, index: int) -> str:
    return "metadata.product" if request.page_type is PageType.PRODUCT else f"metadata.products.{index}"
