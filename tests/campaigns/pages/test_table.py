"""Many pages from one CSV file, whatever was done to it: each row is ready or says what to change, and no row is lost."""

import csv
import io
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.pages import columns, grid, inputs, table
from campaigns.pages.grid import FileRefused
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.table import Rules, Table
from tests.factories import NOON

HEADER = "page_type,target_url,keywords,language,brief,deadline"
BRIEF = "Explain laces to people who run. " * 8
FINE = {
    "2": f"guide,https://nordfell.no/en/a,lacing,en,{BRIEF},2026-12-04",
    "3": f"guide,https://nordfell.no/en/b,gaiters,de,{BRIEF},",
}
OF_A_SHOE = {"Weight": "240 g", "Drop": "6 mm", "Sole": "Rubber"}
SHOES = {sku: {"name": f"Fell {sku}", "sku": sku, "attributes": OF_A_SHOE} for sku in ("A1", "B2")}


def catalogue(skus: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    return {sku: SHOES[sku] for sku in skus if sku in SHOES}


RULES = Rules([*LANGUAGES], NOON, catalogue=catalogue)


def file(*lines: str) -> str:
    return "\n".join((HEADER, *lines)) + "\n"


def read(data: str | bytes, rules: Rules = RULES) -> Table:
    return table.read(data.encode() if isinstance(data, str) else data, rules)


def errors(found: Table) -> dict[int, dict[str, str]]:
    return {row.number: {error.column: error.message for error in row.errors} for row in found.wrong}


GOOD = file(*FINE.values())


class TestAFile:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            pytest.param(GOOD, ("UTF-8", "comma"), id="as it should be"),
            pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), ("UTF-8", "comma"), id="byte order mark"),
            pytest.param(GOOD.encode("utf-16"), ("UTF-16", "comma"), id="UTF-16"),
            pytest.param(GOOD.encode("utf-16-be"), ("UTF-16", "comma"), id="UTF-16 without a mark"),
            pytest.param(GOOD.replace("lacing", "laçage").encode("latin-1"), ("Windows-1252", "comma"), id="Latin-1"),
            pytest.param(GOOD.replace("lacing", "sznurówki łąka").encode("cp1250"), ("Windows-1250", "comma"), id="Polish"),
            pytest.param(GOOD.replace("lacing", "靴ひもの結び方").encode("cp932"), ("Shift-JIS", "comma"), id="Japanese"),
            pytest.param(GOOD.replace(",", ";"), ("UTF-8", "semicolon"), id="semicolons"),
            pytest.param("sep=;\r\n" + GOOD.replace(",", ";"), ("UTF-8", "semicolon"), id="a line that names the separator"),
            pytest.param(GOOD.replace(",", "\t"), ("UTF-8", "tab"), id="tabs"),
            pytest.param(GOOD.replace("\n", "\r\n"), ("UTF-8", "comma"), id="line ends of Windows"),
            pytest.param(GOOD.replace("\n", "\r"), ("UTF-8", "comma"), id="line ends of old Macs"),
            pytest.param(GOOD.replace("\n", ",,,\n"), ("UTF-8", "comma"), id="empty columns at the end"),
            pytest.param(GOOD.replace("target_url", " Target URL "), ("UTF-8", "comma"), id="names as people write them"),
        ],
    )
    def test_is_read_however_it_was_saved(self, data: str | bytes, said: tuple[str, str]) -> None:
        found = read(data)

        assert (found.encoding, found.separator) == said and errors(found) == {}
        first = found.ready[0]
        assert [row.number for row in found.ready] == [2, 3] and found.columns == tuple(HEADER.split(","))
        assert first.metadata == {
            "page_type": "guide",
            "target_url": "https://nordfell.no/en/a",
            "keywords": [first.cells["keywords"]],
            "language": "en",
        }
        assert first.cells["keywords"] in {"lacing", "laçage", "sznurówki łąka", "靴ひもの結び方"}
        assert (first.prompt, first.deadline) == (BRIEF.strip(), datetime(2026, 12, 4, 23, 59, 59, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            pytest.param("", "The file is empty. Start from the template.", id="empty"),
            pytest.param("\n \n", "The file is empty", id="blank"),
            pytest.param(bytes(900), "The file is empty", id="nothing but NUL"),
            pytest.param(HEADER + "\n\n,,,\n", "only a header", id="only a header"),
            pytest.param(b"PK\x03\x04" + bytes(99), "an Excel workbook or a ZIP file, not a CSV", id="workbook"),
            pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(99), "This is an image", id="image"),
            pytest.param(bytes(range(256)) * 9, "save it as CSV UTF-8", id="binary"),
            pytest.param(b"x" * 5_000_001, "The file is 5.0 MB; the limit is 5 MB", id="too large"),
            pytest.param(file(*[FINE["2"]] * 1_001), "more than 1,000 rows. Split it", id="too many rows"),
            pytest.param(HEADER + "\n" * 100_001, "more than 100,000 lines. Remove blank ones", id="too many lines"),
            pytest.param(GOOD.replace("keywords", "language"), "“language” is here twice: columns 3 and 4", id="a column twice"),
            pytest.param(GOOD.replace("brief", "target url"), "target_url is here twice, under two names", id="under two names"),
            pytest.param(GOOD.replace("deadline", "dead line?"), "“dead line?”. Did you mean deadline?", id="a misspelt column"),
            pytest.param(GOOD.replace("deadline", "colour"), "or call it product.attributes.colour.", id="an unknown column"),
            pytest.param(
                GOOD.replace("deadline", "seo.links"), "“seo.links”. Remove it: only the API takes it.", id="of the API"
            ),
            pytest.param(GOOD.replace("deadline", "price"), "Did you mean product.price?", id="a column of products"),
            pytest.param(GOOD.replace("language,brief", "language,"), "Column 5 has no name", id="a column without a name"),
            pytest.param(GOOD.replace("language", "lang"), "“lang”. Did you mean language?", id="a needed column renamed"),
            pytest.param(GOOD.replace("language,", "brand_voice,"), "Add a column language.", id="a needed column missing"),
            pytest.param(GOOD.replace("page_type", '"page_type'), "Header: A quotation mark is not closed", id="a broken header"),
            pytest.param(",".join(f"x{number}" for number in range(300)) + "\n1", "300 columns; the limit is 200", id="columns"),
        ],
    )
    def test_that_can_not_be_used_is_refused_with_what_to_do(self, data: str | bytes, words: str) -> None:
        with pytest.raises(FileRefused) as refusal:
            read(data)
        assert words in str(refusal.value)

    def test_names_all_that_is_wrong_with_its_columns(self) -> None:
        with pytest.raises(FileRefused) as refusal:
            read("page_type,keyword,voice,language,language\nguide,a,b,en,en\n")
        assert refusal.value.messages == [
            "Column “language” is here twice: columns 4 and 5. Remove one of the two.",
            "Unknown column “keyword”. Did you mean keywords?",
            "Unknown column “voice”. Did you mean brand_voice?",
            "Add a column target_url.",
        ]


