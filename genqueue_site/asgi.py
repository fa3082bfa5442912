"""The web process: ASGI, because live pages hold their connections open."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")

application = get_asgi_application()
