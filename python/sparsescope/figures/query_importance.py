"""Which pixels concentrate attention: a score of every query of the first frame."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparsescope import profile as files
from sparsescope.attention import row_probabilities, tile_means, tile_sums
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site
from sparsescope.statistics import kept_tiles

SHARE = 0.25  # of the key tiles
MOST_ROWS = 1024  # of exact attention
BATCH = 4096


@figure("query-importance", "maps", "Which pixels concentrate attention?", needs=("qkv",), panels=True,
        columns=2)
def query_importance(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """On the first latent frame: the sum of each query's largest pooled similarities, and of its largest
    masses."""
    site = site or default_site(profile, kept="qkv")
    head, tiles = files.captured(profile, site), tile_grid(profile)
    rows, columns, every = sampled_places(tiles.grid)
    queries = (rows[:, None] * tiles.grid[2] + columns).ravel()  # of frame 0
    kept = int(kept_tiles(SHARE, tiles.tiles))
    shape = len(rows), len(columns)
    similarity = similarity_sums(head, tiles, queries, kept).reshape(shape)
    mass = mass_sums(head, tiles, queries, kept).reshape(shape)
    narrow = style.is_narrow(figure)
    video = None if narrow else files.video(profile, site.prompt)
    count = 2 if video is None else 3
    side = min(style.width_of(figure) / count - 0.1, 2.6)
    style.fit_height(figure, side * tiles.grid[1] / tiles.grid[2] + 0.75)
    if isinstance(figure, Figure):
        figure.set_layout_engine("compressed")
    panels, bars = figure.subplots(2, count, height_ratios=[25, 1])
    place = {"extent": (-0.5, tiles.grid[2] - 0.5, tiles.grid[1] - 0.5, -0.5), "interpolation": "none",
             "rasterized": True}
    if video is not None:
        panels[0].imshow(video[0], **place)
        panels[0].set_title("first frame of the video")
        bars[0].set_axis_off()
    for axes, beneath, values, title, label in (
            (panels[-2], bars[-2], similarity, "pooled similarity", f"sum of the {kept} largest"),
            (panels[-1], bars[-1], mass, "attention mass", f"mass on the {kept} heaviest tiles")):
        image = axes.imshow(values, cmap=style.RAMP, **place)
        axes.set_title(title)
        bar = figure.colorbar(image, cax=beneath, orientation="horizontal")
        bar.ax.xaxis.set_major_locator(MaxNLocator(2 if narrow else 4))
        bar.set_label(label)
        bar.outline.set_visible(False)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    where = np.meshgrid(rows, columns, indexing="ij")
    table = pd.DataFrame({"query_row": where[0].ravel(), "query_column": where[1].ravel(),
                          "similarity_sum": similarity.ravel(), "mass": mass.ravel()})
    sampled = f"every {every}{'nd' if every == 2 else 'rd' if every == 3 else 'th'} row and column" \
        if every > 1 else ""
    return Drawn(table, caption(
        profile, f"For each query of latent frame 0, over the {kept} of {tiles.tiles} key tiles (a quarter) "
        "that it ranks highest: the sum of its similarities with mean keys, min-max normalised over the "
        "head, and the attention mass on the heaviest tiles", site=site, notes=(sampled,)))


def sampled_places(grid: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Every n-th row and column of a frame, so that at most MOST_ROWS queries remain."""
    every = 1
    while -(-grid[1] // every) * -(-grid[2] // every) > MOST_ROWS:
        every += 1
    return np.arange(0, grid[1], every), np.arange(0, grid[2], every), every


def similarity_sums(head: Captured, tiles: TileGrid, queries: np.ndarray, kept: int) -> np.ndarray:
    """Sum of the `kept` largest of q . mean(k in tile), min-max normalised over all queries and tiles of the
    head: [len(queries)] fp64."""
    video = head.q[head.video].astype(np.float64)
    keys = tile_means(head.k[head.video], tiles)
    low, high = np.inf, -np.inf
    for start in range(0, len(video), BATCH):
        products = video[start:start + BATCH] @ keys.T
        low, high = min(low, products.min()), max(high, products.max())
    largest = _sum_of_largest(video[queries] @ keys.T, kept)
    return (largest - kept * low) / (high - low) if high > low else np.zeros(len(queries))


def mass_sums(head: Captured, tiles: TileGrid, queries: np.ndarray, kept: int) -> np.ndarray:
    """Attention mass of each query on its `kept` heaviest tiles: [len(queries)] fp64."""
    return np.concatenate([_sum_of_largest(tile_sums(probabilities[:, head.video], tiles), kept)
                           for _, probabilities in row_probabilities(head, queries)])


def _sum_of_largest(values: np.ndarray, kept: int) -> np.ndarray:
    return np.sort(values, axis=-1)[..., -kept:].sum(axis=-1)
