"""Numbers of the figures of methods: against loops in fp64, hand values and the program's summary."""
from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure

from sparsescope import figures
from sparsescope.figures.skip_fit import fit_exponential, skip_gaps, skipped_share
from sparsescope.figures.vmoba_choice import recall_at, recall_table
from sparsescope.figures.vsa_k import least_measured
from sparsescope.partition_names import block_count, cycle_kind, nearest_count, published_cycle
from sparsescope.profile import Captured, Site, partitions


def test_blocks_of_partitions():
    grid = (21, 30, 52)  # 81 frames at 480 x 832
    assert [block_count(name, grid) for name in ("temporal:3", "spatial:5,13", "st:7,5,13")] == [7, 24, 72]
    assert [nearest_count(1 / 4, blocks) for blocks in (7, 24, 72, 1)] == [2, 6, 18, 1]
    assert [cycle_kind(layer) for layer in range(4)] == ["temporal", "spatial", "st", "temporal"]


def test_published_cycle_is_nearest_in_ratio():
    grid = (21, 30, 52)
    names = ["temporal:3", "temporal:7", "spatial:5,13", "spatial:10,13", "st:7,5,13", "st:7,10,13"]
    assert list(published_cycle(names, grid).values()) == ["temporal:3", "spatial:5,13", "st:7,5,13"]
    assert published_cycle(["temporal:3", "st:7,5,13"], grid) == {}


def test_vmoba_choice_agrees_with_the_summary(profile, sources):
    """summary --json averages both branches; under top-k their densities are equal."""
    found = next(entry for entry in sources.summary["findings"]["partitions"]
                 if (entry["rule"], entry["judge"], entry["density"]) == ("top-k", "recall", 0.25))
    names, layers = found["partitions"], [layer["layer"] for layer in found["layers"]]
    ours = np.mean([recall_table(profile, names, layers, 0.25, branch) for branch in (0, 1)], axis=0)
    theirs = np.array([[np.nan if value["mean"] is None else value["mean"] for value in layer["values"]]
                       for layer in found["layers"]])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    drawn = figures.vmoba_choice(Figure(layout="constrained"), profile, fraction=0.25)
    chosen = drawn.table[drawn.table["chosen"]].set_index("layer")["partition"]
    assert chosen.to_dict() == {layer["layer"]: layer["best"] for layer in found["layers"]}


def test_recall_at_a_density():
    density, recall = np.array([0.25, 0.5, 1.0]), np.array([0.4, 0.6, 1.0])
    assert recall_at(density, recall, 0.375) == pytest.approx(0.5)
    assert recall_at(density, recall, 0.25) == 0.4
    assert math.isnan(recall_at(density, recall, 0.2))


def test_vmoba_curves_show_the_file(profile, source_files):
    site = Site(branch=1, step=3, layer=6, head=2)
    drawn = figures.vmoba_curves(Figure(layout="constrained"), profile, site=site, pool="block")
    with h5py.File(source_files.profile) as file:
        for name in partitions(profile):
            group = file[f"vmoba/{name}"]
            for rule, suffix in (("threshold", "tau"), ("top-k", "topk")):
                rows = drawn.table[(drawn.table["partition"] == name) & (drawn.table["rule"] == rule)]
                for column in ("density", "recall"):
                    raw = group[f"{column}_{suffix}"][:, 1, 3, 6, 2]
                    raw = raw[:, 2] if suffix == "tau" else raw  # the pool "block"
                    np.testing.assert_allclose(rows[column], raw.astype(np.float64).mean(axis=0), rtol=1e-6)
                assert rows["shipped"].sum() == 1
    shipped = drawn.table[drawn.table["shipped"] & (drawn.table["rule"] == "threshold")]
    assert set(shipped["setting"].round(9)) == {0.25}


def test_vsa_k_counts_every_head_once(profile, source_files):
    drawn = figures.vsa_k(Figure().subplots(), profile, recall=0.8)
    with h5py.File(source_files.profile) as file:
        curves = file["stats/coverage_pooled"][:, 0].astype(np.float64).mean(axis=0)  # [step, layer, head, f]
        fractions = file["f"][:]
    needed = []
    for curve in curves.reshape(-1, len(fractions)):
        first = next((f for f, mass in zip(fractions, curve) if mass >= 0.8), fractions[-1])
        needed.append(min(max(math.ceil(first * 32), 1), 32))
    counted = {k: needed.count(k) for k in drawn.table["kept"]}
    assert dict(zip(drawn.table["kept"], drawn.table["heads"])) == counted
    assert drawn.table["heads"].sum() == len(needed) and drawn.table["share"].sum() == pytest.approx(1)


def test_a_curve_that_never_reaches_needs_everything():
    curves = np.array([[0.2, 0.5, 0.999], [0.2, 0.9, 1.0], [0.95, 0.97, 1.0]])
    assert least_measured(curves, 0.9).tolist() == [2, 1, 0]
    assert least_measured(curves[0], 0.9999) == 2


def small_head(prefix: int = 5) -> Captured:
    draw = np.random.default_rng(1)
    q, k, v = (draw.standard_normal((prefix + 150, 8)).astype(np.float32) * 3 for _ in range(3))
    return Captured(q, k, v, prefix, 0, 0.35)


def test_skip_gaps_against_loops():
    head = small_head()
    gaps = skip_gaps(head, most_blocks=100)
    queries = head.q[head.video].astype(np.float64)
    assert gaps.shape == (3, 2)  # 150 rows and 155 keys in blocks of 64, without the first key block
    for block in range(3):
        nearest = np.full(2, -np.inf)
        for row in queries[block * 64:(block + 1) * 64]:
            scores = head.k.astype(np.float64) @ row * head.scale
            running = scores[:64].max()
            for key_block in (1, 2):
                highest = scores[key_block * 64:(key_block + 1) * 64].max()
                running = max(running, highest)
                nearest[key_block - 1] = max(nearest[key_block - 1], highest - running)
        np.testing.assert_allclose(gaps[block], nearest, atol=1e-5)


def test_skipped_share_counts_the_first_block_as_kept():
    gaps = np.array([[-5.0, -1.0, 0.0], [-3.0, -0.5, 0.0]])
    shares = skipped_share(gaps, np.exp([-4.0, -2.0, -0.7, 0.0]))
    assert shares.tolist() == [1 / 8, 2 / 8, 3 / 8, 4 / 8]


def test_exponential_fit_finds_its_parameters():
    sparsity = np.linspace(0.05, 0.95, 19)
    scale = 3.0 * np.exp(7.0 * sparsity)
    scale[sparsity > 0.9] *= 50  # outside the fitted range: must not matter
    fit = fit_exponential(sparsity, np.log(scale))
    assert (np.exp(fit.log_a), fit.b, fit.r_squared) == pytest.approx((3.0, 7.0, 1.0))
    assert fit.points == 17
    assert fit_exponential(np.array([0.01, 0.5, 0.6, 0.95]), np.arange(4.0)) is None


def test_plan_budget_is_the_mean_of_its_cells(profile, sources):
    drawn = figures.plan(Figure(layout="constrained"), profile, plan=sources.plan)
    by = {panel: rows for panel, rows in drawn.table.groupby("panel")}
    for panel in ("head", "step"):
        means = by[panel].groupby("layer")["density"].mean()
        np.testing.assert_allclose(means, by["layer"].set_index("layer")["density"], rtol=1e-12)
