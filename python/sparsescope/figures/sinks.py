"""Tiles that draw attention from everywhere, and whether they carry value."""
from __future__ import annotations

import math

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.attention import tile_sums
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import middle_step
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Site, kept_calls, kept_heads, recorded, value_norms
from sparsescope.statistics import heaviest, kept_tiles, mean_recorded, prompt_band

SHARE = 0.01  # of the tiles
# where most of a head's heaviest tiles lie -> label, marker, colour
PLACES = {"first frames": ("^", style.ORANGE), "corner": ("s", style.GREEN), "elsewhere": ("o", style.BLUE)}


def place_of(tiles: TileGrid, chosen: np.ndarray) -> str:
    """Where most of the tiles lie: the first tiles in time, a corner of the picture, or elsewhere."""
    t, h, w = np.unravel_index(chosen, tiles.counts)
    _, last_h, last_w = (count - 1 for count in tiles.counts)
    if (t == 0).mean() > 0.5 and tiles.counts[0] > 1:
        return "first frames"
    corner = np.isin(h, (0, last_h)) & np.isin(w, (0, last_w))
    return "corner" if corner.mean() > 0.5 else "elsewhere"


def heaviest_keys(profile: xr.Dataset, site: Site) -> tuple[np.ndarray, np.ndarray]:
    """A layer's 1 % of tiles with most key_mass, of each head by its mean over prompts, and their share of
    the attention less that of uniform attention: marks [head, tile], excess [prompt, head]."""
    tiles = tile_grid(profile)
    at = profile["key_mass"].isel(branch=site.branch, step=site.step, layer=site.layer)
    masses = at.transpose("prompt", "head", "tile").values.astype(np.float64)
    marks = heaviest(mean_recorded(masses, 0), int(kept_tiles(SHARE, tiles.tiles)))
    even = marks @ (tiles.tile_sizes() / tiles.tokens)
    return marks, np.where(np.isnan(masses[..., 0]), np.nan, (masses * marks).sum(axis=-1) - even)


@figure("sinks", "structure", "Are there sinks, and do they carry value?", panels=True,
        height=lambda profile: 4.0 if kept_calls(profile, "qkv") else 2.5)
def sinks(figure: Figure, profile: xr.Dataset, *, branch: int = 0, step: int | None = None) -> Drawn:
    """Above, a point a head: attention on its heaviest 1 % of key tiles over their even share, marked by
    where they lie. Below, where q, k, v were kept: the norm of v there over the mean norm."""
    calls = {call.layer: call for call in _calls(profile, branch, step)}
    if step is None:
        step = next(iter(calls.values())).step if calls else middle_step(profile)
    panels = figure.subplots(2 if calls else 1, 1, sharex=True, squeeze=False)[:, 0]
    tiles = tile_grid(profile)
    rows, means = [], []
    for layer in recorded(profile, "layer"):
        marks, excess = heaviest_keys(profile, Site(branch=branch, step=step, layer=layer))
        band = prompt_band(mean_recorded(excess, 1)[:, None])
        means.append((layer, band))
        ratios = [np.nan] * len(marks)
        if layer in calls:
            ratios = _value_ratios(profile, calls[layer], marks, tiles)
        for head, (chosen, mass, ratio) in enumerate(zip(marks, mean_recorded(excess, 0), ratios)):
            if np.isnan(mass):
                continue
            rows.append({"layer": layer, "head": head, "excess": mass, "value_ratio": ratio,
                         "place": place_of(tiles, np.flatnonzero(chosen))})
        rows.append({"layer": layer, "head": "all", "excess": band.mean[0], "low": band.low[0],
                     "high": band.high[0]})
    table = pd.DataFrame(rows)
    _draw(panels[0], table, "excess")
    layers = [layer for layer, _ in means]
    panels[0].plot(layers, [band.mean[0] for _, band in means], color=style.INK, label="mean over heads")
    panels[0].fill_between(layers, [band.low[0] for _, band in means], [band.high[0] for _, band in means],
                           color=style.INK, alpha=0.15, linewidth=0)
    _draw_text(panels[0], profile, branch, step, rows)
    panels[0].axhline(0, color=style.QUIET, linewidth=0.8)
    panels[0].set_ylabel("attention on the heaviest tiles\nabove their even share")
    if calls:
        _draw(panels[1], table, "value_ratio")
        panels[1].axhline(1, color=style.QUIET, linewidth=0.8)
        panels[1].set_ylabel("norm of v there\nover the mean norm")
    style.layer_axis(panels[-1].xaxis, profile)
    style.legend_above(figure, 3, handles=panels[0].get_legend_handles_labels()[0])
    count, band = int(kept_tiles(SHARE, tiles.tiles)), means[-1][1]
    heavy = "most attended key tile" if count == 1 else f"{count} most attended key tiles"
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Share of all attention on a head's {heavy} (1 % of {tiles.tiles}, at least one), less "
        "the share of the keys there; a point a head, its marker says where most of these tiles lie"
        + ("; below, the mean norm of v in them over that of all video tokens" if calls else ""),
        site=Site(branch=branch, step=step), axes=("prompt", "layer", "head"),
        averaged=f"{band.prompts} prompt{'s' if band.prompts != 1 else ''}; tiles are chosen by that mean",
        notes=(band.meaning,
               f"Norms of prompt {next(iter(calls.values())).prompt}" if calls else "")))


def _calls(profile: xr.Dataset, branch: int, step: int | None) -> list[Site]:
    """The calls with raw v of one prompt and step: the step asked for, else the middle one of those kept."""
    kept = [call for call in kept_calls(profile, "qkv")
            if call.branch == branch and step in (None, call.step)]
    steps = sorted({call.step for call in kept})
    return [call for call in kept if call.prompt == kept[0].prompt and call.step == steps[len(steps) // 2]]


def _value_ratios(profile: xr.Dataset, call: Site, marks: np.ndarray, tiles: TileGrid) -> list[float]:
    """By head; NaN where v was not kept."""
    ratios = [math.nan] * len(marks)
    for head in kept_heads(profile, "qkv", call):
        chosen = marks[head]
        norms = value_norms(profile, call.with_(head=head)).astype(np.float64)
        inside = tile_sums(norms, tiles)[chosen].sum() / tiles.tile_sizes()[chosen].sum()
        ratios[head] = float(inside / norms.mean())
    return ratios


def _draw(axes: Axes, table: pd.DataFrame, column: str) -> None:
    single = table[table["head"] != "all"]
    for place, (marker, colour) in PLACES.items():
        here = single[single["place"] == place]
        if len(here):
            axes.plot(here["layer"], here[column], linestyle="none", marker=marker, markersize=2.8,
                      color=colour, markeredgewidth=0, alpha=0.9 if len(single) < 100 else 0.5,
                      label=f"head, {place}")


def _draw_text(axes: Axes, profile: xr.Dataset, branch: int, step: int, rows: list[dict]) -> None:
    """Mass on text keys, mean over heads, where the model has them."""
    if "prefix_mass" not in profile:
        return
    at = profile["prefix_mass"].isel(branch=branch, step=step).transpose("prompt", "layer", "head").values
    text = mean_recorded(at, (0, 2))
    if not np.nanmax(text) > 0:
        return
    axes.plot(np.arange(len(text)), text, color=style.PURPLE, linestyle="--", marker="D", markersize=2.4,
              label="text keys, all of them")
    rows += [{"layer": layer, "head": "text keys", "excess": mass} for layer, mass in enumerate(text)]
