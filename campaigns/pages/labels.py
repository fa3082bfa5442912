"""What the parts of a page that are made from data say by themselves, in the page's language."""

from typing import Any, Literal

from campaigns.pages.languages import LANGUAGES, Word

Own = Literal["feature", "value", "links", "sku"]

LABELS: dict[str, dict[Own, str]] = {
    "en": {"feature": "Feature", "value": "Value", "links": "See also", "sku": "Item number"},
    "de": {"feature": "Merkmal", "value": "Wert", "links": "Siehe auch", "sku": "Artikelnummer"},
    "fr": {"feature": "Caractéristique", "value": "Valeur", "links": "Voir aussi", "sku": "Référence"},
    "es": {"feature": "Característica", "value": "Valor", "links": "Véase también", "sku": "Referencia"},
    "it": {"feature": "Caratteristica", "value": "Valore", "links": "Vedi anche", "sku": "Codice articolo"},
    "pt": {"feature": "Característica", "value": "Valor", "links": "Veja também", "sku": "Referência"},
    "nl": {"feature": "Kenmerk", "value": "Waarde", "links": "Zie ook", "sku": "Artikelnummer"},
    "sv": {"feature": "Egenskap", "value": "Värde", "links": "Se även", "sku": "Artikelnummer"},
    "pl": {"feature": "Cecha", "value": "Wartość", "links": "Zobacz też", "sku": "Numer artykułu"},
    "ja": {"feature": "項目", "value": "内容", "links": "関連ページ", "sku": "商品番号"},
}


def label(name: Own | Word, language: str) -> str:
    """Return a label in a language of pages."""
    words: dict[Any, str] = {**LANGUAGES[language].words, **LABELS[language]}
    return words[name]
