"""The studio's HTTP server: sockets, routing, its two own endpoints, and the start and end of the program."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import signal
import socket
import socketserver
import struct
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from genqueue_site.studio import config as settings
from genqueue_site.studio.dialects import DIALECTS
from genqueue_site.studio.faults import Faults, UnknownFault, Visit
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.webhooks import Webhooks
from genqueue_site.studio.wire import Hangup, Moment, Refused, Request, Response, json_response

LARGEST_BODY = 64 * 2**20  # bytes; reference images are the largest bodies
STOPS = {signal.SIGTERM, signal.SIGINT}
IDLE_SECONDS = 75  # then an idle or stalled connection is closed


class Studio:
    """Answers requests, independent of sockets."""

    def __init__(self, config: settings.Config) -> None:
        self.config = config
        self.faults = Faults(config.fault_seed)
        self.floor = Floor(config, self._tell)
        self.webhooks = Webhooks(config.webhook_secret, self.faults, self.floor.closing)

    def _tell(self, job: Job, moment: Moment) -> None:
        dialect = next(row for row in DIALECTS if row.name == job.dialect)
        if job.webhook and dialect.hook and (hook := dialect.hook(self.floor, job, moment)):
            self.webhooks.deliver(job.id, job.dialect, hook)

    def answer(self, request: Request) -> Response:
        """
        Return the answer to a request.

        :raises Hangup: a fault requires that the connection is reset.
        """
        if request.path.startswith("/_studio/"):
            return self._own(request)
        path = request.path.rstrip("/")
        fits = [(row, call, match) for row in DIALECTS for call in row.calls if (match := call.path.fullmatch(path))]
        dialect = fits[0][0] if fits else next((row for row in DIALECTS if row.owns(path)), DIALECTS[0])
        try:
            for speaker, call, match in fits:
                if call.method == request.method:
                    dialect, target = speaker, unquote(match[1]) if match.re.groups else ""
                    return self.faults.befall(Visit(self.floor, dialect, call, replace(request, target=target)))
            raise self._unknown(request, [call.method for _, call, _ in fits])
        except Refused as refused:
            return dialect.error(refused)
        except Hangup:
            raise
        except Exception:
            traceback.print_exc()
            return dialect.error(Refused(500, "Studio error. See its log."))

    @staticmethod
    def _unknown(request: Request, methods: Sequence[str]) -> Refused:
        if not methods:
            return Refused(404, f"Unknown request URL: {request.method} {request.path}.", code="unknown_url")
        allowed = ", ".join(methods)
        message = f"Not allowed to {request.method} on {request.path}; it takes {allowed}."
        return Refused(405, message, code="method_not_supported")

    def _own(self, request: Request) -> Response:
        if (request.method, request.path) == ("GET", "/_studio/log"):
            return json_response({**self.floor.log(), "webhooks": self.webhooks.log(), "faults": self.faults.log()})
        if (request.method, request.path) == ("GET", "/_studio/faults") and self.config.scripted_faults:
            return json_response({"left": self.faults.left()})
        if (request.method, request.path) == ("POST", "/_studio/faults") and self.config.scripted_faults:
            try:
                self.faults.queue(json.loads(request.body))
            except (UnknownFault, ValueError) as error:
                return json_response({"error": str(error)}, status=400)
            return json_response({"queued": True})
        return json_response({"error": f"No such endpoint: {request.method} {request.path}."}, status=404)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered, so that head and body are sent together

    def _handle(self) -> None:
        body = self._read_body()
        if body is None:
            return
        url = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        try:
            self._send(_ranged(request, self.server.studio.answer(request)))
        except Hangup:
            self._reset()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the client has left

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _handle

    def _read_body(self) -> bytes | None:
        """Return the whole body, so that the next request on this connection starts after it; ``None`` if it was refused."""
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not re.fullmatch(r"[0-9]{1,12}", length):
            self.send_error(411, "Send a Content-Length")
        elif int(length) > LARGEST_BODY:
            self.send_error(413, f"The body is over {LARGEST_BODY} bytes")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
        self.close_connection = True
        return None

    def _send(self, response: Response) -> None:
        whole = isinstance(response.body, bytes)
        length = len(response.body) if isinstance(response.body, bytes) else response.announced
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if not whole:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in [response.body] if isinstance(response.body, bytes) else response.body:
            self.wfile.write(piece)
        self.wfile.flush()

    def _reset(self) -> None:
        """Close with RST, as a crash would, instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: polls would hide everything else, and ``/_studio/log`` has the create calls."""


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], studio: Studio) -> None:
        self.studio = studio
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print the error, unless the client has only closed its connection."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studio until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="studio", description="Simulate provider APIs and render real preview files.")
    add_arguments(parser)
    asked = parser.parse_args(arguments)
    try:
        run(host=asked.host, port=asked.port, fault_seed=asked.faults)
    except CannotStart as error:
        print(f"The studio can't start: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command line."""
    parser.add_argument("--port", type=int, default=8001, help="port to listen on; 0 takes a free one (default 8001)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--faults", type=_seed, metavar="SEED", help="inject random faults; the same seed (any text) gives the same faults"
    )


def _seed(text: str) -> int | str:
    """Return a number as a number, so that 7 and 07 give the same faults; other text as it is."""
    try:
        return int(text)
    except ValueError:
        return text


class CannotStart(Exception):
    """The studio can't start. The message says why and names the setting."""


def run(*, host: str, port: int, fault_seed: int | str | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT; from here on these signals do nothing else in this process. Call it on the main thread.

    :raises CannotStart: a setting is invalid, the port is in use, or another studio uses the same folder.
    """
    # Block the signals in every thread and fetch them here. With handlers instead, a thread that has just started a render could
    # receive the signal meant for this thread, which would then wait for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        config = settings.read(os.environ, fault_seed=fault_seed)
    except settings.BadSetting as error:
        raise CannotStart(str(error)) from error
    with _alone(config.home):
        studio = Studio(config)
        try:
            server = _Server((host, port), studio)
        except (OSError, OverflowError) as error:
            raise CannotStart(f"Can't listen on {host}:{port} (--host, --port): {error}") from error
        with server:
            studio.floor.open()
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True).start()
            print(f"Studio listens on http://{host}:{server.server_address[1]} and stores its files in {config.home}", flush=True)
            signal.sigwait(STOPS)
            studio.floor.close()
            server.shutdown()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Lock the folder for this process, since a second studio would render the same jobs again."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("w")
    except OSError as error:
        raise CannotStart(f"Can't write to {home} (GENQUEUE_VAR): {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"Another studio is using {home}. Stop it or set GENQUEUE_VAR.") from error
        yield


def _ranged(request: Request, response: Response) -> Response:
    """Return only the requested byte range of a file; for several ranges return the whole file, as the standard allows."""
    if response.status != 200 or not isinstance(response.body, bytes) or response.content_type == "application/json":
        return response
    headers = {**response.headers, "Accept-Ranges": "bytes"}
    size = len(response.body)
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", request.headers.get("range", ""))
    if not match or not (match[1] or match[2]):
        return replace(response, headers=headers)
    first = int(match[1]) if match[1] else max(0, size - int(match[2]))
    last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
    if first > last:
        return Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return replace(response, status=206, body=response.body[first : last + 1], headers=headers)
