"""Agreement of tile sets against naive loops, by hand, and at chance."""
from __future__ import annotations

import h5py
import numpy as np
import pytest
from made_profile import FRACTIONS, make_profile

from sparsescope import figures
from sparsescope.figures.ideal_sets import row_agreement
from sparsescope.figures.reuse_decay import by_distance
from sparsescope.figures.style import new_figure
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site, kept_calls
from sparsescope.statistics import chance_jaccard, kept_tiles
from sparsescope.tile_sets import SetAgreement, heaviest_others, jaccard, set_agreement

RAGGED = TileGrid((4, 5, 3), (2, 2, 2))  # 2 x 3 x 2 tiles of 8, 4 and 2 tokens


def random_mass(rng, *shape: int) -> np.ndarray:
    mass = rng.random(shape) ** 4
    return mass / mass.sum(axis=-1, keepdims=True)


def made(path, sizes, maps, tiles=RAGGED):
    shape = (*[sizes[axis] for axis in ("prompt", "branch", "step", "layer", "head")], len(FRACTIONS))
    coverage = np.broadcast_to(FRACTIONS, shape).copy()
    return make_profile(path, tiles, sizes, {"coverage_tile": (("f",), coverage)}, maps=maps)


def naive(first: np.ndarray, second: np.ndarray, kept: int, sizes: np.ndarray) -> tuple[float, float]:
    """Jaccard without own tiles, and what the first map's set holds of the second's mass."""
    agreement = recall = 0.0
    tiles = len(sizes)
    for row in range(tiles):
        def best(mass, without):
            order = sorted((tile for tile in range(tiles) if tile != without),
                           key=lambda tile: (-mass[row][tile], tile))
            return set(order[:kept])

        a, b = best(first, row), best(second, row)
        agreement += sizes[row] * len(a & b) / len(a | b)
        recall += sizes[row] * sum(float(second[row][tile]) for tile in best(first, None))
    return agreement / sizes.sum(), recall / sizes.sum()


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    return {f"p{p}_b0_s{s}_l{layer}": random_mass(rng, 2, RAGGED.tiles, RAGGED.tiles).astype(np.float32)
            for p in range(2) for s in (0, 2, 3) for layer in (0, 2)}


@pytest.fixture(scope="module")
def small(tmp_path_factory, maps):
    sizes = {"prompt": 2, "branch": 1, "step": 4, "layer": 3, "head": 2}
    return made(tmp_path_factory.mktemp("sets") / "run.h5", sizes, maps)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.6])
def test_steps_equal_naive_sets(small, maps, fraction):
    found = set_agreement(small, "step", kept_calls(small, "maps"), fraction)
    kept = int(np.ceil(fraction * 12))
    assert found.along == [0, 2, 3] and found.kept == kept and len(found.places) == 2 * 2 * 2
    assert found.chance == pytest.approx((kept / 11) / (2 - kept / 11))
    for place, agreement, recall in zip(found.places, found.jaccard, found.recall):
        for i, a in enumerate(found.along):
            for j, b in enumerate(found.along):
                first, second = (maps[place.with_(step=step).call][place.head] for step in (a, b))
                expected = naive(first, second, kept, RAGGED.tile_sizes())
                assert (agreement[i, j], recall[i, j]) == pytest.approx(expected, rel=1e-6)


def test_prompts_are_compared_at_one_step(small, maps):
    calls = [call for call in kept_calls(small, "maps") if call.step == 2]
    found = set_agreement(small, "prompt", calls, 0.25)
    assert found.along == [0, 1] and {place.step for place in found.places} == {2}
    place = found.places[-1]
    first, second = (maps[place.with_(prompt=prompt).call][place.head] for prompt in (0, 1))
    assert found.jaccard[-1, 0, 1] == pytest.approx(naive(first, second, 3, RAGGED.tile_sizes())[0])


def test_missing_maps_and_heads_are_unknown(tmp_path, maps):
    partial = dict(maps)
    del partial["p1_b0_s2_l0"]
    partial["p0_b0_s3_l2"] = partial["p0_b0_s3_l2"].copy()
    partial["p0_b0_s3_l2"][1] = np.nan
    profile = made(tmp_path / "run.h5", {"prompt": 2, "branch": 1, "step": 4, "layer": 3, "head": 2}, partial)
    found = set_agreement(profile, "step", kept_calls(profile, "maps"), 0.25)
    for place, agreement in zip(found.places, found.jaccard):
        lacks = [False, (place.prompt, place.layer) == (1, 0),
                 (place.prompt, place.layer, place.head) == (0, 2, 1)]
        assert np.isnan(agreement[1]).all() == lacks[1] and np.isnan(agreement[2]).all() == lacks[2]
        known = ~np.array(lacks)
        assert np.isfinite(agreement[np.ix_(known, known)]).all()


