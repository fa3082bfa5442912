"""``manage.py retention``: delete now what the job types no longer keep, or with ``--dry-run`` say what that would be."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import filesizeformat

from queue_app import clock
from queue_app.models import Kind
from queue_app.rules.numbers import counted
from queue_app.work import retention
from queue_app.work.retention import Expiry


class Command(BaseCommand):
    help = "Delete files and provider answers that are older than their job types keep them. Workers do it every hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.now()
        if not options["dry_run"]:
            self.stdout.write(f"Deleted {_words(retention.expire(at=at))}.")
            return
        for kind in Kind.objects.order_by("key"):
            kept = ", ".join(
                f"{what} for {counted(days, 'day')}" if days else f"{what} for ever"
                for what, days in (("files", kind.files_kept_days), ("provider answers", kind.payloads_kept_days))
            )
            self.stdout.write(f"{kind.key}: keeps {kept}. Would delete {_words(retention.due(kind, at=at))}.")


def _words(due: Expiry) -> str:
    size = filesizeformat(due.bytes).replace("\xa0", " ")
    return f"{counted(due.files, 'file')} ({size}) and {counted(due.answers, 'provider answer')}"
