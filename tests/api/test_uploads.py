"""Images for jobs by the API: uploaded or named by a URL, and loaded by the provider; for bad ones nothing is reserved."""

import json
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from queue_app.models import GenerationModel, Job, JobEvent, ModelRoute, ProviderAccount, Reservation, Upload, Wallet
from tests import images
from tests.factories import UserFactory
from tests.http.support import PUBLIC, forbid_connections, resolve_to
from tests.providers.wire import answer

pytestmark = pytest.mark.django_db
URL, JOBS, BATCH, CAMPAIGNS = "/api/v1/uploads/", "/api/v1/jobs/", "/api/v1/jobs/batch/", "/api/v1/campaigns/"
VIDEO = {"model": "kling-v3", "prompt": "A tram through a sunlit old town."}
IMAGE = {"model": "nano-banana-2", "prompt": "A tram in the snow."}
NOBODYS = str(uuid.UUID(int=7))
BRIEF = {"brand": "Alder", "big_idea": "A parcel opens.", "dimensions": {"mood": ["calm"]}, "model": "kling-v3"}


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def sent(api, content=None, name="a.png"):
    file = SimpleUploadedFile(name, images.picture() if content is None else content, "image/png")
    return api.post(URL, {"file": file}, format="multipart")


def uploaded(api, size=(64, 48)):
    return sent(api, images.picture(size=size)).json()["id"]


def problems(answer):
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def nothing_was_reserved(owner):
    wallet = Wallet.objects.get(owner=owner)
    return (
        not Job.objects.exists() and not Reservation.objects.exists() and not JobEvent.objects.exists() and wallet.reserved == 0
    )


class TestUpload:
    def test_answers_with_what_was_kept(self, api):
        answer = sent(api)

        made = answer.json()
        assert answer.status_code == 201
        assert {*made} == {"id", "url", "content_type", "size", "sha256", "width", "height", "created_at"}
        assert (made["content_type"], made["width"], made["height"]) == ("image/jpeg", 64, 48)
        assert answer["Location"].endswith(f"/api/v1/uploads/{made['id']}/")
        assert api.get(answer["Location"]).json() == made
        assert Upload.objects.get().token not in json.dumps(made)

    def test_of_the_same_image_twice_is_one(self, api):
        first, again = sent(api).json(), sent(api).json()
        assert again == first | {"created_at": again["created_at"]}
        assert Upload.objects.count() == 1

    @pytest.mark.parametrize("what", images.REFUSED)
    def test_refuses_what_could_do_harm(self, api, what):
        make, words = images.REFUSED[what]

        answer = sent(api, make())

        assert (answer.status_code, [*problems(answer)]) == (400, ["file"])
        assert words in problems(answer)["file"]
        assert not Upload.objects.exists()

    def test_refuses_a_form_with_anything_else(self, api):
        file = SimpleUploadedFile("a.png", images.picture())
        assert "Unknown field" in problems(api.post(URL, {"file": file, "name": "x"}, format="multipart"))["name"]
        assert "Send a file" in problems(api.post(URL, {}, format="multipart"))["file"]
        assert "Send a file" in problems(api.post(URL, {"file": "text"}, format="multipart"))["file"]
        broken = api.generic("POST", URL, b"--x", content_type="multipart/form-data; boundary=y")
        assert broken.status_code == 400
        assert api.post(URL, {"file": "x"}, format="json").status_code == 400
        assert api.generic("POST", URL, b"x", content_type="image/png").status_code == 415

    def test_needs_a_key_that_may_submit(self, api_for, owner, client):
        assert sent(api_for(owner, "read")).status_code == 403
        assert client.post(URL, {}).status_code == 401

    def test_is_its_owners_and_the_staffs(self, api, api_for, client_for, owner):
        made = sent(api).json()
        path = made["url"].removeprefix("http://testserver")
        address = f"{URL}{made['id']}/"
        assert [api_for(one).get(address).status_code for one in (owner, UserFactory(staff=True), UserFactory())] == [
            200,
            200,
            404,
        ]
        found = client_for(owner).get(path)
        assert (found.status_code, found["Content-Type"], found["X-Content-Type-Options"]) == (200, "image/jpeg", "nosniff")
        assert b"".join(found.streaming_content).startswith(b"\xff\xd8\xff")
        assert [client_for(one).get(path).status_code for one in (UserFactory(), UserFactory(staff=True))] == [404, 200]
        assert Client().get(path).status_code == 404


class TestWhatTheProviderLoads:
    def test_needs_no_log_in_and_the_whole_token(self, api):
        sent(api)
        upload = Upload.objects.get()
        found = Client().get(f"/inputs/{upload.token}/{upload.file_name}")
        assert (found.status_code, found["Content-Type"], found["X-Robots-Tag"]) == (200, "image/jpeg", "noindex")
        for token in (upload.token[:-1], f"{upload.token}x", str(upload.pk), "x"):
            assert Client().get(f"/inputs/{token}/{upload.file_name}").status_code == 404


