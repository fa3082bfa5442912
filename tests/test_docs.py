"""The documents agree with the code: all cited rules and moves are defined, states move as documented, and links work."""

import re
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import call_command

from queue_app.lifecycle import MOVES
from queue_app.work.catalogue import MODELS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("genqueue_site", "campaigns", "queue_app", "benchmarks", "tests", "templates")
RULES = (ROOT / "docs/invariants.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CITED = re.compile(r"\b[IT][0-9]{1,2}\b")
DEFINED = re.compile(r"^(?:\* \*\*(I[0-9]+)\*\*|\| (T[0-9]+) \|)", re.M)
STATES = re.compile(r"^\| (new|`[a-z]+`) \| (–|(?:`[a-z]+` ?)+) \|$", re.M)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def defined() -> Counter[str]:
    return Counter(rule or move for rule, move in DEFINED.findall(RULES))


def undefined(text: str) -> set[str]:
    """Return the numbers of rules and moves that ``text`` cites and the document does not define."""
    return set(CITED.findall(text)) - defined().keys()


class TestRulesAndMoves:
    def test_each_is_defined_once(self) -> None:
        assert {number for number, times in defined().items() if times > 1} == set()
        assert {f"I{number}" for number in range(1, 47)} | {f"T{number}" for number in range(1, 28)} == defined().keys()

    def test_each_that_is_cited_is_defined(self) -> None:
        files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".html"}]
        assert len(files) > 300
        missing = {path.relative_to(ROOT).as_posix(): found for path in files if (found := undefined(path.read_text()))}
        assert missing == {}

    def test_a_planted_one_is_seen(self) -> None:
        rule, move = f"I{99}", f"T{98}"
        assert undefined(f"Reserved (I5), never as {rule} says (T1, {move}).") == {rule, move}

    def test_a_time_or_a_longer_word_is_no_number(self) -> None:
        assert undefined(f"2026-11-21T{99}:30:00Z, XI{99}, I{99}a, T{999}") == set()


def test_states_move_as_written() -> None:
    written = {before.strip("`").replace("new", ""): set(re.findall("[a-z]+", after)) for before, after in STATES.findall(RULES)}
    assert written == {str(before): {str(state) for state in after} for before, after in MOVES.items()}


def test_the_catalogue_is_as_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_catalogue", "--table")
    printed, written = capsys.readouterr().out, (ROOT / "docs/catalogue.md").read_text()
    assert written == printed, "run: manage.py seed_catalogue --table > docs/catalogue.md"
    assert printed.count("\n| `") == sum(len(seed.routes) for seed in MODELS)


def test_links_between_documents_and_files_work() -> None:
    links = [(path, target) for path in DOCUMENTS for target in LINK.findall(path.read_text())]
    assert len(links) > 20
    assert [(path.name, target) for path, target in links if not (path.parent / target).exists()] == []


def test_decisions_are_short_and_numbered() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        text = path.read_text()
        assert len(text.splitlines()) <= 25, path.name
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences"], path.name
