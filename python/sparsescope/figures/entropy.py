"""How diffuse attention is over layers and steps."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, manifest, recorded
from sparsescope.statistics import Band, mean_recorded, prompt_band


def most_entropy(profile: xr.Dataset) -> float:
    """ln of the number of keys of a row, text included: the entropy of a row that attends evenly."""
    made = manifest(profile)
    return float(np.log(tile_grid(profile).tokens + made.get("prefix", 0) + made.get("suffix", 0)))


@figure("entropy", "structure", "How diffuse is attention over layers and steps?", panels=True, columns=2,
        height=2.5)
def entropy(figure: Figure, profile: xr.Dataset, *, branch: int = 0, normalised: bool = False) -> Drawn:
    """Layer x step, mean over heads; against the step a line a head; by layer a point a head; in nats and
    over ln(keys), which uniform attention reaches."""
    most = most_entropy(profile)
    scale, unit = (most, "entropy / ln(keys)") if normalised else (1.0, "entropy (nats)")
    values = profile["entropy"].isel(branch=branch)
    values = values.transpose("prompt", "step", "layer", "head").values / scale
    grid_panel, step_panel, layer_panel = _panels(figure)
    grid = mean_recorded(values, (0, 3)).T  # [layer, step]
    image = style.grid_image(grid_panel, grid, cmap=style.RAMP)
    style.step_axis(grid_panel.xaxis, profile, most=5)
    style.layer_axis(grid_panel.yaxis, profile)
    bar = figure.colorbar(image, ax=grid_panel, pad=0.02, aspect=25)
    bar.set_label(unit)
    bar.outline.set_visible(False)

    steps, layers = (np.arange(profile.sizes[axis]) for axis in ("step", "layer"))
    faint = 0.8 if profile.sizes["head"] < 10 else 0.3
    lines = mean_recorded(values, 0).reshape(len(steps), -1)  # [step, layer and head]
    here = recorded(profile, "step")  # a line goes on over steps that were not recorded
    step_panel.plot(steps[here], lines[here], color=style.BLUE, linewidth=0.5, alpha=faint,
                    rasterized=lines.shape[1] > 200)
    by_step = _mean(step_panel, steps, mean_recorded(values, (2, 3)))
    style.step_axis(step_panel.xaxis, profile, most=4)
    heads = mean_recorded(values, (0, 1))  # [layer, head]
    layer_panel.plot(np.repeat(layers, heads.shape[1]), heads.ravel(), linestyle="none", marker="o",
                     markersize=2.2, markeredgewidth=0, color=style.BLUE, alpha=faint)
    by_layer = _mean(layer_panel, layers, mean_recorded(values, (1, 3)))
    style.layer_axis(layer_panel.xaxis, profile)
    for panel in (step_panel, layer_panel):
        panel.axhline(most / scale, color=style.QUIET, linewidth=0.8)
        panel.set_ylim(0, 1.04 * most / scale)
    step_panel.set_ylabel(unit)
    layer_panel.tick_params(labelleft=False)
    if not normalised:
        share = layer_panel.secondary_yaxis("right",
                                            functions=(lambda nats: nats / most, lambda part: part * most))
        share.set_ylabel("entropy / ln(keys)")
    style.legend_above(figure, 3, handles=[
        Line2D([], [], color=style.INK, label="mean over heads"),
        Line2D([], [], color=style.BLUE, linewidth=0.6, marker="o", markersize=2.2, label="one head"),
        Line2D([], [], color=style.QUIET, linewidth=0.8, label="uniform attention")])

    rows = [{"layer": layer, "step": step, "head": "all", "entropy": value}
            for (layer, step), value in np.ndenumerate(grid)]
    rows += [{"layer": at // heads.shape[1], "step": step, "head": at % heads.shape[1], "entropy": value}
             for (step, at), value in np.ndenumerate(lines)]
    rows += [{"layer": layer, "step": "all", "head": head, "entropy": value}
             for (layer, head), value in np.ndenumerate(heads)]
    for axis, band in (("step", by_step), ("layer", by_layer)):
        rows += [{"layer": "all", "step": "all", "head": "all", axis: at, "entropy": m, "low": lo, "high": hi}
                 for at, (m, lo, hi) in enumerate(zip(band.mean, band.low, band.high))]
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Entropy of a query row's attention: by layer and step, mean over heads (left); every "
        "head against the step (middle); every head by layer, mean over "
        f"{len(recorded(profile, 'step'))} steps (right)",
        site=Site(branch=branch), axes=("prompt", "step", "layer", "head"), averaged=prompts_text(profile),
        notes=(f"Uniform attention has ln(keys) = {most:.2f} nats", by_layer.meaning, expert_text(profile))))


def _panels(figure: Figure) -> tuple[Axes, Axes, Axes]:
    if not style.is_narrow(figure):
        return tuple(figure.subplots(1, 3, width_ratios=[1.25, 1, 1]))
    style.fit_height(figure, 4.4)
    found = figure.subplot_mosaic([["grid", "grid"], ["step", "layer"]])
    return found["grid"], found["step"], found["layer"]


def _mean(axes: Axes, x: np.ndarray, values: np.ndarray) -> Band:
    """values [prompt, x]: the mean over heads, with its interval."""
    band = prompt_band(values)
    here = ~np.isnan(band.mean)
    axes.plot(x[here], band.mean[here], color=style.INK)
    axes.fill_between(x[here], band.low[here], band.high[here], color=style.INK, alpha=0.18, linewidth=0)
    return band
