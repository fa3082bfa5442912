"""Users, groups and API keys. Every change is audited, and only superusers grant rights."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from queue_app import clock
from queue_app.admin.policy_forms import PolicyForm
from queue_app.models import ApiKey, User
from queue_app.rules.numbers import counted
from queue_app.ui.access import staff
from queue_app.ui.model_admin import PolicyAdmin
from queue_app.work import keys

RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
HIGH_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")  # only superusers grant them


@admin.register(User)
class AccountAdmin(PolicyAdmin[User], UserAdmin[User]):
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Personal info", {"fields": ("first_name", "email")}),
        ("Permissions", {"fields": RIGHTS}),
        ("Important dates", {"fields": ("last_login", "date_joined")}),
        ("Queue", {"fields": ("max_concurrent", "share_weight"), "description": "Applies to the next job."}),
    )
    list_display = ("username", "email", "is_active", "is_staff", "max_concurrent", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "first_name", "email")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        own = ("last_login", "date_joined")
        return own if request.user.is_superuser else (*own, *HIGH_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers edit other staff: setting a password is enough to take over the account."""
        may = super().has_change_permission(request, obj)
        return may and (request.user.is_superuser or obj is None or obj == request.user or not obj.is_staff)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            keys.password_set(User.objects.get(pk=id), at=clock.now(), actor=staff(request))
        return answer


admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(PolicyAdmin[Group], GroupAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(ApiKey)
class ApiKeyAdmin(PolicyAdmin[ApiKey]):
    """Users create their keys themselves. Here staff see all, set rates of single ones, and revoke."""

    empty = "Users create keys on their page API keys, or with manage.py create_api_key USERNAME. They appear here."
    form = PolicyForm
    may_be_deleted = True  # by which it is revoked
    actions = ("revoke_selected",)
    list_display = ("name", "user", "prefix", "may", "expiry", "last_used_at", "last_used_from", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")
    ordering = ("-id",)
    sortable_by = ()
    readonly_fields = (*list_display, "created")
    fieldsets = (
        (None, {"fields": readonly_fields}),
        ("Calls per minute", {"fields": ("reads_per_minute", "writes_per_minute", "why")}),
    )

    @admin.display(description="Prefix")
    def prefix(self, key: ApiKey) -> str:
        return f"{key.token_key}…"

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        offered = super().get_actions(request)
        offered.pop("delete_selected", None)
        return offered

    @admin.action(permissions=["delete"], description="Revoke selected keys")
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(keys.revoke(key, at=clock.now(), actor=staff(request)) for key in queryset)
        messages.success(request, f"{counted(revoked, 'key')} revoked.")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().delete_view(request, object_id, {"title": "Revoke this key?", **(extra_context or {})})

    def delete_model(self, request: HttpRequest, obj: ApiKey) -> None:
        keys.revoke(obj, at=clock.now(), actor=staff(request))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        messages.success(request, f"API key {obj_display} revoked. Its next call is refused.")
        return redirect("admin:queue_app_apikey_change", obj_id)
