"""The languages that pages can be written in, and what differs between them. ``PAGE_LANGUAGES`` says which are offered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.conf import settings

Word = Literal["brand", "price", "description", "specifications", "products", "questions", "comparison", "yes", "no"]

_WORD = re.compile(r"\w+(?:[-'’.,/]\w+)*")
# Japanese has no blanks: a word has about two characters
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
_CHARACTERS_PER_WORD = 2


@dataclass(frozen=True)
class Language:
    """
    A language by its ISO 639-1 code. ``comma`` is what separates decimals, ``point`` what groups thousands. ``words``: what our
    own parts of a page say, such as the heading of the questions.
    """

    code: str
    name: str
    own_name: str
    comma: str
    point: str
    words: Mapping[Word, str]
    is_spaced: bool = True


def _language(code: str, name: str, own_name: str, separators: str, words: str, *, is_spaced: bool = True) -> Language:
    keys: tuple[Word, ...] = (
        "brand",
        "price",
        "description",
        "specifications",
        "products",
        "questions",
        "comparison",
        "yes",
        "no",
    )
    named = dict(zip(keys, words.split("|"), strict=True))
    return Language(code, name, own_name, separators[0], separators[1], named, is_spaced)


_ALL = (
    _language(
        "en",
        "English",
        "English",
        ".,",
        "Brand|Price|Description|Specifications|Products|Questions and answers|Comparison|yes|no",
    ),
    _language(
        "de",
        "German",
        "Deutsch",
        ",.",
        "Marke|Preis|Beschreibung|Technische Daten|Produkte|Fragen und Antworten|Vergleich|ja|nein",
    ),
    _language(
        "fr",
        "French",
        "Français",
        ",\u202f",
        "Marque|Prix|Description|Caractéristiques|Produits|Questions et réponses|Comparaison|oui|non",
    ),
    _language(
        "es",
        "Spanish",
        "Español",
        ",.",
        "Marca|Precio|Descripción|Características|Productos|Preguntas y respuestas|Comparación|sí|no",
    ),
    _language(
        "it",
        "Italian",
        "Italiano",
        ",.",
        "Marca|Prezzo|Descrizione|Caratteristiche|Prodotti|Domande e risposte|Confronto|sì|no",
    ),
    _language(
        "pt",
        "Portuguese",
        "Português",
        ",.",
        "Marca|Preço|Descrição|Características|Produtos|Perguntas e respostas|Comparação|sim|não",
    ),
    _language(
        "nl",
        "Dutch",
        "Nederlands",
        ",.",
        "Merk|Prijs|Beschrijving|Specificaties|Producten|Vragen en antwoorden|Vergelijking|ja|nee",
    ),
    _language(
        "sv",
        "Swedish",
        "Svenska",
        ",\u00a0",
        "Märke|Pris|Beskrivning|Specifikationer|Produkter|Frågor och svar|Jämförelse|ja|nej",
    ),
    _language(
        "pl",
        "Polish",
        "Polski",
        ",\u00a0",
        "Marka|Cena|Opis|Specyfikacja|Produkty|Pytania i odpowiedzi|Porównanie|tak|nie",
    ),
    _language("ja", "Japanese", "日本語", ".,", "ブランド|価格|説明|仕様|商品|よくある質問|比較|はい|いいえ", is_spaced=False),
)
LANGUAGES: Mapping[str, Language] = {one.code: one for one in _ALL}


def offered() -> list[Language]:
    """Return the languages that pages can be written in here, in the order that forms show."""
    return [LANGUAGES[code] for code in settings.PAGE_LANGUAGES]


def count_words(text: str, code: str) -> int:
    """Return the number of words; in a language without blanks, two of its characters count as one word."""
    if LANGUAGES[code].is_spaced:
        return len(_WORD.findall(text))
    spaced = _WORD.findall(_UNSPACED.sub(" ", text))
    return len(spaced) + -(-len(_UNSPACED.findall(text)) // _CHARACTERS_PER_WORD)
