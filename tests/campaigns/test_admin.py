"""Campaigns in the admin: catalogue rows are edited and audited, what campaigns keep stays, the rest is only shown."""

import pytest
from django.urls import reverse

from campaigns import catalogue
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from queue_app.models import AuditEntry
from tests.campaigns.support import make_campaign
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client_for):
    return client_for(UserFactory(admin=True))


def url(name, *args):
    return reverse(f"admin:campaigns_{name}", args=args)


def value_rows(dimension, **changes):
    """The form of a dimension as the admin sends it; ``changes`` by value key and field: ``calm__label``."""
    values = list(dimension.values.order_by("position", "id"))
    form = {"label": dimension.label, "prompt_label": dimension.prompt_label, "position": dimension.position}
    form |= {"values-TOTAL_FORMS": len(values), "values-INITIAL_FORMS": len(values)}
    for place, value in enumerate(values):
        row = {"id": value.pk, "dimension": dimension.pk, "key": value.key, "label": value.label, "position": value.position}
        row |= {name.split("__")[1]: new for name, new in changes.items() if name.split("__")[0] == value.key}
        form |= {f"values-{place}-{name}": content for name, content in row.items()}
    return form


def audited():
    entries = AuditEntry.objects.exclude(action="launch campaign")
    return list(entries.order_by("id").values_list("action", "target"))


class TestDimensions:
    @pytest.fixture
    def mood(self):
        return Dimension.objects.get(key="mood")

    def test_one_without_a_label_in_the_prompt_is_seeded_too(self, monkeypatch):
        season = ("season", "Season", [("spring", "Spring"), ("autumn", "Autumn")])
        monkeypatch.setattr(catalogue, "DIMENSIONS", [*catalogue.DIMENSIONS, season])

        assert (catalogue.seed(), catalogue.seed()) == (3, 0)
        assert Dimension.objects.get(key="season").prompt_label == ""

    def test_values_are_renamed_and_retired_and_that_is_audited(self, admin, mood):
        answer = admin.post(url("dimension_change", mood.pk), value_rows(mood, calm__label="Serene", dramatic__retired="on"))

        assert answer.status_code == 302
        assert DimensionValue.objects.get(key="calm").label == "Serene"
        assert DimensionValue.objects.get(key="dramatic").retired
        assert audited() == [("change dimension value", "Serene"), ("change dimension value", "Dramatic")]
        entry = AuditEntry.objects.order_by("id")[0]
        assert (entry.before, entry.after) == ({"label": "Calm"}, {"label": "Serene"})

    def test_keys_never_change(self, admin, mood):
        admin.post(url("dimension_change", mood.pk), value_rows(mood, calm__key="quiet") | {"key": "feeling"})

        assert Dimension.objects.get(pk=mood.pk).key == "mood"
        assert DimensionValue.objects.filter(dimension=mood, key="calm").exists()

    def test_a_value_that_a_campaign_was_made_with_is_retired_instead_of_deleted(self, admin, mood):
        make_campaign(UserFactory(), {"mood": ["calm"]})

        answer = admin.post(url("dimension_change", mood.pk), value_rows(mood, calm__DELETE="on"))

        assert "Retire it instead" in answer.content.decode()
        assert DimensionValue.objects.filter(dimension=mood, key="calm").exists()

    def test_a_value_that_nobody_used_is_deleted(self, admin, mood):
        make_campaign(UserFactory(), {"mood": ["calm"]})

        admin.post(url("dimension_change", mood.pk), value_rows(mood, dramatic__DELETE="on"))

        assert not DimensionValue.objects.filter(dimension=mood, key="dramatic").exists()
        assert audited() == [("delete dimension value", "Dramatic")]

    def test_one_that_a_campaign_was_made_with_cannot_be_deleted(self, admin, mood):
        make_campaign(UserFactory(), {"mood": ["calm"]})

        assert admin.post(url("dimension_delete", mood.pk), {"post": "yes"}).status_code == 403
        assert Dimension.objects.filter(pk=mood.pk).exists()

    def test_one_that_nobody_used_is_deleted_and_that_is_audited(self, admin, mood):
        assert admin.post(url("dimension_delete", mood.pk), {"post": "yes"}).status_code == 302

        assert not Dimension.objects.filter(pk=mood.pk).exists()
        assert audited() == [("delete dimension", "Mood")]


