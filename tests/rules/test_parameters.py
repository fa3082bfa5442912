"""Parameters that a model accepts, and the messages for all others."""

import pytest

from queue_app.rules import parameters

SORA = {
    "duration": {"values": [4, 8, 12], "default": 8, "unit": "s"},
    "aspect_ratio": {"values": ["16:9", "9:16"], "default": "16:9"},
    "loop": {"values": [False], "default": False},
    "seed": {"low": 0, "high": 9},
}


def problem_of(**given):
    _, problems = parameters.settle("sora-2", SORA, given)
    (message,) = problems.values()
    return message


class TestSettle:
    def test_fills_in_the_defaults(self):
        assert parameters.settle("sora-2", SORA, {}) == ({"duration": 8, "aspect_ratio": "16:9", "loop": False}, {})

    def test_takes_what_is_offered(self):
        settled, problems = parameters.settle("sora-2", SORA, {"duration": 12, "seed": 9})

        assert problems == {}
        assert settled == {"duration": 12, "aspect_ratio": "16:9", "loop": False, "seed": 9}

    def test_null_is_the_default(self):
        assert parameters.settle("sora-2", SORA, {"duration": None, "seed": None})[0] == parameters.settle("sora-2", SORA, {})[0]

    def test_says_what_is_offered_instead(self):
        assert problem_of(duration=7) == "duration must be 4, 8 or 12 s for sora-2, not 7."
        assert problem_of(loop=True) == "loop must be false for sora-2, not true."
        assert problem_of(seed=10) == "seed must be a whole number from 0 to 9, not 10."
        assert problem_of(duration="8") == "duration must be 4, 8 or 12 s for sora-2, not the text “8”."
        assert problem_of(seed="8") == "seed must be a whole number from 0 to 9, not the text “8”."

    def test_says_which_parameters_there_are(self):
        assert problem_of(fps=60) == "sora-2 has no parameter “fps”. Available: duration, aspect_ratio, loop, seed."

    @pytest.mark.parametrize("value", ["8", 8.0, True, [8], {"s": 8}, "8" * 500])
    def test_takes_no_look_alike(self, value):
        assert "duration must be 4, 8 or 12 s" in problem_of(duration=value)

    @pytest.mark.parametrize("value", [True, 1.0, "1", -1])
    def test_takes_no_look_alike_of_a_whole_number(self, value):
        assert "whole number from 0 to 9" in problem_of(seed=value)

    def test_names_every_problem(self):
        _, problems = parameters.settle("sora-2", SORA, {"duration": 7, "fps": 60, "seed": 4})

        assert set(problems) == {"duration", "fps"}

    def test_names_no_more_problems_than_one_answer_does_and_one(self):
        _, problems = parameters.settle("sora-2", SORA, {f"p{n}": n for n in range(10_000)})

        assert len(problems) == parameters.PROBLEMS_MOST + 1

    def test_a_long_value_is_cut_in_the_message(self):
        assert len(problem_of(duration="x" * 5_000)) < 120
