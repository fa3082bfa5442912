"""Many pages from a CSV: errors by row and column, corrected in place, ready rows never blocked by wrong ones."""

import csv
import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.actions import Offer
from campaigns.models import CatalogueRow, Page, PageDraft
from campaigns.writing import drafts, launch, sheets
from queue_app import clock
from queue_app.models import Batch, Job, User, Wallet
from tests.campaigns.test_page import text_of
from tests.campaigns.written import SHOES, make_page
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
MANY, LOOK = "/pages/new/many/", "/pages/new/many/look/"
HEADER = "page_type,target_url,keywords,language,deadline,monthly_searches,product.name,product.attributes.Weight"
HEADER += ",product.attributes.Drop,product.attributes.Lugs\n"
FACTS = "Fell,240 g,6 mm,5 mm"


def line(
    number: int, *, kind: str = "product", url: str = "", language: str = "en", deadline: str = "", searches: str = "900"
) -> str:
    address = url or f"https://nordfell.no/en/{number}"
    return f"{kind},{address},fell shoes {number}; grip,{language},{deadline},{searches},{FACTS}\n"


DAMAGED = (
    HEADER
    + line(2)
    + line(3, kind="prodact")
    + line(4, url="nordfell.no/en/gaiter-2")
    + line(5, language="xx", deadline="2020-11-02")
    + line(6, searches="lots")
    + line(7)
)


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=5_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def upload(web: Client, text: str, name: str = "pages-spring.csv") -> str:
    answer = web.post(MANY, {"do": "read", "file": SimpleUploadedFile(name, text.encode(), content_type="text/csv")})
    assert answer["Location"] == MANY, html_of(answer)
    return page(web)


def page(web: Client, query: str = "") -> str:
    return html_of(web.get(MANY + query))


def hidden(shown: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', shown)
    return {name: html.unescape(value) for name, value in found}


def rows(shown: str) -> dict[int, str]:
    """What each row says."""
    found = re.findall(r'<tr id="row-(\d+)".*?</tr>', shown)
    return {int(one): html.unescape(text_of(re.findall(rf'<tr id="row-{one}".*?</tr>', shown)[0])) for one in found}


def inputs(shown: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r' name="(cell\.[^"]+)" value="([^"]*)"', shown)}


def post(web: Client, shown: str, do: str, *, live: bool = False, **changed: str) -> Any:
    sent = {**hidden(shown), **inputs(shown), **changed, "do": do}
    return web.post(LOOK if live else MANY, sent, headers={"HX-Request": "true"} if live else {})


class TestAFile:
    def test_shows_wrong_fields_as_inputs_with_the_reason(self, web: Client) -> None:
        shown = upload(web, DAMAGED)

        assert "pages-spring.csv 6 rows, UTF-8, comma" in text_of(shown)
        assert "2 rows are ready, 4 need a change. Edit them here or in the file. Nothing is generated yet." in text_of(shown)
        said = rows(shown)
        assert list(said) == [3, 4, 5, 6]
        assert "Unknown page type. Did you mean product?" in said[3]
        assert "https://" in said[4]
        assert "Unknown language" in said[5] and "The deadline has passed." in said[5]
        assert "Searches a month" in said[6] and "Enter a whole number" in said[6]
        assert inputs(shown) == {
            "cell.3.page_type": "prodact",
            "cell.4.target_url": "nordfell.no/en/gaiter-2",
            "cell.5.language": "xx",
            "cell.5.deadline": "2020-11-02",
            "cell.6.monthly_searches": "lots",
        }
        assert "fell shoes 3" in said[3] and "grip" not in said[3]  # the main keyword alone
        assert not Job.objects.exists()

    def test_of_pasted_rows_and_the_template_can_be_read(self, web: Client) -> None:
        template = web.get("/pages/new/many/template.csv")
        assert template["Content-Disposition"] == 'attachment; filename="pages-template.csv"'
        answer = web.post(MANY, {"do": "read", "pasted": template.content.decode("utf-8-sig").replace(",", ",")})
        assert answer.status_code == 302
        assert "Pasted rows" in page(web) and "need a change" not in page(web)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "The file is empty. Start from the template."),
            (b"PK\x03\x04rest", "an Excel workbook"),
            (b"typ,url\na,b\n", "Add a column"),
        ],
    )
    def test_that_cannot_be_read_says_why_and_keeps_the_rows_of_before(self, web: Client, data: bytes, said: str) -> None:
        upload(web, DAMAGED)
        answer = web.post(MANY, {"do": "read", "file": SimpleUploadedFile("bad.csv", data)})
        assert answer.status_code == 422 and said in html.unescape(text_of(html_of(answer)))
        assert "pages-spring.csv" in page(web)

    def test_survives_a_reload_and_can_be_discarded(self, web: Client) -> None:
        shown = upload(web, DAMAGED)
        assert rows(page(web)) == rows(shown)
        discard = "/pages/new/discard/many/"
        assert "pages-spring.csv, 6 rows" in text_of(html_of(web.get(discard)))
        web.post(discard, hidden(shown))
        assert "Choose a CSV file" in page(web)

    def test_is_nobody_elses(self, web: Client, client_for: Login) -> None:
        shown = upload(web, DAMAGED)
        other = client_for(UserFactory(staff=True))
        answer = other.post(MANY, {**hidden(shown), **inputs(shown), "do": "generate"})
        assert answer.status_code == 409 and not Job.objects.exists()
        assert "Choose a CSV file" in html_of(answer)


