"""
The last step of the OpenAPI document: it gets its examples, and what its calls have in common is said once.

`examples.json` holds, by operation, a body that a client sends and the answer to it, as they were on an installation.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from queue_app.api.errors import CONTENT_TYPE

JSON = "application/json"
Node = dict[str, Any]


def finish(result: Node, generator: Any, request: Any, public: bool) -> Node:
    """A postprocessing hook of drf-spectacular: complete the document ``result`` and return it."""
    for call in calls(result):
        _show(call)
    for kind, place in (("headers", _headers), ("responses", _problems)):
        shared = result["components"].setdefault(kind, {})
        for call in calls(result):
            for holder, name, status in place(call):
                holder[name] = {"$ref": f"#/components/{kind}/{_named(shared, name, status, holder[name])}"}
    return result


def calls(document: Node) -> Iterator[Node]:
    """Return the operations of a document."""
    for methods in document["paths"].values():
        yield from (call for method, call in methods.items() if method in ("get", "post", "put", "patch", "delete"))


@cache
def examples() -> dict[str, Node]:
    """
    Return the examples by operation: ``request`` where it takes a body, ``response`` where it answers with one, ``priced`` where
    a dry run has an answer of its own, ``problem 409`` where that is about something else than a job.
    """
    found: dict[str, Node] = json.loads(Path(__file__).with_name("examples.json").read_text())
    return found


def _show(call: Node) -> None:
    """Put a call's examples into it: of the body, of the good answer, and of each error."""
    shown = examples().get(call["operationId"], {})
    body = call.get("requestBody", {}).get("content", {}).get(JSON)
    if body is not None and "request" in shown and "examples" not in body:
        body["example"] = shown["request"]
    answers: Node = call["responses"]
    named = {"201": "response", "200": "priced"} if "201" in answers else {"200": "response"}
    for status, name in named.items():
        if name in shown:
            answers[status]["content"][JSON]["example"] = shown[name]
    for status, answer in answers.items():
        of_all = examples().get(f"problem {status}")
        if CONTENT_TYPE in answer.get("content", {}) and of_all:
            answer["content"][CONTENT_TYPE]["example"] = shown.get(f"problem {status}", of_all)


def _headers(call: Node) -> Iterator[tuple[Node, str, str]]:
    for status, answer in call["responses"].items():
        headers = answer.get("headers", {})
        yield from ((headers, name, status) for name in list(headers))


def _problems(call: Node) -> Iterator[tuple[Node, str, str]]:
    answers = call["responses"]
    yield from ((answers, status, status) for status in list(answers) if CONTENT_TYPE in answers[status].get("content", {}))


def _named(shared: Node, name: str, status: str, part: Node) -> str:
    """Return the name of a part among the shared ones; the second part of one name gets a number."""
    base = f"Problem{status}" if name == status else name
    number = 1
    while shared.setdefault(wanted := base if number == 1 else f"{base}{number}", part) != part:
        number += 1
    return wanted
