"""Attention of one head from its raw q, k and v, for the figures that no stored statistic can give.

Shapes: S video tokens, P text tokens before or behind them, D channels, N tiles. Sums in fp64. Large calls
are sampled: whole rows, evenly spread, and every function says how many it used.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sparsescope.grid import TileGrid
from sparsescope.profile import Captured

ROWS_AT_ONCE = 256  # 256 x 75,600 probabilities in fp64 are 150 MB


def spread_rows(total: int, most: int) -> np.ndarray:
    """At most `most` of `total` rows, one from each of equal runs: all of them if they fit. The place in a run
    moves with the golden ratio, so that a row length of the grid does not put all rows into one column."""
    if total <= most:
        return np.arange(total)
    edges = np.arange(most + 1) * total // most
    places = np.arange(most) * 0.6180339887498949 % 1
    return edges[:-1] + (places * np.diff(edges)).astype(int)


def row_probabilities(head: Captured, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For video rows (raster indices), a batch at a time: (rows [R], probabilities on all keys [R, P + S])."""
    queries = head.q[head.video]
    keys = head.k.astype(np.float64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = rows[start:start + ROWS_AT_ONCE]
        scores = queries[batch].astype(np.float64) @ keys.T * head.scale
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        yield batch, scores


def tile_sums(values: np.ndarray, tiles: TileGrid) -> np.ndarray:
    """Sums over the video keys of each tile: [.., S in raster order] -> [.., N]."""
    ordered = values[..., tiles.tile_order()]
    starts = np.concatenate([[0], np.cumsum(tiles.tile_sizes())[:-1]])
    return np.add.reduceat(ordered, starts, axis=-1)


def tile_means(tokens: np.ndarray, tiles: TileGrid) -> np.ndarray:
    """Mean of each tile's tokens: [S, D] -> [N, D] fp64."""
    return tile_sums(tokens.T.astype(np.float64), tiles).T / tiles.tile_sizes()[:, None]


def pooled_scores(head: Captured, tiles: TileGrid) -> np.ndarray:
    """Z[i, j] = mean(q in i) . mean(k in j) / sqrt(D): what VSA's selector ranks, [N, N] fp64."""
    return tile_means(head.q[head.video], tiles) @ tile_means(head.k[head.video], tiles).T * head.scale


def spread_tile_rows(tiles: TileGrid, most: int) -> np.ndarray:
    """All rows of at most `most` evenly spread tiles, raster indices in tile order."""
    chosen = spread_rows(tiles.tiles, most)
    order = tiles.tile_order()
    return order[np.isin(tiles.tile_of_token()[order], chosen)]


def spread_tiles(tiles: TileGrid, pairs: int, keys: int) -> np.ndarray:
    """Whole query tiles, evenly spread, whose rows make at most `pairs` pairs with the keys."""
    return np.unique(spread_rows(tiles.tiles, max(1, int(pairs / keys / np.prod(tiles.tile)))))


def tile_rows(tiles: TileGrid, chosen: np.ndarray) -> list[np.ndarray]:
    """Raster indices of each chosen tile's rows, in (t, h, w) order."""
    starts = np.concatenate([[0], np.cumsum(tiles.tile_sizes())])
    order = tiles.tile_order()
    return [order[starts[tile]:starts[tile + 1]] for tile in chosen]
