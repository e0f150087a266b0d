"""What pruning queries costs, by the rule that gives pruned queries their output."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.attention import row_probabilities, spread_tiles, tile_rows
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.ideal_sets import sample_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site, layer_heads
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site
from sparsescope.query_selection import EIGHTHS, RESTORES, cosines, kept_from, restore_sources, tile_slots

PAIRS = 1.5e8  # query-key pairs of a figure: some seconds
LABELS = {"zero": "zero", "nearest": "nearest kept slot", "centre": "the tile's centre",
          "similar": "most similar"}


def prune_errors(head: Captured, tiles: TileGrid, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative L2 error of the head's output on the chosen tiles' rows, dense keys.
    -> pruned share [eighths kept 8..1], errors [restore rule, eighths kept 8..1]."""
    keeps = range(EIGHTHS, 0, -1)
    pruned, squares = np.zeros(len(keeps)), np.zeros((len(RESTORES), len(keeps)))
    members = tile_rows(tiles, chosen)
    values = head.v.astype(np.float64)
    outputs = np.concatenate([probabilities @ values for _, probabilities in
                              row_probabilities(head, np.concatenate(members))])
    queries = head.q[head.video]
    starts = np.cumsum([0, *map(len, members)])
    for tile, rows, start in zip(chosen, members, starts):
        output = outputs[start:start + len(rows)]
        alike, slots = cosines(queries[rows]), tile_slots(tiles, int(tile))
        norms = np.square(output).sum(axis=1)
        # [slot, source]: of source -1, the last, which stands for an output of zero, the norm
        moved = np.column_stack([np.square(output[:, None] - output).sum(axis=2), norms])
        least = kept_from(alike, slots)
        for i, eighths in enumerate(keeps):
            kept = np.flatnonzero(least <= eighths)
            pruned[i] += len(rows) - len(kept)
            for j, rule in enumerate(RESTORES):
                sources = restore_sources(alike, kept, slots.centre, rule)
                squares[j, i] += moved[np.arange(len(rows)), sources].sum()
    return pruned / starts[-1], np.sqrt(squares / np.square(outputs).sum())


@figure("prune-error", "queries", "How many queries can go, and which restore rule is best?", needs=("qkv",),
        panels=True, columns=2, height=2.4)
def prune_error(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Error of the head's output against the share of pruned queries, a line for each restore rule."""
    site = site or default_site(profile, kept="qkv")
    tiles = tile_grid(profile)
    heads = layer_heads(profile, site, kept="qkv")
    panels = style.row_of_panels(figure, len(heads), sharey=True)
    rows = []
    for axes, place in zip(panels, heads):
        head = files.captured(profile, place)
        chosen = spread_tiles(tiles, int(PAIRS / len(heads)), len(head.k))
        pruned, errors = prune_errors(head, tiles, chosen)
        for i, rule in enumerate(RESTORES):
            axes.plot(pruned, errors[i], color=style.COLOURS[i], linestyle=style.DASHES[i],
                      marker=style.MARKERS[i], label=LABELS[rule])
            rows += [{"head": place.head, "curve": rule, "pruned": share, "rel_l2": error}
                     for share, error in zip(pruned, errors[i])]
        axes.axvline(0.5, color=style.QUIET, linewidth=0.6)
        axes.set(title=f"head {place.head}", xlabel="queries pruned (fraction)", xlim=(0, 0.9))
    panels[0].set(ylim=(0, None))
    for axes in panels if style.is_narrow(figure) else panels[:1]:
        axes.set_ylabel("relative L2 error of the output")
    style.legend_above(figure, len(RESTORES),
                       handles=panels[0].get_legend_handles_labels()[0])
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Error of a head's output when queries are pruned, by where pruned queries take their output "
        "from; keys dense", site=site, axes=("head",), notes=(
            "BSA's choice: in each window of 2 x 2 x 2 tokens the queries most alike to the tile's centre "
            "(cosine) go first, the centre never; nearest: by number in the tile",
            "grey line: the published half", "heads of the layer from the sharpest to the most diffuse",
            sample_text(chosen, tiles)), rows=False))
