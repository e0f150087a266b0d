"""How many single keys hold most of a row's attention."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.attention import row_probabilities, spread_rows
from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.profile import Captured, Site, captured, kept_calls, kept_heads
from sparsescope.statistics import mean_recorded

ROWS = 48  # a head: the mean's standard error is a seventh of the spread over rows


def fraction_of_keys(head: Captured, mass: float, rows: np.ndarray) -> float:
    """Mean over rows of the least number of keys that hold `mass` of a row, over all its keys."""
    counts = []
    for _, probabilities in row_probabilities(head, rows):
        probabilities.sort(axis=1)
        held = np.cumsum(probabilities[:, ::-1], axis=1)
        counts.append(np.minimum((held < mass).sum(axis=1) + 1, held.shape[1]))
    return float(np.concatenate(counts).mean() / len(head.k))


@figure("key-fraction", "curves", "Which share of the keys holds nearly all attention?", needs=("qkv",),
        panels=True,
        columns=2, height=2.5)
def key_fraction(figure: Figure, profile: xr.Dataset, *, mass: float = 0.95, branch: int = 0) -> Drawn:
    """Histogram over the heads of all kept calls, and their mean over heads by layer and step."""
    kept = kept_calls(profile, "qkv")
    branch = branch if any(call.branch == branch for call in kept) else kept[0].branch
    calls = [call for call in kept if call.branch == branch]
    rows = []
    for call in calls:
        for head in kept_heads(profile, "qkv", call):
            raw = captured(profile, call.with_(head=head))
            of = spread_rows(raw.video.stop - raw.video.start, ROWS)
            rows.append({"prompt": call.prompt, "step": call.step, "layer": call.layer, "head": head,
                         "key_fraction": fraction_of_keys(raw, mass, of)})
    table = pd.DataFrame(rows)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    edges = np.linspace(0, 1, 21)
    left.hist(table["key_fraction"], bins=edges, color=style.BLUE, edgecolor="white", linewidth=0.5)
    middle = table["key_fraction"].median()
    left.axvline(middle, color=style.INK, linestyle="--", linewidth=0.9)
    left.set_title(f"median {middle:.2f} (dashed)")
    left.set_xlim(0, 1)
    left.set_xlabel(f"share of keys for {mass:g} of the mass")
    left.set_ylabel("heads")

    steps, layers = (sorted(table[axis].unique()) for axis in ("step", "layer"))
    grid = np.array([[_mean(table, layer, step) for step in steps] for layer in layers])
    image = style.grid_image(right, grid, cmap=style.RAMP, vmin=0, vmax=1)
    _kept_ticks(right.xaxis, steps, lambda step: _step_tick(profile, step), 9)
    _kept_ticks(right.yaxis, layers, str, 12)
    right.set_xlabel("denoising step / noise level")
    right.set_ylabel("layer")
    right.set_title("mean over heads")
    bar = figure.colorbar(image, ax=right, pad=0.02, aspect=25)
    bar.set_label("share of keys")
    bar.outline.set_visible(False)
    prompts = sorted(table["prompt"].unique())
    return Drawn(table, caption(
        profile, f"Least share of the keys, text among them, that holds {mass:g} of a query row's attention: "
        f"histogram over {len(table)} heads, and by layer and step", site=Site(branch=branch),
        axes=("prompt", "step", "layer", "head"), averaged=f"{ROWS} rows a head, spread over the video",
        notes=(f"Only calls with raw q, k, v: {_listed('prompt', prompts)}, {_listed('step', steps)}",
               expert_text(profile) if len(steps) == profile.sizes["step"] else "")))


def _mean(table: pd.DataFrame, layer: int, step: int) -> float:
    here = table[(table["layer"] == layer) & (table["step"] == step)]
    return float(mean_recorded(here["key_fraction"].to_numpy(), 0)) if len(here) else np.nan


def _kept_ticks(axis, indices: list[int], text, most: int) -> None:
    """Ticks of cells that stand for chosen indices alone."""
    every = -(-len(indices) // most)
    axis.set_ticks(range(0, len(indices), every), [text(i) for i in indices[::every]])


def _step_tick(profile: xr.Dataset, step: int) -> str:
    return f"{step}\n{float(profile['sigma'][step]):.2f}" if "sigma" in profile else str(step)


def _listed(name: str, indices: list[int]) -> str:
    return f"{name}{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"
