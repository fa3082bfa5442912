"""The usage page: who may see it, its periods, sides and orders, and the file."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.http import QueryDict
from django.test import Client

from queue_app import clock, tickets
from queue_app.admin import usage
from queue_app.models import State
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
PAGE = "/admin/usage/"


def lines(client: Client, **asked: str) -> list[str]:
    answer = client.get(PAGE, asked)
    assert answer.status_code == 200
    return [row["line"].name for row in answer.context["rows"]]


class TestWhoSeesIt:
    def test_those_who_may_see_jobs_and_the_ledger(self, staff_with: StaffWith) -> None:
        assert staff_with("view_job")[1].get(PAGE).status_code == 403
        assert staff_with("view_ledgertransaction")[1].get(PAGE).status_code == 403
        _, client = staff_with("view_job", "view_ledgertransaction")
        page = client.get(PAGE)
        assert page.status_code == 200 and 'href="/admin/usage/" aria-current="page"' in page.content.decode()

    def test_nobody_else(self, client: Client, client_for: Callable[..., Client]) -> None:
        for one in (client, client_for(UserFactory())):
            assert one.get(PAGE).status_code == 302

    def test_it_changes_nothing(self, admin: Client) -> None:
        assert admin.post(PAGE).status_code == 405


class TestPeriod:
    def test_is_counted_back_from_now(self, admin: Client) -> None:
        now = clock.now()
        make_job(State.COMPLETED, at=now - timedelta(hours=1))
        make_job(State.COMPLETED, at=now - timedelta(days=3), model_id="kling-1.6")
        make_job(State.COMPLETED, at=now - timedelta(days=20), model_id="nano-banana", kind_id="image")
        found = {period: set(lines(admin, period=period)) for period in ("24h", "7d", "30d")}
        assert found["24h"] == {"sora-2"}
        assert found["7d"] == found["24h"] | {"kling-1.6"}
        assert found["30d"] == found["7d"] | {"nano-banana"}

    def test_may_be_days_of_ones_own_both_included(self, admin: Client) -> None:
        make_job(State.COMPLETED, at=NOON)
        assert lines(admin, **{"from": "2026-11-20", "to": "2026-11-20"}) == ["sora-2"]
        assert lines(admin, **{"from": "2026-11-19", "to": "2026-11-19"}) == []

    @pytest.mark.parametrize(
        ("first", "last", "said"),
        [
            ("2026-11-20", "", "Enter both dates"),
            ("20.11.2026", "2026-11-21", "Enter both dates"),
            ("2026-11-20", "2026-11-19", "before the start date"),
            ("2020-01-01", "2026-11-19", "at most 366 days"),
            ("9999-12-01", "9999-12-31", "Choose dates between 2000-01-01 and 2999-12-31."),
            ("0001-01-01", "0001-01-02", "Choose dates between 2000-01-01 and 2999-12-31."),
        ],
    )
    def test_that_makes_no_sense_is_said(self, admin: Client, first: str, last: str, said: str) -> None:
        page = admin.get(PAGE, {"from": first, "to": last})
        assert page.status_code == 200 and said in page.content.decode()

    def test_unknown_words_are_as_if_not_said(self) -> None:
        asked = usage.read(QueryDict("period=ever&by=mood&sort=secret&dir=left"), at=NOON)
        assert (asked.period, asked.by, asked.sort, asked.up) == ("7d", "model", "net", False)


class TestOrder:
    @pytest.fixture
    def two(self) -> None:
        now = clock.now()
        make_job(State.COMPLETED, at=now - timedelta(hours=1), tickets=9)
        for _ in range(2):
            make_job(State.COMPLETED, at=now - timedelta(hours=1), model_id="kling-1.6", tickets=1)
        make_job(State.CANCELLED, at=now - timedelta(hours=1), model_id="manim", tickets=1)

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, ["sora-2", "kling-1.6", "manim"]),
            ({"sort": "jobs"}, ["kling-1.6", "manim", "sora-2"]),
            ({"sort": "name", "dir": "up"}, ["kling-1.6", "manim", "sora-2"]),
            ({"sort": "success", "dir": "up"}, ["kling-1.6", "sora-2", "manim"]),
        ],
    )
    def test_is_by_any_column(self, admin: Client, two: None, asked: dict[str, str], found: list[str]) -> None:
        assert lines(admin, **asked) == found

    def test_by_day_the_last_comes_first(self, admin: Client) -> None:
        for days in (1, 2):
            make_job(State.COMPLETED, at=clock.now() - timedelta(days=days))
        found = lines(admin, by="day")
        assert found == sorted(found, reverse=True) and len(found) == 2

    def test_a_head_turns_its_order_round(self, admin: Client, two: None) -> None:
        assert "sort=net&amp;dir=up" in admin.get(PAGE).content.decode()
        assert "sort=net&amp;dir=down" in admin.get(PAGE, {"sort": "net", "dir": "up"}).content.decode()


class TestFile:
    def rows(self, client: Client, **asked: str) -> list[dict[str, str]]:
        answer = client.get(PAGE, {"format": "csv", **asked})
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "attachment; filename=" in answer.headers["Content-Disposition"]
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    def test_has_the_lines_of_the_page_and_the_total(self, admin: Client) -> None:
        job = make_job(State.COMPLETED, at=clock.now() - timedelta(hours=1))
        tickets.refund(job, at=clock.now() - timedelta(minutes=1), actor="ana", reason="blurred", amount=1)
        line, total = self.rows(admin)
        assert (line["model"], total["model"]) == ("sora-2", "Total")
        assert (line["tickets charged"], line["tickets refunded"], line["tickets net"]) == ("4", "1", "3")
        assert (line["success %"], line["run p50 seconds"], line["USD estimated"]) == ("100.0", "30.0", "2.000000")

    def test_runs_nothing_in_a_spreadsheet(self, admin: Client) -> None:
        make_job(State.COMPLETED, at=clock.now() - timedelta(hours=1), batch=BatchFactory(name="=HYPERLINK(1)"))
        assert self.rows(admin, by="campaign")[0]["campaign"] == "'=HYPERLINK(1)"

    def test_has_the_lines_that_the_page_leaves_out(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usage, "SHOWN", 1)
        for model in ("sora-2", "kling-1.6"):
            make_job(State.COMPLETED, at=clock.now() - timedelta(hours=1), model_id=model)
        assert len(lines(admin)) == 1 and "1 more row in the CSV" in admin.get(PAGE).content.decode()
        assert len(self.rows(admin)) == 3
