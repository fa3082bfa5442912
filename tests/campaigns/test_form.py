"""The batch-submission form, as browsers without JavaScript and htmx see it: messages as users read them, nothing typed lost."""

import html
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import drafts
from campaigns.models import Brand, Campaign, ComplianceRule, Dimension, DimensionValue, Draft
from queue_app import clock
from queue_app.models import GenerationModel, Job, ModelConcurrencyLimit, ModelRoute, QueueSettings, User, Wallet
from queue_app.work import policy
from tests.campaigns.support import SMALL, full_matrix, make_campaign
from tests.factories import UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
NEW, PREVIEW = "/campaigns/new/", "/campaigns/new/preview/"
HTMX = {"HX-Request": "true"}
QUERIES_MOST = 24
Page = tuple[dict[str, str], list[str]]


class Tab:
    """A browser's tab with the form: what is typed, the hidden fields as the last answer left them, and that answer."""

    def __init__(self, web: Client, address: str = NEW):
        self.web = web
        self.typed: dict[str, Any] = {}
        self._take(web.get(address))

    def _take(self, answer: Any) -> None:
        self.answer, self.html = answer, html_of(answer)
        hidden = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', self.html)
        self.hidden = getattr(self, "hidden", {}) | {name: html.unescape(value) for name, value in hidden}
        self.ticked = re.findall(r'name="in" value="(\d+)"[^>]*checked', self.html)

    @property
    def text(self) -> str:
        """What a person reads, on one line."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub("</?bdi>", "", self.html))).split())

    @property
    def said(self) -> str:
        """The errors, warnings and notes."""
        found = re.findall(
            r'class="gq-(?:err|note)[^"]*"[^>]*>(.*?)</span></span>|class="gq-note[^"]*">(.*?)</div>', self.html, re.S
        )
        return " ".join(
            " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub("</?bdi>", "", "".join(one)))).split()) for one in found
        )

    def post(self, do: str = "update", *, preview: bool = False, **typed: Any) -> "Tab":
        """Type, press a button, and take the answer; with ``preview`` as htmx does on every change."""
        self.typed |= {name.replace("__", "."): value for name, value in typed.items()}
        sent = {**self.hidden, "in": self.ticked, **self.typed, "do": do}
        headers = HTMX if preview else {}
        self._take(self.web.post(PREVIEW if preview else NEW, sent, headers=headers))
        return self

    def field(self, name: str) -> str:
        """The element of this name, with what stands in it."""
        opening = re.search(rf'<(input|textarea|select)[^>]* name="{name}"[^>]*>', self.html)
        assert opening, name
        inside = "" if opening[1] == "input" else self.html[opening.end() :].partition(f"</{opening[1]}>")[0]
        return html.unescape(opening[0] + inside)

    def go_back(self, page: Page) -> None:
        """Look at an earlier page of this tab again, as it was."""
        self.hidden, self.ticked = dict(page[0]), list(page[1])

    @property
    def page(self) -> Page:
        return dict(self.hidden), list(self.ticked)


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=1_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


@pytest.fixture
def tab(web: Client) -> Tab:
    return Tab(web)


def four(**fields: Any) -> dict[str, Any]:
    """A finished form of four cells, 4 s of `sora-2` each."""
    known: dict[str, Any] = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "model": "sora-2", "duration": "4"}
    return known | {f"dim.{key}": values for key, values in SMALL.items()} | fields


def blocks(pattern: str, **fields: Any) -> ComplianceRule:
    known = {"name": "Rule", "reason": "We promise nothing.", "instead": "made for calm evenings"}
    return ComplianceRule.objects.create(pattern=pattern, **(known | fields))


class TestOpening:
    def test_needs_a_log_in(self, client):
        assert client.get(NEW)["Location"] == f"/login/?next={NEW}"

    def test_writes_nothing(self, tab):
        assert tab.answer.status_code == 200
        assert not Draft.objects.exists()

    def test_offers_brands_the_dimensions_and_the_models_that_can_be_bought(self, web):
        Brand.objects.create(name="Nordlys")
        ModelRoute.objects.filter(model="kling-1.6").update(active=False)
        page = Tab(web)
        assert '<option value="Nordlys">' in page.html
        assert all(label in page.text for label in Dimension.objects.values_list("label", flat=True))
        assert ">sora-2<" in page.html and "kling-1.6" not in page.html and "page-writer" not in page.html

    def test_duration_and_ratio_are_those_of_the_model(self, tab):
        assert re.findall(r">(\d+)s<", tab.field("duration")) == ["4", "5", "8", "10", "12", "16", "20"]
        assert "sora-2 can't loop." in tab.text and 'name="loop"' not in tab.html

    def test_loop_is_there_for_a_model_that_offers_it(self, web):
        parameters = GenerationModel.objects.get(pk="sora-2").parameters | {"loop": {"values": [False, True], "default": False}}
        GenerationModel.objects.filter(pk="sora-2").update(parameters=parameters)
        for route in ModelRoute.objects.filter(model="sora-2"):
            ModelRoute.objects.filter(pk=route.pk).update(codec=route.codec | {"loop": {"field": "loop"}})

        assert 'name="loop"' in web.get(NEW).content.decode()

    def test_has_no_inline_script_or_style(self, tab):
        assert not re.search(r"<script(?![^>]* src=)|\sstyle=|\son\w+=", tab.html)


class TestWhatFollowsFromAChange:
    def test_count_formula_price_wallet_and_time(self, tab):
        tab.post(preview=True, **four())
        assert "4 videos 2 × 2 = 4 combinations" in tab.text
        assert "Price (4 tickets each) 16 tickets" in tab.text
        assert "In your wallet 1,000 tickets Left after launch 984 tickets" in tab.text
        assert "$8.00" in tab.text and "Estimated time" in tab.text and "Based on" in tab.text
        assert "Launch 4 videos" in tab.text

    def test_the_prompt_is_previewed_while_the_brief_is_typed(self, tab):
        tab.post(preview=True, big_idea="The parcel opens.")
        assert "The parcel opens." in tab.text
        tab.post(preview=True, **four())
        assert "The parcel opens. Style: UGC. Mood: Energetic. Brand: Maison Alder." in tab.text

    def test_what_is_only_missing_is_listed_and_not_scolded(self, tab):
        tab.post(preview=True, dim__mood=["calm"])
        assert "To launch, add a brand , a big idea and a model ." in tab.text
        assert "Add the big idea" not in tab.text

    def test_the_answer_is_the_changing_parts_alone(self, tab):
        tab.post(preview=True, **four())
        assert "<html" not in tab.html and 'name="big_idea"' not in tab.html

    def test_a_large_campaign_says_who_waits(self, tab):
        many = {f"dim.{key}": values for key, values in full_matrix().items() if key != "city"}
        QueueSettings.objects.update(bulk_priority=-10)
        tab.post(preview=True, **four(**many))
        until = "Normal-priority jobs go first until yours have waited 30 minutes."
        assert f"Campaigns over 20 videos run at low priority. {until}" in tab.text
        QueueSettings.objects.update(aging_minutes=None)
        tab.post(preview=True, priority="-10")
        assert "This campaign runs at low priority. Normal-priority jobs go first, even later ones." in tab.text
        tab.post(preview=True, priority="0")
        assert "Users take turns: jobs of others start between your 120 videos." in tab.text
        QueueSettings.objects.update(fair_share=False)
        tab.post(preview=True, priority="0")
        first = "At normal priority, later sora-2 jobs of the same priority start after all 120 videos"
        assert f"{first}, unless a limit slows yours down." in tab.text

    def test_a_model_that_is_chosen_anew_takes_its_parameters_along(self, tab):
        other = GenerationModel.objects.get(pk="manim")
        other.parameters["duration"] = {"values": [5, 10], "default": 5, "unit": "s"}
        other.save()
        tab.post(preview=True, **four(duration="8"))
        tab.post(preview=True, model="manim")
        assert "manim does not support duration 8. Changed to 5." in tab.text
        assert re.findall(r">(\d+)s<", tab.field("duration")) == ["5", "10"]
        assert Draft.objects.get().body["duration"] == "5"

    def test_everything_typed_is_escaped(self, tab):
        evil = "<script>alert(1)</script>"
        tab.post(**four(brand=evil, big_idea=evil, name=evil, filter=evil))
        assert "<script>alert" not in tab.html and "&lt;script&gt;alert(1)" in tab.html

    def test_takes_a_fixed_number_of_queries(self, tab):
        tab.post(preview=True, **four())
        counted = []
        for dimensions in (SMALL, full_matrix()):
            changed = {f"dim.{key}": values for key, values in dimensions.items()} | {"dim.mood": ["calm"]}
            with CaptureQueriesContext(connection) as asked:
                tab.post(preview=True, **changed)
            counted.append(len(asked))
        assert counted[0] == counted[1] <= QUERIES_MOST

    def test_at_660_cells_it_is_quick(self, tab, figures):
        for number in range(50):
            blocks(f"forbidden {number}", name=f"Rule {number}")
        tab.post(preview=True, **four(**{f"dim.{key}": values for key, values in full_matrix().items()}))
        tab.typed.pop("dim.mood")
        spent = []
        for number in range(5):
            began = time.perf_counter()
            tab.post(preview=True, big_idea=f"The parcel opens, {number}.")
            spent.append(time.perf_counter() - began)
        assert "660 videos" in tab.text
        size = len(tab.answer.content) / 1000
        figures(f"preview of 660 cells, 50 rules: {min(spent) * 1000:.0f} ms, {size:.0f} kB (budget 300 ms)")


class TestWhatIsKnownBeforeALaunch:
    @pytest.mark.parametrize("address", [NEW, "/"])
    def test_a_pause_is_told_with_who_and_why(self, web, tab, address):
        staff = UserFactory(staff=True)
        limit = ModelConcurrencyLimit.objects.get(pk="sora-2")
        policy.change(limit, at=clock.now(), actor=staff, reason="moved", paused=True, paused_reason="client moved the shoot")
        if address == NEW:
            said = tab.post(preview=True, **four()).text
            assert not re.search(r'id="launch"[^>]* disabled', tab.html)
        else:
            said = " ".join(re.sub(r"<[^>]+>", " ", html_of(web.get(address))).split())
        assert f"{staff.username} paused sora-2 at " in said and "client moved the shoot" in said
        assert "will wait until staff resume it." in said

    def test_a_model_that_is_not_paused_says_nothing(self, tab):
        assert "will wait until" not in tab.post(preview=True, **four()).text

    @pytest.mark.parametrize("rights", [(), ("move_tickets",)])
    def test_staff_without_tickets_learn_it_before_the_brief(self, client_for, rights):
        page = html_of(client_for(UserFactory(staff=True, tickets=0, rights=rights)).get(NEW))
        assert page.index("You have no tickets, so you can't launch yet.") < page.index('id="f-brand"')
        assert ("/admin/queue_app/wallet/grant/" in page) == bool(rights)

    def test_whoever_has_tickets_is_not_told_so(self, web):
        assert "You have no tickets" not in html_of(web.get(NEW))


class TestTheDraft:
    def test_is_there_again_after_a_log_out(self, tab, client_for, owner):
        tab.post(preview=True, **four(name="Spring", audio_messaging="Hush", max_concurrent="3", filter="calm"))
        tab.web.logout()
        again = Tab(client_for(owner))
        for typed in ("Spring", "Hush", "The parcel opens.", 'value="3"'):
            assert typed in again.html
        assert again.html.count(" checked>") == 4 + 4 + 1  # values, rows of the matrix, and how it starts
        assert "Draft saved" in again.text

    def test_is_nobody_elses(self, tab, client_for):
        tab.post(preview=True, **four(name="Spring"))
        assert "Spring" not in Tab(client_for(UserFactory())).html

    def test_of_an_older_form_is_not_overwritten_and_nothing_typed_is_lost(self, web):
        old, newer = Tab(web), Tab(web)
        old.post(preview=True, **four())
        newer = Tab(web)
        newer.post(preview=True, big_idea="Newer words.", **{k: v for k, v in four().items() if k != "big_idea"})
        old.hidden["tab"] = "a page of before"
        old.post(preview=True, big_idea="Older words.")
        assert "This draft was changed in another tab at" in old.text and "Not saved" in old.text
        assert Draft.objects.get().body["big_idea"] == "Newer words."
        old.post("launch")
        assert "This version is not saved and was not launched." in old.text
        assert "Older words." in old.field("big_idea")
        old.post("keep")
        assert old.answer.status_code == 200
        assert Draft.objects.get().body["big_idea"] == "Older words."

    def test_may_be_discarded_after_a_look_at_it(self, tab):
        tab.post(**four())
        asked = tab.web.get("/campaigns/new/discard/")
        assert "The parcel opens." in asked.content.decode() and Draft.objects.exists()
        opened = Draft.objects.get()
        tab.web.post("/campaigns/new/discard/", {"draft": opened.pk, "revision": opened.revision})
        assert not Draft.objects.exists()


class TestFromAnOldCampaign:
    def test_its_fields_are_there_and_nothing_is_saved_yet(self, web, owner):
        old = make_campaign(owner, name="Spring", product_category="Scent", exclude=[{"mood": "calm", "aesthetic": "ugc"}])
        page = Tab(web, f"{NEW}?from={old.pk}")
        assert "The parcel opens." in page.html and "Scent" in page.html
        assert "3 videos 2 × 2 = 4 combinations, 1 excluded" in page.text
        assert not Draft.objects.exists()

    @pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1"])
    def test_that_does_not_exist_is_404(self, web, number):
        assert web.get(f"{NEW}?from={number}").status_code == 404

    def test_of_another_user_is_404_and_of_anyone_is_open_to_staff(self, web, client_for):
        theirs = make_campaign(UserFactory())
        assert web.get(f"{NEW}?from={theirs.pk}").status_code == 404
        assert client_for(UserFactory(staff=True)).get(f"{NEW}?from={theirs.pk}").status_code == 200

    def test_a_retired_value_is_shown_struck_with_a_message_and_cannot_be_bought(self, web, owner):
        old = make_campaign(owner)
        DimensionValue.objects.filter(key="ugc").update(retired=True)
        page = Tab(web, f"{NEW}?from={old.pk}")
        assert re.search(r'gq-opt is-gone"><input[^>]* value="ugc" checked>', page.html)
        assert "“UGC” (Aesthetic) is no longer available. Remove it or choose another value." in page.text
        page.post("launch", **four())
        assert Campaign.objects.count() == 1
        button = re.search(r'id="launch"[^>]*>', page.post(preview=True).html)[0]
        assert 'disabled aria-describedby="launch-why"' in button
        assert re.search(r'id="launch-why">.*“UGC” \(Aesthetic\) is no longer available.', page.html)
        page.post(**{"dim.aesthetic": ["cinematic"]})
        assert "disabled" not in re.search(r'id="launch"[^>]*>', page.html)[0]
        page.post("launch")
        assert page.answer.status_code == 302

    def test_a_retired_dimension_is_shown_too(self, web, owner):
        old = make_campaign(owner)
        Dimension.objects.filter(key="mood").update(retired=True)
        page = Tab(web, f"{NEW}?from={old.pk}")
        assert "<s>Mood</s>" in page.html and "Mood is no longer available. Remove its values." in page.text
        assert re.search(r'gq-opt is-gone"><input[^>]* value="calm" checked><span>Calm</span>', page.html)

    def test_an_open_draft_is_kept_until_somebody_decides(self, web, owner):
        Tab(web).post(**four(big_idea="My draft."))
        old = make_campaign(owner)
        page = Tab(web, f"{NEW}?from={old.pk}")
        assert "You already have a draft from" in page.text and "Keep it to replace the other draft" in page.text
        page.post(preview=True, **four(name="Again"))
        assert drafts.open_of(owner).body["big_idea"] == "My draft."
        page.post("keep")
        assert drafts.open_of(owner).body["name"] == "Again"


class TestTheMatrix:
    def test_shows_each_cell_with_its_words_prompt_verdict_and_price(self, tab):
        tab.post(**four())
        assert "1 UGC, Energetic The parcel opens. Style: UGC. Mood: Energetic. Brand: Maison Alder. OK 4" in tab.text

    def test_a_cell_is_excluded_by_its_box_and_included_again(self, tab):
        tab.post(**four())
        tab.ticked.remove("2")
        tab.post(preview=True)
        assert "3 videos 2 × 2 = 4 combinations, 1 excluded" in tab.text and "Launch 3 videos" in tab.text
        tab.ticked.append("2")
        tab.post(preview=True)
        assert "excluded" not in tab.text.split("Price")[0]

    def test_all_cells_of_a_value_go_and_come(self, tab):
        tab.post(**four())
        tab.post("exclude-value", preview=True, value="mood=calm")
        assert Draft.objects.get().body["exclude"] == [{"mood": "calm"}]
        assert "2 excluded" in tab.text
        tab.post("include-value", preview=True)
        assert Draft.objects.get().body["exclude"] == []

    def test_what_the_filter_shows_is_excluded_on_all_its_pages(self, tab):
        tab.post(preview=True, **four(**{f"dim.{key}": values for key, values in full_matrix().items()}))
        tab.typed.pop("dim.mood")
        tab.post(preview=True, filter="boomers UGC")
        assert "33 of 660 combinations shown" in tab.text
        tab.post("exclude-shown", preview=True)
        assert "627 videos" in tab.text and "Include all 33 shown" in tab.text
        tab.post("include-all", preview=True)
        assert "660 videos" in tab.text

    def test_comes_in_pages_of_fifty(self, tab):
        tab.post(preview=True, **four(**{f"dim.{key}": values for key, values in full_matrix().items()}))
        tab.typed.pop("dim.mood")
        tab.post(preview=True)
        assert tab.html.count("<tr") == 51 and "Page 1 of 14" in tab.text
        tab.post("page-14", preview=True)
        assert tab.html.count("<tr") == 11 and 'id="in-660"' in tab.html
        tab.ticked.remove("660")
        tab.post(preview=True)
        assert "659 videos" in tab.text and "Page 14 of 14" in tab.text

    def test_exclusions_outlast_a_value_that_is_taken_back_for_a_moment(self, tab):
        tab.post(**four())
        tab.ticked.remove("1")
        tab.post(preview=True)
        tab.post(preview=True, **{"dim.mood": []})
        assert "excluded" not in tab.text.split("Price")[0]
        tab.post(preview=True, **{"dim.mood": SMALL["mood"]})
        assert "1 excluded" in tab.text

    def test_everything_excluded_is_said(self, tab):
        tab.post(**four())
        tab.post("exclude-shown", preview=True)
        assert "All combinations are excluded. Include at least one." in tab.text


class TestWhatIsBlocked:
    def test_the_rule_the_words_and_the_mend_stand_at_the_field_and_in_the_row(self, tab):
        blocks("guaranteed", name="No promises")
        tab.post(preview=True, **four(audio_messaging="Voice whispers guaranteed calm."))
        note = re.search(r'id="note-audio_messaging".*?</div>', tab.html, re.S)[0]
        assert "“guaranteed” is not allowed: We promise nothing. Use “made for calm evenings” instead." in html.unescape(note)
        assert "<mark>guaranteed</mark>" in tab.html
        assert "No promises: replace “guaranteed” with “made for calm evenings”" in tab.text
        assert "4 combinations are blocked and will not be generated. Fix the highlighted words to include them." in tab.text

    def test_at_a_dimension_when_its_value_is_what_is_blocked(self, tab):
        blocks("energetic", name="No hurry")
        tab.post(preview=True, **four())
        assert "“Energetic” is not allowed" in html.unescape(re.search(r'id="note-dim-mood".*?</div>', tab.html, re.S)[0])
        assert "Launch 2 videos" in tab.text

    def test_what_only_the_whole_prompt_shows_stands_in_the_summary(self, tab):
        blocks("Style: UGC. Mood: Calm", name="Not together", instead="")
        tab.post(preview=True, **four())
        assert "“Style: UGC. Mood: Calm” is not allowed: We promise nothing. Remove it." in tab.text

    def test_a_rule_that_cannot_be_used_is_said_once_and_blames_no_words(self, tab):
        blocks("(", kind="pattern", name="Odd")
        tab.post(preview=True, **four())
        assert tab.text.count("The compliance rule “Odd” can't be used until staff correct it.") == 1
        assert "Remove it" not in tab.text and "is not allowed" not in tab.text and "<mark>" not in tab.html
        assert tab.text.count("Odd: can't be used") == 4
        assert "4 combinations are blocked and will not be generated. Show" in tab.text
        assert re.search(r'id="launch"[^>]*disabled', tab.html)

    def test_a_rule_that_cannot_be_used_is_said_before_any_combination_is_chosen(self, tab):
        blocks("(", kind="pattern", name="Odd")
        assert "Odd" not in tab.text
        tab.post(preview=True, big_idea="The parcel opens.")
        assert tab.text.count("The compliance rule “Odd” can't be used until staff correct it.") == 1

    def test_a_warning_is_shown_and_bought(self, tab):
        blocks("parcel", severity="warn")
        tab.post(preview=True, **four())
        assert "“parcel” should be avoided" in tab.text and "Launch 4 videos" in tab.text

    def test_the_others_can_be_launched(self, tab, owner):
        blocks("energetic")
        tab.post(**four())
        tab.post("launch")
        assert tab.answer.status_code == 302 and Job.objects.filter(owner=owner).count() == 2

    def test_the_blocked_ones_can_be_shown_alone(self, tab):
        blocks("energetic")
        tab.post(**four())
        tab.post("show-blocked", preview=True)
        assert "2 of 4 combinations shown" in tab.text
        assert '<option value="blocked" selected>' in tab.html


class TestLaunch:
    def test_leads_to_the_campaigns_page(self, tab, owner):
        tab.post(**four(name="Spring", max_concurrent="2"))
        tab.post("launch")
        campaign = Campaign.objects.get()
        assert tab.answer["Location"] == f"/campaigns/{campaign.pk}/"
        assert (campaign.name, campaign.batch.max_concurrent, campaign.batch.owner) == ("Spring", 2, owner)
        assert drafts.open_of(owner) is None

    def test_without_javascript_and_at_once(self, tab):
        tab.post("launch", **four())
        assert tab.answer.status_code == 302

    def test_twice_makes_one(self, tab):
        tab.post(**four())
        before = tab.page
        tab.post("launch")
        first = tab.answer["Location"]
        tab.go_back(before)
        tab.post("launch")
        assert tab.answer["Location"] == first and Campaign.objects.count() == 1
        told = " ".join(str(message) for message in tab.web.get(first).context["messages"])
        assert "Already launched. No duplicates were created." in told

    def test_of_a_form_that_was_launched_and_changed_since_asks_first(self, tab):
        tab.post(**four())
        before = tab.page
        tab.post("launch")
        tab.go_back(before)
        tab.post("launch", big_idea="Another idea.")
        assert "This form was already launched at" in tab.text
        assert "Another idea." in tab.field("big_idea") and Campaign.objects.count() == 1
        tab.post("keep")
        tab.post("launch")
        assert Campaign.objects.count() == 2

    def test_an_empty_brief_is_told_at_each_field(self, tab):
        tab.post("launch", model="sora-2")
        for said in ("Choose a brand", "Add the big idea", "Choose at least one dimension value."):
            assert said in tab.text
        assert "Nothing was launched. Fix the highlighted fields and add a brand" in tab.text
        assert 'aria-invalid="true"' in tab.field("big_idea")

    def test_more_than_660_names_the_dimension_to_thin_out(self, tab):
        tab.post("launch", **four(**{f"dim.{key}": values for key, values in full_matrix().items()}))
        assert not Campaign.objects.exists()
        assert "That makes 1,320 combinations; the limit is 660. Remove 6 of the 11 City values." in tab.text
        assert "5 × 2 × 4 × 3 × 11 = 1,320" in tab.text

    def test_too_few_tickets_say_how_many_are_missing_and_how_many_cells_would_fit(self, client_for):
        poor = UserFactory(tickets=10)
        tab = Tab(client_for(poor))
        tab.post(preview=True, **four())
        assert "You are 6 tickets short. Your wallet covers 2 of 4 videos: exclude 2 or ask staff for tickets." in tab.text
        assert re.search(r'id="launch"[^>]* disabled', tab.html)
        tab.post("launch")
        assert "Nothing was launched. This needs 16 tickets, but only 10 are available" in tab.text
        assert Wallet.objects.get(owner=poor).available == 10 and not Campaign.objects.exists()
        assert "The parcel opens." in tab.field("big_idea")

    def test_an_empty_wallet_is_told_to_ask_staff_and_not_to_exclude_everything(self, client_for):
        tab = Tab(client_for(UserFactory(tickets=0))).post(preview=True, **four())
        assert "You are 16 tickets short. Ask staff for tickets." in tab.text and "exclude" not in tab.said

    def test_at_another_price_than_the_button_named_asks_again(self, tab):
        tab.post(**four())
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=3)
        tab.post("launch")
        assert "Not launched yet: the campaign now has 4 videos for 48 tickets. Press Launch again to confirm." in tab.text
        tab.post("launch")
        assert tab.answer.status_code == 302

    def test_of_a_model_that_nobody_offers_any_more(self, tab):
        tab.post(**four())
        ModelRoute.objects.filter(model="sora-2").update(active=False)
        tab.post("launch")
        assert "sora-2 is not available right now." in tab.text
        assert "sora-2 (not available)" in tab.text

    @pytest.mark.parametrize("at_once", ["0", "51", "-3", "2.5", "many", "9" * 40])
    def test_at_once_is_1_to_50_and_what_was_typed_stays(self, tab, at_once):
        tab.post("launch", **four(max_concurrent=at_once))
        assert "Enter a whole number from 1 to 50" in tab.text
        assert f'value="{at_once}"' in tab.field("max_concurrent")


class TestBadInput:
    @pytest.mark.parametrize(
        "field",
        [
            {"exclude": "[[["},
            {"exclude": '[{"mood": 3}, 4, {}]'},
            {"matrix": '{"mood": "calm", "x": [1, {}]}', "shown": "1,2"},
            {"matrix": '{"a": ["1", "1"]}', "shown": "7,x,-1", "in": "999999999999"},
            {"draft": "nonsense", "revision": "-1", "tab": "t" * 5_000},
            {"other": ":::", "do": "keep"},
            {"do": "page-x"},
            {"do": "exclude-value", "value": "mood"},
            {"show": "all' or 1=1", "filter": "\ufffd ( [ *"},
            {"exclude": '[{"mood\\u0000": "calm\\ud800"}]'},
            {"dim.": ["x"], "dim.mood": ["", "calm", "calm"]},
            {"duration": "ten", "priority": "first", "loop": "on", "aspect_ratio": "7:1"},
        ],
        ids=str,
    )
    def test_never_breaks_the_page(self, web, field):
        for address, headers in ((NEW, {}), (PREVIEW, HTMX)):
            sent = {**four(), "draft": str(uuid.uuid4()), "revision": "0", "tab": "t", **field}
            assert web.post(address, sent, headers=headers).status_code == 200

    def test_a_strangers_draft_is_never_written(self, web, client_for):
        theirs = Tab(client_for(UserFactory()))
        theirs.post(**four(big_idea="Theirs."))
        web.post(NEW, {**four(), "draft": str(Draft.objects.get().pk), "revision": "1", "tab": theirs.hidden["tab"]})
        assert Draft.objects.get(pk=theirs.hidden["draft"]).body["big_idea"] == "Theirs."
