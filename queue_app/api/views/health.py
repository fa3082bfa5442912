"""Is the process up, and can the whole do its work? For load balancers and operators; no log-in, no secrets."""

from threading import Event

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from queue_app import clock
from queue_app.insight.board import ALIVE
from queue_app.models import GenerationModel, Kind, QueueSettings, WorkerProcess
from queue_app.work import capacity

_MIGRATED = Event()
NO_ROUTES = capacity.Routes({}, [])


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """
    200 once migrations, seeds and a worker's heartbeat of the last 10 s are there, and the leading dispatcher has come round
    within them; else 503 with what is missing.

    Names the models whose vendor's key is not set: those that the studio makes, and those that nobody makes.
    """
    try:
        missing = _missing()
        routes = capacity.look_up_routes() if "migrations" not in missing else NO_ROUTES
    except Error:
        missing, routes = {"database": "PostgreSQL is not responding."}, NO_ROUTES
    answer = {
        "status": "not ready" if missing else "ready",
        "missing": missing,
        "studio_models": sorted(key for key, found in routes.usable.items() if found[0].account.is_preview),
        "inactive_models": routes.keyless,
    }
    return JsonResponse(answer, status=503 if missing else 200)


def _missing() -> dict[str, str]:
    """What is not there yet, and what to do about it."""
    if not _is_migrated():
        return {"migrations": "Run `manage.py migrate`."}
    missing = {}
    if not (QueueSettings.objects.exists() and Kind.objects.exists() and GenerationModel.objects.exists()):
        missing["seeds"] = "Run `manage.py seed_catalogue`."
    alive_since = clock.now() - ALIVE
    if not WorkerProcess.objects.filter(beat_at__gt=alive_since).exists():
        missing["worker"] = f"No worker heartbeat in the last {ALIVE.seconds}s. Run `manage.py runworker`."
    elif not WorkerProcess.objects.filter(leader=True, turned_at__gt=alive_since).exists():
        missing["dispatcher"] = (
            f"No dispatcher has finished a round in the last {ALIVE.seconds}s. There is no leader yet, the leader is stuck, "
            "or a long transaction locks the queue settings."
        )
    return missing


def _is_migrated() -> bool:
    """Asked until it is true: what is applied stays applied while this process lives."""
    if not _MIGRATED.is_set():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _MIGRATED.set()
    return True
