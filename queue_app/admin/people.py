"""Users and their API keys."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from queue_app.admin.base import ReadOnlyAdmin
from queue_app.models import ApiKey, User


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Queue", {"fields": ("max_concurrent",)}))
    list_display = ("username", "email", "is_active", "is_staff", "max_concurrent", "last_login")
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # jobs and ledger name their owner for ever; a user who leaves is made inactive


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
