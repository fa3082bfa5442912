"""The models to seed: price, typical run time, limit and routes."""

from decimal import Decimal
from typing import Any, NamedTuple

from queue_app.models.catalog import Medium
from queue_app.rules.codec_offers import Specification, common
from queue_app.rules.pricing import Price
from queue_app.work.catalogue import codecs

_IMAGE, _VIDEO, _PAGE, _TEXT = Medium.IMAGE, Medium.VIDEO, Medium.PAGE, Medium.TEXT
_UNITS = {_IMAGE: "image", _VIDEO: "second", _PAGE: "page", _TEXT: "text"}
_FAL, _REPLICATE, _ROUTER = "fal", "replicate", "openrouter"
_OTHER_TIER = "Another tier at another price. Activate it to offer this tier under the same name."
_SECOND_SOURCE = "A second source with fewer parameters. Activate it for use when the first one is full."
_UNVERIFIED = "Not verified: no check has confirmed that this provider still offers it."


class RouteSeed(NamedTuple):
    """
    A route of a model. With ``needs_check`` it is used with a key only after a check has found it. ``reason`` says why it is not
    active, or what to know about it.
    """

    account: str
    endpoint_id: str
    codec: dict[str, Any]
    active: bool = True
    reason: str = ""
    needs_check: bool = False


class ModelSeed(NamedTuple):
    """
    A model. ``usd`` is per unit; ``defaults`` are the default values of parameters, otherwise the first possible value is the
    default; ``rates`` is its price rule.
    """

    key: str
    medium: Medium
    limit: int
    tickets: int
    usd: str
    typical_seconds: int
    routes: list[RouteSeed]
    defaults: dict[str, Any] = {}
    rates: list[dict[str, Any]] = []
    estimated: bool = False

    @property
    def parameters(self) -> Specification:
        """The parameters that all active routes can express; without an active route, those that all routes can."""
        if self.medium in (_PAGE, _TEXT):
            return {}
        active = [route.codec for route in self.routes if route.active]
        found = common(active or [route.codec for route in self.routes])
        return {name: self._with_default(name, rule) for name, rule in found.items()}

    def _with_default(self, name: str, rule: dict[str, Any]) -> dict[str, Any]:
        return {**rule, "default": self.defaults.get(name, rule["values"][0])} if "values" in rule else rule

    @property
    def price(self) -> dict[str, Any]:
        """The price rule."""
        return {"rates": self.rates} if not self.estimated else {"rates": self.rates, "estimated": True}

    @property
    def unit(self) -> str:
        """What its price is for: a second, an image, a page or a text."""
        return _UNITS[self.medium]

    @property
    def pricing(self) -> Price:
        return Price(self.unit, self.tickets, Decimal(self.usd), self.price)


def _rate(usd: str, *, tickets: int | None = None, **when: Any) -> dict[str, Any]:
    return {"when": when, "usd": usd, **({"tickets": tickets} if tickets else {})}


def _checked(endpoint_id: str, codec: dict[str, Any], account: str = _FAL) -> RouteSeed:
    """Return a route that is used with a key only after a check has found it."""
    return RouteSeed(account, endpoint_id, codec, needs_check=True)


def _off(account: str, endpoint_id: str, codec: dict[str, Any], reason: str) -> RouteSeed:
    return RouteSeed(account, endpoint_id, codec, active=False, reason=reason)


