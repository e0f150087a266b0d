"""What a plan runs where, and how much of the attention each layer computes."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.plans import DENSE, kept_density, rule_indices

SPARSEST = 1 / 64  # the colours' lower end


def _height(profile: xr.Dataset) -> float:
    return min(1.4 + 0.14 * profile.sizes["layer"], 7.5)


@figure("plan", "methods", "What will run where?", needs=("plan",), panels=True, columns=2, height=_height)
def plan(figure: Figure, profile: xr.Dataset, *, plan: dict, step: int | None = None) -> Drawn:
    """Kept density of every head (mean over steps, or at one step), of every layer at every step, and of
    every layer altogether; hatched where all of a cell runs dense."""
    density = kept_density(plan, profile)
    dense = rule_indices(plan) == DENSE
    chosen = slice(None) if step is None else slice(step, step + 1)
    cells = {"head": (density[chosen].mean(axis=0), dense[chosen].all(axis=0)),
             "step": (density.mean(axis=2).T, dense.all(axis=2).T)}
    by_head, by_step, by_layer = figure.subplots(1, 3, sharey=True, width_ratios=[3, 3, 1.6])
    norm = LogNorm(SPARSEST, 1, clip=True)
    for axes, grid in zip((by_head, by_step), cells.values()):
        image = style.grid_image(axes, grid[0], cmap=style.RAMP, norm=norm)
        hatch(axes, grid[1])
    by_head.set_title("mean over steps" if step is None else f"step {step}")
    by_step.set_title("mean over heads")
    style.index_axis(by_head.xaxis, "head")
    style.step_axis(by_step.xaxis, profile, most=3 if style.is_narrow(figure) else 8)
    style.layer_axis(by_head.yaxis, profile)
    budget = density.mean(axis=(0, 2))
    _budget(by_layer, budget, partition_names(plan))
    ticks = [1 / 64, 1 / 16, 1 / 4, 1]
    bar = figure.colorbar(image, ax=[by_head, by_step, by_layer], ticks=ticks, pad=0.02, aspect=25)
    bar.ax.minorticks_off()
    bar.set_ticklabels([f"≤ {style.fraction_text(ticks[0])}", *map(style.fraction_text, ticks[1:])])
    bar.set_label("kept density")
    bar.outline.set_visible(False)
    rows = [{"panel": axis, "layer": layer, axis: place, "density": grid[layer, place],
             "dense": bool(all_dense[layer, place])}
            for axis, (grid, all_dense) in cells.items() for layer, place in np.ndindex(grid.shape)]
    rows += [{"panel": "layer", "layer": layer, "density": value} for layer, value in enumerate(budget)]
    return Drawn(pd.DataFrame(rows), caption(profile, _shown(plan, step), rows=False, notes=(
        f"{density.mean():.3g} of all pairs are computed (line)" if np.isfinite(density).all() else
        "blank: the profile does not say what the rule keeps",
        f"{dense.mean():.1%} of the heads' calls run dense; hatched: all of a cell".replace("%", " %"),
        MEASURED[plan["method"]])))


# Where densities come from.
MEASURED = {
    "vsa": "density: K of a rule over the number of tiles",
    "bsa": "density: kept queries times the keys that the cut-off kept in the profile, mean over prompts and "
    "branches",
    "vmoba": "density: what the rule kept in the profile, mean over prompts and branches",
    "dense": "",
}


def _shown(plan: dict, step: int | None) -> str:
    method = style.METHODS[plan["method"]][0]
    where = "mean over its steps" if step is None else f"step {step}"
    return (f"Share of the query-key pairs that a plan of {method} computes, of each head ({where}), of each "
            "layer at each step, and of each layer altogether")


def hatch(axes: Axes, marked: np.ndarray) -> None:
    """Hatches the marked cells [row, column] of a grid image, a run of a row at a time."""
    for row, cells in enumerate(marked):
        borders = np.flatnonzero(np.diff(np.concatenate([[0], cells.astype(int), [0]])))
        for first, end in borders.reshape(-1, 2):
            axes.add_patch(Rectangle((first - 0.5, row - 0.5), end - first, 1, fill=False, hatch="////",
                                     edgecolor=style.INK, linewidth=0))


def partition_names(plan: dict) -> list[str]:
    """Of each layer the partition that its rules share, "several" where they differ; for VMoBA alone."""
    if plan["method"] != "vmoba":
        return []
    rules = rule_indices(plan)
    found = [{plan["rules"][index]["partition"] for index in np.unique(rules[:, layer]) if index != DENSE}
             for layer in range(rules.shape[1])]
    return [next(iter(names)) if len(names) == 1 else "several" if names else "dense" for names in found]


def _budget(axes: Axes, budget: np.ndarray, names: list[str]) -> None:
    axes.barh(range(len(budget)), budget, height=0.8, color=style.BLUE)
    axes.axvline(budget.mean(), color=style.INK, linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("density")
    axes.set_title("layer")
    axes.grid(axis="y", visible=False)
    if names:
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(names)), names)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
