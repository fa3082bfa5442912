"""Bulk actions in the admin: drafted from the list or by address, shown before they are done, undone or stopped by a button."""

import re
from datetime import timedelta
from html import escape, unescape
from typing import Any

import pytest
from django.test import Client

from queue_app import tickets
from queue_app.models import AuditEntry, BulkAction, Job, ModelRoute, ProviderAccount, State, User, Wallet
from queue_app.ui.display import number
from queue_app.work import bulk
from queue_app.work.bulk.verbs import VERBS
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
Verb, Phase = BulkAction.Verb, BulkAction.Phase
LIST, BULK, ACTIONS = "/admin/queue_app/job/", "/admin/queue_app/job/bulk/", "/admin/queue_app/bulkaction/"
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""


def press(client: Client, verb: str, *jobs: Job, **fields: str) -> str:
    """Choose jobs in the list and press a button of the bar; gives the page that follows."""
    asked = {"action": verb, "_selected_action": [job.pk for job in jobs], **fields}
    return unescape(client.post(LIST, asked, follow=True).content.decode())


def post(client: Client, verb: str, **fields: str) -> str:
    return unescape(client.post(BULK, {"verb": verb, **fields}, follow=True).content.decode())


def step(client: Client, do: str, **fields: str) -> str:
    """Press a button of the last action's page."""
    address = f"{ACTIONS}{BulkAction.objects.latest('id').pk}/step/"
    return unescape(client.post(address, {"do": do, **fields}, follow=True).content.decode())


def run() -> BulkAction:
    """What a worker does once the wait is over."""
    action = BulkAction.objects.latest("id")
    BulkAction.objects.filter(pk=action.pk).update(starts_at=NOON)
    bulk.work(action.pk, may_go_on=lambda: True)
    action.refresh_from_db()
    return action


def states(*jobs: Job) -> list[str]:
    found = dict(Job.objects.values_list("pk", "state"))
    return [found[job.pk] for job in jobs]


