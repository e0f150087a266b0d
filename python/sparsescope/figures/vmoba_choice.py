"""Which of VMoBA's partitions serves each layer best, and what the plain cycle gives away."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.partition_names import KINDS, cycle_kind, kind_of, published_cycle
from sparsescope.profile import Site, partitions, vmoba

_ROUNDING = 1e-6  # of densities stored as fp32


def recall_at(density: np.ndarray, recall: np.ndarray, asked: float) -> float:
    """Linear between measured settings, which ascend in density; NaN below the sparsest of them."""
    if np.isnan(density).any() or asked < density[0] - _ROUNDING:
        return np.nan
    return float(np.interp(asked, density, recall))


def recall_table(profile: xr.Dataset, names: list[str], layers: list[int], asked: float,
                 branch: int) -> np.ndarray:
    """Recall of each partition under top-k at the asked density, [layer, partition]: of each layer's curve,
    a mean over heads, steps and prompts."""
    table = np.full((len(layers), len(names)), np.nan)
    for column, name in enumerate(names):
        curves = vmoba(profile, name)[["density_topk", "recall_topk"]].isel(branch=branch)
        for row, layer in enumerate(layers):
            mean = curves.isel(layer=layer).mean(("prompt", "step", "head"))
            table[row, column] = recall_at(mean["density_topk"].values, mean["recall_topk"].values, asked)
    return table


def _height(profile: xr.Dataset) -> float:
    return min(1.5 + 0.14 * profile.sizes["layer"], 7.5)


@figure("vmoba-choice", "methods", "What does the fixed cycle cost?", needs=("vmoba",), panels=True,
        height=_height)
def vmoba_choice(figure: Figure, profile: xr.Dataset, *, fraction: float = 0.25, branch: int = 0) -> Drawn:
    """Recall of every partition in every layer at the density `fraction`; the best marked, the plain cycle of
    the published block counts outlined, and at the side what it loses."""
    names = sorted(partitions(profile), key=lambda name: KINDS.index(kind_of(name)))
    layers = list(range(profile.sizes["layer"]))
    recall = recall_table(profile, names, layers, fraction, branch)
    known = ~np.isnan(recall).all(axis=1)
    best = np.where(known, np.argmax(np.nan_to_num(recall, nan=-1.0), axis=1), -1)
    able = [name for name, column in zip(names, recall.T) if not np.isnan(column).all()]
    cycle = published_cycle(able, tile_grid(profile).grid)
    in_cycle = [names.index(cycle[cycle_kind(layer)]) if cycle else -1 for layer in layers]
    grid, side = figure.subplots(1, 2, sharey=True, width_ratios=[len(names), max(2.0, 0.35 * len(names))])
    image = style.grid_image(grid, recall, cmap=style.RAMP,
                             extent=(-0.5, len(names) - 0.5, len(layers) - 0.5, -0.5))
    _mark(grid, best, in_cycle, recall, image)
    lost = [recall[row, best[row]] - recall[row, column] if best[row] >= 0 and column >= 0 else np.nan
            for row, column in enumerate(in_cycle)]
    side.barh(range(len(layers)), lost, height=0.7, color=style.ORANGE)
    side.set_xlabel("recall lost\nby the cycle")
    side.set_xlim(0, max(0.02, 1.15 * np.nanmax([*lost, 0.0])))
    side.grid(axis="y", visible=False)
    grid.set_xticks(range(len(names)), names, rotation=90)
    style.layer_axis(grid.yaxis, profile)
    bar = figure.colorbar(image, ax=[grid, side], pad=0.02, aspect=25)
    bar.set_label(f"recall at density {style.fraction_text(fraction)}")
    bar.outline.set_visible(False)
    rows = [{"layer": layer, "partition": name, "recall": recall[row, column],
             "chosen": bool(column == best[row]),
             "cycle": bool(column == in_cycle[row])}
            for row, layer in enumerate(layers) for column, name in enumerate(names)]
    mean_lost = float(np.nanmean(lost)) if np.isfinite(lost).any() else np.nan
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Attention mass that VMoBA's top-k keeps at density {style.fraction_text(fraction)} under "
        "each partition, linear between measured k (blank: sparser than the partition can be)",
        site=Site(branch=branch), axes=("prompt", "step", "layer", "head"),
        averaged=f"heads, steps and {prompts_text(profile)}",
        notes=("dot: best partition of the layer, chosen on the prompts it is shown for",
               _cycle_text(cycle, mean_lost))))


def _mark(axes, best: np.ndarray, in_cycle: list[int], recall: np.ndarray, image) -> None:
    for row, (column, cycled) in enumerate(zip(best, in_cycle)):
        if column >= 0:
            dark = image.norm(recall[row, column]) < 0.5
            axes.plot(column, row, "o", markersize=3, color="white" if dark else "black")
        if cycled >= 0:
            axes.add_patch(Rectangle((cycled - 0.46, row - 0.44), 0.92, 0.88, fill=False, linewidth=1.0,
                                     edgecolor=style.ORANGE))


def _cycle_text(cycle: dict[str, str], lost: float) -> str:
    if not cycle:
        return "no cycle of 1D, 2D and 3D partitions goes that low"
    return (f"outlined: the plain cycle of {', '.join(cycle.values())} (nearest to the published numbers of "
            f"blocks); it loses {lost:.3f} of recall on the mean")
