"""
The seeded catalogue: kinds, accounts, models, limits, routes and alert rules. Seeding is idempotent and keeps the edits of staff.
"""

from decimal import Decimal
from typing import Any

from django.db import models, transaction

from queue_app.models import AlertRule, GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from queue_app.models.catalog import Backoff, Medium
from queue_app.rules import priority

# key, label, medium, restricted, default priority, timeout in seconds, backoff
KINDS: list[tuple[str, str, str, bool, int, int, str]] = [
    ("image", "Image", Medium.IMAGE, False, priority.NORMAL, 600, Backoff.EXPONENTIAL),
    ("video", "Video", Medium.VIDEO, False, priority.NORMAL, 1200, Backoff.EXPONENTIAL),
    ("page", "Page", Medium.PAGE, False, priority.NORMAL, 600, Backoff.EXPONENTIAL),
    ("doubt", "Doubt", Medium.VIDEO, True, priority.HIGH, 600, Backoff.EXPONENTIAL),
    ("topic_short", "Topic short", Medium.VIDEO, True, priority.NORMAL, 600, Backoff.FIXED),
    ("daily_ca", "Daily current affairs", Medium.VIDEO, True, priority.LOW, 600, Backoff.FIXED),
]

# key, adapter, environment variable of its API key, limit, can look up lost tasks, options, base URL
ACCOUNTS: list[tuple[str, str, str, int | None, bool, dict[str, Any], str]] = [
    ("openai_videos", "openai_videos", "OPENAI_VIDEOS_API_KEY", 4, True, {}, "https://api.openai.com/v1"),
    ("studio", "openai_videos", "", None, True, {}, ""),
    ("fal", "fal", "FAL_KEY", None, True, {}, "https://queue.fal.run"),
    ("studio_fal", "fal", "", None, True, {}, ""),
    ("replicate", "replicate", "REPLICATE_API_TOKEN", None, True, {}, "https://api.replicate.com/v1"),
    ("chat", "chat", "CHAT_API_KEY", None, False, {}, "https://api.openai.com/v1"),
]

_SEED = {"low": 0, "high": 4_294_967_295}
_RATIOS = {"values": ["16:9", "9:16", "1:1"], "default": "16:9"}
_WIDE_RATIOS = {"values": ["1:1", "21:9", "16:9", "3:2", "4:3", "5:4", "4:5", "3:4", "2:3", "9:16"], "default": "1:1"}
_NO_LOOP = {"values": [False], "default": False}
_SORA = {
    "duration": {"values": [4, 5, 8, 10, 12, 16, 20], "default": 8, "unit": "s"},
    "aspect_ratio": _RATIOS,
    "loop": _NO_LOOP,
    "seed": _SEED,
}
_SORA_PRO = _SORA | {"resolution": {"values": ["720p", "1080p"], "default": "720p"}}
_IMAGE = {"aspect_ratio": _WIDE_RATIOS, "loop": _NO_LOOP, "seed": _SEED}
_IMAGE_PRO = _IMAGE | {"resolution": {"values": ["1K", "2K", "4K"], "default": "1K"}}
_KLING = {"duration": {"values": [5, 10], "default": 5, "unit": "s"}, "aspect_ratio": _RATIOS, "loop": _NO_LOOP}
_FIXED_CLIP = {"duration": {"values": [6], "default": 6, "unit": "s"}, "loop": _NO_LOOP}

