import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules import file_names

FIELDS = ("number", "mood", "aesthetic")
VALUES = {"number": "007", "mood": "calm", "aesthetic": "ugc"}


def stem(template: str, **values: str) -> str:
    return file_names.stem(template, VALUES | values, otherwise="007")


class TestATemplate:
    @pytest.mark.parametrize("template", ["{number}", "{ mood }_{number}", "Autumn {aesthetic} – {number}"])
    def test_that_names_known_fields_is_right(self, template):
        assert file_names.problem(template, FIELDS) == ""

    @pytest.mark.parametrize(
        ("template", "words"),
        [
            ("{moood}-{number}", "Unknown field “moood”. Available: number, mood, aesthetic."),
            ("{}", "Unknown field “”."),
            ("{number", "Put each field in one pair of braces"),
            ("{{number}}", "Put each field in one pair of braces"),
            ("film", "Add at least one field"),
            ("{number}" + "x" * 193, "Too long: 201 of 200 characters. Shorten it by 1."),
        ],
    )
    def test_that_cannot_be_used_says_why(self, template, words):
        assert words in file_names.problem(template, FIELDS)

    def test_is_filled_in(self):
        assert stem("{number}-{mood}_{aesthetic}") == "007-calm_ugc"

    def test_may_leave_a_field_empty(self):
        assert stem("{number}-{mood}-{aesthetic}", mood="") == "007-ugc"


class TestAName:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ("../../etc/passwd", "etc-passwd"),
            ("C:\\temp\\x", "C-temp-x"),
            ('a<b>c"d|e?f*g', "a-b-c-d-e-f-g"),
            ("two  words\tand\nmore", "two-words-and-more"),
            ("a\u202egpj.exe", "a-gpj.exe"),
            ("a\x00b\x1bc\u200b", "a-b-c"),
            (".hidden", "hidden"),
            ("-rf", "rf"),
            ("ends. ", "ends"),
            ("100%", "100"),
            ("Größe ✓ 日本", "Größe-✓-日本"),
        ],
    )
    def test_has_safe_characters_only(self, value, name):
        assert stem("{mood}", mood=value) == name

    @pytest.mark.parametrize("value", ["con", "NUL", "Com1", "lpt9.tar", "aux"])
    def test_is_none_that_windows_keeps_for_itself(self, value):
        assert stem("{mood}", mood=value) == f"_{value}"

    @pytest.mark.parametrize("value", ["", "..", "///", "\u202e", "   "])
    def test_of_nothing_is_the_number(self, value):
        assert stem("{mood}", mood=value) == "007"

    def test_is_the_same_however_its_letters_were_typed(self):
        typed = unicodedata.normalize("NFD", "Größe")

        assert stem("{mood}", mood=typed) == stem("{mood}", mood="Größe")

    def test_is_cut_between_characters(self):
        name = stem("{mood}", mood="日" * 200)

        assert name == "日" * 60 and len(name.encode()) == file_names.BYTES_MOST

    @given(st.text(), st.text())
    def test_is_one_part_of_a_path_whatever_is_in_it(self, before, value):
        name = file_names.safe(before + value)

        assert not set(name) & set('<>:"/\\|?*%') and len(name.encode()) <= file_names.BYTES_MOST + 1
        assert not name.startswith((".", "-", " ")) and not name.endswith((".", " ", "-"))
        assert all(unicodedata.category(one)[0] != "C" and not one.isspace() for one in name)


class TestNamesTogether:
    def test_are_numbered_where_they_would_be_the_same(self):
        assert file_names.distinct(["a", "b", "A", "a", "a-2"]) == ["a", "b", "A-2", "a-3", "a-2-2"]

    def test_stay_short_enough_with_their_numbers(self):
        long = "x" * file_names.BYTES_MOST

        first, second = file_names.distinct([long, long])

        assert first == long and second == "x" * (file_names.BYTES_MOST - 2) + "-2"
