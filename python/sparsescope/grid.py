"""The token grid, its tiles and VMoBA's blocks, numbered as in the profile.

T, Hg, Wg tokens along time, height and width; raster index (t * Hg + h) * Wg + w. A tile is a cube of
bt x bh x bw tokens, clipped at the grid's edges; tiles are numbered t, h, w with w fastest.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class TileGrid:
    grid: tuple[int, int, int]  # (T, Hg, Wg) tokens
    tile: tuple[int, int, int]  # (bt, bh, bw) tokens

    @property
    def tokens(self) -> int:
        return int(np.prod(self.grid))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tiles along t, h, w."""
        return tuple(-(-extent // size) for extent, size in zip(self.grid, self.tile))

    @property
    def tiles(self) -> int:
        return int(np.prod(self.counts))

    def tile_of_token(self) -> np.ndarray:
        """[token in raster order] -> tile."""
        t, h, w = np.meshgrid(*(np.arange(n) // b for n, b in zip(self.grid, self.tile)), indexing="ij")
        _, tiles_h, tiles_w = self.counts
        return ((t * tiles_h + h) * tiles_w + w).reshape(-1)

    def tile_sizes(self) -> np.ndarray:
        """[tile] tokens: n_i."""
        return np.bincount(self.tile_of_token(), minlength=self.tiles)

    def tile_order(self) -> np.ndarray:
        """Raster indices in tile order: tile by tile, raster order inside."""
        return np.argsort(self.tile_of_token(), kind="stable")

    def coordinates(self, tile: int) -> tuple[int, int, int]:
        """A tile's place among the tiles, (t, h, w)."""
        return tuple(int(i) for i in np.unravel_index(tile, self.counts))


def extents_text(extents) -> str:
    """(8, 16, 16) -> "8 x 16 x 16"."""
    return " x ".join(str(int(n)) for n in extents)


def tile_grid(profile: xr.Dataset) -> TileGrid:
    return TileGrid(tuple(int(n) for n in profile.attrs["grid"]), tuple(int(n) for n in profile.attrs["tile"]))


def partition_blocks(partition: str, grid: tuple[int, int, int]) -> TileGrid:
    """VMoBA's partition as tiles, which are numbered alike: "temporal:a" cuts time alone, "spatial:bh,bw"
    height and width, "st:bt,bh,bw" all three. Its token order is tile_order()."""
    kind, _, numbers = partition.partition(":")
    sizes = tuple(int(number) for number in numbers.split(","))
    frames, height, width = grid
    blocks = {"temporal": lambda: (sizes[0], height, width), "spatial": lambda: (frames, *sizes),
              "st": lambda: sizes}
    return TileGrid(grid, blocks[kind]())


def lift(tile_mass: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """M[i, j] * S / n_j: 1 where attention is uniform. tile_mass [.., key tile], sizes [key tile]."""
    return tile_mass * (sizes.sum() / sizes)
