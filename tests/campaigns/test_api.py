"""Campaigns by API: priced, launched, read, stopped, judged."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from campaigns import launch
from campaigns.models import Brand, Campaign, Combination, ComplianceRule, DimensionValue
from queue_app.models import Job, State, Wallet
from tests.campaigns.support import bring, full_matrix, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/campaigns/"
BODY = {
    "brand": "Maison Alder",
    "big_idea": "The parcel opens.",
    "dimensions": {"aesthetic": ["ugc", "cinematic"], "mood": ["energetic", "calm"]},
    "model": "sora-2",
    "duration": 4,
}


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


@pytest.fixture
def no_ugc():
    return ComplianceRule.objects.create(
        name="No UGC", kind="term", pattern="UGC", severity="block", reason="Not ours.", instead="filmed by people"
    )


def address(campaign, more=""):
    return f"{URL}{campaign.pk}/{more}"


def fields(answer):
    return [error["field"] for error in answer.json()["errors"]]


class TestLaunch:
    def test_buys_every_combination(self, api, owner):
        answer = api.post(URL, BODY)

        made = answer.json()
        assert answer.status_code == 201
        assert (made["requested"], made["accepted"], made["rejected"]) == (4, 4, [])
        assert made["cost"] == {"tickets": 16, "reserved": 16, "captured": 0, "refunded": 0, "usd": "8.00"}
        assert made["eta"]["p50_seconds"] > 0
        assert api.get(answer["Location"]).json()["links"] == made["links"]
        assert len(api.get(made["links"]["jobs"]).json()["results"]) == 4
        campaign = Campaign.objects.get(pk=made["id"])
        assert campaign.batch.owner == owner
        assert Job.objects.filter(batch=campaign.pk).count() == 4
        assert campaign.batch.jobs.first().events.first().actor == f"{owner.username} by API"

    def test_takes_all_fields_of_the_form(self, api):
        body = BODY | {
            "name": "Autumn",
            "product_category": "scent",
            "visual_messaging": "Warm light.",
            "audio_messaging": "A cello.",
            "aspect_ratio": "9:16",
            "loop": False,
            "priority": -5,
            "max_concurrent": 2,
            "exclude": [{"aesthetic": "ugc", "mood": "calm"}],
        }

        made = api.post(URL, body).json()

        found = api.get(f"{URL}{made['id']}/").json()
        assert made["accepted"] == 3
        same = ("name", "brand", "product_category", "big_idea", "visual_messaging", "audio_messaging", "priority", "exclude")
        assert {name: found[name] for name in same} == {name: body[name] for name in same}
        assert found["dimensions"] == BODY["dimensions"]
        assert (found["max_concurrent"], found["parameters"]["aspect_ratio"]) == (2, "9:16")

    def test_makes_a_brand_that_is_not_known_and_finds_one_that_is(self, api):
        for name in ("Novum", "NOVUM"):
            api.post(URL, BODY | {"brand": name})

        assert Brand.objects.filter(name__iexact="novum").count() == 1

    def test_says_which_combinations_were_not_bought_and_why(self, api, no_ugc):
        made = api.post(URL, BODY).json()

        assert (made["requested"], made["accepted"]) == (4, 2)
        first = made["rejected"][0]
        assert first["combination"] == {"aesthetic": "ugc", "mood": "energetic"}
        assert "UGC" in first["reason"] and "filmed by people" in first["reason"]

    def test_of_nothing_but_blocked_combinations_is_422(self, api, no_ugc):
        answer = api.post(URL, BODY | {"dimensions": {"aesthetic": ["ugc"]}})

        assert (answer.status_code, answer.json()["code"]) == (422, "nothing_to_buy")
        assert not Campaign.objects.exists()

    def test_that_the_wallet_cannot_pay_is_402_as_a_whole(self, api_for):
        answer = api_for(UserFactory(tickets=15)).post(URL, BODY)

        found = answer.json()
        assert (answer.status_code, found["needed"], found["available"], found["missing"], found["fits"]) == (402, 16, 15, 1, 3)
        assert "Your wallet covers 3 of 4 combinations." in found["detail"]
        assert not Campaign.objects.exists()
        assert not Brand.objects.filter(name="Maison Alder").exists()

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"brand": ""}, "brand"),
            ({"big_idea": " "}, "big_idea"),
            ({"model": "no-such"}, "model"),
            ({"duration": 7}, "duration"),
            ({"duration": "4"}, "duration"),
            ({"aspect_ratio": "2:1"}, "aspect_ratio"),
            ({"loop": "no"}, "loop"),
            ({"priority": 5}, "priority"),
            ({"max_concurrent": 51}, "max_concurrent"),
            ({"dimensions": {}}, "dimensions"),
            ({"dimensions": []}, "dimensions"),
            ({"dimensions": {"mood": ["gloomy"]}}, "dimensions.mood"),
            ({"dimensions": {"colour": ["red"]}}, "dimensions.colour"),
            ({"dimensions": {"mood": "calm"}}, "dimensions.mood"),
            ({"exclude": [{"mood": "gloomy"}]}, "exclude"),
            ({"exclude": [{}]}, "exclude"),
            ({"exclude": {"mood": "calm"}}, "exclude"),
            ({"colour": "red"}, "colour"),
            ({"name": "n" * 201}, "name"),
        ],
    )
    def test_is_refused_naming_the_field_as_it_is_in_the_body(self, api, change, field):
        answer = api.post(URL, BODY | change)

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert fields(answer)[0].split("[")[0] == field
        assert not Campaign.objects.exists()

    @pytest.mark.parametrize("field", ["brand", "big_idea", "model", "dimensions"])
    def test_needs_what_the_form_needs(self, api, field):
        answer = api.post(URL, {name: value for name, value in BODY.items() if name != field})

        assert (answer.status_code, fields(answer)) == (400, [field])

    def test_of_more_than_660_cells_names_the_dimension_that_multiplies_most(self, api):
        answer = api.post(URL, BODY | {"dimensions": full_matrix() | {"mood": ["calm", "dramatic"]}})

        assert answer.status_code == 400
        assert "City" in answer.json()["detail"]

    def test_of_a_model_that_nobody_offers_is_422(self, api):
        answer = api.post(URL, BODY | {"model": "haiper-2.0"})

        assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")


class TestABrandThatIsNew:
    """Whoever names it first makes it; those who name it at the same time wait, and take it."""

    @pytest.mark.django_db(transaction=True)
    def test_is_made_once_by_launches_at_once(self, api_for):
        names, start = ["Novum", "NOVUM", "novum", " Novum "], Barrier(4)
        clients = [api_for(UserFactory(tickets=100)) for _ in names]

        def send(client, name):
            start.wait()
            try:
                return client.post(URL, BODY | {"brand": name})
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(send, clients, names))

        assert [answer.status_code for answer in answers] == [201] * 4
        assert Brand.objects.count() == 1
        assert Campaign.objects.filter(brand=Brand.objects.get()).count() == 4

    @pytest.mark.parametrize(
        ("there", "named"), [("kilo", "\u212aILO"), ("ſuit", "SUIT"), ("İstanbul", "istanbul"), ("Straße", "STRASSE")]
    )
    def test_is_told_apart_as_the_database_tells_names_apart(self, api, there, named):
        """One is another's capital only to some: the Kelvin sign, the long s, the dotted I, the sharp s."""
        Brand.objects.create(name=there)

        assert api.post(URL, BODY | {"brand": named}).status_code == 201
        assert Brand.objects.named(named) is not None


