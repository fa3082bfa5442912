"""Nothing invented passes, and honest pages do: the two corpora, and the rules one by one."""

from dataclasses import replace

import pytest

from campaigns.pages.quality import dates, quantities
from campaigns.pages.quality.grounding import invented
from campaigns.pages.quality.grounds import Grounds
from campaigns.pages.quality.quantities import plain
from campaigns.pages.types import Context, PageRequest, PageType, Product, Source, TextBlock
from tests.campaigns.pages import corpora

SHOE = Product(
    "Fell 2",
    sku="NF-4410",
    brand="Nordfell",
    price="129.90",
    currency="EUR",
    attributes={
        "Weight": "240 g",
        "Drop": "5 mm",
        "Capacity": "1.7 litres",
        "Power": "2200 W",
        "weight_kg": "12",
        "Colours": "red, blue, black",
    },
)
PAGE = corpora.honest()[0].document


def found(text: str, language: str = "en", kind: str = "paragraph", product: Product = SHOE, **context) -> list[str]:
    """What stands in no fact of a page whose only text this is."""
    request = PageRequest(PageType.PRODUCT, "https://shop.example/fell", ("trail shoes",), language, products=(product,))
    facts = (
        "Made in Portugal",
        "In stores from 2026-03-02",
        "Material: Gore-Tex",
        "Tested by Dr. Anna Weber",
        "Warranty: 2 years",
    )
    of = Context(request, facts, **context)
    page = replace(PAGE, title="", description="", blocks=tuple(TextBlock("body", kind, one) for one in text.split("\n")))
    return [text for _, text in invented(page, Grounds.of(of), language)]


def test_inventions_are_found_and_honest_pages_pass():
    missed = []
    for page in corpora.invented():
        texts = [text for _, text in invented(page.document, Grounds.of(page.context), page.context.request.language)]
        if not any(text.lower() in page.invention.lower() for text in texts):
            missed.append(f"{page.key} ({page.kind}): {page.invention}")
    alarms = {}
    for page in corpora.honest():
        if texts := [text for _, text in invented(page.document, Grounds.of(page.context), page.context.request.language)]:
            alarms[page.key] = texts
    print(f"inventions found: {60 - len(missed)} of 60; false alarms: {len(alarms)} of 60")
    assert len(corpora.invented()) == len(corpora.honest()) == 60
    assert len(missed) <= 2, missed
    assert len(alarms) <= 2, alarms


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "It weighs 0.24 kg and costs €129.90. A 240-g shoe with a drop of 0.5 cm."),
        ("en", "About 8.5 oz, and less than 130 euros."),
        ("en", "Five millimetres of drop, and a two-year warranty."),
        ("en", "In stores from March 2, 2026, and from 02/03/2026 elsewhere."),
        ("en", "It comes in 3 colours. First, choose one."),
        ("de", "240 Gramm, 5 mm, 1.700 ml; 129,90 € ab dem 2. März 2026 und zwei Jahre Garantie."),
        ("de", "Der Schuh gibt dem Fuß Halt. Dr. Weber hat ihn getestet, aus Portugal kommt er."),
        ("fr", "Il pèse 240 grammes et coûte 129,90 €, dès le 2 mars 2026, avec 1,7 litre."),
        ("es", "Pesa 240 gramos. Desde el 2 de marzo de 2026, por 129,90 euros."),
        ("it", "Pesa 0,24 kg, costa 129,90 euro e viene dal Portogallo. Dal 2 marzo 2026."),
        ("pt", "Pesa 240 gramas e tem 2,2 kW. Desde 2 de março de 2026."),
        ("nl", "Hij weegt 240 gram en kost € 129,90, vanaf 2 maart 2026."),
        ("sv", "Den väger 240 gram och har två års garanti, från den 2 mars 2026."),
        ("pl", "Waży 240 gramów, z Portugalii, od 2 marca 2026 r., z dwuletnią gwarancją."),
        ("ja", "重さは２４０ｇ、ドロップは5ミリ。2026年3月2日発売、ポルトガル製です。"),
        ("en", "It weighs 12 kg, as its column weight_kg says."),
    ],
)
def test_what_the_facts_say_may_be_said_in_other_words(language, text):
    assert found(text, language) == []


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It weighs 240 kg.", "240 kg"),
        ("en", "It costs $129.90.", "$129.90"),
        ("en", "The Fell 3 follows.", "3"),
        ("en", "Loved by 10,000 runners.", "10,000"),
        ("en", "Seven millimetres of drop.", "Seven millimetres"),
        ("en", "Call us 24/7.", "24"),
        ("en", "Only until 31 December.", "31 December"),
        ("en", "Made with Vibram rubber.", "Vibram"),
        ("en", "Model XR-7 is its sister.", "XR-7"),
        ("en", "An award-winning shoe.", "award-winning"),
        ("de", "Testsieger 2026!", "testsieger"),
        ("de", "Von Prof. Kessler entwickelt.", "Kessler"),
        ("de", "Die Alpin Sport GmbH liefert ihn.", "Sport GmbH"),
        ("de", "Sohlen aus Italien.", "Italien"),
        ("fr", "Dessiné par Luc Perrin.", "Luc Perrin"),
        ("es", "Con 3.000 clientes.", "3.000"),
        ("it", "Certificata TÜV.", "TÜV"),
        ("pt", "Só 99 €.", "99 €"),
        ("nl", "Met ISO 9001.", "ISO"),
        ("sv", "Tre års garanti.", "Tre års"),
        ("pl", "Rabat 20%.", "20%"),
        ("ja", "佐藤健太さんも愛用。", "佐藤健太さん"),
        ("ja", "2年半で1万2,800円。", "1万2,800円"),
        ("ja", "GORE-TEX PRO採用。", "PRO"),
    ],
)
def test_what_they_do_not_say_is_found(language, text, expected):
    assert expected in found(text, language)


