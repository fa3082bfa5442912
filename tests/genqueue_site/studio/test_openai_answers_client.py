"""OpenAI's own client gets images and texts from the studio, with the answer to the call itself."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import openai
import pytest
import requests
from PIL import Image
from pydantic import BaseModel

from tests.genqueue_site.studio import page_prompts
from tests.genqueue_site.studio.conftest import StartStudio, client
from tests.genqueue_site.studio.process import StudioProcess

PROMPT = "A café in Zürich – at dusk, with two bicycles"
SIDES = {"1024x1024": (1024, 1024), "1536x1024": (1024, 682), "1024x1536": (682, 1024), "3840x1280": (1024, 342)}


def drawn(response: Any) -> list[Image.Image]:
    """Decode the images of a response."""
    images = [Image.open(io.BytesIO(b64decode(one.b64_json, validate=True))) for one in response.data]
    for image in images:
        image.load()
    return images


def test_models_are_listed(shared: StudioProcess) -> None:
    names = [model.id for model in client(shared).models.list()]
    assert {"gpt-image-2", "sora-2"} <= set(names) and len(names) == len(set(names))


class TestImages:
    @pytest.mark.parametrize("style", ["png", "jpeg", "webp"])
    def test_come_in_the_format_that_was_asked_for(self, shared: StudioProcess, style: Literal["png", "jpeg", "webp"]) -> None:
        response = client(shared).images.generate(model="gpt-image-2", prompt=PROMPT, quality="low", output_format=style)
        (image,) = drawn(response)
        assert (image.format, image.size, response.output_format) == (style.upper(), (1024, 1024), style)
        assert (response.quality, response.size, response.background) == ("low", "1024x1024", "opaque")
        assert response.usage is not None and response.usage.total_tokens > response.usage.output_tokens > 0

    @pytest.mark.parametrize("size", SIDES)
    def test_have_the_shape_that_was_asked_for(self, shared: StudioProcess, size: Any) -> None:
        response = client(shared).images.generate(model="gpt-image-2", prompt=PROMPT, size=size, output_format="webp")
        assert [image.size for image in drawn(response)] == [SIDES[size]]
        assert response.size == size

    def test_are_as_many_as_were_asked_for_and_follow_the_prompt(self, shared: StudioProcess) -> None:
        images = client(shared).images

        def contents(prompt: str) -> list[str | None]:
            response = images.generate(model="gpt-image-1.5", prompt=prompt, n=3, output_format="webp")
            assert response.data is not None
            return [one.b64_json for one in response.data]

        first = contents(PROMPT)
        assert len(set(first)) == 3
        assert contents(PROMPT) == first
        assert not set(contents("A whale")) & set(first)

    def test_are_edited_from_files_and_from_addresses(self, shared: StudioProcess) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(picture, "PNG")
        files = [("a.png", picture.getvalue(), "image/png"), ("b.png", picture.getvalue(), "image/png")]
        response = client(shared).images.edit(model="gpt-image-1.5", prompt=PROMPT, image=files, n=2, quality="low")
        assert [image.format for image in drawn(response)] == ["PNG", "PNG"]
        # the client has no words for the JSON form of an edit
        body = {"model": "gpt-image-1.5", "prompt": PROMPT, "images": [{"image_url": "https://example.com/a.png"}]}
        answer = requests.post(f"{shared.url}/v1/images/edits", json=body, timeout=30)
        assert answer.status_code == 200 and len(answer.json()["data"]) == 1

    def test_take_as_long_as_the_studio_is_told_and_many_are_made_at_once(self, studio: StartStudio) -> None:
        images = client(process := studio(seconds_per_job=1.5)).images
        with ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(images.generate, model="gpt-image-2", prompt=f"{PROMPT} {n}", output_format="webp") for n in range(4)
            ]
            assert all(len(drawn(call.result())) == 1 for call in calls)
        log = process.log()
        assert log["peak"] == 4
        assert all(row["accepted"] and row["ended"] - row["at"] >= 1.5 for row in log["creates"])

    def test_that_are_blocked_are_refused_in_the_vendors_words(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["moderated_job"])
        with pytest.raises(openai.BadRequestError) as error:
            client(shared).images.generate(model="gpt-image-2", prompt=PROMPT)
        assert error.value.code == "moderation_blocked"

    @pytest.mark.parametrize(
        ("fields", "status", "code", "param"),
        [
            ({}, 400, "missing_required_parameter", "model"),
            ({"model": "dall-e-3", "prompt": "x"}, 404, "model_not_found", "model"),
            ({"model": "gpt-image-2"}, 400, "missing_required_parameter", "prompt"),
            ({"model": "gpt-image-2", "prompt": ""}, 400, "empty_string", "prompt"),
            ({"model": "gpt-image-2", "prompt": "x" * 32_001}, 400, "string_above_max_length", "prompt"),
            ({"model": "gpt-image-2", "prompt": "x", "n": 11}, 400, "invalid_value", "n"),
            ({"model": "gpt-image-2", "prompt": "x", "n": True}, 400, "invalid_value", "n"),
            ({"model": "gpt-image-2", "prompt": "x", "size": "64x64"}, 400, "invalid_value", "size"),
            ({"model": "gpt-image-2", "prompt": "x", "size": "1000x1000"}, 400, "invalid_value", "size"),
            ({"model": "gpt-image-2", "prompt": "x", "size": "3840x1024"}, 400, "invalid_value", "size"),
            ({"model": "gpt-image-2", "prompt": "x", "size": "3840x3840"}, 400, "invalid_value", "size"),
            ({"model": "gpt-image-1.5", "prompt": "x", "size": "2048x2048"}, 400, "invalid_value", "size"),
            ({"model": "gpt-image-2", "prompt": "x", "quality": "hd"}, 400, "invalid_value", "quality"),
            ({"model": "gpt-image-2", "prompt": "x", "output_format": "gif"}, 400, "invalid_value", "output_format"),
            ({"model": "gpt-image-2", "prompt": "x", "response_format": "url"}, 400, "unknown_parameter", "response_format"),
            ({"model": "gpt-image-2", "prompt": "x", "stream": True}, 400, "unsupported_value", "stream"),
        ],
    )
    def test_with_a_bad_field_name_it(
        self, shared: StudioProcess, fields: dict[str, object], status: int, code: str, param: str
    ) -> None:
        answer = requests.post(f"{shared.url}/v1/images/generations", json=fields, timeout=10)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)

    @pytest.mark.parametrize("images", [None, [], "x", [{}], [{"image_url": "ftp://x"}], [{"image_url": "https://e.com"}] * 17])
    def test_are_not_edited_without_images(self, shared: StudioProcess, images: object) -> None:
        body = {"model": "gpt-image-2", "prompt": "x", "images": images}
        answer = requests.post(f"{shared.url}/v1/images/edits", json=body, timeout=10)
        assert answer.status_code == 400 and answer.json()["error"]["param"].startswith("images")


class Recipe(BaseModel):
    """What a caller wants to have written down."""

    title: str
    servings: int
    steps: list[str]
    is_vegan: bool


def ask(process: StudioProcess, content: Any = PROMPT, **fields: Any) -> Any:
    return client(process).chat.completions.create(model="text-writer", messages=[{"role": "user", "content": content}], **fields)


class Hero(BaseModel):
    """The opening of a page."""

    headline: str
    lead: str


class TestTexts:
    def test_follow_the_prompt_and_say_what_they_are(self, shared: StudioProcess) -> None:
        completion = ask(shared)
        (choice,) = completion.choices
        assert completion.id.startswith("chatcmpl-") and completion.model == "text-writer"
        assert (choice.finish_reason, choice.message.role, choice.message.refusal) == ("stop", "assistant", None)
        assert "café in Zürich – at dusk" in choice.message.content and "two bicycles" in choice.message.content
        assert "studio preview" in choice.message.content
        usage = completion.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 20

    def test_are_equal_for_equal_prompts_and_a_seed_changes_them(self, shared: StudioProcess) -> None:
        def text(prompt: str = PROMPT, **fields: Any) -> str:
            return str(ask(shared, prompt, **fields).choices[0].message.content)

        first = text()
        assert text() == first
        assert len({first, text("A whale"), *(text(seed=seed) for seed in range(8))}) > 3

    def test_answer_the_last_message_of_the_user(self, shared: StudioProcess) -> None:
        messages: list[Any] = [
            {"role": "system", "content": "Write about trains."},
            {"role": "user", "content": "Write about ships."},
            {"role": "assistant", "content": "Ships."},
            {"role": "user", "content": [{"type": "text", "text": "Write about kites."}]},
        ]
        completion = client(shared).chat.completions.create(model="a/b-c.1", messages=messages)
        text = completion.choices[0].message.content
        assert text is not None and "kites" in text and "ships" not in text and "trains" not in text

    @pytest.mark.parametrize(
        ("text", "better"),
        [
            ("a  really old ferry ,and a lot of gulls!!  it rains", "An old ferry, and many gulls! It rains."),
            ("erste zeile\n\n zweite  zeile", "Erste zeile\n\nZweite zeile."),
            ("Ein Fährschiff legt ab.", "Ein Fährschiff legt ab."),
            ("TEXT 0123456789abcdef\nWrite a poem", "TEXT 0123456789abcdef\nWrite a poem."),
        ],
    )
    def test_of_a_quotation_to_polish_are_that_text_in_better_words(self, shared: StudioProcess, text: str, better: str) -> None:
        asked = f"Polish the wording.\n\nTEXT 17f4444f3932f8a1\n{text}\nTEXT 17f4444f3932f8a1"
        assert ask(shared, asked).choices[0].message.content == better

    def test_of_a_quotation_that_is_tidy_already_differ_from_it(self, shared: StudioProcess) -> None:
        answer = ask(shared, "Polish this.\nTEXT 17f4444f3932f8a1\nThe parcel opens.\nTEXT 17f4444f3932f8a1").choices[0]
        assert re.fullmatch(r"(Picture this|Imagine|Watch): The parcel opens\.", answer.message.content)

    def test_are_cut_where_the_caller_says(self, shared: StudioProcess) -> None:
        for name in ("max_tokens", "max_completion_tokens"):
            (choice,) = ask(shared, **{name: 5}).choices
            assert (choice.finish_reason, len(choice.message.content)) == ("length", 20)
        (choice,) = ask(shared, stop=["\n\n"]).choices
        assert choice.finish_reason == "stop" and choice.message.content.startswith("# ") and "\n" not in choice.message.content

    def test_of_a_page_fit_its_schema_and_say_nothing_of_the_studio(self, shared: StudioProcess) -> None:
        messages: Any = [{"role": "user", "content": page_prompts.prompt("hero", "de", words=[20, 60])}]
        completions = client(shared).chat.completions
        choice = completions.parse(model="page-writer", messages=messages, response_format=Hero, max_tokens=840).choices[0]
        hero = choice.message.parsed
        assert hero is not None and page_prompts.KEYWORDS[0] in hero.headline.casefold()
        assert choice.finish_reason == "stop" and "studio preview" not in f"{hero}"
        plain = ask(shared, messages[0]["content"]).choices[0].message.content  # from an endpoint that takes no schema
        assert Hero.model_validate_json(plain) == hero

    def test_of_a_page_are_cut_if_too_few_tokens_are_left_and_fit_if_less_is_asked_for(self, shared: StudioProcess) -> None:
        (choice,) = ask(shared, page_prompts.prompt("body", words=[430, 610]), max_tokens=500).choices
        assert (choice.finish_reason, len(choice.message.content)) == ("length", 2000)
        (choice,) = ask(shared, page_prompts.prompt("body", words=[200, 228]), max_tokens=500).choices
        assert choice.finish_reason == "stop" and json.loads(choice.message.content)["sections"]

    def test_of_a_page_may_meet_faults_of_pages_and_no_others_do(self, shared: StudioProcess) -> None:
        shared.queue_faults(page=["fenced", "cut_off", "cut_silently"])
        assert "studio preview" in ask(shared).choices[0].message.content
        hero = page_prompts.prompt("hero")
        fenced, cut, silent, honest = (ask(shared, hero).choices[0] for _ in range(4))
        assert fenced.message.content == f"```json\n{honest.message.content}\n```"
        assert (cut.finish_reason, silent.finish_reason, honest.finish_reason) == ("length", "stop", "stop")
        assert cut.message.content == silent.message.content == honest.message.content[: len(honest.message.content) // 2]
        assert shared.has_met_all_faults()

    def test_may_be_several(self, shared: StudioProcess) -> None:
        choices = ask(shared, ". ".join(f"Clause {n}" for n in range(9)), n=3).choices
        assert [choice.index for choice in choices] == [0, 1, 2]
        assert len({choice.message.content for choice in choices}) == 3

    def test_fit_a_schema(self, shared: StudioProcess) -> None:
        completions = client(shared).chat.completions
        messages: Any = [{"role": "user", "content": PROMPT}]
        parsed = completions.parse(model="text-writer", messages=messages, response_format=Recipe).choices[0].message.parsed
        assert parsed is not None and parsed.steps and parsed.title
        plain = ask(shared, response_format={"type": "json_object"}).choices[0].message.content
        assert isinstance(json.loads(plain), dict)

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"type": "integer", "minimum": 3}, 3),
            ({"const": 7}, 7),
            ({"enum": ["a", "b"]}, "a"),
            ({"type": ["null", "boolean"]}, True),
            ({"anyOf": [{"type": "null"}, {"enum": [5]}]}, 5),
            ({"$ref": "#/$defs/one", "$defs": {"one": {"const": 1}}}, 1),
            ({"type": "array", "items": {"const": 1}, "minItems": 3}, [1, 1, 1]),
            ({"type": "array", "items": {"const": 1}, "maxItems": 1}, [1]),
            ({"type": "string", "maxLength": 3, "enum": ["xyz"]}, "xyz"),
            ({"type": "object", "properties": {"a": {"type": "null"}}}, {"a": None}),
        ],
    )
    def test_fit_any_schema(self, shared: StudioProcess, schema: dict[str, Any], value: object) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        assert json.loads(ask(shared, response_format=wanted).choices[0].message.content) == value

    def test_fit_a_schema_without_end(self, shared: StudioProcess) -> None:
        schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        assert "next" in json.loads(ask(shared, response_format=wanted).choices[0].message.content)

    def test_that_are_filtered_say_so(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["moderated_job"])
        (choice,) = ask(shared).choices
        assert (choice.finish_reason, choice.message.content) == ("content_filter", None)
        assert choice.message.refusal

    @pytest.mark.parametrize("prompt", ["", " ", "\n.;,", "x", "日本 😀 \ud800 " * 300, "I am a fox", "NASA. USA", "-"])
    def test_are_written_for_any_prompt(self, shared: StudioProcess, prompt: str) -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        answer = requests.post(f"{shared.url}/v1/chat/completions", data=json.dumps(body), timeout=10)
        assert answer.status_code == 200 and "studio preview" in answer.json()["choices"][0]["message"]["content"]

    @pytest.mark.parametrize(
        ("fields", "status", "param"),
        [
            ({"messages": [{"role": "user", "content": "x"}]}, 400, "model"),
            ({"model": "no model"}, 404, "model"),
            ({"model": "m"}, 400, "messages"),
            ({"model": "m", "messages": []}, 400, "messages"),
            ({"model": "m", "messages": ["x"]}, 400, "messages[0]"),
            ({"model": "m", "messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role"),
            ({"model": "m", "messages": [{"role": "user"}]}, 400, "messages[0].content"),
            ({"temperature": 3}, 400, "temperature"),
            ({"temperature": True}, 400, "temperature"),
            ({"max_tokens": 0}, 400, "max_tokens"),
            ({"n": 99}, 400, "n"),
            ({"stream": True}, 400, "stream"),
            ({"response_format": {"type": "xml"}}, 400, "response_format"),
            ({"response_format": {"type": "json_schema"}}, 400, "response_format"),
            ({"response_format": "json"}, 400, "response_format"),
            ({"top_k": 7}, 400, "top_k"),
        ],
    )
    def test_with_a_bad_field_name_it(self, shared: StudioProcess, fields: dict[str, object], status: int, param: str) -> None:
        good = {} if "model" in fields or "messages" in fields else {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        answer = requests.post(f"{shared.url}/v1/chat/completions", json=good | fields, timeout=10)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_a_studio_that_dies_in_a_call_resets_it_and_goes_on_with_the_job(studio: StartStudio) -> None:
    process = studio(seconds_per_job=2)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(ask, process)
        while not process.log()["running"]:
            pass
        process.kill()
        with pytest.raises(openai.APIConnectionError):
            call.result()
    process.restart()
    process.wait_until_idle()
