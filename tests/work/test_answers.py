"""The answers of synchronous providers in our storage: complete or not there, and no longer than they are needed."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings

from queue_app import clock
from queue_app.models import State
from queue_app.work import answers, storing
from queue_app.work.answers import ANSWERS
from tests.factories import make_job
from tests.work.steps import attempt_of

pytestmark = pytest.mark.django_db
FACTS = {"state": "succeeded", "text": "Über", "usage": {"total_tokens": 7}}
DAY = timedelta(hours=24, seconds=1)


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


def folder_of(number: object) -> Path:
    return Path(settings.MEDIA_ROOT) / "answers" / str(number)


def tidied(after: timedelta) -> int:
    """Tidy up as if so much time had passed, and return the number of answers that were deleted."""
    return answers.remove_old(clock.now() + after - storing.ORPHAN_AGE)


class TestAnAnswer:
    def test_is_found_with_its_facts_and_files(self):
        number = str(uuid4())
        ANSWERS.save(number, FACTS, [b"one", b"two"])

        facts = ANSWERS.facts(number)
        assert facts is not None and FACTS.items() <= facts.items()
        for place, content in enumerate([b"one", b"two"]):
            with ANSWERS.open(number, place) as file:
                assert file.read() == content
        assert ANSWERS.facts(str(uuid4())) is None

    def test_without_files_has_its_facts(self):
        number = str(uuid4())
        ANSWERS.save(number, FACTS, [])
        assert ANSWERS.facts(number) is not None
        with pytest.raises(FileNotFoundError):
            ANSWERS.open(number, 0)

    def test_is_not_there_until_it_is_complete(self):
        """What a worker leaves that is killed after the first file."""
        number = str(uuid4())
        ANSWERS.save(number, FACTS, [b"one"])
        (folder_of(number) / "facts.json").unlink()
        assert ANSWERS.facts(number) is None
        with pytest.raises(FileNotFoundError):
            ANSWERS.open(number, 0)

    def test_leaves_nothing_in_the_workroom(self):
        ANSWERS.save(str(uuid4()), FACTS, [b"one"])
        assert list((Path(settings.MEDIA_ROOT) / "tmp").iterdir()) == []

    def test_is_dropped_whole(self):
        attempt = attempt_of(make_job(State.SUBMITTING, model_id="text-writer", parameters={}))
        ANSWERS.save(str(attempt.pk), FACTS, [b"one", b"two"])
        assert answers.is_saved(attempt)

        answers.drop(attempt)

        assert not answers.is_saved(attempt)
        assert not folder_of(attempt.pk).exists()
        answers.drop(attempt)  # a second time does no harm


class TestTidying:
    @pytest.mark.parametrize(
        ("state", "removed"),
        [("submitting", 0), ("unknown", 0), ("running", 0), ("storing", 0), ("completed", 1), ("failed", 1)],
    )
    def test_removes_the_old_answers_of_ended_attempts_alone(self, state: str, removed: int):
        attempt = attempt_of(make_job(state, model_id="text-writer", parameters={}))
        ANSWERS.save(str(attempt.pk), FACTS, [b"one"])

        assert tidied(DAY) == removed
        assert answers.is_saved(attempt) == (not removed)

    def test_keeps_what_is_fresh(self):
        attempt = attempt_of(make_job(State.FAILED, model_id="text-writer", parameters={}))
        ANSWERS.save(str(attempt.pk), FACTS, [b"one"])
        assert tidied(timedelta(hours=23)) == 0
        assert answers.is_saved(attempt)

    def test_removes_what_no_attempt_knows_and_what_is_half(self):
        for number in (uuid4(), uuid4()):
            ANSWERS.save(str(number), FACTS, [b"one"])
        (folder_of(number) / "facts.json").unlink()
        assert tidied(DAY) == 2
        assert list(folder_of("").iterdir()) == []

    def test_is_part_of_tidying_the_storage(self):
        ANSWERS.save(str(uuid4()), FACTS, [b"one"])
        assert storing.remove_orphans(clock.now() + DAY) == 1

    def test_of_an_empty_storage_does_nothing(self):
        assert tidied(DAY) == 0
