"""Parameters and images in both forms, as browsers without JavaScript see them: greyed with the reason, refused by name."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import Campaign, Draft
from queue_app.models import GenerationModel, Job, ModelRoute, Reservation, Upload, User
from tests import images
from tests.campaigns.test_form import NEW, Tab, four
from tests.factories import UserFactory
from tests.http.support import forbid_connections
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
GENERATE, CHOICES, UPLOAD = "/quick/", "/quick/choices/", "/uploads/"


@pytest.fixture(autouse=True)
def empty_media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=1_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def file(content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile("a.png", images.picture() if content is None else content, "image/png")


def uploaded(web: Client, role: str = "first_frame", size: tuple[int, int] = (64, 48)) -> str:
    answer = web.post(UPLOAD, {"role": role, "file": file(images.picture(size=size))})
    found = re.search(r'value="([0-9a-f-]{36})"', answer.content.decode())
    assert answer.status_code == 200 and found
    return found[1]


def asked(**changes: Any) -> dict[str, Any]:
    """The quick form as the page sends it for 5 s of `kling-v3`."""
    known = {"key": "k1", "prompt": "A kite.", "model": "kling-v3", "duration": "5", "aspect_ratio": "16:9", "audio": "true"}
    return known | {"price": "5"} | changes


def reason(html: str, name: str) -> str:
    """Why a field is greyed; empty if it can be set."""
    found = re.search(rf'id="why-{name}">([^<]*)<', html)
    return found[1].strip() if found else ""


def choices(web: Client, **query: Any) -> str:
    return html_of(web.get(CHOICES, query))


class TestWhatTheQuickFormOffers:
    @pytest.mark.parametrize(
        ("model", "offered", "greyed"),
        [
            (
                "kling-v3",
                {"duration", "aspect_ratio", "audio", "negative_prompt"},
                {
                    "seed": "kling-v3 takes no seed.",
                    "loop": "kling-v3 can&#x27;t loop.",
                    "resolution": "kling-v3 has one resolution.",
                    "count": "kling-v3 makes one video per job.",
                },
            ),
            (
                "nano-banana-2",
                {"aspect_ratio", "resolution", "count", "seed"},
                {"duration": "Images have no duration.", "audio": "Images have no sound.", "loop": "Images don&#x27;t loop."},
            ),
            ("minimax-h3", {"duration", "aspect_ratio"}, {"audio": "Always on.", "resolution": "Always 2K."}),
            ("luma-ray-2", {"duration", "resolution", "loop"}, {"seed": "luma-ray-2 takes no seed."}),
        ],
    )
    def test_is_what_the_model_takes_and_the_rest_is_greyed(
        self, web: Client, model: str, offered: set[str], greyed: dict[str, str]
    ) -> None:
        html = choices(web, model=model)
        assert {name for name in offered if re.search(rf'<(?:select|textarea|input)[^>]* name="{name}"', html)} == offered
        assert {name: reason(html, name) for name in greyed} == greyed
        for name in greyed:
            assert not re.search(rf' name="{name}"', html)

    def test_images_are_greyed_where_the_model_takes_none(self, web: Client) -> None:
        assert "sora-2 takes no first frame." in choices(web, model="sora-2")
        assert "For videos only." in choices(web, model="nano-banana-2")
        assert 'name="file.references"' in choices(web, model="nano-banana-2")

    def test_what_follows_from_the_image_is_greyed_beside_it(self, web: Client) -> None:
        image = uploaded(web)
        assert reason(choices(web, model="kling-v3"), "aspect_ratio") == ""
        html = choices(web, model="kling-v3", first_frame=image, aspect_ratio="9:16")
        assert reason(html, "aspect_ratio") == "Follows the image."
        assert 'name="kept.aspect_ratio" value="9:16"' in html
        again = choices(web, **{"model": "kling-v3", "kept.aspect_ratio": "9:16"})
        assert re.search(r'<option value="9:16" selected>', again)

    def test_what_a_route_lacks_is_greyed_though_the_model_has_it(self, web: Client) -> None:
        model = GenerationModel.objects.get(pk="kling-v3")
        model.parameters["seed"] = {"low": 0, "high": 9}
        model.save()
        assert reason(choices(web, model="kling-v3"), "seed") == "fal can&#x27;t set this."

    def test_what_was_typed_for_another_model_comes_back(self, web: Client) -> None:
        typed = {"model": "wan-2.7", "seed": "42", "negative_prompt": "rain"}
        html = choices(web, **typed | {"model": "sora-2-pro"})
        kept = dict(re.findall(r'name="kept\.(\w+)" value="([^"]*)"', html))
        assert kept == {"negative_prompt": "rain"} and 'value="42"' in html  # sora takes a seed
        html = choices(web, **{"model": "wan-2.7", "seed": "42", "kept.negative_prompt": "rain"})
        assert re.search(r'name="negative_prompt"[^>]*>\s*rain</textarea>', html)

    def test_the_price_follows_every_choice(self, web: Client) -> None:
        priced = {
            ("kling-v3", ()): 5,
            ("veo-3.1", (("resolution", "4k"), ("duration", "8"))): 16,
            ("nano-banana-2", (("resolution", "4K"), ("count", "3"))): 6,
        }
        for (model, chosen), price in priced.items():
            assert f"Generate for {price} tickets" in choices(web, model=model, **dict(chosen))


class TestGenerating:
    def test_with_every_parameter_and_images(self, web: Client) -> None:
        first, last = uploaded(web), uploaded(web, "last_frame", (32, 32))
        sent = asked(audio="false", negative_prompt="rain", first_frame=first, last_frame=last)
        answer = web.post(GENERATE, sent)
        job = Job.objects.get()
        assert answer.status_code == 302
        assert job.parameters["images"] == {"first_frame": first, "last_frame": last}
        assert (job.parameters["audio"], job.parameters["negative_prompt"]) == (False, "rain")
        assert Upload.objects.filter(used_at=None).count() == 0

    def test_with_files_in_the_form_itself(self, web: Client) -> None:
        sent = {"model": "nano-banana-2", "prompt": "A kite.", "price": "2", "count": "2", "key": "k"}
        many = [file(), file(images.picture(size=(9, 9)))]
        assert web.post(GENERATE, sent | {"file.references": many}).status_code == 302
        job = Job.objects.get()
        assert {*job.parameters["images"]["references"]} == {str(one.pk) for one in Upload.objects.all()}
        assert (len(job.parameters["images"]["references"]), job.parameters["count"], job.tickets) == (2, 2, 2)

    @pytest.mark.parametrize("what", images.SOME_REFUSED)
    def test_a_file_that_could_do_harm_is_refused_and_nothing_is_lost(self, web: Client, what: str) -> None:
        make, words = images.REFUSED[what]
        kept = uploaded(web, "last_frame")
        answer = web.post(GENERATE, asked(**{"file.first_frame": file(make()), "last_frame": kept, "negative_prompt": "rain"}))
        self.refused(answer, words)
        html = html_of(answer)
        assert f'value="{kept}" checked' in html and "A kite.</textarea>" in html and "rain</textarea>" in html

    @pytest.mark.parametrize("url", images.SOME_PRIVATE)
    def test_no_address_of_ours_is_called(self, web: Client, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        forbid_connections(monkeypatch)
        answer = web.post(GENERATE, asked(**{"url.first_frame": url}))
        self.refused(answer, "or upload the image.")
        assert 'name="url.first_frame"' in html_of(answer) and not Upload.objects.exists()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"duration": "2"}, "duration must be 3"),
            ({"duration": "long"}, "not the text “long”"),
            ({"aspect_ratio": "21:9"}, "aspect_ratio must be 16:9, 9:16 or 1:1 for kling-v3, not 21:9."),
            ({"seed": "7"}, "kling-v3 has no parameter “seed”"),
            ({"count": "4", "price": "20"}, "kling-v3 has no parameter “count”"),
            ({"prompt": "a" * 2_501}, "The prompt is 2,501 characters; the limit is 2,500."),
            ({"negative_prompt": "a" * 2_501}, "the limit is 2,500"),
            ({"first_frame": "00000000-0000-0000-0000-000000000007"}, "no longer available"),
            ({"model": "haiper-2.0"}, "haiper-2.0 is not available right now."),
            ({"model": "none-such"}, "none-such is not available right now."),
        ],
    )
    def test_what_cannot_be_is_refused_at_its_field(self, web: Client, changes: dict[str, str], words: str) -> None:
        answer = web.post(GENERATE, asked(**changes))
        if changes.get("count"):  # the price of what the model lacks is nobody's
            answer = web.post(GENERATE, asked(**changes | {"price": "5"}))
        self.refused(answer, words)
        name, typed = next(iter(changes.items()))
        assert typed in html_of(answer) or name == "first_frame"

    def test_a_model_that_has_gone_is_not_replaced_by_another_of_its_price(self, web: Client) -> None:
        ModelRoute.objects.filter(model="kling-v3").update(active=False)
        answer = web.post(GENERATE, asked(price="8"))  # what `sora-2` costs
        self.refused(answer, "kling-v3 is not available right now.")
        assert '<option value="kling-v3" selected>kling-v3 (not available)</option>' in html_of(answer)

    @staticmethod
    def refused(answer: Any, words: str) -> None:
        assert answer.status_code == 422
        assert words in html_of(answer).replace("&#x27;", "'")
        assert not Job.objects.exists() and not Reservation.objects.exists()


class TestUploading:
    def test_answers_with_a_checkbox_of_what_was_kept(self, web: Client) -> None:
        html = web.post(UPLOAD, {"role": "references", "file": file()}).content.decode()
        upload = Upload.objects.get()
        assert f'value="{upload.pk}"' in html and "64 × 48" in html and f"/uploads/{upload.pk}/" in html
        assert upload.token not in html

    @pytest.mark.parametrize("what", images.SOME_REFUSED)
    def test_says_what_is_wrong(self, web: Client, what: str) -> None:
        make, words = images.REFUSED[what]
        answer = web.post(UPLOAD, {"role": "references", "file": file(make())})
        assert (answer.status_code, answer["Content-Type"]) == (422, "text/plain; charset=utf-8")
        assert words in answer.content.decode()

    def test_needs_a_log_in_a_role_and_a_post(self, web: Client, client: Client) -> None:
        assert client.post(UPLOAD, {"role": "references", "file": file()}).status_code == 302
        assert web.post(UPLOAD, {"role": "logo", "file": file()}).status_code == 422
        assert web.get(UPLOAD).status_code == 405
        assert not Upload.objects.exists()


class TestTheCampaignForm:
    @pytest.fixture
    def tab(self, web: Client) -> Tab:
        return Tab(web)

    def test_asks_for_what_the_model_takes_and_greys_the_rest(self, tab: Tab) -> None:
        tab.post(**four(model="kling-v3", duration="5"))
        assert "On" in tab.field("audio") and 'name="negative_prompt"' in tab.html
        assert reason(tab.html, "seed") == "kling-v3 takes no seed."
        assert 'name="seed"' not in tab.html

    def test_launches_with_every_parameter(self, web: Client, tab: Tab) -> None:
        image = uploaded(web)
        tab.post(**four(model="kling-v3", duration="5", audio="false", negative_prompt="rain", first_frame=image))
        assert f'value="{image}"' in tab.html
        assert Draft.objects.get().body["images"] == {"first_frame": [image]}
        tab.post("launch")
        assert Campaign.objects.get().parameters["images"] == {"first_frame": image}
        assert {str(job.parameters["audio"]) + job.parameters["negative_prompt"] for job in Job.objects.all()} == {"Falserain"}

    def test_takes_files_with_the_form_and_keeps_them_in_the_draft(self, web: Client) -> None:
        tab = Tab(web)
        tab.post(**four(model="nano-banana-2", duration="", file__references=file()))
        assert Draft.objects.get().body["images"] == {"references": [str(Upload.objects.get().pk)]}
        assert str(Upload.objects.get().pk) in Tab(web).html

    def test_a_bad_file_stops_a_launch_and_is_said_at_its_field(self, tab: Tab) -> None:
        tab.post(**four(model="kling-v3", duration="5"))
        tab.post("launch", file__first_frame=file(images.gif_of(10_000)))
        assert "Upload a PNG, JPEG or WebP image, not a GIF." in tab.text
        assert not Campaign.objects.exists() and not Reservation.objects.exists()
        assert "Maison Alder" in tab.html

    def test_an_address_of_ours_is_not_called(self, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
        forbid_connections(monkeypatch)
        tab.post(**four(model="kling-v3", duration="5"))
        tab.post("launch", url__first_frame="https://169.254.169.254/latest/meta-data/")
        assert "Use a public https address" in tab.text and "https://169.254.169.254" in tab.html
        assert not Campaign.objects.exists()

    def test_a_prompt_over_the_routes_length_is_said_before_the_launch(self, tab: Tab) -> None:
        tab.post(**four(model="kling-v3", duration="5", big_idea="a " * 999, visual_messaging="b " * 999))
        assert re.search(r"kling-v3: The prompt is [\d,]+ characters; the limit is 2,500.", tab.text)
        tab.post("launch")
        assert not Campaign.objects.exists()

    def test_what_was_typed_for_another_model_comes_back(self, tab: Tab) -> None:
        tab.post(preview=True, **four(model="wan-2.7", duration="5", seed="42", negative_prompt="rain"))
        tab.typed |= {"model": "kling-v3"}
        tab.post(preview=True)
        assert Draft.objects.get().body["kept"] == {"seed": ["42"]}
        assert reason(tab.html, "seed") == "kling-v3 takes no seed."
        tab.typed.pop("seed")
        tab.post(preview=True, model="wan-2.7", kept__seed="42")
        assert Draft.objects.get().body["seed"] == "42" and 'value="42"' in tab.field("seed")

    def test_a_copy_starts_from_the_same_images(self, web: Client, tab: Tab) -> None:
        image = uploaded(web)
        tab.post(**four(model="kling-v3", duration="5", audio="false", first_frame=image))
        tab.post("launch")
        copy = Tab(web, f"{NEW}?from={Campaign.objects.get().pk}")
        assert f'value="{image}"' in copy.html
        assert re.search(r'<option value="false" selected>', copy.field("audio"))
