"""Whether BSA's Gaussian cut-off keeps the share of tiles that it is asked for, and what mass they hold."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.profile import Site
from sparsescope.statistics import mean_recorded


@figure("bsa-cutoff", "methods", "Does the cutoff keep what it promises?", panels=True, columns=2, height=2.5)
def bsa_cutoff(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Kept fraction and captured mass against kappa: heads of one layer as lines, all heads as a band."""
    site = site or default_site(profile)
    left, right = style.row_of_panels(figure, 2)
    rows = draw_heads(left, profile, "bsa_density", site) + draw_heads(right, profile, "bsa_recall", site)
    kappa = profile["kappa"].values
    for axes in (left, right):
        axes.plot(kappa, kappa, color=style.QUIET, linewidth=0.8, linestyle="--", label="as wanted / chance")
        style.fraction_axis(axes.xaxis, "kept fraction wanted (kappa)")
    style.fraction_axis(left.yaxis, "kept fraction (pairs)")
    left.set_ylim(kappa[0] / 1.2, 1.1)
    right.set(ylim=(0, 1.02), ylabel="attention mass kept")
    style.legend_above(figure, 4, handles=left.get_legend_handles_labels()[0])
    text = caption(
        profile, "Kept share of the query-key pairs (first panel) and mass of the kept tiles (second) under "
        "BSA's cut-off, mean + sd * quantile(1 - kappa) of each row of pooled scores; no query pruned, a "
        f"row's best tile always kept. Thin lines: heads of layer {site.layer}; band and line: 5 % to 95 % "
        "and median over the heads of all layers", site=site, axes=("prompt", "layer", "head"),
        averaged=prompts_text(profile),
        notes=("dashed: a cut-off that keeps what it was asked for (first), the mass of as many tiles chosen "
               "at random (second)",))
    return Drawn(pd.DataFrame(rows), text)


def draw_heads(axes: Axes, profile: xr.Dataset, name: str, site: Site) -> list[dict]:
    kappa = profile["kappa"].values
    at_site = profile[name].isel(branch=site.branch, step=site.step)
    curves = mean_recorded(at_site.values, axis=0)  # [layer, head, kappa]
    everywhere = curves.reshape(-1, len(kappa))
    low, median, high = np.percentile(everywhere[~np.isnan(everywhere).any(axis=1)], [5, 50, 95], axis=0)
    axes.fill_between(kappa, low, high, color=style.BLUE, alpha=0.15, linewidth=0, label="all heads, 5-95 %")
    axes.plot(kappa, median, color=style.BLUE, linewidth=1.6, label="all heads, median")
    few = curves.shape[1] <= 8
    for head, curve in enumerate(curves[site.layer]):
        axes.plot(kappa, curve, color=style.ORANGE, linewidth=0.7 if few else 0.4, alpha=0.8,
                  marker="o" if few else None, markersize=1.6,
                  label=f"heads of layer {site.layer}" if head == 0 else None)
    rows = [{"curve": name, "layer": site.layer, "head": head, "kappa": k, "y": value}
            for head, curve in enumerate(curves[site.layer]) for k, value in zip(kappa, curve)]
    return rows + [{"curve": f"{name}, median of all heads", "kappa": k, "y": m, "low": lo, "high": hi}
                   for k, m, lo, hi in zip(kappa, median, low, high)]