_BANANA_PRO_RATES = [_rate("0.225", resolution="2K"), _rate("0.30", tickets=2, resolution="4K")]
_IMAGES = [
    ModelSeed("nano-banana", _IMAGE, 5, 1, "0.039", 10, [_checked("fal-ai/nano-banana", codecs.FAL_NANO_BANANA)]),
    ModelSeed(
        "nano-banana-2",
        _IMAGE,
        5,
        1,
        "0.08",
        15,
        [
            _checked("fal-ai/nano-banana-2", codecs.FAL_NANO_BANANA_2),
            _off(_REPLICATE, "google/nano-banana-2", codecs.REPLICATE_NANO_BANANA_2, _SECOND_SOURCE),
        ],
        {"resolution": "1K"},
        [_rate("0.06", resolution="0.5K"), _rate("0.12", resolution="2K"), _rate("0.16", tickets=2, resolution="4K")],
    ),
    ModelSeed(
        "nano-banana-pro",
        _IMAGE,
        5,
        1,
        "0.15",
        25,
        [RouteSeed(_FAL, "fal-ai/nano-banana-pro", codecs.FAL_NANO_BANANA_PRO)],
        {"resolution": "1K"},
        _BANANA_PRO_RATES,
    ),
    ModelSeed(
        "gemini-3-pro-image",
        _IMAGE,
        5,
        1,
        "0.15",
        25,
        [RouteSeed(_FAL, "fal-ai/gemini-3-pro-image-preview", codecs.FAL_GEMINI_3)],
        {"resolution": "1K"},
        _BANANA_PRO_RATES,
    ),
    ModelSeed(
        "seedream-4.5",
        _IMAGE,
        3,
        1,
        "0.04",
        15,
        [
            RouteSeed(_FAL, "fal-ai/bytedance/seedream/v4.5/text-to-image", codecs.FAL_SEEDREAM_45),
            _off(_REPLICATE, "bytedance/seedream-4.5", codecs.REPLICATE_SEEDREAM_45, _SECOND_SOURCE),
        ],
        {"resolution": "2K"},
        estimated=True,
    ),
    ModelSeed(
        "seedream-5-pro",
        _IMAGE,
        3,
        1,
        "0.0675",
        15,
        [_checked("bytedance/seedream/v5/pro/text-to-image", codecs.FAL_SEEDREAM_5_PRO)],
        {"resolution": "1K"},
        [_rate("0.135", resolution="2K")],
    ),
    ModelSeed(
        "seedream-5-lite",
        _IMAGE,
        3,
        1,
        "0.035",
        15,
        [_checked("bytedance/seedream/v5/lite/text-to-image", codecs.FAL_SEEDREAM_5_LITE)],
        {"resolution": "2K"},
    ),
    ModelSeed(
        "flux-2-pro",
        _IMAGE,
        2,
        1,
        "0.03",
        10,
        [
            RouteSeed(_FAL, "fal-ai/flux-2-pro", codecs.FAL_FLUX_2_PRO),
            RouteSeed(_REPLICATE, "black-forest-labs/flux-2-pro", codecs.REPLICATE_FLUX_2_PRO),
        ],
        {"resolution": "1K"},
        [_rate("0.075", resolution="2K")],
    ),
    ModelSeed(
        "gpt-image-2",
        _IMAGE,
        3,
        1,
        "0.05",
        60,
        [
            _checked("openai/gpt-image-2", codecs.FAL_GPT_IMAGE_2),
            RouteSeed("openai_images", "gpt-image-2", codecs.OPENAI_GPT_IMAGE_2),
        ],
        {"quality": "medium", "resolution": "1K"},
        [
            _rate("0.01", quality="low"),
            _rate("0.41", tickets=2, quality="high", resolution="4K"),
            _rate("0.20", quality="high"),
            _rate("0.10", resolution="4K"),
        ],
        estimated=True,
    ),
    ModelSeed(
        "gpt-image-1.5",
        _IMAGE,
        3,
        1,
        "0.034",
        40,
        [_checked("gpt-image-1.5", codecs.OPENAI_GPT_IMAGE_15, "openai_images")],
        {"quality": "medium"},
        [_rate("0.009", quality="low"), _rate("0.133", tickets=2, quality="high")],
        estimated=True,
    ),
    ModelSeed(
        "flash-scanner-v2.5", _IMAGE, 10, 1, "0", 5, [RouteSeed("studio_fal", "studio/flash-scanner-v2.5", codecs.FLASH_SCANNER)]
    ),
]

