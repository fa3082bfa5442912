"""
The odd gateway: a table of differences between gateways, each run through the verbs of the queue, with the expected results.

A second create call is allowed only after the proof of docs/invariants.md (failure policy, unknown outcomes). The rows give the
number of generations at the gateway.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest

from queue_app.models import Job, ProviderAccount
from tests.providers.odd_gateway import NOT_FOUND, OddGateway, Oddity, Task, litellm, newest_first, served
from tests.work.steps import account_of, attempt_of, bought, fresh, later, open_review, queued, worked

pytestmark = pytest.mark.django_db
PROMPT = 'A tram through a sunlit old town,  and then\r\nover the bridge to the "far side" & back, slowly, at dusk.\n'
SHORT_OF_MONEY = {"code": "insufficient_user_quota", "message": "用户额度不足", "data": None}
POLICY = {"code": "moderation_blocked", "message": "Blocked by the content policy."}
MONEY = {"error": {"type": "budget_exceeded", "message": "ExceededBudget: over the team's budget"}}


@pytest.fixture
def gateway(settings: Any, film: Callable[..., Path]) -> Iterator[Callable[[Oddity], OddGateway]]:
    running: list[Any] = []

    def start(oddity: Oddity) -> OddGateway:
        serving = served(OddGateway(oddity, film=film("mp4", seconds=1).read_bytes()))
        running.append(serving)
        made = serving.__enter__()
        settings.STUDIO_URL, settings.TRUSTED_ORIGINS, settings.STUDIO_SECONDS = made.url, [made.url], 300
        ProviderAccount.objects.filter(key="openai_videos").update(
            options={"request_encoding": "json", "cancel_by_delete": True}, max_concurrent=None
        )
        return made

    yield start
    for serving in running:
        serving.__exit__(None, None, None)


def row(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an oddity whose rows have other fields: values, or functions of the plain row; ``...`` leaves a field out."""

    def change(video: dict[str, Any]) -> dict[str, Any]:
        told = {name: value(video) if callable(value) else value for name, value in changes.items()}
        return {name: value for name, value in (video | told).items() if value is not ...}

    return change


def pass_time(gateway: OddGateway, seconds: float) -> None:
    later(seconds)
    gateway.later(seconds)


def with_a_lost_call(gateway: OddGateway, *, taken: bool, controls: bool = True) -> Job:
    """
    Create two known tasks and between them a create call whose answer was lost, whether or not the gateway has ``taken`` it. Then
    run the lookups for two proofs; the first one comes before the grace period is over.
    """
    for number in range(gateway.oddity.others):
        gateway.others_make(f"Somebody else's clip {number}.", ago=3 * 3600 - number)
    if controls:
        bought(queued(prompt="A heron on the ice, before.\n"))
        pass_time(gateway, 1500)
    gateway.loses, gateway.drops = taken, not taken
    job = bought(queued(prompt=PROMPT))
    assert job.state == "unknown"
    pass_time(gateway, 90)
    if controls:
        bought(queued(prompt="A heron on the ice, after.  "))
    for _ in range(3):
        if fresh(job).state != "unknown":
            break
        worked(job)
        pass_time(gateway, 130)
    return fresh(job)