def test_own_tile_is_left_out():
    mass = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    assert heaviest_others(mass, np.array([0, 2]), 1).tolist() == [[False, True, False], [False, True, False]]


def test_jaccard_by_hand():
    a, b = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert jaccard(a, b) == pytest.approx(1 / 3)
    assert jaccard(a, a) == 1 and jaccard(a, ~a) == 0


def test_independent_sets_agree_at_chance(tmp_path):
    tiles = TileGrid((8, 8, 8), (2, 2, 2))  # 64 tiles
    rng = np.random.default_rng(3)
    maps = {f"p0_b0_s{s}_l0": random_mass(rng, 1, 64, 64) for s in range(6)}
    profile = made(tmp_path / "run.h5", {"prompt": 1, "branch": 1, "step": 6, "layer": 1, "head": 1}, maps,
                   tiles)
    found = set_agreement(profile, "step", kept_calls(profile, "maps"), 0.25)
    apart = found.jaccard[0][~np.eye(6, dtype=bool)]
    # 15 pairs of 64 rows of sets of 16: a mean's standard error is about 0.002.
    assert apart.mean() == pytest.approx(found.chance, abs=0.01)
    assert np.diagonal(found.jaccard[0]) == pytest.approx(1)


def test_distances_average_the_pairs_of_a_prompt():
    values = np.array([[[1.0, 0.5, 0.2], [9, 1.0, 0.8], [9, 9, 1.0]],
                       [[1.0, 0.1, np.nan], [9, 1.0, np.nan], [9, 9, np.nan]]])
    places = [Site(prompt=0), Site(prompt=3)]
    found = SetAgreement([0, 2, 4], places, values, values, 1, 4, 4, 1)
    distances, means = by_distance(found, values)
    assert list(distances) == [0, 2, 4]
    assert means == pytest.approx(np.array([[1.0, (0.5 + 0.8) / 2, 0.2], [1.0, 0.1, np.nan]]), nan_ok=True)


def test_rows_against_their_tile_equal_naive_sets():
    rng = np.random.default_rng(4)
    tokens = RAGGED.tokens + 2
    q, k, v = rng.standard_normal((3, tokens, 4)).astype(np.float32)
    head = Captured(q * 3, k, v, prefix=0, suffix=2, scale=0.5)
    counts = np.array([1, 3, 12])
    found = row_agreement(head, RAGGED, np.arange(RAGGED.tiles), counts)
    tile_of = RAGGED.tile_of_token()
    mass = np.zeros((RAGGED.tokens, RAGGED.tiles))
    for row in range(RAGGED.tokens):
        weights = np.exp(head.q[row].astype(float) @ head.k.T.astype(float) * 0.5)
        for key in range(RAGGED.tokens):
            mass[row, tile_of[key]] += weights[key] / weights.sum()
    for kept, value in zip(counts, found):
        total = 0.0
        for row in range(RAGGED.tokens):
            shared = mass[tile_of == tile_of[row]].mean(axis=0)
            a, b = (set(np.argsort(-m, kind="stable")[:kept]) for m in (mass[row], shared))
            total += len(a & b) / len(a | b)
        assert value == pytest.approx(total / RAGGED.tokens)
    assert found[-1] == 1


def test_set_steps_draws_what_the_maps_hold(profile, data):
    table = figures.set_steps(new_figure(2, 2.7), profile, fraction=0.25).table
    matrix = table[table["curve"] == "matrix"].set_index(["a", "b"])
    tiles = tile_grid(profile)
    steps = sorted({call.step for call in kept_calls(profile, "maps")})
    pairs = []
    with h5py.File(data / "run.h5") as file:
        for call in kept_calls(profile, "maps"):
            if (call.branch, call.step) == (0, steps[0]):
                ends = steps[0], steps[-1]
                first, second = (file["maps"][call.with_(step=step).call][:] for step in ends)
                pairs += [naive(a, b, int(kept_tiles(0.25, tiles.tiles)), tiles.tile_sizes())[0]
                          for a, b in zip(first, second)]
    drawn = matrix.loc[(steps[0], steps[-1])]
    assert drawn["jaccard"] == pytest.approx(np.mean(pairs), rel=1e-6)
    chance = chance_jaccard(8, tiles.tiles - 1)
    assert drawn["chance"] == pytest.approx(chance)
    assert drawn["above_chance"] == pytest.approx((np.mean(pairs) - chance) / (1 - chance), rel=1e-6)