class TestDraft:
    def test_of_what_is_chosen_in_the_list(self, admin: Client) -> None:
        job, _ = make_job(), make_job()
        assert "Cancel 1 job?" in press(admin, "cancel", job)
        action = BulkAction.objects.get()
        assert (action.phase, action.verb, action.job_ids, action.chosen) == (
            Phase.DRAFT,
            "cancel",
            [job.pk],
            "by hand",
        )

    def test_of_all_that_match_the_filters_and_the_search(self, admin: Client) -> None:
        wanted = [make_job(State.FAILED, prompt="A heron") for _ in range(60)]
        make_job(State.FAILED, prompt="A tram")
        make_job(prompt="A heron")
        fields = {"action": "retry", "_selected_action": [wanted[0].pk], "select_across": "1"}
        page = unescape(admin.post(f"{LIST}?status=failed&q=heron", fields, follow=True).content.decode())
        assert "Retry 60 jobs?" in page
        assert "Selected: <bdi>all jobs with status failed, text “heron”</bdi>." in page
        assert BulkAction.objects.get().job_ids == [job.pk for job in wanted]

    def test_by_numbers(self, admin: Client) -> None:
        jobs = [make_job(), make_job()]
        page = post(admin, "move_to_front", ids=f"x,{'9' * 40},,-1,٣,{jobs[1].pk},{jobs[0].pk}")
        assert "Move 2 jobs to the front?" in page

    def test_by_the_address_of_a_list(self, admin: Client) -> None:
        failed = [make_job(State.FAILED) for _ in range(3)]
        make_job(State.CANCELLED)
        assert "Retry 3 jobs?" in post(admin, "retry", query="?status=failed&error=provider_failed")
        assert BulkAction.objects.get().job_ids == [job.pk for job in failed]

    @pytest.mark.parametrize(
        "query",
        [
            "status=nonsense",
            "colour=blue",
            "batch__name__startswith=x%00",
            "q=nowhere",
            "user=%00",
            "q=%00",
            "status=queued&q=a%00b",
            "%00=",
            "a=1&" * 1_001,
            "&" * 1_001,
            "q=" + "x" * 17_000,
        ],
        ids=lambda query: query[:30],
    )
    def test_an_address_that_makes_no_sense_chooses_nothing(self, admin: Client, query: str) -> None:
        make_job()
        assert "No jobs selected" in post(admin, "cancel", query=query)
        assert not BulkAction.objects.exists()

    @pytest.mark.parametrize("fields", [{"verb": "explode", "ids": "1"}, {"verb": "cancel"}, {}, {"verb": "cancel", "ids": ""}])
    def test_what_is_no_order_leads_back_to_the_list(self, admin: Client, fields: dict[str, str]) -> None:
        answer = admin.post(BULK, fields)
        assert answer.status_code == 302 and answer.headers["Location"] == LIST
        assert admin.get(BULK, fields).status_code == 302

    def test_a_reason_and_a_priority_come_along(self, admin: Client) -> None:
        page = post(admin, "set_priority", ids=str(make_job().pk), priority="20", reason="the client waits")
        assert 'value="the client waits"' in page and '<option value="20" selected>Urgent</option>' in page

    def test_a_look_changes_nothing(self, admin: Client) -> None:
        job = make_job()
        press(admin, "force_fail", job)
        address = f"{ACTIONS}{BulkAction.objects.get().pk}/"
        for path in ("change/", "step/", "step/?do=confirm&reason=x"):
            admin.get(address + path)
        assert BulkAction.objects.get().phase == Phase.DRAFT and states(job) == ["queued"]

    @pytest.mark.parametrize("verb", list(Verb))
    def test_each_verb_needs_its_right(self, staff_with: StaffWith, verb: Verb) -> None:
        job = make_job()
        right = {Verb.FORCE_FAIL: "force_fail_job", Verb.REFUND: "move_tickets"}.get(verb, "operate_queue")
        for one in ("operate_queue", "force_fail_job", "move_tickets"):
            _, clerk = staff_with("view_job", one)
            listed = f'value="{verb}"' in clerk.get(LIST).content.decode()
            status = clerk.post(BULK, {"verb": verb, "ids": str(job.pk)}).status_code
            press(clerk, verb, job)
            assert (listed, status) == ((True, 302) if one == right else (False, 403)), one
        assert BulkAction.objects.count() == 2  # both ways of the one who may

    def test_confirming_needs_the_right_too(self, admin: Client, staff_with: StaffWith) -> None:
        job = make_job()
        press(admin, "cancel", job)
        _, looker = staff_with("view_job", "view_bulkaction")
        page = looker.get(f"{ACTIONS}{BulkAction.objects.get().pk}/change/").content.decode()
        assert "You don't have permission to confirm this" in page and 'value="confirm"' not in page
        assert looker.post(f"{ACTIONS}{BulkAction.objects.get().pk}/step/", {"do": "confirm"}).status_code == 403
        assert BulkAction.objects.get().phase == Phase.DRAFT


