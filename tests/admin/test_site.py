"""The admin as a whole: what is in it, who sees what, and that it needs nothing that the security policy forbids."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.test import Client, RequestFactory

from queue_app.models import Alert, Asset, Job, ModelConcurrencyLimit, QueueSettings, ReviewItem, State, User
from queue_app.ui import pages
from queue_app.ui.access import staff, viewer
from tests.admin.conftest import StaffWith
from tests.factories import BatchFactory, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
SHOWN = [model for model in django_admin.site._registry if model._meta.app_label in ("queue_app", "auth")]


class TestWhatIsInIt:
    def test_tables_of_the_task_queue_are_not(self) -> None:
        """A schedule runs any callable (I40)."""
        registered = {model._meta.app_label for model in django_admin.site._registry}
        assert not registered & {"django_q", "axes", "knox"}

    @pytest.mark.parametrize("table", ["schedule", "ormq", "success", "failure"])
    def test_and_have_no_address(self, admin: Client, table: str) -> None:
        assert apps.get_model("django_q", table)
        assert admin.get(f"/admin/django_q/{table}/").status_code == 404

    def test_every_list_opens_with_rows_in_it_and_takes_any_search(self, admin: Client) -> None:
        for state in (State.QUEUED, State.UNKNOWN, State.COMPLETED, State.FAILED):
            make_job(state, batch=BatchFactory())
        for model in SHOWN:
            address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            assert admin.get(address).status_code == 200, address
            for word in ("7", "seventh sky", "settle:1", "9" * 24, "١"):
                assert admin.get(address, {"q": word}).status_code in (200, 302), (address, word)

    def test_nothing_that_only_verbs_write_can_be_added_changed_or_deleted(self, admin: Client) -> None:
        make_job(State.COMPLETED)
        for name in ("job", "wallet", "reservation", "ledgertransaction", "ledgerentry", "jobevent", "attempt", "auditentry"):
            address = f"/admin/queue_app/{name}/"
            assert admin.get(f"{address}add/").status_code == 403, name
            row = apps.get_model("queue_app", name)._default_manager.first()
            if row is not None:
                assert admin.post(f"{address}{row.pk}/change/", {"state": "completed", "available": "9"}).status_code == 403, name
                assert admin.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403, name
                assert admin.get(f"{address}{row.pk}/change/").status_code == 200, name


class TestWhoAsks:
    @pytest.mark.parametrize(
        ("ask", "who"), [(viewer, AnonymousUser()), (staff, AnonymousUser()), (staff, User(username="carol"))]
    )
    def test_a_stranger_is_refused(self, rf: RequestFactory, ask: Callable[..., User], who: User | AnonymousUser) -> None:
        request = rf.get("/")
        request.user = who
        with pytest.raises(PermissionDenied):
            ask(request)

    def test_is_the_user_who_is_logged_in(self, rf: RequestFactory) -> None:
        request = rf.get("/")
        request.user = ana = User(username="ana", is_staff=True)
        assert viewer(request) is ana and staff(request) is ana


class TestPagesThatAreNoList:
    def test_of_a_row_are_for_reading(self, admin: Client) -> None:
        address = f"/admin/queue_app/job/{make_job().pk}/change/"
        assert [admin.get(address).status_code, admin.head(address).status_code, admin.post(address).status_code] == [
            200,
            200,
            403,
        ]

    def test_of_a_row_that_is_not_there_say_so(self, admin: Client) -> None:
        page = admin.get("/admin/queue_app/wallet/999999/change/", follow=True).content.decode()
        assert "Wallet “999999” not found." in page

    def test_need_a_site_that_takes_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(django_admin, "site", AdminSite())
        with pytest.raises(ImproperlyConfigured, match="default_site"):
            pages.site()


class TestWhoSeesWhat:
    def test_end_users_are_sent_to_the_log_in(self, client_for: Callable[[User], Client]) -> None:
        client = client_for(make_job().owner)
        answer = client.get("/admin/queue_app/job/")
        assert answer.status_code == 302 and answer.headers["Location"].startswith("/admin/login/")

    def test_the_log_in_is_the_one_of_all_users_and_leads_back(self, client: Client) -> None:
        answer = client.get("/admin/queue_app/job/?status=failed", follow=True)
        wanted = "/admin/queue_app/job/%3Fstatus%3Dfailed"
        assert answer.redirect_chain[-1][0] == f"/login/?next={wanted}"
        assert answer.content.decode().count("<h1") == 1 and "gq-login" in answer.content.decode()

    def test_staff_who_are_logged_in_pass_the_log_in_by(self, admin: Client) -> None:
        for wanted, target in (("/admin/queue_app/job/", "/admin/queue_app/job/"), ("https://evil.example/", "/admin/")):
            answer = admin.get("/admin/login/", {"next": wanted})
            assert (answer.status_code, answer.headers["Location"]) == (302, target)

    def test_a_user_who_is_not_staff_is_told_so_and_may_log_in_as_another(self, client_for: Callable[[User], Client]) -> None:
        answer = client_for(UserFactory(username="bo")).get("/admin/", follow=True)
        page = answer.content.decode()
        assert answer.status_code == 403 and "You're logged in as <bdi>bo</bdi>." in page
        assert 'href="/">Home</a>' in page and 'action="/logout/"' in page

    def test_staff_find_back_to_the_queue_from_what_is_refused_or_is_not_there(
        self, staff_with: StaffWith, client_for: Callable[[User], Client]
    ) -> None:
        back = '<a class="gq-btn" href="/admin/">Back to the queue</a>'
        _, client = staff_with("view_job")
        for address, status in (("/admin/queue_app/wallet/", 403), ("/admin/nothing/here/", 404)):
            answer = client.get(address)
            assert answer.status_code == status and back in answer.content.decode()
        assert back not in client_for(make_job().owner).get("/nothing/here/").content.decode()

    def test_staff_see_the_sections_of_their_rights_alone(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_job")
        page = client.get("/admin/").content.decode()
        assert "/admin/queue_app/job/" in page
        assert "/admin/queue_app/wallet/" not in page and "/admin/queue_app/modelconcurrencylimit/" not in page

    def test_a_list_without_the_right_is_refused(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_job")
        assert client.get("/admin/queue_app/wallet/").status_code == 403

    def test_the_menu_counts_what_needs_a_person(self, admin: Client) -> None:
        assert "gq-count is-alert" not in admin.get("/admin/").content.decode()
        make_job(State.UNKNOWN)
        assert '<span class="gq-count is-alert">1</span>' in admin.get("/admin/").content.decode()


class TestListsAndForms:
    def test_yes_and_no_are_words(self, admin: Client) -> None:
        for address in ("user/", "modelroute/", f"jobevent/?q={make_job(State.RUNNING).pk}", "generationmodel/"):
            page = admin.get(f"/admin/queue_app/{address}").content.decode()
            assert "icon-yes" not in page and "icon-no" not in page, address
        row = admin.get("/admin/queue_app/user/").content.decode()
        assert '<td class="field-is_staff">Yes</td>' in row
        attempt = Job.objects.first().attempts.get()  # type: ignore[union-attr]
        assert '<div class="readonly">No</div>' in html_of(admin.get(f"/admin/queue_app/attempt/{attempt.pk}/change/"))

    def test_moments_are_typed_in_the_browsers_own_fields(self, admin: Client) -> None:
        page = html_of(admin.get("/admin/queue_app/modelconcurrencylimit/sora-2/change/"))
        assert 'type="date" name="paused_until_0"' in page and 'type="time" name="paused_until_1"' in page
        assert "In UTC." in page and "calendar.js" not in page

    def test_a_moment_is_kept_as_it_was_shown(self, admin: Client) -> None:
        until = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True, paused_until=until)
        address = "/admin/queue_app/modelconcurrencylimit/sora-2/change/"
        shown = dict(re.findall(r'name="(paused_until_\d)" value="([^"]+)"', html_of(admin.get(address))))
        assert shown == {"paused_until_0": "2030-01-02", "paused_until_1": "03:04:05"}
        fields = {"max_concurrent": "3", "paused": "on", "paused_reason": "", "why": ""}
        assert admin.post(address, {**fields, **shown}).status_code == 302
        assert ModelConcurrencyLimit.objects.get(pk="sora-2").paused_until == until

    def test_an_empty_list_says_what_will_be_in_it_and_offers_to_add_it(self, admin: Client) -> None:
        Alert.objects.all().delete()
        assert "No alerts yet" in admin.get("/admin/queue_app/alert/").content.decode()
        page = html_of(admin.get("/admin/campaigns/brand/"))
        assert "No brands yet" in page and '<a class="gq-btn is-primary" href="/admin/campaigns/brand/add/">Add brand</a>' in page
        page = admin.get("/admin/campaigns/brand/", {"q": "nobody"}).content.decode()
        assert "No brands match these filters" in page and "Clear filters" in page

    def test_every_list_says_something_when_it_is_empty(self) -> None:
        silent = {QueueSettings, User, Group, ReviewItem, Job, Asset}  # never empty, or with words of their own
        missing = [model for model in SHOWN if model not in silent and not django_admin.site.get_model_admin(model).empty]
        assert not missing


class TestSecurityPolicy:
    def test_pages_carry_it_and_no_script_or_style_of_their_own(self, admin: Client) -> None:
        job = make_job(State.COMPLETED)
        limit = "/admin/queue_app/modelconcurrencylimit/"
        for address in (
            "/admin/",
            "/admin/queue_app/job/",
            f"/admin/queue_app/job/{job.pk}/change/",
            limit,
            f"{limit}sora-2/change/",
        ):
            page = admin.get(address)
            assert "script-src 'self'" in page.headers["Content-Security-Policy"]
            text = page.content.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:", text), address
            assert not re.search(r'(?:src|href)="(?:https?:)?//', text), address

    def test_the_log_in_is_ours(self, client: Client) -> None:
        page = client.get("/admin/login/", follow=True).content.decode()
        assert "gq-mark" in page and "gq/theme.css" in page


def test_no_list_names_a_secret(admin: Client) -> None:
    """An attempt's webhook token lets anybody who has it speak for the provider (I36)."""
    job = make_job(State.RUNNING)
    attempt = Job.objects.get(pk=job.pk).attempts.get()
    for address in (f"attempt/{attempt.pk}/change/", "attempt/", f"job/{job.pk}/change/"):
        assert attempt.token not in admin.get(f"/admin/queue_app/{address}").content.decode()
