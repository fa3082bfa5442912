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
