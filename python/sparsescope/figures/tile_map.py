"""Where one head looks: the whole map of tile masses."""
from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.mass_maps import frame_lines, map_table
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import TileGrid, lift, tile_grid
from sparsescope.profile import Site

LINEAR_TOP = 99.5  # percentile of the masses where the linear ramp ends: a few pairs would darken the rest


@figure("tile-map", "maps", "Where does this head look?", needs=("maps",), panels=True)
def tile_map(figure: Figure, profile: xr.Dataset, *, site: Site | None = None, scale: str = "log") -> Drawn:
    """Every pair of tiles, as lift on a log scale or (scale="linear") as the mass itself. Margins: what each
    key tile receives, and what each query tile gives to its own frame of tiles and to all video tiles."""
    if scale not in ("log", "linear"):
        raise UsageError(f"tile-map: scale: expected log or linear, found '{scale}'")
    site = site or default_site(profile, kept="maps")
    mass = files.tile_map(profile, site)
    tiles = tile_grid(profile)
    style.fit_height(figure, 0.73 * style.width_of(figure) + 0.4)
    grid = figure.add_gridspec(2, 2, width_ratios=[7, 1], height_ratios=[1.3, 7])
    below = figure.add_subplot(grid[1, 0])
    over = figure.add_subplot(grid[0, 0], sharex=below)
    beside = figure.add_subplot(grid[1, 1], sharey=below)
    # "antialiased" blends tiles only where the paper has fewer dots than the map has tiles.
    look = {"cmap": style.RAMP, "interpolation": "antialiased", "interpolation_stage": "data",
            "aspect": "auto", "rasterized": True}
    if scale == "log":
        image = below.imshow(lift(mass, tiles.tile_sizes()), norm=style.lift_norm(), **look)
        style.lift_bar(figure, image, [below, beside])
        colour = "colour: attention over what uniform attention would give, log scale"
    else:
        image = below.imshow(mass, vmin=0, vmax=np.percentile(mass, LINEAR_TOP), **look)
        bar = figure.colorbar(image, ax=[below, beside], extend="max", pad=0.02, aspect=25)
        bar.set_label("probability on the key tile")
        bar.outline.set_visible(False)
        colour = f"colour: mean probability on the key tile, linear up to the {LINEAR_TOP:g} % percentile"
    below.grid(False)
    frame_lines(below, np.arange(1, tiles.counts[0]) * tiles.counts[1] * tiles.counts[2])
    style.index_axis(below.xaxis, "key tile (t, h, w; w fastest)")
    style.index_axis(below.yaxis, "query tile")
    _received(over, mass, tiles)
    _own_frame(beside, mass, tiles)
    return Drawn(map_table(mass), caption(
        profile, f"Attention of every query tile on every key tile; {colour}; lines part the frames of tiles",
        site=site, notes=("above, what each key tile receives over uniform; at the right, the share of its "
                          "attention that each query tile gives to its own frame of tiles (filled) and to "
                          "all video tiles (line; text tokens get the rest)",)))


@figure("tile-map-linear", "maps", "Which tile pairs hold the mass itself?", needs=("maps",), panels=True)
def tile_map_linear(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """tile-map on a linear scale."""
    return tile_map(figure, profile, site=site, scale="linear")


def _received(axes, mass: np.ndarray, tiles: TileGrid) -> None:
    sizes = tiles.tile_sizes()
    received = (sizes @ mass.astype(np.float64)) / sizes  # S * key_mass / n_j
    axes.stairs(received, np.arange(tiles.tiles + 1) - 0.5, baseline=None, color=style.INK, linewidth=0.7)
    axes.axhline(1, color=style.QUIET, linewidth=0.6)
    axes.grid(False)
    axes.set_ylabel("received")
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=False)


def _own_frame(axes, mass: np.ndarray, tiles: TileGrid) -> None:
    edges = np.arange(tiles.tiles + 1) - 0.5
    axes.stairs(own_frame_mass(mass, tiles), edges, orientation="horizontal", fill=True, color=style.SKY)
    axes.stairs(mass.sum(axis=1), edges, orientation="horizontal", baseline=None, color=style.INK,
                linewidth=0.7)
    axes.grid(False)
    axes.set_xlim(0, 1.05)
    axes.set_xticks([0, 1])
    axes.set_xlabel("own frame")
    axes.tick_params(labelleft=False)


def own_frame_mass(mass: np.ndarray, tiles: TileGrid) -> np.ndarray:
    """What each query tile gives to the tiles of its own frame of tiles: [N, N] -> [N]."""
    inside = tiles.counts[1] * tiles.counts[2]
    frames = np.add.reduceat(mass.astype(np.float64), np.arange(0, tiles.tiles, inside), axis=1)
    return frames[np.arange(tiles.tiles), np.arange(tiles.tiles) // inside]
