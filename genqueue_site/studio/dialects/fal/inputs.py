"""
The fields of fal's endpoints, from its typed client of August 2026. The studio refuses what fal would refuse.

Fields that we do not send are left out: like fal, the studio ignores unknown fields. `dialects.fields` defines the types.
"""

_BANANA = "21:9 16:9 3:2 4:3 5:4 1:1 4:5 3:4 2:3 9:16"
_SIX = "21:9 16:9 4:3 1:1 3:4 9:16"
_WAN = "16:9 9:16 1:1 4:3 3:4"
_HORSE = "16:9 9:16 1:1 4:3 3:4 21:9 9:21 5:4 4:5"
_LUMA = "16:9 9:16 4:3 3:4 21:9 9:21"
_PRESETS = "square_hd square portrait_4_3 portrait_16_9 landscape_4_3 landscape_16_9"
_BANANA_PRO = {
    "prompt": "T20000",
    "aspect_ratio": f"S {_BANANA} auto",
    "resolution": "S 1K 2K 4K",
    "seed": "I",
    "num_images": "I 1-4",
}
_BANANA_2 = _BANANA_PRO | {"aspect_ratio": f"S {_BANANA} auto 4:1 1:4 8:1 1:8", "resolution": "S 0.5K 1K 2K 4K"}
_SEEDREAM = {"prompt": "T4000", "image_size": f"SIZE {_PRESETS} auto_2K auto_4K", "seed": "I", "num_images": "I 1-6"}
_FLUX = {"prompt": "T", "image_size": f"SIZE {_PRESETS}", "seed": "I", "safety_tolerance": "S 1 2 3 4 5"}
_GPT = {"prompt": "T", "image_size": f"SIZE {_PRESETS} auto", "quality": "S low medium high"}
_KLING = {"prompt": "T2500", "duration": "S 5 10", "negative_prompt": "T2500"}
_KLING_3 = _KLING | {"duration": "S 3-15", "generate_audio": "B"}
_KLING_3_IMAGE = _KLING_3 | {"start_image_url": "U", "end_image_url": "U"}
_TURBO = {"prompt": "T2500", "duration": "S 3-15"}
_O3 = _TURBO | {"generate_audio": "B"}
_THREE = {"aspect_ratio": "S 16:9 9:16 1:1"}
_VEO = {
    "prompt": "T",
    "duration": "Ss 4 6 8",
    "aspect_ratio": "S 16:9 9:16",
    "resolution": "S 720p 1080p 4k",
    "generate_audio": "B",
    "seed": "I",
    "negative_prompt": "T",
}
_VEO_LITE = _VEO | {"resolution": "S 720p 1080p"}
_VEO_REFERENCE = {name: kind for name, kind in _VEO.items() if name not in ("seed", "negative_prompt")}
_SEEDANCE = {
    "prompt": "T",
    "duration": "S 4-15 auto",
    "aspect_ratio": f"S {_SIX} auto",
    "resolution": "S 480p 720p 1080p 4k",
    "generate_audio": "B",
}
_SEEDANCE_SMALL = _SEEDANCE | {"resolution": "S 480p 720p"}
_SEEDANCE_FRAMES = {"image_url": "U", "end_image_url": "U"}
_H3 = {"prompt": "T", "duration": "N 5-15", "resolution": "S 2K"}
_WAN_27 = {"prompt": "T5000", "duration": "I 2-15", "resolution": "S 720p 1080p", "seed": "I", "negative_prompt": "T500"}
_HAPPY = {"prompt": "T2500", "duration": "I 3-15", "resolution": "S 720p 1080p", "seed": "I"}
_OMNI = {"prompt": "T", "duration": "N 3-10", "aspect_ratio": "S 16:9 9:16"}
_RAY = {"prompt": "T", "duration": "Ss 5 9", "aspect_ratio": f"S {_LUMA}", "resolution": "S 540p 720p 1080p", "loop": "B"}

