"""Images that are named by URLs: each is fetched before the job is queued, so that providers only get files of ours."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from queue_app.models import User
from queue_app.rules import parameters
from queue_app.work import intake, uploads
from queue_app.work.intake import Draft, IntakeRefused, Problem
from queue_app.work.uploads import UploadRefused

URLS_MOST = 20  # different ones in one request
SECONDS_MOST = 60.0  # for all of them together


class ImagesRefused(Exception):
    """Some images can't be used. The messages are for the user."""

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages = [*messages]
        super().__init__(" ".join(messages))


class Fetcher:
    """Fetches the images of one request, each URL once. It calls the network: use it before a transaction."""

    def __init__(self, owner: User, *, at: datetime) -> None:
        self.owner, self.at = owner, at
        self._deadline = time.monotonic() + SECONDS_MOST
        self._tried: dict[str, str | UploadRefused] = {}

    def replaced(self, images: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return ``images`` with an upload in place of each URL.

        :raises ImagesRefused: some of them can't be used.
        """
        found = {url: self._upload(url) for url in urls_in(images)}
        if wrong := [str(one) for one in found.values() if isinstance(one, UploadRefused)]:
            raise ImagesRefused(wrong)
        return parameters.with_images(images, lambda one: str(found.get(one, one)))

    def _upload(self, url: str) -> str | UploadRefused:
        if url not in self._tried:
            self._tried[url] = self._fetched(url, self._deadline - time.monotonic())
        return self._tried[url]

    def _fetched(self, url: str, seconds: float) -> str | UploadRefused:
        if len(self._tried) >= URLS_MOST:
            return UploadRefused(f"Send at most {URLS_MOST} different image URLs per request. Upload the others first.")
        if seconds <= 0:
            return UploadRefused("The images took too long to fetch. Upload them first.")
        try:
            return str(uploads.fetch(self.owner, url, at=self.at, seconds=min(seconds, uploads.FETCH_SECONDS)).pk)
        except UploadRefused as refusal:
            return refusal


def urls_in(images: Any) -> list[str]:
    """Return the images that are named by a URL."""
    return [one for one in parameters.images_in(images) if not parameters.is_upload(one)]


def is_needed(drafts: Iterable[Draft]) -> bool:
    """Whether an image of these drafts is named by a URL, by either name of the parameter."""
    return any(urls_in(parameters.by_our_names(draft.parameters).get("images")) for draft in drafts)


def with_uploads(owner: User, drafts: Sequence[Draft], *, at: datetime) -> list[Draft]:
    """
    Return the drafts with an upload in place of each URL. Nothing is fetched for drafts that are refused anyway. Call it before a
    transaction: it calls the network.

    :raises IntakeRefused: an image can't be used; also as `intake.price`.
    """
    drafts = [replace(draft, parameters=parameters.by_our_names(draft.parameters)) for draft in drafts]
    if not is_needed(drafts):
        return drafts
    intake.price(owner, drafts, at=at)
    fetcher = Fetcher(owner, at=at)
    found, problems = [], []
    for index, draft in enumerate(drafts):
        images = draft.parameters.get("images")
        try:
            ours = {"images": fetcher.replaced(images)} if images else {}
        except ImagesRefused as refusal:
            problems += [Problem(index, "parameters.images", message) for message in refusal.messages]
        else:
            found.append(replace(draft, parameters={**draft.parameters, **ours}))
        if len(problems) > parameters.PROBLEMS_MOST:
            break
    if problems:
        raise IntakeRefused(problems)
    return found
