"""
Every seeded route against its provider's own list of fields: what we send has a field there, of its type, with a value that it
takes; and what is dear or undetermined when left out is never left out.

The tables are read from the providers' typed clients and schema pages, not from our codecs. ``S`` a word, ``Ss`` a word with "s",
``I`` and ``N`` numbers, ``B`` true or false, ``U`` a URL, ``U[9]`` up to 9 of them, ``T`` text, ``T500`` text of that length.
"""

import itertools
import re
from typing import Any

import pytest

from queue_app.rules import parameters
from queue_app.rules.codec import CannotSay, say
from queue_app.rules.codec_checks import problems as codec_problems
from queue_app.rules.pricing import problems as price_problems
from queue_app.work.catalogue.seeds import MODELS, ModelSeed, RouteSeed

BANANA = "21:9 16:9 3:2 4:3 5:4 1:1 4:5 3:4 2:3 9:16"
SIX = "21:9 16:9 4:3 1:1 3:4 9:16"
WAN = "16:9 9:16 1:1 4:3 3:4"
HORSE = "16:9 9:16 1:1 4:3 3:4 21:9 9:21 5:4 4:5"
LUMA = "16:9 9:16 4:3 3:4 21:9 9:21"
PRESETS = "square_hd square portrait_4_3 portrait_16_9 landscape_4_3 landscape_16_9"
BANANA_PRO = {
    "prompt": "T20000",
    "aspect_ratio": f"S {BANANA} auto",
    "resolution": "S 1K 2K 4K",
    "seed": "I",
    "num_images": "I 1-4",
}
BANANA_2 = BANANA_PRO | {"aspect_ratio": f"S {BANANA} auto 4:1 1:4 8:1 1:8", "resolution": "S 0.5K 1K 2K 4K"}
SEEDREAM = {"prompt": "T4000", "image_size": f"SIZE {PRESETS} auto_2K auto_4K", "seed": "I", "num_images": "I 1-6"}
FLUX = {"prompt": "T", "image_size": f"SIZE {PRESETS}", "seed": "I", "safety_tolerance": "S 1 2 3 4 5"}
GPT = {"prompt": "T", "image_size": f"SIZE {PRESETS} auto", "quality": "S low medium high"}
KLING = {"prompt": "T2500", "duration": "S 5 10", "negative_prompt": "T2500"}
KLING_3 = KLING | {"duration": "S 3-15", "generate_audio": "B"}
KLING_3_IMAGE = KLING_3 | {"start_image_url": "U", "end_image_url": "U"}
TURBO = {"prompt": "T2500", "duration": "S 3-15"}
O3 = TURBO | {"generate_audio": "B"}
THREE = {"aspect_ratio": "S 16:9 9:16 1:1"}
VEO = {
    "prompt": "T",
    "duration": "Ss 4 6 8",
    "aspect_ratio": "S 16:9 9:16",
    "resolution": "S 720p 1080p 4k",
    "generate_audio": "B",
    "seed": "I",
    "negative_prompt": "T",
}
VEO_LITE = VEO | {"resolution": "S 720p 1080p"}
VEO_REFERENCE = {name: kind for name, kind in VEO.items() if name not in ("seed", "negative_prompt")}
SEEDANCE = {
    "prompt": "T",
    "duration": "S 4-15 auto",
    "aspect_ratio": f"S {SIX} auto",
    "resolution": "S 480p 720p 1080p 4k",
    "generate_audio": "B",
}
SEEDANCE_SMALL = SEEDANCE | {"resolution": "S 480p 720p"}
SEEDANCE_FRAMES = {"image_url": "U", "end_image_url": "U"}
H3 = {"prompt": "T", "duration": "N 5-15", "resolution": "S 2K"}
WAN_27 = {"prompt": "T5000", "duration": "I 2-15", "resolution": "S 720p 1080p", "seed": "I", "negative_prompt": "T500"}
HAPPY = {"prompt": "T2500", "duration": "I 3-15", "resolution": "S 720p 1080p", "seed": "I"}
OMNI = {"prompt": "T", "duration": "N 3-10", "aspect_ratio": "S 16:9 9:16"}
RAY = {"prompt": "T", "duration": "Ss 5 9", "aspect_ratio": f"S {LUMA}", "resolution": "S 540p 720p 1080p", "loop": "B"}

