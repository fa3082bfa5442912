"""Limits, prices and pauses are edited by their verb: checked, audited, effective at the next claim."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.forms import MultiWidget
from django.test import Client

from queue_app.models import AuditEntry, GenerationModel, ModelConcurrencyLimit, ProviderAccount, QueueSettings, User
from queue_app.models.catalog import LIMIT_MESSAGE
from queue_app.providers import registry
from tests.admin.conftest import StaffWith
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
LIMITS = "/admin/queue_app/modelconcurrencylimit/"


def saved(client: Client, **fields: Any) -> Any:
    form = {"max_concurrent": "4", "paused_reason": "", "paused_until_0": "", "paused_until_1": "", "why": "", **fields}
    return client.post(f"{LIMITS}sora-2/change/", form)


def limit() -> int:
    return ModelConcurrencyLimit.objects.get(pk="sora-2").max_concurrent


class TestLimitForm:
    @pytest.mark.parametrize("wrong", ["0", "51"])
    def test_refuses_what_is_not_1_to_50_and_says_what_to_do(self, admin: Client, wrong: str) -> None:
        page = saved(admin, max_concurrent=wrong)
        assert page.status_code == 200
        assert page.context["adminform"].form.errors == {"max_concurrent": [LIMIT_MESSAGE]}
        assert LIMIT_MESSAGE in page.content.decode()
        assert limit() == 4 and not AuditEntry.objects.exists()

    def test_takes_1_and_50(self, admin: Client) -> None:
        for right in (1, 50):
            assert saved(admin, max_concurrent=str(right)).status_code == 302
            assert limit() == right

    def test_audits_who_what_before_after_and_why(self, admin: Client) -> None:
        saved(admin, max_concurrent="7", why="the vendor gave us room")
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.target, entry.before, entry.after) == (
            "ana",
            "sora-2",
            {"max_concurrent": 4},
            {"max_concurrent": 7},
        )
        assert entry.reason == "the vendor gave us room"

    def test_a_pause_keeps_its_reason(self, admin: Client) -> None:
        saved(admin, paused="on", paused_reason="quality check")
        row = ModelConcurrencyLimit.objects.get(pk="sora-2")
        assert row.paused and row.paused_reason == "quality check"

    def test_needs_the_right(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_modelconcurrencylimit")
        assert saved(client, max_concurrent="9").status_code == 403
        assert limit() == 4


class TestAFormThatWasOpenedBefore:
    """Ben has opened a form; Ana changes the row; Ben saves."""

    SETTINGS = "/admin/queue_app/queuesettings/1/change/"

    def shown(self, answer: Any) -> dict[str, Any]:
        """What a browser would send of it as it stands."""
        assert 'name="showed"' in answer.content.decode()
        form = answer.context["adminform"].form
        sent: dict[str, Any] = {}
        for bound in form:
            value = bound.value()
            if isinstance(bound.field.widget, MultiWidget):
                parts = value if isinstance(value, list) else bound.field.widget.decompress(value)
                sent |= {f"{bound.name}_{place}": part or "" for place, part in enumerate(parts)}
            elif value is not None and value is not False:
                sent[bound.name] = value
        return sent

    def test_does_not_resume_what_was_paused_meanwhile(self, admin: Client, client_for: Any) -> None:
        ben = client_for(UserFactory(admin=True, username="ben", tickets=0))
        form = self.shown(ben.get(self.SETTINGS)) | {"peak_hours": "06:00-09:00"}
        admin.post("/admin/pause/", {"what": "queue", "reason": "the bill explodes", "minutes": "60"})

        answer = ben.post(self.SETTINGS, form)
        said = unescape(answer.content.decode())
        assert "ana changed this while you were editing (paused: no → yes; " in said and "Not saved yet" in said
        assert QueueSettings.objects.current().peak_hours != "06:00-09:00"

        again = self.shown(answer)
        assert again["peak_hours"] == "06:00-09:00" and again["paused"] and again["paused_until_0"]
        assert ben.post(self.SETTINGS, again).status_code == 302
        now = QueueSettings.objects.current()
        assert (now.peak_hours, now.paused, now.paused_reason) == ("06:00-09:00", True, "the bill explodes")
        assert now.paused_until is not None
        entry = AuditEntry.objects.order_by("id").last()
        assert entry is not None and (entry.actor_name, entry.after) == ("ben", {"peak_hours": "06:00-09:00"})

    def test_resumes_it_when_that_was_meant_and_stands_at_the_second_look(self, admin: Client, client_for: Any) -> None:
        ben = client_for(UserFactory(admin=True, username="ben", tickets=0))
        admin.post("/admin/pause/", {"what": "queue", "reason": "first"})
        form = self.shown(ben.get(self.SETTINGS))
        del form["paused"]
        admin.post("/admin/pause/", {"what": "queue", "reason": "second"})
        answer = ben.post(self.SETTINGS, form)
        assert QueueSettings.objects.current().paused and "paused" not in self.shown(answer)
        assert ben.post(self.SETTINGS, self.shown(answer)).status_code == 302
        assert not QueueSettings.objects.current().paused

    @pytest.mark.parametrize(
        ("address", "fields"),
        [
            ("generationmodel/sora-2", {"label": "Sora"}),
            ("provideraccount/studio", {"max_concurrent": "3"}),
            ("kind/video", {"label": "Film"}),
            ("alertrule/oldest_wait", {"opens_at": "7200"}),
        ],
    )
    def test_is_saved_at_once_where_nothing_has_changed(self, admin: Client, address: str, fields: dict[str, str]) -> None:
        page = f"/admin/queue_app/{address}/change/"
        assert admin.post(page, self.shown(admin.get(page)) | fields).status_code == 302
        assert len(AuditEntry.objects.get().after) == 1

    def test_in_a_list_takes_no_row_back_that_was_not_touched(self, admin: Client) -> None:
        page = admin.get(LIMITS).content.decode()
        sent = dict(re.findall(r'<input type="(?:hidden|number)" name="((?:initial-)?form-[^"]+)" value="([^"]*)"', page))
        rows = {sent[name]: name.removesuffix("-model") for name in sent if name.endswith("-model")}
        admin.post("/admin/limit/", {"what": "model", "key": "sora-2", "value": "2"})
        assert admin.post(LIMITS, sent | {f"{rows['kling-1.6']}-max_concurrent": "7", "_save": "Save"}).status_code == 302
        assert limit() == 2 and ModelConcurrencyLimit.objects.get(pk="kling-1.6").max_concurrent == 7


class TestLimitList:
    def posted(self, client: Client, value: str) -> Any:
        page = client.get(LIMITS)
        form: dict[str, str] = {}
        formset = page.context["cl"].formset
        for name, field in formset.management_form.initial.items():
            form[f"form-{name}"] = str(field)
        for index, row in enumerate(formset.forms):
            form[f"form-{index}-model"] = row.instance.pk
            form[f"form-{index}-max_concurrent"] = value if row.instance.pk == "sora-2" else str(row.instance.max_concurrent)
        return client.post(LIMITS, {**form, "_save": "Save"})

    def test_changes_the_row_that_was_edited_and_no_other(self, admin: Client) -> None:
        assert self.posted(admin, "9").status_code == 302
        assert limit() == 9
        assert AuditEntry.objects.get().after == {"max_concurrent": 9}

    @pytest.mark.parametrize("wrong", ["0", "51"])
    def test_shows_the_error_in_its_row(self, admin: Client, wrong: str) -> None:
        page = self.posted(admin, wrong)
        assert page.status_code == 200 and LIMIT_MESSAGE in page.content.decode()
        assert limit() == 4

    def test_is_not_editable_without_the_right(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_modelconcurrencylimit")
        page = client.get(LIMITS)
        assert (
            page.status_code == 200
            and "max_concurrent" not in page.content.decode().partition("result_list")[2].partition("<input")[2]
        )


class TestOtherPolicies:
    def test_a_price_is_never_0(self, admin: Client) -> None:
        address = "/admin/queue_app/generationmodel/sora-2/change/"
        form = admin.get(address).context["adminform"].form
        answer = admin.post(address, {**{name: form[name].value() or "" for name in form.fields}, "tickets_per_unit": "0"})
        assert answer.status_code == 200 and "tickets_per_unit" in answer.context["adminform"].form.errors
        assert GenerationModel.objects.get(pk="sora-2").tickets_per_unit == 1

    def test_peak_hours_that_are_none_are_refused(self, admin: Client) -> None:
        address = "/admin/queue_app/queuesettings/1/change/"
        form = admin.get(address).context["adminform"].form
        values = {name: form[name].value() or "" for name in form.fields}
        answer = admin.post(address, {**values, "peak_hours": "9 to 5", "paused_until_0": "", "paused_until_1": ""})
        assert "peak_hours" in answer.context["adminform"].form.errors
        assert QueueSettings.objects.current().peak_hours != "9 to 5"

    def test_an_account_shows_the_name_of_its_key_and_never_the_key(self, admin: Client, settings: Any) -> None:
        settings.PROVIDER_KEYS = {**settings.PROVIDER_KEYS, "OPENAI_VIDEOS_API_KEY": "sk-very-secret"}
        ProviderAccount.objects.filter(pk="openai_videos").update(api_key_env="OPENAI_VIDEOS_API_KEY")
        for address in ("", "openai_videos/change/"):
            page = admin.get(f"/admin/queue_app/provideraccount/{address}").content.decode()
            assert "OPENAI_VIDEOS_API_KEY" in page and "sk-very-secret" not in page

    def test_only_superusers_say_where_a_key_is_sent(self, admin: Client, staff_with: StaffWith) -> None:
        _, editor = staff_with("view_provideraccount", "change_provideraccount")
        there = "https://elsewhere.example/"
        elsewhere = {"adapter": "openai_videos", "base_url": there, "api_key_env": "SECRET_KEY", "options": "{}"}
        form = {**elsewhere, "max_concurrent": "3"}
        before = ProviderAccount.objects.get(pk="openai_videos")
        assert editor.post("/admin/queue_app/provideraccount/openai_videos/change/", form).status_code == 302
        account = ProviderAccount.objects.get(pk="openai_videos")
        assert (account.max_concurrent, account.base_url, account.api_key_env) == (3, before.base_url, before.api_key_env)
        assert admin.post("/admin/queue_app/provideraccount/openai_videos/change/", form).status_code == 302
        account.refresh_from_db()
        assert (account.base_url, account.api_key_env) == (there, "SECRET_KEY")

    def test_an_account_that_nothing_can_be_bought_at_is_offered_nowhere(self, admin: Client) -> None:
        key = ProviderAccount.objects.create(key="elsewhere", adapter="of_another_version").pk
        for page in ("provideraccount/", "modelroute/", "modelroute/add/", "provideraccount/add/"):
            assert f">{key}<" not in admin.get(f"/admin/queue_app/{page}").content.decode()
        assert admin.get(f"/admin/queue_app/provideraccount/{key}/change/").status_code == 302
        assert f"Account {key}" not in admin.get("/admin/").content.decode()
        limit = {"what": "account", "key": key, "value": "3"}
        assert [admin.post(f"/admin/{do}/", limit).status_code for do in ("limit", "pause", "end-cooldown")] == [404] * 3

    def test_an_adapter_is_one_of_this_version(self, admin: Client) -> None:
        page = admin.get("/admin/queue_app/provideraccount/openai_videos/change/").content.decode()
        assert (
            re.findall(r'<option value="(\w+)"', page.partition('name="adapter"')[2].partition("</select>")[0])
            == registry.names()
        )

    def test_a_kind_and_a_model_keep_their_medium(self, admin: Client) -> None:
        for address in ("kind/video", "generationmodel/sora-2"):
            assert 'name="medium"' not in admin.get(f"/admin/queue_app/{address}/change/").content.decode()
        assert 'name="medium"' in admin.get("/admin/queue_app/kind/add/").content.decode()

    def test_nothing_of_the_catalogue_is_deleted(self, admin: Client) -> None:
        assert admin.post("/admin/queue_app/generationmodel/sora-2/delete/", {"post": "yes"}).status_code == 403


class TestPeople:
    def fields(self, user: User, **changed: Any) -> dict[str, Any]:
        known = {"username": user.username, "email": user.email, "first_name": "", "last_name": "", "is_active": "on"}
        return {**known, "last_login_0": "", "last_login_1": "", "max_concurrent": "", "share_weight": "1", **changed}

    def test_a_users_limit_is_audited(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        answer = admin.post(f"/admin/queue_app/user/{user.pk}/change/", self.fields(user, max_concurrent="3"))
        assert answer.status_code == 302
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after) == ({"max_concurrent": None}, {"max_concurrent": 3})

    def test_a_users_share_is_audited(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        admin.post(f"/admin/queue_app/user/{user.pk}/change/", self.fields(user, share_weight="2.5"))
        assert AuditEntry.objects.get().after == {"share_weight": "2.5"}

    def test_a_right_is_audited(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        admin.post(f"/admin/queue_app/user/{user.pk}/change/", self.fields(user, is_staff="on"))
        assert AuditEntry.objects.get().after == {"is_staff": True}

    def test_staff_give_no_rights_to_themselves_or_others(self, staff_with: StaffWith) -> None:
        me, client = staff_with("view_user", "change_user")
        other = UserFactory(tickets=0)
        for user in (me, other):
            client.post(f"/admin/queue_app/user/{user.pk}/change/", self.fields(user, is_superuser="on", is_staff="on"))
        assert not User.objects.filter(pk__in=[me.pk, other.pk], is_superuser=True).exists()
        assert not User.objects.get(pk=other.pk).is_staff

    def test_staff_may_not_take_over_other_staff(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_user", "change_user")
        boss = UserFactory(admin=True, tickets=0)
        new = {"password1": "a-new-password-1", "password2": "a-new-password-1", "usable_password": "true"}
        assert client.post(f"/admin/queue_app/user/{boss.pk}/password/", new).status_code == 403
        assert User.objects.get(pk=boss.pk).check_password("password")

    def test_a_new_user_is_audited_without_the_password(self, admin: Client) -> None:
        form = {"username": "dora", "usable_password": "true", "password1": "a-new-password-1", "password2": "a-new-password-1"}
        assert admin.post("/admin/queue_app/user/add/", form).status_code == 302
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target, entry.after["is_staff"]) == ("add user", "dora", False)
        assert "password" not in entry.after

    def test_a_roles_rights_are_audited_by_name(self, admin: Client) -> None:
        right = Permission.objects.get(codename="operate_queue")
        assert admin.post("/admin/auth/group/add/", {"name": "Night shift", "permissions": [right.pk]}).status_code == 302
        role = Group.objects.get(name="Night shift")
        assert admin.post(f"/admin/auth/group/{role.pk}/change/", {"name": "Night shift", "permissions": []}).status_code == 302
        assert not role.permissions.exists()
        assert admin.post(f"/admin/auth/group/{role.pk}/delete/", {"post": "yes"}).status_code == 302

        added, changed, deleted = AuditEntry.objects.order_by("id")
        assert (added.action, added.after["permissions"]) == ("add group", [str(right)])
        assert (changed.before, changed.after) == ({"permissions": [str(right)]}, {"permissions": []})
        assert (deleted.action, deleted.before["name"]) == ("delete group", "Night shift")

    def test_nobody_is_deleted(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        assert admin.post(f"/admin/queue_app/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
