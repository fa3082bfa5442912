"""
The chart of a benchmark as SVG: earlier and current value of each figure, scaled to its budget, which is a line through all rows.
Readable on light and dark backgrounds.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, TOP = 760, 24, 84
ROW, BAR = 74, 14  # pixels
BUDGET, LARGEST = 330, 1.9  # width of the budget in pixels; longer bars are cut at this multiple of it
STYLE = """
  svg { color-scheme: light dark; font: 13px system-ui, "Segoe UI", Roboto, sans-serif; }
  .paper { fill: #ffffff; } .text { fill: #1f2328; } .quiet { fill: #59636e; } .was { fill: #b6bdc5; }
  .met { fill: #1a7f5a; } .missed { fill: #bf3a2b; } .budget { stroke: #1f2328; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; } .text { fill: #e6edf3; } .quiet { fill: #9198a1; } .was { fill: #4a525c; }
    .met { fill: #3fb27f; } .missed { fill: #f0705f; } .budget { stroke: #e6edf3; }
  }
"""


def draw(result: dict[str, Any]) -> str:
    """Return the chart of a result as written by `results.keep`; empty if no figure has a budget."""
    figures = [figure for figure in result["figures"] if _budget(figure)]
    if not figures:
        return ""
    height = TOP + ROW * len(figures) + 16
    runs, machine = result["runs"], result["machine"]
    under = f"{result['at']} · {'median of ' + str(runs) + ' runs' if runs > 1 else 'one run'} · {machine['cores']} cores"
    words = [f"{figure['words']}: {_value(figure, figure['value'])}, {_bound(figure)}" for figure in figures]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(result['name'])}</title>",
            f"<desc>{escape('; '.join(words))}</desc>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
            _text(LEFT, 30, result["name"], size=17, weight=600),
            _text(LEFT, 50, under, kind="quiet"),
            *_legend(),
            *(part for number, figure in enumerate(figures) for part in _row(figure, TOP + ROW * number)),
            f'<line class="budget" x1="{LEFT + BUDGET}" x2="{LEFT + BUDGET}" y1="{TOP - 8}" y2="{height - 12}"/>',
            "</svg>",
            "",
        ]
    )


def _row(figure: dict[str, Any], top: int) -> Iterator[str]:
    """Yield the words of a figure, its budget, and both bars with their values."""
    yield _text(LEFT, top + 14, figure["words"])
    yield _text(WIDTH - LEFT, top + 14, _bound(figure), kind="quiet", anchor="end")
    kind = "met" if _is_met(figure) else "missed"
    bars: Sequence[tuple[str, float | None, str]] = [("was", figure.get("before"), ""), (kind, figure["value"], f" {kind}")]
    for number, (name, value, verdict) in enumerate(bars):
        if value is None:
            continue
        y = top + 22 + number * (BAR + 4)
        share = value / _budget(figure)
        length = max(1.0, BUDGET * min(share, LARGEST))
        more = " ›" if share > LARGEST else ""
        yield f'<rect class="{name}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        x = LEFT + length + 6
        x = x if abs(x - LEFT - BUDGET) > 4 else x + 8  # not on the line
        yield _text(x, y + BAR - 3, _value(figure, value) + more + verdict, kind="text" if verdict else "quiet")


def _legend() -> Iterator[str]:
    x = WIDTH - 296
    for name, words, wide in (("was", "was", 56), ("met", "is, met", 76), ("missed", "is, missed", 94)):
        yield f'<rect class="{name}" x="{x}" y="20" width="12" height="12" rx="2"/>'
        yield _text(x + 17, 30, words, kind="quiet")
        x += wide
    yield f'<line class="budget" x1="{x}" x2="{x}" y1="18" y2="34"/>'
    yield _text(x + 6, 30, "budget", kind="quiet")


def _text(x: float, y: float, words: str, *, kind: str = "text", size: int = 13, weight: int = 400, anchor: str = "start") -> str:
    more = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}"{more}>{escape(words)}</text>'


def _budget(figure: dict[str, Any]) -> float:
    return float(figure.get("most") or figure.get("least") or 0)


def _is_met(figure: dict[str, Any]) -> bool:
    most = figure.get("most")
    return bool(figure["value"] <= most if most is not None else figure["value"] >= figure["least"])


def _bound(figure: dict[str, Any]) -> str:
    return f"budget: at {'most' if figure.get('most') is not None else 'least'} {_value(figure, _budget(figure))}"


def _value(figure: dict[str, Any], value: float) -> str:
    return f"{value:.3g}{figure['unit']}"
