"""
The first stage: what a job's metadata asks for, checked, or all that is wrong with it.

Keys of clients' own are allowed, since metadata is theirs to search by. One is taken for a misspelt key of ours only if it
differs from it by capitals and separators, or by one letter of at least seven, and that key is missing: then a page would be made
without what its creative wanted on it, and a refusal costs nothing.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from campaigns.pages import wording
from campaigns.pages.addresses import url_problem
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.product_data import ProductReader, as_text
from campaigns.pages.types import PageRequest, PageType, Product
from queue_app.rules.priority import MOST as COUNT_MOST
from queue_app.work.pipeline import Objection

KEYS = (
    "page_type",
    "target_url",
    "keywords",
    "language",
    "brand_voice",
    "product",
    "products",
    "competitor_urls",
    "sku_count",
    "monthly_searches",
    "content_status",
    "seo",
    "skip_quality_check",
)
CONTENT_STATUSES = ("missing", "outdated", "current")
KEYWORDS_MOST, KEYWORD_MOST = 20, 80
VOICE_MOST = 2_000
BRIEF_MOST = 8_000
PRODUCTS_MOST = 50
COMPETITORS_MOST = 5
TITLE_MOST = 200
SEO_LISTS = {"questions": 20, "related": 40}  # texts in each at most
SEO_TEXT_MOST, SEO_KEYS_MOST, LINKS_MOST = 300, 20, 20
_LONG_ENOUGH = 7  # letters of a key of which one may be wrong


class InputsRefused(Exception):
    """The metadata can't become a page; ``objections`` has every problem, each at its field."""

    def __init__(self, objections: Sequence[Objection]) -> None:
        self.objections = [*objections]
        super().__init__(" ".join(objection.message for objection in objections))


def read(metadata: Mapping[str, Any], prompt: str, *, languages: Collection[str]) -> PageRequest:
    """
    Return what is asked for. ``prompt`` is the brief, ``languages`` are the codes that pages can be written in here.

    :raises InputsRefused: something is missing or wrong.
    """
    reader = _Reader(metadata, languages)
    request = reader.request(prompt)
    if reader.objections:
        raise InputsRefused(reader.objections)
    return request


def title(metadata: Mapping[str, Any]) -> str:
    """Return the prompt of a job that was sent without a brief: “Product page: trail running shoes”."""
    kind, keywords = str(metadata.get("page_type", "page")), metadata.get("keywords")
    subject = keywords[0] if isinstance(keywords, list) and keywords else metadata.get("target_url", "")
    return wording.line(f"{kind.capitalize()} page: {subject}")[:TITLE_MOST]


def brief_of(metadata: Mapping[str, Any], prompt: str) -> str:
    """Return the brief of a job; empty if its prompt is our own title for it."""
    return "" if prompt == title(metadata) else prompt


