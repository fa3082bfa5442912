import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules import compliance
from campaigns.rules.compliance import Hit, Rule


def term(text: str, **changes: object) -> Rule:
    return rule(text, "term", **changes)


def pattern(text: str, **changes: object) -> Rule:
    return rule(text, "pattern", **changes)


def rule(text: str, kind: str, **changes: object) -> Rule:
    row: dict[str, object] = {"id": 1, "name": text, "kind": kind, "pattern": text, "severity": "block"}
    row |= {"reason": "It may not be said.", "instead": "Nothing."}
    return Rule(**(row | changes))  # type: ignore[arg-type]


def matched(rules: Rule | list[Rule], text: str) -> list[str]:
    verdict = compliance.compile(rules if isinstance(rules, list) else [rules]).check(text)
    assert all(text[hit.start : hit.end] == hit.matched for hit in verdict.hits)
    return [hit.matched for hit in verdict.hits]


class TestATerm:
    @pytest.mark.parametrize(
        "text",
        [
            "it cures all",
            "it CURES all",
            "cures",
            "(cures)",
            "it cures.",
            "state-of-cures-art",
            "it_cures_all",
            "it cu\u00adres all",
            "it c\u200bures all",
            "it cu\u2060r\ufeffes all",
            "it cúrés all",
            "it cu\u0301res all",
            "it cures\u0301 all",
            "it ｃｕｒｅｓ all",
            "it 𝐜𝐮𝐫𝐞𝐬 all",
            "it cure\u017f all",
            "it cu\x00res all",
            "it\u00a0cures\u2003all",
            "quickly. cures",
            "it cures™",
            "it cures¹",
            "it ⓒⓤⓡⓔⓢ all",
            "it ᶜᵘʳᵉˢ all",
        ],
    )
    def test_is_found_however_it_is_dressed(self, text: str) -> None:
        assert len(matched(term("cures"), text)) == 1

    @pytest.mark.parametrize("text", ["secures", "curest", "cure", "scures", "cures2", "", "manicúres"])
    def test_is_a_whole_word(self, text: str) -> None:
        assert matched(term("cures"), text) == []

    @pytest.mark.parametrize(
        "text", ["risk free", "Risk-free", "risk   free", "risk\n\tfree", "risk\u00a0\u200bfree", "risk – free", "risk_free"]
    )
    def test_of_two_words_is_found_whatever_is_between_them(self, text: str) -> None:
        assert matched(term("risk free"), f"all {text}, ever") == [text]

    @pytest.mark.parametrize("text", ["riskfree", "risk, free", "risk. free"])
    def test_of_two_words_needs_them_side_by_side(self, text: str) -> None:
        assert matched(term("risk free"), text) == []

    @pytest.mark.parametrize(
        ("words", "text"), [("ménage", "MENAGE"), ("Straße", "strasse"), ("smørrebrød", "smorrebrod"), ("don't", "don’t")]
    )
    def test_may_itself_have_accents(self, words: str, text: str) -> None:
        assert matched(term(words), text) == [text]

    @pytest.mark.parametrize(
        ("words", "text"),
        [("100%", "a 100% safe"), ("#1", "the #1 scent"), ("C++", "in C++."), ("™", "Scent™ now"), ("no. 1", "our no. 1 now")],
    )
    def test_may_have_signs(self, words: str, text: str) -> None:
        assert len(matched(term(words), text)) == 1

    def test_with_a_digit_before_it_is_another_number(self) -> None:
        assert matched(term("100%"), "3100% and 100%") == ["100%"]

    def test_in_a_script_without_spaces_is_found_inside_a_line(self) -> None:
        assert matched(term("最高"), "世界最高品質") == ["最高"]
        assert matched(term("AI"), "最AI高") == ["AI"]

    @pytest.mark.parametrize(("words", "text"), [("カン", "ガン"), ("か", "が"), ("ताब", "किताब"), ("कि", "की"), ("น", "น้ำ")])
    def test_is_not_a_part_of_a_syllable(self, words: str, text: str) -> None:
        assert matched(term(words), text) == []

    @pytest.mark.parametrize("text", ["Zażółć gęślą", "काम अच्छा", "العَرَبِيَّة", "שָׁלוֹם", "이거 최고"])
    def test_of_any_script_finds_itself(self, text: str) -> None:
        assert matched(term(text), f"– {text} –") == [text]
        assert matched(term(text), unicodedata.normalize("NFD", text)) == [unicodedata.normalize("NFD", text)]

    @pytest.mark.parametrize("words", ["", "  ", "\u200b", "\u00ad-", "x" * 201])
    def test_without_text_or_without_end_is_refused(self, words: str) -> None:
        assert compliance.term_problem(words)


