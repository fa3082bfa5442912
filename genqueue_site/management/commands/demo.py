"""``manage.py demo`` (`make run`): run the whole product in one terminal, with nothing but this checkout."""

import os
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from genqueue_site.db.embedded.base import server_for
from genqueue_site.demo import sample
from genqueue_site.demo.children import Crew, is_taken
from genqueue_site.demo.terminal import Terminal
from queue_app.models import Batch
from queue_app.runtime.signals import StopSignal

UP_SECONDS = 120
LOOK_SECONDS = 0.25


class Command(BaseCommand):
    help = "Run a complete demo: database, studio, worker, web server, users and a sample campaign."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web server port (default 8000)")
        parser.add_argument("--studio-port", type=int, default=8001, help="studio port (default 8001)")
        parser.add_argument("--jobs", type=_job_count, default=12, help="videos in the sample campaign, 1 to 500 (default 12)")
        parser.add_argument("--exit", action="store_true", help="exit when the sample finishes; status 0 if all videos completed")

    def handle(self, *args: Any, port: int, studio_port: int, jobs: int, exit: bool, **options: Any) -> None:
        self.terminal = Terminal(sys.stdout)
        if port == studio_port:
            raise CommandError("--port and --studio-port must be different.")
        self._become_a_demo(port=port, studio_port=studio_port)
        for flag, number in (("--port", port), ("--studio-port", studio_port)):
            if is_taken(number):
                raise CommandError(f'Port {number} is in use. Try: make run ARGS="{flag} {number + 100}"')
        self.stop = StopSignal()
        try:
            all_completed = self._run(port, studio_port, jobs, leave=exit)
        finally:
            connection.close()
            if connection.settings_dict["ENGINE"] == "genqueue_site.db.embedded":
                server_for(connection.settings_dict).release()
        if exit and not all_completed:
            sys.exit(1)

    def _become_a_demo(self, *, port: int, studio_port: int) -> None:
        """Restart this process with the demo's settings in the environment, for it and its children, unless they are set."""
        studio = f"http://127.0.0.1:{studio_port}"
        wanted = {"STUDIO_URL": studio, "TRUSTED_ORIGINS": studio, "ALLOW_STUDIO": "1", "DEMO": "1"}
        wanted |= {"PUBLIC_URL": f"http://127.0.0.1:{port}", "WEBHOOK_URL": ""}
        wanted |= {"GENQUEUE_VAR": str(settings.VAR), "MEDIA_ROOT": str(settings.MEDIA_ROOT.resolve())}
        keys = [name for name, key in settings.PROVIDER_KEYS.items() if key]
        if keys:
            self.terminal.say(f"Ignoring {', '.join(keys)}. The demo never calls a paid provider: the studio renders everything.")
        wanted |= dict.fromkeys(settings.PROVIDER_KEYS, "")
        if any(os.environ.get(name) != value for name, value in wanted.items()):
            sys.stdout.flush()
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | wanted)  # noqa: S606 - this program again

    def _run(self, port: int, studio_port: int, jobs: int, *, leave: bool) -> bool:
        self.terminal.say("Setting up database, catalogue and users…")
        call_command("migrate", verbosity=0)
        call_command("seed_catalogue", verbosity=0, stdout=StringIO())
        logins = sample.users()
        self.terminal.say("Starting studio, worker and web server…")
        crew = Crew(port=port, studio_port=studio_port)
        try:
            self._wait_until_up(crew)
            all_completed = False
            if not self.stop.is_set:
                batch = sample.submit(jobs)
                self._tell_where(port, crew, logins, batch)
                all_completed = self._show_sample(crew, batch, jobs)
            while not leave and not self.stop.is_set:
                self._tend(crew)
                self.stop.sleep(LOOK_SECONDS)
        finally:
            self.terminal.say("Stopping…")
            crew.stop()
            self.terminal.say("Stopped.")
        return all_completed

    def _wait_until_up(self, crew: Crew) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while not self.stop.is_set and (silent := crew.who_is_not_up()):
            self._tend(crew)
            if time.monotonic() > deadline:
                raise CommandError(f"Did not start within {UP_SECONDS}s: {', '.join(silent)}. See the logs in {crew.logs}.")
            self.stop.sleep(LOOK_SECONDS)

    def _show_sample(self, crew: Crew, batch: Batch, jobs: int) -> bool:
        began = time.monotonic()
        self.terminal.say(f"Launched {jobs} videos of {sample.MODEL} as campaign {batch.pk}, “{batch.name}”.")
        counts = _patiently(sample.counts, batch)
        while not self.stop.is_set and (counts is None or counts["open"]):
            self._tend(crew)
            if counts:
                self.terminal.progress(counts)
            self.stop.sleep(LOOK_SECONDS)
            counts = _patiently(sample.counts, batch)
        if counts is None or counts["open"]:
            self.terminal.progress_ends()
            return False
        self.terminal.progress(counts)
        self.terminal.progress_ends()
        self.terminal.say(f"{counts['completed']} of {counts['all']} completed in {time.monotonic() - began:.1f} s")
        return counts["completed"] == counts["all"]

    def _tell_where(self, port: int, crew: Crew, logins: dict[str, tuple[str, str]], batch: Batch) -> None:
        web = f"http://127.0.0.1:{port}"
        people = [f"{name:9} {password}   {may}" for name, (password, may) in logins.items()]
        rows = [("Watch it here:", f"{web}/campaigns/{batch.pk}/")]
        rows += [("Open", f"{web}/"), ("Admin", f"{web}/admin/"), ("API", f"{web}/api/docs/"), ("Log in as", people[0])]
        rows += [("", person) for person in people[1:]]
        rows += [("Files", str(settings.MEDIA_ROOT)), ("Logs", str(crew.logs)), ("Stop", "Ctrl-C")]
        self.terminal.say()
        for name, value in rows:
            self.terminal.say(f"  {name:14} {value}")
        self.terminal.say()

    def _tend(self, crew: Crew) -> None:
        for line in crew.tend():
            self.terminal.say(line)


def _patiently(read: Callable[[Batch], dict[str, int]], batch: Batch) -> dict[str, int] | None:
    """Return the counts of the batch, or ``None`` while the database is restarting."""
    with suppress(DatabaseError, InterfaceError):
        return read(batch)
    connection.close()
    return None


def _job_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 500:
        raise ArgumentTypeError("must be a whole number from 1 to 500")
    return int(text)
