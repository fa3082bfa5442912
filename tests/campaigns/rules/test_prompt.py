import re
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules import matrix, prompt
from campaigns.rules.matrix import Choice
from campaigns.rules.prompt import BriefTexts, PromptBuilder

LABELS = {
    "funnel_level": "Most aware",
    "aesthetic": "Cinematic",
    "type": "Demo",
    "intention": "Entertain",
    "mood": "Calm",
    "audio_style": "Voiceover",
    "age_generation": "Gen Z",
    "gender": "Female",
    "orientation": "Any orientation",
    "life_stage": "New parents",
    "ethnicity": "Any ethnicity",
}
CHOICES = [Choice(key, key.replace("_", " ").capitalize(), (("v", label),)) for key, label in LABELS.items()]
CELL = dict.fromkeys(LABELS, "v")
BRIEF = BriefTexts(
    brand="Maison Alder",
    brand_voice="quiet, exact",
    product_category="home fragrance",
    big_idea="A scent is a small holiday.",
    visual_messaging="Hands, paper, oak",
    audio_messaging="Room tone, one felt piano.",
)

# Words with marks and spaces at their ends, as people type them.
loose = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", " ", "\t", ", "]),
    st.text(ascii_lowercase + "é    ", min_size=1, max_size=40).map(str.strip).filter(bool),
    st.sampled_from(["", ".", ". ", "!", "?", ",", " ;", ":", "...", "…", ".”", "\n\n"]),
)
blank = st.sampled_from(["", " ", ".", " . ", "\n", ", ;"])
briefs = st.builds(BriefTexts, *[loose | blank] * 6)
labels = st.fixed_dictionaries({}, optional=dict.fromkeys([*LABELS, "tempo", "camera"], loose))


def choices_of(words: dict[str, str]) -> list[Choice]:
    return [Choice(key, key.capitalize(), (("v", label),)) for key, label in words.items()]


class TestBuild:
    def test_the_whole_of_it(self) -> None:
        assert prompt.build(BRIEF, CELL, CHOICES) == (
            "A scent is a small holiday. Hands, paper, oak. Style: Cinematic. Type: Demo. Mood: Calm. Intention: Entertain. "
            "Target: Gen Z, Female, Any orientation, New parents, Any ethnicity. Funnel: Most aware. "
            "Audio: Voiceover, Room tone, one felt piano. Brand: Maison Alder. Voice: quiet, exact. Product: home fragrance."
        )

    def test_what_is_empty_leaves_no_trace(self) -> None:
        assert prompt.build(BriefTexts(big_idea="Rain", audio_messaging=" . "), {"mood": "v"}, CHOICES) == "Rain. Mood: Calm."

    def test_audio_messaging_stands_alone_without_an_audio_style(self) -> None:
        assert prompt.build(BriefTexts(audio_messaging="Birds"), {}, []) == "Audio: Birds."

    def test_staffs_own_dimension_comes_last_under_its_own_label(self) -> None:
        tempo = Choice("tempo", "Tempo:", (("slow", "Slow"),))
        built = prompt.build(BriefTexts(brand="Alder", big_idea="Rain"), {"tempo": "slow", "mood": "v"}, [tempo, *CHOICES])
        assert built == "Rain. Mood: Calm. Brand: Alder. Tempo: Slow."

    def test_staffs_words_for_a_dimension_replace_the_seeded_label_in_its_place(self) -> None:
        built = prompt.build(BriefTexts(), {"aesthetic": "v", "mood": "v"}, CHOICES, {"aesthetic": "Look"})
        assert built == "Look: Cinematic. Mood: Calm."

    def test_dimensions_with_one_label_share_one_part(self) -> None:
        pets = Choice("pets", "Pets", (("cat", "Cat people"),))
        built = prompt.build(BriefTexts(), {"pets": "cat", "gender": "v"}, [pets, *CHOICES], {"pets": "Target"})
        assert built == "Target: Female, Cat people."

    def test_a_label_that_the_brief_uses_too_keeps_both(self) -> None:
        built = prompt.build(
            BriefTexts(brand_voice="warm", audio_messaging="Birds"), {"audio_style": "v"}, CHOICES, {"audio_style": "Voice"}
        )
        assert built == "Voice: Voiceover, Birds, warm."

    def test_a_sentence_that_ends_by_itself_gets_no_second_mark(self) -> None:
        built = prompt.build(
            BriefTexts(big_idea="What if? ", visual_messaging="She says “stop.”", audio_messaging="Hush…"), {}, []
        )
        assert built == "What if? She says “stop.” Audio: Hush…"

    def test_spaces_collapse_and_what_cannot_be_stored_goes(self) -> None:
        assert prompt.build(BriefTexts(big_idea="a\x00 \n\t b\ud800\u00a0c"), {}, []) == "a b c."

    def test_a_value_without_words_is_written_as_its_key(self) -> None:
        assert prompt.build(BriefTexts(), {"mood": "calm"}, [Choice("mood", "Mood", (("calm", " "),))]) == "Mood: calm."

    @pytest.mark.parametrize(("cell", "named"), [({"tempo": "v"}, "tempo"), ({"mood": "grim"}, "“grim” in mood")])
    def test_a_cell_without_words_is_an_error_that_names_it(self, cell: dict[str, str], named: str) -> None:
        with pytest.raises(prompt.UnknownWords, match=named):
            prompt.build(BriefTexts(), cell, CHOICES)


