"""Users, groups and API keys. A change of a right or of a user's limit is audited, and nobody raises themselves by it."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from queue_app import clock
from queue_app.models import ApiKey, QueueSettings, User
from queue_app.ui.model_admin import FastAdmin, ReadOnlyAdmin
from queue_app.work import keys, policy

RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
HIGH_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")  # given by superusers alone


class AuditedAdmin(FastAdmin):
    """Writes what was changed by a form, with what it was before, in the transaction of the change."""

    audited: tuple[str, ...] = ()

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        QueueSettings.objects.lock_claims()  # the admin's forms run in a transaction; a user's limit is a limit (I21)
        form.rights_before = _said(type(obj).objects.get(pk=obj.pk), self.audited) if change else {}  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:  # type: ignore[type-arg]
        super().save_related(request, form, formsets, change)
        assert isinstance(request.user, User)
        before: dict[str, Any] = form.rights_before  # type: ignore[attr-defined]
        after = _said(form.instance, self.audited)
        changed = [name for name in after if before.get(name) != after[name]]
        if changed:
            policy.audit(
                f"{'change' if change else 'add'} {self.opts.verbose_name}",
                str(form.instance),
                at=clock.now(),
                actor=request.user,
                before={name: before.get(name) for name in changed},
                after={name: after[name] for name in changed},
                of=form.instance,
            )


@admin.register(User)
class AccountAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]
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
    audited = (*RIGHTS, "max_concurrent")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        own = ("last_login", "date_joined")
        return own if request.user.is_superuser else (*own, *HIGH_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Whoever may set a password has the account: those of staff are for superusers."""
        may = super().has_change_permission(request, obj)
        return may and (request.user.is_superuser or obj is None or obj == request.user or not obj.is_staff)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:  # whoever sets a password may log in as that user
            assert isinstance(request.user, User)
            user = User.objects.get(pk=id)
            policy.audit("set password", user.username, at=clock.now(), actor=request.user, of=user)
        return answer

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # jobs and ledger name their owner for ever; a user who leaves is made inactive


admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(AuditedAdmin, GroupAdmin):
    audited = ("name", "permissions")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made by `manage.py create_api_key`; here they are seen, and revoked by deleting them."""

    list_display = ("name", "user", "token_key", "scopes", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")
    ordering = ("-created",)
    fields = ("name", "user", "token_key", "scopes", "created", "expiry", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: ApiKey) -> None:
        assert isinstance(request.user, User)
        keys.revoke(obj, at=clock.now(), actor=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        with transaction.atomic():
            for key in queryset.select_related("user"):
                self.delete_model(request, key)


def _said(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of these fields; those of a relation by name."""
    said: dict[str, Any] = {}
    for name in names:
        is_many = row._meta.get_field(name).many_to_many
        said[name] = sorted(map(str, getattr(row, name).all())) if is_many else getattr(row, name)
    return said
