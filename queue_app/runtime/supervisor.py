"""The worker of one machine: a dispatcher and a supervised cluster per queue. All its processes end with it."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

from django.db import Error, connection

from queue_app.runtime import processes, registry
from queue_app.runtime.cluster import Cluster
from queue_app.runtime.dispatcher import Dispatcher
from queue_app.runtime.queues import Queue
from queue_app.runtime.signals import StopSignal

log = logging.getLogger(__name__)

TEND_SECONDS = 0.5
DRAIN_SECONDS = 20  # time for calls in flight to end; recovery handles the rest
JOIN_SECONDS = 2
HUNG_SECONDS = 10  # a dispatcher without a round for so long stops beating
DATABASE_AGAIN_SECONDS = 1


class Supervisor:
    """The main program of `runworker`. Runs on the main thread, because it handles SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self._host = socket.gethostname()
        self._me = processes.myself()
        self._started_at = time.monotonic()
        self._dispatcher = Dispatcher()
        self._registry = registry.Registry(self._host)
        self._clusters = [Cluster(queue, host=self._host) for queue in Queue]
        self._bell = StopSignal()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; return within 25 seconds of it, with no process left."""
        self._meet_the_database()
        threads = [_started(self._registry.run, "registry"), _started(self._dispatcher.run, "dispatcher")]
        try:
            while not self._bell.is_set:
                for cluster in self._clusters:
                    cluster.tend(away=self._registry.away_seconds)
                self._show([self._own_entry(), *(entry for cluster in self._clusters for entry in cluster.entries())])
                self._bell.sleep(TEND_SECONDS)
        finally:
            self._dispatcher.stop()
            self._end_clusters()
            self._show([])
            self._registry.stop()
            for thread in threads:  # daemons: one that hangs in a database call ends with the process
                thread.join(JOIN_SECONDS)

    def _meet_the_database(self) -> None:
        """Wait for the database, then kill the clusters that a predecessor on this host left running."""
        while not self._bell.is_set:
            try:
                for ended in registry.end_predecessors(self._host):
                    log.warning("worker: killed a predecessor's %s", ended)
                return
            except Error as error:
                log.warning("worker: waiting for the database and its migrations: %s", str(error).partition("\n")[0])
                self._bell.sleep(DATABASE_AGAIN_SECONDS)
            finally:
                connection.close()

    def _end_clusters(self) -> None:
        for cluster in self._clusters:
            cluster.ask_to_stop()
        deadline = time.monotonic() + DRAIN_SECONDS
        while any(cluster.is_running for cluster in self._clusters) and time.monotonic() < deadline:
            time.sleep(0.05)
        for cluster in self._clusters:
            cluster.kill()

    def _show(self, entries: Sequence[registry.Entry]) -> None:
        self._registry.show(entries, ended=[name for cluster in self._clusters for name in cluster.ended()])

    def _own_entry(self) -> registry.Entry:
        now = time.monotonic()
        turned_at = self._dispatcher.turned_at
        beat_at = now if now - turned_at < HUNG_SECONDS else turned_at
        return registry.Entry(
            registry.Role.DISPATCHER,
            self._me.pid,
            "",
            self._me,
            self._started_at,
            beat_at,
            leader=self._dispatcher.leads,
            turned_at=self._dispatcher.came_round_at,
        )


def _started(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
