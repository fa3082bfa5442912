"""Each check of a page with good and bad examples, and what they add up to."""

import sys
from dataclasses import replace

import pytest

from campaigns.pages import assembly, components, context, plan, quality
from campaigns.pages.quality import keywords, likeness, reading, voice
from campaigns.pages.quality.grounding import blocks_of
from campaigns.pages.types import Check, Component, PageRequest, PageType, Product, TextBlock
from genqueue_site.studio import pages as studio
from tests.campaigns.pages import corpora

SHOE = Product(
    "Fell 2",
    brand="Nordfell",
    price="129.90",
    currency="EUR",
    url="https://shop.example/fell-2",
    attributes={"Weight": "240 g", "Drop": "5 mm", "Lugs": "6 mm", "Upper": "recycled mesh"},
)
REQUEST = PageRequest(
    PageType.PRODUCT,
    "https://shop.example/fell",
    ("trail shoes", "wet rock"),
    "en",
    brand_voice="Calm. Avoid: cheap, best in class, “game changer”",
    products=(SHOE,),
    seo={"links": [{"text": "All shoes", "url": "https://shop.example/all"}]},
)
CONTEXT = context.build(REQUEST, fetch=lambda url: b"")


def page(of=CONTEXT, seed=7):
    """A page as the studio writes it."""
    made = [
        Component(one.key, components.read(one, studio.answer(studio.read(components.question(one, of).text), seed)))
        if one.paid
        else components.from_data(one, of)
        for one in plan.planned(of.request)
    ]
    return assembly.assemble(of, made)


GOOD = page()


def one(name: str, document=GOOD, of=CONTEXT, others=()) -> Check:
    return next(each for each in quality.check(document, of, others=others) if each.name == name)


def changed(kind: str, text: str, component: str = "", document=GOOD):
    """The page with another text in the first block of a kind."""
    at = next(n for n, block in enumerate(document.blocks) if block.kind == kind and component in ("", block.component))
    blocks = list(document.blocks)
    blocks[at] = replace(blocks[at], text=text)
    return replace(document, blocks=tuple(blocks))


def added(text: str, kind="paragraph", component="body", level=0):
    return replace(GOOD, blocks=(*GOOD.blocks, TextBlock(component, kind, text, level)))


def test_a_page_made_of_its_facts_is_approved():
    checks = quality.check(GOOD, CONTEXT, others=[])
    assert {each.name: each.sentence for each in checks if each.outcome == "fail"} == {}
    assert quality.verdict(checks) == "approve" and quality.failing(checks) == ()
    assert all(each.figure and each.bound and each.sentence.endswith((".", "”.")) for each in checks)


GERMAN_PAGE = next(each for each in corpora.honest() if each.context.request.language == "de")
LONG = "The shoe holds on moss and mud, and it is kind to your feet. "
GERMAN = (
    "Der Schuh hält auf Moos und Schlamm, und er ist gut zu Ihren Füßen, wenn Sie lange im Wald unterwegs sind und es regnet. "
    * 3
)
HARD = (
    "Incomparably multifunctional characteristics necessitate extraordinarily comprehensive investigations regarding durability "
)


@pytest.mark.parametrize(
    ("name", "document", "components", "found"),
    [
        ("Facts", added("It weighs 199 g."), ("body",), ("199 g",)),
        ("Language", added(GERMAN, component="faq"), ("faq",), ()),
        ("Words", added(LONG * 40), ("body",), ()),
        ("Words", changed("lead", "Short."), ("hero",), ()),
        ("Main keyword", replace(changed("title", "A shoe"), title="A shoe"), ("meta",), ()),
        ("Main keyword", added("Trail shoes. " * 20), ("body",), ()),
        ("Readability", added(HARD * 80), ("hero", "body", "faq"), ()),
        ("Title", replace(GOOD, title=""), ("meta",), ()),
        ("Title", replace(GOOD, title="x" * 121), ("meta",), ()),
        ("Meta description", replace(GOOD, description="x" * 321), ("meta",), ()),
        ("Repeated sentences", added(f"{LONG}{LONG}{LONG}"), ("body",), (LONG.strip(" .").lower(),)),
        ("Links", replace(GOOD, html=f'{GOOD.html}<p><a href="https://evil.example/">x</a></p>'), (), ("https://evil.example/",)),
        ("Links", added("Write to me@evil.example now."), ("body",), ("me@evil.example",)),
        ("Brand words avoided", added("A game changer, and cheap."), ("body",), ("cheap", "game changer")),
        ("Headings in order", added("Another one", kind="heading", level=1), (), ()),
        ("Headings in order", added("Too deep", kind="heading", level=4), (), ()),
        ("HTML", replace(GOOD, html="<p>open"), (), ("<p> is not closed",)),
        ("HTML", replace(GOOD, html="<p>a</div>"), (), ("line 1: Unexpected </div> end tag", "</div> closes nothing")),
        ("HTML", replace(GOOD, html="<p onclick='x()'>a</p>"), (), ("<p> may run something",)),
        ("HTML", replace(GOOD, html="<script>x()</script>"), (), ("<script> may run something",)),
    ],
)  # fmt: skip
def test_a_bad_page_fails_its_check(name, document, components, found):
    check = one(name, document)
    assert check.outcome == "fail", check
    assert check.components == components
    assert set(found) <= set(check.found)
    assert name == "Facts" or one(name).outcome == "pass"


