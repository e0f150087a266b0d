"""How much of the attention the K(f) heaviest tiles hold: a head, all heads of a layer, layer by layer."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text, text_note
from sparsescope.figures.curve_panels import (
    Place, along_text, band_rows, colour_handles, draw_band, head_names, heads_text, label_edges, panel_grid,
    over_prompts, places_along, random_choice, sharp_and_diffuse)
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import tile_grid
from sparsescope.profile import Site
from sparsescope.statistics import Band, kept_tiles

CURVES = (("coverage_row", "best tiles of each row", ":"), ("coverage_tile", "best of each query tile", "--"),
          ("coverage_pooled", "picked by pooled scores", "-"))
_SHOWN = ("Attention mass that K(f) = f N of N key tiles hold: the best tiles of each row, the best of each "
          "query tile, and those that pooled scores pick")


@figure("coverage", "curves", "How sparse can this head be, and how much does the selector lose?",
        panels=True,
        height=2.9)
def coverage(figure: Figure, profile: xr.Dataset, *, site: Site | None = None, over: str = "") -> Drawn:
    """coverage_row, coverage_tile and coverage_pooled of a sharp head (or the site's) beside the most
    diffuse head of the same layer, against the kept fraction f; random choice keeps K(f) / N.
    over: "head", "layer" or "step" draws a panel each instead."""
    heads = sharp_and_diffuse(profile, site)
    if over:
        return _panels(figure, profile, heads[0], over)
    axes = figure.subplots()
    rows = []
    for place, colour in zip(heads, (style.ORANGE, style.BLUE)):
        found, band = _draw(axes, profile, Place(place, ""), colour)
        rows += found
    _axes(axes, profile)
    style.legend_above(figure, 2, handles=[*colour_handles(head_names(heads)), *_dash_handles()])
    return Drawn(pd.DataFrame(rows), caption(
        profile, _SHOWN, site=heads[0], **over_prompts(band, "head"),
        notes=(f"Colour tells the head ({heads_text(heads)}), dash the choice", band.meaning,
               text_note(profile))))


@figure("coverage-heads", "curves", "How sparse can each head of a layer be?", panels=True, columns=2,
        height=2.05)
def coverage_heads(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    return coverage(figure, profile, site=site, over="head")


@figure("coverage-layers", "curves", "How sparse can each layer be?", panels=True, columns=2, height=2.05)
def coverage_layers(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    return coverage(figure, profile, site=site, over="layer")


@figure("coverage-steps", "curves", "Does a head grow sparser while denoising?", panels=True, columns=2,
        height=2.05)
def coverage_steps(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    return coverage(figure, profile, site=site, over="step")


@figure("coverage-all", "curves", "How far do the heads of a layer differ?", panels=True, columns=2,
        height=2.4)
def coverage_all(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Every head of a layer as a thin line, with the median and the 5 to 95 % band over heads."""
    site = site or default_site(profile)
    fractions = profile["f"].values
    rows = []
    stacked = style.is_narrow(figure)
    if stacked:
        style.fit_height(figure, 5.2)
    panels = figure.subplots(*((3, 1) if stacked else (1, 3)), sharex=True, sharey=True)
    for panel, (name, label, _) in zip(panels, CURVES):
        at = profile[name].isel(branch=site.branch, step=site.step, layer=site.layer)
        heads = at.mean("prompt").transpose("head", "f").values  # [head, f]
        panel.plot(fractions, heads.T, color=style.BLUE, linewidth=0.6,
                   alpha=0.9 if len(heads) < 10 else 0.35)
        low, middle, high = np.nanpercentile(heads, [5, 50, 95], axis=0)
        panel.fill_between(fractions, low, high, color=style.BLUE, alpha=0.18, linewidth=0)
        panel.plot(fractions, middle, color=style.INK)
        panel.set_title(label)
        _axes(panel, profile)
        rows += [{"head": head, "curve": name, "f": f, "mass": mass}
                 for head, line in enumerate(heads) for f, mass in zip(fractions, line)]
        for part, line in (("5 % of heads", low), ("median head", middle), ("95 % of heads", high)):
            rows += [{"head": part, "curve": name, "f": f, "mass": mass} for f, mass in zip(fractions, line)]
    label_edges(list(panels), "attention mass kept")
    style.legend_above(figure, 2 if stacked else 4, handles=[
        Line2D([], [], color=style.INK, label="median of heads"),
        Patch(color=style.BLUE, alpha=0.18, linewidth=0, label="5 to 95 % of heads"),
        Line2D([], [], color=style.BLUE, linewidth=0.5, label="one head"),
        Line2D([], [], color=style.QUIET, linewidth=0.8, label="random choice")])
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"{_SHOWN}, for all {profile.sizes['head']} heads of a layer", site=site,
        axes=("prompt", "head"), averaged=prompts_text(profile),
        notes=("Median and band are over heads, not an interval", text_note(profile))))


def _panels(figure: Figure, profile: xr.Dataset, site: Site, over: str) -> Drawn:
    places = places_along(profile, site, over)
    axes = panel_grid(figure, len(places))
    rows = []
    for panel, place in zip(axes, places):
        found, band = _draw(panel, profile, place, style.BLUE)
        rows += found
        _axes(panel, profile)
        panel.set_title(place.title)
    label_edges(axes, "mass kept")
    style.legend_above(figure, 2 if style.is_narrow(figure) else 4, handles=_dash_handles(style.BLUE))
    skip = {"head": ("head",), "layer": ("layer", "head"), "step": ("step",)}[over]
    return Drawn(pd.DataFrame(rows), caption(
        profile, _SHOWN, site=site, **over_prompts(band, *skip),
        notes=(along_text(profile, places, over), band.meaning, text_note(profile))))


def _draw(axes: Axes, profile: xr.Dataset, place: Place, colour: str) -> tuple[list[dict], Band]:
    rows = []
    for name, label, dash in CURVES:
        band = place.band(profile, name)
        draw_band(axes, profile["f"].values, band, linestyle=dash, color=colour,
                  label=f"{place.title} {label}".strip())
        rows += band_rows(place.columns, name, "f", profile["f"].values, band)
    return rows, band


def _axes(axes: Axes, profile: xr.Dataset) -> None:
    fractions, tiles = profile["f"].values, tile_grid(profile).tiles
    random_choice(axes, fractions, kept_tiles(fractions, tiles) / tiles)
    style.fraction_axis(axes.xaxis, "tiles kept (fraction f)")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("attention mass kept")


def _dash_handles(colour: str = style.INK) -> list[Line2D]:
    handles = [Line2D([], [], color=colour, linestyle=dash, label=label)
               for _, label, dash in reversed(CURVES)]
    if colour != style.INK:
        handles.append(Line2D([], [], color=style.QUIET, linewidth=0.8, label="random choice"))
    return handles