class TestACorrection:
    def test_makes_a_row_ready_and_is_kept(self, web: Client) -> None:
        shown = upload(web, DAMAGED)
        live = html_of(post(web, shown, "", live=True, **{"cell.3.page_type": "product"}))
        assert list(rows(live)) == [4, 5, 6] and "3 rows are ready, 3 need a change" in text_of(live)
        assert "Generate 3 pages" in text_of(live)
        assert list(rows(page(web))) == [4, 5, 6]
        assert list(rows(page(web, "?show=all"))) == [2, 3, 4, 5, 6, 7]

    def test_can_fill_a_column_that_the_file_does_not_have(self, web: Client) -> None:
        shown = upload(web, "page_type,target_url,keywords,language\nguide,https://nordfell.no/lace,lacing,en\n")
        assert "A guide needs facts to explain" in rows(shown)[2]
        name = re.findall(r'<textarea[^>]* name="(cell\.2\.brief)"', shown)[0]
        live = html_of(post(web, shown, "", live=True, **{name: "Lacing keeps the heel in place. " * 8}))
        assert "1 row is ready." in text_of(live)

    def test_of_rows_of_another_file_changes_nothing(self, web: Client) -> None:
        old = upload(web, DAMAGED)
        upload(web, HEADER + line(2, kind="prodact"), "other.csv")
        answer = post(web, old, "generate", **{"cell.3.page_type": "product"})
        assert "Another file was opened in another tab." in text_of(html_of(answer))
        assert not Job.objects.exists() and PageDraft.objects.get().body["rows"][0][1][0] == "prodact"

    def test_can_be_to_remove_the_row(self, web: Client) -> None:
        shown = upload(web, DAMAGED)
        after = html_of(post(web, shown, "", remove="5"))
        assert list(rows(after)) == [3, 4, 6]

    def test_that_removes_the_last_row_discards_the_draft(self, web: Client) -> None:
        shown = upload(web, HEADER + line(2, kind="prodact"))
        assert post(web, shown, "", remove="2")["Location"] == MANY
        after = text_of(page(web))
        assert "The last row was removed. Choose another file." in after and "Choose a CSV file" in after
        assert not PageDraft.objects.exists()

    def test_in_a_file_starts_from_the_wrong_rows_with_reasons(self, web: Client) -> None:
        upload(web, DAMAGED)
        answer = web.get("/pages/new/many/wrong.csv")
        assert answer["Content-Disposition"] == 'attachment; filename="pages-spring-to-change.csv"'
        text = answer.content.decode("utf-8-sig")
        found = list(csv.DictReader(io.StringIO(text)))
        assert [one["page_type"] for one in found] == ["prodact", "product", "product", "product"]
        assert "Unknown page type" in found[0]["reasons"]
        again = upload(web, text.replace("prodact", "product"))
        assert "1 row is ready, 3 need a change" in text_of(again)


