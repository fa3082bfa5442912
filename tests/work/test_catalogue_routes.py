"""
Every seeded route is compared with its provider's own list of fields: all that we send has a field of that type there, with a
value that the field accepts, and values that are expensive or undetermined if left out are always sent.

The tables come from the providers' typed clients and schema pages, not from our codecs; the studio uses fal's, too.
"""

import itertools
from typing import Any

import pytest

from genqueue_site.studio.dialects.fal.inputs import INPUTS as FAL
from genqueue_site.studio.dialects.fields import takes
from queue_app.rules import parameters
from queue_app.rules.codec import CannotSay, say
from queue_app.rules.codec_checks import problems as codec_problems
from queue_app.rules.pricing import problems as price_problems
from queue_app.work.catalogue.seeds import MODELS, ModelSeed, RouteSeed

BANANA = "21:9 16:9 3:2 4:3 5:4 1:1 4:5 3:4 2:3 9:16"
SIX = "21:9 16:9 4:3 1:1 3:4 9:16"
WAN = "16:9 9:16 1:1 4:3 3:4"
KLING = {"prompt": "T2500", "aspect_ratio": "S 16:9 9:16 1:1", "negative_prompt": "T2500"}
WAN_27 = {"prompt": "T5000", "duration": "I 2-15", "resolution": "S 720p 1080p", "seed": "I", "negative_prompt": "T500"}
REPLICATE_VIDEO = {"prompt": "T2000", "first_frame_image": "U"}
REPLICATE: dict[str, dict[str, str]] = {
    "black-forest-labs/flux-2-pro": {
        "prompt": "T",
        "aspect_ratio": "S 1:1 custom",
        "width": "I 256-2048",
        "height": "I 256-2048",
        "seed": "I",
        "output_format": "S webp jpg png",
        "input_images": "U[8]",
    },
    "bytedance/seedream-4.5": {
        "prompt": "T4000",
        "size": "S 2K 4K custom",
        "aspect_ratio": "S match_input_image 1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9",
        "image_input": "U[14]",
    },
    "google/nano-banana-2": {
        "prompt": "T20000",
        "aspect_ratio": f"S {BANANA}",
        "resolution": "S 1K 2K 4K",
        "image_input": "U[14]",
    },
    "minimax/video-01": REPLICATE_VIDEO,
    "minimax/hailuo-2.3": REPLICATE_VIDEO | {"duration": "I 6 10"},
    "haiper-ai/haiper-video-2": {"prompt": "T2000"},
    "kwaivgi/kling-v1.6-standard": KLING | {"duration": "I 5 10", "start_image": "U"},
    "bytedance/seedance-2.0": {
        "prompt": "T",
        "duration": "I 4-15",
        "aspect_ratio": f"S {SIX} adaptive",
        "resolution": "S 480p 720p 1080p",
        "generate_audio": "B",
        "image": "U",
        "last_frame_image": "U",
        "reference_images": "U[9]",
    },
    "wan-video/wan-2.7-t2v": WAN_27 | {"aspect_ratio": f"S {WAN}"},
}

ROUTER_RATIOS = "16:9 9:16 1:1 4:3 3:4 3:2 2:3 21:9 9:21"
ROUTER = {
    "prompt": "T",
    "resolution": "S 480p 720p 768p 1080p 1K 2K 4K",
    "aspect_ratio": f"S {ROUTER_RATIOS}",
    "generate_audio": "B",
    "seed": "I",
    "frame_images": "FRAMES",
    "input_references": "IMAGES",
}
OPENROUTER: dict[str, dict[str, str]] = {
    "bytedance/seedance-2.0": ROUTER | {"duration": "I 4-15"},
    "google/veo-3.1": ROUTER | {"duration": "I 4 6 8"},
    "kwaivgi/kling-v3.0-std": ROUTER | {"duration": "I 3-15"},
    "minimax/hailuo-2.3": ROUTER | {"duration": "I 6 10"},
    "minimax/hailuo-3": ROUTER | {"duration": "I 5-15"},
    "alibaba/wan-2.7": ROUTER | {"duration": "I 2-15"},
}
VIDEOS_API = {"prompt": "T32000", "seconds": "S 4 5 8 10 12 16 20", "size": "PIXELS", "seed": "I"}
IMAGES_API = {
    "prompt": "T32000",
    "size": "PIXELS",
    "quality": "S low medium high auto",
    "n": "I 1-10",
    "images": "REFERENCES",
}
TABLES: dict[str, dict[str, dict[str, str]]] = {
    "fal": FAL,
    "studio_fal": FAL,
    "replicate": REPLICATE,
    "openrouter": OPENROUTER,
    "openai_videos": {"sora-2": VIDEOS_API, "sora-2-pro": VIDEOS_API},
    "studio": {"manim": VIDEOS_API},
    "openai_images": {"gpt-image-2": IMAGES_API, "gpt-image-1.5": IMAGES_API | {"size": "S 1024x1024 1536x1024 1024x1536 auto"}},
    "chat": {"page-writer": {"prompt": "T"}, "text-writer": {"prompt": "T"}},
}
# values that are expensive, or up to the provider, if they are not sent
NEVER_LEFT_OUT = {"duration", "seconds", "resolution", "quality", "generate_audio", "aspect_ratio", "image_size", "size"}
FOLLOWS_THE_IMAGE = {"aspect_ratio"}

URL = "https://example.com/{}.png"
ROUTES = [(seed, route) for seed in MODELS for route in seed.routes]
each_route = pytest.mark.parametrize(
    ("seed", "route"), ROUTES, ids=[f"{seed.key}-{route.account}-{route.endpoint_id}" for seed, route in ROUTES]
)
each_model = pytest.mark.parametrize("seed", MODELS, ids=[seed.key for seed in MODELS])


