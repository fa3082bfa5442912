"""
Units of measure and of money in the ten languages: what a word or sign after a number measures, and how much of the base unit.

Most words come from CLDR (Babel), in all their plural forms; the tables below add signs and what CLDR lacks.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from babel import Locale

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ja")
ANY_MONEY = "money:"


class Unit(NamedTuple):
    """What is measured, how many base units one is, and whether it's rounded on its way from metric figures."""

    dimension: str
    factor: float = 1.0
    imperial: bool = False


_CLDR = {
    "mass-tonne": Unit("mass", 1e6),
    "mass-kilogram": Unit("mass", 1e3),
    "mass-gram": Unit("mass", 1),
    "mass-milligram": Unit("mass", 1e-3),
    "mass-pound": Unit("mass", 453.59237, True),
    "mass-ounce": Unit("mass", 28.349523, True),
    "mass-carat": Unit("carat"),
    "length-kilometer": Unit("length", 1e3),
    "length-meter": Unit("length", 1),
    "length-decimeter": Unit("length", 0.1),
    "length-centimeter": Unit("length", 1e-2),
    "length-millimeter": Unit("length", 1e-3),
    "length-micrometer": Unit("length", 1e-6),
    "length-inch": Unit("length", 0.0254, True),
    "length-foot": Unit("length", 0.3048, True),
    "length-yard": Unit("length", 0.9144, True),
    "length-mile": Unit("length", 1609.344, True),
    "area-square-kilometer": Unit("length2", 1e6),
    "area-hectare": Unit("length2", 1e4),
    "area-square-meter": Unit("length2", 1),
    "area-square-centimeter": Unit("length2", 1e-4),
    "area-square-foot": Unit("length2", 0.09290304, True),
    "volume-cubic-meter": Unit("volume", 1e3),
    "volume-cubic-centimeter": Unit("volume", 1e-3),
    "volume-liter": Unit("volume", 1),
    "volume-deciliter": Unit("volume", 0.1),
    "volume-centiliter": Unit("volume", 0.01),
    "volume-milliliter": Unit("volume", 1e-3),
    "volume-gallon": Unit("volume", 3.785411784, True),
    "volume-fluid-ounce": Unit("volume", 0.0295735, True),
    "duration-year": Unit("months", 12),
    "duration-month": Unit("months", 1),
    "duration-week": Unit("time", 604800),
    "duration-day": Unit("time", 86400),
    "duration-hour": Unit("time", 3600),
    "duration-minute": Unit("time", 60),
    "duration-second": Unit("time", 1),
    "duration-millisecond": Unit("time", 1e-3),
    "electric-ampere": Unit("current", 1),
    "electric-milliampere": Unit("current", 1e-3),
    "electric-ohm": Unit("resistance"),
    "electric-volt": Unit("voltage"),
    "energy-kilowatt-hour": Unit("energy", 1e3),
    "energy-kilocalorie": Unit("energy", 1.163),
    "energy-kilojoule": Unit("energy", 1 / 3.6),
    "force-newton": Unit("force"),
    "torque-newton-meter": Unit("torque"),
    "frequency-gigahertz": Unit("frequency", 1e9),
    "frequency-megahertz": Unit("frequency", 1e6),
    "frequency-kilohertz": Unit("frequency", 1e3),
    "frequency-hertz": Unit("frequency", 1),
    "graphics-pixel": Unit("pixel"),
    "graphics-megapixel": Unit("pixel", 1e6),
    "light-lux": Unit("lux"),
    "light-lumen": Unit("lumen"),
    "light-candela": Unit("candela"),
    "power-kilowatt": Unit("power", 1e3),
    "power-watt": Unit("power", 1),
    "power-horsepower": Unit("power", 745.7, True),
    "pressure-bar": Unit("pressure", 1e5),
    "pressure-hectopascal": Unit("pressure", 100),
    "pressure-pascal": Unit("pressure", 1),
    "pressure-atmosphere": Unit("pressure", 101325, True),
    "pressure-pound-force-per-square-inch": Unit("pressure", 6894.757, True),
    "speed-kilometer-per-hour": Unit("length/time", 1000 / 3600),
    "speed-meter-per-second": Unit("length/time", 1),
    "speed-mile-per-hour": Unit("length/time", 1609.344 / 3600, True),
    "temperature-celsius": Unit("celsius"),
    "temperature-fahrenheit": Unit("fahrenheit"),
    "temperature-kelvin": Unit("kelvin"),
    "digital-terabyte": Unit("byte", 1e12),
    "digital-gigabyte": Unit("byte", 1e9),
    "digital-megabyte": Unit("byte", 1e6),
    "digital-kilobyte": Unit("byte", 1e3),
    "digital-gigabit": Unit("bit", 1e9),
    "digital-megabit": Unit("bit", 1e6),
    "concentr-percent": Unit("percent"),
}
_DEGREES = (Unit("celsius"), Unit("fahrenheit"), Unit("degree"))
_OF = {name.split("-", 1)[1]: unit for name, unit in _CLDR.items()}

