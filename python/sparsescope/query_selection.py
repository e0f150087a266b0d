"""BSA's query side on one head: which queries of a tile are pruned, and where they get their output from.

Slots number a tile's tokens in (t, h, w) order, w fastest, clipped at the grid's edges. The centre is slot
floor(extent / 2) along each axis. A tile is cut into windows; in each, the queries most alike to the centre
are pruned first, the centre itself never.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsescope.grid import TileGrid

WINDOW = (2, 2, 2)  # the published one, cut to the tile
EIGHTHS = 8  # windows keep whole eighths of their queries
RESTORES = ("zero", "nearest", "centre", "similar")
NORM_FLOOR = 1e-12


@dataclass(frozen=True)
class TileSlots:
    """A tile's clipped extents, with its centre and the window of each slot."""

    extents: tuple[int, int, int]
    window: tuple[int, int, int]

    @property
    def centre(self) -> int:
        return int(np.ravel_multi_index([n // 2 for n in self.extents], self.extents))

    def window_of_slot(self) -> np.ndarray:
        return TileGrid(self.extents, self.window).tile_of_token()


def tile_slots(tiles: TileGrid, tile: int) -> TileSlots:
    place = tiles.coordinates(tile)
    extents = tuple(min(size, total - size * at) for size, total, at in zip(tiles.tile, tiles.grid, place))
    return TileSlots(extents, tuple(min(a, b) for a, b in zip(WINDOW, tiles.tile)))


def cosines(queries: np.ndarray) -> np.ndarray:
    """Cosine of every pair of queries [slot, D] -> [slot, slot] fp64."""
    rows = queries.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), NORM_FLOOR)
    return rows @ rows.T


def kept_from(alike: np.ndarray, slots: TileSlots) -> np.ndarray:
    """[slot] the least number of eighths at which it is kept. alike [slot, slot] cosines. Of n queries of a
    window ceil(n * eighths / 8) stay: the least alike to the centre, the lower slot first among equals; the
    centre counts among them and always stays."""
    similarity = alike[slots.centre].copy()
    similarity[slots.centre] = -np.inf
    windows = slots.window_of_slot()
    least = np.empty(len(similarity), dtype=int)
    for window in range(windows.max() + 1):
        inside = np.flatnonzero(windows == window)
        order = inside[np.argsort(similarity[inside], kind="stable")]
        least[order] = np.arange(len(order)) * EIGHTHS // len(order) + 1
    return least


def restore_sources(alike: np.ndarray, kept: np.ndarray, centre: int, rule: str) -> np.ndarray:
    """[slot] the kept slot whose output it takes, -1 for an output of zero. kept: slots, ascending.
    nearest: by slot number; similar: by cosine; the lower slot first among equals."""
    slots = np.arange(len(alike))
    if rule == "zero":
        sources = np.full(len(slots), -1)
    elif rule == "centre":
        sources = np.full(len(slots), centre)
    elif rule == "nearest":
        sources = kept[np.abs(slots[:, None] - kept).argmin(axis=1)]
    elif rule == "similar":
        sources = kept[alike[:, kept].argmax(axis=1)]
    else:
        raise ValueError(f"restore rule: expected one of {', '.join(RESTORES)}, found {rule}")
    sources[kept] = kept
    return sources
