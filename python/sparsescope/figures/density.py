"""The kept fraction that a recall takes, over the model: where is room for sparsity?"""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.profile import Site, recorded
from sparsescope.statistics import fraction_for, mean_recorded

PANELS = (("median", 50, "median over heads"), ("sharp", 5, "5 % quantile (sharp heads)"),
          ("diffuse", 95, "95 % quantile (diffuse heads)"))


def needed_fractions(profile: xr.Dataset, recall: float, branch: int) -> np.ndarray:
    """The smallest kept fraction at which coverage_tile, averaged over prompts, reaches the recall:
    [step, layer, head]. Text keys are always kept, and their mass counts."""
    curve = profile["coverage_tile"].isel(branch=branch)
    curve = curve.transpose("prompt", "step", "layer", "head", "f").values
    if "prefix_mass" in profile:
        text = profile["prefix_mass"].isel(branch=branch).transpose("prompt", "step", "layer", "head").values
        curve = curve + text[..., None]
    return fraction_for(mean_recorded(curve, 0), profile["f"].values, recall)


def grid_table(values: np.ndarray, name: str, rows: str, columns: str, **fixed) -> list[dict]:
    """[row, column] as rows of a table."""
    return [{**fixed, rows: i, columns: j, name: value} for (i, j), value in np.ndenumerate(values)]


def _norm(profile: xr.Dataset) -> LogNorm:
    return LogNorm(float(profile["f"][0]), 1)


def _bar(figure, image, axes, recall: float) -> None:
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=25)
    style.fraction_axis(bar.ax.yaxis, f"tiles kept for recall {recall:g} (fraction)")
    bar.outline.set_visible(False)


@figure("density-grid", "curves", "Where in the model is room?", panels=True, columns=2,
        height=lambda profile: 1.3 + min(2.4, 0.12 * profile.sizes["layer"]))
def density_grid(figure: Figure, profile: xr.Dataset, *, recall: float = 0.9, branch: int = 0) -> Drawn:
    """Layer x step: the fraction that the median head, a sharp and a diffuse one need."""
    needed = needed_fractions(profile, recall, branch)  # [step, layer, head]
    stacked = style.is_narrow(figure)
    if stacked:
        style.fit_height(figure, 2.2 * figure.get_figheight())
    axes = figure.subplots(*((3, 1) if stacked else (1, 3)), sharex=True, sharey=True)
    rows = []
    for panel, (part, percent, title) in zip(axes, PANELS):
        values = _quantile(needed, percent).T  # [layer, step]
        image = style.grid_image(panel, values, cmap=style.RAMP, norm=_norm(profile))
        style.step_axis(panel.xaxis, profile, most=8 if stacked else 5)
        style.layer_axis(panel.yaxis, profile)
        panel.set_title(title)
        rows += grid_table(values, "kept_fraction", "layer", "step", quantile=part)
    for panel in axes:
        panel.label_outer()
    _bar(figure, image, axes, recall)
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Smallest fraction of key tiles whose mass reaches {recall:g}, best tiles of each query "
        "tile, by layer and step: the median over heads, and what 5 % and 95 % of the heads stay below",
        site=Site(branch=branch), axes=("prompt", "step", "layer", "head"),
        averaged=f"{prompts_text(profile)}, of the curve from which the fraction is read (linear in log f)",
        notes=(expert_text(profile),)))


def _quantile(needed: np.ndarray, percent: float) -> np.ndarray:
    """Over heads, [step, layer]; NaN where no head was recorded."""
    found = np.full(needed.shape[:2], np.nan)
    here = ~np.isnan(needed).all(axis=-1)
    found[here] = np.nanpercentile(needed[here], percent, axis=-1)
    return found


@figure("density-heads", "curves", "Which heads are dense?",
        height=lambda profile: 1.2 + min(3.2, 0.14 * profile.sizes["layer"]))
def density_heads(axes: Axes, profile: xr.Dataset, *, recall: float = 0.9, branch: int = 0,
                  step: int | None = None) -> Drawn:
    """Layer x head: the fraction that a head needs, at one step or as the mean over steps."""
    needed = needed_fractions(profile, recall, branch)
    values = mean_recorded(needed, 0) if step is None else needed[step]  # [layer, head]
    image = style.grid_image(axes, values, cmap=style.RAMP, norm=_norm(profile))
    style.index_axis(axes.xaxis, "head")
    style.layer_axis(axes.yaxis, profile)
    _bar(axes.figure, image, axes, recall)
    steps = len(recorded(profile, "step"))
    over = f"{steps} step{'s' if steps > 1 else ''} and {prompts_text(profile)}"
    return Drawn(pd.DataFrame(grid_table(values, "kept_fraction", "layer", "head")), caption(
        profile, f"Smallest fraction of key tiles whose mass reaches {recall:g}, best tiles of each query "
        "tile, of every head", site=Site(branch=branch, step=step or 0),
        axes=("prompt", "layer", "head", *(("step",) if step is None else ())),
        averaged=over if step is None else prompts_text(profile)))
