from typing import Any

from django.core.management.base import BaseCommand

from campaigns import catalogue as dimensions
from queue_app.work import catalogue


class Command(BaseCommand):
    help = "Add the kinds, accounts, models, limits, routes and dimensions that are missing. Never overwrites an edit."

    def handle(self, *args: Any, **options: Any) -> None:
        added = catalogue.seed() + dimensions.seed()
        self.stdout.write(f"{added} rows added." if added else "Everything is there already.")
