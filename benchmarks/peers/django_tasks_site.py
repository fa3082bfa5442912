"""Settings of a bare django-tasks-db site, in the peers' environment."""

import os

SECRET_KEY = "bench"  # noqa: S105 - signs nothing that matters
INSTALLED_APPS = ["django_tasks", "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": os.environ["PEER_HOST"],
    }
}