ROW = "guide,https://nordfell.no/en/x,lacing,en," + BRIEF + ","
A_DATE = "Write the date as 2026-12-04, or with a time as 2026-12-04 18:00."
TOO_MANY = "This row has 7 cells for 6 columns. Put cells with a separator inside in quotation marks."
TOO_FEW = "This row has 2 cells for 6 columns. Add the missing ones; they may be empty."
DAMAGED: dict[str, tuple[str | bytes, dict[str, str]]] = {
    "an unknown page type": (ROW.replace("guide", "kategory"), {"page_type": "Unknown page type. Did you mean category?"}),
    "an address without a scheme": (ROW.replace("https://", ""), {"target_url": "Add https:// in front."}),
    "an address with a password": (
        ROW.replace("https://", "https://me:secret@"),
        {"target_url": "Remove the user name and password from the URL."},
    ),
    "an unknown language": (
        ROW.replace(",en,", ",xx,"),
        {"language": "Unknown language “xx”. Available: en, de, fr, es, it, pt, nl, sv, pl, ja."},
    ),
    "a language with a region": (
        ROW.replace(",en,", ",en-GB,"),
        {"language": "Write en instead of “en-GB”: pages have a language, not a region."},
    ),
    "a deadline in the past": (ROW + "2026-11-02", {"deadline": "The deadline has passed. Choose a later one, or remove it."}),
    "a deadline that is no date": (ROW + "12/04/2026", {"deadline": A_DATE}),
    "a day that does not exist": (ROW + "2026-02-30", {"deadline": A_DATE}),
    "no keyword": (ROW.replace("lacing", ";"), {"keywords": "Add a keyword. The first one is the main keyword."}),
    "keywords separated by commas": (
        ROW.replace("lacing", '"lacing, laces"'),
        {"keywords": "Separate keywords by a semicolon, such as “trail shoes; fell shoes”."},
    ),
    "a formula": (ROW.replace("lacing", "=cmd|' /C calc'!A0"), {"keywords": "This is a formula. Enter the value itself."}),
    "an error of the spreadsheet": (
        ROW.replace("lacing", "#REF!"),
        {"keywords": "The spreadsheet shows an error here: “#REF!”. Enter the value itself."},
    ),
    "a NUL": (ROW.replace("lacing", "la\x00cing"), {"keywords": "This cell has unreadable characters. Enter the text again."}),
    "a damaged character": (
        ROW.replace("lacing", "gehört übung für äpfel").encode().replace("ö".encode(), b"\xc3"),
        {"keywords": "This cell has unreadable characters. Enter the text again."},
    ),
    "too many cells": (ROW + ",x", {"": TOO_MANY}),
    "too few cells": ("guide,https://nordfell.no/en/x", {"": TOO_FEW}),
    "a quotation mark that is not closed": (ROW.replace("lacing", '"lacing'), {"": grid._BROKEN}),
    "text after a quotation mark": (ROW.replace("lacing", '"lacing" well'), {"": grid._BROKEN}),
    "an address and language that were there before": (
        ROW.replace("en/x", "en/a/"),
        {"target_url": "Same URL and language as row 2. Remove one of the two."},
    ),
    "a plan that the data does not carry": (
        ROW.replace("guide", "comparison"),
        {"product": "A comparison needs at least 2 products; it has none. Add products with the same attributes."},
    ),
    "too little to explain": (
        ROW.replace(BRIEF, "Short."),
        {
            "brief": "A guide needs facts to explain: a brief of at least 200 characters (it has 6), or products with at least 3 "
            "facts (there are 0). Extend the brief or add products."
        },
    ),
    "a text of any length": (
        ROW.replace(BRIEF, "x" * 9_000),
        {"brief": "Too long: 9,000 of 8,000 characters. Shorten the brief by 1,000."},
    ),
}


