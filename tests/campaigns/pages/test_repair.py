"""JSON in models' answers: what is read in spite of its flaws, and what is refused."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.pages.repair import MOST_CHARACTERS, CutOff, NotJson, parse

FENCE = "```"
READ: list[tuple[str, str, Any]] = [
    ("plain", '{"a": "b"}', {"a": "b"}),
    ("in a fence", f'{FENCE}json\n{{"a": 1}}\n{FENCE}', {"a": 1}),
    ("text before and after", 'Sure! Here is {it} [1]:\n{"a": [1, 2.5, -3e2]}\nAnything else? {"b": 1}', {"a": [1, 2.5, -300.0]}),
    ("behind a draft of reasoning", '<think>{"a": "draft"}</think>{"a": "final"}', {"a": "final"}),
    ("trailing commas", '{"a": [1, 2,], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
    ("single quotes", "{'a': 'it\\'s', 'b': 'it's', 'c': 'the dogs' bowl'}", {"a": "it's", "b": "it's", "c": "the dogs' bowl"}),
    ("line breaks in texts", '{"a": "one\ntwo\r\nthree\tfour"}', {"a": "one\ntwo\r\nthree\tfour"}),
    ("words of Python", "{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None}),
    ("typed quotes", '{“a”: “b “c” d”, „e“: ‘it’s’, “f": 1}', {"a": "b “c” d", "e": "it’s", "f": 1}),
    ("typed quotes within plain ones", '{"a": "the “b”, and ‘c’"}', {"a": "the “b”, and ‘c’"}),
    ("quotes that can't end a text", '{"a": "the "best" shoe"}', {"a": 'the "best" shoe'}),
    ("bare keys", "{a: 1, b_2: 2}", {"a": 1, "b_2": 2}),
    ("comments", '{// one\n"a": 1, # two\n/* three } */ "b": "// none # at /* all */"}', {"a": 1, "b": "// none # at /* all */"}),
    ("no numbers", '{"a": NaN, "b": -Infinity, "c": Infinity, "d": 1e999}', dict.fromkeys("abcd")),
    ("escapes", r'{"a": "\u00e9\n\/\"\x41\*", "b": "\ud83d\ude00"}', {"a": 'é\n/"A*', "b": "😀"}),
    ("a lone surrogate", r'{"a": "x\ud83d"}', {"a": "x�"}),
    ("a list", 'As in: ["a", "b"]', ["a", "b"]),
    ("an object is preferred to a list", 'See [1]: {"a": 1}', {"a": 1}),
    ("an empty object", "{}", {}),
    ("keys twice: the last", '{"a": 1, "a": 2}', {"a": 2}),
    ("no-break spaces and a byte order mark", '\ufeff{\u00a0"a":\u00a01}', {"a": 1}),
]


@pytest.mark.parametrize(("answer", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_json_is_read_in_spite_of(answer: str, expected: Any) -> None:
    assert parse(answer) == expected


WHOLE = '{"sections": [{"heading": "A \\u00e9", "points": ["x", 12.5, true]}, {"heading": "B"}]}'


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_a_truncated_answer_is_never_completed(length: int) -> None:
    with pytest.raises(CutOff):
        parse(WHOLE[:length])


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I can't help with that.",
        "{the}",
        '{"a" "b"}',
        '{"a": 1]',
        '{"a": maybe}',
        '["a" "b"]',
        '{"a": 1 2}',
        '{"a": [1, ...]}',
        '{"a": "\\uZZZZ"}',
        '{"a": ' + "9" * 5000 + "}",
        "[,]",
        f'{FENCE}\n{{"a": ["b"\n{FENCE}',
    ],
)
def test_what_is_no_json_is_refused(answer: str) -> None:
    with pytest.raises(NotJson):
        parse(answer)


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"a":' * 30_000, "[{}," * 40_000, "{" * 100_000, '["' + '\\"' * 90_000])
def test_deep_and_endless_answers_are_refused(answer: str) -> None:
    with pytest.raises((NotJson, CutOff)):
        parse(answer)


def test_a_huge_answer_is_refused() -> None:
    with pytest.raises(NotJson, match="200,000"):
        parse('{"a": "' + "x" * MOST_CHARACTERS + '"}')


NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, 2]))
def test_proper_json_is_read_as_it_is(value: Any, is_ascii: bool, indent: int | None) -> None:
    assert parse(f"Here:\n{json.dumps(value, ensure_ascii=is_ascii, indent=indent)}\nDone.") == value


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="{}[]\"'“”:,\\/*# \nau1-.e", max_size=60))
def test_any_text_is_read_or_refused(answer: str) -> None:
    with suppress(NotJson, CutOff):
        assert isinstance(parse(answer), dict | list)
