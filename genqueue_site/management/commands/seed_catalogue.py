from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from campaigns import catalogue as dimensions
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from queue_app.rules.numbers import counted
from queue_app.work import catalogue, roles
from queue_app.work.catalogue import table


class Command(BaseCommand):
    help = "Add missing catalogue entries, alert rules, dimensions and staff roles. Never overwrites your edits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--table", action="store_true", help="only print all models and routes, as docs/catalogue.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["table"]:
            self.stdout.write(table.markdown(), ending="")
            return
        added = catalogue.seed() + dimensions.seed()
        added += roles.seed(also=(Brand, ComplianceRule, Dimension, DimensionValue))
        self.stdout.write(f"{counted(added, 'row')} added." if added else "Nothing to add.")
