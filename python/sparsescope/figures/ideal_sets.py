"""What a row would choose for itself against what its query tile chooses for all its rows."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope import profile as files
from sparsescope.attention import row_probabilities, spread_tiles, tile_rows, tile_sums
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import REFERENCE_FRACTION, default_site, layer_heads
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site
from sparsescope.statistics import above_chance, chance_jaccard, heaviest, kept_tiles
from sparsescope.tile_sets import jaccard

PAIRS = 1.5e8  # query-key pairs of a figure: some seconds


def row_agreement(head: Captured, tiles: TileGrid, chosen: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Jaccard of the K tiles with most mass in a row and in its query tile, mean over the rows of the chosen
    tiles. counts [K] -> [K]."""
    members = tile_rows(tiles, chosen)
    mass = np.concatenate([tile_sums(probabilities[:, head.video], tiles)
                           for _, probabilities in row_probabilities(head, np.concatenate(members))])
    sums = np.zeros(len(counts))
    starts = np.cumsum([0, *map(len, members)])
    for start, end in zip(starts, starts[1:]):
        shared = mass[start:end].mean(axis=0)
        for i, kept in enumerate(counts):
            sums[i] += jaccard(heaviest(mass[start:end], kept), heaviest(shared, kept)).sum()
    return sums / starts[-1]


@figure("ideal-sets", "queries", "How much does sharing one list of tiles lose?", needs=("qkv",), height=2.6)
def ideal_sets(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Agreement of rows' own best tiles with those of their query tile, against the kept fraction."""
    site = site or default_site(profile, kept="qkv")
    tiles = tile_grid(profile)
    fractions = profile["f"].values
    counts = kept_tiles(fractions, tiles.tiles)
    chance = np.array([chance_jaccard(kept, tiles.tiles) for kept in counts])
    heads = layer_heads(profile, site, kept="qkv")
    rows = []
    for place, look in zip(heads, zip(style.COLOURS, style.DASHES, style.MARKERS)):
        head = files.captured(profile, place)
        chosen = spread_tiles(tiles, int(PAIRS / len(heads)), len(head.k))
        agreement = row_agreement(head, tiles, chosen, counts)
        axes.plot(fractions, agreement, color=look[0], linestyle=look[1], marker=look[2],
                  label=f"head {place.head}")
        rows += [{"head": place.head, "f": f, "jaccard": j, "chance": c, "above_chance": e} for f, j, c, e in
                 zip(fractions, agreement, chance, [above_chance(j, c) for j, c in zip(agreement, chance)])]
    axes.plot(fractions, chance, color=style.QUIET, linewidth=0.8, label="chance")
    style.fraction_axis(axes.xaxis, "tiles kept (fraction)")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("Jaccard index")
    style.legend_above(axes, 4)
    table = pd.DataFrame(rows)
    return Drawn(table, caption(
        profile, "Agreement (Jaccard index) between the K(f) tiles with most mass in a row and the K(f) tiles "
        "with most mass in its query tile, mean over rows", site=site, axes=("head",), notes=(
            agreement_text(table),
            "chance: independent sets of equal size; excess: (J - chance) / (1 - chance)",
            "heads of the layer from the sharpest to the most diffuse", sample_text(chosen, tiles)), rows=False))
def agreement_text(table: pd.DataFrame) -> str:
    """The numbers at the reference fraction."""
    at = table[table["f"] == REFERENCE_FRACTION]
    heads = [f"head {row.head} {row.jaccard:.2f} (excess {row.above_chance:.2f})" for row in at.itertuples()]
    shown = style.fraction_text(REFERENCE_FRACTION)
    return f"At f = {shown}: {', '.join(heads)}; chance {at['chance'].iloc[0]:.2f}"


def sample_text(chosen: np.ndarray, tiles: TileGrid) -> str:
    """Which rows were measured."""
    if len(chosen) == tiles.tiles:
        return "every query row measured"
    return f"rows of {len(chosen)} of {tiles.tiles} query tiles, evenly spread"
