"""The lines of a sweep: colour and marker tell the method, the dash what was compared with it."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sparsescope.figures import style

@dataclass(frozen=True)
class Look:
    name: str  # in legends; kinds that share it have one entry
    dash: object
    control: str = ""  # marker of selections that are no methods, drawn in grey


KINDS = {
    "derived": Look("derived", "-"),
    "uniform": Look("one setting for all heads", "--"),
    "published": Look("published setting", "-."),
    "published:topk": Look("published setting", "-."),
    "published:threshold": Look("published, threshold", (0, (5, 1, 1, 1, 1, 1))),
    "published:global": Look("published, threshold of a head", (0, (7, 2))),
    "random": Look("random tiles", ":", "x"),
    "oracle": Look("best tiles of each row", ":", "*"),
}


def lines_of(sweep: dict, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[tuple[str, str, list[dict]]]:
    """(method, kind, points by density) of the kinds asked for, in the order of KINDS."""
    for kind in kinds:
        for method in style.METHODS:
            points = [point for point in sweep["points"]
                      if (point["method"], point["kind"]) == (method, kind)]
            if points:
                yield method, kind, sorted(points, key=lambda point: point["density"])


def draw_lines(axes: Axes, sweep: dict, x_of: Callable[[dict], float], kinds: tuple[str, ...] = tuple(KINDS),
               *, knees: bool = False) -> None:
    """Error of the model's output against x, with intervals for derived plans; knees ringed where asked."""
    for method, kind, points in lines_of(sweep, kinds):
        look, (_, colour, _, marker) = KINDS[kind], style.METHODS[method]
        if look.control:
            colour, marker = style.QUIET, look.control
        x, y = [x_of(point) for point in points], [point["error"] for point in points]
        axes.plot(x, y, color=colour, linestyle=look.dash, marker=marker,
                  linewidth=1.4 if kind == "derived" else 0.9, markersize=3.6,
                  markerfacecolor=colour if kind == "derived" else "white")
        if kind == "derived":
            axes.errorbar(x, y, interval_arms(points, "error"), fmt="none", ecolor=colour, elinewidth=0.8,
                          capsize=1.5)
        for point in points if knees else ():
            if point["knee"]:
                axes.plot(x_of(point), point["error"], "o", markersize=9, markerfacecolor="none",
                          markeredgecolor=style.INK, markeredgewidth=0.9)


def interval_arms(points: list[dict], name: str) -> np.ndarray:
    """For errorbar, [2, point]: how far name_low and name_high lie from name; 0 without an interval."""
    value = np.array([point[name] for point in points])
    low, high = (np.array([value[i] if point.get(name + end) is None else point[name + end]
                           for i, point in enumerate(points)]) for end in ("_low", "_high"))
    return np.stack([np.maximum(value - low, 0), np.maximum(high - value, 0)])


def handles(methods: set[str], kinds: set[str]) -> list[Line2D]:
    """For a legend: the methods by colour, then the kinds by dash."""
    looks = [style.METHODS[method] for method in style.METHODS if method in methods]
    named = {look.name: look for kind, look in KINDS.items() if kind in kinds}
    return [Line2D([], [], color=colour, marker=marker, label=name) for name, colour, _, marker in looks] + \
        [Line2D([], [], color=style.QUIET if look.control else style.INK, linestyle=look.dash, linewidth=1.0,
                marker=look.control or None, label=name) for name, look in named.items()]
