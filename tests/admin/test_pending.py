"""The strip of pending bulk actions: on every page of the admin, for those who may see them, with the way back."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from queue_app import clock
from queue_app.models import BulkAction, Job, ProviderAccount, State, User
from queue_app.work import bulk, stop
from queue_app.work.bulk.verbs import VERBS
from tests.admin.conftest import StaffWith
from tests.factories import UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
STRIP = "/admin/pending/"
HTMX = {"HX-Request": "true"}
PAGES = (
    "/admin/",
    "/admin/queue_app/job/",
    "/admin/queue_app/reviewitem/",
    "/admin/queue_app/modelconcurrencylimit/",
    "/admin/queue_app/provideraccount/fal/change/",
    "/admin/usage/",
    "/admin/sections/",
    "/admin/password_change/",
)


def confirmed(*jobs: Job, verb: str = "cancel", by: User | None = None) -> BulkAction:
    """An action that starts in ten seconds."""
    actor, at = by or UserFactory(admin=True, tickets=0), clock.now()
    drafted = bulk.draft(verb, [job.pk for job in jobs], at=at, actor=actor, chosen="by hand")
    return bulk.confirm(drafted, at=at, actor=actor, reason="wrong brief")


def worked(action: BulkAction) -> None:
    bulk.run_now(action, at=clock.now(), actor=action.actor)
    bulk.work(action.pk, may_go_on=lambda: True)


def strip_of(client: Client, path: str = "/admin/sections/") -> str:
    text = unescape(html_of(client.get(path)))
    begin = text.index('<div id="pending"')
    return text[begin : text.index('<div class="main', begin)]


class TestStrip:
    def test_is_on_every_page_with_its_undo_and_comes_back_there(self, admin: Client) -> None:
        action = confirmed(make_job(), make_job())
        step = f"/admin/queue_app/bulkaction/{action.pk}/step/"
        for path in (*PAGES, f"/admin/queue_app/job/{Job.objects.first().pk}/change/"):
            shown = strip_of(admin, path)
            assert "<b>Cancel 2 jobs</b>" in shown and f'action="{step}"' in shown, path
            assert f'name="next" value="{path}"' in shown, path
        answer = admin.post(step, {"do": "undo", "next": "/admin/usage/"})
        assert answer.headers["Location"] == "/admin/usage/"
        action.refresh_from_db()
        assert action.phase == BulkAction.Phase.UNDONE
        shown = strip_of(admin)
        assert "<b>Cancel 2 jobs</b>: undone, no jobs changed." in shown and "<form" not in shown

    def test_is_empty_and_asks_for_nothing_while_nothing_is_pending(self, admin: Client) -> None:
        bulk.draft("cancel", [make_job().pk], at=clock.now(), actor=UserFactory(admin=True, tickets=0), chosen="by hand")
        shown = strip_of(admin)
        assert "hx-get" not in shown and "gq-pending" not in shown and "gq-toast" not in shown

    def test_names_whose_it_is_unless_it_is_the_viewers_own(self, admin: Client) -> None:
        confirmed(make_job(), by=User.objects.get(username="ana"))
        assert "(ana)" not in strip_of(admin)
        confirmed(make_job(), by=UserFactory(admin=True, username="bob", tickets=0))
        shown = strip_of(admin)
        assert "(bob)" in shown and "1 more pending" in shown
        assert shown.index("(bob)") < shown.index("1 more pending")  # the newest first

    def test_says_how_far_one_is_and_then_for_some_seconds_what_it_did(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VERBS[BulkAction.Verb.CANCEL], "chunk", 1)
        action = confirmed(make_job(), make_job(), make_job(), make_job())
        bulk.run_now(action, at=clock.now(), actor=action.actor)
        bulk.work(action.pk, may_go_on=lambda: False)  # one chunk
        shown = strip_of(admin)
        assert "1 of 4 jobs" in shown and 'width="25"' in shown and 'value="abort"' in shown
        bulk.work(action.pk, may_go_on=lambda: True)
        assert "<b>Cancel 4 jobs</b>: 4 cancelled. <a" in strip_of(admin)
        BulkAction.objects.update(ended_at=clock.now() - timedelta(seconds=11))
        assert "Cancel 4 jobs" not in strip_of(admin)

    def test_leaves_out_what_its_own_page_shows(self, admin: Client) -> None:
        action = confirmed(make_job())
        page = f"/admin/queue_app/bulkaction/{action.pk}/change/"
        assert "gq-pending" not in strip_of(admin, page)
        answer = admin.get(STRIP, headers={**HTMX, "HX-Current-URL": f"http://testserver{page}"})
        assert "gq-pending" not in answer.content.decode()

    def test_counts_the_cancels_of_a_stop_as_one_that_is_undone_at_once(self, admin: Client) -> None:
        for state in (State.QUEUED, State.QUEUED, State.RUNNING):
            make_job(state, at=clock.now())
        ana = User.objects.get(username="ana")
        stop.stop_all(at=clock.now(), actor=ana, reason="the bill explodes", cancel_queued=True, cancel_running=True)
        confirmed(make_job(), verb="cancel")
        shown = strip_of(admin)
        assert "<b>Stop all: cancel 3 jobs</b>" in shown and shown.count("<form") == 2
        assert "Stop all: cancel" not in strip_of(admin, "/admin/stop/")
        answer = admin.post("/admin/stop/undo/", {"do": "undo", "next": "/admin/usage/"})
        assert answer.headers["Location"] == "/admin/usage/"
        assert "Stop all: cancel" not in strip_of(admin)

    def test_hostile_text_is_text(self, admin: Client) -> None:
        confirmed(make_job(), by=UserFactory(admin=True, username="<b>eve</b>", tickets=0))
        text = admin.get("/admin/sections/").content.decode()
        assert "&lt;b&gt;eve" in text and "<b>eve" not in text


class TestFragment:
    def test_is_204_while_nothing_changes(self, admin: Client) -> None:
        action = confirmed(make_job())
        seen = admin.get(STRIP, headers=HTMX).context["pending"].token
        assert admin.get(STRIP, {"seen": seen}, headers=HTMX).status_code == 204
        worked(action)
        assert "1 cancelled" in admin.get(STRIP, {"seen": seen}, headers=HTMX).content.decode()

    def test_comes_back_to_the_page_that_asked_and_to_none_of_others(self, admin: Client) -> None:
        action = confirmed(make_job())
        asked = {**HTMX, "HX-Current-URL": "http://testserver/admin/usage/?days=7"}
        assert 'name="next" value="/admin/usage/?days=7"' in admin.get(STRIP, headers=asked).content.decode()
        step = f"/admin/queue_app/bulkaction/{action.pk}/step/"
        assert admin.post(step, {"do": "undo", "next": "//evil.example/"}).headers["Location"] == "/admin/queue_app/job/"

    def test_comes_with_what_the_dashboard_and_the_job_list_renew(self, admin: Client) -> None:
        before = {path: admin.get(path, headers=HTMX).context["token"] for path in ("/admin/", "/admin/queue_app/job/")}
        confirmed(make_job())
        for path, seen in before.items():
            assert "<b>Cancel 1 job</b>" in admin.get(path, {"seen": seen}, headers=HTMX).content.decode(), path


class TestRights:
    def test_a_viewer_of_bulk_actions_sees_it_without_a_button(self, staff_with: StaffWith) -> None:
        confirmed(make_job())
        _, client = staff_with("view_bulkaction")
        shown = strip_of(client)
        assert "<b>Cancel 1 job</b>" in shown and "<form" not in shown

    def test_who_may_neither_see_them_nor_do_such_a_thing_sees_none(self, staff_with: StaffWith) -> None:
        confirmed(make_job())
        _, client = staff_with("view_wallet")
        assert "Cancel 1 job" not in strip_of(client)
        _, client = staff_with("operate_queue")
        assert 'value="undo"' in strip_of(client)

    def test_end_users_get_none(self, client: Client) -> None:
        assert client.get(STRIP).status_code == 302

    def test_costs_the_same_queries_for_one_and_for_many(self, admin: Client, django_assert_max_num_queries: Any) -> None:
        ProviderAccount.objects.update(paused=False)
        for _ in range(8):
            confirmed(make_job())
        admin.get(STRIP, headers=HTMX)
        with django_assert_max_num_queries(9):
            admin.get(STRIP, headers=HTMX)