class TestADryRun:
    def test_prices_the_matrix_and_writes_nothing(self, api, no_ugc):
        answer = api.post(URL + "?dry_run=true", BODY)

        found = answer.json()
        assert answer.status_code == 200
        assert (found["dry_run"], found["requested"], found["accepted"], len(found["rejected"])) == (True, 4, 2, 2)
        assert found["cost"]["tickets"] == 8
        assert found["wallet"] == {"available": 100, "after": 92}
        assert found["affordable"] is True
        assert found["eta"]["p50_seconds"] > 0
        assert not Campaign.objects.exists() and not Job.objects.exists()

    def test_tells_of_too_few_tickets_without_refusing(self, api_for):
        found = api_for(UserFactory(tickets=10)).post(URL + "?dry_run=true", BODY).json()

        assert (found["affordable"], found["wallet"]["after"], found["fits"]) == (False, -6, 2)


class TestARepeatedRequest:
    def test_makes_one_campaign(self, api, owner):
        answers = [api.post(URL, BODY, headers={"Idempotency-Key": "autumn"}) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[1]["Idempotent-Replayed"] == "true"
        assert Campaign.objects.count() == 1
        assert Wallet.objects.get(owner=owner).reserved == 16

    def test_gets_its_first_answer_even_when_a_value_has_been_retired_since(self, api):
        first = api.post(URL, BODY, headers={"Idempotency-Key": "autumn"})
        DimensionValue.objects.filter(key="calm").update(retired=True)

        again = api.post(URL, BODY, headers={"Idempotency-Key": "autumn"})

        assert (again.status_code, again.json()) == (201, first.json())
        assert api.post(URL, BODY).status_code == 400

    def test_with_another_body_is_422(self, api):
        api.post(URL, BODY, headers={"Idempotency-Key": "autumn"})

        answer = api.post(URL, BODY | {"big_idea": "Another."}, headers={"Idempotency-Key": "autumn"})

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    def test_that_was_refused_leaves_the_key_free(self, api):
        assert api.post(URL, BODY | {"big_idea": ""}, headers={"Idempotency-Key": "autumn"}).status_code == 400

        assert api.post(URL, BODY, headers={"Idempotency-Key": "autumn"}).status_code == 201


class TestRead:
    def test_counts_cells_by_the_state_of_their_latest_version(self, api, owner):
        campaign = make_campaign(owner)
        for job, state in zip(jobs_of(campaign), ("completed", "failed", "running"), strict=False):
            bring(job, state)

        found = api.get(address(campaign)).json()

        counts = {name: found[name] for name in ("total", "queued", "processing", "completed", "failed", "cancelled", "blocked")}
        assert counts == {"total": 4, "queued": 1, "processing": 1, "completed": 1, "failed": 1, "cancelled": 0, "blocked": 0}
        assert found["cost"]["captured"] == 4
        assert found["eta"]["p50_seconds"] > 0
        assert found["reviews"] == {"to_judge": 1, "approved": 0, "rejected": 0, "winner": 0}
        assert found["links"]["page"].endswith(f"/campaigns/{campaign.pk}/")

    def test_has_no_time_left_once_all_have_ended(self, api, owner):
        campaign = make_campaign(owner)
        for job in jobs_of(campaign):
            bring(job, "cancelled")

        assert api.get(address(campaign)).json()["eta"] is None

    def test_has_a_word_on_the_time_left_while_a_job_is_open_whatever_its_state(self, api, owner):
        campaign = make_campaign(owner)
        for job, state in zip(jobs_of(campaign), ("cancelled", "cancelled", "cancelling", "cancelled"), strict=True):
            bring(job, state)
        assert api.get(address(campaign)).json()["eta"] == {"p50_seconds": None, "p90_seconds": None, "basis": "cancelling"}

    def test_lists_own_campaigns_newest_first_in_pages(self, api, owner, django_assert_max_num_queries):
        mine = [make_campaign(owner).pk for _ in range(3)]
        make_campaign(UserFactory())

        with django_assert_max_num_queries(20):
            page = api.get(URL + "?page_size=2").json()
        rest = api.get(page["next"]).json()

        assert [one["id"] for one in page["results"] + rest["results"]] == mine[::-1]
        assert rest["next"] is None

    def test_of_a_stranger_is_404_for_every_scope(self, api_for):
        campaign = make_campaign(UserFactory())
        pk = campaign.combinations.first().pk
        for scopes in (("read", "submit"), ("read", "submit", "manage")):
            api = api_for(UserFactory(), *scopes)
            for verb in ("cancel/", "pause/", "resume/", "retry-failed/"):
                assert api.post(address(campaign, verb)).status_code == 404
            for url in (address(campaign), address(campaign, "combinations/"), f"/api/v1/combinations/{pk}/"):
                assert (api.get(url).status_code, api.get(url).json()["code"]) == (404, "not_found")
            assert api.patch(f"/api/v1/combinations/{pk}/", {"review": "approved"}).status_code == 404

    def test_needs_its_scope(self, api_for, owner):
        campaign = make_campaign(owner)
        reader, writer = api_for(owner, "read"), api_for(owner, "submit")

        assert reader.get(address(campaign)).status_code == 200
        assert reader.post(URL, BODY).status_code == 403
        assert reader.post(address(campaign, "cancel/")).status_code == 403
        assert writer.get(address(campaign)).status_code == 403
        assert writer.post(address(campaign, "pause/")).status_code == 200

    def test_of_everybodys_is_for_staff_and_changes_need_manage(self, api_for):
        campaign, staff = make_campaign(UserFactory()), UserFactory(staff=True, rights=["operate_queue"])

        assert api_for(staff).get(address(campaign)).status_code == 200
        assert api_for(staff).post(address(campaign, "pause/")).status_code == 404
        assert api_for(staff, "read", "submit", "manage").post(address(campaign, "pause/")).status_code == 200


class TestVerbs:
    def test_cancel_stops_what_can_be_stopped(self, api, owner):
        campaign = make_campaign(owner)
        for job, state in zip(jobs_of(campaign), ("completed", "running"), strict=False):
            bring(job, state)

        found = api.post(address(campaign, "cancel/")).json()

        assert found["verdicts"] == {"cancelled": 2, "requested": 1, "too_late": 0}
        assert (found["cancelled"], found["processing"], found["completed"]) == (2, 1, 1)

    def test_pause_and_resume(self, api, owner):
        campaign = make_campaign(owner)

        paused = api.post(address(campaign, "pause/")).json()
        assert (paused["paused"], paused["eta"]["p50_seconds"]) == (True, None)
        assert api.post(address(campaign, "resume/")).json()["paused"] is False

    def test_retry_failed_queues_failed_cells_once_per_key(self, api, owner):
        campaign = make_campaign(owner)
        for job in jobs_of(campaign)[:2]:
            bring(job, "failed")

        answers = [api.post(address(campaign, "retry-failed/"), headers={"Idempotency-Key": "again"}) for _ in range(2)]

        assert [(one.json()["queued"], one.json()["failed"]) for one in answers] == [(4, 0), (4, 0)]
        assert Job.objects.filter(batch=campaign.pk, state=State.QUEUED).count() == 4


class TestCombinations:
    def test_come_in_the_order_of_the_matrix_blocked_ones_among_them(self, api, owner, no_ugc):
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], "completed")

        found = api.get(address(campaign, "combinations/")).json()["results"]

        assert [(one["index"], one["status"]) for one in found] == [
            (1, "blocked"),
            (2, "blocked"),
            (3, "completed"),
            (4, "queued"),
        ]
        blocked, stored = found[0], found[2]
        assert (blocked["job"], blocked["cost"], blocked["compliance"]["level"], blocked["assets"]) == (None, None, "block", [])
        assert blocked["compliance"]["hits"][0]["matched"] == "UGC"
        assert stored["values"] == {"aesthetic": "cinematic", "mood": "energetic"}
        assert (stored["cost"]["tickets"], stored["review"], stored["versions"]) == (4, "", 1)
        assert [asset["kind"] for asset in stored["assets"]] == ["video"]
        assert stored["prompt"].startswith("The parcel opens.")

    def test_come_in_pages_with_a_fixed_number_of_queries(self, api, owner, django_assert_max_num_queries):
        campaign = make_campaign(owner)

        with django_assert_max_num_queries(12):
            page = api.get(address(campaign, "combinations/?page_size=3")).json()

        assert [one["index"] for one in page["results"]] == [1, 2, 3]
        assert [one["index"] for one in api.get(page["next"]).json()["results"]] == [4]

    @pytest.mark.parametrize(
        ("query", "indexes"),
        [("status=completed", [1, 2]), ("review=approved", [1]), ("review=none", [2]), ("status=queued", [3, 4])],
    )
    def test_are_narrowed(self, api, owner, query, indexes):
        campaign = make_campaign(owner)
        for job in jobs_of(campaign)[:2]:
            bring(job, "completed")
        api.patch(f"/api/v1/combinations/{campaign.combinations.get(index=1).pk}/", {"review": "approved"})

        found = api.get(address(campaign, f"combinations/?{query}")).json()["results"]

        assert [one["index"] for one in found] == indexes
        assert api.get(address(campaign, "combinations/?status=lost")).status_code == 400