def own_keys_misspelt(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each key that is certainly a misspelt key of ours, with the right one."""
    missing = [key for key in KEYS if metadata.get(key) in (None, "", [], {})]
    for name in metadata:
        if name not in KEYS and (meant := next((key for key in missing if _is_misspelt(str(name), key)), "")):
            yield str(name), meant


class _Reader:
    """Reads one metadata, and collects its objections."""

    def __init__(self, metadata: Mapping[str, Any], languages: Collection[str]) -> None:
        self.metadata, self.languages = metadata, languages
        self.objections: list[Objection] = []

    def request(self, prompt: str) -> PageRequest:
        for name, meant in own_keys_misspelt(self.metadata):
            self.object(name, f"Unknown key {wording.quoted(name)}. Did you mean {meant}?")
            self.metadata = {**self.metadata, meant: self.metadata[name]}  # so that it is not called missing, too
        page_type, language = self._page_type(), self._language()
        return PageRequest(
            page_type=page_type,
            target_url=self._url("target_url", self.metadata.get("target_url"), needed=True),
            keywords=self._keywords(),
            language=language,
            brand_voice=self._text("brand_voice", VOICE_MOST),
            brief=self._brief(brief_of(self.metadata, prompt)),
            products=self._products(language),
            competitor_urls=self._competitors(),
            seo=self._seo(language),
            sku_count=self._count("sku_count"),
            monthly_searches=self._count("monthly_searches"),
            content_status=self._content_status(),
            skip_quality_check=self._flag("skip_quality_check"),
        )

    def object(self, name: str, message: str) -> None:
        self.objections.append(Objection(f"metadata.{name}", message))

    def _page_type(self) -> PageType:
        value, choices = self.metadata.get("page_type"), [str(one) for one in PageType]
        found = value.strip().lower() if isinstance(value, str) else value
        if found in choices:
            return PageType(found)
        asked = f"Choose one of {', '.join(choices)}."
        meant = wording.did_you_mean(value, choices) if isinstance(value, str) else ""
        self.object("page_type", asked if value in (None, "") else f"Unknown page type.{meant or ' ' + asked}")
        return PageType.GUIDE

    def _language(self) -> str:
        value, offered = self.metadata.get("language"), ", ".join(self.languages)
        code = value.strip().lower().replace("_", "-") if isinstance(value, str) else ""
        if code in self.languages:
            return code
        base = code.partition("-")[0]
        named = {one.name.lower(): one.code for one in LANGUAGES.values()} | {
            one.own_name.lower(): one.code for one in LANGUAGES.values()
        }
        if value in (None, ""):
            self.object("language", f"Choose a language: {offered}.")
        elif code in LANGUAGES:
            self.object("language", f"{LANGUAGES[code].name} is not offered here. Available: {offered}.")
        elif named.get(code) in self.languages:
            self.object("language", f"Write the code {named[code]} instead of {wording.quoted(value)}.")
        elif base in self.languages and re.fullmatch(r"[a-z]{2}-([a-z]{2}|\d{3})", code):
            self.object("language", f"Write {base} instead of {wording.quoted(value)}: pages have a language, not a region.")
        else:
            self.object("language", f"Unknown language {wording.quoted(value)}. Available: {offered}.")
        return next(iter(self.languages), "en")

    def _url(self, name: str, value: Any, *, needed: bool = False) -> str:
        if value in (None, "") and not needed:
            return ""
        url = value.strip() if isinstance(value, str) else ""
        if problem := url_problem(url):
            self.object(name, problem)
        return url

    def _keywords(self) -> tuple[str, ...]:
        value = self.metadata.get("keywords")
        if isinstance(value, str) or not isinstance(value, Sequence | None):
            self.object("keywords", "Send a list of keywords, such as [“trail running shoes”].")
            return ()
        found: dict[str, str] = {}
        for index, keyword in enumerate(value or ()):
            if not isinstance(keyword, str) or len(keyword) > KEYWORD_MOST:
                self.object(f"keywords.{index}", f"Enter a text of up to {KEYWORD_MOST} characters.")
            elif text := wording.line(keyword):
                found.setdefault(text.casefold(), text)
        if not found and not any(one.field.startswith("metadata.keywords.") for one in self.objections):
            self.object("keywords", "Add a keyword. The first one is the main keyword.")
        if len(found) > KEYWORDS_MOST:
            self.object("keywords", f"Too many: {len(found)} of {KEYWORDS_MOST} keywords. Keep those that matter most.")
        return tuple(found.values())

    def _text(self, name: str, most: int) -> str:
        value = self.metadata.get(name)
        if value is not None and not isinstance(value, str):
            self.object(name, "Enter a text.")
            return ""
        text = wording.clean(value or "")
        if len(text) > most:
            self.object(name, f"Too long: {len(text):,} of {most:,} characters. Shorten it by {len(text) - most:,}.")
        return text

    def _brief(self, prompt: str) -> str:
        text = wording.clean(prompt)
        if len(text) > BRIEF_MOST:
            words = f"Too long: {len(text):,} of {BRIEF_MOST:,} characters. Shorten the brief by {len(text) - BRIEF_MOST:,}."
            self.objections.append(Objection("prompt", words))
        return text

    def _products(self, language: str) -> tuple[Product, ...]:
        one, many = self.metadata.get("product"), self.metadata.get("products")
        if one and many:
            self.object("products", "Send product or products, not both.")
            return ()
        if one is not None and not isinstance(one, Mapping):
            self.object("product", "Send an object, such as {“name”: “Fell 2”, “price”: 129.90, “currency”: “EUR”}.")
            return ()
        if many is not None and (isinstance(many, str) or not isinstance(many, Sequence)):
            self.object("products", "Send a list of objects, each a product.")
            return ()
        if many and len(many) > PRODUCTS_MOST:
            self.object("products", f"Too many: {len(many)} of {PRODUCTS_MOST} products. Keep those that matter most.")
            return ()
        given = [("product", one)] if one else [(f"products.{index}", product) for index, product in enumerate(many or ())]
        readers = [ProductReader(product, f"metadata.{name}", LANGUAGES[language]) for name, product in given]
        found = tuple(reader.product() for reader in readers)
        self.objections += [objection for reader in readers for objection in reader.objections]
        for index, (name, _) in enumerate(given):
            if found[index].sku and found[index].sku in {product.sku for product in found[:index]}:
                self.object(f"{name}.sku", f"SKU {wording.quoted(found[index].sku)} is here twice. Remove one of the two.")
        return found

    def _competitors(self) -> tuple[str, ...]:
        value = self.metadata.get("competitor_urls")
        if isinstance(value, str) or not isinstance(value, Sequence | None):
            self.object("competitor_urls", "Send a list of URLs.")
            return ()
        found = dict.fromkeys(self._url(f"competitor_urls.{index}", url, needed=True) for index, url in enumerate(value or ()))
        if len(found) > COMPETITORS_MOST:
            self.object("competitor_urls", f"Too many: {len(found)} of {COMPETITORS_MOST} URLs. Keep those that matter most.")
        return tuple(found)

    def _count(self, name: str) -> int:
        value = self.metadata.get(name)
        if value is None:
            return 0
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= COUNT_MOST or value != int(value):
            self.object(name, "Enter a whole number, 0 or more, such as 1200.")
            return 0
        return int(value)

    def _content_status(self) -> str:
        value = self.metadata.get("content_status")
        if value in (None, ""):
            return ""
        if not isinstance(value, str) or value.strip().lower() not in CONTENT_STATUSES:
            meant = wording.did_you_mean(value, CONTENT_STATUSES) if isinstance(value, str) else ""
            asked = f" Choose one of {', '.join(CONTENT_STATUSES)}."
            self.object("content_status", f"Unknown content status {wording.quoted(value)}.{meant or asked}")
            return ""
        return value.strip().lower()

    def _flag(self, name: str) -> bool:
        value = self.metadata.get(name)
        if value is not None and not isinstance(value, bool):
            self.object(name, "Send true or false.")
        return value is True

    def _seo(self, language: str) -> dict[str, Any]:
        """Return texts by their keys; ``questions`` and ``related`` are lists of texts, ``links`` one of {"text", "url"}."""
        value = self.metadata.get("seo")
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.object("seo", "Send an object, such as {“questions”: [“Which size fits?”]}.")
            return {}
        if len(value) > SEO_KEYS_MOST:
            self.object("seo", f"Too many: {len(value)} of {SEO_KEYS_MOST} keys. Keep those that matter most.")
            return {}
        found: dict[str, Any] = {}
        for key, given in value.items():
            name = f"seo.{key}"
            if key == "links":
                found[key] = self._links(given)
            elif key in SEO_LISTS:
                found[key] = self._texts(name, given, SEO_LISTS[key])
            elif text := as_text(given, LANGUAGES[language]):
                found[wording.line(str(key))] = self._short(name, text)
        return {key: one for key, one in found.items() if one}

    def _texts(self, name: str, value: Any, most: int) -> list[str]:
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
            self.object(name, "Send a list of texts.")
            return []
        if len(value) > most:
            self.object(name, f"Too many: {len(value)} of {most}. Keep those that matter most.")
            return []
        return [text for index, one in enumerate(value) if (text := self._short(f"{name}.{index}", wording.line(one)))]

    def _short(self, name: str, text: str) -> str:
        if len(text) > SEO_TEXT_MOST:
            self.object(name, f"Too long: {len(text):,} of {SEO_TEXT_MOST} characters. Shorten it.")
        return text

    def _links(self, value: Any) -> list[dict[str, str]]:
        if not isinstance(value, list) or len(value) > LINKS_MOST or not all(isinstance(one, Mapping) for one in value):
            self.object(
                "seo.links", f"Send a list of up to {LINKS_MOST} links, each {{“text”: “Size guide”, “url”: “https://…”}}."
            )
            return []
        found = []
        for index, link in enumerate(value):
            name = f"seo.links.{index}"
            url = self._url(f"{name}.url", link.get("url"), needed=True)
            text = self._short(f"{name}.text", wording.line(str(link.get("text") or "")))
            found.append({"text": text or url, "url": url})
        return found


def _is_misspelt(name: str, key: str) -> bool:
    """Whether a name is the key in other capitals or separators, or has one wrong, missing or added letter of many."""
    one, other = (re.sub(r"[\W_]", "", text.casefold()) for text in (name, key))
    if one == other:
        return True
    if len(other) < _LONG_ENOUGH or abs(len(one) - len(other)) > 1:
        return False
    same = next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, other_rest = one[same:], other[same:]
    swapped = rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:]
    return swapped or rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]
