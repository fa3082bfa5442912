"""
Results of runs: the medians, saved as ``results/NAME.json`` with the date and the machine, drawn as ``img/NAME.svg``, and written
as a table into ``README.md``.

``results/before.json`` contains earlier values for comparison, by the words of each figure.
"""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import charts

ROOT = Path(__file__).resolve().parent.parent
RESULTS, IMAGES, README = (ROOT / "benchmarks" / name for name in ("results", "img", "README.md"))
FIGURES = "BENCH_FIGURES"  # environment variable: the file for a run's figures, one line of JSON each
Figure = dict[str, Any]


def line(words: str, value: float, *, most: float | None = None, least: float | None = None, unit: str = "") -> str:
    """Format a figure as a line; with a budget it starts with whether that is met."""
    text = f"{words}: {value:.3g}{unit}" if abs(value) < 1 else f"{words}: {value:.2f}{unit}"
    if most is None and least is None:
        return f"        {text}"
    bound = f"<= {most:g}{unit}" if most is not None else f">= {least:g}{unit}"
    return f"{'met   ' if is_met(value, most=most, least=least) else 'MISSED'}  {text}   (budget {bound})"


def is_met(value: float, *, most: float | None, least: float | None) -> bool:
    return value <= most if most is not None else least is None or value >= least


def read(path: Path) -> list[Figure]:
    """Return the figures of one run."""
    return [json.loads(row) for row in path.read_text().splitlines()]


def medians(runs: Sequence[Iterable[Figure]]) -> list[Figure]:
    """Return each figure of the runs once, with its values and their median, in the order of the first run."""
    found: dict[str, Figure] = {}
    for run in runs:
        for figure in run:
            found.setdefault(figure["words"], {**figure, "values": []})["values"].append(figure["value"])
    return [{**figure, "value": statistics.median(figure["values"])} for figure in found.values()]


def keep(name: str, figures: Sequence[Figure], *, runs: int) -> None:
    """Save the medians with the earlier values and show them."""
    before = json.loads((RESULTS / "before.json").read_text()).get(name, {})
    rows = [{**figure, "before": before.get(figure["words"])} for figure in figures]
    result = {"name": name, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "runs": runs, "machine": machine(), "figures": rows}
    RESULTS.joinpath(f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    show(result)


def show(result: dict[str, Any]) -> None:
    """Draw the chart, and write the table between the README's two comments that name this result."""
    IMAGES.mkdir(exist_ok=True)
    if drawn := charts.draw(result):
        IMAGES.joinpath(f"{result['name']}.svg").write_text(drawn)
    mark = f"<!-- {result['name']} -->"
    before, _, after = README.read_text().split(mark)
    README.write_text(f"{before}{mark}\n{table(result)}\n{mark}{after}")


def table(result: dict[str, Any]) -> str:
    """Format a result in Markdown: its date, then each figure with the earlier value, the least and the most of all runs."""
    runs = f"the median of {result['runs']} runs" if result["runs"] > 1 else "one run"
    rows = "\n".join(_row(figure) for figure in result["figures"])
    return f"{result['at']}, {runs}\n\n| figure | before | now | budget |\n|---|---|---|---|\n{rows}"


def _row(figure: Figure) -> str:
    values, unit, most, least = figure["values"], figure["unit"], figure.get("most"), figure.get("least")
    spread = f" ({_value(min(values), unit)} – {_value(max(values), unit)})" if len(values) > 1 else ""
    before = "" if figure["before"] is None else _value(figure["before"], unit)
    budget = ""
    if most is not None or least is not None:
        verdict = "met" if is_met(figure["value"], most=most, least=least) else "**missed**"
        budget = f"{f'≤ {most:g}' if most is not None else f'≥ {least:g}'}{unit}, {verdict}"
    return f"| {figure['words']} | {before} | {_value(figure['value'], unit)}{spread} | {budget} |"


def _value(value: float, unit: str) -> str:
    return f"{value:.3g}{unit}" if abs(value) < 100 else f"{value:,.0f}{unit}"


def machine() -> dict[str, Any]:
    """Return the facts about the machine and the code that figures depend on, without the machine's name or paths."""
    models = [row.partition(":")[2].strip() for row in _lines("/proc/cpuinfo") if row.startswith("model name")]
    memory = next((int(row.split()[1]) for row in _lines("/proc/meminfo") if row.startswith("MemTotal")), 0)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "memory_gigabytes": round(memory / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.strip(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    for kept in sorted(RESULTS.glob("*.json")):
        if kept.name != "before.json":
            show(json.loads(kept.read_text()))
