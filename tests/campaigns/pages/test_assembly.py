"""A page put together and finished: its parts in order, its links and labels, and hostile texts, which stay text."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from justhtml import JustHTML
from justhtml.dom import Element

from campaigns.pages.assembly import MARKDOWN, assemble, escaped
from campaigns.pages.components import read
from campaigns.pages.finishing import finish
from campaigns.pages.labels import LABELS, label
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.types import Component, Context, Document, PageType, Planned, Product, as_json, from_json
from campaigns.pages.wording import line
from tests.campaigns.pages.samples import OTHER, SHOE, TEXTS, components, context

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</title></style></main></body><svg/onload=alert(1)>",
    '"><a href="javascript:alert(1)">x</a>',
    "' onmouseover='alert(1)",
    "<!-- --><![CDATA[x]]><?php x ?>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#60;b>",
    "[x](javascript:alert(1)) ![y](https://evil.example/p.png) <https://evil.example>",
    "[x]: https://evil.example\n[x]",
    "a\n\n# heading\n\n- item\n\n> quote\n\n---\n\n    code",
    "```\ncode\n```\n~~~ `x` **b** __c__ ~~d~~",
    "1. one\n2. two",
    "| a | b |\n|---|---|\n| c\\| | d \\|",
    "ends with \\",
    "=====",
    "+ plus",
    "{{ 7 * 7 }} {% load x %} ${x} {title}",
    "\u2028</script>\u2029<b>\u202e\x00\x0b\ufeff",
    "https://evil.example www.evil.example a@evil.example",
]
HANDLERS, LINKS = re.compile(r"on\w+|style|srcdoc|src|formaction", re.I), re.compile(r"https?://")
BODY_TAGS = {"main", "h1", "h2", "h3", "p", "ul", "li", "a", "table", "thead", "tbody", "tr", "th", "td"}
HEAD_TAGS = {"html", "head", "meta", "title", "link", "style", "script", "body"}


def page_of(document: Document, of: Context) -> JustHTML:
    """The finished HTML page, parsed as a browser does, without an error."""
    page = JustHTML(finish(document, of)[0].text, sanitize=False, collect_errors=True)
    assert not page.errors
    return page


def elements(page: JustHTML, selector: str) -> list[Element]:
    return [one for one in page.query(selector) if isinstance(one, Element)]


def texts(page: JustHTML, selector: str) -> list[str]:
    return [line(one.to_text(separator="")) for one in elements(page, selector)]


def assert_harmless(page: JustHTML) -> None:
    """Only the page's own elements, one of each that it has once; no handlers; links to the web alone."""
    found = elements(page, "*")
    assert {one.name for one in found} <= BODY_TAGS | HEAD_TAGS
    for once in HEAD_TAGS - {"meta", "link"} | {"main", "h1"}:
        assert len([one for one in found if one.name == once]) == 1, once
    assert [one.attrs for one in found if one.name == "script"] == [{"type": "application/ld+json"}]
    for one in found:
        assert not [name for name in one.attrs if HANDLERS.fullmatch(name)]
        assert LINKS.match(one.attrs.get("href") or "https://")
    for link in (one for one in found if one.name == "a"):
        assert link.attrs["rel"] == "noopener noreferrer"


def hostile_page(text: str) -> tuple[Document, Context]:
    """A page with the text in every place that takes one, from the data or as a model wrote it."""
    product = Product(text, text, text, text, text, text, text, text, {text: text, "b": text})
    of = context(
        PageType.COMPARISON,
        products=(product, OTHER),
        keywords=(text,),
        brand_voice=text,
        brief=text,
        seo={
            "title": text,
            "questions": [text],
            "links": [{"text": text, "url": text}, {"text": text, "url": "https://a.example/?a"}],
        },
    )
    of = Context(replace(of.request, target_url=f"https://shop.example/{text}"), (text,), (text,))
    written = {
        "meta": {"title": text, "description": text},
        "hero": {"headline": f"A {text}", "lead": text},
        "body": {"sections": [{"heading": text, "paragraphs": [text, text], "points": [text]}]},
        "faq": {"questions": [{"question": text, "answer": text}]},
    }
    return assemble(of, components(of, written, ("specs", "products", "comparison"))), of


