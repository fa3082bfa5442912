"""System checks of the queue's settings: stop the start, with a reason, if a setting would silently break a guarantee later."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection
from django.utils.module_loading import import_string

from queue_app.models import ModelRoute
from queue_app.providers import registry
from queue_app.runtime.queues import Queue

GUARD_SECONDS, MARGIN_SECONDS = 3, 30  # django-q2 adds the first to a task's time limit; the second is our margin


@register()
def times_nest(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that a call ends before its lease, a lease before its task, and a task before the grace period of a lookup."""
    hint = "Fix TIMES in the settings (queue_app/rules/times.py). Their order prevents duplicate purchases."
    found = [*settings.TIMES.problems(), *_task_times()]
    return [Error(f"Invalid TIMES: {problem}.", hint=hint, id="queue_app.E001") for problem in found]


@register()
def tasks_are_not_delivered_twice(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """
    Check that no queue delivers a task a second time before it could finish.

    django-q2 delivers a task again after ``retry`` seconds; by then all tasks taken before it must have had their full time.
    """
    return [
        Error(
            f"Queue {queue}: retry is {queue.conf['retry']}s and must be at least {least}s.",
            hint="Raise retry in Q_CLUSTER, or lower the cluster's timeout, queue_limit or bulk.",
            id="queue_app.E002",
        )
        for queue in Queue
        if queue.conf["retry"] < (least := least_retry(queue.conf))
    ]


@register(Tags.database)
def adapters_exist(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that every active route of an active model leads to an account whose adapter exists in this version."""
    if not databases or ModelRoute._meta.db_table not in connection.introspection.table_names():  # before the first migration
        return []
    accounts = ModelRoute.objects.filter(active=True, model__active=True).values_list("account_id", "account__adapter")
    missing = [f"{account} ({adapter})" for account, adapter in sorted(set(accounts)) if not registry.is_available(adapter)]
    if not missing:
        return []
    return [
        Warning(
            f"No adapter for these provider accounts: {', '.join(missing)}.",
            hint="Their models are hidden (model_not_available). Disable their routes to silence this.",
            id="queue_app.W001",
        )
    ]


@register()
def stage_hooks_exist(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the functions to call around stages can be imported: a misspelled one would never be called."""
    hint = "Name functions by dotted paths, separated by commas, such as shop.pages.published."
    return [
        Error(f"STAGE_HOOKS_{moment.upper()}: {problem}.", hint=hint, id="queue_app.E003")
        for moment, paths in settings.STAGE_HOOKS.items()
        for path in paths
        if (problem := _no_function(path))
    ]


def least_retry(conf: Mapping[str, Any]) -> int:
    """Return the seconds a task may wait in a cluster's memory and then run: the time of all tasks before it, and its own."""
    rounds = 1 + math.ceil((conf["queue_limit"] + conf["bulk"]) / conf["workers"])
    return int((conf["timeout"] + GUARD_SECONDS) * rounds + MARGIN_SECONDS)


def _task_times() -> Iterator[str]:
    """Yield the queues whose time limit differs from TIMES; django-q2 takes whole seconds only."""
    times = settings.TIMES
    for queue, seconds in ((Queue.DEFAULT, times.task), (Queue.LONG, times.long_task), (Queue.STORE, times.store_task)):
        if queue.task_seconds != max(1, round(seconds)):
            yield f"queue {queue} ends its tasks after {queue.task_seconds}s, not after {seconds:g}s"


def _no_function(path: str) -> str:
    """Return why nothing can be called by this dotted path; empty if a function can."""
    try:
        return "" if callable(import_string(path)) else f"{path} is no function"
    except ImportError as problem:
        return f"{path} can't be imported ({problem})"
