"""Codecs: every parameter reaches the endpoint in its own field and type, and one that it can't express is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_app.rules import parameters
from queue_app.rules.codec import PARAMETERS, CannotSay, Codec, encode, say
from queue_app.rules.codec_checks import problems
from queue_app.rules.codec_offers import common, offers

URL = "https://example.com/{}.png"
FRAMES = {"first_frame": URL.format("first"), "last_frame": URL.format("last")}
REFERENCES = {"references": [URL.format(1), URL.format(2)]}

# --- codecs and values of any kind ------------------------------------------------------------------------------------

FIELD = {name: f"their_{name}" for name in PARAMETERS}
WORDS = st.lists(st.text("abcdef:0123456789", min_size=1, max_size=6), min_size=1, max_size=5, unique=True)
RATIOS = st.lists(st.sampled_from(["16:9", "9:16", "1:1", "4:3", "21:9"]), min_size=1, unique=True)
SIDES = st.lists(st.integers(64, 4096), min_size=2, max_size=2)
PAIRS = RATIOS.flatmap(
    lambda ratios: st.lists(SIDES, min_size=len(ratios), max_size=len(ratios), unique_by=tuple).map(
        lambda sizes: dict(zip(ratios, sizes, strict=True))
    )
)


def by_words(name: str) -> st.SearchStrategy[dict[str, Any]]:
    ours_to_theirs = WORDS.map(lambda words: {word: f"their {word}" for word in words})
    said = st.fixed_dictionaries({"field": st.just(FIELD[name]), "values": WORDS | ours_to_theirs})
    return said | WORDS.map(lambda words: {"fixed": words[0]})


def a_switch(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.just({"field": FIELD[name]}) | st.booleans().map(lambda value: {"fixed": value})


DURATION = st.builds(
    lambda kind, seconds: {"field": FIELD["duration"], "as": kind, **seconds},
    st.sampled_from(["string", "string_s", "integer", "number"]),
    st.lists(st.integers(1, 60), min_size=1, unique=True).map(lambda values: {"values": values})
    | st.tuples(st.integers(1, 10), st.integers(0, 20)).map(lambda span: {"low": span[0], "high": sum(span)}),
) | st.integers(1, 60).map(lambda seconds: {"fixed": seconds})
SIZES = PAIRS.flatmap(
    lambda pairs: st.fixed_dictionaries({ratio: st.sampled_from([f"size {ratio}", pair]) for ratio, pair in pairs.items()})
)
ASPECT = st.one_of(
    by_words("aspect_ratio"),
    SIZES.map(lambda sizes: {"field": FIELD["aspect_ratio"], "sizes": sizes}),
    PAIRS.map(lambda sizes: {"fields": ["their_width", "their_height"], "sizes": sizes}),
)
SEED = st.fixed_dictionaries({"field": st.just(FIELD["seed"])}, optional={"high": st.integers(100, 2**31)})
CODECS = st.fixed_dictionaries(
    {},
    optional={
        "prompt": st.integers(1, 50).map(lambda most: {"most": most}),
        "duration": DURATION,
        "aspect": ASPECT,
        "resolution": by_words("resolution"),
        "quality": by_words("quality"),
        "audio": a_switch("audio"),
        "loop": a_switch("loop"),
        "seed": SEED,
        "negative_prompt": st.integers(1, 50).map(lambda most: {"field": FIELD["negative_prompt"], "most": most}),
        "count": st.integers(1, 10).map(lambda high: {"field": FIELD["count"], "high": high}),
        "always": st.just({"safety": "2"}),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from([*PARAMETERS, "images", "fps"])
# like a codec, but with arbitrary values at arbitrary places
ODD_CODECS = st.dictionaries(
    st.sampled_from(["prompt", "duration", "aspect", "resolution", "seed", "count", "loop", "images", "always", "fps"]),
    st.dictionaries(
        st.sampled_from(
            ["field", "fields", "as", "values", "low", "high", "fixed", "sizes", "by_resolution", "most", "first_frame", "codec"]
        ),
        JSON,
        max_size=4,
    )
    | JSON,
    max_size=4,
)


def asks(codec: Codec) -> st.SearchStrategy[dict[str, Any]]:
    """Generate values that a codec offers, for any of its parameters."""
    values: dict[str, st.SearchStrategy[Any]] = {}
    for name, rule in offers(codec).items():
        if "values" in rule:
            values[name] = st.sampled_from(rule["values"])
        elif "most" in rule:
            values[name] = st.text(max_size=rule["most"])
        else:
            values[name] = st.integers(rule["low"], rule["high"])
    return st.fixed_dictionaries({}, optional=values)


# --- what always holds --------------------------------------------------------------------------------------------------


@given(CODECS)
def test_a_codec_made_of_its_parts_has_no_problem(codec: Codec) -> None:
    assert problems(codec) == []


@given(JSON | ODD_CODECS)
def test_problems_of_anything_are_words(value: Any) -> None:
    assert all(isinstance(words, str) and words.endswith(".") for words in problems(value))


@given(st.data())
def test_whatever_is_offered_is_said_once_and_as_it_is_meant(data: st.DataObject) -> None:
    codec = data.draw(CODECS)
    asked = data.draw(asks(codec))

    wire, endpoint = say(codec, asked, characters=1)

    assert endpoint is None
    for name, value in asked.items():
        part = codec.get(PARAMETERS[name], {"fixed": value})
        if "fixed" in part or (name == "negative_prompt" and not value):
            assert FIELD[name] not in wire
        elif "fields" in part:
            assert [wire["their_width"], wire["their_height"]] == part["sizes"][value]
        else:
            assert meaning(part, wire[FIELD[name]]) == value
    assert wire.get("safety") == codec.get("always", {}).get("safety")
    assert len(wire) <= len(asked) + 1 + ("their_width" in wire)


def meaning(part: dict[str, Any], said: Any) -> Any:
    """Return the parameter in a field, as the provider would read it."""
    if "as" in part:
        assert isinstance(said, str) == part["as"].startswith("string")
        return int(said.removesuffix("s")) if isinstance(said, str) else said
    if "sizes" in part:
        size = [said["width"], said["height"]] if isinstance(said, dict) else said
        return next(ratio for ratio, one in part["sizes"].items() if one == size)
    if isinstance(part.get("values"), dict):
        return next(ours for ours, theirs in part["values"].items() if theirs == said)
    return said


@given(CODECS, st.dictionaries(NAMES, JSON, max_size=4), st.text(max_size=60))
def test_anything_else_is_refused_by_the_name_of_its_parameter(codec: Codec, asked: dict[str, Any], prompt: str) -> None:
    try:
        wire, _ = encode(codec, {**asked, "prompt": prompt})
    except CannotSay as refusal:
        assert refusal.parameter in {*asked, "prompt", "aspect_ratio"}
        assert refusal.message
    else:
        assert wire["prompt"] == prompt != ""
        json.dumps(wire)


@given(st.lists(CODECS, min_size=1, max_size=3), st.data())
def test_what_codecs_have_in_common_each_of_them_says(codecs: list[Codec], data: st.DataObject) -> None:
    shared = common(codecs)
    for name, rule in shared.items():
        value = data.draw(st.sampled_from(rule["values"]) if "values" in rule else one_within(rule))
        for codec in codecs:
            say(codec, {name: value}, characters=1)


def one_within(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.text(max_size=rule["most"]) if "most" in rule else st.integers(rule["low"], rule["high"])


@given(CODECS, st.data())
def test_a_model_that_offers_what_its_codec_does_settles_to_what_can_be_said(codec: Codec, data: st.DataObject) -> None:
    offered = {name: {**rule, "default": rule["values"][0]} if "values" in rule else rule for name, rule in offers(codec).items()}
    asked = {name: value for name, value in data.draw(asks(codec)).items() if name != "negative_prompt"}

    settled, wrong = parameters.settle("a model", offered, asked)

    assert wrong == {}
    say(codec, settled, characters=1)


# --- examples -----------------------------------------------------------------------------------------------------------

VIDEO: Codec = {
    "prompt": {"most": 30},
    "duration": {"field": "duration", "as": "string_s", "values": [4, 6, 8]},
    "aspect": {"field": "aspect_ratio", "values": ["16:9", "9:16"]},
    "resolution": {"field": "resolution", "values": {"720p": "720p", "4k": "4K"}},
    "audio": {"field": "generate_audio"},
    "seed": {"field": "seed"},
    "images": [
        {"first_frame": "image_url", "endpoint": "veo/image-to-video", "from_image": ["aspect_ratio"]},
        {"first_frame": "first_url", "last_frame": "last_url", "endpoint": "veo/first-last"},
        {
            "references": {"field": "image_urls", "most": 2},
            "endpoint": "veo/reference",
            "codec": {"seed": None, "duration": {"field": "duration", "as": "string_s", "values": [8]}},
        },
    ],
}
IMAGE: Codec = {
    "aspect": {
        "field": "image_size",
        "by_resolution": {"1K": {"1:1": [1024, 1024], "16:9": [1344, 768]}, "2K": {"1:1": [2048, 2048]}},
    }
}


def refused(codec: Codec, **asked: Any) -> tuple[str, str]:
    with pytest.raises(CannotSay) as refusal:
        encode(codec, {"prompt": "A tram.", **asked})
    return refusal.value.parameter, refusal.value.message


class TestEncode:
    def test_says_each_parameter_in_its_field(self) -> None:
        asked = {"duration": 8, "aspect_ratio": "9:16", "resolution": "4k", "audio": False, "seed": 0, "loop": False, "count": 1}
        assert encode(VIDEO, {"prompt": "A tram.", "quality": None, **asked}) == (
            {
                "prompt": "A tram.",
                "duration": "8s",
                "aspect_ratio": "9:16",
                "resolution": "4K",
                "generate_audio": False,
                "seed": 0,
            },
            None,
        )

    @pytest.mark.parametrize(
        ("kind", "said"), [("string", "8"), ("string_s", "8s"), ("integer", 8), ("number", 8)], ids=lambda value: repr(value)
    )
    def test_says_seconds_in_the_endpoint_s_type(self, kind: str, said: Any) -> None:
        codec = {"duration": {"field": "seconds", "as": kind, "low": 4, "high": 12}}
        assert encode(codec, {"prompt": "x", "duration": 8})[0]["seconds"] == said

    def test_says_a_size_for_ratio_and_resolution(self) -> None:
        asked = {"prompt": "x", "aspect_ratio": "1:1"}
        assert encode(IMAGE, asked)[0]["image_size"] == {"width": 1024, "height": 1024}
        assert encode(IMAGE, asked | {"resolution": "2K"})[0]["image_size"] == {"width": 2048, "height": 2048}
        assert refused(IMAGE, aspect_ratio="16:9", resolution="2K") == ("aspect_ratio", "aspect_ratio must be 1:1, not 16:9.")
        assert refused(IMAGE, aspect_ratio="1:1", resolution="8K") == ("resolution", "resolution must be 1K or 2K, not 8K.")
        assert refused(IMAGE, resolution="2K")[0] == "aspect_ratio"

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"duration": 5}, "duration must be 4, 6 or 8 s, not 5."),
            ({"duration": "8"}, "duration must be 4, 6 or 8 s, not the text “8”."),
            ({"aspect_ratio": "1:1"}, "aspect_ratio must be 16:9 or 9:16, not 1:1."),
            ({"resolution": "4K"}, "resolution must be 720p or 4k, not 4K."),
            ({"audio": "no"}, "audio must be true or false, not the text “no”."),
            ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, not -1."),
            ({"loop": True}, "loop can't be set here."),
            ({"count": 2}, "count can't be set here."),
            ({"negative_prompt": "rain"}, "negative_prompt can't be set here."),
            ({"fps": 24}, "fps can't be set here."),
            ({"prompt": "x" * 31}, "The prompt is 31 characters; the limit is 30."),
            ({"prompt": ""}, "Enter a prompt."),
            ({"images": {"first_frame": ["a"]}}, "images.first_frame must be a URL."),
            ({"images": {"references": "a"}}, "images.references must be a list of URLs."),
            ({"images": {"middle": "a"}}, "images must be an object of first_frame, last_frame, references."),
            ({"images": {"last_frame": "a"}}, "A last frame needs a first frame, too."),
            ({"images": {"references": ["a"] * 3}}, "You sent 3 reference images; the limit is 2."),
            (
                {"images": FRAMES | REFERENCES},
                "Images can only be used as first frame, first frame with last frame or references here.",
            ),
        ],
    )
    def test_says_what_can_be_asked_for_instead(self, asked: dict[str, Any], message: str) -> None:
        assert refused(VIDEO, **asked) == (next(iter(asked)), message)

    def test_says_what_an_endpoint_always_does_by_saying_nothing(self) -> None:
        codec = {"duration": {"fixed": 6}, "audio": {"fixed": True}}
        assert encode(codec, {"prompt": "x", "duration": 6, "audio": True}) == ({"prompt": "x"}, None)
        assert refused(codec, duration=5) == ("duration", "duration must be 6, not 5.")
        assert refused(codec, audio=False) == ("audio", "audio must be true, not false.")


class TestImages:
    def test_lead_to_the_endpoint_that_takes_them(self) -> None:
        first = {"first_frame": FRAMES["first_frame"]}
        assert encode(VIDEO, {"prompt": "x", "aspect_ratio": "1:1", "images": first}) == (
            {"prompt": "x", "image_url": FRAMES["first_frame"]},
            "veo/image-to-video",
        )
        both = {"prompt": "x", "first_url": FRAMES["first_frame"], "last_url": FRAMES["last_frame"]}
        assert encode(VIDEO, {"prompt": "x", "images": FRAMES}) == (both, "veo/first-last")
        assert encode(VIDEO, {"prompt": "x", "duration": 8, "images": REFERENCES}) == (
            {"prompt": "x", "duration": "8s", "image_urls": REFERENCES["references"]},
            "veo/reference",
        )

    def test_change_what_else_can_be_asked(self) -> None:
        assert refused(VIDEO, seed=1, images=REFERENCES) == ("seed", "seed can't be set here.")
        assert refused(VIDEO, duration=4, images=REFERENCES) == ("duration", "duration must be 8 s, not 4.")

    def test_are_said_as_the_endpoint_wants_them(self) -> None:
        item = {"type": "image_url", "image_url": {"url": "{url}"}}
        frame = {"field": "frame_images", "list": True}
        codec = {
            "images": {
                "first_frame": {**frame, "item": {**item, "frame_type": "first_frame"}},
                "last_frame": {**frame, "item": {**item, "frame_type": "last_frame"}},
            }
        }
        wire, _ = encode(codec, {"prompt": "x", "images": FRAMES})
        assert wire["frame_images"] == [
            {"type": "image_url", "image_url": {"url": url}, "frame_type": role} for role, url in FRAMES.items()
        ]

    @pytest.mark.parametrize("none", [None, {}, {"references": []}, {"first_frame": None}])
    def test_that_are_none_are_not_asked_for(self, none: Any) -> None:
        assert encode({}, {"prompt": "x", "images": none}) == ({"prompt": "x"}, None)


class TestOffers:
    def test_are_a_model_s_parameters(self) -> None:
        assert offers(VIDEO) == {
            "duration": {"values": [4, 6, 8], "unit": "s"},
            "aspect_ratio": {"values": ["16:9", "9:16"]},
            "resolution": {"values": ["720p", "4k"]},
            "audio": {"values": [False, True]},
            "seed": {"low": 0, "high": 4_294_967_295},
            "loop": {"values": [False]},
            "images": {"roles": {"first_frame": 1, "last_frame": 1, "references": 2}},
        }
        assert offers(IMAGE)["aspect_ratio"] == {"values": ["1:1"]}, "what every resolution has"

    def test_in_common_are_the_narrower_ones(self) -> None:
        other = {
            "duration": {"field": "d", "as": "integer", "low": 5, "high": 10},
            "aspect": {"field": "a", "values": ["1:1", "9:16"]},
            "audio": {"fixed": True},
            "images": {"references": {"field": "r", "most": 1}},
        }
        assert common([VIDEO, other]) == {
            "duration": {"values": [6, 8], "unit": "s"},
            "aspect_ratio": {"values": ["9:16"]},
            "audio": {"values": [True]},
            "loop": {"values": [False]},
            "images": {"roles": {"references": 1}},
        }
        assert common([]) == {}


class TestProblems:
    @pytest.mark.parametrize(
        ("codec", "words"),
        [
            ([], "A codec is an object."),
            ({"fps": {"field": "fps"}}, "Unknown part “fps”. Available: prompt, duration, "),
            ({"duration": 5}, "duration must be an object."),
            ({"duration": {"field": "d", "as": "text", "values": [5]}}, "duration: “as” must be integer, number, string or"),
            (
                {"duration": {"field": "d", "as": "string", "values": ["5"]}},
                "duration: “values” must be a list of whole seconds.",
            ),
            ({"duration": {"field": "d", "as": "string", "low": 5}}, "duration: Give “values”, or “low” and “high”"),
            ({"duration": {"as": "string", "values": [5]}}, "duration: “field” must be the name of a field."),
            ({"duration": {"fixed": "5"}}, "duration: “fixed” can't be the text “5”."),
            ({"duration": {"fixed": 5, "field": "d"}}, "duration: “fixed” stands alone."),
            ({"seed": {"field": "s", "unit": 1}}, "seed: Unknown member unit. Available: field, high, low."),
            ({"aspect": {"field": "a"}}, "aspect: Give one of “values”, “sizes” and “by_resolution”."),
            ({"aspect": {"field": "a", "sizes": {"1:1": [1]}}}, "aspect: Sizes must be names or [width, height]"),
            ({"aspect": {"field": "a", "by_resolution": [{"1:1": "s"}]}}, "aspect: Sizes must be names or [width, height]"),
            ({"aspect": {"fields": ["w"], "sizes": {"1:1": [1, 1]}}}, "aspect: “fields” are two names, for width and height"),
            ({"aspect": {"fields": ["w", "h"], "sizes": {"1:1": "s"}}}, "aspect: “fields” needs sizes of [width, height]."),
            ({"resolution": {"field": "r", "values": []}}, "resolution: “values” must be a list of words"),
            ({"count": {"field": "n", "high": 0}}, "count: “high” must be a whole number from 1 to 100."),
            ({"images": {"endpoint": "e"}}, "images must take first_frame, last_frame or references."),
            ({"images": [{"references": "r"}]}, "images[0].references must be an object of field, item, most."),
            ({"images": {"references": {"field": "r"}}}, "images.references needs “most”"),
            ({"images": {"first_frame": {"field": "f", "item": {"url": "x"}}}}, "images.first_frame needs “{url}”"),
            ({"images": {"first_frame": "f", "from_image": ["fps"]}}, "images.from_image must be a list of parameters."),
            ({"images": {"first_frame": "f", "codec": {"seed": {}}}}, "images.codec.seed: “field” must be"),
        ],
    )
    def test_are_said_with_their_place(self, codec: Any, words: str) -> None:
        (found,) = problems(codec)
        assert found.startswith(words)
