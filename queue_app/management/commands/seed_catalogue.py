from typing import Any

from django.core.management.base import BaseCommand

from queue_app.work import catalogue


class Command(BaseCommand):
    help = "Add the kinds, accounts, models, limits and routes that are missing. Never overwrites an edit; may run at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        added = catalogue.seed()
        self.stdout.write(f"{added} rows added." if added else "Everything is there already.")
