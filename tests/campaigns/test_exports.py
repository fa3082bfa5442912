"""What people take along: a CSV that no spreadsheet runs, and a ZIP of the approved that is streamed."""

import asyncio
import csv
import io
import zipfile

import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections
from django.test import AsyncClient
from django.urls import reverse

from campaigns import exports, review
from campaigns.launch import make_again
from campaigns.models import Combination, ComplianceRule
from queue_app.models import Asset
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
NO_ADDRESS = {"address": lambda asset: f"/files/{asset.pk}"}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def campaign(owner):
    """Four cells, three stored with a file of their own each."""
    made = make_campaign(owner, name="Autumn scent")
    for number, job in enumerate(jobs_of(made)[:3], start=1):
        bring(job, "completed")
        store(job, b"film" * 100_000 * number)
    return made


def store(job, content):
    asset = Asset.objects.get(job=job)
    Asset.objects.filter(pk=asset.pk).update(size=len(content))
    default_storage.save(asset.name, ContentFile(content))


def cell(campaign, index):
    return Combination.objects.get(campaign=campaign, index=index)


def judge(campaign, owner, **verdicts):
    for name, verdict in verdicts.items():
        review.judge(cell(campaign, int(name[1:])), verdict, at=NOON, by=owner)


def rows(campaign):
    text = "".join(exports.csv_lines(campaign, **NO_ADDRESS))
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


class TestTheCsv:
    def test_has_every_cell_with_its_values_state_money_and_address(self, campaign, owner):
        judge(campaign, owner, n1="approved")
        review.write_note(cell(campaign, 1), "Lovely, “really”.", at=NOON, by=owner)

        first, *_, last = found = rows(campaign)

        assert [row["combination"] for row in found] == ["1", "2", "3", "4"]
        assert (first["Aesthetic"], first["Mood"], first["status"]) == ("UGC", "Energetic", "completed")
        assert (first["review"], first["reviewed by"], first["note"]) == ("approved", owner.username, "Lovely, “really”.")
        assert (first["tickets charged"], first["USD"]) == ("4", "2.000000")
        assert first["file"] == f"/files/{Asset.objects.get(job=cell(campaign, 1).job).pk}"
        assert (last["status"], last["tickets charged"], last["file"], last["review"]) == ("queued", "0", "", "")
        assert first["prompt"].startswith("The parcel opens.")

    def test_has_a_row_for_each_version_and_the_review_with_the_latest(self, campaign, owner):
        make_again(cell(campaign, 1), "A brighter one.", at=NOON, by=owner)
        bring(cell(campaign, 1).job, "completed")
        judge(campaign, owner, n1="winner")

        versions = [row for row in rows(campaign) if row["combination"] == "1"]

        assert [(row["version"], row["review"]) for row in versions] == [("1", ""), ("2", "winner")]
        assert versions[1]["prompt"] == "A brighter one."

    def test_tells_of_what_was_never_bought(self, owner):
        ComplianceRule.objects.create(name="No UGC", kind="term", pattern="UGC", severity="block", reason="Not ours.")

        blocked = [row for row in rows(make_campaign(owner)) if row["status"] == "blocked"]

        assert [row["compliance"] for row in blocked] == ["block", "block"]

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx"])
    def test_runs_nothing_in_a_spreadsheet(self, campaign, text):
        Combination.objects.filter(pk=cell(campaign, 1).pk).update(note=text)

        assert rows(campaign)[0]["note"] == f"'{text}"

    def test_comes_with_a_name_and_as_utf_8(self, campaign, owner, client_for):
        answer = client_for(owner).get(reverse("campaigns:review-csv", args=[campaign.pk]))

        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer["Content-Disposition"] == f'attachment; filename="campaign-{campaign.pk}-autumn-scent.csv"'
        assert answer.content.startswith(b'\xef\xbb\xbf"combination",')


class TestTheZip:
    def test_holds_the_approved_and_the_winners_named_by_number_and_values(self, campaign, owner, client_for):
        judge(campaign, owner, n1="approved", n2="rejected", n3="winner")

        answer = client_for(owner).get(reverse("campaigns:review-zip", args=[campaign.pk]))

        with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert {name[:3] for name in names} == {"001", "003"}
            assert all(name.endswith(".mp4") for name in names)
            assert "ugc" in names[0] and "energetic" in names[0] and "cinematic" in names[1]
            assert archive.read(names[1]) == b"film" * 300_000
        assert answer["Content-Type"] == "application/zip"
        assert f"campaign-{campaign.pk}-autumn-scent-approved.zip" in answer["Content-Disposition"]

    def test_is_given_piece_by_piece(self, campaign, owner):
        judge(campaign, owner, n2="approved")

        pieces = list(exports.zip_pieces(exports.approved(campaign)))

        assert len(pieces) > 3
        assert max(map(len, pieces)) < 2 * exports.CHUNK_BYTES

    def test_packs_the_version_that_was_judged(self, campaign, owner):
        make_again(cell(campaign, 1), "A brighter one.", at=NOON, by=owner)
        bring(cell(campaign, 1).job, "completed")
        judge(campaign, owner, n1="approved")

        (packed,) = exports.approved(campaign)

        assert packed.asset.job_id == cell(campaign, 1).job_id

    def test_names_what_is_gone_from_the_storage(self, campaign, owner):
        judge(campaign, owner, n1="approved", n2="approved")
        default_storage.delete(Asset.objects.get(job=cell(campaign, 1).job).name)

        whole = io.BytesIO(b"".join(exports.zip_pieces(exports.approved(campaign))))

        with zipfile.ZipFile(whole) as archive:
            assert len(archive.namelist()) == 2
            assert "001-" in archive.read("missing.txt").decode()

    def test_unpacks_to_files_that_others_may_read(self, campaign, owner):
        judge(campaign, owner, n1="approved", n2="approved")
        default_storage.delete(Asset.objects.get(job=cell(campaign, 1).job).name)

        with zipfile.ZipFile(io.BytesIO(b"".join(exports.zip_pieces(exports.approved(campaign))))) as archive:
            assert {one.filename[-11:]: oct(one.external_attr >> 16) for one in archive.infolist()} == {
                "missing.txt": "0o100644",
                archive.namelist()[0][-11:]: "0o100644",
            }

    def test_with_nothing_approved_says_so(self, campaign, owner, client_for):
        visitor = client_for(owner)

        answer = visitor.get(reverse("campaigns:review-zip", args=[campaign.pk]), follow=True)

        assert answer.redirect_chain == [(reverse("campaigns:review", args=[campaign.pk]), 302)]
        assert "Approve at least one video" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_zip_is_streamed_by_an_async_server_too(campaign, owner):
    judge(campaign, owner, n1="approved")

    async def download():
        client = AsyncClient()
        await client.aforce_login(owner, backend="django.contrib.auth.backends.ModelBackend")
        answer = await client.get(reverse("campaigns:review-zip", args=[campaign.pk]))
        streamed = [piece async for piece in answer.streaming_content]
        await sync_to_async(connections.close_all)()
        return streamed

    pieces = asyncio.run(download())

    assert len(pieces) > 1
    assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).testzip() is None
