"""What VSA's, BSA's and VMoBA's selections capture at equal density."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, text_note
from sparsescope.figures.curve_panels import (
    Place, along_text, band_rows, draw_band, head_names, label_edges, over_prompts, panel_grid,
    places_along, random_choice, sharp_and_diffuse)
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, partitions
from sparsescope.statistics import kept_tiles, prompt_band


def at_densities(densities: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values read at the wanted densities, linear in density; NaN below the least that was measured.
    densities, values [.., setting], rising along the last axis -> [.., wanted]."""
    shape = np.shape(values)[:-1]
    rows = zip(np.reshape(densities, (-1, np.shape(densities)[-1])),
               np.reshape(values, (-1, np.shape(values)[-1])))
    found = [np.interp(wanted, x, y, left=np.nan) if not np.isnan(y).any() else np.full(len(wanted), np.nan)
             for x, y in rows]
    return np.reshape(found, (*shape, len(wanted)))


def method_curves(profile: xr.Dataset, place: Place, densities: np.ndarray) -> dict[str, np.ndarray]:
    """Recall [prompt, density] of each method, and of the best choice of tiles. VMoBA: its best partition
    at each density, by the mean over prompts."""
    tiles = tile_grid(profile).tiles
    kept = kept_tiles(profile["f"].values, tiles) / tiles
    once = np.append(np.diff(kept) > 0, True)  # of several f with the same K, one
    found = {name: at_densities(np.broadcast_to(kept[once], values[:, once].shape), values[:, once],
                                densities)
             for name in ("coverage_tile", "coverage_pooled") for values in [place.values(profile, name)]}
    found["bsa"] = at_densities(place.values(profile, "bsa_density"), place.values(profile, "bsa_recall"),
                                densities)
    by_partition = [at_densities(place.values(profile, f"vmoba/{name}/density_topk"),
                                 place.values(profile, f"vmoba/{name}/recall_topk"), densities)
                    for name in partitions(profile) if f"vmoba/{name}/recall_topk" in profile]
    if by_partition:
        stacked = np.stack(by_partition)  # [partition, prompt, density]
        means = np.stack([prompt_band(curve).mean for curve in by_partition])
        best = np.argmax(np.where(np.isnan(means), -np.inf, means), axis=0)
        found["vmoba"] = np.moveaxis(stacked, 0, -1)[:, np.arange(len(densities)), best]
    return found


_LINES = {"coverage_tile": ("best tiles of each query tile", style.INK, (0, (1, 1)), ""),
          "coverage_pooled": style.METHODS["vsa"], "bsa": style.METHODS["bsa"],
          "vmoba": style.METHODS["vmoba"]}


@figure("coverage-methods", "curves", "How much mass does each method capture at equal density?",
        needs=("vmoba",),
        panels=True, columns=2, height=2.5)
def coverage_methods(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
                     over: str = "") -> Drawn:
    """Recall against density of VSA (pooled scores), BSA (Gaussian cutoff) and VMoBA (top-k, best
    partition): a sharp head, the most diffuse of its layer, and the mean over the layer's heads.
    over: "head", "layer" or "step" draws a panel each instead."""
    heads = sharp_and_diffuse(profile, site)
    if over:
        places = places_along(profile, heads[0], over)
        told = along_text(profile, places, over)
    else:
        places = [*(Place(*pair) for pair in zip(heads, head_names(heads))),
                  Place(heads[0], f"layer {heads[0].layer}, mean over heads", all_heads=True)]
        told = "Panels: a head, the most diffuse head of its layer, the mean over all heads of the layer"
    densities = profile["f"].values
    axes = panel_grid(figure, len(places))
    rows = []
    for panel, place in zip(axes, places):
        for name, recall in method_curves(profile, place, densities).items():
            label, colour, dash, marker = _LINES[name]
            band = prompt_band(recall)
            draw_band(panel, densities, band, color=colour, linestyle=dash, marker=marker, markersize=2.4,
                      label=label)
            rows += band_rows(place.columns, name, "density", densities, band)
        random_choice(panel, densities, densities)
        style.fraction_axis(panel.xaxis, "density (share of pairs)")
        panel.set_ylim(0, 1.02)
        panel.set_title(place.title)
    label_edges(axes, "recall (mass kept)")
    style.legend_above(figure, 2 if style.is_narrow(figure) else 5,
                       handles=axes[0].get_legend_handles_labels()[0])
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Attention mass that each method's selection captures against the pairs that it computes: "
        "VSA's K tiles by pooled scores, BSA's Gaussian cutoff with no query pruned, VMoBA's top-k of the "
        "partition that is best at each density", site=heads[0], **over_prompts(band, *_spanned(over)),
        notes=(told, "Linear between measured settings; curves begin at the least density that was measured",
               band.meaning, text_note(profile))))


def _spanned(over: str) -> tuple[str, ...]:
    return {"": ("head",), "head": ("head",), "layer": ("layer", "head"), "step": ("step",)}[over]
