"""Where one head looks: the whole map of tile masses."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import lift, tile_grid
from sparsescope.profile import Site


def map_table(mass: np.ndarray) -> pd.DataFrame:
    """The matrix M as a table: a row a query tile, a column a key tile."""
    return pd.DataFrame(mass, index=pd.RangeIndex(len(mass), name="query_tile"),
                        columns=pd.RangeIndex(mass.shape[1], name="key_tile"))


def frame_lines(axes, counts: tuple[int, int, int]) -> None:
    """Thin lines where the frame of tiles changes, on both axes."""
    inside = counts[1] * counts[2]
    for border in range(1, counts[0]):
        axes.axhline(border * inside - 0.5, color="white", linewidth=0.4, alpha=0.6)
        axes.axvline(border * inside - 0.5, color="white", linewidth=0.4, alpha=0.6)


@figure("tile-map", "maps", "Where does this head look?", needs=("maps",), panels=True, height=3.1)
def tile_map(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Lift of every tile pair on a log scale, with the mass that each key tile receives above."""
    site = site or default_site(profile, kept="maps")
    mass = files.tile_map(profile, site)
    tiles = tile_grid(profile)
    sizes = tiles.tile_sizes()
    over, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 7])
    image = below.imshow(lift(mass, sizes), cmap=style.RAMP, norm=style.lift_norm(), rasterized=True)
    below.grid(False)
    frame_lines(below, tiles.counts)
    style.index_axis(below.xaxis, "key tile (t, h, w; w fastest)")
    style.index_axis(below.yaxis, "query tile")
    style.lift_bar(figure, image, [over, below])
    received = sizes @ mass / sizes.sum()
    over.step(np.arange(tiles.tiles), received * tiles.tokens / sizes, where="mid", color=style.INK, linewidth=0.7)
    over.axhline(1, color=style.QUIET, linewidth=0.6)
    over.set_ylabel("received")
    over.set_ylim(bottom=0)
    return Drawn(map_table(mass), caption(
        profile, "Attention of every query tile on every key tile, over what uniform attention gives (log scale); "
        "above, what each key tile receives; lines part the frames of tiles", site=site))
