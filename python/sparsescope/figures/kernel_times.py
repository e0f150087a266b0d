"""What measuring costs, and how near to ideal the sparse kernels are."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparsescope.benches import INSTRUMENTED, attention_benches, labels, machine_text, runs
from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import extents_text

MOST_PANELS = 6
APART = "timed apart from the profile of"
# series -> (name, colour, marker); random tiles have no selection.
SERIES = {
    "vsa": ("VSA", style.BLUE, "o"), "bsa": ("BSA", style.ORANGE, "s"),
    "vmoba top-k": ("VMoBA, top-k", style.GREEN, "^"),
    "vmoba tau": ("VMoBA, threshold", style.GREEN, "v"), "random": ("random tiles", style.QUIET, "x"),
}
RECORDERS = {
    "masses": "exact tile masses, dropped", "profile-tiles": "all but VMoBA's statistics",
    "profile-sampled": "all statistics, 4 rows a tile", "profile": "all statistics",
}


@figure("overhead", "error", "What does measuring cost?", needs=("benches",), columns=2, height=2.6)
def overhead(axes: Axes, profile: xr.Dataset, *, benches: list[dict]) -> Drawn:
    """Time of attention that records over that of dense attention, for each size and dtype that was timed."""
    benches = known_benches(benches)
    rows = []
    for place, method in enumerate(INSTRUMENTED):
        offset = 0.16 * (place - (len(INSTRUMENTED) - 1) / 2)
        found = [(at, table[table["method"] == method].iloc[0]) for at, table in enumerate(map(runs, benches))
                 if (table["method"] == method).any()]
        if not found:
            continue
        ratio, low, high = (np.array([run[name] / run["dense_ms"] for _, run in found])
                            for name in ("kernel_ms", "low_ms", "high_ms"))
        at = np.array([at for at, _ in found]) + offset
        colour, marker = style.COLOURS[place], style.MARKERS[place]
        axes.errorbar(at, ratio, [ratio - low, high - ratio], fmt="none", ecolor=colour, elinewidth=0.8)
        axes.plot(at, ratio, linestyle="none", marker=marker, color=colour, markersize=4.5,
                  label=RECORDERS[method])
        rows += [{"bench": name_of(benches[int(i)]), "run": method, "overhead": r, "low": lo, "high": hi}
                 for (i, _), r, lo, hi in zip(found, ratio, low, high)]
    axes.axhline(1, color=style.INK, linewidth=0.8)
    axes.axhline(1.5, color=style.INK, linewidth=0.8, linestyle="--")
    axes.set_ylim(min(0.95, 0.97 * min(row["low"] for row in rows)),
                  max(1.55, 1.03 * max(row["high"] for row in rows)))
    axes.set_xticks(range(len(benches)), labels(benches))
    axes.set_xlim(-0.6, len(benches) - 0.4)
    axes.set_xlabel("tokens, head dim, dtype")
    axes.set_ylabel("time over dense attention")
    axes.grid(axis="x", visible=False)
    style.legend_above(axes, 4)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Time of dense attention that records, over dense attention that does not: medians of the "
        "forward pass on warm caches, bars: quartiles of the recording runs", rows=False, lead=APART, notes=(
            f"tiles of {_tiles_text(benches)} tokens, "
            f"{machine_text(benches[0]['machine'], benches[0]['threads'])}",
            "all statistics are of every row up to 8,192 tokens, of 4 rows a tile above",
            "line: no cost; dashed: 1.5, the least that two passes over QK can cost")))


@figure("kernel-efficiency", "error", "How close is the sparse kernel to ideal?", needs=("benches",),
        panels=True, columns=2, height=4.0)
def kernel_efficiency(figure: Figure, profile: xr.Dataset, *, benches: list[dict]) -> Drawn:
    """Dense time x density / sparse time: 1 where a computed pair costs what it costs in dense attention;
    with selection dashed. A panel a size."""
    benches = known_benches(benches)
    shown = benches[:MOST_PANELS]
    panels = style.panel_grid(figure, len(shown), across=3, narrow=2, sharex=True, sharey=True)
    rows, seen = [], []
    for axes, bench, name in zip(panels.flat, shown, labels(shown)):
        table = runs(bench)
        for series, (_, colour, marker) in SERIES.items():
            found = table[table["series"] == series].sort_values("density")
            if found.empty:
                continue
            seen += [series] if series not in seen else []
            ideal = found["dense_ms"] * found["density"]
            alone, whole = ideal / found["kernel_ms"], ideal / (found["kernel_ms"] + found["selection_ms"])
            axes.plot(found["density"], alone, color=colour, marker=marker, markerfacecolor=colour)
            if (found["selection_ms"] > 0).any():
                axes.plot(found["density"], whole, color=colour, marker=marker, linestyle="--",
                          markerfacecolor="white", linewidth=0.9)
            rows += [{"bench": name_of(bench), "run": series, "density": d, "efficiency": a,
                      "with_selection": w}
                     for d, a, w in zip(found["density"], alone, whole)]
        axes.axhline(1, color=style.QUIET, linewidth=0.8)
        axes.set_title(name.replace("\n", ", "))
        style.fraction_axis(axes.xaxis, "")
    least = min(row["with_selection"] for row in rows)
    kept = [row["density"] for row in rows]
    panels[0, 0].set_xlim(0.8 * min(kept), 1.25 * max(kept))
    most = max(row["efficiency"] for row in rows)
    panels[0, 0].set_ylim(max(0.0, np.floor(10 * least) / 10 - 0.1), max(1.12, 1.05 * most))
    for column in panels.T:
        [axes for axes in column if axes.get_visible()][-1].set_xlabel("density")
    for axes in panels[:, 0]:
        axes.set_ylabel("efficiency")
    style.legend_above(figure, 4, handles=_series_handles(seen))
    left_out = f"{len(benches) - len(shown)} further sizes left out" if len(benches) > len(shown) else ""
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Time that a sparse call would take if a pair cost what it costs in dense attention, over "
        "the time that it takes: dense time x density / sparse time, medians of the forward pass on warm "
        "caches",
        rows=False, lead=APART, notes=(
            f"tiles of {_tiles_text(shown)} tokens, {machine_text(shown[0]['machine'], shown[0]['threads'])}",
               "solid: the kernel alone; dashed: with selection", left_out)))


def known_benches(benches: list[dict]) -> list[dict]:
    found = attention_benches(benches)
    if not found:
        raise UsageError("--bench: expected a result of `bench attention`, found none")
    return found


def name_of(bench: dict) -> str:
    """For tables: "B1 H3 S2048 D64 fp32"."""
    extents = " ".join(f"{letter}{extent}" for letter, extent in zip("BHSD", bench["shape"]))
    return f"{extents} {bench['dtype']}"


def _tiles_text(benches: list[dict]) -> str:
    return " and ".join(sorted({extents_text(bench["tile"]) for bench in benches}))


def _series_handles(seen: list[str]) -> list[Line2D]:
    named = [Line2D([], [], color=SERIES[series][1], marker=SERIES[series][2], label=SERIES[series][0])
             for series in SERIES if series in seen]
    return named + [Line2D([], [], color=style.INK, linestyle=dash, label=meaning)
                    for dash, meaning in (("-", "kernel alone"), ("--", "with selection"))]
