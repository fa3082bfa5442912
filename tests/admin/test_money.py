"""Wallets, grants and the ledger: what they show, who may grant, and that a double click grants once."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from queue_app import clock, tickets
from queue_app.models import AuditEntry, LedgerTransaction, State, User, Wallet
from queue_app.ui import display
from tests.admin.conftest import StaffWith
from tests.factories import NOON, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
WALLETS, GRANT, LEDGER = "/admin/queue_app/wallet/", "/admin/queue_app/wallet/grant/", "/admin/queue_app/ledgertransaction/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def dita() -> User:
    return UserFactory(username="dita", tickets=120)


def text_of(answer: Any) -> str:
    return unescape(html_of(answer))


def preview(client: Client, **typed: str) -> str:
    return text_of(client.post(GRANT, {"user": "dita", "amount": "500", "reason": "spring budget", **typed}))


def key_of(page: str) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page)
    assert found
    return found[1]


def grants(owner: User) -> int:
    return LedgerTransaction.objects.filter(wallet__owner=owner, kind="grant").exclude(actor="tests").count()


class TestGrant:
    def test_first_shows_the_new_balance_and_moves_nothing(self, admin: Client, dita: User) -> None:
        page = preview(admin)
        for words in (
            "Grant 500 tickets to dita?",
            "Nothing changes until you confirm.",
            "120 tickets",
            "+500",
            "620 tickets",
            "spring budget",
        ):
            assert words in page, words
        assert tickets.balances(dita)["available"] == 120 and not AuditEntry.objects.exists()

    def test_then_grants_with_an_audit_entry(self, admin: Client, dita: User) -> None:
        page = preview(admin, key=key_of(preview(admin)))
        assert page == ""
        assert tickets.balances(dita)["available"] == 620
        entry = LedgerTransaction.objects.get(wallet__owner=dita, actor="ana")
        assert entry.reason == "spring budget"
        audit = AuditEntry.objects.get()
        assert (audit.action, audit.target, audit.reason) == ("grant tickets", "dita", "spring budget")
        assert audit.after == {"tickets": 500, "ledger": entry.key}
        assert (audit.target_model, audit.target_pk) == ("queue_app.wallet", str(entry.wallet_id))

    def test_pressed_twice_it_is_granted_and_audited_once(self, admin: Client, dita: User) -> None:
        key = key_of(preview(admin))
        for _ in range(3):
            answer = admin.post(GRANT, {"user": "dita", "amount": "500", "reason": "spring budget", "key": key}, follow=True)
        assert "No tickets were added twice" in text_of(answer)
        assert (tickets.balances(dita)["available"], grants(dita), AuditEntry.objects.count()) == (620, 1, 1)

    def test_each_preview_is_a_grant_of_its_own(self, admin: Client, dita: User) -> None:
        for _ in range(2):
            preview(admin, key=key_of(preview(admin)))
        assert tickets.balances(dita)["available"] == 1_120

    def test_a_user_without_a_wallet_gets_one(self, admin: Client) -> None:
        User.objects.create(username="new")
        preview(admin, user="new", key=key_of(preview(admin, user="new")))
        assert Wallet.objects.get(owner__username="new").available == 500

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"user": "nobody"}, "No user with this name."),
            ({"user": ""}, "Enter a username."),
            ({"amount": "0"}, "Enter a whole number"),
            ({"amount": "-5"}, "Enter a whole number"),
            ({"amount": "1000000001"}, "Enter a whole number"),
            ({"amount": "1.5"}, "Enter a whole number"),
            ({"amount": "lots"}, "Enter a whole number"),
            ({"reason": "  "}, "Enter a reason"),
        ],
    )
    def test_wrong_input_is_said_at_its_field_and_kept(self, admin: Client, dita: User, typed: dict[str, str], said: str) -> None:
        page = preview(admin, key="0" * 32, **typed)
        assert said in page
        assert 'value="spring budget"' in page or "reason" in typed
        assert grants(dita) == 0

    def test_can_be_changed_before_it_is_done(self, admin: Client, dita: User) -> None:
        page = preview(admin, key=key_of(preview(admin)), edit="1")
        assert 'name="amount" min="1" max="1000000000" required value="500"' in page and grants(dita) == 0

    def test_needs_the_right_to_move_tickets(self, staff_with: StaffWith, dita: User) -> None:
        _, client = staff_with("view_wallet", "operate_queue", "force_fail_job")
        assert client.get(GRANT).status_code == 403
        assert client.post(GRANT, {"user": "dita", "amount": "5", "reason": "x", "key": "0" * 32}).status_code == 403
        assert grants(dita) == 0
        for address in (WALLETS, f"{WALLETS}{dita.wallet.pk}/change/"):
            assert "Grant tickets" not in text_of(client.get(address))
        _, finance = staff_with("view_wallet", "move_tickets")
        for address in (WALLETS, f"{WALLETS}{dita.wallet.pk}/change/"):
            assert "Grant tickets…" in text_of(finance.get(address))

    def test_comes_by_post_with_a_token(self, admin: Client, dita: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = admin.cookies
        asked = {"user": "dita", "amount": "5", "reason": "x", "key": "0" * 32}
        assert strict.post(GRANT, asked).status_code == 403
        admin.get(GRANT, asked)
        assert grants(dita) == 0

    def test_hostile_text_is_text(self, admin: Client) -> None:
        owner = UserFactory(username=HOSTILE)
        asked = {"user": HOSTILE, "amount": "5", "reason": HOSTILE}
        pages = [admin.post(GRANT, asked), admin.get(GRANT, asked), admin.post(GRANT, {**asked, "amount": HOSTILE})]
        tickets.grant(owner, 5, at=NOON, actor=HOSTILE, reason=HOSTILE)
        pages += [admin.get(f"{WALLETS}{owner.wallet.pk}/change/"), admin.get(WALLETS), admin.get(LEDGER)]
        for answer in pages:
            assert answer.status_code == 200 and HOSTILE not in answer.content.decode()


class TestWallets:
    def test_list_tells_available_reserved_and_captured_of_30_days(self, admin: Client, dita: User) -> None:
        make_job(State.COMPLETED, owner=dita, tickets=8, at=clock.now())
        make_job(owner=dita, tickets=4, at=clock.now())
        make_job(State.COMPLETED, owner=dita, tickets=16, at=NOON.replace(year=2020))
        page = text_of(admin.get(WALLETS, {"q": "dit"}))
        for column, amount in (("available_now", 92), ("reserved_now", 4), ("captured", 8)):
            assert f'<td class="field-{column}">{amount}</td>' in page, column

    def test_list_asks_the_same_number_of_queries_however_many(self, admin: Client) -> None:
        def queries() -> int:
            admin.get(WALLETS)
            with CaptureQueriesContext(connection) as asked:
                admin.get(WALLETS)
            return len(asked)

        UserFactory()
        few = queries()
        for _ in range(5):
            make_job(State.COMPLETED)
        assert queries() == few <= 12

    def test_page_tells_the_last_movements(self, admin: Client, dita: User) -> None:
        job = make_job(State.COMPLETED, owner=dita, tickets=8, at=clock.now())
        tickets.refund(job, at=clock.now(), actor="ana", reason="logo misspelt", amount=3)
        page = text_of(admin.get(f"{WALLETS}{dita.wallet.pk}/change/"))
        told = ("Wallet of dita", "115", "Refund", "logo misspelt", "+3", "−8", "settle:", "3 refunded")
        for words in (*told, f"job {display.number(job.pk)}"):
            assert words in page, words

    def test_page_asks_a_fixed_number_of_queries(self, admin: Client, dita: User) -> None:
        def queries() -> int:
            address = f"{WALLETS}{dita.wallet.pk}/change/"
            admin.get(address)
            with CaptureQueriesContext(connection) as asked:
                admin.get(address)
            return len(asked)

        make_job(State.COMPLETED, owner=dita)
        few = queries()
        for _ in range(5):
            make_job(State.COMPLETED, owner=dita)
        assert queries() == few <= 12

    def test_nobody_edits_one(self, admin: Client, dita: User) -> None:
        address = f"{WALLETS}{dita.wallet.pk}/change/"
        admin.post(address, {"available": "9999"})
        assert tickets.balances(dita)["available"] == 120

    def test_needs_the_right_to_see(self, staff_with: StaffWith, dita: User) -> None:
        _, client = staff_with("view_job")
        assert client.get(f"{WALLETS}{dita.wallet.pk}/change/").status_code == 403
        assert client.get(f"{WALLETS}999999/change/").status_code == 403

    def test_of_what_is_not_there(self, admin: Client) -> None:
        for number in ("999999", "x", "9" * 30):
            assert admin.get(f"{WALLETS}{number}/change/").status_code in (302, 404)


class TestLedger:
    def found(self, client: Client, word: str) -> list[str]:
        return [row.kind for row in client.get(LEDGER, {"q": word}).context["cl"].result_list]

    def test_is_found_by_job_user_and_key(self, admin: Client, dita: User) -> None:
        job = make_job(State.COMPLETED, owner=dita)
        make_job(State.COMPLETED)
        assert self.found(admin, str(job.pk)) == ["capture", "reserve"]
        assert self.found(admin, "dita") == ["capture", "reserve", "grant"]
        assert self.found(admin, f"settle:{job.reservations.get().pk}") == ["capture"]
        assert self.found(admin, "nobody") == []

    def test_is_filtered_by_what_was_moved(self, admin: Client, dita: User) -> None:
        make_job(State.FAILED, owner=dita)
        rows = admin.get(LEDGER, {"kind__exact": "release"}).context["cl"].result_list
        assert [row.kind for row in rows] == ["release"]
