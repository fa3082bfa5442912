"""The facts that a page may state: lines, each with its label, from what its client gave. Nothing else is a fact."""

from collections.abc import Iterator

from campaigns.pages.languages import LANGUAGES
from campaigns.pages.types import PageRequest, Product

# of lines that say what the page should do; those of products have labels of their own, in the page's language
BRIEF, VOICE, KEYWORDS, QUESTION, RELATED, LINK = "Brief", "Brand voice", "Keywords", "Question", "Related", "Link"


def lines(request: PageRequest) -> tuple[str, ...]:
    """Return all facts: those of the products, then what brief, keywords, SEO data and brand voice say."""
    return (*of_products(request), *_of_request(request))


def of_products(request: PageRequest) -> tuple[str, ...]:
    """Return the facts of the products, such as “Weight: 240 g”; of several products, with its name: “Fell 2, Weight: 240 g”."""
    several = len(request.products) > 1
    return tuple(
        f"{product.name}, {fact}" if several and label else fact
        for product in request.products
        for label, fact in _of_product(product, request.language)
    )


def _of_product(product: Product, language: str) -> Iterator[tuple[str, str]]:
    """Yield label and line of each fact; the product's name has no label."""
    words = LANGUAGES[language].words
    yield "", product.name
    known = (
        (words["brand"], product.brand),
        ("SKU", product.sku),
        (words["price"], f"{product.price} {product.currency}".strip() if product.price else ""),
        *product.attributes.items(),
        *((words["description"], paragraph) for paragraph in product.description.splitlines()),
    )
    yield from ((label, f"{label}: {text}") for label, text in known if text)


def _of_request(request: PageRequest) -> Iterator[str]:
    yield f"{KEYWORDS}: {', '.join(request.keywords)}"
    yield from (f"{BRIEF}: {line}" for line in request.brief.splitlines() if line)
    yield from (f"{VOICE}: {line}" for line in request.brand_voice.splitlines() if line)
    yield from (f"{QUESTION}: {one}" for one in request.seo.get("questions", ()))
    if related := request.seo.get("related"):
        yield f"{RELATED}: {', '.join(related)}"
    yield from (f"{LINK}: {one['text']} ({one['url']})" for one in request.seo.get("links", ()))
    yield from (f"{key}: {text}" for key, text in request.seo.items() if isinstance(text, str))
