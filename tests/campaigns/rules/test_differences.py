import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.rules import differences


def said(pieces, open_="[", close="]"):
    return "".join(f"{open_}{text}{close}" if marked else text for text, marked in pieces)


class TestTwoPrompts:
    def test_have_the_words_marked_that_the_other_lacks(self):
        left, right = differences.between("A ridge at night. Calm.", "A ridge at first light, moon up. Calm.")

        assert said(left) == "A ridge at [night]. Calm."
        assert said(right) == "A ridge at [first light, moon up]. Calm."

    def test_that_are_the_same_have_none(self):
        left, right = differences.between("Same.", "Same.")

        assert (left, right) == ([("Same.", False)], [("Same.", False)])

    def test_are_whole_again_when_joined(self):
        before, after = "One  two\nthree, four.", "One three; four five."

        left, right = differences.between(before, after)

        assert ("".join(text for text, _ in left), "".join(text for text, _ in right)) == (before, after)

    def test_that_are_very_long_are_not_compared(self):
        long = "word " * 2_000

        assert differences.between(long, "word") == ([(long, False)], [("word", False)])


class TestAnExcerpt:
    def test_is_the_sentences_that_say_what_a_combination_differs_in(self):
        prompt = "A tram crosses a bridge. Style: cinematic. Mood: calm. Keep it short."

        assert said(differences.excerpt(prompt, ["Cinematic", "Calm"])) == "Style: [cinematic]. Mood: [calm]."

    def test_takes_words_as_they_are(self):
        assert said(differences.excerpt("What (a+b)? Yes.", ["(a+b)?"])) == "What [(a+b)?]"

    def test_is_the_beginning_where_a_prompt_says_none_of_them(self):
        assert said(differences.excerpt("x" * 400, ["Calm"])) == "x" * 300 + "…"

    def test_of_no_words_marks_nothing(self):
        assert said(differences.excerpt("A tram.", [])) == "A tram."


class TestChanges:
    def marks(self, before: str, after: str) -> str:
        signs = {"same": "{}", "gone": "[-{}-]", "new": "[+{}+]"}
        return "".join(signs[one.kind].format(one.text) for one in differences.changes(before, after))

    @pytest.mark.parametrize(
        ("before", "after", "marked"),
        [
            ("It weighs 240 g.\n\nIt is red.", "It weighs 260 g.\n\nIt is red.", "It weighs[- 240-][+ 260+] g.\n\nIt is red."),
            ("It is red.", "It is red and blue.", "It is red[+ and blue+]."),
            ("Gone.\n\nSame.", "Same.", "[-Gone.\n\n-]Same."),
            ("重さは240gです。色は赤です。", "重さは260gです。色は赤です。", "重さは[-240g-][+260g+]です。色は赤です。"),
            ("", "New.", "[+New.+]"),
            ("Same.", "Same.", "Same."),
        ],
    )
    def test_are_marked_word_by_word(self, before, after, marked):
        assert self.marks(before, after) == marked

    @given(st.text("ab .\n\u732b\u3002", max_size=60), st.text("ab .\n\u732b\u3002", max_size=60))
    @settings(max_examples=100)
    def test_are_both_texts_again_when_joined(self, before, after):
        found = differences.changes(before, after)
        assert "".join(one.text for one in found if one.kind != "new") == before
        assert "".join(one.text for one in found if one.kind != "gone") == after
        assert all(one.text for one in found)

    def test_of_long_pages_are_found_by_comparing_little(self, monkeypatch):
        compared, real = [], differences.SequenceMatcher

        def comparing(junk, old, new, **more):
            compared.append(len(old) * len(new))
            return real(junk, old, new, **more)

        monkeypatch.setattr(differences, "SequenceMatcher", comparing)
        words = [f"word{number * number % 997}" for number in range(3_000)]
        before = "\n\n".join(" ".join(words[start : start + 60]) + "." for start in range(0, 3_000, 60))
        after = before.replace("word4 ", "changed ")
        found = differences.changes(before, after)
        assert {one.text.strip() for one in found if one.kind == "new"} == {"changed"}
        assert sum(compared) < 3_000 * 60
        assert len(differences.changes("a " * 3_000, "b " * 3_000)) == 3
