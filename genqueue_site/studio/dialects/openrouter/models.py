"""The video models of the studio's OpenRouter: capabilities and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

HEIGHTS = {"360p": 360, "480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "1K": 1024, "2K": 1440, "4K": 2160}
WIDE = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
FRAMES = ("first_frame", "last_frame")


@dataclass(frozen=True, kw_only=True)
class VideoModel:
    """A model. The first duration, resolution and ratio are the defaults. ``None`` means "not known"."""

    name: str
    durations: tuple[int, ...]
    resolutions: tuple[str, ...]
    ratios: tuple[str, ...]
    frames: tuple[str, ...] | None = FRAMES
    audio: bool | None = True
    seed: bool | None = None
    skus: Mapping[str, str] | None = None

    def listed(self, slug: str) -> dict[str, object]:
        """Return its entry in the list of models."""
        return {
            "id": slug,
            "canonical_slug": slug,
            "name": self.name,
            "created": 1_760_000_000,
            "description": "A studio preview.",
            "hugging_face_id": None,
            "supported_durations": sorted(self.durations),
            "supported_resolutions": list(self.resolutions),
            "supported_aspect_ratios": list(self.ratios),
            "supported_sizes": self.sizes(),
            "supported_frame_images": None if self.frames is None else list(self.frames),
            "generate_audio": self.audio,
            "seed": self.seed,
            "creativity": None,
            "upscale_factor": None,
            "pricing_skus": None if self.skus is None else dict(self.skus),
            "allowed_passthrough_parameters": [],
        }

    def sizes(self) -> list[str]:
        """Return all sizes in pixels."""
        return [
            f"{width}x{height}" for name in self.resolutions for ratio in self.ratios for width, height in [pixels(name, ratio)]
        ]

    def cost(self, *, seconds: int, resolution: str, size: tuple[int, int], audio: bool) -> Decimal | None:
        """Return the cost of a video in USD by the price that fits best, or ``None``."""
        heard = "with_audio" if audio else "without_audio"
        skus = self.skus or {}
        for ending in (f"_{heard}_{resolution}", f"_{resolution}", f"_{heard}", ""):
            if price := skus.get(f"duration_seconds{ending}"):
                return Decimal(price) * seconds
        if price := skus.get("video_tokens"):
            return Decimal(price) * size[0] * size[1] * 24 * seconds / 1024
        return None


def pixels(resolution: str, ratio: str) -> tuple[int, int]:
    """Return width and height, both even. The resolution is the shorter side."""
    sides = [int(side) for side in ratio.split(":")]
    width, height = (round(HEIGHTS[resolution] * side / min(sides) / 2) * 2 for side in sides)
    return width, height


_VEO_SKUS = {
    "duration_seconds_with_audio": "0.4",
    "duration_seconds_without_audio": "0.2",
    "duration_seconds_with_audio_4K": "0.6",
    "duration_seconds_without_audio_4K": "0.4",
}
_VEO_LITE_SKUS = {
    "duration_seconds_with_audio_720p": "0.05",
    "duration_seconds_without_audio_720p": "0.03",
    "duration_seconds_with_audio_1080p": "0.08",
    "duration_seconds_without_audio_1080p": "0.05",
}
_VEO_SECONDS, _VEO_RATIOS = (6, 4, 8), ("16:9", "9:16")
_SEEDANCE_SECONDS = (5, 4, *range(6, 16))
_KLING_SECONDS, _KLING_RATIOS = (5, 3, 4, *range(6, 16)), ("16:9", "9:16", "1:1")

MODELS: dict[str, VideoModel] = {
    "google/veo-3.1": VideoModel(
        name="Google: Veo 3.1",
        durations=_VEO_SECONDS,
        resolutions=("720p", "1080p", "4K"),
        ratios=_VEO_RATIOS,
        seed=True,
        skus=_VEO_SKUS,
    ),
    "google/veo-3.1-fast": VideoModel(
        name="Google: Veo 3.1 Fast",
        durations=_VEO_SECONDS,
        resolutions=("720p", "1080p"),
        ratios=_VEO_RATIOS,
        seed=True,
        skus={"duration_seconds_with_audio": "0.15", "duration_seconds_without_audio": "0.1"},
    ),
    "google/veo-3.1-lite": VideoModel(
        name="Google: Veo 3.1 Lite",
        durations=_VEO_SECONDS,
        resolutions=("720p", "1080p"),
        ratios=_VEO_RATIOS,
        seed=True,
        skus=_VEO_LITE_SKUS,
    ),
    "bytedance/seedance-2.0": VideoModel(
        name="ByteDance: Seedance 2.0",
        durations=_SEEDANCE_SECONDS,
        resolutions=("720p", "480p", "1080p"),
        ratios=WIDE,
        skus={"video_tokens": "0.000014"},
    ),
    "bytedance/seedance-2.0-fast": VideoModel(
        name="ByteDance: Seedance 2.0 Fast",
        durations=_SEEDANCE_SECONDS,
        resolutions=("720p", "480p"),
        ratios=WIDE,
        skus={"video_tokens": "0.0000112"},
    ),
    "kwaivgi/kling-v3.0-std": VideoModel(
        name="Kling: v3.0 Standard",
        durations=_KLING_SECONDS,
        resolutions=("720p",),
        ratios=_KLING_RATIOS,
        skus={"duration_seconds_with_audio": "0.126", "duration_seconds_without_audio": "0.084"},
    ),
    "kwaivgi/kling-v3.0-pro": VideoModel(
        name="Kling: v3.0 Pro",
        durations=_KLING_SECONDS,
        resolutions=("1080p",),
        ratios=_KLING_RATIOS,
        skus={"duration_seconds_with_audio": "0.168", "duration_seconds_without_audio": "0.112"},
    ),
    "minimax/hailuo-2.3": VideoModel(
        name="MiniMax: Hailuo 2.3",
        durations=(6, 10),
        resolutions=("768p", "1080p"),
        ratios=("16:9",),
        frames=("first_frame",),
        audio=False,
        skus={"duration_seconds_768p": "0.0467", "duration_seconds_1080p": "0.0817"},
    ),
    "minimax/hailuo-3": VideoModel(
        name="MiniMax: Hailuo 3", durations=tuple(range(5, 16)), resolutions=("2K",), ratios=WIDE, frames=FRAMES, audio=None
    ),
    "alibaba/wan-2.7": VideoModel(
        name="Alibaba: Wan 2.7",
        durations=(5, 2, 3, 4, *range(6, 16)),
        resolutions=("1080p", "720p"),
        ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
        audio=None,
        seed=True,
        skus={"duration_seconds": "0.1"},
    ),
}
