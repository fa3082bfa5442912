"""
A product's data, as shops keep it, made a `Product`: facts stay as they are given.

Keys other than ours become attributes, nested ones too. Prices are decimal numbers; a price that could be read in two ways, such
as “1,299”, is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Any

from campaigns.pages import wording
from campaigns.pages.addresses import url_problem
from campaigns.pages.languages import Language
from campaigns.pages.types import Product
from queue_app.rules import words
from queue_app.work.pipeline import Objection

KEYS = ("name", "sku", "brand", "price", "currency", "url", "image", "description", "attributes")
TEXT_MOST = {"name": 200, "sku": 80, "brand": 100}  # characters
DESCRIPTION_MOST = 6_000
ATTRIBUTES_MOST, LABEL_MOST, VALUE_MOST = 60, 80, 500
NESTED_MOST = 6
RAW_TIMES = 4  # a text with its markup may be as many times its limit: markup takes time to read

_SYMBOLS = {"€": "EUR", "£": "GBP", "zł": "PLN"}  # those that stand for one currency only
_AMOUNT = re.compile(
    r"(?P<whole>\d{1,12})(?:[.](?P<cents>\d{1,4}))?"
    r"|(?P<whole1>\d{1,3}(?:[ \u00a0\u202f.'’]\d{3})*|\d{4,12}),(?P<cents1>\d{2})"
    r"|(?P<whole2>\d{1,3}(?:[ \u00a0\u202f,'’]\d{3})*)[.](?P<cents2>\d{2})"
)
_CURRENCY = r"[A-Za-z]{3}|€|£|zł"
_PRICE = re.compile(rf"(?P<before>{_CURRENCY})?\s*(?P<amount>\d[\d.,'’\s]*?)\s*(?P<after>{_CURRENCY})?")


def as_text(value: Any, language: Language) -> str:
    """
    Return a value of JSON as text: numbers as given, lists joined, true and false as words; empty for objects.

    A text that is beyond every limit stays as it is, for its reader to refuse.
    """
    if isinstance(value, bool):
        return language.words["yes" if value else "no"]
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return value if len(value) > RAW_TIMES * VALUE_MOST else wording.line(wording.without_markup(value))
    if isinstance(value, Sequence):
        return ", ".join(text for one in value if (text := as_text(one, language)))
    return ""


def number(value: float) -> str:
    """Return a number of JSON as it was given, such as “0.1” or “1200”, never “1e-07”; empty if it is not finite."""
    if isinstance(value, int):
        return str(value)
    return f"{Decimal(repr(value)):f}".removesuffix(".0") if isfinite(value) else ""


def storable(value: Any) -> Any:
    """Return a value of JSON without what a database can't keep, such as NUL characters in its texts and keys."""
    if isinstance(value, str):
        return words.storable(value)
    if isinstance(value, Mapping):
        return {words.storable(str(key)): storable(inner) for key, inner in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value


@dataclass
class ProductReader:
    """Reads one product; ``place`` is where it stands in the request, such as ``metadata.product``."""

    data: Any
    place: str
    language: Language
    objections: list[Objection] = field(default_factory=list)

    def product(self) -> Product:
        """Return the product; what is wrong with it is in ``objections``."""
        if not isinstance(self.data, Mapping):
            self._object("", "Send an object, such as {“name”: “Fell 2”}.")
            return Product(name="")
        name, sku, brand = self._text("name", needed=True), self._text("sku"), self._text("brand")
        price, currency = self._price()
        return Product(
            name=name,
            sku=sku,
            brand=brand,
            price=price,
            currency=currency,
            url=self._url("url"),
            image=self._url("image"),
            description=self._description(),
            attributes=self._attributes(),
        )

    def _object(self, name: str, message: str) -> None:
        self.objections.append(Objection(f"{self.place}.{name}" if name else self.place, message))

    def _text(self, name: str, *, needed: bool = False) -> str:
        value = self.data.get(name)
        if isinstance(value, Mapping):  # {"@type": "Brand", "name": …}
            value = value.get("name")
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            self._object(name, "Enter a text.")
            return ""
        text = as_text(value, self.language) if value is not None else ""
        if needed and not text:
            self._object(name, "Add the name of the product.")
        elif len(text) > TEXT_MOST[name]:
            self._object(name, f"Too long: {len(text):,} of {TEXT_MOST[name]} characters. Shorten it.")
        return text

    def _description(self) -> str:
        value = self.data.get("description")
        if not isinstance(value, str | None):
            self._object("description", "Enter a text.")
            return ""
        raw = value or ""
        text = raw if len(raw) > RAW_TIMES * DESCRIPTION_MOST else wording.clean(wording.without_markup(raw))
        if len(text) > DESCRIPTION_MOST:
            self._object("description", f"Too long: {len(text):,} of {DESCRIPTION_MOST:,} characters. Shorten it.")
        return text

    def _url(self, name: str) -> str:
        value = self.data.get(name)
        if isinstance(value, list) and value:  # several images: the first is the main one
            value = value[0]
        if value in (None, "", []):
            return ""
        url = value.strip() if isinstance(value, str) else ""
        if problem := url_problem(url):
            self._object(name, problem)
        return url

    def _price(self) -> tuple[str, str]:
        """Return the price and its currency, also of {"amount": 129.9, "currency": "EUR"} or “129,90 €”."""
        value, currency = self.data.get("price"), self.data.get("currency")
        if isinstance(value, Mapping):
            currency = currency or value.get("currency") or value.get("priceCurrency")
            value = next((value[key] for key in ("amount", "value", "price") if key in value), None)
        code = self._currency(currency)
        if value in (None, ""):
            return "", code
        found = _amount(value)
        if found is None:
            self._object("price", "Enter a number with a point, such as 129.90. The currency has a field of its own.")
            return "", code
        price, own = found
        if own and code and own != code:
            self._object("currency", f"The price says {own}, the currency says {code}. Change one of them.")
        return price, code or own

    def _currency(self, value: Any) -> str:
        if value in (None, ""):
            return ""
        text = value.strip() if isinstance(value, str) else ""
        code = _SYMBOLS.get(text, text.upper())
        if not re.fullmatch(r"[A-Z]{3}", code):
            self._object("currency", "Enter the three letters of a currency, such as EUR.")
            return ""
        return code

    def _attributes(self) -> dict[str, str]:
        given = self.data.get("attributes")
        if not isinstance(given, Mapping | list | None):
            self._object("attributes", "Send an object, such as {“Weight”: “240 g”}.")
            given = None
        own = {key: value for key, value in self.data.items() if key not in KEYS and not str(key).startswith("@")}
        found: dict[str, str] = {}
        for label, text in [*self._flat(given or {}, "", 0), *self._flat(own, "", 0)]:
            place = f"attributes.{label[:LABEL_MOST]}"
            if len(label) > LABEL_MOST or len(text) > VALUE_MOST:
                self._object(
                    place, f"Too long: labels have up to {LABEL_MOST} characters, values up to {VALUE_MOST}. Shorten it."
                )
            elif found.setdefault(label, text) != text:
                self._object(place, f"{wording.quoted(label)} is here twice, with different values. Remove one of the two.")
        if len(found) > ATTRIBUTES_MOST:
            self._object("attributes", f"Too many: {len(found)} of {ATTRIBUTES_MOST} attributes. Keep those that matter most.")
        return found

    def _flat(self, value: Any, label: str, depth: int) -> Iterator[tuple[str, str]]:
        """Yield label and text of each value. Nested objects add to the label; {"value": 240, "unit": "g"} is “240 g”."""
        if depth > NESTED_MOST:
            self._object("attributes", f"Nested more than {NESTED_MOST} levels deep. Flatten it.")
        elif isinstance(value, Mapping) and (measured := _measured(value, self.language)):
            yield (measured[0] or label), measured[1]
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                own = wording.label(str(key))
                whole = f"{label} {own[:1].lower() + own[1:]}" if label else own
                yield from self._flat(inner, whole[: LABEL_MOST + 1], depth + 1)  # as many as show that it is too long
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for one in value:
                yield from self._flat(one, label, depth + 1)
        elif (text := as_text(value, self.language)) and label:
            yield label, text


def _measured(value: Mapping[str, Any], language: Language) -> tuple[str, str] | None:
    """Return the label (if any) and the text of an object that is one value: it has ``value``, and ``unit`` or ``name``."""
    if "value" not in value or not {*value} <= {"value", "unit", "unitText", "name", "label", "@type"} or len(value) < 2:
        return None
    text = as_text(value["value"], language)
    unit = as_text(value.get("unit") or value.get("unitText") or "", language)
    name = as_text(value.get("name") or value.get("label") or "", language)
    return wording.label(name), f"{text} {unit}".strip() if text else ""


def _amount(value: Any) -> tuple[str, str] | None:
    """Return a price as a decimal number, and the currency that its text names; None if it is no price."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if not isinstance(value, str):
        text = number(value)
        # JSON cuts the last zero of 129.90
        text = f"{text}0" if re.fullmatch(r"\d+\.\d", text) else text
        return (text, "") if re.fullmatch(r"\d{1,12}(\.\d{1,4})?", text) else None
    found = _PRICE.fullmatch(wording.line(value))
    amount = _AMOUNT.fullmatch(found["amount"]) if found else None
    if not found or not amount or (found["before"] and found["after"]):
        return None
    if amount["cents"] and len(amount["cents"]) == 3:
        return None  # “1.299” is a thousand in most of Europe
    whole = re.sub(r"\D", "", amount["whole"] or amount["whole1"] or amount["whole2"])
    cents = amount["cents"] or amount["cents1"] or amount["cents2"]
    own = found["before"] or found["after"] or ""
    return (f"{whole}.{cents}" if cents else whole), _SYMBOLS.get(own, own.upper())
