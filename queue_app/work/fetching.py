"""Drafts whose images are URLs: each is fetched before the job is queued, so that providers only get files of ours."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from queue_app.models import User
from queue_app.rules import parameters
from queue_app.work import intake, uploads
from queue_app.work.intake import Draft, IntakeRefused, Problem

URLS_MOST = 20  # different ones in one request
SECONDS_MOST = 60.0  # for all of them together


def with_uploads(owner: User, drafts: Sequence[Draft], *, at: datetime) -> list[Draft]:
    """
    Return the drafts with an upload in place of each URL. Nothing is fetched for drafts that are refused anyway. Call it before a
    transaction: it calls the network.

    :raises IntakeRefused: an image can't be used; also as `intake.price`.
    """
    drafts = [replace(draft, parameters=parameters.by_our_names(draft.parameters)) for draft in drafts]
    if not any(_urls(draft) for draft in drafts):
        return drafts
    intake.price(owner, drafts, at=at)
    tried: dict[str, str | uploads.UploadRefused] = {}
    problems = []
    deadline = time.monotonic() + SECONDS_MOST
    for index, draft in enumerate(drafts):
        for url in _urls(draft):
            if url not in tried:
                tried[url] = _fetched(owner, url, len(tried), deadline - time.monotonic(), at=at)
            if isinstance(refusal := tried[url], uploads.UploadRefused) and len(problems) <= parameters.PROBLEMS_MOST:
                problems.append(Problem(index, "parameters.images", str(refusal)))
    if problems:
        raise IntakeRefused(problems)
    return [_with(draft, {url: str(upload) for url, upload in tried.items()}) for draft in drafts]


def _fetched(owner: User, url: str, number: int, seconds: float, *, at: datetime) -> str | uploads.UploadRefused:
    """Return the id of the upload, or why there is none."""
    if number >= URLS_MOST:
        return uploads.UploadRefused(f"Send at most {URLS_MOST} different image URLs per request. Upload the others first.")
    if seconds <= 0:
        return uploads.UploadRefused("The images took too long to fetch. Upload them first.")
    try:
        return str(uploads.fetch(owner, url, at=at, seconds=min(seconds, uploads.FETCH_SECONDS)).pk)
    except uploads.UploadRefused as refusal:
        return refusal


def _urls(draft: Draft) -> list[str]:
    return [one for one in parameters.images_in(draft.parameters.get("images")) if not parameters.is_upload(one)]


def _with(draft: Draft, found: dict[str, str]) -> Draft:
    images = draft.parameters.get("images")
    if not images:
        return draft
    ours = parameters.with_images(images, lambda one: found.get(one, one))
    return replace(draft, parameters={**draft.parameters, "images": ours})
