"""Numbers of the figures of mass curves, against hand-worked cases, plain loops and the raw file."""
from __future__ import annotations

import h5py
import numpy as np
import pytest
from in_memory import heads, made_profile

from sparsescope.attention import spread_rows, spread_tile_rows
from sparsescope.errors import UsageError
from sparsescope.figures import FIGURES
from sparsescope.figures.concentration import first_of_share, sorted_scores
from sparsescope.figures.coverage_methods import at_densities, method_curves
from sparsescope.figures.curve_panels import Place
from sparsescope.figures.density import needed_fractions
from sparsescope.figures.key_fraction import fraction_of_keys
from sparsescope.figures.selector_gap import nearest_fraction
from sparsescope.figures.tile_size import captured_by_shapes, mass_of_order, stored_by_tiles
from sparsescope.grid import TileGrid
from sparsescope.profile import Captured, Site, captured, kept_calls
from sparsescope.render import RenderOptions, draw


@pytest.fixture(scope="module")
def stats(data):
    with h5py.File(data / "run.h5") as file:
        names = ("coverage_row", "coverage_tile", "coverage_pooled", "bsa_density", "bsa_recall")
        yield {name: file[f"stats/{name}"][:].astype(np.float64) for name in names}


def table_of(name, sources, **options):
    return draw(FIGURES[name], sources, RenderOptions(**options))[1].table


def test_coverage_draws_the_mean_over_prompts_of_the_stored_curves(sources, stats):
    table = table_of("coverage", sources, site={"step": 3, "layer": 5, "head": 2})
    found = table[(table["head"] == 2) & (table["curve"] == "coverage_pooled")]
    stored = stats["coverage_pooled"][:, 0, 3, 5, 2]
    np.testing.assert_allclose(found["mass"], stored.mean(axis=0), rtol=1e-6)
    assert (found["low"] >= stored.min(axis=0) - 1e-9).all()
    assert (found["high"] <= stored.max(axis=0) + 1e-9).all()
    diffuse = stats["coverage_tile"][0, 0, 3, 5, :, 7].argmin()  # f = 1/4 of the first prompt
    assert set(table["head"]) == {2, diffuse}


def test_panels_show_heads_layers_and_steps(sources, stats):
    pooled = stats["coverage_pooled"].mean(axis=0)  # [branch, step, layer, head, f]
    site = {"step": 3, "layer": 5, "head": 2}
    cases = {"coverage-heads": ("head", pooled[0, 3, 5]), "coverage-steps": ("step", pooled[0, :, 5, 2]),
             "coverage-layers": ("layer", pooled[0, 3].mean(axis=1))}
    for name, (axis, expected) in cases.items():
        table = table_of(name, sources, site=site)
        for index, curve in enumerate(expected):
            found = table[(table[axis] == index) & (table["curve"] == "coverage_pooled")]["mass"]
            np.testing.assert_allclose(found, curve, rtol=1e-6)


def test_coverage_all_has_the_quantiles_over_heads(sources, stats):
    table = table_of("coverage-all", sources, site={"step": 3, "layer": 5})
    at = table[(table["curve"] == "coverage_tile") & (table["f"] == 0.25)].set_index("head")["mass"]
    low, middle, high = np.sort(stats["coverage_tile"][:, 0, 3, 5, :, 7].mean(axis=0))
    assert at["median head"] == pytest.approx(middle, rel=1e-6)
    assert at["5 % of heads"] == pytest.approx(low + 0.1 * (middle - low), rel=1e-6)
    assert at["95 % of heads"] == pytest.approx(high - 0.1 * (high - middle), rel=1e-6)


def test_curves_are_read_at_densities():
    found = at_densities(np.array([[0.25, 0.5, 1.0]]), np.array([[0.4, 0.6, 1.0]]),
                         np.array([0.1, 0.25, 0.375, 1]))
    np.testing.assert_allclose(found, [[np.nan, 0.4, 0.5, 1.0]])


