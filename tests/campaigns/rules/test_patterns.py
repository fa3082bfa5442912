import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules import patterns
from campaigns.rules.compliance import pattern_problem

HARMLESS = [
    r"cures?",
    r"\bcures?\b",
    r"(cure|heal|fix)(s|ed)?\s+(cancer|diabetes)",
    r"risk\s+free\s+trial",
    r"\d+\s*%",
    r"number\s+(one|1|#1)",
    r"\w+@\w+\.com",
    r"guarantee.*result",
    r"(?:very\s+)+best",
    r"(\w+\s)+!",
    r"(?<!not )safe",
    r"safe(?! word)",
    r"(?P<claim>miracle)",
    r"[a-z]{2,20}ium",
    r"a++b",
    r"(?>ab)+c",
]
RUNS_FOR_HOURS = [
    r"(a+)+b",
    r"(a*)*b",
    r"(a|aa)+b",
    r"(a|a?)+b",
    r"(.*a){20}",
    r"(\w+\s?)+!",
    r"((ab)*)*c",
    r"(x+x+)+y",
    r"(?:a?){30}a{30}",
    r"(?=(a+)+b)x",
    r"([À-ö]*\W)+!",
    r"(?:[а-я]*\w)+!",
    r"(?:[\u0400-\u04ff]*[\u0450])+!",
    r"(A+a+)+b",
]
TOO_MANY_WAYS = [r".*.*x", r"\s*\s*\s*x", r"a.*b.*c", r"\w+\d+\w!", r"(?:a{200}){200}", r"\w+(?:\d{99}x?){99}"]


# Python warns of sets that may mean something else one day; staff's pattern means what it means today.
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
class TestPatternProblem:
    @pytest.mark.parametrize("source", HARMLESS)
    def test_leaves_harmless_patterns_alone(self, source: str) -> None:
        assert pattern_problem(source) is None

    @pytest.mark.parametrize("source", RUNS_FOR_HOURS)
    def test_refuses_repeats_inside_repeats_that_share_text(self, source: str) -> None:
        assert "on some texts it would run for hours" in (pattern_problem(source) or "")

    @pytest.mark.parametrize("source", TOO_MANY_WAYS)
    def test_refuses_repeats_in_a_row_that_share_text(self, source: str) -> None:
        assert "could take too long" in (pattern_problem(source) or "")

    @pytest.mark.parametrize("source", ["", "a*", "a?", r"\b", "^", "$", "(?=a)", "(a|)", "(?!)"])
    def test_refuses_what_matches_without_text(self, source: str) -> None:
        assert "can match without any text" in (pattern_problem(source) or "")

    @pytest.mark.parametrize("source", ["(", "[a", "a**", "\\", "(?P<1>a)", "a{3,1}", "(?<=a+)b", "x{99999999999}", "(?<a"])
    def test_says_why_it_cannot_be_read(self, source: str) -> None:
        assert re.match(r"The pattern cannot be (read|used): .+\.", pattern_problem(source) or "")

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (r"(a)\1", "refers back"),
            (r"(a)?(?(1)b|c)", "refers back"),
            (r"(?s:.)a", "sets flags"),
            (r"(?x) a", "sets flags"),
            ("a{1,201}", "more than 200 times"),
            ("a{65000,}", "more than 200 times"),
            ("a" * 201, "at most 200"),
        ],
    )
    def test_refuses_what_nobody_needs_in_a_rule(self, source: str, reason: str) -> None:
        assert reason in (pattern_problem(source) or "")

    @given(st.text(alphabet="ab|()[]{}*+?.\\dws^$-,:=!<>12", max_size=30))
    def test_answers_for_anything(self, source: str) -> None:
        pattern_problem(source)


class TestWays:
    @pytest.mark.parametrize(
        ("source", "ways"),
        [
            ("(b|ac|d)e", 1),
            ("abc", 1),
            (r"\s+a\s+b\s+c", 1),
            ("a+a", patterns.REACH),
            ("a{2,5}a", 4),
            ("a?a", 2),
            ("(ab|ac|d)e", 3),
            (r"\d{1,3}\d{1,3}!", 3),
        ],
    )
    def test_counts_only_what_is_open_to_choice(self, source: str, ways: int) -> None:
        assert patterns.ways(source) == ways

    @given(st.text(alphabet="ab()|*+?", min_size=1, max_size=9), st.text(alphabet="ab", max_size=9))
    def test_an_accepted_pattern_still_matches_what_python_says_it_matches(self, source: str, text: str) -> None:
        if pattern_problem(source) is None:
            found = [match.span() for match in patterns.compile_pattern(source).regex.finditer(text)]
            assert found == [match.span() for match in re.finditer(source, text, re.IGNORECASE)]


class TestOpenEnds:
    @pytest.mark.parametrize("source", [r"ab*c", r"(?:ab*)c", r"(ab{0,}?c|d)"])
    def test_reach_so_many_repeats_and_no_further(self, source: str) -> None:
        regex = patterns.compile_pattern(source).regex
        assert regex.search("a" + "b" * patterns.REACH + "c")
        assert not regex.search("a" + "b" * (patterns.REACH + 1) + "c")

    def test_a_harmless_pattern_grows_with_the_text_and_no_faster(self) -> None:
        # Would not end within a lifetime if an open end reached to the end of each of these texts and all were shared.
        for source in HARMLESS:
            regex = patterns.compile_pattern(source).regex
            for text in ("a " * 16_000, "1" * 32_000, "very " * 6_400, "guarantee" * 3_500):
                regex.findall(text)
