"""Users, groups and API keys. Every change is audited, and only superusers grant rights."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from queue_app import clock
from queue_app.models import ApiKey, User
from queue_app.ui.access import staff
from queue_app.ui.model_admin import PolicyAdmin, ReadOnlyAdmin
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
        ("Queue", {"fields": ("max_concurrent",)}),
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
class ApiKeyAdmin(ReadOnlyAdmin[ApiKey]):
    empty = "Make a key with manage.py create_api_key USERNAME. It appears here, without the key itself."
    """Keys are made by `manage.py create_api_key`. Here they are listed, and revoked by deleting them."""

    may_be_deleted = True
    list_display = ("name", "user", "token_key", "scopes", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")
    ordering = ("-created",)
    fields = ("name", "user", "token_key", "scopes", "created", "expiry", "last_used_at")

    def delete_model(self, request: HttpRequest, obj: ApiKey) -> None:
        keys.revoke(obj, at=clock.now(), actor=staff(request))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.select_related("user"):
            self.delete_model(request, key)
