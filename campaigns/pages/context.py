"""
The second stage: everything that a writer gets.

Competitors' pages are hostile text. They give topics, never facts: a heading with a figure is left out, since it is not ours.
"""

import codecs
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from campaigns.pages import facts, wording
from campaigns.pages.types import Context, PageRequest, Source

logger = logging.getLogger("campaigns.pages")
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what a page of others lacks is said in its source

BYTES_MOST = 1_500_000  # of a page
TAGS_MOST = 25_000  # of a page: reading takes time in proportion, up to about 0.5 s for so many
SECONDS_MOST = 30.0  # for all pages: further ones are left out
TEXT_MOST, TITLE_MOST = 4_000, 200  # characters that are kept of a page
TOPICS_MOST, HEADINGS_MOST, TOPIC_MOST = 30, 12, 80  # of all pages, of one page, and characters of a topic
TERMS_MOST, TERM_LEAST, TERM_TIMES = 8, 6, 4  # words of one page, letters of a word, and how often it stands there

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.I)
# no other codec decodes: some take time by the square of the length
_ENCODING = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|iso-?8859-\d\d?|latin-?\d|(windows-?|cp)125\d|shift[-_]?jis|euc-jp|koi8-[ru]", re.I
)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_TITLE = re.compile(r"<title(?:\s[^<>]{0,300})?>([^<]{0,1000})", re.I)
_KEPT = re.compile(r"\b(class|id)\s{0,9}=\s{0,9}[\"']?([\w -]{1,100})", re.I)  # tells a menu from a text
_MARKED = re.compile(r"<(?:!doctype\s+html|html|head|body|p|div|h[1-6]|article|main)\b", re.I)
_TERM = re.compile(rf"[^\W\d_]{{{TERM_LEAST},}}")


def build(request: PageRequest, *, fetch: Callable[[str], bytes]) -> Context:
    """
    Return the facts of a request, and what competitors write about. A page that can't be read is a source with a problem.

    :param fetch: returns the bytes of a page, or raises OSError; see `fetching.fetcher`.
    """
    deadline = time.monotonic() + SECONDS_MOST
    sources: list[Source] = []
    topics: dict[str, str] = {}
    for url in request.competitor_urls:
        source, found = _read(url, fetch) if time.monotonic() < deadline else (Source(url, problem="There was no time left."), [])
        sources.append(source)
        for topic in found:
            topics.setdefault(topic.casefold(), topic)
    return Context(
        request=request,
        facts=facts.lines(request),
        topics=tuple(topics.values())[:TOPICS_MOST],
        sources=tuple(sources),
    )


def _read(url: str, fetch: Callable[[str], bytes]) -> tuple[Source, list[str]]:
    """Return a competitor's page and its topics."""
    try:
        body = fetch(url)
    except OSError as error:
        return Source(url, problem=wording.line(str(error))[:TITLE_MOST] or "The page can't be read."), []
    html = _decoded(body[: BYTES_MOST + 1])
    if problem := _problem(html, size=len(body)):
        return Source(url, problem=problem), []
    try:
        title, text, headings = _extracted(html)
    except Exception:  # whatever hostile HTML makes a parser raise, our page is written without this one
        logger.warning("a competitor's page can't be parsed", exc_info=True)
        title, text, headings = "", "", []
    if not text:
        return Source(url, title=title, problem="The page has no readable text."), []
    return Source(url, title=title, text=text[:TEXT_MOST]), [*_topics(headings), *_terms(text)]


def _problem(html: str, *, size: int) -> str:
    """Return why a page of so many bytes is not read at all; empty if it is."""
    if size > BYTES_MOST:
        return f"The page is larger than {BYTES_MOST / 1_000_000:g} MB."
    if not _MARKED.search(html):
        return "The page is not HTML."
    if html.count("<") > TAGS_MOST:
        return "The page is too complicated."
    return ""


def _decoded(body: bytes) -> str:
    """Return the text of HTML. We decode, since trafilatura would unpack compressed bytes of any size."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    declared = _CHARSET.search(body[:4096])
    named = declared[1].decode("ascii") if declared else ""
    for encoding in ("utf-8-sig", named if _ENCODING.fullmatch(named) else "cp1252"):
        with suppress(LookupError, UnicodeError):  # unknown to Python, or not what the page is in
            return body.decode(encoding)
    return body.decode("cp1252", "replace")


def _extracted(html: str) -> tuple[str, str, list[str]]:
    """Return title, readable text and headings of a page."""
    import trafilatura  # it takes 0.3 s to import, and few processes need it

    title = _TITLE.search(html)
    named = wording.line(wording.without_markup(title[1]))[:TITLE_MOST] if title else ""
    html = _bare(_DECLARATION.sub("", html.replace("\x00", "")))  # lxml takes neither in a text
    found = trafilatura.bare_extraction(html, fast=True, include_comments=False, include_tables=False, include_formatting=True)
    if found is None or isinstance(found, dict):
        return named, "", []
    headings = ["".join(head.itertext()) for head in found.body.iter("head")] if found.body is not None else []
    return named, wording.clean(found.text or ""), headings


def _bare(html: str) -> str:
    """
    Return HTML of tags that we wrote, with few attributes, and without comments and scripts.

    So no parser meets markup that takes it long, such as a tag with a hundred thousand attributes, each compared with all others.
    """
    return wording.TAG.sub(_tag, wording.UNREAD.sub(" ", html))


def _tag(found: re.Match[str]) -> str:
    if found["tag"]:
        kept = {name.lower(): value for name, value in _KEPT.findall(found["attributes"][:2_000])}
        return "".join(["<", found["tag"], *(f' {name}="{value}"' for name, value in kept.items()), ">"])
    return " " if found["other"] else "&lt;"


def _topics(headings: Sequence[str]) -> list[str]:
    """Return headings that are topics: short, with letters, and without figures or addresses."""
    lines = (wording.line(heading) for heading in headings)
    fit = (line for line in lines if 3 <= len(line) <= TOPIC_MOST and not re.search(r"\d|[{}<>`]|://", line))
    return [line for line in fit if re.search(r"[^\W_]{3}|[\u3040-\u9fff]", line)][:HEADINGS_MOST]


def _terms(text: str) -> Iterator[str]:
    """Yield the words that a page uses most; those in capitals may be names, and names are facts."""
    counted = Counter(word for word in _TERM.findall(text) if word.islower())
    yield from (word for word, times in counted.most_common(TERMS_MOST) if times >= TERM_TIMES)