class TestJudging:
    @pytest.fixture
    def cell(self, owner):
        campaign = make_campaign(owner)
        bring(jobs_of(campaign)[0], "completed")
        return campaign.combinations.get(index=1)

    def url(self, cell):
        return f"/api/v1/combinations/{cell.pk}/"

    @pytest.mark.parametrize("verdict", ["approved", "rejected", "winner", "", None])
    def test_keeps_the_verdict(self, api, cell, verdict):
        answer = api.patch(self.url(cell), {"review": verdict})

        assert (answer.status_code, answer.json()["review"]) == (200, verdict or "")
        assert api.get(self.url(cell)).json()["review"] == (verdict or "")
        assert (answer.json()["reviewed_at"] is None) == (not verdict)

    def test_keeps_a_note_alone_or_with_a_verdict(self, api, cell):
        api.patch(self.url(cell), {"review": "winner", "note": "Lovely."})
        assert api.patch(self.url(cell), {"note": "Better still."}).json() | {"review": "winner", "note": "Better still."} == (
            api.get(self.url(cell)).json()
        )

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"review": "superb"}, "review"),
            ({"review": 1}, "review"),
            ({"note": "n" * 1_001}, "note"),
            ({"note": 5}, "note"),
            ({"prompt": "x"}, "prompt"),
            ({}, ""),
        ],
    )
    def test_is_refused_naming_the_field(self, api, cell, body, field):
        answer = api.patch(self.url(cell), body)

        assert (answer.status_code, fields(answer)) == (400, [field])
        assert Combination.objects.get(pk=cell.pk).review == ""

    def test_of_what_is_not_stored_is_409(self, api, cell):
        other = Combination.objects.get(campaign=cell.campaign, index=2)

        answer = api.patch(self.url(other), {"review": "approved"})

        assert (answer.status_code, answer.json()["code"]) == (409, "not_judgeable")


