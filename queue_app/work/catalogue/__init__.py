"""
The seeded catalogue: kinds, accounts, models, limits, routes and alert rules. Seeding is idempotent and keeps the edits of staff.
"""

from decimal import Decimal
from typing import Any

from django.db import models, transaction

from queue_app.models import AlertRule, GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from queue_app.models.catalog import Backoff, Medium
from queue_app.rules import priority
from queue_app.work.catalogue.seeds import MODELS, ModelSeed

# backoff and its base in seconds
EXPONENTIAL, EVERY_5_MINUTES = (Backoff.EXPONENTIAL, 5), (Backoff.FIXED, 300)
# key, label, medium, restricted, default priority, timeout in seconds, backoff
KINDS: list[tuple[str, str, str, bool, int, int, tuple[str, int]]] = [
    ("image", "Image", Medium.IMAGE, False, priority.NORMAL, 600, EXPONENTIAL),
    ("video", "Video", Medium.VIDEO, False, priority.NORMAL, 1200, EXPONENTIAL),
    ("page", "Page", Medium.PAGE, False, priority.NORMAL, 300, EXPONENTIAL),
    ("text", "Text", Medium.TEXT, False, priority.NORMAL, 600, EXPONENTIAL),
    ("doubt", "Doubt", Medium.VIDEO, True, priority.HIGH, 600, EVERY_5_MINUTES),
    ("topic_short", "Topic short", Medium.VIDEO, True, priority.NORMAL, 600, EVERY_5_MINUTES),
    ("daily_ca", "Daily current affairs", Medium.VIDEO, True, priority.LOW, 600, EVERY_5_MINUTES),
]

# key, adapter, environment variable of its API key, limit, can look up lost tasks, options, base URL
ACCOUNTS: list[tuple[str, str, str, int | None, bool, dict[str, Any], str]] = [
    ("openai_videos", "openai_videos", "OPENAI_VIDEOS_API_KEY", 4, True, {}, "https://api.openai.com/v1"),
    ("studio", "openai_videos", "", None, True, {}, ""),
    ("fal", "fal", "FAL_KEY", 2, True, {}, "https://queue.fal.run"),  # a new account there runs two tasks at a time
    ("studio_fal", "fal", "", None, True, {}, ""),
    ("replicate", "replicate", "REPLICATE_API_TOKEN", None, True, {}, "https://api.replicate.com/v1"),
    # it signs webhooks only once its workspace has a secret, and has no list to find a lost task in
    ("openrouter", "openrouter", "OPENROUTER_API_KEY", None, False, {"unsigned_webhooks": True}, "https://openrouter.ai/api/v1"),
    ("openai_images", "openai_images", "OPENAI_IMAGES_API_KEY", None, False, {}, "https://api.openai.com/v1"),
    ("chat", "chat", "CHAT_API_KEY", None, False, {}, "https://api.openai.com/v1"),
]

# the adapter whose lost calls are repeated: a text costs a cent or less, and such endpoints have no list to look for it in
MAY_REPEAT = "chat"

# account → environment variable of its webhook secret
WEBHOOK_SECRETS = {
    "openai_videos": "OPENAI_WEBHOOK_SECRET",
    "replicate": "REPLICATE_WEBHOOK_SECRET",
    "openrouter": "OPENROUTER_WEBHOOK_SECRET",
}

# measure, opening value, closing value
ALERT_RULES: list[tuple[str, float, float]] = [
    (AlertRule.Measure.QUEUE_DEPTH, 500, 300),
    (AlertRule.Measure.OLDEST_WAIT, 3600, 1800),
    (AlertRule.Measure.FAILURE_RATE, 25, 10),
    (AlertRule.Measure.UNKNOWN_JOBS, 1, 0),
    (AlertRule.Measure.WORKER_SILENT, 30, 10),
    (AlertRule.Measure.TICKETS_LOW, 20, 50),
    (AlertRule.Measure.PAID_NOT_DELIVERED, 1, 0),
    (AlertRule.Measure.BUDGET_SPENT, 80, 50),
    (AlertRule.Measure.OLD_SNAPSHOT, 300, 60),
]


@transaction.atomic
def seed() -> int:
    """Add missing rows and leave existing ones alone. Return the number of rows added."""
    added = _once(QueueSettings, {"pk": 1}, {})
    for key, label, medium, restricted, default_priority, timeout, (backoff, base) in KINDS:
        found = {
            "label": label,
            "medium": medium,
            "restricted": restricted,
            "default_priority": default_priority,
            "timeout_seconds": timeout,
            "backoff": backoff,
            "retry_base_seconds": base,
        }
        added += _once(Kind, {"key": key}, found)
    for key, adapter, api_key_env, limit, can_look_up, options, base_url in ACCOUNTS:
        found = {
            "adapter": adapter,
            "api_key_env": api_key_env,
            "webhook_secret_env": WEBHOOK_SECRETS.get(key, ""),
            "max_concurrent": limit,
            "can_look_up": can_look_up,
            "may_repeat": adapter == MAY_REPEAT,
            "options": options,
            "base_url": base_url,
        }
        added += _once(ProviderAccount, {"key": key}, found)
    for seed in MODELS:
        added += _seed_model(seed)
    for measure, opens_at, closes_at in ALERT_RULES:
        added += _once(AlertRule, {"measure": measure}, {"opens_at": opens_at, "closes_at": closes_at})
    return added


def _seed_model(seed: ModelSeed) -> int:
    found = {
        "label": seed.key,
        "medium": seed.medium,
        "unit": seed.unit,
        "tickets_per_unit": seed.tickets,
        "usd_per_unit": Decimal(seed.usd),
        "price": seed.price,
        "typical_seconds": seed.typical_seconds,
        "parameters": seed.parameters,
    }
    is_new = _once(GenerationModel, {"key": seed.key}, found)
    added = is_new + _once(ModelConcurrencyLimit, {"model_id": seed.key}, {"max_concurrent": seed.limit})
    for position, route in enumerate(seed.routes if is_new else ()):  # a route that staff deleted stays deleted
        ModelRoute.objects.create(
            model_id=seed.key,
            account_id=route.account,
            endpoint_id=route.endpoint_id,
            codec=route.codec,
            active=route.active,
            reason=route.reason,
            needs_check=route.needs_check,
            position=position,
        )
        added += 1
    return added


def _once(model: type[models.Model], key: dict[str, Any], found: dict[str, Any]) -> int:
    return int(model._default_manager.get_or_create(**key, defaults=found)[1])
