"""
A gateway of the Videos API that is odd in one way at a time: in ids, lists, wording, lost tasks and delivery.

It uses real HTTP. An `Oddity` describes the difference from a plain gateway; each of its parts is a plain function.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]  # (status, JSON or bytes)
NOT_FOUND: Answer = (404, {"error": {"message": "No such video", "code": "not_found"}})


@dataclass
class Task:
    """A task: a video that is done at the second poll, unless the oddity changes that."""

    number: int
    id: Any
    prompt: str
    model: str
    made: float
    looks: int = 0
    contents: int = 0

    def video(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": "completed" if self.looks > 1 else "in_progress",
            "prompt": self.prompt,
            "created_at": int(self.made),
            "error": None,
        }


def same(value: Any) -> Any:
    return value


def newest_first(tasks: list[Task], limit: int, after: str | None) -> list[Task]:
    """Return a page as the plain API does."""
    ordered = sorted(tasks, key=lambda task: -task.number)
    ids = [str(task.id) for task in ordered]
    first = ids.index(after) + 1 if after in ids else 0
    return ordered[first : first + limit]


@dataclass(frozen=True)
class Oddity:
    """
    A gateway's difference from a plain one, as functions.

    ``id``: the id of task n. ``row``: a listed video, from the plain one. ``page``: the rows of a page, from tasks, limit and
    cursor. ``listing``: the list's answer, from its rows and whether there are more. ``create``, ``poll``, ``content``: answers.
    """

    id: Callable[[int], Any] = lambda number: f"video_{number}"
    row: Callable[[dict[str, Any]], Any] = same
    page: Callable[[list[Task], int, str | None], list[Task]] = newest_first
    size: int = 100
    listing: Callable[[list[Any], bool], Answer] = lambda rows, more: (200, {"object": "list", "data": rows, "has_more": more})
    create: Callable[[Task], Answer] = lambda task: (200, task.video())
    poll: Callable[[Task], Answer] = lambda task: (200, task.video())
    content: Callable[[Task], Answer | None] = lambda task: None  # None: the video
    others: int = 0  # number of other users' tasks, created before ours


@dataclass
class OddGateway:
    """A gateway with an oddity. ``loses``: the next create call is accepted but not answered; ``drops``: it is not accepted."""

    oddity: Oddity
    film: bytes = b""
    loses: bool = False
    drops: bool = False
    tasks: list[Task] = field(default_factory=list)
    made: int = 0
    url: str = ""

    def creates(self, prompt: str) -> int:
        """Return how many tasks it has created for this prompt; each is billed."""
        return sum(task.prompt == prompt for task in self.tasks)

    def later(self, seconds: float) -> None:
        for task in self.tasks:
            task.made -= seconds

    def starts_anew(self) -> None:
        """Forget all tasks, like a gateway that keeps them in memory and restarts."""
        self.tasks.clear()

    def others_make(self, prompt: str, *, ago: float) -> None:
        self._make(prompt, "sora-2").made -= ago

    def _make(self, prompt: str, model: str) -> Task:
        self.made += 1
        self.tasks.append(Task(self.made, self.oddity.id(self.made), prompt, model, time.time()))
        return self.tasks[-1]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer | None:
        """Return the answer, or ``None`` to close the connection without one."""
        if method == "POST":
            return self._create(json.loads(body))
        if path == "/v1/videos":
            return self._list(int(query["limit"][0]), query.get("after", [None])[0])
        number, _, rest = path.removeprefix("/v1/videos/").partition("/")
        task = next((task for task in self.tasks if str(task.id) == unquote(number)), None)
        if task is None:
            return NOT_FOUND
        if rest:
            task.contents += 1
            return self.oddity.content(task) or (200, self.film)
        task.looks += 1
        return self.oddity.poll(task)

    def _create(self, wanted: dict[str, Any]) -> Answer | None:
        if self.drops:
            self.drops = False
            return None
        task = self._make(wanted["prompt"], wanted["model"])
        if self.loses:
            self.loses = False
            return None
        return self.oddity.create(task)

    def _list(self, limit: int, after: str | None) -> Answer:
        size = min(limit, self.oddity.size)
        page = self.oddity.page(self.tasks, size, after)
        more = len(self.oddity.page(self.tasks, size, str(page[-1].id))) > 0 if page else False
        return self.oddity.listing([self.oddity.row(task.video()) for task in page], more)


@contextmanager
def served(gateway: OddGateway) -> Iterator[OddGateway]:
    """Serve it on a free port; ``url`` is its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each body waits 40 ms for the acknowledgement of its head

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            said = gateway.answer(self.command, parts.path, parse_qs(parts.query), body)
            if said is None:
                self.close_connection = True
                return
            status, content = said
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            kind = (
                "application/json" if not isinstance(content, bytes) else "video/mp4" if b"ftyp" in content[:16] else "text/html"
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing, because pytest shows the product's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()


def litellm(number: int, *, model: str = ";model_id:sora-2", upstream: str = "openai") -> str:
    """Return an id in LiteLLM's format, which contains the upstream's id."""
    return "video_" + b64encode(f"litellm:custom_llm_provider:{upstream}{model};video_id:up_{number}".encode()).decode()