def test_vmoba_takes_the_partition_that_is_best_at_each_density():
    k = {"density": [0.25, 0.5, 1.0], "a": [0.5, 0.6, 1.0], "b": [0.3, 0.9, 1.0]}
    values = {"coverage_tile": (("f",), heads([0.5, 0.7, 1])),
              "coverage_pooled": (("f",), heads([0.4, 0.7, 1])),
              "bsa_density": (("kappa",), heads([0.2, 0.5, 1])),
              "bsa_recall": (("kappa",), heads([0.3, 0.5, 1]))}
    for name, recall in (("temporal:2", k["a"]), ("spatial:2,2", k["b"])):
        values[f"vmoba/{name}/density_topk"] = ((f"{name}/k",), heads(k["density"]))
        values[f"vmoba/{name}/recall_topk"] = ((f"{name}/k",), heads(recall))
    profile = made_profile(values, f=np.array([0.125, 0.5, 1.0]), partitions=("temporal:2", "spatial:2,2"))
    found = method_curves(profile, Place(Site(), ""), np.array([0.125, 0.25, 0.5, 0.75, 1]))
    np.testing.assert_allclose(found["vmoba"], [[np.nan, 0.5, 0.9, 0.95, 1]])
    np.testing.assert_allclose(found["bsa"], [[np.nan, 0.3 + 0.2 / 6, 0.5, 0.75, 1]])
    # f = 1/8 of four tiles keeps one of them: density 1/4.
    np.testing.assert_allclose(found["coverage_pooled"], [[np.nan, 0.4, 0.7, 0.85, 1]])


def naive_fraction(curve: np.ndarray, fractions: np.ndarray, target: float) -> float:
    if curve[0] >= target:
        return fractions[0]
    for i in range(1, len(curve)):
        if curve[i] >= target:
            part = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
            return np.exp(np.log(fractions[i - 1]) + part * np.log(fractions[i] / fractions[i - 1]))
    return fractions[-1]


def test_density_grids_read_the_mean_curve(sources, stats):
    fractions = sources.profile["f"].values
    needed = needed_fractions(sources.profile, 0.8, branch=1)
    curve = stats["coverage_tile"][:, 1].mean(axis=0)
    for step, layer, head in ((0, 0, 0), (1, 2, 1), (3, 6, 1)):
        assert needed[step, layer, head] == pytest.approx(naive_fraction(curve[step, layer, head],
                                                                         fractions, 0.8))
    grid = table_of("density-grid", sources, recall=0.8)
    middle = grid[(grid["quantile"] == "median") & (grid["step"] == 1) & (grid["layer"] == 2)]["kept_fraction"]
    of_heads = sorted(naive_fraction(stats["coverage_tile"][:, 0, 1, 2, head].mean(axis=0), fractions, 0.8)
                      for head in range(3))
    assert middle.item() == pytest.approx(of_heads[1])
    by_head = table_of("density-heads", sources, recall=0.8)
    of_steps = [naive_fraction(stats["coverage_tile"][:, 0, step, 2, 1].mean(axis=0), fractions, 0.8)
                for step in range(sources.profile.sizes["step"])]
    found = by_head[(by_head["layer"] == 2) & (by_head["head"] == 1)]["kept_fraction"].item()
    assert found == pytest.approx(np.mean(of_steps))


def test_kept_text_counts_towards_the_recall():
    profile = made_profile({"coverage_tile": (("f",), heads([0.2, 0.4, 0.6])),
                            "prefix_mass": ((), heads(0.4))},
                           f=np.array([0.25, 0.5, 1.0]))
    assert needed_fractions(profile, 0.8, 0).item() == pytest.approx(0.5)


