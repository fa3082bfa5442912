"""The studio refuses bad input with OpenAI's error messages."""

from __future__ import annotations

import http.client

import pytest
import requests

from tests.genqueue_site.studio.conftest import create
from tests.genqueue_site.studio.process import StudioProcess


class TestACreate:
    @pytest.mark.parametrize(
        ("fields", "status", "code", "param", "words"),
        [
            ({}, 400, "missing_required_parameter", "prompt", "Missing required parameter"),
            ({"prompt": ""}, 400, "empty_string", "prompt", "minimum length 1"),
            ({"prompt": "x" * 32_001}, 400, "string_above_max_length", "prompt", "length 32001"),
            ({"prompt": 7}, 400, "invalid_type", "prompt", "expected a string"),
            ({"prompt": "x", "model": "no-such-model"}, 404, "model_not_found", "model", "Choose from: sora-2"),
            ({"prompt": "x", "seconds": "0"}, 400, "invalid_value", "seconds", "from 1 to 60"),
            ({"prompt": "x", "seconds": "61"}, 400, "invalid_value", "seconds", "from 1 to 60"),
            ({"prompt": "x", "seconds": "nan"}, 400, "invalid_value", "seconds", "'nan'"),
            ({"prompt": "x", "seconds": True}, 400, "invalid_value", "seconds", "from 1 to 60"),
            ({"prompt": "x", "size": "1280*720"}, 400, "invalid_value", "size", "WIDTHxHEIGHT"),
            ({"prompt": "x", "size": "62x720"}, 400, "invalid_value", "size", "64 to 2048"),
            ({"prompt": "x", "size": "641x720"}, 400, "invalid_value", "size", "even sides"),
            ({"prompt": "x", "seed": "lucky"}, 400, "invalid_value", "seed", "whole number"),
        ],
    )
    def test_with_a_bad_field_names_it(
        self, shared: StudioProcess, fields: dict[str, object], status: int, code: str, param: str, words: str
    ) -> None:
        answer = requests.post(f"{shared.url}/v1/videos", json=fields, timeout=10)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
        assert error["type"] == "invalid_request_error" and words in error["message"]
        assert shared.log()["running"] == 0

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b"{"),
            ("application/json", b"[]"),
            ("application/json", b"\xff\xfe"),
            ("application/json", b""),
            ("multipart/form-data", b"--x--"),
            ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ncut'),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\nnameless\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--x--\r\n'),
        ],
    )
    def test_with_a_broken_body_is_refused(self, shared: StudioProcess, content_type: str, body: bytes) -> None:
        answer = requests.post(f"{shared.url}/v1/videos", data=body, headers={"Content-Type": content_type}, timeout=10)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"

    def test_without_a_length_is_refused(self, shared: StudioProcess) -> None:
        answer = requests.post(f"{shared.url}/v1/videos", data=iter([b"{}"]), timeout=10)
        assert answer.status_code == 411

    def test_keeps_a_multipart_prompt_to_the_letter(self, shared: StudioProcess) -> None:
        prompt = "two\r\nlines – and é\n--x\r\n"
        picture = ("né.png", b"\x89PNG\r\n\r\n--\r\n\xff", "image/png")
        fields = {"prompt": prompt, "seconds": "1", "size": "64x64"}
        answer = requests.post(f"{shared.url}/v1/videos", data=fields, files={"input_reference": picture}, timeout=10)
        assert answer.json()["prompt"] == prompt
        shared.wait_until_idle()


class TestOtherCalls:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/videos/video_0", 404),
            ("GET", "/v1/videos/video_0/content", 404),
            ("DELETE", "/v1/videos/video_0", 404),
            ("GET", "/v1/videos/video_0/remix", 404),
            ("GET", "/v1/videosandmore", 404),
            ("GET", "/", 404),
            ("PUT", "/v1/videos", 405),
            ("GET", "/v1/videos?limit=101", 400),
            ("GET", "/v1/videos?order=up", 400),
            ("GET", "/v1/videos?after=video_0", 400),
        ],
    )
    def test_are_refused_as_the_vendor_does(self, shared: StudioProcess, method: str, path: str, status: int) -> None:
        answer = requests.request(method, shared.url + path, timeout=10)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    def test_about_an_unknown_variant_name_the_known_ones(self, shared: StudioProcess) -> None:
        video = create(shared, "Variants")
        answer = requests.get(f"{shared.url}/v1/videos/{video}/content?variant=gif", timeout=10)
        assert answer.status_code == 400 and "'spritesheet'" in answer.json()["error"]["message"]
        shared.wait_until_idle()


class TestAConnection:
    def test_is_kept_and_gives_byte_ranges(self, shared: StudioProcess) -> None:
        video = requests.post(
            f"{shared.url}/v1/videos", json={"prompt": "Ranges", "seconds": 1, "size": "64x64"}, timeout=10
        ).json()["id"]
        shared.wait_until_idle()
        connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)

        def fetch(wanted: str | None) -> tuple[http.client.HTTPResponse, bytes]:
            connection.request("GET", f"/v1/videos/{video}/content", headers={"Range": wanted} if wanted else {})
            response = connection.getresponse()
            return response, response.read()

        _, whole = fetch(None)
        socket = connection.sock
        response, part = fetch("bytes=4-7")
        assert (response.status, part) == (206, b"ftyp")
        assert response.headers["Content-Range"] == f"bytes 4-7/{len(whole)}"
        assert fetch("bytes=-10")[1] == whole[-10:]
        assert fetch("bytes=10-")[1] == whole[10:]
        assert fetch(f"bytes={len(whole)}-")[0].status == 416
        assert connection.sock is socket
        connection.close()