class TestALaunch:
    def test_queues_the_ready_rows_in_one_batch_and_keeps_the_others(self, web: Client, owner: User) -> None:
        CatalogueRow.objects.create(owner=owner, sku="F-1", name="Fell 1", data=SHOES[0], changed_at=NOON)
        shown = upload(web, DAMAGED)
        answer = post(web, shown, "generate")
        batch = Batch.objects.get()
        assert answer["Location"] == f"/pages/batches/{batch.pk}/"
        assert (batch.name, batch.owner, batch.origin) == ("pages-spring.csv", owner, "batch")
        jobs = list(Job.objects.filter(batch=batch).order_by("id"))
        assert [job.metadata["target_url"] for job in jobs] == ["https://nordfell.no/en/2", "https://nordfell.no/en/7"]
        assert [page.version for page in Page.objects.filter(job__in=jobs)] == [1, 1]
        assert Wallet.objects.get(owner=owner).available == 5_000 - sum(job.tickets for job in jobs)
        assert list(rows(page(web))) == [3, 4, 5, 6]

        again = post(web, shown, "generate")  # a double click, a reload, or back and again
        assert again["Location"] == f"/pages/batches/{batch.pk}/" and Job.objects.count() == 2

    @pytest.mark.parametrize(
        ("late", "live", "said"),
        [
            ({}, False, "These pages were already queued. No duplicates were created."),
            ({"cell.3.page_type": "guide"}, False, "Your last changes came too late and were not saved."),
            ({}, True, "2 pages are queued."),
            ({"cell.3.page_type": "guide"}, True, "Your last changes came too late and were not saved."),
        ],
    )
    def test_that_overtakes_another_request_of_its_rows_leads_both_to_the_batch(
        self, web: Client, monkeypatch: pytest.MonkeyPatch, late: dict[str, str], live: bool, said: str
    ) -> None:
        shown = upload(web, DAMAGED)
        change = sheets.changed

        def overtaken(*asked: Any, **more: Any) -> Any:
            monkeypatch.setattr(sheets, "changed", change)
            assert post(web, shown, "generate").status_code == 302
            return change(*asked, **more)

        monkeypatch.setattr(sheets, "changed", overtaken)
        answer = post(web, shown, "generate", live=live, **late)

        batch = Batch.objects.get()
        assert answer["HX-Redirect" if live else "Location"] == f"/pages/batches/{batch.pk}/" and Job.objects.count() == 2
        assert said in text_of(html_of(web.get(f"/pages/batches/{batch.pk}/")))
        assert list(rows(page(web))) == [3, 4, 5, 6]

    def test_of_a_draft_that_another_tab_changes_or_discards_meanwhile_makes_what_was_pressed_or_nothing(
        self, web: Client, owner: User
    ) -> None:
        upload(web, HEADER + line(2) + line(3))
        first, second = drafts.open_of(owner, drafts.MANY), drafts.open_of(owner, drafts.MANY)
        assert first and second
        second = drafts.save(owner, drafts.MANY, sheets.changed(second.body, {}, without=[3]), draft=second.pk, at=NOON)

        def write(draft: PageDraft) -> tuple[int, bool]:
            wanted = sheets.look(draft.body, owner, at=NOON).wanted
            return launch.write_draft(
                draft, wanted, shown=Offer(len(wanted), len(wanted)), at=NOON, actor=owner.username, batch_name="pages.csv"
            )

        made, _ = write(first)
        assert Job.objects.count() == 2 and write(first) == (made, False)
        with pytest.raises(drafts.AlreadyMade):
            write(second)
        assert not drafts.discard(owner, drafts.MANY, first.pk) and PageDraft.objects.exists()
        PageDraft.objects.all().delete()
        with pytest.raises(launch.DraftGone):
            write(first)
        assert Job.objects.count() == 2

    def test_of_corrected_rows_is_a_batch_of_its_own(self, web: Client) -> None:
        post(web, upload(web, DAMAGED), "generate")
        rest = page(web)
        right = {
            "cell.3.page_type": "product",
            "cell.4.target_url": "https://nordfell.no/en/gaiter-2",
            "cell.5.language": "de",
            "cell.5.deadline": "",
            "cell.6.monthly_searches": "1,200",
        }
        live = html_of(post(web, rest, "", live=True, **right))
        assert "4 rows are ready." in text_of(live) and "Nothing to check" in text_of(live)
        post(web, live, "generate")
        assert Batch.objects.count() == 2 and Job.objects.count() == 6
        assert "Choose a CSV file" in page(web)

    def test_at_another_price_asks_again(self, web: Client) -> None:
        shown = upload(web, DAMAGED)
        answer = post(web, shown, "generate", told_tickets="1")
        assert "Not generated yet: it is now 2 pages for 2 tickets." in text_of(html_of(answer))
        assert not Job.objects.exists() and not Batch.objects.exists()

    def test_that_the_wallet_does_not_cover_queues_nothing(self, client_for: Login) -> None:
        web = client_for(UserFactory(tickets=1))
        shown = upload(web, DAMAGED)
        assert "Your wallet covers 1 of 2 pages." in text_of(shown)
        answer = post(web, shown, "generate")
        assert answer.status_code == 422 and "Nothing was generated." in text_of(html_of(answer))
        assert not Job.objects.exists() and len(PageDraft.objects.get().body["rows"]) == 6

    def test_says_which_pages_become_a_further_version(self, web: Client, owner: User) -> None:
        make_page(owner, target_url="https://nordfell.no/en/2", version=1)
        shown = upload(web, DAMAGED)
        assert "Generated on 20 Nov already: this becomes version 2." in rows(shown)[2]
        assert "To check 5" in text_of(shown) and "Generate 2 pages" in text_of(shown)

    def test_says_how_many_have_which_priority(self, web: Client, client_for: Login) -> None:
        staff = client_for(UserFactory(staff=True))
        soon = (clock.now().date()).isoformat()
        text = HEADER + line(2) + line(3, searches="20000", deadline=soon) + line(4, searches="20000", deadline=soon)
        assert "Priority 2 high, 1 low" in text_of(upload(staff, text)) or "Priority 2 normal, 1 low" in text_of(page(staff))


