"""The log: one line per event, whatever a request contains, and no secrets."""

import json
import logging
import subprocess
import sys

import pytest
from django.conf import settings

from genqueue_site import logs
from tests.processes import CHECKOUT

KEY = "gq_" + "0123456789abcdef" * 4
FORGED = "x\n2026-01-01T00:00:00Z [info     ] job 7 completed\r\x1b[2J\u2028\u202e\x00\x85"


def lines_of(event: dict) -> str:
    return str(logs.sound(None, "info", dict(event)))


class TestALine:
    @pytest.mark.parametrize("place", ["event", "request", "user_agent", "request_id"])
    def test_cannot_be_forged(self, place):
        found = logs.sound(None, "info", {place: FORGED})[place]

        assert found == "x\\n2026-01-01T00:00:00Z [info     ] job 7 completed\\r\\x1b[2J\\u2028\\u202e\\x00\\x85"

    def test_keeps_what_people_write(self):
        words = "Größe ✓ “quoted” – 日本 100 %"

        assert logs.sound(None, "info", {"event": words})["event"] == words

    def test_of_a_traceback_looks_like_no_event(self):
        found = logs.sound(None, "error", {"exception": f"Traceback:\n  File x\nValueError: {FORGED}"})["exception"]

        assert all(line.startswith("    ") for line in found.splitlines())
        assert found.splitlines()[1] == "      File x"

    def test_of_what_is_no_text_is_sound_as_well(self):
        found = logs.sound(
            None, "info", {"a": {"b\n": [FORGED, KEY]}, "n": 7, "none": None, "yes": True, "what": ValueError(KEY)}
        )

        assert "\n" not in json.dumps(found, ensure_ascii=False) and KEY not in str(found)
        assert (found["n"], found["none"], found["yes"]) == (7, None, True)


class TestASecret:
    @pytest.mark.parametrize(
        "text",
        [
            f"GET /api/v1/jobs/?key={KEY}",
            f"GET /api/v1/jobs/?k=gq%5F{KEY[3:]}",
            f"GET /api/v1/jobs/?gq%5F{KEY[3:]}",
            f"Authorization: Bearer {KEY}",
            f"Authorization: bearer {KEY[3:]}",
            f"https://user:{KEY[3:]}@host/x",
            f"https://cdn.example/a.mp4?X-Amz-Signature={KEY[3:]}&Expires=5",
            f"the key {KEY} is wrong",
            f'127.0.0.1:5 - "GET /inputs/{KEY[3:]}/a.jpg HTTP/1.1" 200',
            f'127.0.0.1:5 - "GET /x?token={KEY[3:]} HTTP/1.1" 200',
            f"POST /hooks/fal/{KEY[3:]}",
            f'127.0.0.1:5 - "POST /hooks/fal/{KEY[3:]} HTTP/1.1" 204',
            f'127.0.0.1:5 - "GET /s/{KEY[3:]}/2/ HTTP/1.1" 200',
            f"request_started request=GET /s/{KEY[3:]}/files/7/a.mp4",
        ],
    )
    def test_is_nowhere_in_it(self, text):
        found = lines_of({"event": text, "exception": f"ValueError: {text}"})

        assert KEY[3:] not in found
        assert logs.MASK in found

    def test_of_a_provider_is_nowhere_in_it(self, settings):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-live-12345678", "FAL_KEY": ""}

        assert "sk-live" not in lines_of({"event": "it said sk-live-12345678 is unknown"})

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("GET /api/v1/jobs/?status=failed&page_size=2", "GET /api/v1/jobs/?status=•••&page_size=•••"),
            ("job 7: is it lost? yes", "job 7: is it lost? yes"),
            ("asset 3 of job 7: its object a/b.mp4 is missing", "asset 3 of job 7: its object a/b.mp4 is missing"),
            ("https://host:8000/x", "https://host:8000/x"),
            ("POST /hooks/openai_videos/", "POST /hooks/openai_videos/"),
            ("POST /hooks/fal/x?a=b", "POST /hooks/fal/•••?a=•••"),
        ],
    )
    def test_takes_nothing_else_with_it(self, text, kept):
        assert logs.masked(text) == kept


class TestTheWholeChain:
    @pytest.mark.parametrize("log_format", ["line", "json"])
    def test_of_the_settings_is_sound(self, log_format):
        """In its own process, because logging is configured once per process."""
        program = (
            "import django, logging, structlog; django.setup()\n"
            f"text = {FORGED!r} + ' ?key=' + {KEY!r}\n"
            "logging.getLogger('queue_app').warning('said %s', text)\n"
            "structlog.get_logger('queue_app').warning('bound', request=text)\n"
            "try:\n    raise ValueError(text)\n"
            "except ValueError:\n    logging.getLogger('queue_app').exception('failed')\n"
            "logging.getLogger('uvicorn.access').warning('%s - \"%s %s\" %d', '127.0.0.1:5', 'GET', '/x?token=' + text, 200)\n"
        )
        env = {"DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_FORMAT": log_format, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=CHECKOUT, env=env, check=True, timeout=120, capture_output=True, text=True
        )

        lines = [line for line in done.stderr.split("\n") if line]
        events = [line for line in lines if not line.startswith(" ")]
        assert len(events) == 4, done.stderr
        assert KEY[3:] not in done.stderr
        assert not {"\r", "\x1b", "\x00", "\u2028", "\x85"} & {*done.stderr}
        if log_format == "json":
            assert all(json.loads(line) for line in events)


def test_the_root_logger_writes_sound_lines():
    (handler,) = [one for one in logging.getLogger().handlers if getattr(one.formatter, "processors", None)]

    assert logs.sound in handler.formatter.processors
    assert settings.LOGGING["loggers"]["uvicorn.access"] == {"handlers": [], "propagate": True}