class TestARow:
    @pytest.mark.parametrize(("row", "said"), DAMAGED.values(), ids=DAMAGED)
    def test_with_damage_says_what_to_do_and_the_others_are_ready(self, row: str | bytes, said: dict[str, str]) -> None:
        """The damaged row stands between two good ones."""
        damaged = row.encode() if isinstance(row, str) else row
        found = read(b"\n".join((HEADER.encode(), FINE["2"].encode(), damaged, FINE["3"].encode())))

        assert errors(found) == {3: said}
        assert [row.number for row in found.ready] == [2, 4]

    def test_is_numbered_as_in_a_spreadsheet(self) -> None:
        found = read(file('guide,https://nordfell.no/en/c,k,en,"two\n\nlines",', "", FINE["2"], "", "kategory" + FINE["3"][5:]))
        assert [row.number for row in found.rows] == [2, 4, 6] and [*errors(found)] == [2, 6]

    def test_says_all_that_is_wrong_with_it_in_the_order_of_the_columns(self) -> None:
        [row] = read(file("kategory,nordfell.no/x,,xx,,2026-11-02")).wrong
        assert [error.column for error in row.errors] == ["page_type", "target_url", "keywords", "language", "deadline"]
        assert row.error_of("deadline").startswith("The deadline has passed") and row.error_of("brief") == ""

    def test_with_a_time_means_that_of_the_sites_zone(self) -> None:
        rules = Rules([*LANGUAGES], NOON, ZoneInfo("Europe/Oslo"))
        read_as = [
            read(file(ROW + text), rules).ready[0].deadline for text in ("2026-12-04 18:00", "2026-12-04T18:00Z", "4.12.2026")
        ]
        assert read_as == [
            datetime(2026, 12, 4, 17, tzinfo=UTC),
            datetime(2026, 12, 4, 18, tzinfo=UTC),
            datetime(2026, 12, 4, 22, 59, 59, tzinfo=UTC),
        ]