# case counts: “5 G” is no weight
SIGNS: dict[str, tuple[Unit, ...]] = {
    **{sign: (_OF[name],) for sign, name in {
        "t": "tonne", "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce",
        "ct": "carat", "km": "kilometer", "m": "meter", "dm": "decimeter", "cm": "centimeter", "mm": "millimeter",
        "µm": "micrometer", "μm": "micrometer", "in": "inch", "ft": "foot", "yd": "yard", "mi": "mile", '"': "inch",
        "km2": "square-kilometer", "ha": "hectare", "m2": "square-meter", "qm": "square-meter", "cm2": "square-centimeter",
        "m3": "cubic-meter", "cm3": "cubic-centimeter", "ccm": "cubic-centimeter", "l": "liter", "L": "liter",
        "dl": "deciliter", "cl": "centiliter", "ml": "milliliter", "mL": "milliliter", "gal": "gallon", "h": "hour",
        "hr": "hour", "hrs": "hour", "Std": "hour", "min": "minute", "mins": "minute", "Min": "minute", "s": "second",
        "sec": "second", "sek": "second", "Sek": "second", "ms": "millisecond", "A": "ampere", "mA": "milliampere",
        "V": "volt", "kWh": "kilowatt-hour", "kcal": "kilocalorie", "kJ": "kilojoule", "N": "newton", "Nm": "newton-meter",
        "GHz": "gigahertz", "MHz": "megahertz", "kHz": "kilohertz", "Hz": "hertz", "px": "pixel", "MP": "megapixel",
        "lx": "lux", "lm": "lumen", "cd": "candela", "kW": "kilowatt", "W": "watt", "hp": "horsepower", "bar": "bar",
        "hPa": "hectopascal", "Pa": "pascal", "atm": "atmosphere", "ATM": "atmosphere", "psi": "pound-force-per-square-inch",
        "km/h": "kilometer-per-hour", "kph": "kilometer-per-hour", "kmh": "kilometer-per-hour", "mph": "mile-per-hour",
        "°C": "celsius", "°F": "fahrenheit", "K": "kelvin", "TB": "terabyte", "To": "terabyte", "GB": "gigabyte",
        "Go": "gigabyte", "MB": "megabyte", "Mo": "megabyte", "KB": "kilobyte", "kB": "kilobyte", "Gbit": "gigabit",
        "Mbit": "megabit", "%": "percent", "yr": "year", "yrs": "year", "kWp": "kilowatt",
    }.items()},
    "Wh": (Unit("energy", 1),), "Ah": (Unit("charge", 1),), "mAh": (Unit("charge", 1e-3),), "dB": (Unit("decibel"),),
    "dB(A)": (Unit("decibel"),), "kPa": (Unit("pressure", 1e3),), "MPa": (Unit("pressure", 1e6),), "kN": (Unit("force", 1e3),),
    "°": _DEGREES, "Ω": (Unit("resistance"),), "‰": (Unit("permille"),), "rpm": (Unit("rpm"),), "U/min": (Unit("rpm"),),
    "PS": (Unit("power", 735.49875, True),), "ch": (Unit("power", 735.49875, True),), "CV": (Unit("power", 735.49875, True),),
    "KM": (Unit("power", 735.49875, True),), "dpi": (Unit("dpi"),), "fps": (Unit("fps"),), "cuin": (Unit("cuin"),),
    "HRC": (Unit("hrc"),), "m3/h": (Unit("volume/time", 1000 / 3600),), "fl oz": (_OF["fluid-ounce"],),
}  # fmt: skip