FOUND, UNDECIDED, AGAIN = "running", "unknown", "queued"
LISTS: dict[str, tuple[Oddity, str, str]] = {
    # name: the oddity, and the results for a call that it accepted and for one that it did not
    "plain": (Oddity(), FOUND, AGAIN),
    "numbers for ids": (Oddity(id=lambda number: 770_000 + number), FOUND, AGAIN),
    "ids of 3,000 letters": (Oddity(id=lambda number: "v" * 3_000 + str(number)), FOUND, AGAIN),
    "ids of LiteLLM, encoded anew in lists": (
        Oddity(id=litellm, row=row(id=lambda video: litellm(number_in(video["id"]), model=""))),
        FOUND,
        AGAIN,
    ),
    "pages of its own size, no has_more": (
        Oddity(size=1, listing=lambda rows, more: (200, {"object": "list", "data": rows})),
        FOUND,
        AGAIN,
    ),
    "has_more is always false": (
        Oddity(size=1, listing=lambda rows, more: (200, {"data": rows, "has_more": False})),
        UNDECIDED,
        UNDECIDED,
    ),
    "the first page is all there is": (
        Oddity(page=lambda tasks, limit, after: [] if after else newest_first(tasks, 1, None)),
        UNDECIDED,
        UNDECIDED,
    ),
    "the cursor is ignored": (
        Oddity(size=1, page=lambda tasks, limit, after: newest_first(tasks, limit, None)),
        UNDECIDED,
        UNDECIDED,
    ),
    "pages overlap": (
        Oddity(size=2, page=lambda tasks, limit, after: overlapping(tasks, limit, after)),
        FOUND,
        AGAIN,
    ),
    "each row twice": (Oddity(page=lambda tasks, limit, after: twice(newest_first(tasks, limit, after))), FOUND, AGAIN),
    "oldest first": (
        Oddity(page=lambda tasks, limit, after: [] if after else sorted(tasks, key=lambda task: task.number)),
        FOUND,
        AGAIN,
    ),
    "prompts trimmed": (Oddity(row=row(prompt=lambda video: video["prompt"].strip())), FOUND, AGAIN),
    "white space made one": (Oddity(row=row(prompt=lambda video: " ".join(video["prompt"].split()))), FOUND, AGAIN),
    "prompts cut short of ours": (Oddity(row=row(prompt=lambda video: video["prompt"][:40])), UNDECIDED, AGAIN),
    "prompts cut short, with a word": (
        Oddity(row=row(prompt=lambda video: video["prompt"][:40] + ("..." if len(video["prompt"]) > 40 else ""))),
        UNDECIDED,
        AGAIN,
    ),
    "prompts escaped": (Oddity(row=row(prompt=lambda video: escape(video["prompt"]))), UNDECIDED, AGAIN),
    "prompts typeset": (Oddity(row=row(prompt=lambda video: re.sub(r'"(.+)"', r"“\1”", video["prompt"]))), UNDECIDED, AGAIN),
    "prompts of what is done": (
        Oddity(row=row(prompt=lambda video: video["prompt"] if "heron" in video["prompt"] else "")),
        UNDECIDED,
        AGAIN,
    ),
    "prompts cut": (Oddity(row=row(prompt=lambda video: video["prompt"][:70] + "…")), UNDECIDED, UNDECIDED),
    "prompts rewritten": (Oddity(row=row(prompt=lambda video: "Cinematic: " + video["prompt"])), UNDECIDED, UNDECIDED),
    "no prompts": (Oddity(row=row(prompt=...)), UNDECIDED, AGAIN),
    "prompts in an input": (
        Oddity(row=row(prompt=..., input=lambda video: {"prompt": video["prompt"]})),
        FOUND,
        AGAIN,
    ),
    "models with a snapshot": (Oddity(row=row(model="sora-2-2025-12-08")), FOUND, AGAIN),
    "models with a vendor": (Oddity(row=row(model="openai/Sora-2")), FOUND, AGAIN),
    "models by another name": (Oddity(row=row(model="vid-large")), UNDECIDED, UNDECIDED),
    "no models": (Oddity(row=row(model=...)), FOUND, AGAIN),
    "times in milliseconds": (Oddity(row=row(created_at=lambda video: video["created_at"] * 1000)), FOUND, AGAIN),
    "times as text": (
        Oddity(row=row(created_at=..., created=lambda video: iso(video["created_at"]))),
        FOUND,
        AGAIN,
    ),
    "no times": (Oddity(row=row(created_at=0)), FOUND, AGAIN),
    "a clock half an hour ahead": (Oddity(row=row(created_at=lambda video: video["created_at"] + 1800)), FOUND, AGAIN),
    "a clock three hours behind": (
        Oddity(row=row(created_at=lambda video: video["created_at"] - 3 * 3600)),
        UNDECIDED,
        AGAIN,
    ),
    "an envelope": (
        Oddity(
            create=lambda task: (200, {"code": 0, "data": task.video()}),
            listing=lambda rows, more: (200, {"code": 0, "data": {"items": rows, "has_more": more}}),
        ),
        FOUND,
        AGAIN,
    ),
    "always empty": (Oddity(listing=lambda rows, more: (200, {"data": [], "has_more": False})), UNDECIDED, UNDECIDED),
    "only what is done": (
        Oddity(page=lambda tasks, limit, after: newest_first([task for task in tasks if task.looks > 1], limit, after)),
        UNDECIDED,
        UNDECIDED,
    ),
    "only what is done, and ours is not": (
        Oddity(
            page=lambda tasks, limit, after: newest_first([task for task in tasks if "heron" in task.prompt], limit, after),
            row=row(status="completed"),
        ),
        UNDECIDED,
        UNDECIDED,
    ),
    "entries that are none": (
        Oddity(listing=lambda rows, more: (200, {"data": ["video_9", *rows], "has_more": more})),
        FOUND,
        UNDECIDED,
    ),
    "entries without an id": (
        Oddity(listing=lambda rows, more: (200, {"data": [{"status": "queued"}, *rows], "has_more": more})),
        FOUND,
        UNDECIDED,
    ),
    "lists of others, too": (Oddity(others=5), FOUND, AGAIN),
    "no list": (Oddity(listing=lambda rows, more: (404, {"detail": "Not Found"})), UNDECIDED, UNDECIDED),
    "a list that fails": (Oddity(listing=lambda rows, more: (500, {})), UNDECIDED, UNDECIDED),
    "a list of words": (Oddity(listing=lambda rows, more: (200, b"<html>Videos</html>")), UNDECIDED, UNDECIDED),
}


