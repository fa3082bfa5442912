"""The site as a Django application: its commands, system checks, database session settings and admin site."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class SiteConfig(AppConfig):
    name = "genqueue_site"

    def ready(self) -> None:
        from genqueue_site import checks  # noqa: F401 - importing registers them
        from genqueue_site.db import session  # noqa: F401 - importing it connects its signal


class GenqueueAdminConfig(SimpleAdminConfig):
    """The admin. Its pages register when the URLs are loaded: workers need none, and start in half the time without them."""

    default_site = "genqueue_site.admin.GenqueueAdminSite"
