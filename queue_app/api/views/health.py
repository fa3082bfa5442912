"""Health checks for load balancers and operators, without log-in or secrets: the process, and the whole site."""

from threading import Event

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from queue_app import clock
from queue_app.insight.workers import ALIVE
from queue_app.models import GenerationModel, Kind, QueueSettings, WorkerProcess
from queue_app.work import capacity

_MIGRATED = Event()
NO_ROUTES = capacity.Routes({}, [])


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Return 200 while the process runs."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """
    Return 200 once migrations and seeds are applied and, within the last 10 s, a worker has sent a heartbeat and the leading
    dispatcher has finished a round. Otherwise return 503 with what is missing.

    Lists the models without a provider's API key: those that the studio simulates, and inactive ones.
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
    """Return what is missing, and what to do about it."""
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
    """Whether all migrations are applied. Looks until they are: they stay applied while this process runs."""
    if not _MIGRATED.is_set():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _MIGRATED.set()
    return True
