"""
Places in the ten languages, from CLDR (Babel): countries, and the cities that name time zones, with the words of the other
languages for the same place, so that a page may say “Portogallo” where the data say “Portugal”.
"""

from __future__ import annotations

from functools import cache

from babel import Locale

from campaigns.pages.quality.units import LANGUAGES

# also words of everyday use where a sentence begins, or in German
_ORDINARY = frozenset(
    "salta nome center cuba oral turkey jersey jordan chad georgia man bari lima fuji center midway easter boa vista norden kiste"
    " reunion marte baker perth polar adak mali oman niger guinea truk wake most mayo eire".split()
)
_MORE = {
    "IT": "italian italien italienne italiano italiaans włoszech włoch", "FR": "french france", "NL": "dutch holland holandia",
    "CH": "swiss", "ES": "spanish", "DK": "danish", "PL": "polish", "GB": "british english england scotland schotland schottland"
    " écosse escocia scozia escócia skottland szkocja wales anglia inglaterra angleterre", "US": "american usa u.s.", "FI": "finnish",
    "TR": "turkish", "SE": "swedish", "DE": "german", "JP": "japanese", "NO": "norwegian", "CZ": "czech", "CN": "chinese",
}  # fmt: skip
_CITIES = {
    "": "milano mailand milan münchen munich hamburg köln cologne frankfurt stuttgart düsseldorf leipzig dresden solingen firenze florenz"
    " florence torino turin napoli neapel bologna venezia venedig barcelona sevilla valencia bilbao porto braga coimbra lyon"
    " marseille bordeaux lille strasbourg toulouse genève genf geneva basel bern salzburg graz innsbruck manchester birmingham"
    " edinburgh glasgow liverpool boston chicago seattle gdańsk danzig poznań wrocław kraków göteborg malmö uppsala bergen"
    " antwerpen gent brügge eindhoven utrecht bayern bavaria toskana toscana tuscany provence normandie bretagne skandinavien",
    "ja": "東京 大阪 京都 名古屋 札幌 福岡 神戸 横浜 仙台 広島 金沢 北海道 沖縄 九州 四国 日本 中国 韓国 米国 英国 台湾 欧州",
}


@cache
def named(language: str) -> dict[str, str]:
    """Return the places that a language's texts name: their words in lower case → a key that is the same in all languages."""
    locale = Locale.parse(language)
    found = {name.lower(): code for code, name in locale.territories.items() if len(code) == 2 and code.isalpha()}
    found |= {zone["city"].lower(): name for name, zone in locale.time_zones.items() if zone.get("city")}
    found |= {city: city for cities in _CITIES.values() for city in cities.split()}
    for code, words in _MORE.items():
        found |= dict.fromkeys(words.split(), code)
    shortest = 2 if language == "ja" else 5
    return {word: key for word, key in found.items() if len(word) >= shortest and " " not in word and word not in _ORDINARY}


@cache
def words() -> dict[str, frozenset[str]]:
    """Return each place's words in all ten languages, by its key."""
    found: dict[str, set[str]] = {}
    for language in LANGUAGES:
        for word, key in named(language).items():
            found.setdefault(key, set()).add(word)
    return {key: frozenset(some) for key, some in found.items()}


@cache
def keys() -> dict[str, str]:
    """Return the key of each place's word in any of the ten languages."""
    return {word: key for key, some in words().items() for word in some}
