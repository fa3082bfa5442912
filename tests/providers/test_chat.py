"""What chat completions alone have: messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from queue_app.providers.base import AccountConfig
from queue_app.providers.chat import Chat
from queue_app.rules.codec import Codec
from queue_app.rules.codec_checks import problems
from queue_app.work.answers import ANSWERS
from queue_app.work.catalogue import codecs
from tests.providers.vendors.chat import answered
from tests.providers.vendors.vendor import KEY, fresh_request
from tests.providers.wire import WireServer, answer

SYSTEM = {"role": "system", "content": "You write pages."}
USER = {"role": "user", "content": "A fox"}


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (codecs.CHAT, {"messages": [USER]}),
        ({"prompt": {"field": "input", "most": 10}}, {"messages": [USER]}),
        ({"always": {"messages": [SYSTEM]}}, {"messages": [SYSTEM, USER]}),
        ({"always": {"max_tokens": 900, "temperature": 0.2}}, {"messages": [USER], "max_tokens": 900, "temperature": 0.2}),
    ],
)
def test_a_prompt_is_the_last_message(server: WireServer, codec: Codec, body: dict[str, Any]) -> None:
    assert problems(codec) == []
    server.says(answer(200, answered()))
    provider = Chat(AccountConfig("acme", "chat", server.url, KEY, answers=ANSWERS))
    for _ in range(2):
        provider.submit(fresh_request(provider.validate("openai/gpt-5-mini", codec, {"prompt": "A fox"})))
    assert [json.loads(seen.body) for seen in server.seen] == [{"model": "openai/gpt-5-mini", **body}] * 2
    assert {(seen.method, seen.target) for seen in server.seen} == {("POST", "/v1/chat/completions")}


@pytest.mark.parametrize("path", ["/api/v1", "/openrouter/router/openai/v1/", "/v1"])
def test_a_base_url_with_a_path_is_used_as_it_is(server: WireServer, path: str) -> None:
    server.says(answer(200, answered()))
    provider = Chat(AccountConfig("acme", "chat", f"{server.url}{path}", KEY, answers=ANSWERS))
    provider.submit(fresh_request(provider.validate("x", codecs.CHAT, {"prompt": "A fox"})))
    assert server.seen[0].target == f"{path.rstrip('/')}/chat/completions"
