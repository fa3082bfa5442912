from math import prod

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaigns.rules import matrix
from campaigns.rules.matrix import Choice

# Signs that the key of a cell uses itself are among them on purpose.
keys = st.text(alphabet="ab:,-é %", min_size=1, max_size=4)


@st.composite
def choice_lists(draw: st.DrawFn) -> list[Choice]:
    dimensions = draw(st.lists(keys, min_size=1, max_size=5, unique=True))
    sizes = [draw(st.integers(0, 4)) for _ in dimensions]
    assume(any(sizes) and prod(max(size, 1) for size in sizes) <= matrix.MAX_CELLS)
    return [
        Choice(
            name,
            name.upper(),
            tuple((key, key.upper()) for key in draw(st.lists(keys, min_size=size, max_size=size, unique=True))),
        )
        for name, size in zip(dimensions, sizes, strict=True)
    ]


@st.composite
def choices_and_exclusions(draw: st.DrawFn) -> tuple[list[Choice], list[dict[str, str]]]:
    choices = draw(choice_lists())
    chosen = [choice for choice in choices if choice.values]
    exclusions = []
    for _ in range(draw(st.integers(0, 6))):
        named = draw(st.lists(st.sampled_from(chosen), min_size=1, unique_by=lambda choice: choice.key))
        exclusions.append({choice.key: draw(st.sampled_from(choice.values))[0] for choice in named})
    return choices, exclusions


def choice(key: str, size: int) -> Choice:
    return Choice(
        key, key.replace("_", " ").capitalize(), tuple((f"{key}-{number}", f"{key} {number}") for number in range(1, size + 1))
    )


AESTHETIC, MOOD = choice("aesthetic", 3), choice("mood", 2)


class TestCells:
    @given(choice_lists())
    def test_there_are_as_many_as_the_product_says(self, choices: list[Choice]) -> None:
        assert len(matrix.cells(choices)) == matrix.count(choices)

    @given(choice_lists())
    def test_none_is_there_twice(self, choices: list[Choice]) -> None:
        cells = matrix.cells(choices)
        assert len({cell.key for cell in cells}) == len({tuple(cell.values.items()) for cell in cells}) == len(cells)

    @given(choice_lists())
    def test_each_has_one_chosen_value_of_each_dimension_that_takes_part(self, choices: list[Choice]) -> None:
        allowed = {choice.key: {key for key, _ in choice.values} for choice in choices if choice.values}
        for cell in matrix.cells(choices):
            assert list(cell.values) == list(allowed)
            assert all(value in allowed[dimension] for dimension, value in cell.values.items())

    @given(choices_and_exclusions())
    def test_a_cell_is_there_exactly_if_no_exclusion_agrees_with_it(
        self, drawn: tuple[list[Choice], list[dict[str, str]]]
    ) -> None:
        choices, exclusions = drawn
        expected = [
            cell
            for cell in matrix.cells(choices)
            if not any(exclusion.items() <= cell.values.items() for exclusion in exclusions)
        ]
        assert matrix.cells(choices, exclusions) == expected

    @given(choices_and_exclusions())
    def test_the_same_choices_give_the_same_cells_in_the_same_order(
        self, drawn: tuple[list[Choice], list[dict[str, str]]]
    ) -> None:
        choices, exclusions = drawn
        assert matrix.cells(choices, exclusions) == matrix.cells(list(choices), exclusions[::-1])

    def test_the_last_dimension_changes_fastest(self) -> None:
        rows = [tuple(cell.values.values()) for cell in matrix.cells([AESTHETIC, MOOD])]
        assert rows[:3] == [("aesthetic-1", "mood-1"), ("aesthetic-1", "mood-2"), ("aesthetic-2", "mood-1")]

    def test_an_exclusion_does_not_renumber_the_others(self) -> None:
        cells = matrix.cells([AESTHETIC, MOOD], [{"aesthetic": "aesthetic-1"}, {"aesthetic": "aesthetic-2", "mood": "mood-2"}])
        assert [cell.index for cell in cells] == [3, 5, 6]

    def test_a_cell_keeps_its_key_when_dimensions_are_reordered_and_values_added(self) -> None:
        before = {cell.key for cell in matrix.cells([AESTHETIC, MOOD])}
        after = {cell.key for cell in matrix.cells([choice("mood", 3), choice("aesthetic", 4)])}
        assert before < after

    def test_excluding_everything_leaves_an_empty_list(self) -> None:
        assert matrix.cells([MOOD], [{"mood": "mood-1"}, {"mood": "mood-2"}]) == []

    def test_each_cell_can_be_excluded_by_itself_in_the_largest_matrix(self) -> None:
        choices = [choice("aesthetic", 11), choice("type", 6), choice("mood", 5), choice("intention", 2)]
        every = matrix.cells(choices)
        assert len(every) == matrix.MAX_CELLS
        assert matrix.cells(choices, [cell.values for cell in every]) == []