def field_takes(kind: str, value: Any) -> bool:
    """Whether a field accepts a value, including the lists of objects at OpenRouter and OpenAI."""
    if kind == "REFERENCES":
        return len(value) <= 16 and all(set(one) == {"image_url"} and takes("U", one["image_url"]) for one in value)
    if kind in ("FRAMES", "IMAGES"):
        roles = {"first_frame", "last_frame"} if kind == "FRAMES" else {None}
        return all(
            one["type"] == "image_url" and takes("U", one["image_url"]["url"]) and one.get("frame_type") in roles for one in value
        )
    return takes(kind, value)


def asked_of(seed: ModelSeed, route: RouteSeed) -> list[dict[str, Any]]:
    """Yield the defaults of a model, each other value of each parameter with them, and each way to send images."""
    defaults, _ = parameters.settle(seed.key, seed.parameters, {})
    found = [defaults]
    for name, rule in seed.parameters.items():
        values = rule.get("values", [])
        values = values or [rule[edge] for edge in ("low", "high") if edge in rule] or ["rain"] * ("most" in rule)
        found += [defaults | {name: value} for value in values]
    roles = seed.parameters.get("images", {}).get("roles", {})
    ways: list[dict[str, Any]] = []
    if "first_frame" in roles:
        ways.append({"first_frame": URL.format("first")})
    if "last_frame" in roles:
        ways.append({"first_frame": URL.format("first"), "last_frame": URL.format("last")})
    if "references" in roles:
        ways.append({"references": [URL.format(number) for number in range(roles["references"])]})
    return found + [defaults | {"images": images} for images in ways]


@each_route
def test_what_a_route_sends_the_provider_has_a_field_for(seed: ModelSeed, route: RouteSeed) -> None:
    table = TABLES[route.account]
    for asked in asked_of(seed, route):
        try:
            wire, other = say(route.codec, asked, characters=10)
        except CannotSay:
            assert not route.active, f"{asked} can't be said"
            continue
        fields = table[other or route.endpoint_id]
        for name, value in wire.items():
            assert name in fields, f"{other or route.endpoint_id} has no field {name}"
            assert field_takes(fields[name], value), f"{name}={value!r} is not {fields[name]}"
        left_out = (NEVER_LEFT_OUT & fields.keys()) - wire.keys()
        if seed.parameters:
            assert left_out <= (FOLLOWS_THE_IMAGE if "images" in asked else set()) | unsaid(route), asked
        missing = {name for name, kind in fields.items() if kind.endswith("!")} - wire.keys()
        assert not missing, f"{other} needs {missing}"


def unsaid(route: RouteSeed) -> set[str]:
    """OpenRouter has one schema for all models, so some models lack some fields; their list of capabilities says which."""
    return NEVER_LEFT_OUT if route.account == "openrouter" else set()


@each_route
def test_the_prompt_of_a_route_is_as_long_as_the_provider_takes_it(seed: ModelSeed, route: RouteSeed) -> None:
    most = TABLES[route.account][route.endpoint_id]["prompt"].removeprefix("T")
    if most:
        assert route.codec["prompt"]["most"] <= int(most)
        with pytest.raises(CannotSay, match="The prompt is"):
            say(route.codec, {}, characters=int(most) + 1)


@each_route
def test_a_codec_is_sound_and_an_inactive_route_says_why(seed: ModelSeed, route: RouteSeed) -> None:
    assert codec_problems(route.codec) == []
    assert bool(route.reason) != route.active


@each_model
def test_what_a_model_offers_every_active_route_can_say(seed: ModelSeed) -> None:
    active = [route for route in seed.routes if route.active]
    choices = [[(name, value) for value in rule["values"]] for name, rule in seed.parameters.items() if "values" in rule]
    for chosen, route in itertools.product(itertools.islice(itertools.product(*choices), 5_000), active):
        say(route.codec, dict(chosen), characters=10)


@each_model
def test_a_model_offers_seconds_or_a_shape_at_a_price(seed: ModelSeed) -> None:
    assert price_problems(seed.price) == []
    offered = seed.parameters
    if seed.medium == "video":
        assert offered["duration"]["default"] in offered["duration"]["values"]
    elif seed.medium == "image":
        assert {"aspect_ratio", "resolution"} & offered.keys()
    for rate in seed.rates:
        for name, value in rate["when"].items():
            assert value in offered[name]["values"], f"no job of {seed.key} has {name} {value}"


CONTRACT = """
    nano-banana nano-banana-pro gemini-3-pro-image seedream-4.5 flux-2-pro flash-scanner-v2.5 minimax-video-01 haiper-2.0
    kling-1.6
    sora-2 sora-2-pro manim page-writer
    nano-banana-2 gpt-image-2 seedream-5-pro seedream-5-lite veo-3.1 seedance-2.0 kling-v3 gemini-omni-flash hailuo-2.3 minimax-h3
    wan-2.7 happy-horse-1.1
    luma-ray-2
    gpt-image-1.5 text-writer
"""


def test_every_model_of_the_contract_is_there() -> None:
    assert {seed.key for seed in MODELS} == set(CONTRACT.split())
    retired = [seed.key for seed in MODELS if not any(route.active for route in seed.routes)]
    assert retired == ["haiper-2.0"]


def test_loop_is_luma_s_alone() -> None:
    assert [seed.key for seed in MODELS if True in seed.parameters.get("loop", {}).get("values", [])] == ["luma-ray-2"]