class TestInAJob:
    def test_an_upload_is_named_by_its_id(self, api, owner):
        first, last = uploaded(api), uploaded(api, (32, 32))

        answer = api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": first, "last_frame": last}}})

        assert answer.status_code == 201
        assert answer.json()["parameters"]["images"] == {"first_frame": first, "last_frame": last}
        assert Upload.objects.filter(used_at__isnull=False).count() == 2

    def test_the_other_names_mean_the_same(self, api):
        one, two = uploaded(api), uploaded(api, (32, 32))
        asked = {"reference_images": [{"upload": one}, {"upload": two, "role": "reference"}], "num_images": 3}

        found = api.post(JOBS, IMAGE | {"parameters": asked}).json()

        assert found["parameters"]["images"] == {"references": [one, two]}
        assert (found["parameters"]["count"], found["tickets"]["reserved"]) == (3, 3)
        assert "reference_images" not in found["parameters"]

    def test_a_url_is_fetched_and_named_by_its_upload(self, api, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(answer(200, images.picture()))
            url = f"https://studio.test:{server.port}/a.png"
            found = api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": url}}})

        assert found.status_code == 201
        assert found.json()["parameters"]["images"] == {"first_frame": str(Upload.objects.get().pk)}

    def test_a_repeated_request_fetches_nothing(self, api, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(answer(200, images.picture()), answer(500))
            body = VIDEO | {"parameters": {"images": {"first_frame": f"https://studio.test:{server.port}/a.png"}}}
            answers = [api.post(JOBS, body, headers={"Idempotency-Key": "one"}) for _ in range(2)]

        assert [one.status_code for one in answers] == [201, 201]
        assert answers[0].content == answers[1].content
        assert len(server.seen) == 1

    def test_one_url_of_many_jobs_is_fetched_once(self, api, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(answer(200, images.picture()))
            job = IMAGE | {"parameters": {"images": {"references": [f"https://studio.test:{server.port}/a.png"]}}}
            assert api.post(BATCH, {"jobs": [job] * 5}).status_code == 201

        assert (len(server.seen), Upload.objects.count(), Job.objects.count()) == (1, 1, 5)

    def test_nothing_is_fetched_for_a_job_that_is_refused_anyway(self, api, owner, monkeypatch):
        resolve_to(monkeypatch, PUBLIC)
        forbid_connections(monkeypatch)
        asked = {"images": {"first_frame": "https://files.example/a.png"}, "duration": 99}

        answer = api.post(JOBS, VIDEO | {"parameters": asked})

        assert [*problems(answer)] == ["parameters.duration"]
        assert nothing_was_reserved(owner)

    @pytest.mark.parametrize("url", [*images.PRIVATE, *images.NO_ADDRESS])
    @pytest.mark.parametrize("query", ["", "?dry_run=true"])
    def test_no_address_of_ours_is_called(self, api, owner, monkeypatch, url, query):
        forbid_connections(monkeypatch)

        answer = api.post(f"{JOBS}{query}", VIDEO | {"parameters": {"images": {"first_frame": url}}})

        assert (answer.status_code, [*problems(answer)]) == (400, ["parameters.images"])
        assert nothing_was_reserved(owner) and not Upload.objects.exists()

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fd00::1", "64:ff9b::7f00:1"])
    def test_no_name_leads_to_one(self, api, owner, monkeypatch, address):
        resolve_to(monkeypatch, PUBLIC, address)
        forbid_connections(monkeypatch)

        answer = api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": "https://rebinding.example/a.png"}}})

        assert "public https address" in problems(answer)["parameters.images"]
        assert nothing_was_reserved(owner)

    @pytest.mark.parametrize("url", images.PRIVATE)
    def test_nor_by_an_upload(self, api, monkeypatch, url):
        forbid_connections(monkeypatch)

        answer = api.post(URL, {"url": url})

        assert (answer.status_code, [*problems(answer)]) == (400, ["url"])

    @pytest.mark.parametrize(
        ("body", "field", "words"),
        [
            (VIDEO | {"parameters": {"images": {"references": ["{id}"]}}}, "parameters.images", "kling-v3 takes no references"),
            (VIDEO | {"parameters": {"images": {"last_frame": "{id}"}}}, "parameters.images", "A last frame needs a first frame"),
            (IMAGE | {"parameters": {"images": {"references": ["{id}"] * 15}}}, "parameters.images", "takes 14"),
            (VIDEO | {"parameters": {"images": "{id}"}}, "parameters.images", "must be an object"),
            (VIDEO | {"parameters": {"images": {"first_frame": 7}}}, "parameters.images", "must be the id of an upload"),
            (
                VIDEO | {"parameters": {"images": {"first_frame": NOBODYS}}},
                "parameters.images",
                "no longer available",
            ),
            (
                VIDEO | {"parameters": {"reference_images": [{"url": "x", "role": "logo"}]}},
                "parameters.images",
                "a role once each",
            ),
            (VIDEO | {"parameters": {"duration": 2}}, "parameters.duration", "duration must be 3"),
            (VIDEO | {"parameters": {"aspect_ratio": "21:9"}}, "parameters.aspect_ratio", "16:9, 9:16 or 1:1"),
            (VIDEO | {"parameters": {"seed": 7}}, "parameters.seed", "kling-v3 has no parameter “seed”"),
            (VIDEO | {"parameters": {"resolution": "4k"}}, "parameters.resolution", "has no parameter"),
            (VIDEO | {"parameters": {"audio": "on"}}, "parameters.audio", "true"),
            (IMAGE | {"parameters": {"num_images": 9}}, "parameters.count", "from 1 to 4"),
            (VIDEO | {"prompt": "a" * 2_501}, "prompt", "The prompt is 2,501 characters; the limit is 2,500."),
            (VIDEO | {"parameters": {"negative_prompt": "a" * 2_501}}, "parameters.negative_prompt", "the limit is 2,500"),
        ],
    )
    def test_what_the_model_lacks_is_refused_by_name(self, api, owner, body, field, words):
        named = json.loads(json.dumps(body).replace("{id}", uploaded(api)))

        answer = api.post(JOBS, named)

        assert (answer.status_code, [*problems(answer)]) == (400, [field])
        assert words in problems(answer)[field]
        assert nothing_was_reserved(owner)

    def test_a_model_without_an_active_route_is_not_available(self, api, owner):
        ModelRoute.objects.filter(model="kling-v3").update(active=False)

        answer = api.post(JOBS, VIDEO)

        assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")
        assert nothing_was_reserved(owner)

    def test_an_image_of_another_user_is_unknown(self, api, api_for, owner):
        theirs = uploaded(api_for(UserFactory(staff=True)))

        answer = api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": theirs}}})

        assert "no longer available" in problems(answer)["parameters.images"]
        assert nothing_was_reserved(owner)

    def test_a_provider_that_cannot_reach_this_site_gets_none(self, api, owner, settings):
        settings.PROVIDER_KEYS = {**settings.PROVIDER_KEYS, "FAL_KEY": "key"}
        ModelRoute.objects.filter(model="kling-v3", active=True).update(needs_check=False)
        assert not ProviderAccount.objects.get(key="fal").is_preview
        image = uploaded(api)

        answer = api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": image}}})
        assert "PUBLIC_URL" in problems(answer)["parameters.images"]
        assert nothing_was_reserved(owner)

        settings.PUBLIC_URL = "https://queue.example"
        assert api.post(JOBS, VIDEO | {"parameters": {"images": {"first_frame": image}}}).status_code == 201


class TestInACampaign:
    def test_takes_every_parameter_by_either_name(self, api):
        one = uploaded(api)
        asked = {"model": "nano-banana-2", "resolution": "2K", "seed": 7, "num_images": 2, "reference_images": [{"upload": one}]}

        answer = api.post(CAMPAIGNS, BRIEF | asked)

        assert answer.status_code == 201
        job = Job.objects.get()
        assert job.parameters["images"] == {"references": [one]}
        assert [job.parameters[name] for name in ("resolution", "seed", "count")] == ["2K", 7, 2]

    def test_a_url_is_fetched_before_anything_is_launched(self, api, monkeypatch, tmp_path):
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(answer(200, images.picture()))
            url = f"https://studio.test:{server.port}/a.png"
            assert api.post(CAMPAIGNS, BRIEF | {"images": {"first_frame": url}}).status_code == 201

        assert Job.objects.get().parameters["images"] == {"first_frame": str(Upload.objects.get().pk)}

    @pytest.mark.parametrize(
        ("asked", "field", "words"),
        [
            ({"images": {"first_frame": "https://127.0.0.1/a.png"}}, "images", "public https address"),
            ({"images": {"references": ["https://files.example/a.png"]}}, "images", "takes no references"),
            ({"images": {"first_frame": NOBODYS}}, "images", "no longer available"),
            ({"seed": 7}, "seed", "has no parameter"),
            ({"resolution": "8K"}, "resolution", "has no parameter"),
            ({"count": 2, "num_images": 2}, "num_images", "not both"),
            ({"big_idea": "A parcel. " * 190, "visual_messaging": "b" * 2_000}, "model", "kling-v3: The prompt is"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, api, owner, asked, field, words):
        answer = api.post(CAMPAIGNS, BRIEF | asked)

        assert (answer.status_code, [*problems(answer)]) == (400, [field])
        assert words in problems(answer)[field]
        assert nothing_was_reserved(owner)

    def test_false_for_what_a_model_lacks_is_no_wish(self, api):
        assert "count" not in GenerationModel.objects.get(pk="kling-v3").parameters
        assert api.post(CAMPAIGNS, BRIEF | {"loop": False, "count": 1}).status_code == 201