def overlapping(tasks: list[Task], limit: int, after: str | None) -> list[Task]:
    """Return pages that repeat the row of the cursor."""
    ordered = newest_first(tasks, len(tasks), None)
    ids = [str(task.id) for task in ordered]
    first = ids.index(after) if after in ids else 0
    page = ordered[first : first + limit]
    return [] if after and len(page) < 2 else page


def number_in(task: str) -> int:
    return int(b64decode(task.removeprefix("video_")).decode().rpartition("up_")[2])


def twice(tasks: list[Task]) -> list[Task]:
    return [task for task in tasks for _ in range(2)]


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class TestALostAnswer:
    @pytest.mark.parametrize("name", LISTS)
    def test_of_a_call_that_was_taken_is_found_or_left_to_a_person(self, gateway: Any, name: str) -> None:
        oddity, state, _ = LISTS[name]
        odd = gateway(oddity)
        job = with_a_lost_call(odd, taken=True)
        assert (job.state, odd.creates(PROMPT)) == (state, 1)
        review = open_review(job)
        assert (review is None) == (state == FOUND)
        seen = attempt_of(job).lookups[-1]
        assert bool(seen["took"]) == (state == FOUND)
        assert bool(seen["why_not"]) == (state == UNDECIDED)
        if state == FOUND:
            (task,) = [task for task in odd.tasks if task.prompt == PROMPT]
            assert attempt_of(job).remote_id == str(oddity.row(task.video())["id"])

    @pytest.mark.parametrize("name", LISTS)
    def test_of_a_call_that_was_not_taken_is_bought_again_on_proof_alone(self, gateway: Any, name: str) -> None:
        oddity, _, state = LISTS[name]
        odd = gateway(oddity)
        job = with_a_lost_call(odd, taken=False)
        assert (job.state, odd.creates(PROMPT)) == (state, 0)
        proofs = [seen["proof"] for seen in attempt_of(job).lookups if seen["none"]]
        assert len(proofs) == (2 if state == AGAIN else 0)
        assert all(proof["controls"] for proof in proofs)
        if state == UNDECIDED:
            assert attempt_of(job).lookups[-1]["why_not"]

    @pytest.mark.parametrize(("trusted", "state"), [(False, UNDECIDED), (True, AGAIN)])
    def test_without_a_known_task_beside_it_needs_somebodys_word(self, gateway: Any, trusted: bool, state: str) -> None:
        odd = gateway(Oddity(others=2))
        ProviderAccount.objects.filter(key="openai_videos").update(trusts_list=trusted)
        job = with_a_lost_call(odd, taken=False, controls=False)
        assert (job.state, odd.creates(PROMPT)) == (state, 0)

    @pytest.mark.parametrize(
        ("name", "state"),
        [
            ("plain", AGAIN),
            ("numbers for ids", AGAIN),
            ("has_more is always false", UNDECIDED),
            ("pages of its own size, no has_more", UNDECIDED),
            ("the first page is all there is", UNDECIDED),
            ("the cursor is ignored", UNDECIDED),
            ("always empty", UNDECIDED),
        ],
    )
    def test_of_the_first_call_of_an_account_is_bought_again_where_the_list_shows_its_end(
        self, gateway: Any, name: str, state: str
    ) -> None:
        odd = gateway(LISTS[name][0])
        assert self.first_call(odd, taken=False, then=0).state == state

    @pytest.mark.parametrize("taken", [True, False])
    def test_of_the_first_call_is_left_to_a_person_where_the_gateway_may_have_been_started_anew(
        self, gateway: Any, taken: bool
    ) -> None:
        """A gateway that has lost its list since then looks the same as one that never accepted the call."""
        odd = gateway(LISTS["plain"][0])
        assert self.first_call(odd, taken=taken, then=40).state == UNDECIDED

    @pytest.mark.parametrize("taken", [True, False])
    def test_is_left_to_a_person_where_what_was_there_before_is_gone(self, gateway: Any, taken: bool) -> None:
        odd = gateway(LISTS["plain"][0])
        bought(queued(prompt="A heron on the ice, long before."))
        pass_time(odd, 10 * 3600)
        assert self.first_call(odd, taken=taken, then=0).state == UNDECIDED

    @staticmethod
    def first_call(odd: OddGateway, *, taken: bool, then: float) -> Job:
        """Lose a first call's answer and the gateway's list, make other calls ``then`` seconds later, and run the lookups."""
        odd.loses, odd.drops = taken, not taken
        job = bought(queued(prompt=PROMPT))
        odd.starts_anew()
        pass_time(odd, then)
        for number in range(3):
            bought(queued(prompt=f"A heron on the ice, {number}."))
            pass_time(odd, 40)
        for _ in range(4):
            if fresh(job).state != "unknown":
                break
            worked(job)
            pass_time(odd, 130)
        assert odd.creates(PROMPT) == 0
        return fresh(job)

    def test_is_not_proved_by_somebodys_word_alone(self, gateway: Any) -> None:
        odd = gateway(LISTS["always empty"][0])
        ProviderAccount.objects.filter(key="openai_videos").update(trusts_list=True)
        assert with_a_lost_call(odd, taken=True, controls=False).state == UNDECIDED