class TestEveryPrompt:
    @given(briefs, labels)
    def test_has_all_the_chosen_words(self, brief: BriefTexts, words: dict[str, str]) -> None:
        built = prompt.build(brief, dict.fromkeys(words, "v"), choices_of(words))
        for text in words.values():
            assert " ".join(text.strip(" \t\n.,;:…!?”").split()) in built

    @given(briefs, labels)
    def test_never_doubles_a_mark_or_a_space(self, brief: BriefTexts, words: dict[str, str]) -> None:
        built = prompt.build(brief, dict.fromkeys(words, "v"), choices_of(words))
        assert not re.search(r"[.,;:!?…]\s*[.,;:!?…]|\s\s|\s[.,;:!?]|\n", built)
        assert built == built.strip()

    @given(briefs, labels)
    def test_names_no_empty_part(self, brief: BriefTexts, words: dict[str, str]) -> None:
        built = prompt.build(brief, dict.fromkeys(words, "v"), choices_of(words))
        assert not re.search(r": ?(\Z|[A-Z][a-z]*:)", built)

    @given(briefs, labels)
    def test_is_the_same_each_time_whatever_the_order_of_the_cell(self, brief: BriefTexts, words: dict[str, str]) -> None:
        choices = choices_of(words)
        backwards = dict.fromkeys(reversed(words), "v")
        assert prompt.build(brief, dict.fromkeys(words, "v"), choices) == PromptBuilder(brief, choices).build(backwards)

    @given(st.builds(BriefTexts, *[st.text(max_size=60)] * 6))
    def test_is_one_line_of_text_that_can_be_stored(self, brief: BriefTexts) -> None:
        built = prompt.build(brief, CELL, CHOICES)
        built.encode()
        assert "\x00" not in built
        assert len(built.splitlines()) == 1


class TestPromptTooLong:
    def test_it_names_the_longest_field_and_how_much_must_go(self) -> None:
        brief = BriefTexts(big_idea="Rain", visual_messaging="x" * 40_000)
        with pytest.raises(prompt.PromptTooLong, match=r"Shorten the visual messaging by 8,007\.") as refused:
            prompt.build(brief, {}, [])
        assert refused.value.field == "visual_messaging"
        shorter = BriefTexts(big_idea="Rain", visual_messaging="x" * (40_000 - refused.value.excess))
        assert len(prompt.build(shorter, {}, [])) == prompt.MAX_CHARACTERS


class TestAWholeMatrix:
    def test_each_sentence_is_written_once_however_many_cells_share_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[tuple[str | None, ...]] = []
        sentence = prompt._Part._sentence
        monkeypatch.setattr(prompt._Part, "_sentence", lambda part, taken: written.append(taken) or sentence(part, taken))
        choices = [
            Choice(key, key, tuple((f"{number}", f"{key} {number}") for number in range(size)))
            for key, size in [("aesthetic", 11), ("type", 10), ("mood", 6)]
        ]
        builder = PromptBuilder(BRIEF, choices)
        built = {builder.build(cell.values) for cell in matrix.cells(choices)}
        assert len(built) == 660
        # one for each value, and one for each part that no dimension of this campaign touches
        assert len(written) == 11 + 10 + 6 + 9
