"""The demo's one-click log-in. It needs no password, so it works only with `DEMO` on and only from this machine."""

from django.conf import settings
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from genqueue_site.demo import sample
from queue_app.models import User
from queue_app.ui import addresses

THIS_MACHINE = ("127.0.0.1", "::1")


def people(request: HttpRequest) -> list[str]:
    """Return the sample users for one-click log-in; none unless this is a demo, opened on its own machine."""
    if not settings.DEMO or request.META.get("REMOTE_ADDR") not in THIS_MACHINE or not sample.logins_file().exists():
        return []
    there = set(User.objects.filter(username__in=sample.PEOPLE, is_active=True).values_list("username", flat=True))
    return [name for name in sample.PEOPLE if name in there]


@require_POST
def enter(request: HttpRequest) -> HttpResponse:
    """Log in as the sample user that the button names."""
    name = request.POST.get("user", "")
    if name not in people(request):
        raise Http404
    user = get_object_or_404(User, username=name)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    wanted = addresses.of_ours(request, request.POST.get("next", ""))
    return HttpResponseRedirect(wanted or ("/admin/" if user.is_staff else "/"))