@pytest.mark.parametrize(
    "end",
    [
        "129.90 EUR under the bonnet of it",
        "1,5 l, z. B. mit einem weichen Tuch",
        "2. März 2026 in allen unseren Läden",
        "approx. half a litre of it all",
    ],
)
def test_the_ends_of_sentences_are_not_repeated_sentences(end):
    document = added(f"The first has {end}. Of the second we know {end}. And for the third one it is {end}.")
    assert one("Repeated sentences", document).outcome == "pass"


def test_json_ld_that_fits_no_schema_fails():
    assert one("JSON-LD").outcome == "pass"
    assert (
        one("JSON-LD", replace(GOOD, json_ld={"@context": "https://schema.org", "@graph": [{"@type": "Review"}]})).outcome
        == "fail"
    )


def test_a_missing_keyword_is_named():
    of = replace(CONTEXT, request=replace(REQUEST, keywords=("trail shoes", "carbon plate")))
    check = one("All keywords used", GOOD, of)
    assert (check.outcome, check.figure, check.found, check.components) == ("fail", "1 of 2", ("carbon plate",), ("body",))


@pytest.mark.parametrize(
    ("keyword", "text", "language", "times"),
    [
        ("trail shoe", "Trail shoes: a trail shoe for trails.", "en", 2),
        ("Laufschuh", "Laufschuhe und Laufschuhen, kein Schuh", "de", 2),
        ("plecak turystyczny", "plecaka turystycznego, plecaki turystyczne", "pl", 2),
        ("電気ケトル", "静かな電気ケトル。電気ケトルです。", "ja", 2),
        ("ロボット掃除機 比較", "ロボット掃除機の比較", "ja", 1),
        ("tea", "team, steal", "en", 0),
    ],
)
def test_keywords_are_found_with_the_endings_of_their_language(keyword, text, language, times):
    assert keywords.count(keyword, text, language) == times


@pytest.mark.parametrize(
    ("levels", "fine"), [((1, 2, 3, 2), True), ((1,), True), ((), False), ((2, 1), False), ((1, 3), False), ((1, 2, 1), False)]
)
def test_headings_make_an_outline(levels, fine):
    assert keywords.headings_in_order(levels) is fine


def test_words_to_avoid_are_read_from_the_voice():
    assert voice.avoided("Warm. Avoid: cheap, best in class, “game changer”. Be brief.") == [
        "cheap",
        "best in class",
        "game changer",
    ]
    assert voice.avoided("Vermeiden: billig; günstig") == ["billig", "günstig"]
    assert voice.avoided("Be brief.") == []


def test_reading_ease_has_a_formula_for_seven_languages():
    pages = {one.context.request.language: one for one in corpora.honest()}
    for language, written in pages.items():
        ease = reading.check_readability(written.document, written.context)
        assert (ease.figure == "not measured") is (language in ("sv", "pl", "ja")), language
        assert ease.outcome == "pass"
    assert reading.reading_ease("Too short.", "en") is None


def test_every_language_is_told_from_the_other_nine():
    for written in corpora.honest():
        check = reading.check_language(written.document, written.context)
        assert check.outcome == "pass", (written.key, check)
        asked = "sv" if written.context.request.language != "sv" else "en"
        other = replace(written.context, request=replace(written.context.request, language=asked))
        assert reading.check_language(written.document, other).outcome == "fail", written.key


@pytest.mark.parametrize("component", ["hero", "meta"])
def test_a_short_component_in_another_language_is_found(component):
    """Of each honest page, put where it stands on one in another language."""
    for written in corpora.honest():
        document = GOOD if written.context.request.language != "en" else GERMAN_PAGE.document
        of = CONTEXT if document is GOOD else GERMAN_PAGE.context
        strange = [block for block in blocks_of(written.document) if block.component == component]
        blocks = [*strange, *(block for block in blocks_of(document) if block.component != component)]
        check = reading.check_language(replace(document, blocks=tuple(blocks)), of)
        assert (check.outcome, check.components) == ("fail", (component,)), written.key