_FAL, _REPLICATE = "fal", "replicate"
# key, medium, limit, tickets and USD per unit, typical seconds, parameters, routes as (account, endpoint, active)
MODELS: list[tuple[str, str, int, int, str, int, dict[str, Any], list[tuple[str, str, bool]]]] = [
    ("nano-banana", Medium.IMAGE, 5, 1, "0.039", 10, _IMAGE, [(_FAL, "fal-ai/nano-banana", True)]),
    ("nano-banana-pro", Medium.IMAGE, 5, 1, "0.15", 20, _IMAGE_PRO, [(_FAL, "fal-ai/nano-banana-pro", True)]),
    ("seedream-4.5", Medium.IMAGE, 3, 1, "0.04", 15, _IMAGE, [(_FAL, "fal-ai/bytedance/seedream/v4.5/text-to-image", True)]),
    ("flux-2-pro", Medium.IMAGE, 2, 1, "0.05", 15, _IMAGE, [(_FAL, "fal-ai/flux-2-pro", True)]),
    ("gemini-3-pro-image", Medium.IMAGE, 5, 1, "0.134", 20, _IMAGE_PRO, [(_FAL, "fal-ai/gemini-3-pro-image-preview", True)]),
    ("flash-scanner-v2.5", Medium.IMAGE, 10, 1, "0", 5, _IMAGE, [("studio_fal", "studio/flash-scanner-v2.5", True)]),
    (
        "minimax-video-01",
        Medium.VIDEO,
        2,
        1,
        "0.08",
        180,
        _FIXED_CLIP,
        [(_FAL, "fal-ai/minimax/video-01", True), (_REPLICATE, "minimax/video-01", True)],
    ),
    ("haiper-2.0", Medium.VIDEO, 2, 1, "0.05", 120, _FIXED_CLIP, [(_REPLICATE, "haiper-ai/haiper-video-2", False)]),
    ("kling-1.6", Medium.VIDEO, 2, 1, "0.056", 240, _KLING, [(_FAL, "fal-ai/kling-video/v1.6/standard/text-to-video", True)]),
    ("sora-2", Medium.VIDEO, 4, 1, "0.5", 90, _SORA, [("openai_videos", "sora-2", True)]),
    ("sora-2-pro", Medium.VIDEO, 4, 2, "1.2", 180, _SORA_PRO, [("openai_videos", "sora-2-pro", True)]),
    ("manim", Medium.VIDEO, 4, 1, "0", 15, _SORA, [("studio", "manim", True)]),
    ("page-writer", Medium.PAGE, 3, 1, "0.02", 60, {}, [("chat", "page-writer", True)]),
]
# measure, opening value, closing value
ALERT_RULES: list[tuple[str, float, float]] = [
    (AlertRule.Measure.QUEUE_DEPTH, 500, 300),
    (AlertRule.Measure.OLDEST_WAIT, 3600, 1800),
    (AlertRule.Measure.FAILURE_RATE, 25, 10),
    (AlertRule.Measure.UNKNOWN_JOBS, 1, 0),
    (AlertRule.Measure.WORKER_SILENT, 30, 10),
    (AlertRule.Measure.TICKETS_LOW, 20, 50),
    (AlertRule.Measure.PAID_NOT_DELIVERED, 1, 0),
    (AlertRule.Measure.OLD_SNAPSHOT, 300, 60),
]
_UNIT_OF = {Medium.IMAGE: "image", Medium.VIDEO: "second", Medium.PAGE: "page"}


@transaction.atomic
def seed() -> int:
    """Add missing rows and leave existing ones alone. Return the number of rows added."""
    added = _once(QueueSettings, {"pk": 1}, {})
    for key, label, medium, restricted, default_priority, timeout, backoff in KINDS:
        found = {
            "label": label,
            "medium": medium,
            "restricted": restricted,
            "default_priority": default_priority,
            "timeout_seconds": timeout,
            "backoff": backoff,
        }
        added += _once(Kind, {"key": key}, found)
    for key, adapter, api_key_env, limit, can_look_up, options, base_url in ACCOUNTS:
        found = {
            "adapter": adapter,
            "api_key_env": api_key_env,
            "max_concurrent": limit,
            "can_look_up": can_look_up,
            "options": options,
            "base_url": base_url,
        }
        added += _once(ProviderAccount, {"key": key}, found)
    for key, medium, limit, tickets_per_unit, usd, typical_seconds, parameters, routes in MODELS:
        found = {
            "label": key,
            "medium": medium,
            "unit": _UNIT_OF[Medium(medium)],
            "tickets_per_unit": tickets_per_unit,
            "usd_per_unit": Decimal(usd),
            "typical_seconds": typical_seconds,
            "parameters": parameters,
        }
        is_new = _once(GenerationModel, {"key": key}, found)
        added += is_new + _once(ModelConcurrencyLimit, {"model_id": key}, {"max_concurrent": limit})
        if is_new:  # a route that staff deleted stays deleted
            for position, (account, endpoint, active) in enumerate(routes):
                ModelRoute.objects.create(
                    model_id=key, account_id=account, endpoint_id=endpoint, active=active, position=position
                )
                added += 1
    for measure, opens_at, closes_at in ALERT_RULES:
        added += _once(AlertRule, {"measure": measure}, {"opens_at": opens_at, "closes_at": closes_at})
    return added


def _once(model: type[models.Model], key: dict[str, Any], found: dict[str, Any]) -> int:
    return int(model._default_manager.get_or_create(**key, defaults=found)[1])
