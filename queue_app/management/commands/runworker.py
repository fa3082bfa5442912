from typing import Any

from django.core.management.base import BaseCommand

from queue_app.runtime.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run the worker (dispatcher and task clusters) until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor().run()