def test_a_number_may_count_what_the_page_lists():
    assert found("3 reasons to run", kind="heading") == []  # as many as the product has colours
    assert found("7 reasons to run", kind="heading") == ["7"]
    assert found("7 reasons\nlight\nsoft\nquick\ndry\nquiet\nwarm", kind="point") == []


def test_competitors_texts_ground_nothing():
    source = Source("https://other.example", "Alpstar", "The Alpstar weighs 199 g.")
    assert found("Lighter than 199 g.", sources=(source,), topics=("199 g",)) == ["199 g"]


def test_words_to_avoid_ground_nothing():
    request = PageRequest(
        PageType.PRODUCT, "https://shop.example", ("shoes",), "en", brand_voice="Calm. Avoid: Alpstar, 99 g", products=(SHOE,)
    )
    grounds = Grounds.of(Context(request, ("Brand voice: Calm. Avoid: Alpstar, 99 g",)))
    page = replace(PAGE, title="", description="", blocks=(TextBlock("body", "paragraph", "We like Alpstar and 99 g."),))
    assert [text for _, text in invented(page, grounds, "en")] == ["99 g", "Alpstar"]


def test_two_products_may_be_compared_by_what_parts_them():
    other = replace(SHOE, name="Fell 1", price="99.90", attributes={"Weight": "260 g"})
    request = PageRequest(PageType.COMPARISON, "https://shop.example", ("shoes",), "en", products=(SHOE, other))
    page = replace(
        PAGE, title="", description="", blocks=(TextBlock("body", "paragraph", "It is 20 g lighter for €30 more, not 21 g."),)
    )
    assert [text for _, text in invented(page, Grounds.of(Context(request, ())), "en")] == ["21 g"]


@pytest.mark.parametrize(
    ("number", "values"),
    [("1.299,90", (1299.9,)), ("1,299.90", (1299.9,)), ("1 299,90", (1299.9,)), ("1'189", (1189,)), ("1.299", (1299, 1.299)),
     ("0.500", (0.5,)),
     ("1.234.567", (1234567,)), ("2,5", (2.5,))],
)  # fmt: skip
def test_numbers_are_read_in_the_formats_of_the_languages(number, values):
    assert quantities.readings(number) == values


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "2 March 2026"), ("en", "March 2nd, 2026"), ("de", "2. März 2026"), ("de", "02.03.2026"), ("fr", "2 mars 2026"),
     ("es", "2 de marzo de 2026"),
     ("it", "2 marzo 2026"), ("pt", "2 de março de 2026"), ("nl", "2 maart 2026"), ("sv", "2 mars 2026"), ("pl", "2 marca 2026"),
     ("ja", "2026年3月2日"), ("en", "2026-03-02"), ("en", "02/03/2026")],
)  # fmt: skip
def test_dates_are_read_in_the_formats_of_the_languages(language, text):
    assert (2026, 3, 2) in dates.find(plain(text), language)[0].readings
