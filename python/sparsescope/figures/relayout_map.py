"""One head in the token orders that sparse kernels use."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.attention import row_probabilities, spread_rows
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import TileGrid, partition_blocks, tile_grid
from sparsescope.profile import Captured, Site, manifest
from sparsescope.statistics import kept_tiles

RUN = 64  # tokens
MOST_CELLS = 256  # a side: what a quarter of a page can show
MOST_PAIRS = 1e8  # of queries and keys, beyond which rows are sampled
LEAST_ROWS = 1024
MOST_LINES = 16
SHARE = 0.25  # of the cells, whose mass is printed


@dataclass(frozen=True)
class TokenOrder:
    """order: raster indices in the new order. starts: where each cell begins in it. borders: cells (fractions
    of them too) where a block of the partition begins."""

    name: str
    order: np.ndarray
    starts: np.ndarray
    borders: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.starts, append=len(self.order))

    def cell_of_token(self) -> np.ndarray:
        """[token in raster order] -> cell"""
        cells = np.empty(len(self.order), dtype=int)
        cells[self.order] = np.repeat(np.arange(len(self.starts)), self.sizes)
        return cells


@figure("relayout-map", "maps", "Which token order makes this head block-sparse?", needs=("qkv",),
        panels=True, columns=2)
def relayout_map(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """The lift between runs of tokens: in raster order, by tiles, and in the order of VMoBA's partitions."""
    site = site or default_site(profile, kept="qkv")
    tiles = tile_grid(profile)
    orders = token_orders(tiles, manifest(profile).get("partitions", []))
    most_rows = max(LEAST_ROWS, int(MOST_PAIRS / tiles.tokens))
    sampled = covering_rows(orders, spread_rows(tiles.tokens, most_rows))
    maps = cell_masses(files.captured(profile, site), orders, sampled)
    if isinstance(figure, Figure):
        figure.set_layout_engine("compressed")
    rows = 2 if style.is_narrow(figure) else 1
    across = -(-len(orders) // rows)
    style.fit_height(figure, rows * ((style.width_of(figure) - 0.9) / across + 0.35))
    page = figure.subplots(rows, across, squeeze=False)
    panels = page.flat[:len(orders)]
    for axes in page.flat[len(orders):]:
        axes.set_axis_off()
    tables = []
    for axes, order, mass in zip(panels, orders, maps):
        lift = mass * tiles.tokens / order.sizes
        image = axes.imshow(lift, cmap=style.RAMP, norm=style.lift_norm(), interpolation="none",
                            rasterized=True)
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
        axes.set_title(order.name)
        axes.set_xlabel(f"heaviest quarter {heaviest_share(mass, order):.2f}")
        if len(order.borders) <= MOST_LINES:
            for border in order.borders:
                axes.axhline(border - 0.5, color="white", linewidth=0.3, alpha=0.6)
                axes.axvline(border - 0.5, color="white", linewidth=0.3, alpha=0.6)
        query, key = np.meshgrid(np.arange(len(mass)), np.arange(len(mass)), indexing="ij")
        tables.append(pd.DataFrame({"order": order.name, "query_cell": query.ravel(), "key_cell": key.ravel(),
                                    "mass": mass.ravel(), "lift": lift.ravel()}))
    for axes in page[:, 0]:
        axes.set_ylabel("query")
    style.lift_bar(figure, image, list(page.flat))
    cell = int(orders[0].sizes[0])
    measured = "" if len(sampled) == tiles.tokens else \
        f"measured on {len(sampled)} of {tiles.tokens} query rows, evenly spread"
    return Drawn(pd.concat(tables, ignore_index=True), caption(
        profile, "The same head with its tokens in different orders, queries down and keys across, in cells "
        f"of {cell} tokens (of whole tiles in tile order): attention over what uniform attention would give, "
        "log scale; lines part the blocks of each order, frames in raster order; printed: the mass on each row's "
        "heaviest quarter of the cells", site=site,
        notes=("temporal partitions keep the raster order; spatial ones gather a place over all frames "
               "(place-local), st ones gather cubes", measured)))


def token_orders(tiles: TileGrid, partitions: list[str]) -> list[TokenOrder]:
    """Raster order, tile order, and of the spatial and the st partitions the finest whose blocks are no
    tiles. Temporal partitions have the raster order."""
    length = RUN * -(-tiles.tokens // (RUN * MOST_CELLS))
    frames = TileGrid(tiles.grid, (1, *tiles.grid[1:]))
    orders = [_in_runs("raster (temporal)", frames, length), _in_tiles(tiles, length)]
    for kind in ("spatial", "st"):
        of_kind = [name for name in partitions if name.startswith(f"{kind}:")]
        blocks = {name: partition_blocks(name, tiles.grid) for name in of_kind}
        others = {name: cut for name, cut in blocks.items() if cut.tile != tiles.tile}
        if others:
            name = max(others, key=lambda name: others[name].tiles)
            orders.append(_in_runs(name, others[name], length))
    return orders


def _in_runs(name: str, blocks: TileGrid, length: int) -> TokenOrder:
    starts = np.arange(0, blocks.tokens, length)
    borders = np.cumsum(blocks.tile_sizes())[:-1] / length
    return TokenOrder(name, blocks.tile_order(), starts, borders)


def _in_tiles(tiles: TileGrid, length: int) -> TokenOrder:
    """Whole tiles, as many to a cell as come nearest to its length."""
    together = max(1, round(length / int(np.prod(tiles.tile))))
    starts = np.concatenate([[0], np.cumsum(tiles.tile_sizes())[:-1]])[::together]
    inside = tiles.counts[1] * tiles.counts[2]
    borders = np.arange(inside, tiles.tiles, inside) / together
    return TokenOrder("tiles", tiles.tile_order(), starts, borders)


def covering_rows(orders: list[TokenOrder], rows: np.ndarray) -> np.ndarray:
    """The rows, and the middle one of every cell that holds none of them."""
    more = [rows]
    for order in orders:
        empty = np.bincount(order.cell_of_token()[rows], minlength=len(order.starts)) == 0
        more.append(order.order[(order.starts + order.sizes // 2)[empty]])
    return np.unique(np.concatenate(more))


def cell_masses(head: Captured, orders: list[TokenOrder], rows: np.ndarray) -> list[np.ndarray]:
    """For each order the mean over a cell's measured rows of the probability on every cell, [cell, cell]
    fp64. Every cell holds one of the rows."""
    sums = [np.zeros((len(order.starts),) * 2) for order in orders]
    cells = [order.cell_of_token() for order in orders]
    for batch, probabilities in row_probabilities(head, rows):
        video = probabilities[:, head.video]
        for total, order, cell in zip(sums, orders, cells):
            np.add.at(total, cell[batch], np.add.reduceat(video[:, order.order], order.starts, axis=1))
    return [total / np.bincount(cell[rows])[:, None] for cell, total in zip(cells, sums)]


def heaviest_share(mass: np.ndarray, order: TokenOrder) -> float:
    """Mass on the K(SHARE) heaviest cells of each row, mean over tokens."""
    kept = int(kept_tiles(SHARE, len(mass)))
    return float(np.average(np.sort(mass, axis=1)[:, -kept:].sum(axis=1), weights=order.sizes))
