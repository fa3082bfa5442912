"""What was typed into the form of one page, read into the page that is wanted, with what is wrong."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from django.conf import settings
from django.utils import timezone

from campaigns.models import Brand
from campaigns.pages import inputs, plan
from campaigns.pages.grid import FileRefused
from campaigns.pages.inputs import InputsRefused
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.types import PageRequest, PageType
from campaigns.writing.drafts import Body
from campaigns.writing.launch import Wanted
from campaigns.writing.products import look_up, pasted
from queue_app.models import User
from queue_app.work.intake import DATA_MOST
from queue_app.work.pipeline import Objection

FIELDS = (
    *("page_type", "target_url", "language", "keywords", "brand", "voice_of", "brand_voice", "brief", "product_data", "skus"),
    *("competitor_urls", "questions", "sku_count", "monthly_searches", "content_status", "deadline", "skip_quality_check"),
)
STATUSES = {"": "Not known", "missing": "Missing", "outdated": "Outdated", "current": "Up to date"}
DIGITS_MOST = 9  # of a number of products or searches
NEEDED = ("page_type", "target_url", "keywords", "language")
NAMES = {"sku_count": "SKUs", "monthly_searches": "searches a month"}
# field of the metadata → field of the form
_SHOWN_AT = {"product": "product_data", "products": "product_data", "prompt": "brief", "seo": "questions"}


def blank() -> Body:
    """Return the fields of a new form."""
    first = {"page_type": str(PageType.PRODUCT), "language": languages()[0][0]}
    return {**dict.fromkeys(FIELDS, ""), **first}


def languages() -> list[tuple[str, str]]:
    """Return the languages that pages can have, with their names."""
    return [(code, name_of(code)) for code in settings.PAGE_LANGUAGES]


def name_of(language: str) -> str:
    return LANGUAGES[language].name if language in LANGUAGES else language


@dataclass
class Order:
    """
    A page as it was typed. ``wanted`` is what was understood of it, good or not; ``request`` is it if nothing is wrong.
    ``errors`` are by field of the form. ``plan``: what its data can't carry.
    """

    wanted: Wanted
    request: PageRequest | None = None
    errors: dict[str, list[str]] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    products: Sequence[Mapping[str, Any]] = ()

    @property
    def is_good(self) -> bool:
        return not self.errors and not self.plan

    def error(self, name: str, message: str) -> None:
        found = self.errors.setdefault(name, [])
        if message not in found:
            found.append(message)


def read(body: Body, owner: User, *, at: datetime) -> Order:
    """Read the fields of the form of one page."""
    order = Order(Wanted({}))
    questions = [line.strip() for line in body["questions"].splitlines() if line.strip()]
    products = [*_from_catalogue(body["skus"], owner, order), *_pasted(body["product_data"], order)]
    metadata: dict[str, Any] = {
        "page_type": body["page_type"],
        "target_url": body["target_url"].strip(),
        "keywords": split(body["keywords"]),
        "language": body["language"],
        "brand_voice": body["brand_voice"].strip(),
        **_products(body["page_type"], products),
        "competitor_urls": body["competitor_urls"].split(),
        "seo": {"questions": questions} if questions else {},
        "content_status": body["content_status"],
        "skip_quality_check": bool(body["skip_quality_check"]),
    }
    for name in NAMES:
        if (number := _whole(body[name], name, order)) is not None:
            metadata[name] = number
    kept = {
        name: value for name, value in metadata.items() if value or name in ("page_type", "target_url", "keywords", "language")
    }
    order.products = products
    order.wanted = Wanted(kept, body["brief"].strip(), _deadline(body["deadline"], order, at=at))
    check(order)
    return order


def check(order: Order) -> None:
    """Look for what is wrong with a page, and for what its data can't carry."""
    for one in objections(order.wanted):
        if one.plan:
            order.plan.append(one.message)
            continue
        top, *_ = one.field.removeprefix("metadata.").split(".")
        order.error(_SHOWN_AT.get(top, top), _told(one))
    if not order.errors and not order.plan:
        order.request = inputs.read(order.wanted.metadata, order.wanted.brief, languages=settings.PAGE_LANGUAGES)


def _told(one: Objection) -> str:
    """Return what is wrong, with the place of the product that it is about: the field holds them all."""
    found = re.fullmatch(r"metadata\.products\.(\d+)\..*", one.field)
    return f"Product {int(found[1]) + 1}: {one.message}" if found else one.message


def objections(wanted: Wanted) -> Sequence[Objection]:
    """Return why a page would be refused, as the API and the queue say it."""
    size = len(json.dumps(wanted.metadata, ensure_ascii=False))
    if size > DATA_MOST:
        words = f"The data is {size:,} characters; the limit is {DATA_MOST:,}. Remove products or details."
        return [Objection("metadata.products", words)]
    try:
        request = inputs.read(wanted.metadata, wanted.brief, languages=settings.PAGE_LANGUAGES)
    except InputsRefused as refusal:
        return refusal.objections
    return plan.objections(request)


def with_voice(body: Body) -> Body:
    """Return the fields with the voice of a brand that was just chosen, unless another voice was typed."""
    name = body["brand"].strip()
    if name == body["voice_of"]:
        return body
    before, brand = Brand.objects.named(body["voice_of"]), Brand.objects.named(name)
    is_own = body["brand_voice"].strip() not in ("", before.voice if before else "")
    return {**body, "voice_of": name, "brand_voice": body["brand_voice"] if is_own or brand is None else brand.voice}


def split(text: str) -> list[str]:
    """Return the entries of a list as it is typed: separated by commas or line breaks, each once."""
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    return [*dict.fromkeys(part for part in parts if part)]


def _products(page_type: str, products: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A page about a product has one; two are a list, which its plan refuses."""
    if page_type == PageType.PRODUCT and len(products) == 1:
        return {"product": products[0]}
    return {"products": list(products)}


def _whole(text: str, name: str, order: Order) -> int | None:
    """Read a number, also with commas between thousands; ``None`` without one."""
    digits = text.replace(",", "").replace(" ", "")
    if not digits:
        return None
    if digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MOST:
        return int(digits)
    order.error(name, f"Enter a whole number of {NAMES[name]}, such as 1200.")
    return None


def _deadline(text: str, order: Order, *, at: datetime) -> datetime | None:
    """Read a day: the page is wanted by its end, in the queue's time zone."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        order.error("deadline", "Enter a date, such as 2026-12-01.")
        return None
    deadline = datetime.combine(day, time(23, 59, 59), tzinfo=timezone.get_current_timezone())
    if deadline <= at:
        order.error("deadline", "The deadline has passed. Choose a later date, or leave it empty.")
    return deadline


def _from_catalogue(text: str, owner: User, order: Order) -> list[Mapping[str, Any]]:
    """Return the products of these SKUs, in this order."""
    asked = split(text)
    found = look_up(owner, asked) if asked else {}
    if missing := [sku for sku in asked if sku not in found]:
        named = ", ".join(f"“{sku[:40]}”" for sku in missing[:3]) + (", …" if len(missing) > 3 else "")
        order.error("skus", f"Not in your catalogue: {named}. Import or remove {'it' if len(missing) == 1 else 'them'}.")
    return [found[sku] for sku in asked if sku in found]


def _pasted(text: str, order: Order) -> Sequence[Mapping[str, Any]]:
    if not text.strip():
        return []
    try:
        return pasted(text)
    except FileRefused as refusal:
        for message in refusal.messages:
            order.error("product_data", message)
        return []