def test_selector_gap_splits_what_is_lost(sources, stats):
    table = table_of("selector-gap", sources, fraction=0.125)
    at = {name: stats[name][:, 0, sources.profile.sizes["step"] // 2, 3, :, 5]
          for name in ("coverage_row", "coverage_tile", "coverage_pooled")}
    found = table[(table["layer"] == 3) & (table["head"] == "all")].set_index("curve")["mass"]
    assert found["sharing"] == pytest.approx((at["coverage_row"] - at["coverage_tile"]).mean(), rel=1e-5)
    assert found["ranking"] == pytest.approx((at["coverage_tile"] - at["coverage_pooled"]).mean(), rel=1e-5)
    assert found["both"] == pytest.approx(found["sharing"] + found["ranking"])
    with pytest.raises(UsageError, match="0.3 was not measured"):
        nearest_fraction(sources.profile, 0.3)


def keys_of(probabilities: list[float], prefix: int = 0) -> Captured:
    """A head of one channel whose every row has these probabilities."""
    k = np.log(np.array(probabilities, dtype=np.float32))[:, None]
    return Captured(np.ones_like(k), k, k, prefix, 0, 1.0)


def test_key_fraction_counts_the_largest_keys():
    rows = np.arange(3)
    assert fraction_of_keys(keys_of([0.3, 0.05, 0.5, 0.15]), 0.75, rows) == pytest.approx(2 / 4)
    assert fraction_of_keys(keys_of([0.3, 0.05, 0.5, 0.15]), 0.85, rows) == pytest.approx(3 / 4)
    assert fraction_of_keys(keys_of([0.25] * 4), 0.6, rows) == pytest.approx(3 / 4)
    assert fraction_of_keys(keys_of([0.9, 0.05, 0.03, 0.02], prefix=1), 0.85,
                            rows[:2]) == pytest.approx(1 / 4)


def test_concentration_marks_where_the_shares_begin():
    values = sorted_scores(np.array([[3.0, 1.0], [2.0, 5.0]]))
    np.testing.assert_allclose(values, [0, 0.25, 0.5, 1])
    assert first_of_share(values, 0.5) == 3  # 1 of 1.75
    assert first_of_share(values, 0.6) == 2
    assert first_of_share(values, 1.0) == 1  # the least score adds nothing
    assert first_of_share(sorted_scores(np.ones((2, 2))), 0.5) == 3


def test_mass_at_equal_pairs_takes_a_part_of_the_last_tile():
    mass, sizes = np.array([0.3, 0.5, 0.2]), np.array([4, 4, 2])
    fixed, equal = mass_of_order(mass, sizes, np.array([1, 0, 2]), 0.5)
    assert fixed == pytest.approx(0.8)  # two of three tiles
    assert equal == pytest.approx(0.5 + 0.3 * (0.5 - 0.4) / 0.4)


def test_tile_sizes_agree_with_plain_loops():
    grid, shapes, fraction = (3, 5, 8), ((1, 2, 4), (2, 2, 4), (2, 4, 8)), 0.3  # ragged along t and h
    tokens = int(np.prod(grid))
    q, k = (np.random.default_rng(seed).standard_normal((tokens, 4)).astype(np.float32) for seed in (1, 2))
    found = captured_by_shapes(Captured(q, k, k, 0, 0, 2.0), grid, shapes, fraction, most_cubes=100)
    scores = 2.0 * q.astype(np.float64) @ k.T.astype(np.float64)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    for shape in shapes:
        tiles = TileGrid(grid, shape)
        of, kept = tiles.tile_of_token(), int(np.ceil(fraction * tiles.tiles))
        best, pooled = 0.0, 0.0
        for i in range(tiles.tiles):
            mass = np.array([p[of == i][:, of == j].sum() for j in range(tiles.tiles)]) / tokens
            z = [q[of == i].mean(axis=0) @ k[of == j].mean(axis=0) for j in range(tiles.tiles)]
            best += np.sort(mass)[::-1][:kept].sum()
            pooled += mass[np.argsort(z)[::-1][:kept]].sum()
        by_curve = {row["curve"]: row["fixed_f"] for row in found
                    if row["tile_shape"] == "x".join(map(str, shape))}
        assert by_curve["coverage_tile"] == pytest.approx(best, rel=1e-6)
        assert by_curve["coverage_pooled"] == pytest.approx(pooled, rel=1e-6)


def test_tile_sizes_from_profiles_read_their_curves():
    def profile(tile, curve):
        return made_profile({name: (("f",), heads(curve)) for name in ("coverage_tile", "coverage_pooled")},
                            grid=(1, 1, 8), tile=tile, f=np.array([0.2, 0.5, 1.0]))

    rows = stored_by_tiles([profile((1, 1, 4), [0.6, 0.6, 1]), profile((1, 1, 1), [0.5, 0.8, 1])], Site(),
                           0.25)
    small, large = (row for row in rows if row["curve"] == "coverage_tile")
    assert (small["tile_shape"], large["tile_shape"]) == ("1x1x1", "1x1x4")
    assert small["equal_pairs"] == pytest.approx(0.5)  # f = 0.2 keeps two of eight: a quarter
    assert large["equal_pairs"] == pytest.approx(0.3)  # half of one of two tiles


def test_sampled_rows_are_spread_over_runs_and_columns():
    rows = spread_rows(2048, 64)
    np.testing.assert_array_equal(rows // 32, np.arange(64))
    assert len(np.unique(rows % 16)) == 16
    np.testing.assert_array_equal(spread_rows(5, 9), np.arange(5))
    tiles = TileGrid((2, 4, 4), (1, 2, 2))
    some = spread_tile_rows(tiles, 3)
    chosen, counts = np.unique(tiles.tile_of_token()[some], return_counts=True)
    assert len(chosen) == 3 and (counts == 4).all()


def test_masses_from_raw_q_k_v_are_those_of_the_profile(sources):
    profile = sources.profile
    site = kept_calls(profile, "qkv")[0].with_(head=1)
    stored = profile.isel(site.index).sel(f=0.25)
    for row in captured_by_shapes(captured(profile, site), (8, 16, 16), ((4, 4, 4),), 0.25, most_cubes=32):
        assert row["fixed_f"] == pytest.approx(float(stored[row["curve"]]), rel=1e-5)
        assert row["equal_pairs"] == pytest.approx(row["fixed_f"])  # 8 of 32 equal tiles are a quarter
