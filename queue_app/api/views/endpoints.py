"""Your webhook endpoints: make, list, change, delete, rotate the secret, test; their deliveries, and replay."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from queue_app import clock
from queue_app.api import answers
from queue_app.api.authentication import VIA, caller
from queue_app.api.errors import Wrong
from queue_app.api.filters import DeliveryFilterSet
from queue_app.api.generics import JsonViewSet
from queue_app.api.pagination import CursorPages, OnePage
from queue_app.api.permissions import HasScope
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.endpoints import (
    OVERLAP_HELP,
    CallbackSecretOut,
    DeliveryOut,
    DeliveryQuery,
    EndpointAsked,
    EndpointChange,
    EndpointOut,
    EndpointSecretOut,
)
from queue_app.insight import deliveries
from queue_app.models import CallbackSecret, OutboxMessage, WebhookEndpoint
from queue_app.work import endpoints

_DELIVERY = OpenApiParameter("delivery", str, OpenApiParameter.PATH, pattern="^msg_[1-9][0-9]{0,17}$")
_NO_STORE = {"Cache-Control": "no-store"}  # of answers with a secret
_VERBS = ("rotate-secret", "test", "deliveries")


class WebhookEndpointViewSet(JsonViewSet[WebhookEndpoint]):
    """Your own webhook endpoints, for staff too: those of others are in the admin."""

    pagination_class = OnePage

    def get_permissions(self) -> list[Any]:
        """Return the permissions of all calls. Writing needs ``manage``; so does no reading but that of a secret."""
        needed = HasScope(to_write="manage")
        return [IsAuthenticated(), HasScope(to_read="submit") if self.action == "callback_secret" else needed]

    def get_queryset(self) -> "QuerySet[WebhookEndpoint]":
        return WebhookEndpoint.objects.filter(owner=caller(self.request))

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterator[Wrong]:
        return ((one.field, one.message) for one in endpoints.problems(readable))

    @call("webhook_endpoints_list", EndpointOut(many=True))
    def list(self, request: Request) -> Response:
        """List your webhook endpoints on one page, newest first."""
        return self.get_paginated_response([_answer(row, request) for row in self.get_queryset()])

    @call(
        "webhook_endpoints_create",
        EndpointSecretOut,
        409,
        status=201,
        body=EndpointAsked,
        examples={"Ends of jobs": {"url": "https://example.com/hooks", "events": ["job.completed", "job.failed"]}},
    )
    def create(self, request: Request) -> Response:
        """
        Create a webhook endpoint. `secret` signs its messages and is shown only here, so the answer is not stored for an
        Idempotency-Key: if you lose it, list your endpoints and rotate the secret. You can have 20.
        """
        made = endpoints.make(caller(request), self.given, at=clock.now(), actor=caller(request), via=VIA)
        headers = {"Location": answers.address(request, "webhook-endpoint-detail", made.pk), **_NO_STORE}
        return Response(_with_secret(made, request), status=201, headers=headers)

    @call("webhook_endpoints_read", EndpointOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one webhook endpoint. Its secret is not shown again."""
        return Response(_answer(self.get_object(), request))

    @call("webhook_endpoints_change", EndpointOut, 404, body=EndpointChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a webhook endpoint, or turn it on or off. Waiting deliveries go to the new URL."""
        row = endpoints.change(self.get_object(), self.given, at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(row, request))

    @call("webhook_endpoints_delete", OpenApiResponse(description="Deleted, with its deliveries."), 404, status=204)
    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a webhook endpoint with its deliveries."""
        endpoints.delete(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(status=204)

    @call(
        "webhook_endpoints_rotate_secret",
        EndpointSecretOut,
        404,
        description=f"Create a new secret, shown only in this answer. {OVERLAP_HELP}",
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: int) -> Response:
        """Create a new secret."""
        row = endpoints.rotate(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(_with_secret(row, request), headers=_NO_STORE)

    @call("webhook_endpoints_test", DeliveryOut, 404, 409)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: int) -> Response:
        """Send a `ping` event to a webhook endpoint, whatever events it asks for."""
        return Response(_delivery(endpoints.ping(self.get_object(), at=clock.now()), request))

    @call("webhook_deliveries_list", DeliveryOut(many=True), 404, query=DeliveryQuery)
    @action(detail=True, filterset_class=DeliveryFilterSet, pagination_class=CursorPages)
    def deliveries(self, request: Request, pk: int) -> Response:
        """List the deliveries to a webhook endpoint, newest first, with every attempt and its answer."""
        endpoint = self._endpoint(pk)
        sent: QuerySet[Any] = OutboxMessage.objects.filter(endpoint=endpoint).prefetch_related("log")
        page = self.paginate_queryset(self.filter_queryset(sent))
        return self.get_paginated_response([_delivery(message, request) for message in page or []])

    @extend_schema(parameters=[_DELIVERY])
    @call("webhook_deliveries_replay", DeliveryOut, 404, 409)
    @action(detail=True, methods=["post"], url_path="deliveries/<str:delivery>/replay")
    def replay(self, request: Request, pk: int, delivery: str) -> Response:
        """Send a delivery again, with the same id and body: now if it waits, with all its attempts if it is over."""
        sent = OutboxMessage.objects.filter(endpoint=self._endpoint(pk), pk=deliveries.number(delivery) or 0).first()
        if sent is None:
            raise Http404
        endpoints.replay(sent, at=clock.now())
        return Response(_delivery(OutboxMessage.objects.prefetch_related("log").get(pk=sent.pk), request))

    @call("webhook_callback_secret", CallbackSecretOut)
    @action(detail=False, url_path="callback-secret")
    def callback_secret(self, request: Request) -> Response:
        """Read the secret that signs your callbacks: calls to the `callback_url` of a job, batch or campaign. Needs `submit`."""
        return Response(_callbacks(endpoints.callback_secret(caller(request))), headers=_NO_STORE)

    @call(
        "webhook_callback_secret_rotate",
        CallbackSecretOut,
        description=f"Create a new secret for your callbacks. {OVERLAP_HELP}",
    )
    @action(detail=False, methods=["post"], url_path="callback-secret/rotate-secret")
    def rotate_callback_secret(self, request: Request) -> Response:
        """Create a new secret for your callbacks."""
        return Response(_callbacks(endpoints.rotate_callback_secret(caller(request), at=clock.now())), headers=_NO_STORE)

    def _endpoint(self, pk: int) -> WebhookEndpoint:
        """Return an endpoint of the caller; `get_object` would filter endpoints like deliveries. :raises Http404: see there."""
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise Http404
        return found


def _answer(row: WebhookEndpoint, request: Request) -> dict[str, Any]:
    return render(EndpointOut, _facts(row, request))


def _with_secret(row: WebhookEndpoint, request: Request) -> dict[str, Any]:
    return render(EndpointSecretOut, {**_facts(row, request), "secret": row.secret})


def _facts(row: WebhookEndpoint, request: Request) -> dict[str, Any]:
    names = ("url", "events", "description", "active", "off_reason", "failing_since", "created_at")
    at = {verb.replace("-", "_"): answers.address(request, f"webhook-endpoint-{verb}", row.pk) for verb in _VERBS}
    links = {"self": answers.address(request, "webhook-endpoint-detail", row.pk), **at}
    return {"id": row.pk, **{name: getattr(row, name) for name in names}, "links": links}


def _callbacks(row: CallbackSecret) -> dict[str, Any]:
    return render(CallbackSecretOut, row)


def _delivery(message: OutboxMessage, request: Request) -> dict[str, Any]:
    names = ("event", "tries", "delivered_at", "created_at")
    replay = reverse("api:webhook-endpoint-replay", [message.endpoint_id, message.name], request=request)
    facts = {
        "id": message.name,
        "job": message.job_id,
        "batch": message.batch_id,
        "status": deliveries.status(message),
        "next_try_at": deliveries.next_try(message),
        "error": message.last_error,
        "log": list(message.log.all()),
        **{name: getattr(message, name) for name in names},
        "links": {"replay": replay},
    }
    return render(DeliveryOut, facts)
