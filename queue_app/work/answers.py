"""
The answers of synchronous providers, in the storage from the create call until the files of the job are stored.

An answer is a folder named after its attempt: its files, and then ``facts.json``. Only this makes it complete, so a worker killed
in between leaves no answer. It is saved before the job moves on: if the worker is killed after that, a lookup finds the answer
(T7), and nothing is bought again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

from django.core.files.storage import default_storage

from queue_app.models import Attempt
from queue_app.work import disk

FOLDER, FACTS, STORED = "answers", "facts.json", "stored"
LOOKED_UP_AT_ONCE = 1_000


class StoredAnswers:
    """`providers.base.Answers` in the default storage."""

    def save(self, number: str, facts: Mapping[str, Any], files: Sequence[bytes]) -> None:
        folder = f"{FOLDER}/{UUID(number)}"
        with disk.workroom() as room:
            stored = []
            for place, content in enumerate(files):
                path = room / str(place)
                path.write_bytes(content)
                stored.append(disk.save(path, f"{folder}/{place}").name)
            path = room / FACTS
            path.write_text(json.dumps({**facts, STORED: stored}), encoding="utf-8")
            if disk.save(path, f"{folder}/{FACTS}").name != f"{folder}/{FACTS}":
                raise OSError(f"attempt {number} already has an answer")

    def facts(self, number: str) -> dict[str, Any] | None:
        try:
            name = f"{FOLDER}/{UUID(number)}/{FACTS}"
        except ValueError:  # entered by a person
            return None
        try:
            with default_storage.open(name) as file:
                facts: dict[str, Any] = json.loads(file.read())
        except FileNotFoundError:
            return None
        return facts

    def open(self, number: str, place: int) -> BinaryIO:
        stored = (self.facts(number) or {}).get(STORED, [])
        if not 0 <= place < len(stored):
            raise FileNotFoundError(f"file {place} of the answer to attempt {number}")
        file: BinaryIO = default_storage.open(stored[place])  # type: ignore[assignment]
        return file


ANSWERS = StoredAnswers()


def is_saved(attempt: Attempt) -> bool:
    """
    Whether the answer to an attempt's create call is complete in the storage.

    :raises OSError: the storage can't be read.
    """
    return ANSWERS.facts(str(attempt.pk)) is not None


def drop(attempt: Attempt) -> None:
    """Delete the answer of an attempt whose files are stored. What can't be deleted now is deleted by `remove_old`."""
    with suppress(OSError):
        _delete(str(attempt.pk))


def remove_old(before: datetime) -> int:
    """Delete the answers saved before this time whose attempt has ended; return their number."""
    removed, old = 0, (name for name in _numbers() if _is_older(name, before))
    while numbers := list(islice(old, LOOKED_UP_AT_ONCE)):
        open_ones = {str(pk) for pk in Attempt.objects.filter(pk__in=numbers, outcome=None).values_list("pk", flat=True)}
        for number in set(numbers) - open_ones:
            _delete(number)
            removed += 1
    return removed


def _numbers() -> Iterator[str]:
    yield from disk.listed(FOLDER)[0]


def _is_older(number: str, before: datetime) -> bool:
    names = list(disk.names_in(f"{FOLDER}/{number}"))
    return all(disk.is_older(name, before) for name in names)


def _delete(number: str) -> None:
    """Delete the facts first: an answer without files must not look complete."""
    folder = f"{FOLDER}/{number}"
    disk.delete([f"{folder}/{FACTS}", *disk.names_in(folder), folder])
