"""
The addresses that providers call: `/hooks/{account}/{token}` for one attempt, `/hooks/{account}/` for a whole account.

204: taken in, or known already. 401: can't be trusted, nothing changed. 404: no such address. 413: too large. 503: can't be
verified now. No answer redirects: some providers take that for a final failure.
"""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from queue_app import clock
from queue_app.providers.base import WebhookRefused, WebhookUnverifiable
from queue_app.work import webhooks
from queue_app.work.webhooks import UnknownAddress

log = logging.getLogger(__name__)
BELOW = webhooks.PATH
RETRY_AFTER = 60  # seconds


@csrf_exempt
@require_POST
def receive(request: HttpRequest, account: str, token: str | None = None) -> HttpResponse:
    """Take in a provider's webhook."""
    try:
        raw = request.body
    except RawPostDataException:  # a form with files was read in parts: no provider sends that
        return _answer("Send JSON.", 400)
    if len(raw) > settings.WEBHOOK_MAX_BYTES:
        return _answer("Too large.", 413)
    try:
        webhooks.receive(account, token, request.headers, raw, at=clock.now())
    except UnknownAddress:
        return _answer("Not found.", 404)
    except WebhookUnverifiable as refused:
        log.warning("webhook not taken in: %s", refused)
        response = _answer("Can't be verified now. Try again later.", 503)
        response["Retry-After"] = str(RETRY_AFTER)
        return response
    except WebhookRefused as refused:
        log.warning("webhook refused: %s", refused)
        return _answer("Not verified.", 401)
    return HttpResponse(status=204)


def _answer(words: str, status: int) -> HttpResponse:
    return HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