class TestWhatACampaignTakes:
    def test_is_listed_without_what_has_been_retired(self, api):
        DimensionValue.objects.filter(dimension__key="mood", key="calm").update(retired=True)

        dimensions = {one["key"]: one for one in api.get("/api/v1/dimensions/").json()["results"]}

        mood = dimensions["mood"]
        assert (mood["label"], len(dimensions)) == ("Mood", 11)
        assert {"key": "energetic", "label": "Energetic"} in mood["values"]
        assert "calm" not in [value["key"] for value in mood["values"]]

    def test_are_brands_of_ones_own_campaigns(self, api_for, owner):
        make_campaign(owner)
        make_campaign(owner)
        Brand.objects.create(name="Somebody else's")

        def names(user):
            return [brand["name"] for brand in api_for(user).get("/api/v1/brands/").json()["results"]]

        assert names(owner) == [Brand.objects.get(campaigns__batch__owner=owner, campaigns=Campaign.objects.first()).name]
        assert len(names(UserFactory(staff=True))) == 2


class TestAChange:
    def test_follows_its_batch_and_counts_for_later_versions(self, api, owner):
        campaign = make_campaign(owner)

        found = api.patch(address(campaign), {"name": "Winter", "priority": -10, "max_concurrent": 1}).json()

        assert (found["name"], found["priority"], found["max_concurrent"]) == ("Winter", -10, 1)
        assert {job.priority for job in jobs_of(campaign)} == {-10}
        cell = campaign.combinations.first()
        bring(cell.job, "failed")
        assert launch.make_again(cell, "A parcel opens.", at=NOON, by=owner)[0].job.priority == -10
        again = api.patch(f"/api/v1/batches/{campaign.pk}/", {"name": "Spring"})
        assert (again.json()["name"], Campaign.objects.get().name) == ("Spring", "Spring")
        for where in (address(campaign), f"/api/v1/batches/{campaign.pk}/"):
            assert fields(api.patch(where, {"name": " "})) == ["name"]

    def test_of_a_failed_jobs_prompt_is_checked_by_the_rules_and_shown_with_the_combination(self, api, owner, no_ugc):
        campaign = make_campaign(owner, {"aesthetic": ["cinematic"]})
        cell = campaign.combinations.get()
        bring(cell.job, "failed")
        retry = f"/api/v1/jobs/{cell.job_id}/retry/"

        assert fields(api.post(retry, {"prompt": "Shot as UGC."})) == ["prompt"]
        assert api.post(retry, {"prompt": "A parcel opens slowly."}).status_code == 200
        shown = api.get(f"/api/v1/combinations/{cell.pk}/").json()
        assert (shown["prompt"], shown["status"], shown["versions"]) == ("A parcel opens slowly.", "queued", 1)
        assert cell.versions.get().prompt == shown["prompt"]