INPUTS: dict[str, dict[str, str]] = {
    "fal-ai/nano-banana": {"prompt": "T20000", "aspect_ratio": f"S {_BANANA}", "seed": "I", "num_images": "I 1-4"},
    "fal-ai/nano-banana/edit": {
        "prompt": "T20000",
        "aspect_ratio": f"S {_BANANA} auto",
        "seed": "I",
        "num_images": "I 1-4",
        "image_urls": "U[10]!",
    },
    "fal-ai/nano-banana-2": _BANANA_2,
    "fal-ai/nano-banana-2/edit": _BANANA_2 | {"image_urls": "U[14]!"},
    "fal-ai/nano-banana-pro": _BANANA_PRO,
    "fal-ai/nano-banana-pro/edit": _BANANA_PRO | {"image_urls": "U[14]!"},
    "fal-ai/gemini-3-pro-image-preview": _BANANA_PRO,
    "fal-ai/gemini-3-pro-image-preview/edit": _BANANA_PRO | {"image_urls": "U[14]!"},
    "fal-ai/bytedance/seedream/v4.5/text-to-image": _SEEDREAM,
    "fal-ai/bytedance/seedream/v4.5/edit": _SEEDREAM | {"image_urls": "U[10]!"},
    "bytedance/seedream/v5/pro/text-to-image": {"prompt": "T4000", "image_size": "S auto_1K auto_2K"},
    "bytedance/seedream/v5/pro/edit": {"prompt": "T4000", "image_size": "S auto_1K auto_2K", "image_urls": "U[10]!"},
    "bytedance/seedream/v5/lite/text-to-image": {"prompt": "T4000", "image_size": "S auto_2K auto_3K auto_4K"},
    "bytedance/seedream/v5/lite/edit": {"prompt": "T4000", "image_size": "S auto_2K auto_3K auto_4K", "image_urls": "U[10]!"},
    "fal-ai/flux-2-pro": _FLUX,
    "fal-ai/flux-2-pro/edit": _FLUX | {"image_urls": "U[8]!", "image_size": f"SIZE {_PRESETS} auto"},
    "openai/gpt-image-2": _GPT,
    "openai/gpt-image-2/edit": _GPT | {"image_urls": "U[16]!"},
    "studio/flash-scanner-v2.5": {"prompt": "T20000", "aspect_ratio": f"S {_BANANA}", "seed": "I"},
    "fal-ai/minimax/video-01": {"prompt": "T2000"},
    "fal-ai/minimax/video-01/image-to-video": {"prompt": "T2000", "image_url": "U!"},
    "fal-ai/minimax/hailuo-2.3/standard/text-to-video": {"prompt": "T2000", "duration": "S 6 10"},
    "fal-ai/minimax/hailuo-2.3/standard/image-to-video": {"prompt": "T2000", "duration": "S 6 10", "image_url": "U!"},
    "fal-ai/minimax/hailuo-2.3/pro/text-to-video": {"prompt": "T2000"},
    "fal-ai/minimax/hailuo-2.3/pro/image-to-video": {"prompt": "T2000", "image_url": "U!"},
    "minimax/h3/text-to-video": _H3 | {"aspect_ratio": f"S {_SIX}"},
    "minimax/h3/image-to-video": _H3 | {"image_url": "U!", "end_image_url": "U"},
    "minimax/h3/reference-to-video": _H3 | {"aspect_ratio": f"S {_SIX} adaptive", "reference_image_urls": "U[12]!"},
    "fal-ai/kling-video/v1.6/standard/text-to-video": _KLING | _THREE,
    "fal-ai/kling-video/v1.6/standard/image-to-video": _KLING | {"image_url": "U!"},
    "fal-ai/kling-video/v1.6/pro/text-to-video": _KLING | _THREE,
    "fal-ai/kling-video/v1.6/pro/image-to-video": _KLING | _THREE | {"image_url": "U!", "tail_image_url": "U"},
    **{f"fal-ai/kling-video/v3/{tier}/text-to-video": _KLING_3 | _THREE for tier in ("standard", "pro", "4k")},
    **{f"fal-ai/kling-video/v3/{tier}/image-to-video": _KLING_3_IMAGE for tier in ("standard", "pro", "4k")},
    "fal-ai/kling-video/v3/turbo/standard/text-to-video": _TURBO | _THREE,
    "fal-ai/kling-video/v3/turbo/standard/image-to-video": _TURBO | {"image_url": "U!"},
    "fal-ai/kling-video/o3/standard/text-to-video": _O3 | _THREE,
    "fal-ai/kling-video/o3/standard/image-to-video": _O3 | {"image_url": "U!", "end_image_url": "U"},
    **{
        f"fal-ai/veo3.1{tier}{path}": fields | more
        for tier, fields in (("", _VEO), ("/fast", _VEO), ("/lite", _VEO_LITE))
        for path, more in (
            ("", {}),
            ("/image-to-video", {"image_url": "U!"}),
            ("/first-last-frame-to-video", {"first_frame_url": "U!", "last_frame_url": "U!"}),
        )
    },
    "fal-ai/veo3.1/reference-to-video": _VEO_REFERENCE | {"image_urls": "U[3]!"},
    **{
        f"bytedance/seedance-2.0{tier}/{path}": fields | more
        for tier, fields in (("", _SEEDANCE), ("/fast", _SEEDANCE_SMALL), ("/mini", _SEEDANCE_SMALL))
        for path, more in (
            ("text-to-video", {}),
            ("image-to-video", _SEEDANCE_FRAMES),
            ("reference-to-video", {"image_urls": "U[9]!"}),
        )
    },
    "google/gemini-omni-flash": _OMNI,
    "google/gemini-omni-flash/image-to-video": _OMNI | {"image_url": "U!"},
    "google/gemini-omni-flash/reference-to-video": _OMNI | {"image_urls": "U[3]!"},
    "fal-ai/wan/v2.7/text-to-video": _WAN_27 | {"aspect_ratio": f"S {_WAN}"},
    "fal-ai/wan/v2.7/image-to-video": _WAN_27 | {"image_url": "U", "end_image_url": "U"},
    "fal-ai/wan/v2.7/reference-to-video": _WAN_27
    | {"aspect_ratio": f"S {_WAN}", "duration": "I 2-10", "reference_image_urls": "U[5]!"},
    "alibaba/happy-horse/v1.1/text-to-video": _HAPPY | {"aspect_ratio": f"S {_HORSE}"},
    "alibaba/happy-horse/v1.1/image-to-video": _HAPPY | {"image_url": "U!"},
    "alibaba/happy-horse/v1.1/reference-to-video": _HAPPY | {"aspect_ratio": f"S {_HORSE}", "image_urls": "U[4]!"},
    "fal-ai/luma-dream-machine/ray-2": _RAY,
    "fal-ai/luma-dream-machine/ray-2/image-to-video": _RAY | {"image_url": "U", "end_image_url": "U"},
}
