"""The site as a Django application: its commands, system checks, database session settings and admin site."""

import os

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig


class SiteConfig(AppConfig):
    name = "genqueue_site"

    def ready(self) -> None:
        from genqueue_site import checks  # noqa: F401 - importing registers them
        from genqueue_site.db import session  # noqa: F401 - importing it connects its signal


class GenqueueAdminConfig(SimpleAdminConfig):
    default_site = "genqueue_site.admin.GenqueueAdminSite"

    def ready(self) -> None:
        super().ready()
        if "Q_CLUSTER_NAME" not in os.environ:  # a task cluster serves no page: its start takes half the time without them
            admin.autodiscover()