class TestRefusedExclusions:
    def test_an_empty_one_says_what_it_would_do(self) -> None:
        with pytest.raises(matrix.BadExclusion, match="Exclusion 2 is empty and would exclude everything") as refused:
            matrix.cells([MOOD], [{"mood": "mood-1"}, {}])
        assert refused.value.field == "exclude[1]"

    def test_an_unknown_dimension_is_named(self) -> None:
        with pytest.raises(matrix.BadExclusion, match=r"Exclusion 1 uses “colour”.*Selected dimensions: mood\."):
            matrix.cells([MOOD, Choice("colour", "Colour", ())], [{"colour": "red"}])

    def test_an_unknown_value_is_named_with_those_to_choose_from(self) -> None:
        with pytest.raises(matrix.BadExclusion, match=r"“grim”, which is not selected in Mood. Selected: mood-1, mood-2\."):
            matrix.cells([MOOD], [{"mood": "grim"}])


class TestRefusedChoices:
    @pytest.mark.parametrize("choices", [[], [Choice("mood", "Mood", ())]])
    def test_no_value_at_all_says_what_to_do(self, choices: list[Choice]) -> None:
        with pytest.raises(matrix.EmptyMatrix, match="Choose at least one dimension value"):
            matrix.cells(choices)

    def test_a_dimension_twice_is_refused(self) -> None:
        with pytest.raises(matrix.RepeatedChoice, match="“mood” appears twice"):
            matrix.cells([MOOD, MOOD])

    def test_a_value_twice_is_refused(self) -> None:
        with pytest.raises(matrix.RepeatedChoice, match="“calm” appears twice in Mood"):
            matrix.cells([Choice("mood", "Mood", (("calm", "Calm"), ("calm", "Quiet")))])


class TestTooManyCells:
    def test_the_dimension_that_multiplies_most_is_named_with_how_many_to_drop(self) -> None:
        choices = [choice("mood", 8), choice("funnel_level", 10), choice("type", 9)]
        with pytest.raises(matrix.TooManyCells) as refused:
            matrix.cells(choices)
        said = "That makes 720 combinations; the limit is 660. Remove 1 of the 10 Funnel level values."
        assert str(refused.value) == said
        assert (refused.value.dimension, refused.value.drop, refused.value.count) == ("funnel_level", 1, 720)
        assert refused.value.field == "dimensions.funnel_level"

    def test_661_is_one_too_many(self) -> None:
        with pytest.raises(matrix.TooManyCells, match="Remove 1 of the 661 Mood values"):
            matrix.cells([choice("mood", 661)])
        assert len(matrix.cells([choice("mood", 660)])) == 660

    @given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    def test_what_the_message_asks_for_is_enough(self, sizes: list[int]) -> None:
        assume(prod(sizes) > matrix.MAX_CELLS)
        choices = [choice(f"d{number}", size) for number, size in enumerate(sizes)]
        left = {choice.key: len(choice.values) for choice in choices}
        for mended, drop in matrix._values_to_drop(choices):
            left[mended.key] -= drop
        assert min(left.values()) >= 1
        assert prod(left.values()) <= matrix.MAX_CELLS

    def test_an_absurd_product_is_counted_without_being_built(self) -> None:
        choices = [choice(f"d{number}", 100) for number in range(11)]
        assert matrix.count(choices) == 100**11
        with pytest.raises(matrix.TooManyCells):
            matrix.cells(choices)

    def test_exclusions_do_not_get_a_matrix_under_the_limit(self) -> None:
        with pytest.raises(matrix.TooManyCells):
            matrix.cells([choice("mood", 661)], [{"mood": "mood-1"}])


def test_count_is_nothing_when_nothing_is_chosen() -> None:
    assert matrix.count([Choice("mood", "Mood", ())]) == 0


class TestCompact:
    @given(st.data())
    def test_it_takes_out_the_very_cells_that_it_was_given(self, data: st.DataObject) -> None:
        choices = data.draw(choice_lists())
        every = matrix.cells(choices)
        out = data.draw(st.sets(st.sampled_from([cell.key for cell in every])))
        assert matrix.cells(choices, matrix.compact(choices, out)) == [cell for cell in every if cell.key not in out]

    def test_all_cells_of_a_value_become_one_exclusion(self) -> None:
        out = [cell.key for cell in matrix.cells([AESTHETIC, MOOD]) if cell.values["mood"] == "mood-2"]
        assert matrix.compact([AESTHETIC, MOOD], out) == [{"mood": "mood-2"}]

    def test_keys_of_cells_that_are_gone_are_ignored(self) -> None:
        assert matrix.compact([MOOD], ["mood:grim"]) == []


def test_still_apply_leaves_away_what_is_no_longer_chosen() -> None:
    kept: list[matrix.Exclusion] = [{"mood": "mood-1"}, {"mood": "mood-2", "aesthetic": "aesthetic-1"}]
    gone: list[matrix.Exclusion] = [{"mood": "mood-9"}, {"type": "demo"}, {"mood": "mood-1", "type": "demo"}, {}]
    assert matrix.still_apply([AESTHETIC, MOOD, Choice("type", "Type", ())], [*gone, *kept]) == kept
