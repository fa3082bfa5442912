"""Images that jobs start from: upload or fetch one, read what is known of it."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.generics import JsonViewSet
from queue_app.api.permissions import reaches_others
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.jobs import UploadOut
from queue_app.api.serializers.requests import FileAsked, UrlAsked
from queue_app.models import Upload
from queue_app.work import uploads


class UploadViewSet(JsonViewSet[Upload]):
    """Upload images for jobs."""

    lookup_value_converter = "uuid"

    def get_queryset(self) -> "QuerySet[Upload]":
        user = caller(self.request)
        return Upload.objects.all() if user.is_staff and reaches_others(self.request) else Upload.objects.filter(owner=user)

    @call("uploads_create", UploadOut, status=201, body=UrlAsked, form=FileAsked)
    def create(self, request: Request) -> Response:
        """
        Upload an image as multipart/form-data, or send its URL as JSON. It is checked and re-encoded; the same image again
        returns the same id. Unused uploads are deleted after 30 days.
        """
        owner, at = caller(request), clock.now()
        try:
            if "file" in self.given:
                upload = uploads.receive(owner, self.given["file"].chunks(), at=at)
            else:
                upload = uploads.fetch(owner, self.given["url"], at=at)
        except uploads.UploadRefused as refusal:
            raise ValidationError({next(iter(self.given)): [str(refusal)]}) from None
        location = reverse("api:upload-detail", [upload.pk], request=request)
        return Response(_answer(upload, request), status=201, headers={"Location": location})

    @call("uploads_read", UploadOut, 404)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """Read what is known of an uploaded image."""
        return Response(_answer(self.get_object(), request))


def _answer(upload: Upload, request: Request) -> dict[str, Any]:
    names = ("id", "content_type", "size", "sha256", "width", "height", "created_at")
    url = reverse("upload", [upload.pk, upload.file_name], request=request)
    return render(UploadOut, {name: getattr(upload, name) for name in names} | {"url": url})
