"""The sentences that the studio's pages are made of, by language: one module each."""

from genqueue_site.studio.pages.phrases.de import GERMAN
from genqueue_site.studio.pages.phrases.en import ENGLISH
from genqueue_site.studio.pages.phrases.es import SPANISH
from genqueue_site.studio.pages.phrases.fr import FRENCH
from genqueue_site.studio.pages.phrases.it import ITALIAN
from genqueue_site.studio.pages.phrases.ja import JAPANESE
from genqueue_site.studio.pages.phrases.nl import DUTCH
from genqueue_site.studio.pages.phrases.pl import POLISH
from genqueue_site.studio.pages.phrases.pt import PORTUGUESE
from genqueue_site.studio.pages.phrases.shape import Phrases
from genqueue_site.studio.pages.phrases.sv import SWEDISH

LANGUAGES: dict[str, Phrases] = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "it": ITALIAN,
    "pt": PORTUGUESE,
    "nl": DUTCH,
    "sv": SWEDISH,
    "pl": POLISH,
    "ja": JAPANESE,
}

__all__ = ["LANGUAGES", "Phrases"]
