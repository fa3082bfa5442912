"""What is kept of a stage or step, and who is told of it."""

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from queue_app.rules.words import storable
from queue_app.work.pipeline.shape import Json

log = logging.getLogger(__name__)


def fields_of(result: Json, *, seconds: float, at: datetime, skipped: bool = False) -> dict[str, Any]:
    """Return the fields of a finished stage or step."""
    packed = json.dumps(result, sort_keys=True, ensure_ascii=False)
    return {
        "ended_at": at,
        "seconds": round(seconds, 3),
        "skipped": skipped,
        "result": result,
        "sha256": hashlib.sha256(packed.encode()).hexdigest(),
    }


def plain(value: Json) -> Json:
    """Return JSON whose texts PostgreSQL can store."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def tell_hooks(when: str, job_id: int, stage: str, *error: BaseException) -> None:
    """Call the hooks of the settings. What they raise is logged: it must not end a paid job."""
    for path in settings.STAGE_HOOKS[when]:
        try:
            import_string(path)(job_id, stage, *error)
        except Exception:
            log.exception("hook %s failed %s stage %s of job %s", path, when, stage, job_id)
