"""Images that a job starts from, as forms send them: each as soon as it is chosen, or with the whole form without JavaScript."""

from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from queue_app import clock
from queue_app.models import User
from queue_app.ui.access import viewer
from queue_app.ui.parameters import FILE, IMAGES, Typed
from queue_app.work import uploads


@login_required
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Keep one image, a file or the one at a URL, and answer with its checkbox; 422 with a sentence if it can't be used."""
    owner, at, role = viewer(request), clock.now(), request.POST.get("role", "")
    if role not in IMAGES:
        return HttpResponse("Choose what the image is for.", status=422, content_type="text/plain")
    try:
        if file := request.FILES.get("file"):
            image = uploads.receive(owner, file.chunks(), at=at)
        else:
            image = uploads.fetch(owner, request.POST.get("url", "").strip(), at=at)
    except uploads.UploadRefused as refusal:
        return HttpResponse(str(refusal), status=422, content_type="text/plain; charset=utf-8")
    return render(request, "campaigns/_upload.html", {"image": image, "name": role, "is_list": role == "references"})


def take(request: HttpRequest, typed: Typed, owner: User, *, at: datetime) -> dict[str, list[str]]:
    """
    Keep the images that were sent with a form, as files or URLs, and put them among those that were typed. Return what is wrong
    by role; a URL that can't be used stays where it was typed.
    """
    wrong: dict[str, list[str]] = {}
    for role in IMAGES:
        found = typed.images.setdefault(role, [])
        for file in request.FILES.getlist(FILE + role):
            try:
                found.append(str(uploads.receive(owner, file.chunks(), at=at).pk))
            except uploads.UploadRefused as refusal:
                wrong.setdefault(role, []).append(str(refusal))
        if url := typed.urls.get(role):
            try:
                found.append(str(uploads.fetch(owner, url, at=at).pk))
            except uploads.UploadRefused as refusal:
                wrong.setdefault(role, []).append(str(refusal))
            else:
                del typed.urls[role]
        if not found:
            del typed.images[role]
    return wrong
