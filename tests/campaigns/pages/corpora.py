"""Pages that copywriters wrote from facts, and the same pages with one invention each, in ten languages (`corpus/`)."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from campaigns.pages.types import Context, Document, PageRequest, PageType, Product, TextBlock

CORPUS = Path(__file__).parent / "corpus"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ja")
KINDS = {"# ": "heading", "## ": "heading", "- ": "point", "? ": "question", "= ": "answer"}


@dataclass(frozen=True)
class Written:
    """A page with what it was written from."""

    key: str
    context: Context
    document: Document
    kind: str = ""  # of the invention
    invention: str = ""


def honest() -> list[Written]:
    return [_written(page, language) for language in LANGUAGES for page in _read(f"{language}.toml")["page"]]


def invented() -> list[Written]:
    """Return a page for each row of the table: the honest one with a piece of its text replaced."""
    pages = {one.key: one for one in honest()}
    return [_seeded(pages[key], kind, old, new) for key, kind, old, new in _read("inventions.toml")["inventions"]]


def blocks(text: str) -> tuple[TextBlock, ...]:
    """Read a page as the corpus writes it: “# ” and “## ” headings, “- ” points, “? ” questions, “= ” answers, paragraphs."""
    found: list[TextBlock] = []
    component = "hero"
    for line in filter(None, text.strip().splitlines()):
        mark = next((one for one in KINDS if line.startswith(one)), "")
        kind = KINDS.get(mark, "paragraph" if len(found) != 1 else "lead")
        component = {"## ": "body", "- ": "body", "? ": "faq"}.get(mark, component)
        found.append(TextBlock(component, kind, line.removeprefix(mark), mark.count("#")))
    return tuple(found)


def _read(name: str) -> dict:
    return tomllib.loads((CORPUS / name).read_text(encoding="utf-8"))


def _written(page: dict, language: str) -> Written:
    products = tuple(Product(**one) for one in page["products"])
    request = PageRequest(
        PageType(page["type"]),
        "https://example.com/page",
        tuple(page["keywords"]),
        language,
        products=products,
        sku_count=page.get("sku_count", 0),
    )
    lines = tuple(f"{label}: {value}" for product in products for label, value in product.attributes.items())
    context = Context(request, (*(product.name for product in products), *lines, *page.get("facts", ())))
    return Written(page["key"], context, Document(page["title"], page["description"], blocks(page["text"]), page["text"], ""))


def _seeded(page: Written, kind: str, old: str, new: str) -> Written:
    text = page.document.markdown
    assert text.count(old) == 1, f"{page.key}: {old!r} stands there {text.count(old)} times"
    changed = text.replace(old, new)
    return replace(page, document=replace(page.document, blocks=blocks(changed), markdown=changed), kind=kind, invention=new)
