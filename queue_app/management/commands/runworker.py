from typing import Any

from django.core.management.base import BaseCommand

from queue_app.runtime.supervisor import Supervisor


class Command(BaseCommand):
    help = "Work on the queue: the dispatcher loop and a watched cluster for each queue, until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor().run()
