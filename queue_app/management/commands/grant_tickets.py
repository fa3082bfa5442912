"""``manage.py grant_tickets USER N --reason TEXT``: grant new tickets to a user."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queue_app import clock, tickets
from queue_app.models import User
from queue_app.work import grants

MOST = 1_000_000_000


class Command(BaseCommand):
    help = "Grant tickets to a user. The reason is saved in the ledger and the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="a username")
        parser.add_argument("tickets", type=int, help=f"number of tickets, 1 to {MOST:,}")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Grant the tickets and print the new balance.

        :raises CommandError: unknown user, not 1 to 1,000,000,000 tickets, or no reason.
        """
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"Unknown user “{options['user']}”.")
        amount, reason, at = options["tickets"], options["reason"].strip()[:500], clock.now()
        if amount > MOST:
            raise CommandError(f"Grant at most {MOST:,} tickets at a time.")
        try:
            grants.grant(user, amount, at=at, actor=None, reason=reason)
        except ValueError as problem:
            raise CommandError(str(problem)) from None
        left = tickets.balances(user)
        self.stdout.write(f"{user.username} has {left['available']:,} tickets available and {left['reserved']:,} reserved.")
