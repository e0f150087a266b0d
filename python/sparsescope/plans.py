"""What a plan runs where: the rule of every site, and the share of the query-key pairs that it keeps.

A plan's later rules override earlier ones; sites without a rule, dense steps and dense layers run dense.
"""
from __future__ import annotations

import numpy as np
import xarray as xr

from sparsescope.grid import TileGrid
from sparsescope.statistics import interpolate

DENSE = -1  # in place of a rule's index
_ROUNDING = 1e-9  # 0.625 * 8 must not become 6


def rule_indices(plan: dict) -> np.ndarray:
    """Which of plan["rules"] rules each site, DENSE where none does. [step, layer, head] int."""
    found = np.full((plan["steps"], plan["model"]["layers"], plan["model"]["heads"]), DENSE)
    for index, rule in enumerate(plan["rules"]):
        ranges = (rule["steps"], rule["layers"], rule["heads"])
        found[tuple(slice(first, last + 1) for first, last in ranges)] = index
    found[plan["dense"]["steps"]] = DENSE
    found[:, plan["dense"]["layers"]] = DENSE
    return found


def setting_at(plan: dict, step: int, layer: int, head: int) -> dict | None:
    """The rule of one site (top_k; query_keep, kv_keep, ...; partition, select, ...); None where dense."""
    if step in plan["dense"]["steps"] or layer in plan["dense"]["layers"]:
        return None
    for rule in reversed(plan["rules"]):
        if all(rule[axis][0] <= index <= rule[axis][1]
               for axis, index in (("steps", step), ("layers", layer), ("heads", head))):
            return rule
    return None


def kept_density(plan: dict, profile: xr.Dataset | None = None) -> np.ndarray:
    """Share of the pairs that each site computes, 1 where it runs dense. [step, layer, head] fp64.

    VSA's is top_k / N. What BSA and VMoBA keep depends on the data: it is read off the profile's curves,
    means over prompts and branches and linear between measured settings; NaN where they were not measured.
    """
    rules = rule_indices(plan)
    density = np.ones(rules.shape)
    for layer in range(rules.shape[1]):
        at_layer = rules[:, layer]
        curves = _Curves(profile, rules.shape, layer)
        for index in np.unique(at_layer[at_layer != DENSE]):
            sites = at_layer == index
            density[:, layer][sites] = _density(plan, plan["rules"][index], curves, sites)
    return density


def _density(plan: dict, rule: dict, curves: "_Curves", sites: np.ndarray) -> np.ndarray | float:
    """Of the sites [step, head] that one rule governs."""
    tiles = TileGrid(tuple(plan["grid"]), tuple(plan["tile"]))
    if plan["method"] == "vsa":
        return rule["top_k"] / tiles.tiles
    if plan["method"] == "bsa":
        keys = interpolate(*curves.read("bsa_density", sites), rule["kv_keep"])
        if rule["min_blocks"] > 1:
            keys = np.maximum(keys, rule["min_blocks"] / tiles.tiles)
        return kept_query_share(tiles, rule["query_keep"], rule["window"]) * keys
    folder = f"vmoba/{rule['partition']}/"
    if rule["select"] == "topk":
        return interpolate(*curves.read(folder + "density_topk", sites), rule["top_k"])
    return interpolate(*curves.read(folder + "density_tau", sites, rule["pool"]), rule["threshold"])


def kept_query_share(tiles: TileGrid, query_keep: float, window: list[int] | str) -> float:
    """Rows that BSA's quota of each window keeps, over all rows: clipped windows round up. "none": a window
    is a whole tile."""
    sizes = tiles.tile if window == "none" else window
    t, h, w = (_window_extents(*axis) for axis in zip(tiles.grid, tiles.tile, sizes))
    rows = t[:, None, None] * h[:, None] * w
    return float(np.ceil(rows * query_keep - _ROUNDING).sum() / tiles.tokens)


def _window_extents(extent: int, tile: int, window: int) -> np.ndarray:
    """Along one axis: the extents of the windows inside each tile."""
    borders = {extent}
    for first in range(0, extent, tile):
        borders.update(range(first, min(first + tile, extent), window))
    return np.diff(sorted(borders))


class _Curves:
    """Density curves of one layer, each read once."""

    def __init__(self, profile: xr.Dataset | None, shape: tuple[int, int, int], layer: int):
        fits = profile is not None and tuple(profile.sizes.get(a) for a in ("step", "layer", "head")) == shape
        self._profile, self._layer = profile if fits else None, layer
        self._read: dict[tuple[str, str | None], tuple[np.ndarray, np.ndarray]] = {}

    def read(self, name: str, sites: np.ndarray, pool: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The settings that were measured, and the densities there of the sites [n, setting]."""
        if self._profile is None or name not in self._profile:
            return np.zeros(1), np.full((int(sites.sum()), 1), np.nan)
        if (name, pool) not in self._read:
            curve = self._profile[name].isel(layer=self._layer)
            curve = (curve if pool is None else curve.sel(pool=pool)).mean(("prompt", "branch"))
            setting = curve.dims[-1]
            values = curve.transpose("step", "head", setting).values.astype(np.float64)
            self._read[name, pool] = curve[setting].values, values
        settings, values = self._read[name, pool]
        return settings, values[sites]
