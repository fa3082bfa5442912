"""System checks of the installation. Those of the queue's settings are in `queue_app.checks`."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, register


@register()
def psycopg_3_is_absent(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that psycopg 3 is not importable: Django would silently prefer it to psycopg2, the driver we test with."""
    if find_spec("psycopg") is None:
        return []
    return [
        Error(
            "psycopg (version 3) is importable, and Django would silently use it instead of psycopg2.",
            hint="Uninstall it (pip uninstall psycopg psycopg-binary psycopg-pool) or reinstall from requirements/*.lock.",
            id="genqueue.E001",
        )
    ]