class TestSpans:
    def test_are_those_of_the_text_as_written(self) -> None:
        text = "Ünïcödé ﬁne — it cu\u00adré\u0301s\u200b, yes"
        (hit,) = compliance.compile([term("cures")]).check(text).hits
        assert hit.matched == "cu\u00adré\u0301s"
        assert text[hit.start : hit.end] == hit.matched

    def test_a_letter_that_unfolds_into_two_is_marked_whole(self) -> None:
        assert matched(pattern(r"\bstras"), "die Straße") == ["Straß"]

    @given(st.text(), st.text())
    def test_hold_around_any_text(self, before: str, after: str) -> None:
        text = f"{before} cures {after}"
        assert "cures" in matched(term("cures"), text)

    @given(st.data())
    def test_hold_for_any_dressing_of_the_letters(self, data: st.DataObject) -> None:
        noise = st.text(alphabet="\u00ad\u200b\u200d\u2060\ufeff\u0301\u0308\x07", max_size=3)
        dressed = "".join(data.draw(st.sampled_from([letter, letter.upper()])) + data.draw(noise) for letter in "cures")
        (found,) = matched(term("cures"), f"é it {dressed} ß")
        assert (
            found.rstrip("\u00ad\u200b\u200d\u2060\ufeff\x07") == dressed.rstrip("\u00ad\u200b\u200d\u2060\ufeff\x07")
            or found in dressed
        )
        assert compliance.fold(found) == "cures"

    @given(st.text())
    def test_folding_twice_is_folding_once(self, text: str) -> None:
        assert compliance.fold(compliance.fold(text)) == compliance.fold(text)


class TestAPattern:
    def test_ignores_case(self) -> None:
        assert matched(pattern(r"\bnumber\s+(one|1)\b"), "The NUMBER  One scent") == ["NUMBER  One"]

    def test_is_tried_on_the_folded_text_too(self) -> None:
        assert matched(pattern(r"\d+ ?% safe"), "100\u00a0% s\u00ada\u0301fe") == ["100\u00a0% s\u00ada\u0301fe"]

    def test_may_itself_have_accents(self) -> None:
        assert matched(pattern("mén[aà]ge"), "Ménage") == ["Ménage"]

    def test_says_each_place_once_when_both_texts_have_it(self) -> None:
        assert matched(pattern("scent"), "é scent") == ["scent"]

    @pytest.mark.parametrize(
        ("source", "text", "found"),
        [
            (r"\bres\b", "manicúres", []),
            (r"\bcures\b", "curesя", []),
            (r"\bcures\b", "它cures癌", ["cures"]),
            (r"\bcur\w+", "it cúrés", ["cúrés"]),
            (r"safe\W", "safe™ safeя", ["safe™"]),
            (r"a\b.*\bz", "aé z, a … z", ["a … z"]),
        ],
    )
    def test_knows_words_with_letters_of_any_script(self, source: str, text: str, found: list[str]) -> None:
        assert matched(pattern(source), text) == found

    def test_reads_digits_of_any_script(self) -> None:
        assert matched(pattern(r"\d+%"), "٢٥% ２５%") == ["٢٥%", "２５%"]


