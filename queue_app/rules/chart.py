"""Charts as numbers: the coordinates of lines, areas, grid and labels, for a template to write down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Values = Sequence[float | None]  # ``None``: unknown, a gap

LEFT, RIGHT, TOP, BOTTOM = 38.0, 8.0, 8.0, 22.0  # margins of a chart; the left one grows with the numbers beside the grid
GAP, DIGIT = 6.0, 6.2  # between these numbers and the chart, and the width of one of their characters
GRID = 4  # lines above the base
TICKS = 4  # spans between the labels under it
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Label:
    """A text at a point."""

    x: float
    y: float
    text: str
    anchor: str = "end"


@dataclass(frozen=True)
class Curve:
    """
    A drawn series: ``lines`` between gaps as SVG points, ``dots`` for single values, ``area`` down to the base, and ``open``: the
    line to a value that may still change.
    """

    name: str
    lines: list[str]
    dots: list[tuple[float, float]]
    area: list[str]
    open: str


@dataclass(frozen=True)
class Chart:
    """A drawing of ``width`` by ``height`` units."""

    width: float
    height: float
    left: float
    right: float
    grid: list[Label]
    ticks: list[Label]
    curves: list[Curve]


def top_of(values: Sequence[Values], *, least: float) -> float:
    """Return a round number of at least ``least`` that no value exceeds and that the grid divides well."""
    most = max((value for series in values for value in series if value is not None), default=0.0)
    wanted = max(most, least) / GRID
    unit = 1.0
    while unit * 10 <= wanted:
        unit *= 10
    while unit > wanted:
        unit /= 10
    return GRID * next(unit * step for step in _STEPS if unit * step >= wanted * (1 - 1e-9))


def draw(
    series: Sequence[tuple[str, Values]],
    labels: Sequence[str],
    *,
    areas: Sequence[str] = (),
    least: float = GRID,
    words: Callable[[float], str] = "{:,.10g}".format,
    width: float = 330.0,
    height: float = 170.0,
) -> Chart:
    """
    Draw series of equal length over ``labels``; the last value of each is that of the current hour.

    :param areas: names of the series to fill down to the base.
    :param least: the least top of the axis.
    :param words: formats the value beside a grid line.
    """
    top = top_of([values for _, values in series], least=least)
    base, right = height - BOTTOM, width - RIGHT
    levels = [(top * line / GRID, words(top * line / GRID)) for line in range(GRID + 1)]
    left = max(LEFT, round(2 * GAP + DIGIT * max(len(text) for _, text in levels), 1))
    count = max(2, len(labels))

    def x(index: int) -> float:
        return round(left + (right - left) * index / (count - 1), 1)

    def y(value: float) -> float:
        return round(base - (base - TOP) * value / top, 1)

    grid = [Label(left - GAP, y(value), text) for value, text in levels]
    places = [round((len(labels) - 1) * tick / TICKS) for tick in range(TICKS + 1)] if labels else []
    anchors = ["start", *["middle"] * (TICKS - 1), "end"]
    ticks = [Label(x(place), height - 6, labels[place], anchor) for place, anchor in zip(places, anchors, strict=False)]
    curves = [_curve(name, values, x, y, base=base, filled=name in areas) for name, values in series]
    return Chart(width, height, left, right, grid, ticks, curves)


def spark(values: Values, *, width: float = 96.0, height: float = 26.0) -> Curve:
    """Draw a line without axes, from zero to its largest value; flat on the base if all values are zero."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    count = max(2, len(values))

    def x(index: int) -> float:
        return round(width * index / (count - 1), 1)

    def y(value: float) -> float:
        return round(height - 2 - (height - 5) * value / most, 1)

    return _curve("spark", values, x, y, base=height, filled=True, ends_open=False)


def _curve(
    name: str,
    values: Values,
    x: Callable[[int], float],
    y: Callable[[float], float],
    *,
    base: float,
    filled: bool,
    ends_open: bool = True,
) -> Curve:
    points = [None if value is None else (x(index), y(value)) for index, value in enumerate(values)]
    last_two = points[-2:]
    settled = points[:-1] if ends_open else points
    runs = _runs(settled)
    is_open = ends_open and len(last_two) == 2 and None not in last_two
    dots = [run[0] for run in runs if len(run) == 1]
    if ends_open and points and points[-1] is not None and not is_open:
        dots.append(points[-1])
    filled_runs = _runs(points) if filled else []
    return Curve(
        name=name,
        lines=[_points(run) for run in runs if len(run) > 1],
        dots=dots,
        area=[_points([(run[0][0], base), *run, (run[-1][0], base)]) for run in filled_runs if len(run) > 1],
        open=_points([point for point in last_two if point is not None]) if is_open else "",
    )


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Return the runs of points between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
