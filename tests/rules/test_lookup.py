"""The judgement of task lists: how rows are read, and that "none" is never proved without a known task in the list."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_app.rules.lookup import Call, Known, Likeness, Page, Row, Walk, moment, same_model, same_prompt, task_id

NOW = 1_800_000_000.0
LONG = "A tram through a sunlit old town and over the bridge to the far side of the river, slowly, at dusk."
SAME, WEAK, DIFFERENT, UNKNOWN = Likeness.SAME, Likeness.WEAK, Likeness.DIFFERENT, Likeness.UNKNOWN


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("video_1", "video_1"),
        (770001, "770001"),
        (7.0, "7"),
        (10**20, "1" + "0" * 20),
        ("v" * 4096, "v" * 4096),
        *(
            (bad, None)
            for bad in (
                None,
                True,
                False,
                0,
                0.0,
                "0",
                "",
                "  ",
                1.5,
                {},
                [],
                "v" * 4097,
                "a\0b",
                "a\ud800",
                float("nan"),
                float("inf"),
            )
        ),
    ],
)
def test_an_id_of_any_type_is_text(told: Any, read: str | None) -> None:
    assert task_id(told) == read


@pytest.mark.parametrize(
    "told",
    [
        NOW,
        int(NOW),
        str(int(NOW)),
        NOW * 1e3,
        NOW * 1e6,
        "2027-01-15T08:00:00Z",
        "2027-01-15T09:00:00+01:00",
        "2027-01-15 08:00:00",
    ],
)
def test_a_time_of_any_form_is_seconds(told: Any) -> None:
    assert moment(told, now=NOW) == NOW


@pytest.mark.parametrize("told", [0, None, True, "", "soon", -5, 1_000, NOW + 90_000, 1e30, float("nan"), "nan", {}])
def test_a_time_that_cannot_be_is_not_known(told: Any) -> None:
    assert moment(told, now=NOW) is None


@pytest.mark.parametrize(
    ("listed", "like"),
    [
        (LONG, SAME),
        (f"  {LONG}\r\n", SAME),
        (LONG.replace(" ", " \t "), SAME),
        (LONG[:70], WEAK),
        (LONG[:70] + "…", WEAK),
        (LONG + "...", WEAK),
        (LONG + " In the style of a film.", WEAK),
        (LONG[:20], WEAK),
        (LONG[:20] + "… (80 more)", WEAK),
        (LONG.upper(), WEAK),
        (LONG.replace(",", "&#44;"), WEAK),
        ("Another tram.", DIFFERENT),
        (LONG.replace("tram", "train"), DIFFERENT),
        ("", UNKNOWN),
        (" \n", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_prompt_is_the_same_through_what_gateways_change(listed: str | None, like: Likeness) -> None:
    assert same_prompt(LONG, listed) is like


@pytest.mark.parametrize("listed", ['A "kite" &amp; a dog', "A “kite” & a dog", "a kite a dog", "A kite & a do"])
def test_signs_may_be_written_otherwise(listed: str) -> None:
    assert same_prompt('A "kite" & a dog', listed) is WEAK


def test_what_only_begins_like_ours_is_another_where_ours_is_short() -> None:
    assert same_prompt("A tram.", "A tram in the rain.") is DIFFERENT


def test_letters_may_be_composed_otherwise() -> None:
    assert same_prompt("über", "u\u0308ber") is SAME


@pytest.mark.parametrize(
    ("listed", "like"),
    [
        *(
            (name, SAME)
            for name in ("sora-2", "Sora-2", "openai/sora-2", "sora-2-2025-12-08", "azure/sora-2:latest", "sora-2@3", "large")
        ),
        *((name, DIFFERENT) for name in ("sora-2-pro", "veo-3", "sora")),
        (None, UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_model_is_the_same_by_its_other_names(listed: str | None, like: Likeness) -> None:
    assert same_model("sora-2", listed, {"large": "sora-2"}) is like


OURS = Call(LONG, "sora-2", NOW)
BEFORE = Known(frozenset({"k1"}), Call("A heron, before.", "sora-2", NOW - 1500), control=True)
AFTER = Known(frozenset({"k2"}), Call("A heron, after.", "sora-2", NOW + 90), control=True)
ROWS = [
    Row("k2", NOW + 91, "A heron, after.", "sora-2"),
    Row("k1", NOW - 1499, "A heron, before.", "sora-2"),
    Row("x", NOW - 9_000, "Somebody's.", "sora-2"),
]


def walk(
    rows: list[Row],
    *,
    known: tuple[Known, ...] = (BEFORE, AFTER),
    more: bool | None = False,
    ours: Call | None = None,
    **fields: Any,
) -> Walk:
    return Walk(ours or OURS, now=NOW + 300, grace=120, known=known, pages=[Page(rows, asked=100, more=more)], **fields)


def test_a_list_with_known_tasks_on_both_sides_proves_that_ours_is_not_there() -> None:
    found = walk(ROWS).judge()
    assert (found.none_proved, found.why_not, found.proof["controls"]) == (True, [], ["k2", "k1"])


@pytest.mark.parametrize(
    ("rows", "fields", "why"),
    [
        (ROWS, {"known": ()}, "may not show this one"),
        (ROWS[1:], {}, "is missing from it"),
        ([], {}, "is missing from it"),
        (ROWS[:1], {}, "not read back"),
        ([*ROWS, Row(None)], {}, "no readable id"),
        ([Row("y", NOW + 5, "Cinematic: " + LONG, "sora-2"), *ROWS[1:]], {"known": (BEFORE,)}, None),
        ([ROWS[0], Row("y", NOW + 5, None, "sora-2"), *ROWS[1:]], {}, "could be this job"),
        ([ROWS[0], Row("y", NOW - 700, LONG, "sora-2"), *ROWS[1:]], {}, "could be this job"),
        ([ROWS[0], Row("y", NOW + 5, LONG[:70], "sora-2"), *ROWS[1:]], {}, "could be this job"),
        ([Row(row.id, row.made, "rewritten", row.model) for row in ROWS], {}, "none of our other tasks as we sent them"),
        (ROWS, {"budget_spent": True}, "too long"),
    ],
)
def test_what_cannot_be_proved_is_said_in_words(rows: list[Row], fields: dict[str, Any], why: str | None) -> None:
    found = walk(rows, **fields).judge()
    assert found.none_proved is (why is None)
    assert why is None or why in " ".join(found.why_not)


@pytest.mark.parametrize(
    ("date", "clock", "proved"),
    [(0.0, 0.0, True), (-50.0, 0.0, True), (-400.0, 0.0, False), (-400.0, -400.0, True), (None, 0.0, True), (0.0, 1800.0, True)],
)
def test_a_list_out_of_a_cache_is_known_by_its_date(date: float | None, clock: float, proved: bool) -> None:
    rows = [Row(one.id, one.made + clock, one.prompt, one.model) for one in ROWS]
    page = Page(rows, asked=100, more=False, date=None if date is None else NOW + 300 + date)
    found = Walk(OURS, now=NOW + 300, grace=120, known=(BEFORE, AFTER)).and_then(page, [], now=NOW + 300).judge()
    assert found.none_proved is proved
    assert ("may be a copy" in " ".join(found.why_not)) is not proved


SOON = Known(frozenset({"k3"}), Call("A heron, soon.", "sora-2", NOW + 0.4), control=True)
FIRST_ROWS = [ROWS[0], Row("k3", NOW + 1, "A heron, soon.", "sora-2")]


@pytest.mark.parametrize(
    ("some", "beyond", "proved"),
    [
        (Page(ROWS[:1], asked=1, more=True), Page([], asked=100, more=False), True),
        (Page(ROWS[:1], asked=1, more=True), Page([], asked=100), True),
        (Page(ROWS[:1], asked=1, more=False), Page([], asked=100, more=False), False),  # it says so on every page
        (Page(ROWS[:1], asked=1), Page([], asked=100, more=False), False),
        (Page(ROWS[:2], asked=1, more=True), Page([], asked=100, more=False), False),  # it uses its own page size
        (Page(ROWS[:1], asked=1, more=True), Page(ROWS[:1], asked=100, more=False), False),  # it ignores the cursor
        (Page(ROWS[:1], asked=1, more=True), Page([], asked=100, more=True), False),
    ],
)
def test_the_first_call_of_an_account_is_not_there_where_the_list_shows_its_end(some: Page, beyond: Page, proved: bool) -> None:
    read = walk(FIRST_ROWS, known=(AFTER, SOON), is_first=True)
    assert read.judge().why_not == ["The list was not read back to the time of the call."]
    assert read.to_ask_for == 1
    assert read.and_its_end(some, beyond).judge().none_proved is proved


def test_an_end_is_asked_for_where_it_is_what_is_missing_alone() -> None:
    assert walk(ROWS, is_first=False).to_ask_for == 0
    assert walk(FIRST_ROWS, known=(AFTER, SOON)).to_ask_for == 0  # it has lost tasks from before the call, and maybe ours
    assert walk(ROWS[:1], known=(AFTER, SOON), is_first=True).to_ask_for == 0  # there is no half of one row to request
    assert walk(FIRST_ROWS, known=(), is_first=True).to_ask_for == 0
    assert walk(FIRST_ROWS, known=(AFTER, SOON), more=None, is_first=True).to_ask_for == 0
    later = Known(SOON.names, Call(SOON.call.prompt, "sora-2", NOW + 60), control=True)  # enough time for a restart
    assert walk([ROWS[0], Row("k3", NOW + 61, "A heron, soon.", "sora-2")], known=(AFTER, later), is_first=True).to_ask_for == 0


def test_another_name_of_a_model_is_told_by_a_control_of_that_model_alone() -> None:
    pro = Call(LONG, "sora-2-pro", NOW)
    stranger = Row("y", NOW + 5, LONG, "video-hd")
    assert [row.id for row in walk([ROWS[0], stranger, *ROWS[1:]], ours=pro).judge().maybe] == ["y"]
    known = Known(frozenset({"k3"}), Call("A heron, pro.", "sora-2-pro", NOW + 95), control=True)
    rows = [Row("k3", NOW + 96, "A heron, pro.", "sora-2-pro"), ROWS[0], stranger, *ROWS[1:]]
    assert walk(rows, ours=pro, known=(BEFORE, AFTER, known)).judge().none_proved


def test_a_list_is_known_to_keep_letters_beyond_ascii_by_such_a_control_alone() -> None:
    umlauts = Call("Eine Straßenbahn fährt über die Brücke.", "sora-2", NOW)
    mangled = Row("y", NOW + 5, "Eine Stra?enbahn f?hrt ?ber die Br?cke.", "sora-2")
    assert [row.id for row in walk([ROWS[0], mangled, *ROWS[1:]], ours=umlauts).judge().maybe] == ["y"]
    known = Known(frozenset({"k3"}), Call("Ein Käfer.", "sora-2", NOW + 95), control=True)
    rows = [Row("k3", NOW + 96, "Ein Käfer.", "sora-2"), ROWS[0], mangled, *ROWS[1:]]
    assert walk(rows, ours=umlauts, known=(BEFORE, AFTER, known)).judge().none_proved


@pytest.mark.parametrize(("called_at", "missing"), [(NOW - 100, True), (NOW - 8_000, True), (NOW - 20_000, False)])
def test_a_known_task_must_be_there_as_far_as_the_list_was_read(called_at: float, missing: bool) -> None:
    """A list that omits one of our tasks may have omitted this one."""
    elsewhere = Known(frozenset({"k3"}), Call("On another replica.", "sora-2", called_at), control=True)
    found = walk(ROWS, known=(BEFORE, AFTER, elsewhere)).judge()
    assert found.none_proved is not missing
    assert ("missing from it" in " ".join(found.why_not)) is missing


@pytest.mark.parametrize(
    ("ended", "takes", "proved"), [(True, 400, False), (None, 400, False), (False, 400, True), (True, 299, True)]
)
def test_a_list_of_what_is_done_says_nothing_of_what_is_not(ended: bool | None, takes: float, proved: bool) -> None:
    rows = [ROWS[0], Row("k1", NOW - 1499, "A heron, before.", "sora-2", ended=True), ROWS[2]]
    rows[0] = Row("k2", NOW + 91, "A heron, after.", "sora-2", ended=ended)
    found = walk(rows, takes=takes).judge()
    assert found.none_proved is proved
    assert proved or found.why_not == ["The list shows no unfinished task, so it may not show this one yet."]


def test_a_none_before_the_wait_is_over_is_no_proof() -> None:
    early = Walk(OURS, now=NOW + 60, grace=120, known=[BEFORE], pages=[Page(ROWS[1:], asked=100, more=False)])
    assert early.judge().why_not == ["The task may still begin: the wait is not over."]


@pytest.mark.parametrize("made", [NOW + 3, (NOW + 3) * 1000, None])
def test_ours_is_found_among_them(made: float | None) -> None:
    rows = [Row(row.id, row.made if made else None, row.prompt, row.model) for row in ROWS]
    found = walk([rows[0], Row("ours", made, f" {LONG}\n", "openai/sora-2"), *rows[1:]]).judge()
    assert ([row.id for row in found.sure], found.none_proved) == (["ours"], False)


def test_one_that_belongs_to_another_attempt_is_never_ours() -> None:
    twin = Known(frozenset({"y"}), OURS)
    found = walk([ROWS[0], Row("y", NOW + 5, LONG, "sora-2"), *ROWS[1:]], known=(BEFORE, AFTER, twin)).judge()
    assert (found.sure, found.none_proved) == ([], True)


row = st.builds(
    Row,
    id=st.sampled_from(["k1", "k2", "a", "b", "c", None]),
    made=st.sampled_from([NOW - 9000, NOW - 1500, NOW, NOW + 90, 0, None, "x"]),
    prompt=st.sampled_from([LONG, LONG[:70], "A heron, before.", "A heron, after.", "Other.", None]),
    model=st.sampled_from(["sora-2", "other", None]),
)


@given(
    rows=st.lists(row, max_size=6),
    more=st.sampled_from([True, False, None]),
    known=st.sampled_from([(), (BEFORE,), (AFTER,), (BEFORE, AFTER)]),
)
def test_no_list_proves_anything_without_a_known_task_that_it_shows_as_sent(
    rows: list[Row], more: bool | None, known: tuple[Known, ...]
) -> None:
    found = walk(rows, more=more, known=known).judge()
    if not found.none_proved:
        return
    shown = {(name, one.call.prompt) for one in known for name in one.names}
    assert any((one.id, one.prompt) in shown or (one.id in {"k1", "k2"} and one.prompt is None) for one in rows)
    strangers = [one for one in rows if one.id not in {name for known_one in known for name in known_one.names}]
    assert not any(
        one.prompt in (LONG, LONG[:70], None) and one.made in (NOW, 0, None, "x") and one.model != "other" for one in strangers
    )
