"""
A page from its parts: its texts as blocks, its body as Markdown, and the HTML of that.

All texts are escaped on their way into Markdown, whoever wrote them: there is no markup but the page's own. The HTML is rendered
with HTML switched off and cleaned by a list of what a page may have. Links come from the data alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt

from campaigns.pages import jsonld
from campaigns.pages.components import kind_of, working_title
from campaigns.pages.labels import label
from campaigns.pages.plain import address
from campaigns.pages.types import BlockKind, Component, Context, Document, TextBlock
from campaigns.pages.wording import line

MOST_LINKS = 20
# signs of Markdown that mean something anywhere in a line, and those that do at its start
SIGN = re.compile(r"[\\`*_\[\]<>#|~]|&(?=#?\w)")
FIRST_SIGN = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[-+=]))")
MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
CLEANER = nh3.Cleaner(
    tags={"h1", "h2", "h3", "p", "ul", "li", "a", "table", "thead", "tbody", "tr", "th", "td"},
    attributes={"a": {"href"}},
    url_schemes={"http", "https"},
    url_relative="deny",
    link_rel="noopener noreferrer",
    clean_content_tags={"script", "style"},
)


def assemble(context: Context, components: Sequence[Component]) -> Document:
    """Return the page that components make, in their order: one heading of level 1 and, for each section, one of level 2."""
    page = _Page(context.request.language)
    ordered = sorted(components, key=lambda one: kind_of(one) != "hero")
    meta = next((one for one in ordered if kind_of(one) == "meta"), Component("", {}))
    title = line(str(meta.content.get("title") or working_title(context)))
    if meta.key:
        page.of(meta.key).block("title", title)
        page.block("description", meta.content["description"])
    if not ordered or kind_of(ordered[0]) != "hero":
        page.of("").heading(title, level=1)
    for one in ordered:
        LAYOUTS[kind_of(one)](page.of(one.key), one.content)
    page.of("links").links(links(context))
    lead = next((one.text for one in page.blocks if one.kind == "lead"), title)
    markdown = "\n\n".join(page.parts) + "\n"
    return Document(
        title=title,
        description=line(str(meta.content.get("description") or lead)),
        blocks=tuple(page.blocks),
        markdown=markdown,
        html=cleaned(MARKDOWN.render(markdown)),
        json_ld=jsonld.build(context),
    )


def cleaned(html: str) -> str:
    """Return HTML with nothing in it but what a page's body may have."""
    return CLEANER.clean(html)


def escaped(text: str) -> str:
    """Return a text of one line as Markdown that says the same, without any markup."""
    return FIRST_SIGN.sub(r"\1\\", SIGN.sub(r"\\\g<0>", text), count=1)


def links(context: Context) -> list[tuple[str, str]]:
    """Return the links that the SEO data asks for, each by its text and its address."""
    given = context.request.seo.get("links")
    found: dict[str, str] = {}
    for one in given if isinstance(given, list | tuple) else ():
        if isinstance(one, Mapping):
            text, url = line(str(one.get("text") or "")), address(str(one.get("url") or ""))
            if text and url:
                found.setdefault(url, text)
    return [(text, url) for url, text in found.items()][:MOST_LINKS]


class _Page:
    """A page as it grows: its blocks, and beside them the parts of its Markdown."""

    def __init__(self, language: str):
        self.language = language
        self.blocks: list[TextBlock] = []
        self.parts: list[str] = []
        self.key = ""  # of the component that the next blocks are from

    def of(self, key: str) -> "_Page":
        self.key = key
        return self

    def block(self, kind: BlockKind, text: str, *, level: int = 0) -> str:
        """Add a block, and return its text for Markdown; the part around it is the caller's to add."""
        text = line(text)
        if text:
            self.blocks.append(TextBlock(self.key, kind, text, level))
        return escaped(text)

    def heading(self, text: str, *, level: int = 2, kind: BlockKind = "heading", url: str = "") -> None:
        if words := self.block(kind, text, level=level):
            self.parts.append(f"{'#' * level} {_link(words, url)}")

    def paragraph(self, text: str, *, kind: BlockKind = "paragraph") -> None:
        if words := self.block(kind, text):
            self.parts.append(words)

    def points(self, points: Iterable[tuple[str, str]]) -> None:
        """Add a list of texts, each with an address or “”."""
        lines = [f"- {_link(words, url)}" for text, url in points if (words := self.block("point", text))]
        if lines:
            self.parts.append("\n".join(lines))

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        cells = [[self.block("cell", text) or "–" for text in row] for row in (head, *rows)]
        cells.insert(1, ["---"] * len(head))
        self.parts.append("\n".join(f"| {' | '.join(row)} |" for row in cells))

    def links(self, links: Sequence[tuple[str, str]]) -> None:
        if links:
            self.heading(label("links", self.language))
            self.points(links)


def _link(words: str, url: str) -> str:
    # an address has no signs that end it, but what looks like a named sign would be read as one
    return f"[{words}]({url.replace('&', '&amp;')})" if url else words


def _hero(page: _Page, content: Mapping[str, Any]) -> None:
    page.heading(content["headline"], level=1)
    page.paragraph(content["lead"], kind="lead")


def _body(page: _Page, content: Mapping[str, Any]) -> None:
    for section in content["sections"]:
        page.heading(section["heading"])
        for text in section["paragraphs"]:
            page.paragraph(text)
        page.points((text, "") for text in section["points"])


def _faq(page: _Page, content: Mapping[str, Any]) -> None:
    if content["questions"]:
        page.heading(label("questions", page.language))
    for one in content["questions"]:
        page.heading(one["question"], level=3, kind="question")
        page.paragraph(one["answer"], kind="answer")


def _specs(page: _Page, content: Mapping[str, Any]) -> None:
    if content["rows"]:
        page.heading(label("specifications", page.language))
        head = (label("feature", page.language), label("value", page.language))
        page.table(head, [(row["label"], row["value"]) for row in content["rows"]])


def _products(page: _Page, content: Mapping[str, Any]) -> None:
    if content["items"]:
        page.heading(label("products", page.language))
    for item in content["items"]:
        page.heading(item["name"], level=3, url=address(item["url"]))
        page.paragraph(item["price"])
        page.points((fact, "") for fact in item["facts"])


def _comparison(page: _Page, content: Mapping[str, Any]) -> None:
    if content["rows"]:
        page.heading(label("comparison", page.language))
        head = (label("feature", page.language), *content["columns"])
        page.table(head, [(row["label"], *row["values"]) for row in content["rows"]])


def _nothing(page: _Page, content: Mapping[str, Any]) -> None:
    """The meta texts are the head's, not the body's."""


LAYOUTS: dict[str, Callable[[_Page, Mapping[str, Any]], None]] = {
    "hero": _hero,
    "body": _body,
    "faq": _faq,
    "meta": _nothing,
    "specs": _specs,
    "products": _products,
    "comparison": _comparison,
}
