from typing import Any

from django.core.management.base import BaseCommand

from campaigns import catalogue as dimensions
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from queue_app.work import catalogue, roles


class Command(BaseCommand):
    help = (
        "Add what is missing of the catalogue, the alert rules, the dimensions and the roles of staff. Never overwrites an edit."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        added = catalogue.seed() + dimensions.seed()
        added += roles.seed(also=(Brand, ComplianceRule, Dimension, DimensionValue))
        self.stdout.write(f"{added} rows added." if added else "Everything is there already.")
