"""What a plan keeps, against loops over its rules, the raw profile and the expectation that derive wrote."""
from __future__ import annotations

import itertools
import math

import h5py
import numpy as np
import pytest

from sparsescope.figures.plan import partition_names
from sparsescope.grid import TileGrid
from sparsescope.plans import DENSE, kept_density, kept_query_share, rule_indices, setting_at
from sparsescope.sources import read_json


def plan_of(method: str, rules: list[dict], dense: dict | None = None) -> dict:
    """4 steps, 3 layers, 2 heads on 2 x 2 x 2 tiles of 2 x 2 x 2 tokens."""
    return {"model": {"layers": 3, "heads": 2}, "steps": 4, "grid": [4, 4, 4], "tile": [2, 2, 2],
            "method": method,
            "dense": dense or {"steps": [], "layers": []}, "rules": rules}


def rule(steps, layers, heads, **setting) -> dict:
    return {"steps": steps, "layers": layers, "heads": heads, **setting}


LATER_OVERRIDES = plan_of("vsa", [
    rule([0, 3], [0, 2], [0, 1], top_k=2), rule([1, 2], [1, 1], [0, 1], top_k=4),
    rule([2, 3], [1, 2], [1, 1], top_k=8),
], {"steps": [0], "layers": [2]})


def test_later_rules_override_and_dense_wins():
    kept = kept_density(LATER_OVERRIDES)
    assert kept[0].tolist() == [[1, 1]] * 3  # dense step
    assert kept[:, 2].tolist() == [[1, 1]] * 4  # dense layer
    assert kept[1:, 0].tolist() == [[0.25, 0.25]] * 3
    assert kept[1:, 1].tolist() == [[0.5, 0.5], [0.5, 1.0], [0.25, 1.0]]


def test_one_site_and_all_sites_agree():
    indices = rule_indices(LATER_OVERRIDES)
    for step, layer, head in np.ndindex(4, 3, 2):
        found = setting_at(LATER_OVERRIDES, step, layer, head)
        index = indices[step, layer, head]
        assert found is (None if index == DENSE else LATER_OVERRIDES["rules"][index])


def test_sites_without_a_rule_are_dense():
    plan = plan_of("vsa", [rule([1, 1], [0, 0], [0, 0], top_k=1)])
    kept = kept_density(plan)
    assert kept[1, 0, 0] == 1 / 8 and kept.sum() == 23 + 1 / 8


@pytest.mark.parametrize("window", [[2, 2, 2], [1, 2, 3], "none"])
@pytest.mark.parametrize("keep", [0.5, 0.625, 1.0])
def test_query_quota_rounds_up_in_clipped_windows(window, keep):
    tiles = TileGrid((5, 6, 7), (4, 4, 3))
    kept = 0
    for tile in itertools.product(*(range(0, n, b) for n, b in zip(tiles.grid, tiles.tile))):
        extents = [min(b, n - first) for first, n, b in zip(tile, tiles.grid, tiles.tile)]
        sizes = tiles.tile if window == "none" else window
        for first in itertools.product(*(range(0, extent, size) for extent, size in zip(extents, sizes))):
            rows = math.prod(min(size, extent - at) for at, extent, size in zip(first, extents, sizes))
            kept += math.ceil(rows * keep - 1e-9)
    assert kept_query_share(tiles, keep, window) == pytest.approx(kept / (5 * 6 * 7), rel=1e-12)


def test_derived_plans_keep_what_they_expect(profile, source_files):
    """derive read the same curves in C++."""
    for path in source_files.plans:
        plan = read_json(path, "plan")
        kept = kept_density(plan, profile)
        assert kept.mean() == pytest.approx(plan["expected"]["density"]["mean"], rel=1e-6), path


def test_bsa_reads_the_curve_of_its_own_site(profile, source_files):
    plan = {"model": {"layers": 8, "heads": 3}, "steps": profile.sizes["step"],
            "grid": [8, 16, 16], "tile": [4, 4, 4], "method": "bsa",
            "dense": {"steps": [], "layers": []},
            "rules": [rule([2, 2], [5, 5], [1, 1], query_keep=0.5, window=[2, 2, 2], kv_keep=0.3,
                           min_blocks=1),
                      rule([3, 3], [5, 5], [1, 1], query_keep=1.0, window="none", kv_keep=1 / 64,
                           min_blocks=16)]}
    with h5py.File(source_files.profile) as file:
        curves = file["stats/bsa_density"][:, :, :, 5, 1].mean(axis=(0, 1), dtype=np.float64)  # [step, kappa]
        at_quarter, at_three_eighths = curves[2, 7], curves[2, 8]
    kept = kept_density(plan, profile)
    share = at_quarter + (0.3 - 0.25) / 0.125 * (at_three_eighths - at_quarter)
    assert kept[2, 5, 1] == pytest.approx(0.5 * share, rel=1e-6)
    assert kept[3, 5, 1] == pytest.approx(16 / 32)  # raised to the blocks that every list holds
    assert np.delete(kept.ravel(), [np.ravel_multi_index((s, 5, 1), kept.shape) for s in (2, 3)]).min() == 1


def test_vmoba_is_unknown_without_its_curves():
    plan = plan_of("vmoba", [rule([0, 0], [0, 0], [0, 0], partition="temporal:2", select="topk", top_k=1,
                                  pool="query_head")])
    kept = kept_density(plan)
    assert np.isnan(kept[0, 0, 0]) and np.isnan(kept).sum() == 1


def test_partition_names_of_layers():
    def on(layer, partition, heads=(0, 1)):
        return rule([0, 3], [layer, layer], list(heads), partition=partition, select="topk", top_k=1,
                    pool="query_head")

    plan = plan_of("vmoba", [on(0, "temporal:1"), on(1, "temporal:1"), on(1, "spatial:2,2", (1, 1))])
    assert partition_names(plan) == ["temporal:1", "several", "dense"]
    assert partition_names(LATER_OVERRIDES) == []