def test_a_short_text_passes_with_a_note():
    document = replace(GOOD, title="Fell 2", description="", blocks=(TextBlock("hero", "lead", "Light."),))
    check = one("Language", document)
    assert (check.outcome, check.figure) == ("pass", "not measured")


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        ((), "approve"),
        ((("Words", "warn"), ("Facts", "pass")), "approve"),
        ((("Words", "fail"),), "review"),
        ((("Copied text", "fail"), ("Links", "fail")), "review"),
        ((("Facts", "fail"),), "reject"),
        ((("Language", "fail"), ("Words", "fail")), "reject"),
        ((("HTML", "fail"),), "reject"),
        ((("JSON-LD", "fail"),), "reject"),
    ],
)
def test_the_verdict_follows_the_table(failed, expected):
    assert quality.verdict([Check(name, outcome, "", "", "") for name, outcome in failed]) == expected


def test_a_rejected_page_is_worse_than_one_to_review_however_many_checks_failed():
    words, facts = (Check(name, "fail", "", "", "") for name in ("Words", "Facts"))
    title = Check("Title", "fail", "", "", "")
    ranked = [[], [words], [words, title], [facts], [facts, words]]
    assert sorted(ranked, key=quality.rank) == ranked


def test_failed_checks_name_the_components_to_write_again():
    checks = [
        Check("A", "fail", "", "", "", ("body", "faq")),
        Check("B", "warn", "", "", "", ("hero",)),
        Check("C", "fail", "", "", "", ("faq", "meta")),
    ]
    assert quality.failing(checks) == ("body", "faq", "meta")


class TestLikeness:
    def test_a_copy_is_found_and_an_own_text_passes(self):
        same, _ = likeness.signature(likeness.body_of(GOOD))
        other, _ = likeness.signature(likeness.body_of(corpora.honest()[1].document))
        check = one("Copied text", others=[("Copy", same), ("Other", other)])
        assert (check.outcome, check.figure, check.found) == ("fail", "100%", ("Copy",))
        assert check.bound == "under 50% against 2 pages"
        assert one("Copied text", others=[("Other", other)]).outcome == "pass"

    @pytest.mark.parametrize("language", ["en", "ja"])
    def test_the_estimate_is_near_the_truth(self, language):
        texts = [likeness.body_of(each.document) for each in corpora.honest() if each.context.request.language == language]
        half = "\n".join(texts[:2]), "\n".join(texts[1:3])
        runs = [set(likeness._runs(text)) for text in half]
        truth = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        assert abs(likeness.similarity(*(likeness.signature(text)[0] for text in half)) - truth) < 0.15

    def test_alike_pages_share_a_band(self):
        texts = [likeness.body_of(each.document) for each in corpora.honest()[:3]]
        _, first = likeness.signature("\n".join(texts[:2]))
        _, second = likeness.signature("\n".join(texts[1:]))
        assert set(first) & set(second)

    def test_signatures_are_the_same_in_every_process(self):
        values, bands = likeness.signature("the shoe holds on moss and mud")
        assert values[:2] == [1486393771701598917, 439842917659346292] and bands[:1] == [7947582487942002106]
        assert all(-(2**63) <= value < 2**63 for value in (*values, *bands))

    def test_a_page_without_words_is_like_none(self):
        assert likeness.signature(" … ") == ([], [])
        assert likeness.similarity([], []) == 0


JUNK = (
    "a",
    "A",
    "1",
    "1 ",
    "111 ",
    "1.",
    "a-",
    "A.",
    "Aa ",
    "X7 ",
    "two ",
    "5 mm ",
    "2 May ",
    "5 g/g/",
    "$",
    "ア・",
    "漢さん",
    "1万",
    ". ",
    "a@a.",
    "½",
    "avoid: a,",
)


def test_the_work_grows_with_the_length_of_hostile_text_and_not_faster():
    quality.check(GOOD, CONTEXT)  # tables are built once

    def steps(size: int) -> int:
        """Calls of functions while a page with so much junk is checked."""
        junk = [TextBlock("body", "paragraph", (piece * size)[:size]) for piece in JUNK]
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            quality.check(replace(GOOD, blocks=(*GOOD.blocks, *junk)), CONTEXT)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(4000) < 5 * steps(1000)


def test_a_block_of_200_kb_of_junk_is_read_to_its_end():
    document = added("A1 5 mm 2 May “" * 13_000)
    assert one("Facts", document).outcome == "fail"
