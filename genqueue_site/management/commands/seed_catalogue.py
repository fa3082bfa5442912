from typing import Any

from django.core.management.base import BaseCommand

from campaigns import catalogue as dimensions
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from queue_app.rules.numbers import counted
from queue_app.work import catalogue, roles


class Command(BaseCommand):
    help = "Add missing catalogue entries, alert rules, dimensions and staff roles. Never overwrites your edits."

    def handle(self, *args: Any, **options: Any) -> None:
        added = catalogue.seed() + dimensions.seed()
        added += roles.seed(also=(Brand, ComplianceRule, Dimension, DimensionValue))
        self.stdout.write(f"{counted(added, 'row')} added." if added else "Nothing to add.")
