"""
The codecs of the seeded routes (`rules.codec`), by provider and endpoint. A test compares each with the provider's own list of
fields. If a provider states no limit for the prompt or for references, we set a cautious one.
"""

from typing import Any

Codec = dict[str, Any]

# --- values ---------------------------------------------------------------------------------------------------------

_SQUARE_FIRST = ["1:1", "21:9", "16:9", "3:2", "4:3", "5:4", "4:5", "3:4", "2:3", "9:16"]
_EXTREME = [*_SQUARE_FIRST, "4:1", "1:4", "8:1", "1:8"]
_THREE = ["16:9", "9:16", "1:1"]
_SIX = ["16:9", "9:16", "1:1", "4:3", "3:4", "21:9"]
_WAN = ["16:9", "9:16", "1:1", "4:3", "3:4"]
_NINE = ["16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "9:21", "5:4", "4:5"]
_LUMA = ["16:9", "9:16", "4:3", "3:4", "21:9", "9:21"]

Sizes = dict[str, list[int]]


def _both_ways(*sizes: tuple[str, int, int]) -> Sizes:
    """Return sizes by ratio, each also upright."""
    upright = {":".join(reversed(ratio.split(":"))): [height, width] for ratio, width, height in sizes}
    return {ratio: [width, height] for ratio, width, height in sizes} | upright


# of FLUX.2: sides up to 2048, about 1 and 3.5 megapixels
_FLUX_SIZES = {
    "1K": _both_ways(("1:1", 1024, 1024), ("16:9", 1344, 768), ("4:3", 1152, 864), ("3:2", 1248, 832), ("21:9", 1536, 656)),
    "2K": _both_ways(("1:1", 1920, 1920), ("16:9", 2048, 1152), ("4:3", 2048, 1536), ("3:2", 2016, 1344), ("21:9", 2048, 880)),
}
# of Seedream 4.5: 2560 × 1440 to 4096 × 4096 pixels in all
_SEEDREAM_SIZES = {
    "2K": _both_ways(("1:1", 2048, 2048), ("16:9", 2560, 1440), ("4:3", 2304, 1728), ("3:2", 2496, 1664), ("21:9", 3024, 1296)),
    "4K": _both_ways(("1:1", 4096, 4096), ("16:9", 4096, 2304), ("4:3", 4096, 3072), ("3:2", 4080, 2720), ("21:9", 4096, 1756)),
}
# of GPT Image 2: sides of 16 pixels, up to 3840; 655,360 to 8,294,400 pixels in all
_GPT_SIZES = {
    "1K": _both_ways(("1:1", 1024, 1024), ("16:9", 1536, 864), ("4:3", 1152, 864), ("3:2", 1248, 832)),
    "2K": _both_ways(("1:1", 2048, 2048), ("16:9", 2560, 1440), ("4:3", 2304, 1728), ("3:2", 2496, 1664)),
    "4K": _both_ways(("1:1", 2880, 2880), ("16:9", 3840, 2160), ("4:3", 3264, 2448), ("3:2", 3456, 2304)),
}
_QUALITIES = ["low", "medium", "high"]


def _one_of(field: str, values: list[str] | dict[str, str]) -> Codec:
    return {"field": field, "values": values}


def _seconds(kind: str, *values: int, field: str = "duration") -> Codec:
    return {"field": field, "as": kind, "values": [*values]}


def _span(kind: str, low: int, high: int) -> Codec:
    return {"field": "duration", "as": kind, "low": low, "high": high}


_RATIO, _RESOLUTION, _AUDIO, _SEED = "aspect_ratio", "resolution", {"field": "generate_audio"}, {"field": "seed"}
_FOLLOWS: Codec = {"from_image": [_RATIO]}  # the ratio is that of the first frame

# --- OpenAI-style videos, and the studio's own ------------------------------------------------------------------------

SORA: Codec = {
    "prompt": {"most": 32_000},
    "duration": _seconds("string", 4, 5, 8, 10, 12, 16, 20, field="seconds"),
    "aspect": {"field": "size", "sizes": {"16:9": "1280x720", "9:16": "720x1280", "1:1": "1024x1024"}},
    "seed": _SEED,
}
SORA_PRO: Codec = SORA | {
    "aspect": {
        "field": "size",
        "by_resolution": {
            "720p": SORA["aspect"]["sizes"],
            "1080p": {"16:9": "1792x1024", "9:16": "1024x1792", "1:1": "1080x1080"},
        },
    }
}

# --- fal: images ------------------------------------------------------------------------------------------------------


def _edited(endpoint: str, most: int) -> Codec:
    return {"references": {"field": "image_urls", "most": most}, "endpoint": endpoint}


def fal_banana(endpoint: str, *, ratios: list[str], resolutions: list[str], references: int) -> Codec:
    """Return the codec of Google's image models, which fal offers under several names."""
    codec: Codec = {
        "prompt": {"most": 20_000},
        "aspect": _one_of(_RATIO, ratios),
        "seed": _SEED,
        "count": {"field": "num_images", "high": 4},
        "images": _edited(f"{endpoint}/edit", references),
    }
    return codec | ({"resolution": _one_of(_RESOLUTION, resolutions)} if resolutions else {})


FAL_NANO_BANANA = fal_banana("fal-ai/nano-banana", ratios=_SQUARE_FIRST, resolutions=[], references=3)
FAL_NANO_BANANA_2 = fal_banana("fal-ai/nano-banana-2", ratios=_EXTREME, resolutions=["0.5K", "1K", "2K", "4K"], references=14)
FAL_NANO_BANANA_PRO = fal_banana("fal-ai/nano-banana-pro", ratios=_SQUARE_FIRST, resolutions=["1K", "2K", "4K"], references=14)
FAL_GEMINI_3 = fal_banana(
    "fal-ai/gemini-3-pro-image-preview", ratios=_SQUARE_FIRST, resolutions=["1K", "2K", "4K"], references=14
)
FAL_SEEDREAM_45: Codec = {
    "prompt": {"most": 4_000},
    "aspect": {"field": "image_size", "by_resolution": _SEEDREAM_SIZES},
    "seed": _SEED,
    "count": {"field": "num_images", "high": 4},
    "images": _edited("fal-ai/bytedance/seedream/v4.5/edit", 10),
}
# its sizes are words that leave the ratio to the prompt
FAL_SEEDREAM_5_PRO: Codec = {
    "prompt": {"most": 4_000},
    "resolution": _one_of("image_size", {"1K": "auto_1K", "2K": "auto_2K"}),
    "images": _edited("bytedance/seedream/v5/pro/edit", 10),
}
FAL_SEEDREAM_5_LITE: Codec = {
    "prompt": {"most": 4_000},
    "resolution": _one_of("image_size", {"2K": "auto_2K", "3K": "auto_3K", "4K": "auto_4K"}),
    "images": _edited("bytedance/seedream/v5/lite/edit", 10),
}
FAL_FLUX_2_PRO: Codec = {
    "aspect": {"field": "image_size", "by_resolution": _FLUX_SIZES},
    "seed": _SEED,
    "images": _edited("fal-ai/flux-2-pro/edit", 8),
    "always": {"safety_tolerance": "2"},
}
FAL_GPT_IMAGE_2: Codec = {
    "aspect": {"field": "image_size", "by_resolution": _GPT_SIZES},
    "quality": _one_of("quality", _QUALITIES),
    "images": _edited("openai/gpt-image-2/edit", 16),
}
# the studio's own model, in fal's format
FLASH_SCANNER: Codec = {"prompt": {"most": 20_000}, "aspect": _one_of(_RATIO, _SQUARE_FIRST), "seed": _SEED}

# --- fal: videos ------------------------------------------------------------------------------------------------------


def _framed(endpoint: str, first: str = "image_url", last: str = "end_image_url", **more: Any) -> Codec:
    """Return a way for a first frame, and a last one if the endpoint has a field for it."""
    return {"first_frame": first, **({"last_frame": last} if last else {}), "endpoint": endpoint, **more}


def _referenced(endpoint: str, most: int, field: str = "image_urls", **more: Any) -> Codec:
    return {"references": {"field": field, "most": most}, "endpoint": endpoint, **more}


FAL_VIDEO_01: Codec = {
    "prompt": {"most": 2_000},
    "duration": {"fixed": 6},
    "images": _framed("fal-ai/minimax/video-01/image-to-video", last=""),
}
FAL_HAILUO_23: Codec = {
    "prompt": {"most": 2_000},
    "duration": _seconds("string", 6, 10),
    "images": _framed("fal-ai/minimax/hailuo-2.3/standard/image-to-video", last=""),
}
FAL_HAILUO_23_PRO: Codec = {
    "prompt": {"most": 2_000},
    "duration": {"fixed": 6},
    "images": _framed("fal-ai/minimax/hailuo-2.3/pro/image-to-video", last=""),
}
FAL_H3: Codec = {
    "duration": _span("number", 5, 15),
    "aspect": _one_of(_RATIO, _SIX),
    "resolution": _one_of(_RESOLUTION, ["2K"]),
    "audio": {"fixed": True},
    "images": [
        _framed("minimax/h3/image-to-video", **_FOLLOWS),
        _referenced("minimax/h3/reference-to-video", 12, "reference_image_urls"),
    ],
}
_KLING: Codec = {
    "prompt": {"most": 2_500},
    "duration": _seconds("string", 5, 10),
    "aspect": _one_of(_RATIO, _THREE),
    "negative_prompt": {"field": "negative_prompt", "most": 2_500},
}
FAL_KLING_16: Codec = _KLING | {
    "images": _framed("fal-ai/kling-video/v1.6/standard/image-to-video", last="", **_FOLLOWS),
}
FAL_KLING_16_PRO: Codec = _KLING | {"images": _framed("fal-ai/kling-video/v1.6/pro/image-to-video", last="tail_image_url")}


def fal_kling_3(tier: str) -> Codec:
    """Return the codec of a tier of Kling 3: standard, pro or 4k."""
    images = _framed(f"fal-ai/kling-video/v3/{tier}/image-to-video", "start_image_url", **_FOLLOWS)
    return _KLING | {"duration": _span("string", 3, 15), "audio": _AUDIO, "images": images}


_KLING_WITHOUT = {name: part for name, part in _KLING.items() if name != "negative_prompt"}
FAL_KLING_3_TURBO: Codec = _KLING_WITHOUT | {
    "duration": _span("string", 3, 15),
    "images": _framed("fal-ai/kling-video/v3/turbo/standard/image-to-video", last="", **_FOLLOWS),
}
FAL_KLING_O3: Codec = _KLING_WITHOUT | {
    "duration": _span("string", 3, 15),
    "audio": _AUDIO,
    "images": _framed("fal-ai/kling-video/o3/standard/image-to-video", **_FOLLOWS),
}


def fal_veo(endpoint: str, *, resolutions: list[str], references: bool) -> Codec:
    """Return the codec of Veo 3.1 or of its faster or cheaper variant."""
    images = [
        _framed(f"{endpoint}/image-to-video", last=""),
        _framed(f"{endpoint}/first-last-frame-to-video", "first_frame_url", "last_frame_url"),
    ]
    if references:
        images.append(_referenced(f"{endpoint}/reference-to-video", 3, codec={"seed": None, "negative_prompt": None}))
    return {
        "duration": _seconds("string_s", 4, 6, 8),
        "aspect": _one_of(_RATIO, ["16:9", "9:16"]),
        "resolution": _one_of(_RESOLUTION, resolutions),
        "audio": _AUDIO,
        "seed": _SEED,
        "negative_prompt": {"field": "negative_prompt", "most": 2_500},
        "images": images,
    }


FAL_VEO_31 = fal_veo("fal-ai/veo3.1", resolutions=["720p", "1080p", "4k"], references=True)
FAL_VEO_31_FAST = fal_veo("fal-ai/veo3.1/fast", resolutions=["720p", "1080p", "4k"], references=False)
FAL_VEO_31_LITE = fal_veo("fal-ai/veo3.1/lite", resolutions=["720p", "1080p"], references=False)


def fal_seedance(tier: str, resolutions: list[str]) -> Codec:
    """Return the codec of a tier of Seedance 2.0: "" or "/fast" or "/mini"."""
    root = f"bytedance/seedance-2.0{tier}"
    return {
        "duration": _span("string", 4, 15),
        "aspect": _one_of(_RATIO, _SIX),
        "resolution": _one_of(_RESOLUTION, resolutions),
        "audio": _AUDIO,
        "images": [_framed(f"{root}/image-to-video"), _referenced(f"{root}/reference-to-video", 9)],
    }


FAL_OMNI_FLASH: Codec = {
    "duration": _span("number", 3, 10),
    "aspect": _one_of(_RATIO, ["16:9", "9:16"]),
    "audio": {"fixed": True},
    "images": [
        _framed("google/gemini-omni-flash/image-to-video", last=""),
        _referenced("google/gemini-omni-flash/reference-to-video", 3),
    ],
}
FAL_WAN_27: Codec = {
    "prompt": {"most": 5_000},
    "duration": _span("integer", 2, 15),
    "aspect": _one_of(_RATIO, _WAN),
    "resolution": _one_of(_RESOLUTION, ["720p", "1080p"]),
    "audio": {"fixed": True},
    "seed": _SEED,
    "negative_prompt": {"field": "negative_prompt", "most": 500},
    "images": [
        _framed("fal-ai/wan/v2.7/image-to-video", **_FOLLOWS),
        _referenced("fal-ai/wan/v2.7/reference-to-video", 5, "reference_image_urls", codec={"duration": _span("integer", 2, 10)}),
    ],
}
FAL_HAPPY_HORSE: Codec = {
    "prompt": {"most": 2_500},
    "duration": _span("integer", 3, 15),
    "aspect": _one_of(_RATIO, _NINE),
    "resolution": _one_of(_RESOLUTION, ["720p", "1080p"]),
    "seed": _SEED,
    "images": [
        _framed("alibaba/happy-horse/v1.1/image-to-video", last="", **_FOLLOWS),
        _referenced("alibaba/happy-horse/v1.1/reference-to-video", 4),
    ],
}
FAL_LUMA_RAY_2: Codec = {
    "duration": _seconds("string_s", 5, 9),
    "aspect": _one_of(_RATIO, _LUMA),
    "resolution": _one_of(_RESOLUTION, ["540p", "720p", "1080p"]),
    "loop": {"field": "loop"},
    "images": _framed("fal-ai/luma-dream-machine/ray-2/image-to-video"),
}

# --- Replicate --------------------------------------------------------------------------------------------------------

REPLICATE_FLUX_2_PRO: Codec = {
    "aspect": {"fields": ["width", "height"], "by_resolution": _FLUX_SIZES},
    "seed": _SEED,
    "images": {"references": {"field": "input_images", "most": 8}},
    "always": {"aspect_ratio": "custom", "output_format": "png"},
}
REPLICATE_SEEDREAM_45: Codec = {
    "prompt": {"most": 4_000},
    "aspect": _one_of(_RATIO, ["1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"]),
    "resolution": _one_of("size", ["2K", "4K"]),
    "images": {"references": {"field": "image_input", "most": 14}},
}
REPLICATE_NANO_BANANA_2: Codec = {
    "prompt": {"most": 20_000},
    "aspect": _one_of(_RATIO, _SQUARE_FIRST),
    "resolution": _one_of(_RESOLUTION, ["1K", "2K", "4K"]),
    "images": {"references": {"field": "image_input", "most": 14}},
}
REPLICATE_VIDEO_01: Codec = {
    "prompt": {"most": 2_000},
    "duration": {"fixed": 6},
    "images": {"first_frame": "first_frame_image"},
}
REPLICATE_HAILUO_23: Codec = REPLICATE_VIDEO_01 | {"duration": _seconds("integer", 6, 10)}
REPLICATE_KLING_16: Codec = _KLING | {"duration": _seconds("integer", 5, 10), "images": {"first_frame": "start_image"} | _FOLLOWS}
REPLICATE_SEEDANCE_2: Codec = {
    "duration": _span("integer", 4, 15),
    "aspect": _one_of(_RATIO, _SIX),
    "resolution": _one_of(_RESOLUTION, ["480p", "720p", "1080p"]),
    "audio": _AUDIO,
    "images": [
        {"first_frame": "image", "last_frame": "last_frame_image"},
        {"references": {"field": "reference_images", "most": 9}},
    ],
}
REPLICATE_WAN_27: Codec = {
    "prompt": {"most": 5_000},
    "duration": _span("integer", 2, 15),
    "aspect": _one_of(_RATIO, _WAN),
    "resolution": _one_of(_RESOLUTION, ["720p", "1080p"]),
    "audio": {"fixed": True},
    "seed": _SEED,
    "negative_prompt": {"field": "negative_prompt", "most": 500},
}
REPLICATE_HAIPER: Codec = {"prompt": {"most": 2_000}, "duration": {"fixed": 6}}

# --- OpenRouter: one schema for all -----------------------------------------------------------------------------------


def _frame(role: str) -> Codec:
    item = {"type": "image_url", "image_url": {"url": "{url}"}, "frame_type": role}
    return {"field": "frame_images", "item": item, "list": True}


_ROUTER_FRAMES = {"first_frame": _frame("first_frame"), "last_frame": _frame("last_frame")}
_ROUTER_REFERENCES = {"field": "input_references", "item": {"type": "image_url", "image_url": {"url": "{url}"}}}

ROUTER_SEEDANCE_2: Codec = {
    "duration": _span("integer", 4, 15),
    "aspect": _one_of(_RATIO, _SIX),
    "resolution": _one_of(_RESOLUTION, ["480p", "720p", "1080p"]),
    "audio": _AUDIO,
    "images": [_ROUTER_FRAMES, {"references": {**_ROUTER_REFERENCES, "most": 9}}],
}
ROUTER_VEO_31: Codec = {
    "duration": _seconds("integer", 4, 6, 8),
    "aspect": _one_of(_RATIO, ["16:9", "9:16"]),
    "resolution": _one_of(_RESOLUTION, {"720p": "720p", "1080p": "1080p", "4k": "4K"}),
    "audio": _AUDIO,
    "seed": _SEED,
    "images": [_ROUTER_FRAMES, {"references": {**_ROUTER_REFERENCES, "most": 3}}],
}
ROUTER_KLING_3: Codec = {
    "prompt": {"most": 2_500},
    "duration": _span("integer", 3, 15),
    "aspect": _one_of(_RATIO, _THREE),
    "audio": _AUDIO,
    "images": _ROUTER_FRAMES,
}
ROUTER_HAILUO_23: Codec = {
    "prompt": {"most": 2_000},
    "duration": _seconds("integer", 6, 10),
    "images": {"first_frame": _frame("first_frame")},
}
ROUTER_H3: Codec = {
    "duration": _span("integer", 5, 15),
    "aspect": _one_of(_RATIO, _SIX),
    "resolution": _one_of(_RESOLUTION, ["2K"]),
    "audio": {"fixed": True},
    "images": _ROUTER_FRAMES,
}
ROUTER_WAN_27: Codec = {
    "prompt": {"most": 5_000},
    "duration": _span("integer", 2, 15),
    "aspect": _one_of(_RATIO, _WAN),
    "resolution": _one_of(_RESOLUTION, ["720p", "1080p"]),
    "audio": {"fixed": True},
    "seed": _SEED,
    "images": _ROUTER_FRAMES,
}

# --- OpenAI images, and chat ------------------------------------------------------------------------------------------

OPENAI_GPT_IMAGE_2: Codec = {
    "prompt": {"most": 32_000},
    "aspect": {
        "field": "size",
        "by_resolution": {
            resolution: {ratio: f"{width}x{height}" for ratio, (width, height) in sizes.items()}
            for resolution, sizes in _GPT_SIZES.items()
        },
    },
    "quality": _one_of("quality", _QUALITIES),
    "count": {"field": "n", "high": 10},
    "images": {"references": {"field": "images", "most": 16, "item": {"image_url": "{url}"}}},
}
OPENAI_GPT_IMAGE_15: Codec = OPENAI_GPT_IMAGE_2 | {
    "aspect": {"field": "size", "sizes": {"1:1": "1024x1024", "3:2": "1536x1024", "2:3": "1024x1536"}},
}
CHAT: Codec = {"prompt": {"most": 32_000}}
CHAT_IN_JSON: Codec = {"prompt": {"most": 200_000}, "answer": {"limit": "max_tokens", "format": "json_schema"}}
