"""The price calculator: what a job would cost by the values in the form, saved or not."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from queue_app.models import AuditEntry, GenerationModel
from tests.admin.conftest import StaffWith
from tests.markup import html_of

pytestmark = pytest.mark.django_db
URL = "/admin/queue_app/generationmodel/price/"
RULE = {
    "rates": [
        {"when": {"resolution": "4k", "audio": True}, "usd": "0.60", "tickets": 2},
        {"when": {"audio": False}, "usd": "0.20"},
    ]
}


def form(**changes: Any) -> dict[str, str]:
    """The fields of a model's page, as `veo-3.1` is seeded, with other values."""
    model = GenerationModel.objects.get(pk="veo-3.1")
    known = {
        "try.model": "veo-3.1",
        "unit": model.unit,
        "tickets_per_unit": str(model.tickets_per_unit),
        "usd_per_unit": str(model.usd_per_unit),
        "price": json.dumps(RULE),
        "parameters": json.dumps(model.parameters),
    }
    return known | {name.replace("__", "."): value for name, value in changes.items()}


def said(client: Client, **changes: Any) -> str:
    answer = client.post(URL, form(**changes))
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", html_of(answer)).split())


class TestWhatItSays:
    @pytest.mark.parametrize(
        ("chosen", "words"),
        [
            ({}, "8 tickets, about $3.20 8 seconds × 1 ticket, $0.40 each, by the price per unit."),
            ({"try__duration": "4", "try__audio": "false"}, "4 tickets, about $0.80"),
            (
                {"try__resolution": "4k"},
                "16 tickets, about $4.80 8 seconds × 2 tickets, $0.60 each, by rate 1 (resolution 4k, audio on).",
            ),
            ({"try__resolution": "4k", "try__audio": "false"}, "8 tickets, about $1.60"),
            ({"tickets_per_unit": "3", "try__duration": "4"}, "12 tickets, about $1.60"),
            ({"usd_per_unit": "1.5"}, "8 tickets, about $12.00"),
            ({"try__duration": "99", "try__audio": "perhaps"}, "8 tickets, about $3.20"),
        ],
    )
    def test_is_the_price_of_the_chosen_parameters(self, admin: Client, chosen: dict[str, str], words: str) -> None:
        assert words in said(admin, **chosen)

    def test_several_images_cost_each(self, admin: Client) -> None:
        model = GenerationModel.objects.get(pk="nano-banana-2")
        chosen = {"parameters": json.dumps(model.parameters), "unit": "image", "price": json.dumps(model.price)}
        found = said(admin, **chosen, usd_per_unit="0.08", try__count="3", try__resolution="4K")
        assert "6 tickets, about $0.48 3 images × 2 tickets" in found

    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            ({"price": "{"}, "The price rule is not valid JSON."),
            ({"price": "[]"}, "A price rule is an object."),
            ({"price": '{"rates": [{"when": {}, "usd": "cheap"}]}'}, "Rate 1: “usd” must be an amount as text"),
            ({"parameters": "nonsense"}, "The list of parameters is not valid JSON."),
            ({"tickets_per_unit": "0"}, "Enter the tickets per unit, from 1."),
            ({"tickets_per_unit": "x" * 500}, "Enter the tickets per unit, from 1."),
            ({"usd_per_unit": "NaN"}, "Enter the US dollars per unit."),
            ({"usd_per_unit": "1e999"}, "Enter the US dollars per unit."),
            ({"parameters": '{"duration": {"values": ["long"]}}'}, "Durations must be whole seconds."),
        ],
    )
    def test_or_why_there_is_no_price(self, admin: Client, broken: dict[str, str], words: str) -> None:
        assert words in said(admin, **broken)

    @pytest.mark.parametrize(
        "odd", ["[]", "7", '{"duration": 7, "count": {"low": 1}}', '{"duration": {"values": [[], {}, null]}}']
    )
    def test_odd_parameters_are_no_error(self, admin: Client, odd: str) -> None:
        assert "1 ticket, about $0.40" in said(admin, parameters=odd)

    def test_saves_nothing(self, admin: Client) -> None:
        before = GenerationModel.objects.get(pk="veo-3.1").price
        said(admin, try__resolution="4k")
        assert GenerationModel.objects.get(pk="veo-3.1").price == before and not AuditEntry.objects.exists()


class TestWhereItStands:
    def test_on_the_page_of_a_model_with_its_price(self, admin: Client) -> None:
        html = html_of(admin.get("/admin/queue_app/generationmodel/veo-3.1/change/"))
        assert 'id="calculator"' in html and "about $3.20" in html and 'name="try.resolution"' in html

    def test_and_of_a_new_one(self, admin: Client) -> None:
        assert "Enter the tickets per unit" in html_of(admin.get("/admin/queue_app/generationmodel/add/"))

    def test_for_those_who_may_only_look(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_generationmodel")
        assert "about $3.20" in html_of(client.get("/admin/queue_app/generationmodel/veo-3.1/change/"))
        assert "8 seconds × 2 tickets" in html_of(client.post(URL, {"try.model": "veo-3.1", "try.resolution": "4k"}))

    def test_it_needs_the_right_and_a_post(self, admin: Client, staff_with: StaffWith, client: Client) -> None:
        assert staff_with("view_job")[1].post(URL, form()).status_code == 403
        assert admin.get(URL).status_code == 405
        assert client.post(URL, form()).status_code == 302

    def test_a_saved_form_ignores_what_was_tried(self, admin: Client) -> None:
        page = "/admin/queue_app/generationmodel/veo-3.1/change/"
        model = GenerationModel.objects.get(pk="veo-3.1")
        sent = form(label="Veo", active="on", typical_seconds="90", timeout_seconds="", why="", try__duration="4")
        assert admin.post(page, sent).status_code == 302
        model.refresh_from_db()
        assert (model.label, model.price) == ("Veo", RULE)