_VIDEOS = [
    ModelSeed(
        "minimax-video-01",
        _VIDEO,
        2,
        1,
        "0.083333",
        180,
        [
            _checked("fal-ai/minimax/video-01", codecs.FAL_VIDEO_01),
            _off(_REPLICATE, "minimax/video-01", codecs.REPLICATE_VIDEO_01, _UNVERIFIED),
        ],
        estimated=True,
    ),
    ModelSeed(
        "haiper-2.0",
        _VIDEO,
        2,
        1,
        "0.05",
        120,
        [_off(_REPLICATE, "haiper-ai/haiper-video-2", codecs.REPLICATE_HAIPER, "Retired: no provider offers it any more.")],
        estimated=True,
    ),
    ModelSeed(
        "kling-1.6",
        _VIDEO,
        2,
        1,
        "0.045",
        200,
        [
            _checked("fal-ai/kling-video/v1.6/standard/text-to-video", codecs.FAL_KLING_16),
            _off(_FAL, "fal-ai/kling-video/v1.6/pro/text-to-video", codecs.FAL_KLING_16_PRO, _OTHER_TIER),
            _off(_REPLICATE, "kwaivgi/kling-v1.6-standard", codecs.REPLICATE_KLING_16, _UNVERIFIED),
        ],
        estimated=True,
    ),
    ModelSeed(
        "kling-v3",
        _VIDEO,
        2,
        1,
        "0.126",
        150,
        [
            _checked("fal-ai/kling-video/v3/standard/text-to-video", codecs.fal_kling_3("standard")),
            _off(_ROUTER, "kwaivgi/kling-v3.0-std", codecs.ROUTER_KLING_3, _SECOND_SOURCE),
            _off(_FAL, "fal-ai/kling-video/v3/pro/text-to-video", codecs.fal_kling_3("pro"), _OTHER_TIER),
            _off(_FAL, "fal-ai/kling-video/v3/4k/text-to-video", codecs.fal_kling_3("4k"), _OTHER_TIER),
            _off(_FAL, "fal-ai/kling-video/v3/turbo/standard/text-to-video", codecs.FAL_KLING_3_TURBO, _OTHER_TIER),
            _off(_FAL, "fal-ai/kling-video/o3/standard/text-to-video", codecs.FAL_KLING_O3, _OTHER_TIER),
        ],
        {"duration": 5, "audio": True},
        [_rate("0.084", audio=False)],
    ),
    ModelSeed(
        "veo-3.1",
        _VIDEO,
        2,
        1,
        "0.40",
        90,
        [
            _checked("fal-ai/veo3.1", codecs.FAL_VEO_31),
            _off(_ROUTER, "google/veo-3.1", codecs.ROUTER_VEO_31, _SECOND_SOURCE),
            _off(_FAL, "fal-ai/veo3.1/fast", codecs.FAL_VEO_31_FAST, _OTHER_TIER),
            _off(_FAL, "fal-ai/veo3.1/lite", codecs.FAL_VEO_31_LITE, _OTHER_TIER),
        ],
        {"duration": 8, "audio": True},
        [
            _rate("0.60", tickets=2, resolution="4k", audio=True),
            _rate("0.40", tickets=2, resolution="4k", audio=False),
            _rate("0.20", audio=False),
        ],
    ),
    ModelSeed(
        "seedance-2.0",
        _VIDEO,
        2,
        1,
        "0.3034",
        90,
        [
            _checked("bytedance/seedance-2.0/text-to-video", codecs.fal_seedance("", ["480p", "720p", "1080p", "4k"])),
            _checked("bytedance/seedance-2.0", codecs.ROUTER_SEEDANCE_2, _ROUTER),
            _checked("bytedance/seedance-2.0", codecs.REPLICATE_SEEDANCE_2, _REPLICATE),
            _off(_FAL, "bytedance/seedance-2.0/fast/text-to-video", codecs.fal_seedance("/fast", ["480p", "720p"]), _OTHER_TIER),
            _off(_FAL, "bytedance/seedance-2.0/mini/text-to-video", codecs.fal_seedance("/mini", ["480p", "720p"]), _OTHER_TIER),
        ],
        {"duration": 5, "resolution": "720p", "audio": True},
        [_rate("0.1365", resolution="480p"), _rate("0.682", tickets=2, resolution="1080p")],
    ),
    ModelSeed(
        "gemini-omni-flash",
        _VIDEO,
        2,
        1,
        "0.10",
        60,
        [_checked("google/gemini-omni-flash", codecs.FAL_OMNI_FLASH)],
        {"duration": 8},
    ),
    ModelSeed(
        "hailuo-2.3",
        _VIDEO,
        2,
        1,
        "0.046667",
        120,
        [
            _checked("fal-ai/minimax/hailuo-2.3/standard/text-to-video", codecs.FAL_HAILUO_23),
            _checked("minimax/hailuo-2.3", codecs.ROUTER_HAILUO_23, _ROUTER),
            _off(_REPLICATE, "minimax/hailuo-2.3", codecs.REPLICATE_HAILUO_23, _UNVERIFIED),
            _off(_FAL, "fal-ai/minimax/hailuo-2.3/pro/text-to-video", codecs.FAL_HAILUO_23_PRO, _OTHER_TIER),
        ],
        rates=[_rate("0.056", duration=10)],
    ),
    ModelSeed(
        "minimax-h3",
        _VIDEO,
        2,
        1,
        "0.10",
        120,
        [
            _checked("minimax/h3/text-to-video", codecs.FAL_H3),
            _off(_ROUTER, "minimax/hailuo-3", codecs.ROUTER_H3, _SECOND_SOURCE),
        ],
        estimated=True,
    ),
    ModelSeed(
        "wan-2.7",
        _VIDEO,
        2,
        1,
        "0.10",
        120,
        [
            _checked("fal-ai/wan/v2.7/text-to-video", codecs.FAL_WAN_27),
            _off(_ROUTER, "alibaba/wan-2.7", codecs.ROUTER_WAN_27, _SECOND_SOURCE),
            _off(_REPLICATE, "wan-video/wan-2.7-t2v", codecs.REPLICATE_WAN_27, _SECOND_SOURCE),
        ],
        {"duration": 5},
    ),
    ModelSeed(
        "happy-horse-1.1",
        _VIDEO,
        2,
        1,
        "0.10",
        120,
        [_checked("alibaba/happy-horse/v1.1/text-to-video", codecs.FAL_HAPPY_HORSE)],
        {"duration": 5},
        estimated=True,
    ),
    ModelSeed(
        "luma-ray-2",
        _VIDEO,
        2,
        1,
        "0.20",
        120,
        [_checked("fal-ai/luma-dream-machine/ray-2", codecs.FAL_LUMA_RAY_2)],
        {"duration": 5, "resolution": "720p"},
        [_rate("0.10", resolution="540p"), _rate("0.40", tickets=2, resolution="1080p")],
        estimated=True,
    ),
    ModelSeed("sora-2", _VIDEO, 4, 1, "0.5", 90, [RouteSeed("openai_videos", "sora-2", codecs.SORA)], {"duration": 8}),
    ModelSeed(
        "sora-2-pro", _VIDEO, 4, 2, "1.2", 180, [RouteSeed("openai_videos", "sora-2-pro", codecs.SORA_PRO)], {"duration": 8}
    ),
    ModelSeed("manim", _VIDEO, 4, 1, "0", 15, [RouteSeed("studio", "manim", codecs.SORA)], {"duration": 8}),
]
# with a key, the endpoint of these is the name of a model at the account's provider, which only its operator knows
_TEXTS = [
    ModelSeed("page-writer", _PAGE, 3, 1, "0.02", 60, [_checked("page-writer", codecs.CHAT_IN_JSON, "chat")], estimated=True),
    ModelSeed("text-writer", _TEXT, 3, 1, "0.01", 15, [_checked("text-writer", codecs.CHAT, "chat")], estimated=True),
]

MODELS = [*_IMAGES, *_VIDEOS, *_TEXTS]