def test_600_rows_are_shown_in_parts(web: Client) -> None:
    text = HEADER + "".join(line(number) for number in range(2, 602))
    shown = upload(web, text)
    assert "600 rows are ready." in text_of(shown) and "Generate 600 pages" in text_of(shown)
    assert "551–600 of 600" in text_of(page(web, "?show=all&page=12"))


class TestANewVersion:
    def test_has_the_same_data_and_other_words_and_comes_once(self, owner: User) -> None:
        before = make_page(owner)
        asked = {"brief": "Shorter.", "voice": "Dry.", "key": "form-1", "shown": Offer(1, 1), "at": NOON, "by": owner}
        job, is_new = launch.new_version(before, **asked)
        assert is_new and Page.objects.get(job=job).version == 2
        assert (job.prompt, job.metadata) == ("Shorter.", before.job.metadata | {"brand_voice": "Dry."})
        assert launch.new_version(before, **asked) == (job, False)

    def test_at_another_price_is_refused(self, owner: User) -> None:
        before = make_page(owner)
        with pytest.raises(launch.NotAsShown):
            launch.new_version(before, brief="", voice="", key="a", shown=Offer(1, 9), at=NOON, by=owner)
        assert Job.objects.count() == 1


def test_a_row_that_is_broken_as_a_whole_can_be_changed(owner: User) -> None:
    body = sheets.read((HEADER + "product,only two\n" + line(3)).encode(), "a.csv", owner, at=NOON)
    sheet = sheets.look(body, owner, at=NOON)
    assert [row.number for row in sheet.wrong] == [2] and "2 cells" in sheet.wrong[0].errors[0].message
    cells = dict(zip(body["columns"], line(2).strip().split(","), strict=True))
    assert not sheets.look(sheets.changed(body, {2: cells}), owner, at=NOON).wrong