def answers(*given: tuple[int, Any]) -> Callable[[Task], tuple[int, Any]]:
    """Return an answer function that gives these answers in order and repeats the last; ``None`` means the plain answer."""

    def say(task: Task) -> tuple[int, Any]:
        said = given[min(task.looks, len(given)) - 1] if task.looks else given[0]
        return said or (200, task.video())

    return say


def says(**fields: Any) -> Callable[[Task], tuple[int, Any]]:
    return lambda task: (200, task.video() | fields)


REPLICAS = Oddity(poll=lambda task: NOT_FOUND if task.looks % 2 else (200, task.video() | {"status": "running"}))
CREATES: dict[str, tuple[Oddity, str, str, bool]] = {
    # name: the oddity, the job's state after the create call, text in its error, whether the attempt counts
    "refused at once for its words": (
        Oddity(create=lambda task: (200, {"id": None, "status": "failed", "error": POLICY})),
        "failed",
        "rejected",
        True,
    ),
    "refused at once for money": (
        Oddity(create=lambda task: (200, {"id": None, "status": "failed"} | MONEY)),
        "queued",
        "",
        False,
    ),
    "refused at once for its input": (
        Oddity(create=lambda task: (200, {"error": {"type": "invalid_request_error", "message": "bad size"}})),
        "failed",
        "invalid_request_error",
        True,
    ),
    "refused at once, with an id beside it": (
        Oddity(create=lambda task: (200, {"id": "video_7", "status": "failed", "error": POLICY})),
        "failed",
        "rejected",
        True,
    ),
    "refused at once, with an empty id": (
        Oddity(create=lambda task: (200, {"id": "", "status": "failed", "error": POLICY})),
        "failed",
        "rejected",
        True,
    ),
    "refused at once for its words, and the id is 0": (
        Oddity(create=lambda task: (200, {"id": 0, "error": POLICY})),
        "failed",
        "rejected",
        True,
    ),
    "failed at once": (
        Oddity(create=lambda task: (200, {"id": None, "status": "FAILURE", "error": {"message": "upstream"}})),
        "queued",
        "",
        True,
    ),
    "400 for money": (Oddity(create=lambda task: (400, MONEY)), "queued", "", False),
    **{
        f"{status} for money, by a code beside the message": (
            Oddity(create=lambda task, status=status: (status, SHORT_OF_MONEY)),
            "queued",
            "",
            False,
        )
        for status in (200, 400, 403)
    },
    "403 for money": (Oddity(create=lambda task: (403, {"error": {"code": "insufficient_user_quota"}})), "queued", "", False),
    "an id of 9,000 letters": (Oddity(create=lambda task: (200, task.video() | {"id": "v" * 9000})), "unknown", "", False),
    "no id and no word": (Oddity(create=lambda task: (200, {"message": "ok"})), "unknown", "", False),
    "an error of no kind": (Oddity(create=lambda task: (200, {"error": {"message": "try later"}})), "unknown", "", False),
    "queued as 0": (Oddity(create=lambda task: (200, task.video() | {"id": 0, "status": "queued"})), "unknown", "", False),
    "an error of no kind, and the id is 0": (
        Oddity(create=lambda task: (200, {"id": 0, "error": {"message": "upstream hiccup"}})),
        "unknown",
        "",
        False,
    ),
    "no id, and the upstream was slow": (Oddity(create=lambda task: (200, {"status": "timed_out"})), "unknown", "", False),
    "no id, out of money by its state": (Oddity(create=lambda task: (200, {"status": "budget_exceeded"})), "queued", "", False),
    "a prompt about payment, sent back": (
        Oddity(
            create=lambda task: (422, {"detail": [{"msg": "Field required", "input": {"prompt": "A sign: payment required"}}]})
        ),
        "failed",
        "invalid_request",
        True,
    ),
}