class TestHostileTexts:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_stay_text_wherever_they_stand(self, text: str) -> None:
        document, of = hostile_page(text)
        page = page_of(document, of)

        assert_harmless(page)
        said = line(text)
        assert {*texts(page, "h2")} >= {said} and said in texts(page, "p") and texts(page, "title") == [said]
        assert elements(page, "meta[name=description]")[0].attrs["content"] == said
        assert texts(page, "td").count(said) >= 4
        assert [one.attrs["href"] for one in elements(page, "li a")] == ["https://a.example/?a"]
        assert {one.text for one in document.blocks} >= {said}
        assert "</script" not in finish(document, of)[2].text

    @pytest.mark.parametrize("text", HOSTILE)
    def test_of_a_model_give_no_markup_either(self, text: str) -> None:
        planned = Planned("hero", "hero", paid=True)
        content = read(planned, json.dumps({"headline": "A", "lead": f"b {text}"}))
        page = page_of(assemble(context(), [Component("hero", content)]), context())
        assert_harmless(page)
        assert not re.search(r"[a-z]+://|javascript:|<\w", content["lead"])

    def test_a_changed_body_is_cleaned_once_more(self) -> None:
        document = assemble(context(), components(context()))
        bad = "<p onclick=x>a<script>b</script><a href='javascript:c'>d</a><iframe src=e></iframe><style>f</style></main>"
        page = page_of(replace(document, html=document.html + bad), context())
        assert_harmless(page)
        assert texts(page, "p")[-1] == "ad"

    @settings(max_examples=80, deadline=None)
    @given(st.text(alphabet="\\`*_[]()<>#|~&!-+=.:;1a \"'", min_size=1, max_size=24))
    def test_any_text_is_itself_again_after_markdown(self, text: str) -> None:
        said = line(text) or "x"
        for markdown, selector in (
            (escaped(said), "p"),
            (f"## {escaped(said)}", "h2"),
            (f"- {escaped(said)}", "li"),
            (f"| a |\n| --- |\n| {escaped(said)} |", "td"),
        ):
            page = JustHTML(MARKDOWN.render(markdown), sanitize=False)
            assert texts(page, selector) == [said]
            assert len(elements(page, f"{selector} *")) == 0


class TestAPage:
    def test_has_its_parts_in_order(self) -> None:
        of = context(seo={"links": [{"text": "All shoes", "url": "https://shop.example/shoes?a=1&copy;=2"}]})
        document = assemble(of, components(of))
        page = page_of(document, of)

        headings = [(one.level, one.text) for one in document.blocks if one.level]
        assert headings == [
            (1, "Fell 2"),
            (2, "Light"),
            (2, "Grip"),
            (2, "Questions and answers"),
            (3, "What does it weigh?"),
            (2, "Specifications"),
            (2, "See also"),
        ]
        assert [(int(one.name[1]), line(one.to_text())) for one in elements(page, "h1, h2, h3")] == headings
        assert {one.component for one in document.blocks} == {"meta", "hero", "body", "faq", "specs", "links"}
        assert [one.text for one in document.blocks if one.kind == "point"] == ["240 g", "6 mm", "All shoes"]
        assert texts(page, "th, td")[:6] == ["Feature", "Value", "Brand", "Ridge", "Item number", "F2-240"]
        assert elements(page, "li a")[0].attrs["href"] == "https://shop.example/shoes?a=1&copy;=2"
        assert (document.title, document.description) == (TEXTS["meta"]["title"], TEXTS["meta"]["description"])
        assert from_json(Document, json.loads(json.dumps(as_json(document)))) == document

    def test_begins_with_the_hero_wherever_that_was_made(self) -> None:
        parts = components(context())
        assert assemble(context(), parts[::-1]).markdown.startswith("# Fell 2\n\nIt weighs 240 g.\n")

    def test_has_a_heading_and_a_title_without_a_hero(self) -> None:
        document = assemble(context(), components(context(), {"body": TEXTS["body"]}, ()))
        assert document.markdown.startswith("# Fell 2\n\n## Light\n\n")
        assert document.title == document.description == "Fell 2"

    def test_lists_products_with_their_links(self) -> None:
        of = context(PageType.CATEGORY)
        page = page_of(assemble(of, components(of, {}, ("products",))), of)
        assert texts(page, "h3") == ["Fell 2", "Fell 3"]
        assert [one.attrs["href"] for one in elements(page, "h3 a")] == [SHOE.url]
        assert texts(page, "p") == ["129.90 EUR"]

    def test_compares_products_in_columns(self) -> None:
        of = context(PageType.COMPARISON)
        page = page_of(assemble(of, components(of, {}, ("comparison",))), of)
        assert texts(page, "th") == ["Feature", "Fell 2", "Fell 3"]
        assert texts(page, "tr")[-1].replace(" ", "") == "Lacing–wire"

    @pytest.mark.parametrize("data", ["specs", "comparison", "products"])
    def test_without_data_for_a_part_has_none(self, data: Any) -> None:
        of = context(PageType.GUIDE, products=())
        assert [one.text for one in assemble(of, components(of, {}, (data,))).blocks] == ["trail shoes"]

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_speaks_its_language(self, language: str) -> None:
        of = context(language=language)
        page = page_of(assemble(of, components(of)), of)
        assert elements(page, "html")[0].attrs["lang"] == language
        assert {label("specifications", language), label("questions", language)} <= {*texts(page, "h2")}

    def test_has_labels_in_every_language(self) -> None:
        assert LABELS.keys() == LANGUAGES.keys()
        assert all(one.keys() == LABELS["en"].keys() and all(one.values()) for one in LABELS.values())

    def test_is_three_files(self) -> None:
        document = assemble(context(), components(context()))
        page, markdown, json_ld = finish(document, context())
        assert [(one.kind, one.content_type) for one in (page, markdown, json_ld)] == [
            ("page", "text/html"),
            ("markdown", "text/markdown"),
            ("json-ld", "application/ld+json"),
        ]
        assert page.text.startswith("<!doctype html>\n")
        assert '<link rel="canonical" href="https://shop.example/shoes/fell-2">' in page.text
        assert markdown.text == document.markdown
        embedded = elements(page_of(document, context()), "script")[0].to_text()
        assert json.loads(json_ld.text) == json.loads(embedded or "null") == document.json_ld
