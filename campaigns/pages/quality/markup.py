"""The form of a page: headings, texts for search results, links, HTML and JSON-LD."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from campaigns.pages import assembly, jsonld
from campaigns.pages.plain import address
from campaigns.pages.quality.grounding import blocks_of
from campaigns.pages.quality.keywords import headings_in_order
from campaigns.pages.quality.wordlists import words_of
from campaigns.pages.types import Check, Context, Document

if TYPE_CHECKING:
    from justhtml import JustHTML

TITLE, DESCRIPTION = (20, 60), (70, 160)  # characters that search pages show
TITLE_JAPANESE, DESCRIPTION_JAPANESE = (10, 60), (35, 160)
SHORTENED = 2  # as many times the most: no search page shows half of it
_VOID = words_of("br hr img wbr")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>\"”]{1,200}|\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+", re.I)
_UNSAFE = words_of("script style iframe object embed form input base meta link svg")


def check_headings(document: Document) -> Check:
    """One heading of level 1, first; no level left out."""
    name, bound = "Headings in order", "1 of level 1, first; no level skipped"
    levels = [block.level for block in document.blocks if block.level]
    figure = " · ".join(str(levels.count(level)) for level in (1, 2, 3))
    if headings_in_order(levels):
        return Check(name, "pass", figure, bound, "The headings are one tidy outline.")
    return Check(name, "fail", figure, bound, "Start with one main heading and skip no level below it.")


def check_title(document: Document, context: Context) -> Check:
    """The title for search results."""
    bounds = TITLE_JAPANESE if context.request.language == "ja" else TITLE
    return _length("Title", "title", document.title, bounds)


def check_description(document: Document, context: Context) -> Check:
    """The description for search results."""
    bounds = DESCRIPTION_JAPANESE if context.request.language == "ja" else DESCRIPTION
    return _length("Meta description", "description", document.description, bounds)


def _length(name: str, what: str, text: str, bounds: tuple[int, int]) -> Check:
    low, high = bounds
    figure, bound = f"{len(text):,} characters", f"{low} to {high}"
    if low <= len(text) <= high:
        return Check(name, "pass", figure, bound, f"Search pages show the whole {what}.")
    if not text.strip():
        return Check(name, "fail", figure, bound, f"Write a {what}.", ("meta",))
    if len(text) > high:
        sentence = f"Shorten the {what} by {len(text) - high:,}: search pages cut it."
        far = len(text) > SHORTENED * high
        return Check(name, "fail" if far else "warn", figure, bound, sentence, ("meta",) if far else ())
    return Check(name, "warn", figure, bound, f"Extend the {what} by {low - len(text)}.")


def check_links(document: Document, context: Context) -> Check:
    """Only links that the request gives, and no addresses in texts but those."""
    name, bound = "Links", "only those of your data"
    given = {url for _, url in assembly.links(context)} | {address(one.url) for one in context.request.products if one.url}
    given.add(address(context.request.target_url))
    hrefs = [str((node.attrs or {}).get("href") or "") for node in _tree(document.html).query("a")]
    wrong = [url for url in hrefs if url not in given]
    known = "\n".join((*context.facts, context.request.target_url)).lower()
    loose = [(match[0], block.component) for block in blocks_of(document) for match in _ADDRESS.finditer(block.text)
             if match[0].lower().rstrip(".,;:!?)") not in known]  # fmt: skip
    figure = f"{len(hrefs):,}" + (f", {len(wrong) + len(loose)} not given" if wrong or loose else "")
    if not wrong and not loose:
        return Check(name, "pass", figure, bound, "Each link is one that you gave.")
    found = tuple(dict.fromkeys((*wrong, *(url for url, _ in loose))))
    components = tuple(dict.fromkeys(key for _, key in loose))
    return Check(name, "fail", figure, bound, "Remove the links that your data doesn't have.", components, found)


def check_html(document: Document) -> Check:
    """HTML that every browser reads the same way, and with nothing in it that runs."""
    problems = list(dict.fromkeys(_problems(document.html)))
    figure = "well-formed" if not problems else f"{len(problems):,} {'error' if len(problems) == 1 else 'errors'}"
    if not problems:
        return Check("HTML", "pass", figure, "0 errors", "Browsers read the page as it is meant.")
    return Check("HTML", "fail", figure, "0 errors", "Generate the page again: its HTML is broken.", (), tuple(problems[:10]))


def check_json_ld(document: Document) -> Check:
    """JSON-LD that fits the schemas of what pages have."""
    problems = jsonld.validate(_plain(document.json_ld))
    figure = "valid" if not problems else f"{len(problems):,} {'error' if len(problems) == 1 else 'errors'}"
    if not problems:
        return Check("JSON-LD", "pass", figure, "0 errors", "Search engines can read the page's data.")
    return Check(
        "JSON-LD", "fail", figure, "0 errors", "Check the product data: no valid JSON-LD can be built.", (), tuple(problems[:10])
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _tree(html: str) -> JustHTML:
    from justhtml import JustHTML  # loaded by the workers that check pages, not by every process of the product

    return JustHTML(html, fragment=True, sanitize=False, collect_errors=True)


def _problems(html: str) -> Iterator[str]:
    yield from (f"line {error.line}: {error.message}" for error in _tree(html).errors)
    reader = _Balance()
    reader.feed(html)
    reader.close()
    yield from reader.problems
    yield from (f"<{tag}> is not closed" for tag in reader.open)


class _Balance(HTMLParser):
    """Looks for what the standard forgives: elements that are not closed, attributes that stand twice; and for what runs."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        names = [name for name, _ in attrs]
        if len(names) > len(set(names)):
            self.problems.append(f"<{tag}> has an attribute twice")
        runs = any(name.startswith("on") or (value or "").strip().lower().startswith(("javascript:", "data:", "vbscript:"))
                   for name, value in attrs)  # fmt: skip
        if tag in _UNSAFE or runs:
            self.problems.append(f"<{tag}> may run something")

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in _VOID:
            self.problems.append(f"</{tag}> closes nothing")
