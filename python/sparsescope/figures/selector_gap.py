"""What is lost between the best choice of each row and a list picked by pooled scores."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import middle_step
from sparsescope.profile import Site
from sparsescope.statistics import mean_recorded, prompt_band

PARTS = (("sharing", "coverage_row", "coverage_tile", "one list a query tile", style.BLUE, ""),
         ("ranking", "coverage_tile", "coverage_pooled", "ranked by pooled scores", style.SKY, "////"))


def nearest_fraction(profile: xr.Dataset, fraction: float) -> int:
    """The index of a kept fraction that was measured."""
    known = profile["f"].values
    index = int(np.argmin(np.abs(known - fraction)))
    if not np.isclose(known[index], fraction):
        listed = ", ".join(f"{f:g}" for f in known)
        raise UsageError(f"fraction {fraction:g} was not measured; measured: {listed}")
    return index


@figure("selector-gap", "curves", "Is the head diffuse, or the selector bad?", height=2.5)
def selector_gap(axes: Axes, profile: xr.Dataset, *, fraction: float = 0.25, branch: int = 0,
                 step: int | None = None) -> Drawn:
    """A bar a layer, mean over heads: mass lost by sharing a list in a tile and by ranking with pooled
    scores; a point a head: both together."""
    step = middle_step(profile) if step is None else step
    at = profile.isel(branch=branch, step=step, f=nearest_fraction(profile, fraction))
    layers = np.arange(profile.sizes["layer"])
    base, rows, bands = np.zeros(len(layers)), [], []
    total = 0
    for part, more, less, label, colour, hatch in PARTS:
        lost = (at[more] - at[less]).transpose("prompt", "layer", "head").values
        total = total + lost
        band = prompt_band(mean_recorded(lost, 2))
        axes.bar(layers, band.mean, 0.72, bottom=base, color=colour, hatch=hatch, edgecolor="white",
                 linewidth=0, label=label)
        base = base + np.nan_to_num(band.mean)
        bands.append((part, band))
    whole = prompt_band(mean_recorded(total, 2))
    bands.append(("both", whole))
    if whole.prompts > 1:
        axes.vlines(layers, whole.low, whole.high, color=style.INK, linewidth=0.9)
    heads = mean_recorded(total, 0)  # [layer, head]
    axes.plot(np.repeat(layers, heads.shape[1]), heads.ravel(), linestyle="none", marker="o", markersize=1.8,
              color=style.INK, alpha=0.9 if heads.shape[1] < 10 else 0.35, markeredgewidth=0,
              label="both, one head")
    for part, band in bands:
        rows += [{"layer": layer, "head": "all", "curve": part, "mass": m, "low": lo, "high": hi}
                 for layer, m, lo, hi in zip(layers, band.mean, band.low, band.high)]
    rows += [{"layer": layer, "head": head, "curve": "both", "mass": mass, "low": np.nan, "high": np.nan}
             for (layer, head), mass in np.ndenumerate(heads)]
    style.layer_axis(axes.xaxis, profile)
    axes.grid(axis="x", visible=False)
    axes.set_ylim(bottom=min(0, float(np.nanmin(heads))))
    axes.set_ylabel("attention mass lost")
    style.legend_above(axes, 3)
    tall = " Lines on the bars span the sum's interval" if whole.prompts > 1 else ""
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Attention mass lost at {fraction:g} of the tiles, by layer: by sharing one list among "
        "the rows of a query tile (best of each row less best of the tile), and by ranking tiles with "
        "pooled scores (best of the tile less picked by scores)",
        site=Site(branch=branch, step=step), axes=("prompt", "layer", "head"),
        averaged=f"all heads of a layer and {whole.prompts} prompt{'s' if whole.prompts > 1 else ''}",
        notes=(f"Points: single heads.{tall}", whole.meaning.replace("bands", "intervals") if tall else "")))
