"""When a value explains the failures, and when nothing does."""

import random
from itertools import product

import pytest

from campaigns.rules.breaker import Cause, Outcome, causes

BAD, DOWN = "moderation", "provider_failed"
STYLES, MOODS = ("noir", "ugc", "cinematic"), ("calm", "tense", "warm", "brisk")


def ends(**numbers: int) -> list[Outcome]:
    """Cells by style and end, of various moods: `noir_bad=4` are four noir ones that failed with BAD."""
    found = []
    for name, number in numbers.items():
        style, _, how = name.partition("_")
        code = {"ok": "", "bad": BAD, "down": DOWN}[how]
        found += [Outcome({"style": style, "mood": MOODS[(len(found) + n) % 4]}, code) for n in range(number)]
    return found


@pytest.mark.parametrize(
    ("said", "finished", "expected"),
    [
        ("four of four, and the others are well", ends(noir_bad=4, ugc_ok=3), ("noir", 4, 4)),
        ("eight of nine failures", ends(noir_bad=8, ugc_bad=1, ugc_ok=9), ("noir", 8, 9)),
        ("some of the value complete", ends(noir_bad=6, noir_ok=4, ugc_ok=8), ("noir", 6, 6)),
        ("exactly the share and the rate", ends(noir_bad=12, noir_ok=8, ugc_bad=3, ugc_ok=12), ("noir", 12, 15)),
        ("three are too few", ends(noir_bad=3, ugc_ok=20), None),
        ("less than four of five failures", ends(noir_bad=11, ugc_bad=3, ugc_ok=30), None),
        ("fewer than three of five of the value fail", ends(noir_bad=11, noir_ok=8, ugc_ok=30), None),
        ("the others fail, too", ends(noir_bad=8, ugc_down=3, ugc_ok=9), None),
        ("no other has finished yet", ends(noir_bad=8), None),
        ("two others prove little", ends(noir_bad=8, ugc_ok=2), None),
        ("an outage of the whole model", ends(noir_down=5, ugc_down=5, cinematic_down=5), None),
        ("an outage while most run well", ends(noir_down=3, ugc_down=3, cinematic_down=3, noir_ok=9, ugc_ok=9), None),
        ("nothing fails", ends(noir_ok=5, ugc_ok=5), None),
    ],
)
def test_the_table(said, finished, expected):
    found = causes(finished)
    assert [(one.value, one.failures, one.of) for one in found] == ([expected] if expected else []), said


def test_another_error_beside_it_hides_nothing():
    finished = ends(noir_bad=8, ugc_down=1, cinematic_down=1, ugc_ok=9)
    assert causes(finished) == [Cause("style", "noir", BAD, 8, 8)]


def test_two_values_that_always_come_together_are_not_told_apart():
    together = [Outcome({"style": "noir", "mood": "calm"}, BAD)] * 5 + [Outcome({"style": "ugc", "mood": "warm"})] * 5
    assert causes(together) == []
    apart = [*together, Outcome({"style": "ugc", "mood": "calm"})]
    assert causes(apart) == [Cause("style", "noir", BAD, 5, 5)]


def test_a_known_cause_is_not_told_again_but_the_same_value_with_another_code_is():
    finished = ends(noir_bad=4, ugc_ok=9)
    assert causes(finished, known={("style", "noir", BAD)}) == []
    assert causes(finished, known={("style", "noir", DOWN)}) != []


def test_of_campaigns_in_which_one_video_in_ten_fails_at_random_less_than_one_in_a_hundred_trips():
    tripped = 0
    for seed in range(200):
        chance = random.Random(seed)
        cells = [{"style": style, "mood": mood} for style, mood in product(STYLES, MOODS) for _ in range(3)]
        finished = [Outcome(values, BAD if chance.random() < 0.1 else "") for values in cells]
        tripped += any(causes(finished[:number]) for number in range(1, len(finished) + 1))
    assert tripped < 2
