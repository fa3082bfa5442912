"""
``manage.py check_catalogue``: compare the catalogue with what the providers list. It makes free calls only.

Exit status: 0 if everything is as listed, 1 if something differs, 2 if nothing could be asked.
"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queue_app import clock
from queue_app.models import ProviderAccount, User
from queue_app.rules.numbers import counted
from queue_app.work.catalogue import check
from queue_app.work.catalogue.check import CatalogueReport, Finding, RouteVerdict

OTHERS_SHOWN = 20
MARKS = {
    RouteVerdict.LISTED: "ok",
    RouteVerdict.CHANGED: "changed",
    RouteVerdict.DEPRECATED: "deprecated",
    RouteVerdict.MISSING: "missing",
}


class Command(BaseCommand):
    help = "Compare models and routes with the providers' own lists. Free calls only; nothing is generated."

    def add_arguments(self, parser: CommandParser) -> None:
        keyed = "only this account (repeatable; default: all with an API key)"
        parser.add_argument("--account", action="append", metavar="KEY", help=keyed)
        parser.add_argument("--model", action="append", metavar="KEY", help="only routes of this model (repeatable)")
        parser.add_argument("--accept", action="store_true", help="ask about each finding, and write down those you accept")
        parser.add_argument("--yes", action="store_true", help="with --accept: accept all findings without being asked")
        parser.add_argument("--user", metavar="NAME", help="with --accept: the member of staff who decides, for the audit")

    def handle(
        self,
        *args: Any,
        account: list[str] | None,
        model: list[str] | None,
        accept: bool,
        yes: bool,
        user: str | None,
        **options: Any,
    ) -> None:
        by = self._staff(user) if user else None
        if accept and not yes and not sys.stdin.isatty():
            raise CommandError("--accept asks about each finding and needs a terminal. Add --yes to accept all of them.")
        reports = [check.check(one, model) for one in self._accounts(account)]
        for report in reports:
            self._show(report)
        if accept:
            changed = sum(self._decide(report, yes=yes, by=by) for report in reports)
            self.stdout.write(f"{counted(changed, 'route')} changed.")
        if all(report.problem for report in reports):
            sys.exit(2)
        if any(report.differs for report in reports):
            sys.exit(1)

    def _accounts(self, wanted: list[str] | None) -> list[ProviderAccount]:
        known = {one.pk: one for one in ProviderAccount.objects.order_by("key")}
        if unknown := sorted(set(wanted or ()) - known.keys()):
            raise CommandError(f"Unknown account {unknown[0]}. Available: {', '.join(known)}.")
        return [one for key, one in known.items() if (key in wanted if wanted else not one.is_preview)] or list(known.values())

    def _staff(self, name: str) -> User:
        found = User.objects.filter(username=name, is_staff=True, is_active=True).first()
        if found is None or not found.has_perm("queue_app.change_modelroute"):
            raise CommandError(f"{name} is not an active staff user with permission to change routes.")
        return found

    def _show(self, report: CatalogueReport) -> None:
        if report.problem:
            self.stdout.write(f"{report.account}: not asked, {report.problem}.")
            return
        self.stdout.write(f"{report.account}: {counted(len(report.findings), 'route')} checked.")
        for one in report.findings:
            state = "" if one.route.active else " (not active)"
            self.stdout.write(f"  {MARKS[one.verdict]:10} {one.route.model_id}{state}: {one.route.endpoint_id}: {one.words}.")
            if one.price:
                self.stdout.write(f"  {'price':10} {one.route.model_id}: {one.price}.")
        for name in report.others[:OTHERS_SHOWN]:
            self.stdout.write(f"  {'new':10} {name}: listed, not in the catalogue.")
        if len(report.others) > OTHERS_SHOWN:
            self.stdout.write(f"  {'new':10} and {len(report.others) - OTHERS_SHOWN} more.")

    def _decide(self, report: CatalogueReport, *, yes: bool, by: User | None) -> int:
        """Ask once for all routes that are as they should be, and about each other one. Return how many were changed."""
        listed = [one for one in report.findings if one.verdict is RouteVerdict.LISTED]
        others = [one for one in report.findings if one.verdict is not RouteVerdict.LISTED]
        accepted = []
        if listed and (yes or _agreed(f"{report.account}: mark {counted(len(listed), 'listed route')} as checked?")):
            accepted += listed
        accepted += [one for one in others if yes or _agreed(f"{one.route} ({one.route.endpoint_id}): {_then(one)}")]
        return sum(check.accept(one, at=clock.now(), actor=by) for one in accepted)


def _then(finding: Finding) -> str:
    keeps = finding.verdict is RouteVerdict.DEPRECATED
    return f"{finding.words}. {'Keep it and note that?' if keeps else 'Stop using it with the API key?'}"


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
