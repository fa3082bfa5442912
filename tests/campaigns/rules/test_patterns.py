import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules.compliance import pattern_problem
from campaigns.rules.patterns import MAX_PROGRAM, compile_pattern

READABLE = [
    r"cures?",
    r"\bcures?\b",
    r"(cure|heal|fix)(s|ed)?\s+(cancer|diabetes)",
    r"risk\s+free\s+trial",
    r"\d+\s*%",
    r"number\s+(one|1|#1)",
    r"\w+@\w+\.com",
    r"guarantee.*result",
    r"(?:very\s+)+best",
    r"(?P<claim>miracle)",
    r"[a-z]{2,20}ium",
    r"\(?=x",
    "mén[aà]ge",
    r"гарант\p{L}+",
]
# on a matcher that backtracks each of these runs for hours on some text of a few hundred letters
BACKTRACKING = [
    r"(a+)+b",
    r"(a*)*b",
    r"(a|aa)+b",
    r"(.*a){20}",
    r"(\w+\s?)+!",
    r"(x+x+)+y",
    r"(?:a?){30}a{30}",
    r".*.*.*x",
    r"\w+\d+\w+\d+!",
    r"(?:[а-яa]*[а-яa])+!",
]


class TestPatternProblem:
    @pytest.mark.parametrize("source", [*READABLE, *BACKTRACKING])
    def test_leaves_what_can_be_run_alone(self, source: str) -> None:
        assert pattern_problem(source) is None

    @pytest.mark.parametrize("source", ["", "a*", "a?", r"\b", r"\ba*", "^", "$", "(a|)", r"\b\B?"])
    def test_refuses_what_matches_empty_text(self, source: str) -> None:
        assert "matches empty text" in (pattern_problem(source) or "")

    @pytest.mark.parametrize(
        "source", ["(", "[a", "a**", "a++b", "\\", "a{3,1}", r"\Z", "(?x) a", "(?<a", "\ud800", "(a{100}){100}"]
    )
    def test_says_why_it_cannot_be_read(self, source: str) -> None:
        assert re.fullmatch(r"Can't read the pattern: .+\.", pattern_problem(source) or "")

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (r"(a)\1", "Backreferences are not supported"),
            (r"(a)?(?(1)b|c)", "Backreferences are not supported"),
            ("safe(?! word)", "Look-ahead, look-behind and atomic groups are not supported"),
            ("(?<!not )safe", "Look-ahead, look-behind and atomic groups are not supported"),
            ("(?=(?:a{1,99}){99}b)a", "Look-ahead, look-behind and atomic groups are not supported"),
            ("(?>ab)+c", "Look-ahead, look-behind and atomic groups are not supported"),
            (r"\bмир\b", "only match the letters a to z"),
            (r"\w\p{L}", "only match the letters a to z"),
            (r"a\C", r"\C is not supported"),
            ("a{,5}b", "Write repeats as {0,10}"),
            ("a{99999999999}", "Write repeats as {0,10}"),
            (r"\p{L}{200}", "too large"),
            ("a" * 201, "201 of 200 characters"),
        ],
    )
    def test_says_what_is_not_supported_and_what_to_do(self, source: str, reason: str) -> None:
        assert reason in (pattern_problem(source) or "")

    def test_does_not_take_escaped_text_for_what_it_resembles(self) -> None:
        assert [pattern_problem(source) for source in (r"\\C:", r"\\bмир", r"a\{,5}")] == [None, None, None]

    @given(st.text(alphabet="ab|()[]{}*+?.\\dws^$-,:=!<>12é", max_size=30))
    def test_answers_for_anything(self, source: str) -> None:
        pattern_problem(source)


class TestSpans:
    @given(st.text(alphabet="ab()|*+?", min_size=1, max_size=9), st.text(alphabet="abé", max_size=9))
    def test_are_what_python_says_that_it_matches(self, source: str, text: str) -> None:
        # RE2 reads the empty group of flags and takes an empty first choice otherwise
        if pattern_problem(source) is None and "(?)" not in source and "(|" not in source:
            assert [*compile_pattern(source).spans(text)] == [match.span() for match in re.finditer(source, text, re.IGNORECASE)]

    def test_count_characters_in_any_text(self) -> None:
        assert [*compile_pattern("scent").spans("é🙂\ud800 scent")] == [(4, 9)]

    @pytest.mark.parametrize("source", [*READABLE, *BACKTRACKING])
    def test_end_whatever_the_pattern_and_the_text(self, source: str) -> None:
        """A matcher that backtracks would not end within a lifetime."""
        pattern = compile_pattern(source)
        assert pattern.regex.programsize <= MAX_PROGRAM
        for text in ("a " * 16_000, "1" * 32_000, "very " * 6_400, "guarantee" * 3_500, "аa" * 16_000):
            for _ in pattern.spans(text):
                pass
