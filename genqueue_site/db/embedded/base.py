"""
Django's PostgreSQL engine on the embedded server, which starts at the first connection.

The ``DATABASES`` entry has ``NAME`` and ``USER``, and in addition to Django's keys ``HOME`` (a path), ``FAST`` and
``MAX_CONNECTIONS``.
"""

from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.backends.postgresql import base, client
from psycopg2 import OperationalError, connect, errors, sql

from genqueue_site.db.embedded import EmbeddedPostgresError
from genqueue_site.db.embedded.server import PORT, EmbeddedPostgres, embedded

MAINTENANCE_DATABASE = "postgres"


def server_for(settings_dict: dict[str, Any]) -> EmbeddedPostgres:
    """Return the server of a ``DATABASES`` entry without starting it."""
    return embedded(
        settings_dict["HOME"],
        fast=settings_dict.get("FAST", False),
        max_connections=settings_dict.get("MAX_CONNECTIONS", 100),
    )


class DatabaseClient(client.DatabaseClient):
    """``dbshell`` with the embedded server's own psql."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        server = server_for(settings_dict)
        server.ensure()
        place = {"HOST": str(server.socket_directory), "PORT": str(PORT)}
        command, environment = super().settings_to_cmd_args_env(settings_dict | place, list(parameters))
        return [str(server.bin_directory() / "psql"), *command[1:]], environment


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters with the socket, so that they also serve connections outside Django (LISTEN)."""
        server = server_for(self.settings_dict)
        return super().get_connection_params() | {"host": str(server.socket_directory), "port": str(PORT)}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """
        Return a new connection. If the first try fails, start the server, create the database and try again.

        :raises psycopg2.OperationalError: the connection failed, or the server is not available.
        """
        server = server_for(self.settings_dict)
        try:
            server.attach()
            try:
                return super().get_new_connection(conn_params)
            except OperationalError:
                server.ensure()
                _create_if_missing(conn_params)
            return super().get_new_connection(conn_params)
        except (EmbeddedPostgresError, OSError) as error:
            raise OperationalError(str(error)) from error


def _create_if_missing(conn_params: dict[str, Any]) -> None:
    """Create the database if it does not exist; test databases are left to the test runner."""
    name = conn_params["dbname"]
    if name == MAINTENANCE_DATABASE or name.startswith(TEST_DATABASE_PREFIX):
        return
    with closing(connect(**conn_params | {"dbname": MAINTENANCE_DATABASE})) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            connection.rollback()
            connection.autocommit = True  # CREATE DATABASE can't run in a transaction
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # another process was faster
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