class TestARowThatCannotBeUsed:
    """Written by an older version, or past the form."""

    @pytest.mark.parametrize("odd", [pattern("safe(?! word)", name="Odd"), term("\u200b", name="Odd")])
    def test_lets_no_text_pass_and_says_why(self, odd: Rule) -> None:
        verdict = compliance.compile([odd]).check("A small holiday.")
        (hit,) = verdict.hits
        assert (verdict.level, hit.rule.severity) == ("block", "block")
        assert hit.rule.reason.startswith("The compliance rule “Odd” can't be used until staff correct it. ")

    def test_is_about_no_words_and_asks_nobody_to_take_them_out(self) -> None:
        text = "A small holiday."
        hits = compliance.compile([pattern("(", name="Odd", instead="rest"), term("holiday", id=2)]).check(text).hits
        assert [hit.matched for hit in hits] == ["", "holiday"]
        assert hits[0].advice == hits[0].rule.reason
        assert compliance.marked(text, hits) == [("A small ", False), ("holiday", True), (".", False)]

    def test_has_nothing_to_say_of_an_empty_text(self) -> None:
        assert compliance.compile([pattern("(")]).check("") == compliance.Verdict("clear", ())

    def test_leaves_the_other_rules_at_work(self) -> None:
        assert matched([pattern("(", brand="Other"), term("holiday", id=2)], "A holiday.") == ["holiday"]


class TestAVerdict:
    def test_of_a_harmless_text_is_clear(self) -> None:
        assert compliance.compile([term("cures"), pattern(r"\d%")]).check("A small holiday.") == compliance.Verdict("clear", ())

    def test_warns_when_only_warnings_hit(self) -> None:
        assert compliance.compile([term("best", severity="warn"), term("cures")]).check("the best").level == "warn"

    def test_blocks_when_any_block_hits(self) -> None:
        warn, block = term("best cure", id=1, severity="warn"), term("cure", id=2)
        verdict = compliance.compile([warn, block]).check("the best cure")
        assert verdict.level == "block"
        assert verdict.hits == (Hit(warn, 4, 13, "best cure"), Hit(block, 9, 13, "cure"))

    def test_lists_the_hits_in_the_order_of_the_text(self) -> None:
        assert matched([term("b", id=1), term("a", id=2)], "a b a") == ["a", "b", "a"]

    def test_has_no_more_hits_of_a_rule_than_a_page_can_show(self) -> None:
        assert len(matched([term("a"), pattern("b", id=2)], "a b " * 500)) == 2 * compliance.MAX_HITS_PER_RULE

    def test_a_checker_gives_the_same_answer_for_a_text_that_it_has_read_before(self) -> None:
        checker = compliance.compile([term("cures")])
        texts = [f"Rain. It cures {number}. Sun." for number in range(2000)]
        assert [checker.check(text) for text in texts] == [checker.check(text) for text in texts]


class TestABrand:
    RULES = [term("a", id=1), term("b", id=2, brand="Maison Alder"), term("c", id=3, brand="Other")]

    @pytest.mark.parametrize(
        ("brand", "found"), [(None, ["a"]), ("maison  alder", ["a"]), ("MAISON ALDER", ["a", "b"]), ("Other", ["a", "c"])]
    )
    def test_has_its_own_rules_and_those_for_all(self, brand: str | None, found: list[str]) -> None:
        assert [hit.matched for hit in compliance.compile(self.RULES, brand=brand).check("a b c").hits] == found


class TestMarked:
    def test_cuts_the_text_at_the_hits_and_merges_what_overlaps(self) -> None:
        text = "the best cure ever"
        verdict = compliance.compile([term("best cure"), term("cure ever", id=2)]).check(text)
        pieces = compliance.marked(text, verdict.hits)
        assert "".join(piece for piece, _ in pieces) == text
        assert "".join(piece for piece, mark in pieces if mark) == "best cure ever"
        assert pieces[0] == ("the ", False)

    def test_without_hits_is_one_piece(self) -> None:
        assert compliance.marked("rain", []) == [("rain", False)]


class TestWork:
    def test_a_sentence_that_cells_share_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []
        monkeypatch.setattr(compliance, "fold", lambda text: read.append(text) or text.lower())
        checker = compliance.Checker([], [])
        for number in range(660):
            checker.check(f"A big idea. Style: {number % 11}. Mood: {number % 6}")
        assert len(read) == 1 + 11 + 6

    def test_only_terms_whose_first_word_is_there_are_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[str] = []
        spans = compliance._Term.spans
        monkeypatch.setattr(compliance._Term, "spans", lambda self, text: tried.append(self.rule.name) or spans(self, text))
        rules = [term(f"word{number} thing", id=number) for number in range(300)]
        compliance.compile(rules).check("A word7, and nothing else.")
        assert tried == ["word7 thing"]
