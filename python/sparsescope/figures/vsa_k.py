"""How many key tiles each head needs, against what one K for all heads gives it."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, recorded
from sparsescope.statistics import kept_tiles

SHARE_SERVED = 0.95  # of the heads, by the K that all of them could share


def mean_curves(profile: xr.Dataset, branch: int) -> np.ndarray:
    """coverage_pooled of every recorded head, a mean over prompts. [head of some step and layer, f]."""
    curves = []
    for layer in recorded(profile, "layer"):
        at = profile["coverage_pooled"].isel(branch=branch, layer=layer).mean("prompt")
        curves.append(at.transpose("step", "head", "f").values.reshape(-1, at.sizes["f"]))
    curves = np.concatenate(curves).astype(np.float64)
    return curves[~np.isnan(curves).any(axis=1)]


def least_measured(curves: np.ndarray, target: float) -> np.ndarray:
    """Index of the first fraction at which each curve [.., f] reaches the target; every curve ends at 1."""
    reached = curves >= target
    reached[..., -1] = True
    return np.argmax(reached, axis=-1)


@figure("vsa-k", "methods", "What does one global K waste?")
def vsa_k(axes: Axes, profile: xr.Dataset, *, recall: float = 0.9, branch: int = 0) -> Drawn:
    """Of all heads, layers and steps: how many need which of the measured K to capture `recall`."""
    tiles = tile_grid(profile).tiles
    kept = kept_tiles(profile["f"].values, tiles)
    curves = mean_curves(profile, branch)
    needed = least_measured(curves, recall)
    last = np.flatnonzero(np.diff(kept, append=kept[-1] + 1))  # fractions of one K have one bar
    bars = kept[last]
    heads = np.array([(kept[needed] == k).sum() for k in bars])
    axes.bar(range(len(bars)), heads / len(curves), width=0.8, color=style.BLUE)
    on_mean = int(kept[least_measured(curves.mean(axis=0), recall)])
    for_most = int(kept[np.sort(needed)[int(np.ceil(SHARE_SERVED * len(needed))) - 1]])
    lines = {on_mean: f"mean recall reaches {recall:g}"}
    most = f"{100 * SHARE_SERVED:.0f} % of the heads reach {recall:g}"
    lines[for_most] = f"{lines[for_most]}, and {most}" if for_most == on_mean else most
    for (k, meaning), dash in zip(lines.items(), ("-", "--")):
        axes.axvline(list(bars).index(k), color=style.ORANGE, linestyle=dash, label=f"K = {k}: {meaning}")
    axes.set_xticks(range(len(bars)), bars)
    axes.set_xlabel(f"key tiles K that a head needs, of {tiles}")
    axes.set_ylabel("share of the heads")
    axes.grid(axis="x", visible=False)
    style.legend_above(axes, 1)
    own = float(kept[needed].mean())
    return Drawn(pd.DataFrame({"kept": bars, "heads": heads, "share": heads / len(curves)}), caption(
        profile, f"Key tiles that each head needs for {recall:g} of its attention mass when pooled scores "
        "rank them (the least of the measured K); each head of each layer and step counts once",
        site=Site(branch=branch), axes=("prompt", "step", "layer", "head"), averaged=prompts_text(profile),
        notes=(f"with K of its own a head needs {own:.1f} tiles on the mean: one K that serves "
               f"{100 * SHARE_SERVED:.0f} % of the heads keeps {for_most / own:.2f} times as many; with K = "
               f"{on_mean} {100 * (kept[needed] > on_mean).mean():.0f} % of the heads stay below "
               f"{recall:g}",)))
