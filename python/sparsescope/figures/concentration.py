"""Whether few pairs of tiles hold most of a head's pooled similarity."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.attention import pooled_scores
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.curve_panels import head_names, heads_text, sharp_and_diffuse
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, captured

SHARES = (0.3, 0.5)  # as VMoBA marks them
MOST_POINTS = 2000  # of a drawn line


def sorted_scores(scores: np.ndarray) -> np.ndarray:
    """All scores, min-max normalised, ascending."""
    flat = np.sort(scores, axis=None)
    span = flat[-1] - flat[0]
    return (flat - flat[0]) / span if span > 0 else np.zeros_like(flat)


def first_of_share(ascending: np.ndarray, share: float) -> int:
    """The index from which on the values hold at least this share of their sum."""
    held = np.cumsum(ascending[::-1])
    count = int(np.searchsorted(held, share * held[-1])) + 1
    return len(ascending) - min(count, len(ascending))


@figure("concentration", "curves", "Is the head concentrated?", needs=("qkv",), height=2.6)
def concentration(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Sorted pooled scores of a sharp head (or the site's) and the most diffuse one of its layer; vertical
    lines where the pairs to the right hold 30 % and 50 % of the sum."""
    heads = sharp_and_diffuse(profile, site, kept="qkv")
    tiles, rows = tile_grid(profile), []
    for head, name, colour, dash in zip(heads, head_names(heads), (style.ORANGE, style.BLUE), ("-", "--")):
        values = sorted_scores(pooled_scores(captured(profile, head), tiles))
        borders = [first_of_share(values, share) for share in SHARES]
        parts = [f"{100 * (1 - border / len(values)):.0f} %" for border in borders]
        held = f"30 % of the sum in {parts[0]} of the pairs, 50 % in {parts[1]}"
        shown = np.unique(np.linspace(0, len(values) - 1, MOST_POINTS).astype(int))
        axes.plot(shown, values[shown], color=colour, linestyle=dash, label=f"{name}: {held}")
        for border in borders:
            axes.vlines(border, 0, values[border], color=colour, linestyle=dash, linewidth=0.8)
        rows += [{"head": head.head, "pair": pair, "score": values[pair]} for pair in shown]
    axes.set_xlim(0, tiles.tiles ** 2)
    axes.set_ylim(0, 1.02)
    style.index_axis(axes.xaxis, "pair of query and key tile, sorted by score")
    axes.get_xaxis().get_major_locator().set_params(nbins=5)
    axes.set_ylabel("pooled score (min-max)")
    style.legend_above(axes, 1)
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Scores of all {tiles.tiles ** 2:,} pairs of a query tile and a key tile, mean query "
        f"times mean key, of {heads_text(heads)}, min-max normalised and sorted; right of a vertical line "
        "lie the pairs that hold 30 % or 50 % of the sum", site=heads[0], axes=("head",),
        notes=("Pooling and normaliser are ours",)))
