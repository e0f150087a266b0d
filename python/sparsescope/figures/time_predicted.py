"""Whether time follows from the density, and at which size sparse attention pays."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sparsescope.benches import attention_benches, labels, machine_text, runs
from sparsescope.cost_lines import fit_series
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.kernel_times import APART, SERIES, name_of
from sparsescope.figures.registry import Drawn, figure

DENSITIES = ((1 / 2, "white"), (1 / 8, None))  # at which sizes are compared; the marker's face


@figure("time-predicted", "error", "Does sparsity pay at this size?", needs=("costs",), panels=True,
        columns=2, height=3.2)
def time_predicted(figure: Figure, profile: xr.Dataset, *, costs: dict,
                   benches: list[dict] | None = None) -> Drawn:
    """Left: time that straight lines in the density predict, against measured time, every point of the costs.
    Right, with benches: speed-up over dense attention by size."""
    benches = attention_benches(benches or [])
    panels = style.row_of_panels(figure, 2 if benches else 1, width_ratios=[2, 3] if benches else None)
    rows, crossings, off = _predicted(panels[0], costs)
    if benches:
        rows += _speedups(panels[1], benches)
    style.legend_above(figure, 5, handles=panels[0].get_legend_handles_labels()[0])
    shape = costs["shape"]
    tokens = int(np.prod(shape["grid"])) + shape["prefix"] + shape["suffix"]
    pays = "; ".join(f"{style.METHODS[method][0]} {_range_text(values)}"
                     for method, values in crossings.items())
    return Drawn(pd.DataFrame(rows), caption(
        profile, "First panel: time of one attention call with selection, as straight lines in the density "
        "predict it, against measured time; every measured setting is a point; grey lines: equality, and the "
        "time of dense attention, beyond which sparse attention does not pay", rows=False, lead=APART, notes=(
            f"{tokens:,} tokens, {shape['heads']} heads of {shape['head_dim']}, {shape['dtype']}, "
            f"{machine_text(costs['machine'], costs['threads'])}; points lie {100 * off:.1f} % off on the "
            "median",
            f"it pays below density: {pays}",
            "second panel: dense over sparse time with selection at densities 1/2 (open) and 1/8 (filled), "
            "linear between measured densities, "
            f"{machine_text(benches[0]['machine'], benches[0]['threads'])}; at the line both take the same "
            "time, at the dots only pairs would cost time" if benches else "")))


def _predicted(axes: Axes, costs: dict) -> tuple[list[dict], dict[str, list[float]], float]:
    """-> rows, by method the densities below which each series pays, the median relative deviation."""
    dense, rows, crossings = costs["dense_ms"], [], {}
    for series in costs["series"]:
        line = fit_series(series, dense)
        crossings.setdefault(series["method"], []).append(line.crossover())
        rows += [{"method": series["method"], "series": series_name(series), "density": point["density"],
                  "predicted_ms": float(line.at(point["density"])) * dense,
                  "measured_ms": point["selection_ms"] + point["kernel_ms"]} for point in series["points"]]
    table = pd.DataFrame(rows)
    for method, points in table.groupby("method", sort=False):
        name, colour, _, marker = style.METHODS[method]
        axes.plot(points["predicted_ms"], points["measured_ms"], linestyle="none", marker=marker,
                  color=colour,
                  markersize=3, alpha=0.8, markeredgewidth=0, label=name)
    ends = np.array([table["measured_ms"].min() / 1.4, max(table["measured_ms"].max(), dense) * 1.4])
    axes.plot(ends, ends, color=style.QUIET, linewidth=0.8, zorder=1)
    axes.axhline(dense, color=style.QUIET, linewidth=0.8)
    axes.axvline(dense, color=style.QUIET, linewidth=0.8)
    axes.plot(dense, dense, marker="D", color=style.INK, linestyle="none", markersize=4, label="dense")
    for axis, label in ((axes.xaxis, "predicted time (ms)"), (axes.yaxis, "measured time (ms)")):
        getattr(axes, f"set_{axis.axis_name}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_label_text(label)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    off = (table["predicted_ms"] / table["measured_ms"] - 1).abs().median()
    return rows, crossings, float(off)


def _speedups(axes: Axes, benches: list[dict]) -> list[dict]:
    rows = []
    shown = [series for series in SERIES if series != "random"]
    for at, bench in enumerate(benches):
        table = runs(bench)
        for place, series in enumerate(shown):
            found = table[table["series"] == series].sort_values("density")
            _, colour, marker = SERIES[series]
            for density, face in DENSITIES:
                speedup = speedup_at(found, density)
                if np.isnan(speedup):
                    continue
                axes.plot(at + 0.2 * (place - (len(shown) - 2) / 2), speedup, marker=marker, color=colour,
                          markerfacecolor=face or colour, linestyle="none", markersize=4.5)
                rows.append({"bench": name_of(bench), "run": series, "density": density, "speedup": speedup})
    for density, _ in DENSITIES:
        axes.axhline(1 / density, color=style.QUIET, linewidth=0.8, linestyle=":")
    axes.axhline(1, color=style.QUIET, linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(benches)), labels(benches))
    axes.set_xlim(-0.6, len(benches) - 0.4)
    axes.set_xlabel("tokens, head dim, dtype")
    axes.set_ylabel("dense over sparse time")
    axes.grid(axis="x", visible=False)
    return rows


def speedup_at(found: pd.DataFrame, density: float) -> float:
    """Dense time over that of one series, selection included, linear between its measured densities; NaN
    outside them."""
    whole = found["kernel_ms"] + found["selection_ms"]
    time = np.interp(density, found["density"], whole, np.nan, np.nan) if len(found) else np.nan
    return float(found["dense_ms"].iloc[0] / time) if np.isfinite(time) else np.nan


def series_name(series: dict) -> str:
    """"bsa query_keep 0.5", "vmoba st:4,4,4 threshold head_global"."""
    return " ".join([series["method"], *(f"query_keep {series[key]:g}"
                                         if key == "query_keep" else str(series[key])
                                         for key in ("query_keep", "partition", "select", "pool")
                                         if key in series)])


def _range_text(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
