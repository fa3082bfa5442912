"""Number words of the ten languages, words for thousands and millions, and words that make a figure approximate."""

from __future__ import annotations

_SMALL = {
    "en": "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "fr": "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
    "es": "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve",
    "it": "due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici diciassette diciotto"
    " diciannove",
    "pt": "dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis dezessete dezoito dezenove",
    "nl": "twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien zeventien achttien negentien",
    "sv": "två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton",
    "pl": "dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście trzynaście czternaście piętnaście szesnaście"
    " siedemnaście osiemnaście dziewiętnaście",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety hundred",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert",
    "fr": "vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem",
    "nl": "twintig dertig veertig vijftig zestig zeventig tachtig negentig honderd",
    "sv": "tjugo trettio fyrtio femtio sextio sjuttio åttio nittio hundra",
    "pl": "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt dziewięćdziesiąt sto",
}
_FORMS = {
    "pl": {"dwie": 2, "dwóch": 2, "dwoma": 2, "trzech": 3, "czterech": 4, "pięciu": 5, "sześciu": 6, "siedmiu": 7, "ośmiu": 8,
           "dziewięciu": 9, "dziesięciu": 10, "dwunastu": 12, "dwudziestu": 20, "trzydziestu": 30, "stu": 100},
    "pt": {"duas": 2, "dezasseis": 16, "dezassete": 17, "dezanove": 19},
    "de": {"zweier": 2, "dreier": 3, "hundertzwanzig": 120, "einhundert": 100},
    "nl": {"honderdtwintig": 120},
    "fr": {"quatre-vingt": 80},
}  # fmt: skip
_UNITS_FIRST = {"de": "und", "nl": "en"}  # fünfundzwanzig, vijfentwintig
_TENS_FIRST = {"en": "-", "fr": "-", "sv": "", "it": ""}  # twenty-five, vingt-cinq, tjugofem, venticinque
_JOINERS = {"fr": {"et"}, "es": {"y"}, "pt": {"e"}}

THOUSANDS = {
    **dict.fromkeys(("thousand", "tausend", "mille", "mil", "mila", "duizend", "tusen", "tys", "tysiące", "tysięcy"), 1e3),
    **dict.fromkeys(
        "million millions mio millionen millón millones milione milioni milhão milhões miljoen miljon miljoner mln milion miliony"
        " milionów".split(), 1e6,
    ),
    **dict.fromkeys("billion milliarde milliarden mrd miliardi miljard miliard".split(), 1e9),
}  # fmt: skip

ABOUT = frozenset(
    "about around roughly nearly almost approximately approx circa ca rund etwa ungefähr knapp fast gut environ presque unos unas casi"
    " aproximadamente quasi cerca ongeveer bijna zo'n ruim cirka ungefär nästan drygt około prawie niemal blisko 約 およそ".split()
)
_UNDER = "under below unter onder poniżej sotto abaixo"
_UNDER_TWO = "less than|weniger als|moins de|menos de|meno di|minder dan|mindre än|mniej niż"
_OVER = "over above über boven över ponad oltre acima"
_OVER_TWO = "more than|mehr als|plus de|más de|più di|mais de|meer dan|mer än|więcej niż"
UNDER = frozenset((*_UNDER.split(), *_UNDER_TWO.split("|")))
OVER = frozenset((*_OVER.split(), *_OVER_TWO.split("|")))

KANJI = {"二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}


def _table(language: str) -> dict[str, int]:
    small = dict(zip(_SMALL[language].split(), range(2, 20), strict=True))
    tens = dict(zip(_TENS[language].split(), range(20, 101, 10), strict=False))
    tens[_TENS[language].split()[-1]] = 100
    found = {**small, **tens, **_FORMS.get(language, {})}
    pairs = [(word, ten, unit, one) for word, ten in tens.items() for unit, one in small.items() if one < 10 and ten < 100]
    if language in _UNITS_FIRST:
        found |= {unit + _UNITS_FIRST[language] + word: ten + one for word, ten, unit, one in pairs}
    if language in _TENS_FIRST:
        found |= {word + _TENS_FIRST[language] + unit: ten + one for word, ten, unit, one in pairs}
    return found


WORDS = {language: _table(language) for language in _SMALL}


def sum_of(words: list[str], end: int, language: str) -> tuple[int, int]:
    """Return the number that the words up to ``end`` (exclusive) spell, and the index of its first word; 0 if they spell none."""
    table, joiners = WORDS[language], _JOINERS.get(language, set())
    last = table.get(words[end - 1], 0)
    if not last:
        return 0, end
    before = end - 2
    if before > 0 and words[before] in joiners:
        before -= 1
    tens = table.get(words[before], 0) if before >= 0 and last < 10 else 0
    return (tens + last, before) if 20 <= tens < 100 else (last, end - 1)


def of_kanji(text: str) -> int:
    """Return the number of kanji numerals such as “二十五”: 25; 0 if they spell none below 100."""
    left, ten, right = text.partition("十")
    if not ten:
        return KANJI.get(text, 0) if len(text) == 1 else 0
    return (KANJI.get(left, 0) if left else 1) * 10 + KANJI.get(right, 0)
