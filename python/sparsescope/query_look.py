"""Where one query looks: the row of attention of one token, or of its tile, over the whole video."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sparsescope import profile as files
from sparsescope.attention import row_probabilities, spread_rows
from sparsescope.errors import UsageError
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site

Token = tuple[int, int, int]  # latent frame, row, column

CANDIDATES = 256  # tokens of the middle frame among which the default query is looked for


@dataclass(frozen=True)
class QueryLook:
    """mass [T, Hg, Wg]: the row's probability on each token; of tile maps each tile's mass, evenly spread."""

    query: Token
    first: Token  # the corner of what asks: the token itself, or its tile
    extent: Token
    mass: np.ndarray
    text: float  # probability on text tokens
    exact: bool  # the row of the token itself

    @property
    def lift(self) -> np.ndarray:
        return self.mass * self.mass.size


def look(profile: xr.Dataset, site: Site, kind: str, query: Token | None) -> QueryLook:
    """From raw q and k (kind "qkv") or from tile masses ("maps"). Where no query is given, the most
    concentrated one (least entropy) of the middle latent frame's inner half is chosen: at the edges attention
    is narrow because there is less to see."""
    tiles = tile_grid(profile)
    if query is not None and any(not 0 <= i < extent for i, extent in zip(query, tiles.grid)):
        raise UsageError(f"--query: expected T,H,W inside {tiles.grid}, found {query}")
    if kind == "qkv":
        return _look_of_token(files.captured(profile, site), tiles, query)
    return _look_of_tile(files.tile_map(profile, site), tiles, query)


def _look_of_token(head: Captured, tiles: TileGrid, query: Token | None) -> QueryLook:
    if query is None:
        rows = most_concentrated(head, tiles)
    else:
        rows = np.ravel_multi_index(query, tiles.grid)
    _, probabilities = next(row_probabilities(head, np.array([rows])))
    query = tuple(int(i) for i in np.unravel_index(rows, tiles.grid))
    mass = probabilities[0, head.video].reshape(tiles.grid)
    return QueryLook(query, query, (1, 1, 1), mass, float(1 - mass.sum()), True)


def most_concentrated(head: Captured, tiles: TileGrid) -> int:
    """The raster index of the token whose row has least entropy, of CANDIDATES spread over the middle frame's
    inner half."""
    rows = inner_half(tiles.grid)
    rows = rows[spread_rows(len(rows), CANDIDATES)]
    entropies = [row_entropy(probabilities) for _, probabilities in row_probabilities(head, rows)]
    return int(rows[np.argmin(np.concatenate(entropies))])


def inner_half(extents: Token) -> np.ndarray:
    """Raster indices of the middle frame's places between a quarter and three quarters of its height and
    width."""
    frames, height, width = extents
    rows, columns = (np.arange(extent // 4, extent - extent // 4) for extent in (height, width))
    return np.ravel_multi_index((frames // 2, *np.meshgrid(rows, columns, indexing="ij")), extents).ravel()


def row_entropy(probabilities: np.ndarray) -> np.ndarray:
    """-sum p ln p over the last axis, 0 ln 0 = 0."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logs).sum(axis=-1)


def _look_of_tile(mass: np.ndarray, tiles: TileGrid, query: Token | None) -> QueryLook:
    sizes = tiles.tile_sizes()
    if query is None:
        candidates = inner_half(tiles.counts)
        rows = mass[candidates].astype(np.float64)
        # Each tile's mass spread evenly over its tokens: -sum M ln(M / n); clipped tiles are not preferred.
        spread = row_entropy(rows) + (rows * np.log(sizes)).sum(axis=1)
        tile = int(candidates[np.argmin(spread)])
    else:
        tile = int(tiles.tile_of_token()[np.ravel_multi_index(query, tiles.grid)])
    first = tuple(i * size for i, size in zip(tiles.coordinates(tile), tiles.tile))
    extent = tuple(min(size, whole - start) for size, whole, start in zip(tiles.tile, tiles.grid, first))
    query = query or tuple(start + size // 2 for start, size in zip(first, extent))
    row = mass[tile].astype(np.float64)
    on_tokens = (row / sizes)[tiles.tile_of_token()].reshape(tiles.grid)
    return QueryLook(query, first, extent, on_tokens, float(max(0.0, 1 - row.sum())), False)
