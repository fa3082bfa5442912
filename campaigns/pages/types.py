"""
What the stages of a page hand to each other. Plain data: `as_json` and `from_json` carry it through the rows of the stages.

Every fact is kept as it was given: pages may use these words and figures, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class PageType(StrEnum):
    PRODUCT = "product"
    CATEGORY = "category"
    COMPARISON = "comparison"
    GUIDE = "guide"


@dataclass(frozen=True)
class Product:
    """A product as its data describes it. ``attributes``: label → value with its unit, such as “Weight”: “240 g”."""

    name: str
    sku: str = ""
    brand: str = ""
    price: str = ""  # a decimal number, such as “129.90”
    currency: str = ""  # ISO 4217, such as “EUR”
    url: str = ""
    image: str = ""
    description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PageRequest:
    """What is asked for, checked: the result of the stage validation."""

    page_type: PageType
    target_url: str
    keywords: tuple[str, ...]  # the first one is the main keyword
    language: str
    brand_voice: str = ""
    brief: str = ""  # the job's prompt: what the page should do, in the creative's words
    products: tuple[Product, ...] = ()
    competitor_urls: tuple[str, ...] = ()
    seo: Mapping[str, Any] = field(default_factory=dict)  # questions people ask, links to set, …
    sku_count: int = 0
    monthly_searches: int = 0
    content_status: str = ""
    skip_quality_check: bool = False


@dataclass(frozen=True)
class Source:
    """A competitor's page: its readable text, or ``problem`` if it could not be read. For topics only, never for facts."""

    url: str
    title: str = ""
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Context:
    """Everything that a writer gets. ``facts`` are the lines that a page may state, each with its label."""

    request: PageRequest
    facts: tuple[str, ...]
    topics: tuple[str, ...] = ()  # headings and terms that competitors cover
    sources: tuple[Source, ...] = ()


# what a text block is: a heading, a sentence of the hero, a cell of a table, …
BlockKind = Literal["title", "description", "heading", "lead", "paragraph", "point", "question", "answer", "cell"]


@dataclass(frozen=True)
class Planned:
    """
    A component that a page will have: its key, such as “body”, what kind of content it has, and from how many words to how many;
    0 and 0: any number. ``paid``: a model writes it; others are made from the data.
    """

    key: str
    kind: Literal["hero", "body", "faq", "meta", "specs", "products", "comparison"]
    paid: bool
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Component:
    """A part of a page by its key, such as “hero”: content that fits the schema of its kind. ``paid``: a model wrote it."""

    key: str
    content: Mapping[str, Any]
    paid: bool = True


@dataclass(frozen=True)
class TextBlock:
    """A piece of a page's text without markup, and the component that it is from. ``level`` is that of a heading, else 0."""

    component: str
    kind: BlockKind
    text: str
    level: int = 0


@dataclass(frozen=True)
class Document:
    """
    An assembled page. ``markdown`` and ``html`` are its body; title and description are for search results. ``json_ld`` is built
    from the data.
    """

    title: str
    description: str
    blocks: tuple[TextBlock, ...]
    markdown: str
    html: str
    json_ld: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """
    One check of a page: its figure (“1.2%”), the bound (“0.5 to 2%”), and a sentence that says what to do unless it passed.
    ``components``: those to write again if it failed. ``found``: what it found, such as figures without a source.
    """

    name: str
    outcome: Literal["pass", "warn", "fail"]
    figure: str
    bound: str
    sentence: str
    components: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The checks of a page, and what they add up to."""

    checks: tuple[Check, ...]
    verdict: Literal["approve", "review", "reject"]
    rewritten: tuple[str, ...] = ()  # the components that were written a second time


@dataclass(frozen=True)
class File:
    """A finished file of a page: the kind of its asset, its content type and its text."""

    kind: str
    content_type: str
    text: str


def as_json(value: Any) -> Any:
    """Return a value of these types as plain JSON."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def from_json(kind: type[T], value: Any) -> T:
    """Return a value of a type from its JSON: the inverse of `as_json`. Unknown keys are an error."""
    built: T = _built(kind, value)
    return built


def _built(kind: Any, value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        known = {one.name: hints[one.name] for one in fields(kind)}
        return kind(**{name: _built(known[name], found) for name, found in value.items()})  # type: ignore[operator]
    if origin is tuple:
        return tuple(_built(inner[0], one) for one in value)
    if origin in (Union, UnionType):
        return None if value is None else _built(next(one for one in inner if one is not type(None)), value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    return dict(value) if isinstance(value, Mapping) else value
