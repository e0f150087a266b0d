"""How queries match pooled key blocks: a head's 1D, 2D or 3D pattern."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.attention import tile_means
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site

KEY_BLOCKS = (4, 2, 2)  # along t, h, w
MOST_COLUMNS = 2048  # query patches that two columns of a paper can show


@figure("pattern-map", "maps", "Does this head follow a 1D, 2D or 3D pattern?", needs=("qkv",), panels=True,
        columns=2, height=2.2)
def pattern_map(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Similarity of every query with 16 mean keys, min-max normalised over the head."""
    site = site or default_site(profile, kept="qkv")
    grid = tile_grid(profile).grid
    patches = query_patches(grid)
    blocks = key_blocks(grid)
    similarity = patch_means(block_similarity(files.captured(profile, site), blocks), patches)
    axes = figure.subplots()
    # Columns are blended where there are more than dots; rows, drawn many times, keep their edges.
    image = axes.imshow(similarity.repeat(20, axis=0), cmap=style.RAMP, vmin=0, vmax=1, aspect="auto",
                        rasterized=True, interpolation="antialiased", interpolation_stage="data",
                        extent=(-0.5, patches.tiles - 0.5, blocks.tiles - 0.5, -0.5))
    axes.grid(False)
    per_frame, inside = patches.tiles // grid[0], blocks.counts[1] * blocks.counts[2]
    for border in range(1, blocks.counts[0]):
        axes.axhline(border * inside - 0.5, color="white", linewidth=0.6)
    every = -(-grid[0] // 12)
    axes.set_xticks(np.arange(0, grid[0], every) * per_frame - 0.5, np.arange(0, grid[0], every))
    axes.set_xlabel("query token, raster order (ticks: latent frames)")
    axes.set_yticks(np.arange(blocks.counts[0]) * inside + (inside - 1) / 2, np.arange(blocks.counts[0]))
    axes.set_ylabel("key block along t (in it: h, w)")
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=20, ticks=[0, 0.5, 1])
    bar.set_label("similarity")
    bar.outline.set_visible(False)
    row, column = np.meshgrid(np.arange(blocks.tiles), np.arange(patches.tiles), indexing="ij")
    table = pd.DataFrame({"key_block": row.ravel(), "query_patch": column.ravel(),
                          "similarity": similarity.ravel()})
    pooled = f"; a column is the mean over {patches.tile[1]} x {patches.tile[2]} neighbouring queries" \
        if patches.tile != (1, 1, 1) else ""
    return Drawn(table, caption(
        profile, f"Dot products of the queries with the mean keys of {' x '.join(map(str, blocks.counts))} "
        "blocks over t, h, w (w fastest; lines part the blocks along t), min-max normalised over the head"
        f"{pooled}", site=site))


def key_blocks(grid: tuple[int, int, int]) -> TileGrid:
    """KEY_BLOCKS equal blocks, the last of an axis smaller where they do not divide it."""
    return TileGrid(grid, tuple(-(-extent // count) for extent, count in zip(grid, KEY_BLOCKS)))


def query_patches(grid: tuple[int, int, int]) -> TileGrid:
    """Square patches of one frame's queries, the smallest that make at most MOST_COLUMNS: single tokens if
    these fit. In raster order of patches."""
    for side in range(1, max(grid[1:]) + 1):
        patches = TileGrid(grid, (1, side, side))
        if patches.tiles <= MOST_COLUMNS:
            return patches
    return patches


def block_similarity(head: Captured, blocks: TileGrid) -> np.ndarray:
    """q . mean(k in block), min-max normalised over all pairs of the head: [block, video token] fp64."""
    keys = tile_means(head.k[head.video], blocks)
    products = keys @ head.q[head.video].T.astype(np.float64)
    low, high = products.min(), products.max()
    return (products - low) / (high - low) if high > low else np.zeros_like(products)


def patch_means(similarity: np.ndarray, patches: TileGrid) -> np.ndarray:
    """[block, token in raster order] -> [block, patch]"""
    return tile_means(similarity.T, patches).T