PRODUCTS = "page_type,target_url,keywords,language,sku,product,product.name,product.price,product.attributes.Weight,sku_count"


def of_product(cells: str) -> Table:
    page_type, _, rest = cells.partition(",")
    return read(f"{PRODUCTS}\n{page_type},https://nordfell.no/x,shoes|fell,en,{rest}\n")


def asking(questions: str, skips: str) -> Table:
    return read(
        "page_type,target_url,keywords,language,skus,questions,Skip quality check\n"
        f'product,https://nordfell.no/x,shoes,en,A1,"{questions}",{skips}\n'
    )


def test_every_input_of_a_page_is_a_column_or_called_one_of_the_api() -> None:
    for key in inputs.KEYS:
        with pytest.raises(FileRefused) as refusal:
            columns.read((*columns.COLUMNS, key, "?"))
        assert f"{columns.ATTRIBUTE}{key}" not in str(refusal.value)


class TestProductsOfARow:
    @pytest.mark.parametrize(
        ("cells", "metadata"),
        [
            ("product,A1,,,,,", {"product": SHOES["A1"]}),
            ("category,A1;B2,,,,,", {"products": [SHOES["A1"], SHOES["B2"]]}),
            ('category,,"[{""name"": ""A""}, {""name"": ""B""}]",,,,', {"products": [{"name": "A"}, {"name": "B"}]}),
            (
                'product,,"{""name"": ""A\\u0000"", ""a"": 1, ""b"": 2, ""c"": 0.1}",,,,"12,400"',
                {"product": {"name": "A", "a": 1, "b": 2, "c": 0.1}, "sku_count": 12400},
            ),
        ],
    )
    def test_come_from_the_catalogue_or_json(self, cells: str, metadata: dict[str, Any]) -> None:
        found = of_product(cells)
        assert errors(found) == {}
        assert {key: found.ready[0].metadata[key] for key in metadata} == metadata
        assert found.ready[0].metadata["keywords"] == ["shoes", "fell"]

    @pytest.mark.parametrize(
        ("questions", "skips", "metadata"),
        [
            ("Do they grip; also in rain? | Which size?", "Yes", (["Do they grip; also in rain?", "Which size?"], True)),
            ("Which size?\n\nHow heavy?", "false", (["Which size?", "How heavy?"], None)),
            (" | ", "", (None, None)),
        ],
    )
    def test_have_questions_and_may_skip_the_quality_check(self, questions: str, skips: str, metadata: tuple[Any, Any]) -> None:
        found = asking(questions, skips)
        assert errors(found) == {}
        told = found.ready[0].metadata
        assert (told.get("seo", {}).get("questions"), told.get("skip_quality_check")) == metadata

    def test_name_wrong_questions_and_flags_by_their_columns(self) -> None:
        told = errors(asking("x" * 301, "maybe"))[2]
        assert told["skip_quality_check"] == "Write yes or no."
        assert told["questions"].startswith("Too long: 301 of 300 characters.")

    def test_come_from_columns(self) -> None:
        attributes = "product.attributes.Weight,product.attributes.Drop,product.attributes.Max temp"
        cells = "product,https://nordfell.no/x,shoes,en,Fell 2,129.90,240 g,,'-20 °C"
        [row] = read(f"page_type,target_url,keywords,language,Product.Name,product.price,{attributes}\n{cells}\n").rows
        assert row.metadata["product"] == {
            "name": "Fell 2",
            "price": "129.90",
            "attributes": {"Weight": "240 g", "Max temp": "-20 °C"},
        }
        assert {error.column for error in row.errors} == {"product.name"} and "at least 3 attributes" in row.errors[0].message

    @pytest.mark.parametrize(
        ("cells", "column", "words"),
        [
            ("product,Z9;A1,,,,,", "skus", "Unknown SKU “Z9”. Import it into your catalogue first."),
            ("product,A1;B2,,,,,", "skus", "about one product, not 2"),
            ("product,A1,{},,,,", "product", "Use only one of skus and product in a row"),
            ("product,A1,,Fell,,,", "product.name", "Use only one of skus and product.name in a row"),
            ('product,,"{""name"": ",,,,', "product", "This is not JSON: Expecting value at character 9"),
            ("product,,[1],,,,", "product", "Enter a JSON object"),
            ('product,,"{""name"": NaN}",,,,', "product", "Enter a JSON object"),
            ("product,," + "[" * 5_000 + ",,,,", "product", "Enter a JSON object"),
            ("product,,,Fell,12 or so,,", "product.price", "Enter a number with a point"),
            ("product,,,,,,many", "sku_count", "Enter a whole number, such as 12400."),
            (f'product,,"{{""name"": ""{"x" * 65_000}""}}",,,,', "", "characters as JSON; the limit is 64,000"),
        ],
        ids=["unknown", "two SKUs", "two ways", "two other ways", "cut JSON", "list", "NaN", "deep", "price", "count", "size"],
    )
    def test_that_are_wrong_are_told_at_their_column(self, cells: str, column: str, words: str) -> None:
        [row] = of_product(cells).wrong
        assert words in row.error_of(column)

    def test_are_looked_up_once_for_all_rows(self) -> None:
        asked: list[Collection[str]] = []

        def spy(skus: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
            asked.append(skus)
            return catalogue(skus)

        rows = "".join(f"product,https://nordfell.no/{number},k,en,A1\n" for number in range(20))
        found = read(f"page_type,target_url,keywords,language,skus\n{rows}", Rules([*LANGUAGES], NOON, catalogue=spy))
        assert len(found.ready) == 20 and asked == [{"A1"}]


class TestTheWayBack:
    def test_rows_with_errors_return_with_reasons_and_can_be_read_again(self) -> None:
        rows = [row if isinstance(row, str) else row.decode("utf-8", "replace") for row, _ in DAMAGED.values()]
        found = read(file(FINE["2"], *rows))
        again = read(table.with_reasons(found))

        written = [*csv.reader(io.StringIO(table.with_reasons(found).removeprefix("\ufeff")))]
        assert written[0] == [*HEADER.split(","), "reasons"] and len(written) == 1 + len(rows)
        assert written[1][-1] == "page_type: Unknown page type. Did you mean category?"
        assert not any(cell.startswith(("=", "+", "@")) for line in written for cell in line)
        assert again.columns == found.columns
        assert [(row.cells, row.beyond) for row in again.rows] == [(row.cells, row.beyond) for row in found.wrong]
        assert again.rows[0].errors == found.wrong[0].errors

    def test_changed_cells_are_checked_again(self) -> None:
        found = read(file(FINE["2"], ROW.replace("guide", "kategory"), ROW + ",x"))
        changed = table.records(found, {3: {"page_type": "guide"}, 4: {"target_url": "https://nordfell.no/en/y"}})

        assert all(row.is_ready for row in table.check(found.columns, changed, RULES))
        assert [row.number for row in table.check(found.columns, table.records(found, {}), RULES) if not row.is_ready] == [3, 4]

    def test_the_template_is_ready(self) -> None:
        found = read(table.template())
        assert errors(found) == {} and found.ready[0].metadata["product"]["attributes"]["Weight"] == "240 g"


PIECES = [*"\",;|\t\r\n='{[", "\x00", "ö", "#REF!", *HEADER.split(","), "guide", "https://a.example/", "product", "skus"]


@settings(max_examples=25)
@given(st.booleans(), st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join), st.binary(max_size=6))
def test_any_bytes_are_a_table_or_refused(with_header: bool, text: str, rest: bytes) -> None:
    try:
        found = read((file() if with_header else "").encode() + text.encode(errors="replace") + rest)
    except FileRefused as refusal:
        assert refusal.messages and all(refusal.messages)
    else:
        assert all(error.message for row in found.wrong for error in row.errors)
        assert not found.wrong or len(read(table.with_reasons(found)).rows) <= len(found.wrong)


def test_a_thousand_rows_are_read() -> None:
    found = read(file(*(f"guide,https://nordfell.no/{number},k,en,{BRIEF}," for number in range(1_000))))
    assert len(found.ready) == 1_000
