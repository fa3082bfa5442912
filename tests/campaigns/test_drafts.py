"""Drafts: what is typed is kept, a tab never writes over another, and an old campaign starts a new one."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from campaigns import drafts, forms, launch, plan
from campaigns.drafts import DraftConflict
from campaigns.models import Draft
from queue_app.models import User
from tests.campaigns.support import SMALL, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=5)


@pytest.fixture
def owner() -> User:
    return UserFactory()


def body(**fields: Any) -> dict[str, Any]:
    return {**forms.BLANK, "brand": "Maison Alder", **fields}


def save(owner: User, fields: dict[str, Any], draft: uuid.UUID, revision: int = 0, tab: str = "one") -> Draft:
    return drafts.save(owner, fields, draft=draft, revision=revision, tab=tab, at=LATER)


class TestSave:
    def test_the_first_save_makes_the_draft_and_each_change_counts_up(self, owner):
        key = uuid.uuid4()
        assert save(owner, body(big_idea="A"), key).revision == 1
        kept = save(owner, body(big_idea="B"), key, revision=1)
        assert (kept.revision, kept.updated_at, drafts.fields_of(kept)) == (2, LATER, body(big_idea="B"))
        assert drafts.open_of(owner) == kept

    def test_what_is_the_same_is_not_written_again(self, owner):
        key = uuid.uuid4()
        save(owner, body(), key)
        assert save(owner, body(), key, revision=0, tab="two").revision == 1

    def test_one_tab_may_save_over_itself_though_an_answer_was_lost(self, owner):
        key = uuid.uuid4()
        save(owner, body(big_idea="A"), key)
        assert save(owner, body(big_idea="B"), key, revision=0).revision == 2

    def test_another_tab_with_an_older_form_is_told_and_writes_nothing(self, owner):
        key = uuid.uuid4()
        save(owner, body(big_idea="A"), key)
        with pytest.raises(DraftConflict) as told:
            save(owner, body(big_idea="B"), key, revision=0, tab="two")
        assert told.value.other == drafts.open_of(owner)
        assert Draft.objects.get().body["big_idea"] == "A"

    def test_another_tab_that_has_seen_the_newest_may_save(self, owner):
        key = uuid.uuid4()
        save(owner, body(big_idea="A"), key)
        assert save(owner, body(big_idea="B"), key, revision=1, tab="two").revision == 2

    def test_a_second_form_does_not_push_out_the_draft_that_is_open(self, owner):
        first = save(owner, body(big_idea="A"), uuid.uuid4())
        with pytest.raises(DraftConflict) as told:
            save(owner, body(big_idea="B"), uuid.uuid4())
        assert told.value.other == first

    def test_a_strangers_draft_is_neither_found_nor_written(self, owner):
        theirs = save(UserFactory(), body(big_idea="Theirs"), uuid.uuid4())
        with pytest.raises(DraftConflict) as told:
            save(owner, body(big_idea="Mine"), theirs.pk, revision=1)
        assert told.value.other is None
        assert Draft.objects.get().body["big_idea"] == "Theirs"


class TestChange:
    def test_of_a_field_is_a_revision_that_other_tabs_are_told_about(self, owner):
        draft = save(owner, body(big_idea="A"), uuid.uuid4())
        changed = drafts.change(draft, lambda found: {**found, "big_idea": "B"}, at=NOON)
        assert (changed.revision, changed.updated_at, drafts.fields_of(changed)) == (2, NOON, body(big_idea="B"))
        with pytest.raises(DraftConflict):
            save(owner, body(big_idea="C"), draft.pk, revision=1, tab="two")

    def test_of_what_is_remembered_is_none_and_stays_over_the_saves_of_the_form(self, owner):
        draft = save(owner, body(big_idea="A"), uuid.uuid4())
        changed = drafts.change(draft, lambda found: {**found, drafts.POLISHING: {"job": 1}}, at=NOON)
        assert (changed.revision, changed.updated_at) == (1, LATER)
        kept = save(owner, body(big_idea="B"), draft.pk, revision=1, tab="two")
        assert kept.body[drafts.POLISHING] == {"job": 1} and drafts.fields_of(kept) == body(big_idea="B")

    def test_of_a_discarded_draft_is_told(self, owner):
        draft = save(owner, body(), uuid.uuid4())
        Draft.objects.all().delete()
        with pytest.raises(DraftConflict) as told:
            drafts.change(draft, lambda found: found, at=NOON)
        assert told.value.other is None


class TestAfterTheLaunch:
    def launched(self, owner: User) -> Draft:
        draft = save(owner, body(big_idea="A"), uuid.uuid4())
        made = plan.make(plan.Brief(brand="x", big_idea="A", model="sora-2", dimensions=SMALL), owner)
        launch.launch_draft(draft, made, at=NOON, actor="owner")
        return draft

    def test_the_same_form_sent_again_leads_to_the_campaign(self, owner):
        draft = self.launched(owner)
        assert save(owner, body(big_idea="A"), draft.pk).campaign is not None

    def test_a_changed_form_is_told_what_became_of_it(self, owner):
        draft = self.launched(owner)
        with pytest.raises(DraftConflict) as told:
            save(owner, body(big_idea="B"), draft.pk, revision=1)
        assert told.value.launched is not None and told.value.other is None

    def test_nothing_changes_the_draft(self, owner):
        draft = self.launched(owner)
        assert drafts.change(draft, lambda found: {**found, "big_idea": "B"}, at=LATER).body["big_idea"] == "A"

    def test_the_next_draft_is_a_new_one(self, owner):
        self.launched(owner)
        assert drafts.open_of(owner) is None
        assert save(owner, body(big_idea="B"), uuid.uuid4()).revision == 1


class TestDiscard:
    def test_throws_it_away(self, owner):
        draft = save(owner, body(), uuid.uuid4())
        assert drafts.discard(owner, draft=draft.pk, revision=draft.revision)
        assert drafts.open_of(owner) is None

    def test_not_when_it_has_changed_since(self, owner):
        draft = save(owner, body(), uuid.uuid4())
        assert not drafts.discard(owner, draft=draft.pk, revision=draft.revision - 1)
        assert drafts.open_of(owner) == draft

    def test_never_anothers(self, owner):
        theirs = save(UserFactory(), body(), uuid.uuid4())
        drafts.discard(owner, draft=theirs.pk, revision=theirs.revision)
        assert Draft.objects.filter(pk=theirs.pk).exists()


class TestFromAnOldCampaign:
    def test_every_field_comes_along_and_makes_the_same_campaign(self, owner):
        old = make_campaign(
            owner,
            product_category="Scent",
            audio_messaging="Hush",
            exclude=[{"mood": "calm"}],
            max_concurrent=2,
            aspect_ratio="9:16",
        )
        again = plan.make(forms.brief(forms.BLANK | drafts.from_campaign(old)), owner)
        assert [one.prompt for one in again.cells] == list(old.combinations.order_by("index").values_list("prompt", flat=True))
        assert (again.parameters, again.brief.max_concurrent) == (old.parameters, 2)

    def test_its_priority_is_left_to_the_queue(self, owner):
        assert drafts.from_campaign(make_campaign(owner, priority=-10))["priority"] == ""
