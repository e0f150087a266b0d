"""How alike the queries of a tile are."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site, spread
from sparsescope.profile import Site
from sparsescope.statistics import histogram_quantile, mean_recorded, prompt_band

EDGES = np.linspace(-1, 1, 65)  # of query_cosine's bins
MOST_LINES = 10
QUANTILES = ((0.9, ":"), (0.5, "-"), (0.1, "--"))
KINDS = (("along t", (0,), style.BLUE), ("along h", (1,), style.ORANGE), ("along w", (2,), style.GREEN),
         ("h and w", (1, 2), style.PURPLE), ("t, h and w", (0, 1, 2), style.INK))

def cosine_counts(profile: xr.Dataset, site: Site) -> np.ndarray:
    """query_cosine at the site's branch and step, summed over prompts: [layer, head, bin]; NaN where no
    prompt was recorded."""
    counts = profile["query_cosine"].isel(branch=site.branch, step=site.step).values
    return mean_recorded(counts, axis=0) * (~np.isnan(counts)).sum(axis=0)


@figure("query-cosine", "queries", "How alike are the queries of a tile?", panels=True, columns=2, height=2.5)
def query_cosine(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Cosine between a row's query and its tile's centre: histogram of each layer, quantiles against layer,
    and its mean when the tile is cut into smaller windows."""
    site = site or default_site(profile)
    layers = cosine_counts(profile, site).sum(axis=1)  # rows of all heads together
    windows = "window_cosine" in profile
    panels = style.row_of_panels(figure, 3 if windows else 2)
    for panel in panels[2:]:
        panel.sharey(panels[1])
    rows = draw_histograms(figure, panels[0], layers) + draw_quantiles(panels[1], profile, site)
    shown = len(shown_layers(layers))
    some = f" ({shown} of {len(layers)} layers, evenly spread)" if shown < len(layers) else ""
    notes = [f"First panel: all rows of a layer, bins of 1/32{some}; second: median and 10 % and 90 % "
             "quantiles over the rows of all heads",
             prompt_band(profile["query_cosine"].isel(branch=site.branch, step=site.step).values).meaning]
    if windows:
        rows += draw_windows(panels[2], profile, site)
        notes.append("Third: mean over rows against the edge of the window that the tile is cut into, along "
                     "the named axes alone, to the window's own centre; bars run from the 5 % to the 95 % head")
    text = caption(
        profile, "Cosine between a row's query and the query at its tile's centre, the centre left out",
        site=site, axes=("prompt", "layer", "head"), averaged=prompts_text(profile), notes=tuple(notes))
    return Drawn(pd.DataFrame(rows), text)


def shown_layers(layers: np.ndarray) -> list[int]:
    """Layers whose histograms are drawn: at most MOST_LINES of those recorded, evenly spread."""
    known = np.flatnonzero(~np.isnan(layers).any(axis=1))
    return spread([int(layer) for layer in known], MOST_LINES)


def draw_histograms(figure: Figure, axes: Axes, layers: np.ndarray) -> list[dict]:
    """layers [layer, bin] counts."""
    rows = []
    ramp = style.line_ramp(len(layers))
    for layer in shown_layers(layers):
        share = layers[layer] / layers[layer].sum()
        axes.stairs(share, EDGES, color=ramp.to_rgba(layer), linewidth=1.0)
        rows += [{"curve": "histogram", "layer": layer, "cosine": (low + high) / 2, "rows_share": value}
                 for low, high, value in zip(EDGES[:-1], EDGES[1:], share)]
    axes.set(xlim=(-1, 1), ylim=(0, None), xlabel="cosine to the tile's centre", ylabel="share of the rows")
    style.line_bar(figure, ramp, axes, "layer")
    return rows


def draw_quantiles(axes: Axes, profile: xr.Dataset, site: Site) -> list[dict]:
    counts = profile["query_cosine"].isel(branch=site.branch, step=site.step).values.sum(axis=2)
    layers = np.arange(counts.shape[1])
    rows = []
    for share, dash in QUANTILES:
        band = prompt_band(histogram_quantile(counts, EDGES, share))
        name = "median" if share == 0.5 else f"{share:.0%} quantile".replace("%", " %")
        axes.plot(layers, band.mean, dash, color=style.BLUE, marker="o" if len(layers) <= 16 else None,
                  markersize=2.2)
        last = np.flatnonzero(np.isfinite(band.mean))[-1]
        axes.annotate(name.removesuffix(" quantile"), (last, band.mean[last]), (4, 0), va="center",
                      textcoords="offset points", fontsize="small", color=style.BLUE)
        axes.fill_between(layers, band.low, band.high, color=style.BLUE, alpha=0.15, linewidth=0)
        rows += [{"curve": name, "layer": layer, "cosine": mean, "low": low, "high": high}
                 for layer, mean, low, high in zip(layers, band.mean, band.low, band.high)]
    style.layer_axis(axes.xaxis, profile)
    axes.set(ylim=(None, 1), ylabel="cosine to the tile's centre")
    return rows


def draw_windows(axes: Axes, profile: xr.Dataset, site: Site) -> list[dict]:
    shapes = [tuple(int(n) for n in str(name).split(",")) for name in profile["window"].values]
    known = mean_recorded(profile["window_cosine"].isel(branch=site.branch, step=site.step).values, axis=0)
    heads = known.reshape(-1, len(shapes))  # [layer and head, window]
    heads = heads[~np.isnan(heads).any(axis=1)]
    rows = []
    for place, (name, along, colour) in enumerate(KINDS):
        which = [i for i, shape in enumerate(shapes) if tuple(np.flatnonzero(np.array(shape) > 1)) == along]
        if not which:
            continue
        edges = np.array([max(shapes[i]) for i in which])
        mean = heads[:, which].mean(axis=0)
        low, high = np.percentile(heads[:, which], [5, 95], axis=0)
        beside = edges * 1.05 ** (place - 2)  # bars stand side by side
        axes.vlines(beside, low, high, color=colour, linewidth=0.7, alpha=0.6)
        axes.plot(beside, mean, color=colour, marker=style.MARKERS[place], linestyle=style.DASHES[place],
                  linewidth=0.9, label=name)
        rows += [{"curve": name, "window": "x".join(map(str, shapes[i])), "cosine": m, "low": lo, "high": hi}
                 for i, m, lo, hi in zip(which, mean, low, high)]
    edges = sorted({max(shape) for shape in shapes})
    axes.set_xscale("log", base=2)
    axes.set_xticks(edges, labels=[str(edge) for edge in edges])
    axes.minorticks_off()
    axes.set(xlim=(edges[0] / 1.35, edges[-1] * 1.35), ylim=(None, 1), xlabel="window edge (tokens)",
             ylabel="cosine to the window's centre")
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(KINDS),
                       handlelength=2.6)
    return rows