# words that CLDR lacks, in lower case
_WORDS: dict[str, tuple[Unit, ...]] = {
    **{word: (_OF[name],) for name, words in {
        "kilogram": "kilo kilos quilo quilos kilos kilogrammes",
        "gram": "gramm grammes gramos grammi gramas gramy gramów grammen",
        "pound": "pounds libras libbre",
        "inch": "zoll zölle pouce pouces pulgada pulgadas pollice pollici polegada polegadas tum tums cal cale cali calowy calowe calowa"
                " calowych inches zollige zölliger",
        "foot": "feet foot",
        "meter": "metr metry metrów metre metres meters mètre mètres metro metros metri metern metra",
        "centimeter": "centimetre centimetres centimeters centymetr centymetrów zentimetern",
        "millimeter": "millimetre millimetres millimeters milimetr milimetrów millimetern milímetro",
        "kilometer": "kilometre kilometres kilometers kilometern kilometrów kilometry kilometra mil-km",
        "liter": "litre litres litro litros litri litr litry litrów litra litrowy litrowa litrowe litern liters",
        "hour": "std stunden stündig stündige stündigen uur uren urige timme timmar timmars tim godz godzinny godzinna godzinnej"
                " godzina heures hr hrs",
        "minute": "min minut minuten minütig minütige minuta",
        "second": "sek sec sekund sekunder sekunden seg",
        "day": "days tagen tage tägig tägige tägigen dagen dagar dygn dni dniowy jours días giorni dias doba doby dób nacht nächte"
               " nächten nachten nights nuits noches notti noites nocy nätter noce night",
        "week": "wochen wöchig weken veckor veckors tygodnie tygodni semaines semanas settimane",
        "month": "monaten monate monatig monatige monatigen maanden månader månaders miesiące miesięcy mois meses mesi mies",
        "year": "jahren jahre jährig jährige jährigen jahres jaar jarig jarige år års årig årigt letni letnia letnią letniej roku lata"
                " lat rok anni anno años año anos ano ans an années years yr yrs",
        "celsius": "celsius",
        "square-meter": "sqm quadratmetern metrów-kwadratowych",
        "watt": "watts watt vatios vatio watów wat watow",
        "volt": "volts volt voltios woltów",
        "lumen": "lumens lúmenes lúmen lumenów lumen",
        "bar": "bars bares barów bary baria",
        "newton": "newtons newton niutonów",
        "percent": "percent prozent prozentig prozentige procent procents procenten percento procentów procentowy percenten",
        "gigabyte": "gigas gigabytes gigaoctets",
        "pixel": "pixels píxeles pikseli pixel",
    }.items() for word in words.split()},
    **dict.fromkeys("degrees degree grad graden grader degrés degré grados gradi graus stopni stopniach stopnie".split(), _DEGREES),
    "per cent": (_OF["percent"],), "pour cent": (_OF["percent"],), "por ciento": (_OF["percent"],), "per cento": (_OF["percent"],),
    "por cento": (_OF["percent"],), "dezibel": (Unit("decibel"),), "decibels": (Unit("decibel"),), "décibels": (Unit("decibel"),),
    "decibel": (Unit("decibel"),), "decibelios": (Unit("decibel"),), "decybeli": (Unit("decibel"),),
    "wattstunden": (Unit("energy", 1),), "watt-hours": (Unit("energy", 1),), "kilowatt": (_OF["kilowatt"],),
}  # fmt: skip

