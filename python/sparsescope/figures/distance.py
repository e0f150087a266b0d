"""How attention falls with distance along time, height and width."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.curve_panels import draw_band, heads_text, over_prompts, sharp_and_diffuse
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.profile import Site
from sparsescope.statistics import Band, prompt_band

LEAST_EXTENT = 3  # of an axis: a line through fewer distances than two says nothing
# axis -> title, unit of a distance
AXES = {"t": ("along time", "latent frames"), "h": ("along height", "patches"),
        "w": ("along width", "patches")}


def distance_shares(extent: int) -> np.ndarray:
    """Mean share of the video keys at distance d along an axis, over all rows: 1/n for d = 0, else
    2 (n - d) / n^2. [d]"""
    d = np.arange(extent)
    return np.where(d == 0, 1, 2 * (extent - d) / extent) / extent


@dataclass(frozen=True)
class Decay:
    """ln density = intercept - d / length; length infinite where attention does not fall."""

    intercept: float
    slope: float
    r2: float

    @property
    def length(self) -> float:
        return -1 / self.slope if self.slope < 0 else np.inf


def fit_decay(mass: np.ndarray) -> Decay | None:
    """Weighted least squares of ln density on d >= 1, weights count(d) * mass(d); R^2 with these weights.
    None where fewer than two distances hold mass."""
    shares = distance_shares(len(mass))
    with np.errstate(invalid="ignore"):
        use = (np.arange(len(mass)) >= 1) & (mass > 0)
    if use.sum() < 2:
        return None
    d, weights = np.flatnonzero(use), (shares * mass)[use]
    y = np.log(mass[use] / shares[use])
    weights = weights / weights.sum()
    mean_d, mean_y = weights @ d, weights @ y
    slope = float(weights @ ((d - mean_d) * (y - mean_y)) / (weights @ (d - mean_d) ** 2))
    intercept = float(mean_y - slope * mean_d)
    spread = weights @ (y - mean_y) ** 2
    left = weights @ (y - intercept - slope * d) ** 2
    return Decay(intercept, slope, float(1 - left / spread) if spread > 0 else 1.0)


@figure("distance", "structure", "Does attention decay with distance, and how fast?", panels=True, columns=2,
        height=3.7)
def distance(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Above, mass at distance d; below, density: mass over the share of keys there, with its exponential
    fit. A sharp head (or the site's) and the most diffuse head of its layer."""
    heads = sharp_and_diffuse(profile, site)
    extents = dict(zip(AXES, tile_grid(profile).grid))
    shown = [axis for axis, extent in extents.items() if extent >= LEAST_EXTENT]
    panels = _panels(figure, len(shown))
    rows, fits = [], []
    for (above, below), axis in zip(panels.T, shown):
        for head, colour, dash, marker in zip(heads, (style.ORANGE, style.BLUE), ("-", "--"), style.MARKERS):
            at = profile[f"mass_d{axis}"].isel(branch=head.branch, step=head.step, layer=head.layer,
                                               head=head.head)
            masses = at.transpose("prompt", ...).values
            band, density = prompt_band(masses), prompt_band(masses / distance_shares(extents[axis]))
            fit = fit_decay(band.mean)
            look = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 2.2}
            draw_band(above, np.arange(len(band.mean)), band, label=f"head {head.head}", **look)
            draw_band(below, np.arange(len(band.mean)), density, **look | {"linestyle": "none"})
            if fit:
                _draw_fit(below, fit, len(band.mean), colour, dash)
                fits.append((axis, head.head, fit))
            rows += _rows(axis, head, band, density, fit)
        even = distance_shares(extents[axis])
        above.plot(np.arange(len(even)), even, color=style.QUIET, linewidth=0.8, label="uniform attention")
        below.axhline(1, color=style.QUIET, linewidth=0.8)
        style.index_axis(below.xaxis, f"distance ({AXES[axis][1]})")
        above.set_title(AXES[axis][0])
    for panel in panels[1]:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(numticks=6))
        panel.yaxis.set_minor_locator(NullLocator())
    panels[0, 0].set_ylim(bottom=0)
    for panel, name in zip(panels, ("attention mass", "density over uniform")):
        for axes in panel:
            axes.set_ylabel(name if axes.get_subplotspec().is_first_col() or style.is_narrow(figure) else "")
    _print_fits(panels[1], shown, fits)
    names = panels[0, 0].get_legend_handles_labels()[0]
    style.legend_above(figure, 3, handles=names)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Attention mass at a distance along time, height and width, and its density, the mass "
        f"over the share of keys at that distance (log axis, 1: uniform), for {heads_text(heads)}",
        site=heads[0],
        **over_prompts(band, "head"),
        notes=("Lines through densities: ln density = a - d / λ fitted over d ≥ 1, weighted by the number "
               "of keys times the mass; λ in the unit of the axis",
               band.meaning)))


def _panels(figure: Figure, count: int) -> np.ndarray:
    """[mass or density, axis]; density stands below mass, or beside it in one column of a paper."""
    if not style.is_narrow(figure):
        return figure.subplots(2, count, sharey="row", sharex="col", squeeze=False, height_ratios=[1, 1.25])
    style.fit_height(figure, 0.5 + 1.8 * count)
    return figure.subplots(count, 2, sharey="col", sharex="row", squeeze=False).T


def _draw_fit(axes: Axes, fit: Decay, extent: int, colour: str, dash: str) -> None:
    d = np.array([1, extent - 1])
    axes.plot(d, np.exp(fit.intercept + fit.slope * d), color=colour, linestyle=dash, linewidth=0.9)


def _print_fits(panels, shown: list[str], fits: list[tuple[str, int, Decay]]) -> None:
    """λ and R^2 of every fit, above its panel."""
    for panel, axis in zip(panels, shown):
        lines = [f"head {head}: {_length(fit)}, R² {fit.r2:.2f}" for of, head, fit in fits if of == axis]
        panel.set_title("\n".join(lines), fontsize=panel.xaxis.get_ticklabels()[0].get_fontsize())


def _length(fit: Decay) -> str:
    if not np.isfinite(fit.length):
        return "no decay"
    return f"λ {fit.length:.3g}" if fit.length < 1000 else "λ > 1000"


def _rows(axis: str, head: Site, mass: Band, density: Band, fit: Decay | None) -> list[dict]:
    fitted = np.full(len(mass.mean), np.nan)
    if fit:
        fitted[1:] = np.exp(fit.intercept + fit.slope * np.arange(1, len(fitted)))
    told = {"decay_length": fit.length, "r2": fit.r2} if fit else {}
    return [{"head": head.head, "axis": axis, "distance": d, "mass": mass.mean[d], "lift": density.mean[d],
             "lift_low": density.low[d], "lift_high": density.high[d], "fitted": fitted[d], **told}
            for d in range(len(mass.mean))]