class TestRules:
    FORM = {"name": "Claims", "kind": "term", "pattern": "cure", "severity": "block", "reason": "No promises.", "active": "on"}

    def test_are_added_and_that_is_audited(self, admin):
        assert admin.post(url("compliancerule_add"), self.FORM).status_code == 302

        assert ComplianceRule.objects.get(name="Claims").pattern == "cure"
        assert audited() == [("add compliance rule", "Claims")]

    def test_with_a_pattern_that_cannot_be_run_are_refused_at_the_field_with_the_reason(self, admin):
        answer = admin.post(url("compliancerule_add"), self.FORM | {"kind": "pattern", "pattern": "safe(?! word)"})

        (problem,) = answer.context["adminform"].form.errors["pattern"]
        assert problem.startswith("Look-ahead, look-behind and atomic groups are not supported.")
        assert not ComplianceRule.objects.filter(name="Claims").exists()

    def test_stand_with_their_brand(self, admin):
        brand = Brand.objects.create(name="Maison Alder")
        rows = {f"rules-0-{name}": value for name, value in self.FORM.items()} | {"rules-0-brand": brand.pk}
        form = {"name": "Maison Alder", "voice": "Warm.", "rules-TOTAL_FORMS": 1, "rules-INITIAL_FORMS": 0, **rows}

        assert admin.post(url("brand_change", brand.pk), form).status_code == 302

        assert ComplianceRule.objects.get(name="Claims").brand == brand
        assert audited() == [("change brand", "Maison Alder"), ("add compliance rule", "Claims")]


class TestWhatIsOnlyShown:
    @pytest.mark.parametrize("name", ["campaign", "combination"])
    def test_has_a_list_and_a_page_and_no_edits(self, admin, name):
        campaign = make_campaign(UserFactory())
        row = campaign if name == "campaign" else campaign.combinations.first()

        for address in (
            url(f"{name}_changelist"),
            url(f"{name}_changelist") + f"?q={campaign.pk}",
            url(f"{name}_change", row.pk),
        ):
            assert admin.get(address).status_code == 200
        assert admin.post(url(f"{name}_change", row.pk), {"name": "x"}).status_code == 403
        assert admin.get(url(f"{name}_add")).status_code == 403
        assert admin.post(url(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403

    def test_says_in_words_what_the_rules_say_of_a_cell_and_its_values_in_the_campaigns_order(self, admin):
        ComplianceRule.objects.create(name="No calm", pattern="calm", severity="warn", reason="Too quiet.")
        campaign = make_campaign(UserFactory(), {"mood": ["calm", "dramatic"], "type": ["demo"], "aesthetic": ["ugc"]})
        warned, clear = campaign.combinations.order_by("index")

        html = admin.get(url("combination_change", warned.pk)).content.decode()

        assert "Allowed with a warning" in html and "No calm, “Calm”: Too quiet." in html
        assert "&quot;hits&quot;" not in html
        assert "UGC, Demo, Calm" in html
        assert "No issues" in admin.get(url("combination_change", clear.pk)).content.decode()

    def test_quotes_no_words_of_a_cell_for_a_rule_that_cannot_be_used(self, admin):
        ComplianceRule.objects.create(name="Odd", kind="pattern", pattern="(", severity="warn", reason="Too quiet.")
        cell = make_campaign(UserFactory()).combinations.earliest("index")

        html = admin.get(url("combination_change", cell.pk)).content.decode()

        assert "The compliance rule “Odd” can&#x27;t be used until staff correct it." in html and "“”" not in html

    def test_leads_from_a_campaign_to_its_jobs(self, admin):
        campaign, _another = make_campaign(UserFactory()), make_campaign(UserFactory())

        html = admin.get(url("campaign_changelist")).content.decode()

        address = f"/admin/queue_app/job/?campaign={campaign.pk}"
        assert address in html
        assert {job.batch_id for job in admin.get(address).context["cl"].result_list} == {campaign.pk}
