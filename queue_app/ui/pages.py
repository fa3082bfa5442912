"""Pages of the admin that are no list: applications register them with the site at autodiscovery, beside their lists."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.text import capfirst

M = TypeVar("M", bound=Model)
View = Callable[..., HttpResponse]


class PagedAdminSite(admin.AdminSite):
    """An admin site whose applications register pages; such a page precedes Django's own of the same address."""

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self._pages: list[URLPattern] = []

    def register_page(self, address: str, view: View, *, name: str) -> None:
        """Show ``view`` to staff at an address below the site's; "" is the site's first page."""
        self._pages.append(path(address, self.admin_view(view), name=name))

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [*self._pages, *super().get_urls()]


def site() -> PagedAdminSite:
    """
    Return the admin site.

    :raises ImproperlyConfigured: it takes no pages; settings name another site.
    """
    found = admin.site
    if not isinstance(found, PagedAdminSite):
        raise ImproperlyConfigured("The admin site must be a PagedAdminSite: set `default_site` of the admin's AppConfig.")
    return found


def of_row(model: type[M]) -> Callable[[Callable[[HttpRequest, M], HttpResponse]], View]:
    """Make ``view(request, row)`` the page of a row, read-only, for staff who may view the row in its list."""

    def made(view: Callable[[HttpRequest, M], HttpResponse]) -> View:
        @wraps(view)
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            rows = admin.site.get_model_admin(model)
            row = rows.get_object(request, unquote(object_id))
            if request.method not in ("GET", "HEAD") or not rows.has_view_permission(request, row):
                raise PermissionDenied
            return not_there(request, rows.opts, object_id) if row is None else view(request, row)

        return page

    return made


def not_there(request: HttpRequest, opts: Options[Any], object_id: str) -> HttpResponseRedirect:
    """Lead to the first page of the site, saying that there is no such row."""
    name = capfirst(opts.verbose_name)
    messages.warning(request, f"{name} “{unquote(str(object_id))[:60]}” not found. It may have been deleted.")
    return HttpResponseRedirect(reverse("admin:index"))
