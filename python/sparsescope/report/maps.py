"""Tile maps for the page: the kept calls that fit, large maps pooled."""
from __future__ import annotations

import h5py
import numpy as np
import xarray as xr

from sparsescope.figures.select import spread
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Site, kept_calls, source
from sparsescope.report.encode import pack_lift, packed_bytes

MOST_TILES = 96  # along each side; more than a screen's pixels would show of a map of 300 pixels


def pooled_lift(mass: np.ndarray, sizes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Lift of groups of neighbouring tiles: mass [.., query tile, key tile] -> [.., group, group]. Rows are
    averaged with weight n_i, keys added up, and the mass is held against the group's share of the tokens."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    rows = np.add.reduceat(mass * sizes[:, None], starts, axis=-2)
    tokens = np.add.reduceat(sizes, starts)
    return np.add.reduceat(rows, starts, axis=-1) / tokens[:, None] * (sizes.sum() / tokens)


def group_of_tile(tiles: TileGrid) -> np.ndarray:
    """[tile] -> group: each tile by itself, or equal runs of the tile order where there are too many."""
    count = tiles.tiles
    run = -(-count // MOST_TILES)
    return np.arange(count) // run


def page_maps(profile: xr.Dataset, budget: int) -> tuple[dict, list[str]]:
    """-> {"size", "tiles_a_cell", "calls": {"p0_b0_s4_l3": packed [head, group, group]}} and what was left
    out."""
    calls = kept_calls(profile, "maps")
    if not calls:
        return {}, []
    tiles = tile_grid(profile)
    groups, sizes = group_of_tile(tiles), tiles.tile_sizes()
    side = int(groups[-1]) + 1
    each = packed_bytes(profile.sizes["head"] * side * side, "u2")
    chosen = choose_calls(calls, budget // each)
    maps = {}
    with h5py.File(source(profile), "r") as file:
        for call in chosen:
            heads = (file[f"maps/{call.call}"][head].astype(np.float64)
                     for head in range(profile.sizes["head"]))
            maps[call.call] = pack_lift(np.stack([pooled_lift(mass, sizes, groups) for mass in heads]))
    notes = []
    if len(chosen) < len(calls):
        notes.append(f"tile maps: {len(chosen)} of {len(calls)} kept calls.")
    run = -(-tiles.tiles // MOST_TILES)
    if run > 1:
        notes.append(f"tile maps: a cell stands for {run} neighbouring tiles.")
    return {"size": side, "tiles_a_cell": run, "calls": maps}, notes


def choose_calls(calls: list[Site], most: int) -> list[Site]:
    """The first prompt's conditional calls first, evenly spread where not even these fit."""
    if len(calls) <= most:
        return calls
    rounds: dict[tuple[int, int], list[Site]] = {}
    for call in calls:
        rounds.setdefault((call.prompt, call.branch), []).append(call)
    chosen: list[Site] = []
    for group in rounds.values():
        room = most - len(chosen)
        if room <= 0:
            break
        chosen += spread(group, room)
    return chosen
