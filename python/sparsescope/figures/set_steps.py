"""Whether the tiles that matter stay the same from step to step, and from prompt to prompt."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import REFERENCE_FRACTION, default_site
from sparsescope.profile import Site, kept_calls
from sparsescope.statistics import above_chance, mean_recorded
from sparsescope.tile_sets import SetAgreement, set_agreement

MOST_WRITTEN = 6  # steps or prompts whose numbers are written into the cells
SETS = ("sets: the K(f) key tiles with most mass in each row of the tile map, the query tile's own tile left "
        "out; mean weighted by the rows of the query tiles, over heads, layers")
@figure("set-steps", "stability", "Can a mask be reused over steps?", needs=("maps", "map_steps"), panels=True,
        columns=2, height=2.7)
def set_steps(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
              fraction: float = REFERENCE_FRACTION) -> Drawn:
    """Jaccard index of the heaviest tiles, step by step, and against layer."""
    site = site or default_site(profile, kept="maps")
    calls = [call for call in kept_calls(profile, "maps") if call.branch == site.branch]
    found = set_agreement(profile, "step", calls, fraction)
    last = len(found.along) - 1
    near = [(i, i + 1) for i in range(last)]
    pairs = [("neighbouring steps kept", near)]
    if last > 1:
        pairs.append((f"steps {found.along[0]} and {found.along[last]}", [(0, last)]))
    table = draw_agreement(figure, profile, found, "step", pairs)
    prompts = len({place.prompt for place in found.places})
    text = caption(
        profile, "Agreement (Jaccard index) between steps of the tiles that hold most mass, f = "
        f"{style.fraction_text(fraction)}; in brackets the excess over chance", site=site,
        axes=("prompt", "step", "layer", "head"), notes=(
            f"{SETS} and {prompts} prompt{'s' if prompts > 1 else ''}",
            pair_text(found, near, "neighbouring steps kept"),
            "white line at the bar: chance", "points: heads", found.sample_text()))
    return Drawn(table, text)


@figure("set-prompts", "stability", "Does the pattern depend on the prompt?", needs=("maps", "map_prompts"),
        panels=True, columns=2, height=2.7)
def set_prompts(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
                fraction: float = REFERENCE_FRACTION) -> Drawn:
    """Jaccard index of the heaviest tiles, prompt by prompt at one step, and against layer."""
    site = site or default_site(profile, kept="maps")
    here = (site.branch, site.step)
    calls = [call for call in kept_calls(profile, "maps") if (call.branch, call.step) == here]
    found = set_agreement(profile, "prompt", calls, fraction)
    pairs = [(a, b) for a in range(len(found.along)) for b in range(a + 1, len(found.along))]
    table = draw_agreement(figure, profile, found, "prompt", [("different prompts", pairs)])
    text = caption(
        profile, "Agreement (Jaccard index) between prompts of the tiles that hold most mass, f = "
        f"{style.fraction_text(fraction)}; in brackets the excess over chance", site=site,
        axes=("prompt", "layer", "head"), notes=(
            SETS.replace("heads, layers", "heads and layers"), pair_text(found, pairs, "different prompts"),
            "white line at the bar: chance", "points: heads", found.sample_text()))
    return Drawn(table, text)


def pair_text(found: SetAgreement, pairs: list[tuple[int, int]], name: str) -> str:
    mean = float(pair_means(found, pairs).mean())
    return f"{name}: {mean:.2f} (excess {above_chance(mean, found.chance):.2f}), chance {found.chance:.2f}"


def pair_means(found: SetAgreement, pairs: list[tuple[int, int]]) -> np.ndarray:
    """[place with known pairs] mean Jaccard of the pairs."""
    means = mean_recorded(np.stack([found.jaccard[:, a, b] for a, b in pairs], axis=1), axis=1)
    return means[~np.isnan(means)]


def draw_agreement(figure: Figure, profile: xr.Dataset, found: SetAgreement, axis: str,
                   lines: list[tuple[str, list[tuple[int, int]]]]) -> pd.DataFrame:
    """The matrix, and for each name its pairs of indices into found.along against layer."""
    left, right = style.row_of_panels(figure, 2, width_ratios=[1, 1.25])
    rows = draw_matrix(figure, left, found, axis)
    for i, (name, pairs) in enumerate(lines):
        rows += draw_layers(right, found, name, pairs, i, len(lines))
    right.axhline(found.chance, color=style.QUIET, linewidth=0.8, label="chance")
    style.layer_axis(right.xaxis, profile)
    right.set(ylim=(0, 1.02), ylabel="Jaccard index")
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return pd.DataFrame(rows)


def draw_matrix(figure: Figure, axes: Axes, found: SetAgreement, axis: str) -> list[dict]:
    mean = mean_recorded(found.jaccard, axis=0)
    excess = above_chance(mean, found.chance)
    image = style.grid_image(axes, mean, vmin=0, vmax=1)
    axes.set_aspect("equal")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=25)
    bar.set_label("Jaccard index")
    bar.ax.axhline(found.chance, color="white", linewidth=1.0)
    bar.outline.set_visible(False)
    if len(mean) <= MOST_WRITTEN:
        texts = [[f"{j:.2f}\n({e:.2f})" for j, e in zip(*pair)] for pair in zip(mean, excess)]
        style.cell_texts(axes, image, mean, texts)
        ticks = range(len(mean))
    else:
        ticks = np.unique(np.linspace(0, len(mean) - 1, 6).round().astype(int))
    for side in ("x", "y"):
        axes.set(**{f"{side}ticks": ticks, f"{side}ticklabels": [str(found.along[i]) for i in ticks],
                    f"{side}label": axis})
    return [{"curve": "matrix", "a": found.along[a], "b": found.along[b], "jaccard": mean[a, b],
             "chance": found.chance, "above_chance": excess[a, b]} for a, b in np.ndindex(mean.shape)]


def draw_layers(axes: Axes, found: SetAgreement, name: str, pairs: list[tuple[int, int]], place: int,
                beside: int) -> list[dict]:
    """Mean of the pairs against layer, and each head as a point."""
    layers = np.array([site.layer for site in found.places])
    heads = np.array([site.head for site in found.places])
    of_place = mean_recorded(np.stack([found.jaccard[:, a, b] for a, b in pairs], axis=1), axis=1)
    shown = np.unique(layers)
    colour, dash, marker = style.COLOURS[place], style.DASHES[place], style.MARKERS[place]
    rows, means = [], []
    for layer in shown:
        values = [float(mean_recorded(of_place[(layers == layer) & (heads == head)], axis=0))
                  for head in np.unique(heads[layers == layer])]
        means.append(float(mean_recorded(np.array(values), axis=0)))
        axes.plot(np.full(len(values), layer + 0.12 * (place - (beside - 1) / 2)), values, ".", color=colour,
                  markersize=4, alpha=0.6, markeredgewidth=0)
        rows.append({"curve": name, "layer": int(layer), "jaccard": means[-1], "chance": found.chance,
                     "above_chance": above_chance(means[-1], found.chance)})
    axes.plot(shown, means, color=colour, linestyle=dash, marker=marker, label=name)
    return rows
