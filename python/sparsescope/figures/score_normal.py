"""How far the rows of pooled scores are normal, which BSA's Gaussian cut-off takes for granted."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from sparsescope import profile as files
from sparsescope.attention import pooled_scores
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, kept_calls
from sparsescope.statistics import mean_recorded

RANGE = 4.0  # standard deviations shown
BINS = 40
QUANTILES = 199  # of the QQ plot
CUT = 0.1  # kappa whose cut-off is drawn: the published setting


def standardised_rows(scores: np.ndarray) -> np.ndarray:
    """(Z[i, :] - mean) / population deviation of each row; rows without deviation are 0. [N, N]."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)


@figure("score-normal", "methods", "Does BSA's Gaussian cutoff assume too much?", panels=True, columns=2,
        height=2.4)
def score_normal(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Standardised scores of one head against N(0, 1) where its q and k were kept; skewness and excess
    kurtosis of every head."""
    kept = bool(kept_calls(profile, "qkv"))
    site = site or default_site(profile, kept="qkv" if kept else "")
    panels = style.row_of_panels(figure, 3 if kept else 1)
    rows, notes = [], []
    if kept:
        scores = standardised_rows(pooled_scores(files.captured(profile, site), tile_grid(profile)))
        ordered = np.sort(scores, axis=None)
        rows += draw_histogram(panels[0], ordered) + draw_quantiles(panels[1], ordered)
        above = float((ordered >= ndtri(1 - CUT)).mean())
        share = f"{CUT:.0%} of its tiles (dotted) lets pass {above:.1%}".replace("%", " %")
        notes = ["First two panels: each query tile's pooled scores less their mean, over their standard "
                 f"deviation, rows together; the cut-off that lets a normal row pass {share}; scores beyond "
                 f"±{RANGE:g} are in the outermost bins"]
    rows += draw_moments(figure, panels[-1], profile, site)
    notes.append("Skewness and excess kurtosis: every head at this step and branch, mean over prompts and "
                 "query tiles; a normal row lies at 0, 0; no distribution lies below the grey line")
    of_what = " of one head" if kept else ""
    text = caption(profile, f"Pooled scores between query and key tiles{of_what} against a normal distribution",
                   site=site, axes=() if kept else ("prompt", "layer", "head"), notes=tuple(notes))
    return Drawn(pd.DataFrame(rows), text)


def draw_histogram(axes: Axes, ordered: np.ndarray) -> list[dict]:
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    counts, _ = np.histogram(np.clip(ordered, -RANGE, RANGE), edges)
    density = counts / len(ordered) / np.diff(edges)
    middles = (edges[:-1] + edges[1:]) / 2
    normal = np.exp(-np.square(middles) / 2) / np.sqrt(2 * np.pi)
    axes.stairs(density, edges, fill=True, color=style.SKY, alpha=0.6)
    axes.plot(middles, normal, color=style.INK, linewidth=1.0)
    axes.axvline(ndtri(1 - CUT), color=style.ORANGE, linestyle=":", linewidth=1.0)
    axes.set(xlim=(-RANGE, RANGE), ylim=(0, None), xlabel="standardised score",
             ylabel="density (line: normal)")
    return [{"curve": "histogram", "x": x, "y": y} for x, y in zip(middles, density)]


def draw_quantiles(axes: Axes, ordered: np.ndarray) -> list[dict]:
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    expected, found = ndtri(shares), np.quantile(ordered, shares)
    axes.plot([-3, 3], [-3, 3], color=style.QUIET, linewidth=0.8)
    axes.plot(expected, found, color=style.BLUE, linewidth=1.4)
    axes.set(xlim=(-3, 3), xlabel="quantile of the normal", ylabel="quantile of the scores")
    return [{"curve": "quantiles", "x": x, "y": y} for x, y in zip(expected, found)]


def draw_moments(figure: Figure, axes: Axes, profile: xr.Dataset, site: Site) -> list[dict]:
    moments = mean_recorded(profile["score_moments"].isel(branch=site.branch, step=site.step).values, axis=0)
    skewness, kurtosis = moments[..., 2], moments[..., 3]  # [layer, head]
    ramp = style.head_points(axes, skewness, kurtosis)
    axes.axhline(0, color=style.QUIET, linewidth=0.6)
    axes.axvline(0, color=style.QUIET, linewidth=0.6)
    reach = max(1.0, float(np.nanmax(np.abs(skewness)))) * 1.1
    bound = np.linspace(-reach, reach, 81)
    top = max(1.0, float(np.nanmax(kurtosis)) * 1.1)
    axes.plot(bound, np.square(bound) - 2, color=style.QUIET, linewidth=0.8)
    axes.set(xlim=(-reach, reach), ylim=(-2.2, top), xlabel="skewness", ylabel="excess kurtosis")
    style.line_bar(figure, ramp, axes, "layer")
    return [{"curve": "moments", "layer": layer, "head": head, "x": skewness[layer, head],
             "y": kurtosis[layer, head]}
            for layer, head in np.ndindex(skewness.shape)]