FAL: dict[str, dict[str, str]] = {
    "fal-ai/nano-banana": {"prompt": "T20000", "aspect_ratio": f"S {BANANA}", "seed": "I", "num_images": "I 1-4"},
    "fal-ai/nano-banana/edit": {
        "prompt": "T20000",
        "aspect_ratio": f"S {BANANA} auto",
        "seed": "I",
        "num_images": "I 1-4",
        "image_urls": "U[10]!",
    },
    "fal-ai/nano-banana-2": BANANA_2,
    "fal-ai/nano-banana-2/edit": BANANA_2 | {"image_urls": "U[14]!"},
    "fal-ai/nano-banana-pro": BANANA_PRO,
    "fal-ai/nano-banana-pro/edit": BANANA_PRO | {"image_urls": "U[14]!"},
    "fal-ai/gemini-3-pro-image-preview": BANANA_PRO,
    "fal-ai/gemini-3-pro-image-preview/edit": BANANA_PRO | {"image_urls": "U[14]!"},
    "fal-ai/bytedance/seedream/v4.5/text-to-image": SEEDREAM,
    "fal-ai/bytedance/seedream/v4.5/edit": SEEDREAM | {"image_urls": "U[10]!"},
    "bytedance/seedream/v5/pro/text-to-image": {"prompt": "T4000", "image_size": "S auto_1K auto_2K"},
    "bytedance/seedream/v5/pro/edit": {"prompt": "T4000", "image_size": "S auto_1K auto_2K", "image_urls": "U[10]!"},
    "bytedance/seedream/v5/lite/text-to-image": {"prompt": "T4000", "image_size": "S auto_2K auto_3K auto_4K"},
    "bytedance/seedream/v5/lite/edit": {"prompt": "T4000", "image_size": "S auto_2K auto_3K auto_4K", "image_urls": "U[10]!"},
    "fal-ai/flux-2-pro": FLUX,
    "fal-ai/flux-2-pro/edit": FLUX | {"image_urls": "U[8]!", "image_size": f"SIZE {PRESETS} auto"},
    "openai/gpt-image-2": GPT,
    "openai/gpt-image-2/edit": GPT | {"image_urls": "U[16]!"},
    "studio/flash-scanner-v2.5": {"prompt": "T20000", "aspect_ratio": f"S {BANANA}", "seed": "I"},
    "fal-ai/minimax/video-01": {"prompt": "T2000"},
    "fal-ai/minimax/video-01/image-to-video": {"prompt": "T2000", "image_url": "U!"},
    "fal-ai/minimax/hailuo-2.3/standard/text-to-video": {"prompt": "T2000", "duration": "S 6 10"},
    "fal-ai/minimax/hailuo-2.3/standard/image-to-video": {"prompt": "T2000", "duration": "S 6 10", "image_url": "U!"},
    "fal-ai/minimax/hailuo-2.3/pro/text-to-video": {"prompt": "T2000"},
    "fal-ai/minimax/hailuo-2.3/pro/image-to-video": {"prompt": "T2000", "image_url": "U!"},
    "minimax/h3/text-to-video": H3 | {"aspect_ratio": f"S {SIX}"},
    "minimax/h3/image-to-video": H3 | {"image_url": "U!", "end_image_url": "U"},
    "minimax/h3/reference-to-video": H3 | {"aspect_ratio": f"S {SIX} adaptive", "reference_image_urls": "U[12]!"},
    "fal-ai/kling-video/v1.6/standard/text-to-video": KLING | THREE,
    "fal-ai/kling-video/v1.6/standard/image-to-video": KLING | {"image_url": "U!"},
    "fal-ai/kling-video/v1.6/pro/text-to-video": KLING | THREE,
    "fal-ai/kling-video/v1.6/pro/image-to-video": KLING | THREE | {"image_url": "U!", "tail_image_url": "U"},
    **{f"fal-ai/kling-video/v3/{tier}/text-to-video": KLING_3 | THREE for tier in ("standard", "pro", "4k")},
    **{f"fal-ai/kling-video/v3/{tier}/image-to-video": KLING_3_IMAGE for tier in ("standard", "pro", "4k")},
    "fal-ai/kling-video/v3/turbo/standard/text-to-video": TURBO | THREE,
    "fal-ai/kling-video/v3/turbo/standard/image-to-video": TURBO | {"image_url": "U!"},
    "fal-ai/kling-video/o3/standard/text-to-video": O3 | THREE,
    "fal-ai/kling-video/o3/standard/image-to-video": O3 | {"image_url": "U!", "end_image_url": "U"},
    **{
        f"fal-ai/veo3.1{tier}{path}": fields | more
        for tier, fields in (("", VEO), ("/fast", VEO), ("/lite", VEO_LITE))
        for path, more in (
            ("", {}),
            ("/image-to-video", {"image_url": "U!"}),
            ("/first-last-frame-to-video", {"first_frame_url": "U!", "last_frame_url": "U!"}),
        )
    },
    "fal-ai/veo3.1/reference-to-video": VEO_REFERENCE | {"image_urls": "U[3]!"},
    **{
        f"bytedance/seedance-2.0{tier}/{path}": fields | more
        for tier, fields in (("", SEEDANCE), ("/fast", SEEDANCE_SMALL), ("/mini", SEEDANCE_SMALL))
        for path, more in (
            ("text-to-video", {}),
            ("image-to-video", SEEDANCE_FRAMES),
            ("reference-to-video", {"image_urls": "U[9]!"}),
        )
    },
    "google/gemini-omni-flash": OMNI,
    "google/gemini-omni-flash/image-to-video": OMNI | {"image_url": "U!"},
    "google/gemini-omni-flash/reference-to-video": OMNI | {"image_urls": "U[3]!"},
    "fal-ai/wan/v2.7/text-to-video": WAN_27 | {"aspect_ratio": f"S {WAN}"},
    "fal-ai/wan/v2.7/image-to-video": WAN_27 | {"image_url": "U", "end_image_url": "U"},
    "fal-ai/wan/v2.7/reference-to-video": WAN_27
    | {"aspect_ratio": f"S {WAN}", "duration": "I 2-10", "reference_image_urls": "U[5]!"},
    "alibaba/happy-horse/v1.1/text-to-video": HAPPY | {"aspect_ratio": f"S {HORSE}"},
    "alibaba/happy-horse/v1.1/image-to-video": HAPPY | {"image_url": "U!"},
    "alibaba/happy-horse/v1.1/reference-to-video": HAPPY | {"aspect_ratio": f"S {HORSE}", "image_urls": "U[4]!"},
    "fal-ai/luma-dream-machine/ray-2": RAY,
    "fal-ai/luma-dream-machine/ray-2/image-to-video": RAY | {"image_url": "U", "end_image_url": "U"},
}

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
    "kwaivgi/kling-v1.6-standard": KLING | THREE | {"duration": "I 5 10", "start_image": "U"},
    "bytedance/seedance-2.0": SEEDANCE
    | {
        "duration": "I 4-15",
        "aspect_ratio": f"S {SIX} adaptive",
        "resolution": "S 480p 720p 1080p",
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
TABLES: dict[str, dict[str, dict[str, str]]] = {
    "fal": FAL,
    "studio_fal": FAL,
    "replicate": REPLICATE,
    "openrouter": OPENROUTER,
    "openai_videos": {"sora-2": VIDEOS_API, "sora-2-pro": VIDEOS_API},
    "studio": {"manim": VIDEOS_API},
    "openai_images": {
        "gpt-image-2": {
            "prompt": "T32000",
            "size": "PIXELS",
            "quality": "S low medium high auto",
            "n": "I 1-10",
            "image": "U[16]",
        }
    },
    "chat": {"page-writer": {"prompt": "T"}},
}
# what is dear, or left to the provider, when it is not sent
NEVER_LEFT_OUT = {"duration", "seconds", "resolution", "quality", "generate_audio", "aspect_ratio", "image_size", "size"}
FOLLOWS_THE_IMAGE = {"aspect_ratio"}

URL = "https://example.com/{}.png"
ROUTES = [(seed, route) for seed in MODELS for route in seed.routes]
each_route = pytest.mark.parametrize(
    ("seed", "route"), ROUTES, ids=[f"{seed.key}-{route.account}-{route.endpoint_id}" for seed, route in ROUTES]
)
each_model = pytest.mark.parametrize("seed", MODELS, ids=[seed.key for seed in MODELS])


def takes(kind: str, value: Any) -> bool:
    """Whether a field of this kind takes a value, type and all."""
    kind = kind.removesuffix("!")
    name, *values = kind.split()
    spans = [range(int(low), int(high) + 1) for low, high in re.findall(r"(?<!\S)(\d+)-(\d+)(?!\S)", kind)]
    numbers = [number for span in spans for number in span]
    if name in ("S", "Ss"):
        words = {f"{one}{'s' if name == 'Ss' else ''}" for one in [*values, *numbers]}
        return isinstance(value, str) and value in words
    if name in ("I", "N"):
        allowed = [*numbers, *(int(one) for one in values if one.isdigit())]
        return type(value) is int and (not allowed or value in allowed)
    if name == "SIZE":
        sides = value.values() if isinstance(value, dict) and [*value] == ["width", "height"] else ()
        return value in values if isinstance(value, str) else len(sides) == 2 and all(type(side) is int for side in sides)
    if name == "PIXELS":
        return isinstance(value, str) and re.fullmatch(r"\d{3,4}x\d{3,4}", value) is not None
    if name == "B":
        return isinstance(value, bool)
    if most := re.fullmatch(r"U\[(\d+)\]", name):
        return isinstance(value, list) and 1 <= len(value) <= int(most[1]) and all(takes("U", one) for one in value)
    if name == "FRAMES":
        return all(one["frame_type"] in ("first_frame", "last_frame") and takes("IMAGES", [one]) for one in value)
    if name == "IMAGES":
        return all(one["type"] == "image_url" and takes("U", one["image_url"]["url"]) for one in value)
    if name == "U":
        return isinstance(value, str) and value.startswith("https://")
    return isinstance(value, str) and len(value) <= int(name[1:] or 10**6)


def asked_of(seed: ModelSeed, route: RouteSeed) -> list[dict[str, Any]]:
    """The defaults of a model; each value of each parameter beside them; and each way to give images."""
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
            assert takes(fields[name], value), f"{name}={value!r} is not {fields[name]}"
        left_out = (NEVER_LEFT_OUT & fields.keys()) - wire.keys()
        if seed.parameters:
            assert left_out <= (FOLLOWS_THE_IMAGE if "images" in asked else set()) | unsaid(route), asked
        missing = {name for name, kind in fields.items() if kind.endswith("!")} - wire.keys()
        assert not missing, f"{other} needs {missing}"


def unsaid(route: RouteSeed) -> set[str]:
    """OpenRouter's one schema has fields for what some of its models lack; those are in their list of capabilities."""
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
"""


def test_every_model_of_the_contract_is_there() -> None:
    assert {seed.key for seed in MODELS} == set(CONTRACT.split())
    retired = [seed.key for seed in MODELS if not any(route.active for route in seed.routes)]
    assert retired == ["haiper-2.0"]


def test_loop_is_luma_s_alone() -> None:
    assert [seed.key for seed in MODELS if True in seed.parameters.get("loop", {}).get("values", [])] == ["luma-ray-2"]