# without a boundary after them, longest first
_JAPANESE: dict[str, tuple[Unit, ...]] = {
    "キログラム": (_OF["kilogram"],), "キロ": (_OF["kilogram"], _OF["kilometer"]), "グラム": (_OF["gram"],),
    "ミリグラム": (_OF["milligram"],), "キロメートル": (_OF["kilometer"],), "メートル": (_OF["meter"],),
    "センチメートル": (_OF["centimeter"],), "センチ": (_OF["centimeter"],), "ミリメートル": (_OF["millimeter"],),
    "ミリリットル": (_OF["milliliter"],), "ミリ": (_OF["millimeter"], _OF["milliliter"]), "リットル": (_OF["liter"],),
    "平方メートル": (_OF["square-meter"],), "インチ": (_OF["inch"],), "時間": (_OF["hour"],), "分間": (_OF["minute"],),
    "分": (_OF["minute"],), "秒間": (_OF["second"],), "秒": (_OF["second"],), "日間": (_OF["day"],), "日": (_OF["day"],),
    "泊": (_OF["day"],), "夜": (_OF["day"],), "週間": (_OF["week"],), "か月": (_OF["month"],), "カ月": (_OF["month"],),
    "ヶ月": (_OF["month"],), "ヵ月": (_OF["month"],), "ケ月": (_OF["month"],), "年間": (_OF["year"],), "年": (_OF["year"],),
    "キロワット": (_OF["kilowatt"],), "ワット": (_OF["watt"],), "ボルト": (_OF["volt"],), "アンペア": (_OF["ampere"],),
    "ヘルツ": (_OF["hertz"],), "デシベル": (Unit("decibel"),), "ルーメン": (_OF["lumen"],), "ルクス": (_OF["lux"],),
    "ニュートン": (_OF["newton"],), "気圧": (_OF["atmosphere"],), "パスカル": (_OF["pascal"],), "度": _DEGREES,
    "パーセント": (_OF["percent"],), "画素": (_OF["pixel"],), "ピクセル": (_OF["pixel"],), "馬力": (_OF["horsepower"],),
    "ギガバイト": (_OF["gigabyte"],), "円": (Unit("money:JPY"),), "ユーロ": (Unit("money:EUR"),), "ドル": (Unit("money:USD"),),
}  # fmt: skip
JAPANESE = dict(sorted(_JAPANESE.items(), key=lambda one: -len(one[0])))

_OTHER_SENSE = {"mil", "uns"}  # thousand in Spanish, us in German
_DOLLARS = "USD CAD AUD NZD SGD HKD MXN"
_CURRENCIES = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "£": "GBP", "pound": "GBP", "pounds": "GBP", "pfund": "GBP",
    "$": _DOLLARS, "us$": "USD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "mx$": "MXN", "dollar": _DOLLARS, "dollars": _DOLLARS,
    "dólares": _DOLLARS, "dollari": _DOLLARS, "dolarów": _DOLLARS, "r$": "BRL", "reais": "BRL", "real": "BRL", "¥": "JPY CNY",
    "yen": "JPY", "kr": "SEK NOK DKK", "krona": "SEK", "kronor": "SEK", "kronen": "SEK NOK DKK", "zł": "PLN", "zl": "PLN",
    "złoty": "PLN", "złote": "PLN", "złotych": "PLN", "zloty": "PLN", "fr": "CHF", "sfr": "CHF", "franken": "CHF", "francs": "CHF",
    "franchi": "CHF", "pesos": "MXN ARS CLP COP",
}  # fmt: skip
_CODES = "EUR USD GBP CHF SEK NOK DKK PLN CZK HUF RON BRL MXN ARS CLP COP CAD AUD NZD JPY CNY KRW INR SGD HKD TRY ZAR".split()
MONEY: dict[str, tuple[Unit, ...]] = {
    **{sign: tuple(Unit(ANY_MONEY + code) for code in codes.split()) for sign, codes in _CURRENCIES.items()},
}
SIGNS |= {code: (Unit(ANY_MONEY + code),) for code in _CODES}


@cache
def words() -> dict[str, tuple[Unit, ...]]:
    """Return all words of units and money in lower case; those of several words have single spaces."""
    found: dict[str, tuple[Unit, ...]] = {}
    for language in LANGUAGES:
        patterns = Locale.parse(language)._data["unit_patterns"]
        for name, unit in _CLDR.items():
            for pattern in patterns.get(name, {}).get("long", {}).values():
                word = pattern.replace("{0}", "").strip().lower() if isinstance(pattern, str) else ""
                if len(word) > 2 and word not in _OTHER_SENSE and not any("ぁ" <= sign <= "龯" for sign in word):
                    found[word] = (unit,)
    for word, units in {**_WORDS, **MONEY}.items():
        found[word] = tuple(dict.fromkeys((*found.get(word, ()), *units)))
    return found


def of_label(label: str) -> tuple[Unit, ...]:
    """Return the units that a label names: “Weight (g)”, “weight_g”, “Akkulaufzeit in Stunden”; none: ()."""
    parts = label.replace("_", " ").replace("(", " ").replace(")", " ").replace("[", " ").replace("]", " ").split()
    for part in reversed(parts[1:]):
        found = SIGNS.get(part) or words().get(part.lower())
        if found:
            return found
    return ()