class TestPreview:
    def test_of_a_cancel(self, admin: Client) -> None:
        jobs = [make_job(one, tickets=4) for one in (State.QUEUED, State.QUEUED, State.RUNNING, State.UNKNOWN, State.COMPLETED)]
        page = press(admin, "cancel", *jobs)
        for words in (
            "Cancel 5 jobs?",
            "Nothing changes until you confirm",
            "8 tickets are returned</b> to 2 wallets now",
            "and up to 8 more when running jobs stop",
            "$4.00",
            "Cancel 4 jobs",
            "0 saving, 0 already cancelling, 1 finished",
            "2 queued, 1 running, 1 outcome unknown, 1 completed",
        ):
            assert words in page, words
        assert states(*jobs) == ["queued", "queued", "running", "unknown", "completed"]

    def test_of_a_cancel_where_a_provider_has_none(self, admin: Client, settings: Any) -> None:
        preview = make_job(State.RUNNING)
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-12345678"}
        ProviderAccount.objects.filter(key="openai_videos").update(base_url="https://vendor.example")
        page = press(admin, "cancel", preview, *(make_job(State.RUNNING) for _ in range(2)))
        assert re.search(r">1</span>\s*<span><b>cancelling at the provider", page)
        assert re.search(r">2</span>\s*<span><b>can't be stopped</b>.*Delivered jobs are charged", page)
        assert 'name="refund"' in page
        assert 'name="refund"' not in press(admin, "cancel", preview), "it can be stopped"

    def test_of_a_cancel_offers_a_promise_of_a_refund_to_those_who_may_refund(
        self, admin: Client, staff_with: StaffWith, settings: Any
    ) -> None:
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-12345678"}
        ProviderAccount.objects.filter(key="openai_videos").update(base_url="https://vendor.example")
        job = make_job(State.RUNNING)
        _, operator = staff_with("operate_queue", "view_job", "view_bulkaction")
        assert 'name="refund"' not in press(operator, "cancel", job)
        press(admin, "cancel", job)
        page = step(admin, "confirm", refund="1")
        assert "Enter a reason for the refund" in page and 'name="refund" value="1" checked' in page
        page = step(admin, "confirm", refund="1", reason="the client left")
        assert "refund if delivered" in page
        run()
        page = admin.get(f"/admin/queue_app/job/{job.pk}/change/").content.decode()
        assert re.search(r"then refunded \(promised by \w+\)", page)

    def test_of_a_retry_with_a_wallet_that_does_not_hold_enough(self, admin: Client) -> None:
        owner = UserFactory(tickets=8, username="poor")
        jobs = [make_job(State.FAILED, owner=owner, tickets=4, parameters={"duration": 8, "aspect_ratio": "16:9"}) for _ in "ab"]
        page = press(admin, "retry", *jobs, make_job())
        for words in ("Retry 3 jobs?", "16 tickets will be reserved</b> from 1 wallet", "poor has 8 of 16", "Retry 2 jobs"):
            assert words in page, words

    def test_of_a_retry_of_what_nobody_offers_any_more(self, admin: Client) -> None:
        owner = UserFactory()
        jobs = [make_job(State.FAILED, owner=owner, model_id=one) for one in ("sora-2", "sora-2", "kling-1.6")]
        ModelRoute.objects.filter(model="kling-1.6").update(active=False)
        page = press(admin, "retry", *jobs)
        for words in ("kling-1.6: no provider right now", "unchanged", "8 tickets will be reserved", "Retry 2 jobs<"):
            assert words in page, words
        step(admin, "confirm")
        assert run().results == {"queued": 2, "refused": 1}

    def test_of_a_retry_after_the_deadline(self, admin: Client) -> None:
        late, again = make_job(State.FAILED, deadline=NOON), make_job(State.CANCELLED)
        page = press(admin, "retry", late, again)
        for words in (
            "Past the deadline. Submit a new job with a later deadline.",
            "4 tickets will be reserved",
            "Retry 1 job<",
        ):
            assert words in page, words
        step(admin, "confirm")
        assert run().results == {"queued": 1, "refused": 1}
        assert states(late, again) == ["failed", "queued"]

    def test_of_a_set_priority(self, admin: Client) -> None:
        page = press(admin, "set_priority", make_job(), make_job(priority=10), make_job(State.RUNNING))
        for words in (
            "Set the priority of 3 jobs?",
            "Now: 1 high, 1 normal.",
            "Set priority of 2 jobs",
            'name="priority"',
        ):
            assert words in page, words

    def test_a_set_priority_offers_high_until_something_else_is_asked(self, admin: Client) -> None:
        assert '<option value="10" selected>High</option>' in press(admin, "set_priority", make_job())

    def test_of_a_move_to_the_front(self, admin: Client) -> None:
        page = press(admin, "move_to_front", make_job(), make_job(), make_job(model_id="kling-1.6"), make_job(State.FAILED))
        for words in ("Move 4 jobs to the front?", "2 of sora-2, 1 of kling-1.6", "Move 3 jobs to the front", "unchanged"):
            assert words in page, words

    def test_of_a_clear(self, admin: Client) -> None:
        page = press(admin, "clear_completed", make_job(State.COMPLETED), make_job(State.FAILED), make_job())
        for words in ("Clear 3 jobs?", "hidden from the list", "Not finished yet", "Clear 2 jobs"):
            assert words in page, words

    def test_of_a_force_fail(self, admin: Client) -> None:
        jobs = [make_job(one, tickets=4) for one in (State.QUEUED, State.RUNNING, State.STORING, State.COMPLETED)]
        page = press(admin, "force_fail", *jobs)
        for words in (
            "Force-fail 4 jobs?",
            "<b>abandoned</b>",
            "failed after delivery",
            "12 tickets are returned</b> to 3 wallets now",
            "$4.00",
            "Force-fail 3 jobs",
            "required, saved in",
        ):
            assert words in page, words

    def test_of_a_refund(self, admin: Client) -> None:
        paid, given, failed = make_job(State.COMPLETED, tickets=8), make_job(State.COMPLETED, tickets=4), make_job(State.FAILED)
        tickets.refund(given, at=NOON, actor="ana", reason="bad")
        page = press(admin, "refund", paid, given, failed)
        for words in (
            "Refund 3 jobs?",
            "8 tickets are refunded</b> to 1 wallet",
            "Refund 1 job<",
            "Less than 1 ticket left to refund",
            "Only completed jobs are charged",
        ):
            assert words in page, words
        page = post(admin, "refund", ids=f"{paid.pk},{given.pk}", tickets="5")
        assert "5 tickets per job" in page and "5 tickets are refunded" in page

    def test_of_a_refund_is_shown_anew_for_an_amount_that_was_typed(self, admin: Client) -> None:
        press(admin, "refund", make_job(State.COMPLETED, tickets=4), make_job(State.COMPLETED, tickets=8))
        page = step(admin, "confirm", tickets="5", reason="bad frames")
        for words in ("Not confirmed yet.", "5 tickets per job", "5 tickets are refunded", "Refund 1 job<", 'value="bad frames"'):
            assert words in page, words
        assert BulkAction.objects.get().phase == Phase.DRAFT
        assert "Starts in" in step(admin, "confirm", tickets="5", reason="bad frames")
        assert run().results == {"refunded": 1, "refused": 1}

    def test_of_a_refund_refuses_more_than_was_charged(self, admin: Client) -> None:
        press(admin, "refund", make_job(State.COMPLETED, tickets=4))
        page = step(admin, "confirm", tickets="999", reason="bad frames")
        assert "Tickets per job must be a whole number from 1 to 4, not “999”." in page
        assert "4 tickets are refunded" in page and 'value="999"' in page
        assert (BulkAction.objects.get().phase, BulkAction.objects.get().options) == (Phase.DRAFT, {})

    def test_where_nothing_can_be_done_there_is_no_button(self, admin: Client) -> None:
        page = press(admin, "cancel", make_job(State.COMPLETED))
        assert "None of these jobs can be changed this way" in page and 'value="confirm"' not in page

    @pytest.mark.parametrize("verb", list(Verb))
    def test_a_hostile_prompt_is_text(self, admin: Client, verb: Verb) -> None:
        text = admin.post(
            BULK,
            {
                "verb": verb,
                "ids": str(make_job(State.FAILED, prompt=HOSTILE, batch=BatchFactory(name=HOSTILE)).pk),
                "reason": HOSTILE,
            },
            follow=True,
        ).content.decode()
        assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text and "<img src=x" not in text