@pytest.mark.parametrize("name", CREATES)
def test_an_odd_answer_to_a_create_call(gateway: Any, name: str) -> None:
    oddity, state, code, spent = CREATES[name]
    odd = gateway(oddity)
    job = bought(queued(prompt=PROMPT))
    assert (job.state, job.error_code, attempt_of(job).spent, odd.creates(PROMPT)) == (state, code, spent, 1)
    assert account_of(job).paused == ("money" in name)
    if "9,000" in name:
        review = open_review(job)
        assert review is not None and "9,000 characters" in review.what
        assert "v" * 9_000 in attempt_of(job).remote["unreadable"], "a person can look for it"


@pytest.mark.parametrize("id_of", [lambda number: f"video_{number}", lambda number: 770_000 + number])
def test_a_task_that_was_refused_at_once_is_not_taken_for_that_of_the_next_attempt(gateway: Any, id_of: Any) -> None:
    odd = gateway(Oddity(id=id_of, create=lambda task: (200, task.video() | {"status": "failed"})))
    job = bought(queued(prompt=PROMPT))
    assert (job.state, attempt_of(job).remote_id, attempt_of(job).outcome) == ("queued", str(id_of(1)), "not_accepted")
    Job.objects.filter(pk=job.pk).update(not_before=None)
    odd.loses = True
    assert bought(fresh(job)).state == "unknown"
    pass_time(odd, 40)
    assert (worked(job).state, attempt_of(job).remote_id) == ("running", str(id_of(2)))
    assert not job.events.filter(reason__contains="may be billed").exists()


def test_refusals_that_all_name_the_same_task_are_settled_alike(gateway: Any) -> None:
    gateway(Oddity(create=lambda task: (200, {"id": "video_7", "status": "failed", "error": POLICY})))
    assert [bought(queued(prompt=f"{PROMPT} {number}")).state for number in range(2)] == ["failed", "failed"]


STATES: dict[str, tuple[Oddity, list[str]]] = {
    # name: the oddity, and the job's state after each check, 50 s apart
    "done": (Oddity(poll=says(status="Done")), ["storing"]),
    "succeed": (Oddity(poll=says(status=" SUCCEED ")), ["storing"]),
    "in a word of its own field": (Oddity(poll=says(status=None, task_status="succeed")), ["storing"]),
    "in an envelope": (Oddity(poll=lambda task: (200, {"code": 200, "data": {"status": "completed"}})), ["storing"]),
    "in-progress": (Oddity(poll=says(status="In-Progress")), ["running"]),
    "FAILURE": (Oddity(poll=says(status="FAILURE", error={"message": "upstream"})), ["queued"]),
    "timeout": (Oddity(poll=says(status="timeout")), ["queued"]),
    "incomplete": (Oddity(poll=says(status="incomplete")), ["queued"]),
    "blocked": (Oddity(poll=says(status="blocked")), ["failed"]),
    "unknown, and there is a film": (Oddity(poll=says(status="cooked")), ["storing"]),
    "unknown, and there is none": (Oddity(poll=says(status="cooking"), content=lambda task: (404, {})), ["running"] * 4),
    "unknown, and a page in place of a film": (
        Oddity(poll=says(status="cooking"), content=lambda task: (200, b"<html>" + b"nope " * 20_000)),
        ["running"] * 4,
    ),
    "failed for money": (Oddity(poll=says(status="failed", error={"code": "insufficient_quota"})), ["queued"]),
    "budget_exceeded, for money": (Oddity(poll=says(status="budget_exceeded")), ["queued"]),
    "unknown, with an error and an end": (
        Oddity(poll=says(status="kaput", error={"message": "GPU"}, completed_at=1_800_000_000)),
        ["queued"],
    ),
    "unknown, with an error that stays": (
        Oddity(poll=says(status="kaput", error={"message": "GPU"}), content=lambda task: (404, {})),
        ["running", "queued"],
    ),
    "one 404": (Oddity(poll=answers(NOT_FOUND, None)), ["running", "storing"]),
    "404s for a minute": (Oddity(poll=answers(NOT_FOUND, NOT_FOUND, None)), ["running", "running", "storing"]),
    "404s for good": (Oddity(poll=lambda task: NOT_FOUND), ["running", "running", "running", "queued"]),
    "two replicas": (REPLICAS, ["running"] * 6),
    "a 404 of a proxy": (Oddity(poll=lambda task: (404, b"<html>nope</html>")), ["running"] * 4),
    "a failed video with a 500": (
        Oddity(poll=lambda task: (500, task.video() | {"status": "failed", "error": {"code": 500, "message": "OOM"}})),
        ["queued"],
    ),
    "a wrong key at the poll": (Oddity(poll=lambda task: (401, {"error": {"code": "invalid_api_key"}})), ["running"] * 3),
}


