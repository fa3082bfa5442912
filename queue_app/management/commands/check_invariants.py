"""``manage.py check_invariants``: check every rule, print the rows that break one, exit with status 1 if there are any."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from queue_app import clock
from queue_app.insight import invariants
from queue_app.insight.invariant_queries import OBJECTS, RULES


class Command(BaseCommand):
    help = "Check all invariants. Prints each rule with the rows that break it; exits with 1 if any do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.now()
        offenders = {offender.rule: offender.rows for offender in invariants.check(at=at, files=True)}
        asked = [(rule, offenders.get(rule, [])) for rule in (*RULES, OBJECTS)]
        if options["json"]:
            rules = [{"id": rule.id, "sentence": rule.sentence, "offenders": rows} for rule, rows in asked]
            self.stdout.write(json.dumps({"at": at, "holds": not offenders, "rules": rules}, cls=DjangoJSONEncoder))
        else:
            for rule, rows in asked:
                self.stdout.write(f"{'BROKEN' if rows else 'ok':6} {rule.id:3} {rule.sentence}")
                for row in rows:
                    self.stdout.write("           " + ", ".join(f"{name} {value}" for name, value in row.items()))
        if offenders:
            sys.exit(1)
