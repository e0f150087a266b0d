"""The recall that a plan's settings promise by a profile's curves, read as `derive` reads them.

VSA: coverage_pooled (coverage_row for the row oracle) linear between the measured K(f), from no tile mass at
K = 0. BSA: bsa_recall linear between the measured kappa, and no less than min_blocks best tiles hold. VMoBA:
the measured top-k, or linear between the measured tau of the pool. Text keys are always attended to: their
mass comes on top. Dense sites recall 1.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from sparsescope.errors import UsageError
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.plans import DENSE, rule_indices
from sparsescope.profile import LEADING, partitions, source
from sparsescope.statistics import interpolate, kept_tiles

_RANGES = ("steps", "layers", "heads")


def misfit(profile: xr.Dataset, plan: dict) -> str:
    """Why the profile's curves promise nothing for this plan; empty where they do."""
    model = plan["model"]
    for axis, planned in (("step", plan["steps"]), ("layer", model["layers"]), ("head", model["heads"])):
        if planned != profile.sizes[axis]:
            return f"a plan of {planned} {axis}s, a profile of {profile.sizes[axis]}"
    if plan["method"] == "vmoba":
        if tuple(plan["grid"]) != tile_grid(profile).grid:
            return "VMoBA's blocks of another grid"
        unknown = sorted({rule["partition"] for rule in plan["rules"]} - set(partitions(profile)))
        if unknown:
            return f"partition {unknown[0]} was not recorded"
    return ""


def promised_recall(profile: xr.Dataset, plan: dict) -> np.ndarray:
    """[prompt, branch, step, layer, head] fp64: 1 at dense sites, NaN where a sparse site was not recorded.
    A VSA plan of another grid keeps the same share of its tiles."""
    lack = misfit(profile, plan)
    if lack:
        raise UsageError(f"{source(profile)}: no recall is promised for this plan: {lack}")
    promised = np.ones([profile.sizes[axis] for axis in LEADING])
    rules = rule_indices(plan)  # [step, layer, head]
    settings, group_of_rule = _distinct_settings(plan["rules"])
    groups = np.where(rules == DENSE, DENSE, group_of_rule[rules]) if settings else rules
    curve_of = _CURVES.get(plan["method"])  # a dense plan has no rules
    for step in range(profile.sizes["step"]):  # bounded memory: VMoBA's curves are long
        present = [int(group) for group in np.unique(groups[step]) if group != DENSE]
        if not present:
            continue
        at_step = profile.isel(step=step)
        read = _Reader(at_step)
        for group in present:
            recall = curve_of(read, plan, settings[group])  # [prompt, branch, layer, head]
            where = groups[step] == group
            promised[:, :, step, where] = recall[:, :, where]
    return promised


def _distinct_settings(rules: list[dict]) -> tuple[list[dict], np.ndarray]:
    """Rules that differ in their ranges alone share a setting. -> settings, [rule] index of its setting."""
    settings: dict[tuple, int] = {}
    kept, index = [], []
    for rule in rules:
        parameters = {name: value for name, value in rule.items() if name not in _RANGES}
        key = tuple(sorted((name, str(value)) for name, value in parameters.items()))
        if key not in settings:
            settings[key] = len(kept)
            kept.append(parameters)
        index.append(settings[key])
    return kept, np.array(index, dtype=int)


class _Reader:
    """Curves of one step, each read once: [prompt, branch, layer, head, ...] fp64, text mass added."""

    def __init__(self, at_step: xr.Dataset):
        self.profile = at_step
        self.tiles: TileGrid = tile_grid(at_step)
        self._read: dict[str, np.ndarray] = {}

    def array(self, name: str) -> np.ndarray:
        if name not in self._read:
            self._read[name] = self.profile[name].values.astype(np.float64)
        return self._read[name]

    @property
    def text(self) -> np.ndarray:
        if "prefix_mass" in self.profile:
            return self.array("prefix_mass")
        return np.zeros(self.profile["coverage_pooled"].shape[:-1])

    def with_text(self, recall: np.ndarray) -> np.ndarray:
        """recall [prompt, branch, layer, head, ...]."""
        text = self.text.reshape(*self.text.shape, *[1] * (recall.ndim - self.text.ndim))
        return np.minimum(1.0, text + recall)


def _recall_of_tiles(read: _Reader, kept: float, choice: str) -> np.ndarray:
    """Recall when every query tile keeps `kept` of the profile's tiles."""
    tiles = read.tiles.tiles
    if choice == "random":
        return read.text + (1.0 - read.text) * kept / tiles
    coverage = read.array("coverage_row" if choice == "row_oracle" else "coverage_pooled")
    counts, columns = np.unique(kept_tiles(read.profile["f"].values, tiles), return_index=True)
    curve = read.with_text(coverage[..., columns])
    return interpolate(np.append(0.0, counts), np.concatenate([read.text[..., None], curve], axis=-1), kept)


def _vsa(read: _Reader, plan: dict, setting: dict) -> np.ndarray:
    planned = TileGrid(tuple(plan["grid"]), tuple(plan["tile"])).tiles
    kept = setting["top_k"] * read.tiles.tiles / planned
    return _recall_of_tiles(read, kept, setting.get("choice", "pooled"))


def _bsa(read: _Reader, plan: dict, setting: dict) -> np.ndarray:
    recall = read.with_text(read.array("bsa_recall"))
    if setting["min_blocks"] > 1:
        recall = np.maximum(recall, _recall_of_tiles(read, setting["min_blocks"], "pooled")[..., None])
    return interpolate(read.profile["kappa"].values, recall, setting["kv_keep"])


def _vmoba(read: _Reader, plan: dict, setting: dict) -> np.ndarray:
    group = f"vmoba/{setting['partition']}"
    if setting["select"] == "topk":
        return read.with_text(read.array(f"{group}/recall_topk")[..., setting["top_k"] - 1])
    pools = [str(name) for name in read.profile["pool"].values]
    recall = read.array(f"{group}/recall_tau")[..., pools.index(setting["pool"]), :]
    return interpolate(read.profile["tau"].values, read.with_text(recall), setting["threshold"])


_CURVES: dict[str, Callable[[_Reader, dict, dict], np.ndarray]] = {"vsa": _vsa, "bsa": _bsa, "vmoba": _vmoba}