class TestRun:
    def test_confirmed_it_waits_and_can_be_undone(self, admin: Client) -> None:
        job = make_job()
        press(admin, "cancel", job)
        page = step(admin, "confirm", reason="wrong brief")
        assert "Starts in" in page and "Run now" in page and "“<bdi>wrong brief</bdi>”" in page
        strip = admin.get(LIST).content.decode()
        for shown in (page, strip):  # read out once: what counts down beside it is hidden from screen readers
            assert re.search(r'<span aria-hidden="true">[Ss]tarts in <b data-until', shown, re.I)
            assert re.search(r'<span class="gq-vh">[Ss]tarts in a few seconds', shown)
        assert "Undone. No jobs were changed." in step(admin, "undo")
        assert states(job) == ["queued"]
        assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["cancel jobs", "cancel jobs: undone"]

    def test_run_reports_what_became_of_each(self, admin: Client) -> None:
        queued, running, done = make_job(tickets=4), make_job(State.RUNNING), make_job(State.COMPLETED)
        press(admin, "cancel", queued, running, done)
        step(admin, "confirm", reason="wrong brief")
        step(admin, "run_now")
        run()
        page = unescape(admin.get(f"{ACTIONS}{BulkAction.objects.get().pk}/change/").content.decode())
        for words in (
            "3 of 3 jobs, 100%",
            f'/job/{done.pk}/change/">{number(done.pk)}</a>',
            "too late to cancel",
        ):
            assert words in page, words
        assert states(queued, running, done) == ["cancelled", "cancelling", "completed"]
        assert Wallet.objects.get(owner=queued.owner).reserved == 0
        assert "1 cancelled, 1 cancelling, 1 skipped" in admin.get(LIST).content.decode()

    def test_retry_reports_each_refusal(self, admin: Client) -> None:
        failed, queued = make_job(State.FAILED), make_job()
        press(admin, "retry", failed, queued)
        step(admin, "confirm")
        assert run().results == {"queued": 1, "refused": 1}
        page = unescape(admin.get(f"{ACTIONS}{BulkAction.objects.get().pk}/change/").content.decode())
        assert "You can only retry failed or cancelled jobs" in page
        assert states(failed) == ["queued"]

    def test_aborted_on_the_way(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(VERBS[Verb.CANCEL], "chunk", 1)
        jobs = [make_job(), make_job()]
        press(admin, "cancel", *jobs)
        step(admin, "confirm")
        BulkAction.objects.update(starts_at=NOON)
        bulk.work(BulkAction.objects.get().pk, may_go_on=lambda: False)
        assert "1 of 2 jobs, 50%" in admin.get(f"{ACTIONS}{BulkAction.objects.get().pk}/change/").content.decode()
        assert "Stopped: finished jobs stay changed" in step(admin, "abort")
        assert states(*jobs) == ["cancelled", "queued"]

    def test_an_error_keeps_what_was_typed(self, admin: Client) -> None:
        press(admin, "set_priority", make_job())
        page = step(admin, "confirm", priority="soon", reason="the client waits")
        assert "Priority must be a whole number" in page and 'value="the client waits"' in page
        assert BulkAction.objects.get().phase == Phase.DRAFT
        press(admin, "force_fail", make_job())
        assert "Enter a reason" in step(admin, "confirm", reason=" ")

    def test_too_late_is_said(self, admin: Client) -> None:
        press(admin, "cancel", make_job())
        step(admin, "confirm")
        run()
        assert "It is not waiting to start. Status: done." in step(admin, "undo")
        assert "Already confirmed. Status: done." in step(admin, "confirm")

    def test_goes_on_where_it_was_asked_and_nowhere_else(self, admin: Client) -> None:
        press(admin, "cancel", job := make_job())
        address = f"{ACTIONS}{BulkAction.objects.get().pk}/step/"
        answer = admin.post(address, {"do": "confirm", "next": f"{LIST}?status=queued"})
        assert answer.headers["Location"] == f"{LIST}?status=queued"
        for unreadable in ("a=1&" * 1_001, "q=" + "x" * 17_000, "q=" + "🦊" * 1_900, "q=%00"):
            answer = admin.post(address, {"do": "undo", "next": "", "jobs": unreadable})
            assert (answer.status_code, answer.headers.get("Location")) == (302, LIST), unreadable[:20]
            answer = admin.post(address, {"do": "undo", "jobs": unreadable})
            assert (answer.status_code, answer.headers.get("Location")) == (302, address.replace("step", "change")), unreadable[
                :20
            ]
            for verb, came in (("cancel", f"{ACTIONS}{BulkAction.objects.latest('id').pk + 1}/change/"), ("x", LIST)):
                answer = admin.post(BULK, {"verb": verb, "ids": str(job.pk), "jobs": unreadable})
                assert (answer.status_code, answer.headers.get("Location")) == (302, came), unreadable[:20]
        for elsewhere in (
            "https://elsewhere.example/",
            "//elsewhere.example/",
            "foo",
            "javascript:alert(1)",
            "",
            "/\\elsewhere",
            "/" + " " * 17_000 + "x",
        ):
            answer = admin.post(address, {"do": "undo", "next": elsewhere, "jobs": "status=queued"})
            assert answer.headers["Location"] == f"{LIST}?status=queued", elsewhere

    def test_every_way_back_to_the_jobs_keeps_the_filters_of_the_list(self, admin: Client) -> None:
        job, query = make_job(prompt="A heron & a fox"), "q=heron+%26+a&status=queued"
        back = f'href="{LIST}?{escape(query)}"'
        chosen = admin.post(f"{LIST}?{query}", {"action": "cancel", "_selected_action": [job.pk]}, follow=True)
        assert chosen.content.decode().count(back) == 2  # the way up and the way out
        confirmed = admin.post(f"{ACTIONS}{BulkAction.objects.get().pk}/step/", {"do": "confirm", "jobs": query}, follow=True)
        assert confirmed.content.decode().count(back) == 2
        htmx = admin.get(confirmed.redirect_chain[-1][0], headers={"HX-Request": "true"})
        assert htmx.content.decode().count(back) == 1
        strip = admin.get(f"{LIST}?{query}").content.decode()
        assert f'name="next" value="{LIST}?{escape(query)}"' in strip  # of its undo
        refused = admin.post(f"{LIST}?{query}", {"action": "cancel", "_selected_action": [10**9]})
        assert refused.headers["Location"] == f"{LIST}?{query}"

    def test_a_job_opened_from_a_filtered_list_leads_back_to_it(self, admin: Client) -> None:
        job = make_job()
        page = admin.get(f"{LIST}{job.pk}/change/", {"_changelist_filters": "status=queued"}).content.decode()
        assert f'href="{LIST}?status=queued"' in page and 'name="jobs" value="status=queued"' in page
        preview = post(admin, "cancel", ids=str(job.pk), jobs="status=queued")
        assert preview.count(f'href="{LIST}?status=queued"') == 2

    def test_a_draft_that_is_gone_is_said(self, admin: Client) -> None:
        assert "it was not confirmed within 24 hours" in unescape(
            admin.post(f"{ACTIONS}999/step/", {"do": "confirm"}, follow=True).content.decode()
        )

    def test_its_page_is_shown_after_its_list_of_jobs_is_gone(self, admin: Client) -> None:
        press(admin, "clear_completed", make_job(State.COMPLETED), make_job())
        step(admin, "confirm")
        action = run()
        bulk.prune(at=action.ended_at + bulk.JOBS_KEPT + timedelta(seconds=1))  # type: ignore[operator]
        text = unescape(admin.get(f"{ACTIONS}{action.pk}/change/").content.decode())
        assert "2 of 2 jobs, 100%" in text and "The list of skipped jobs was deleted after 30 days." in text

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_the_page_answers_204_while_nothing_changed(self, admin: Client) -> None:
        press(admin, "cancel", make_job())
        step(admin, "confirm")
        address, htmx = f"{ACTIONS}{BulkAction.objects.get().pk}/change/", {"HX-Request": "true"}
        token = re.search(r'name="seen" value="(\w+)"', admin.get(address).content.decode())[1]  # type: ignore[index]
        assert admin.get(address, {"seen": token}, headers=htmx).status_code == 204
        run()
        assert b"1 of 1 jobs" in admin.get(address, {"seen": token}, headers=htmx).content


class TestList:
    def test_shows_all_actions_and_writes_none(self, admin: Client, staff_with: StaffWith) -> None:
        press(admin, "cancel", make_job())
        step(admin, "confirm", reason="wrong brief")
        run()
        page = unescape(admin.get(ACTIONS).content.decode())
        for words in ("Cancel 1 job", "Done", "1 cancelled", "wrong brief", "ana"):
            assert words in page, words
        address = f"{ACTIONS}{BulkAction.objects.get().pk}/"
        assert admin.get(f"{ACTIONS}add/").status_code == 403
        assert admin.post(f"{address}delete/", {"post": "yes"}).status_code == 403
        assert admin.post(f"{address}change/", {"phase": "draft"}).status_code == 403
        assert BulkAction.objects.get().phase == Phase.DONE

    def test_is_for_those_with_the_right_to_see_it(self, staff_with: StaffWith) -> None:
        _, clerk = staff_with("view_job")
        assert clerk.get(ACTIONS).status_code == 403


def test_the_one_who_confirms_is_the_actor(admin: Client, staff_with: StaffWith) -> None:
    job = make_job()
    press(admin, "cancel", job)
    bo, operator = staff_with("view_job", "operate_queue")
    step(operator, "confirm")
    run()
    assert isinstance(bo, User) and job.events.latest("seq").actor == bo.username