@pytest.mark.parametrize("name", STATES)
def test_an_odd_state(gateway: Any, name: str) -> None:
    oddity, states = STATES[name]
    odd = gateway(oddity)
    job = bought(queued(prompt=PROMPT))
    seen = []
    for _ in states:
        seen.append(worked(job).state)
        pass_time(odd, 50)
    assert (seen, odd.creates(PROMPT)) == (states, 1)
    assert job.events.filter(reason__startswith="The provider reported “").count() == name.startswith("unknown")
    assert account_of(job).paused == ("money" in name or "key" in name)
    assert seen[-1] != "queued" or attempt_of(job).spent != ("money" in name)


NOT_YET = {"error": {"message": "Task is not completed yet, current status: NOT_START"}}
CONTENTS: dict[str, tuple[int, Any]] = {
    "400 not completed yet": (400, NOT_YET),
    "404 not ready": (404, {"detail": "Video is not ready"}),
    "409 in progress": (409, {"error": "in progress"}),
    "404 not available yet": (404, {"message": "Video not available yet"}),
    "400 still being generated": (400, {"error": {"message": "The video is still being generated"}}),
    "202 and a state": (202, {"status": "processing"}),
    "200 and a state": (200, {"id": "video_1", "status": "rendering"}),
    "200 and words": (200, {"message": "not ready"}),
    "425": (425, {"error": "too early"}),
    "a running video": (404, {"object": "video", "status": "rendering"}),
    "a 500": (500, {}),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_film_that_is_not_there_yet_is_waited_for(gateway: Any, name: str) -> None:
    odd = gateway(Oddity(poll=says(status="completed"), content=lambda task: CONTENTS[name] if task.contents < 7 else None))
    job = worked(bought(queued(prompt=PROMPT)))
    for _ in range(6):  # twice the tries for a fault of the file itself
        job = worked(job)
        assert (job.state, job.store_tries) == ("storing", 0)
        pass_time(odd, 20)
    assert (worked(job).state, odd.creates(PROMPT)) == ("completed", 1)


@pytest.mark.parametrize(
    "said",
    [
        (200, {"status": "failed", "error": {"message": "generation failed"}}),
        (400, {"status": "failed", "prompt": "A still lake.", "error": {"message": "generation failed"}}),
        (404, {"detail": "Video file is gone", "prompt": "A still lake."}),
    ],
)
def test_a_film_that_will_never_be_there_is_not_waited_for(gateway: Any, said: tuple[int, Any]) -> None:
    odd = gateway(Oddity(poll=says(status="completed"), content=lambda task: said))
    job = worked(bought(queued(prompt=PROMPT)))
    for _ in range(3):
        job = worked(job)
        pass_time(odd, 40)
    assert (job.state, job.error_code, odd.creates(PROMPT)) == ("failed", "not_delivered", 1)


def test_the_table_is_no_shorter_than_it_was() -> None:
    assert len(LISTS) + len(CREATES) + len(STATES) + len(CONTENTS) >= 80
