"""``manage.py db_embedded``: manage the embedded PostgreSQL server."""

import os
import subprocess
import sys
from argparse import REMAINDER
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.utils import OperationalError

from genqueue_site.db.embedded import EmbeddedPostgresError
from genqueue_site.db.embedded.base import server_for
from genqueue_site.db.embedded.server import EmbeddedPostgres


class Command(BaseCommand):
    help = "Manage the embedded PostgreSQL server, used while DATABASE_URL is not set: start, stop, status, url, psql, dump."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="{start,stop,status,url,psql,dump}")
        actions.add_parser("start", help="start the server and leave it running")
        actions.add_parser("stop", help="stop the server, even if in use; the next connection restarts it")
        actions.add_parser("status", help="show whether it is running and where its data is")
        actions.add_parser("url", help="print only the database URL, for DATABASE_URL and other programs")
        # the prefix keeps argparse from reading psql's options as ours
        psql = actions.add_parser("psql", help="open psql; further arguments go to psql", prefix_chars="\0", add_help=False)
        psql.add_argument("arguments", nargs=REMAINDER)
        dump = actions.add_parser("dump", help="write a dump of the database (SQL) to standard output or a file")
        dump.add_argument("--output", type=Path, help="output file; only overwritten when the dump is complete")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if connection.settings_dict["ENGINE"] != "genqueue_site.db.embedded":
            raise CommandError("DATABASE_URL is set, so there is no embedded server. Unset DATABASE_URL to use one.")
        server = server_for(connection.settings_dict)
        try:
            if action in {"start", "stop", "status"}:
                self.stdout.write({"start": _start, "stop": _stop, "status": _status}[action](server))
                return
            connection.ensure_connection()  # starts the server, creates the database
            connection.close()
            if action == "url":
                self.stdout.write(server.url(connection.settings_dict["NAME"]))
            elif action == "psql":
                _psql(server, options["arguments"])
            else:
                _dump(server, options["output"])
        except (EmbeddedPostgresError, OperationalError, OSError) as error:
            raise CommandError(str(error)) from error


def _start(server: EmbeddedPostgres) -> str:
    server.ensure()
    return _status(server)


def _stop(server: EmbeddedPostgres) -> str:
    return "Stopped." if server.stop() else "Not running."


def _status(server: EmbeddedPostgres) -> str:
    status = server.status()
    if status.running:
        return f"Running: PostgreSQL {status.version}, process {status.process}, under {status.home}."
    if status.process:
        return f"Starting, recovering or stopping: process {status.process}, under {status.home}."
    return f"Stopped: {f'data of PostgreSQL {status.version}' if status.version else 'no data yet'} under {status.home}."


def _psql(server: EmbeddedPostgres, arguments: list[str]) -> None:
    command, environment = connection.client.settings_to_cmd_args_env(connection.settings_dict, arguments)
    server.stay_attached_through_exec()
    os.execve(command[0], list(command), {**os.environ, **(environment or {})})  # noqa: S606 - psql replaces this process and uses its terminal


def _dump(server: EmbeddedPostgres, output: Path | None) -> None:
    command = [str(server.bin_directory() / "pg_dump"), "--dbname", server.url(connection.settings_dict["NAME"])]
    if output is None:
        status = subprocess.run(command, check=False).returncode
    else:
        unfinished = output.with_name(f"{output.name}.part")
        with unfinished.open("wb") as file:
            status = subprocess.run(command, stdout=file, check=False).returncode
        if status == 0:
            unfinished.replace(output)
    if status:
        sys.exit(status)  # pg_dump has printed the reason
