"""What the report's page holds, against naive fp64 values from the files themselves."""
from __future__ import annotations

import base64
import json

import h5py
import numpy as np
import pytest
from report_profiles import F, no_program, rising_curves, write_profile

from sparsescope.grid import TileGrid
from sparsescope.profile import open_profile, recorded
from sparsescope.report import fields
from sparsescope.report.budget import (LEVELS, Extents, Level, Size, bytes_at, choose_levels, left_out,
                                       spread_steps)
from sparsescope.report.data import MOST_BYTES, report_data
from sparsescope.report.encode import LIFT_EXPONENTS, LIFT_STEPS, pack
from sparsescope.report.maps import choose_calls, group_of_tile, pooled_lift
from sparsescope.sources import SourceFiles, open_sources
from sparsescope.statistics import fraction_for, prompt_band, site_band

TYPES = {"f4": "<f4", "u2": "<u2", "u1": "u1"}


def unpack(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), TYPES[packed["type"]]).reshape(packed["shape"])


@pytest.fixture(scope="module")
def content(sources):
    return report_data(sources)


@pytest.fixture(scope="module")
def raw(data):
    """Statistics as they stand in the file: raw("entropy") -> fp64 array."""
    with h5py.File(data / "run.h5", "r") as file:
        yield lambda name: file[f"stats/{name}"][:].astype(np.float64)


@pytest.mark.parametrize("name", [
    "coverage_tile", "coverage_pooled", "entropy", "mass_dt", "mass_dw", "frame_mass", "key_mass",
    "bsa_recall", "error_pooled"
])
def test_means_are_those_of_the_file(content, raw, name):
    entry = content["fields"][name]
    values = raw(name)[:, entry["branches"]][:, :, entry["steps"]]
    np.testing.assert_allclose(unpack(entry["mean"]), values.mean(axis=0), rtol=1e-6, atol=1e-9)
    if "prompts" in entry:
        np.testing.assert_array_equal(unpack(entry["prompts"]), values.astype(np.float32))


def test_vmoba_curves_are_those_of_the_file(content, data):
    with h5py.File(data / "run.h5", "r") as file:
        partition = sorted(file["vmoba"])[0]
        for name, place in (("recall_topk", ...), ("density_tau", (..., 0, slice(None)))):
            values = file[f"vmoba/{partition}/{name}"][:].astype(np.float64)[place]
            entry = content["fields"][f"vmoba/{partition}/{name}"]
            np.testing.assert_allclose(unpack(entry["mean"]), values.mean(axis=0), rtol=1e-6)


def test_tiles_needed_are_each_prompts_own_then_averaged(content, raw):
    entry = content["fields"]["needed_pooled"]
    curves = raw("coverage_pooled")
    for place in [(0, 1, 2, 0), (1, 3, 0, 2), (0, 0, 7, 1)]:
        for number, target in enumerate(content["axes"]["targets"]):
            own = []
            for prompt in range(len(curves)):
                curve = curves[(prompt, *place)]
                after = next(i for i in range(len(F)) if curve[i] >= target)
                if after == 0:
                    own.append(F[0])
                    continue
                share = (target - curve[after - 1]) / (curve[after] - curve[after - 1])
                own.append(F[after - 1] * (F[after] / F[after - 1]) ** share)
            assert unpack(entry["mean"])[(*place, number)] == pytest.approx(np.mean(own), rel=1e-5)


def test_derived_numbers(content, raw):
    mean = {name: unpack(content["fields"][name]["mean"]) for name in
            ("query_cosine_mean", "own_frame", "sink_share", "entropy_share", "skewness", "error_quarter")}
    place = (0, 1, 2, 1)
    prompts = range(raw("entropy").shape[0])
    counts, frames, keys = raw("query_cosine"), raw("frame_mass"), raw("key_mass")
    cosine = [
        sum(c * ((b + 0.5) / 32 - 1)
            for b, c in enumerate(counts[(p, *place)])) / counts[(p, *place)].sum() for p in prompts
    ]
    own = [
        sum(frames[(p, *place)][a, a] for a in range(frames.shape[-1])) / frames.shape[-1] for p in prompts
    ]
    sink = [max(keys[(p, *place)]) for p in prompts]  # 1 % of 32 tiles is one tile
    assert mean["query_cosine_mean"][place] == pytest.approx(np.mean(cosine), rel=1e-5)
    assert mean["own_frame"][place] == pytest.approx(np.mean(own), rel=1e-5)
    assert mean["sink_share"][place] == pytest.approx(np.mean(sink), rel=1e-5)
    assert mean["entropy_share"][place] == pytest.approx(
        np.mean(raw("entropy")[(slice(None), *place)]) / np.log(2048))
    assert mean["skewness"][place] == pytest.approx(np.mean(raw("score_moments")[(slice(None), *place, 2)]),
                                                    rel=1e-5)
    quarter = list(F).index(0.25)
    assert mean["error_quarter"][place] == pytest.approx(
        np.mean(raw("error_pooled")[(slice(None), *place, quarter)]))


def test_quantiles_over_heads(content, raw):
    packed = unpack(content["fields"]["entropy/heads"]["mean"])
    heads = np.quantile(raw("entropy"), [0.05, 0.5, 0.95], axis=-1)  # of each prompt, then the mean
    np.testing.assert_allclose(packed, np.moveaxis(heads, 0, -1).mean(axis=0), rtol=1e-6)


def test_sensitivity_is_a_mean_over_the_prompts_that_have_it(content, raw):
    entry = content["fields"]["sensitivity"]
    values = raw("sensitivity")
    known = ~np.isnan(values)
    assert not known.all()
    expected = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    expected[~known.any(axis=0)] = np.nan
    np.testing.assert_allclose(unpack(entry["mean"]), expected, rtol=1e-6)


def test_site_band_is_the_prompt_band_of_each_place():
    values = np.random.default_rng(4).normal(size=(5, 3, 4))
    values[2, 1] = np.nan
    values[:, 2, 0] = np.nan
    band = site_band(values)
    for place in np.ndindex(3, 4):
        own = prompt_band(values[(slice(None), *place)])
        for found, expected in zip((band.mean, band.low, band.high), (own.mean, own.low, own.high)):
            np.testing.assert_allclose(found[place], expected, rtol=1e-12)


def test_intervals_are_the_percentiles_of_resampled_means():
    values = np.random.default_rng(5).normal(size=(6, 40))
    draws = np.random.default_rng(0).integers(6, size=(1000, 6))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5], axis=0)
    band = prompt_band(values)
    np.testing.assert_allclose([band.low, band.high], [low, high], rtol=1e-12)


def test_fraction_for_many_curves_is_the_interpolation_of_each():
    curves = rising_curves((200,), seed=6)
    for target in (0.01, 0.5, 0.9, 1.0):
        expected = [np.exp(np.interp(target, curve, np.log(F))) for curve in curves]
        np.testing.assert_allclose(fraction_for(curves, F, target), expected, rtol=1e-12)
    flat = np.array([0.2, 0.2, 0.5, 0.5, 1.0])  # the smallest fraction that reaches it
    assert fraction_for(flat, np.array([0.1, 0.2, 0.3, 0.4, 1]), 0.5) == pytest.approx(0.3)


def test_maps_are_those_of_the_file(content, data):
    name, packed = next(iter(content["maps"]["calls"].items()))
    with h5py.File(data / "run.h5", "r") as file:
        mass = file[f"maps/{name}"][:].astype(np.float64)
    low, high = LIFT_EXPONENTS
    lift = 10 ** (low + unpack(packed) / LIFT_STEPS * (high - low))
    expected = np.maximum(mass * 32,
                          1e-4)  # 32 tiles of one size; smaller lifts stand at the end of the scale
    np.testing.assert_allclose(lift, expected, rtol=2e-4)


def test_pooled_maps_keep_the_mass():
    tiles = TileGrid((5, 6, 7), (2, 4, 4))
    sizes = tiles.tile_sizes()
    mass = np.random.default_rng(7).random((tiles.tiles, tiles.tiles))
    mass /= mass.sum(axis=1, keepdims=True)
    groups = np.arange(tiles.tiles) // 5
    found = pooled_lift(mass, sizes, groups)
    for a in range(groups[-1] + 1):
        for b in range(groups[-1] + 1):
            rows, keys = np.flatnonzero(groups == a), np.flatnonzero(groups == b)
            total = sum(sizes[i] * mass[i, j] for i in rows for j in keys) / sizes[rows].sum()
            assert found[a, b] == pytest.approx(total * sizes.sum() / sizes[keys].sum())
    assert list(group_of_tile(TileGrid((4, 40, 40), (2, 4, 4)))[-3:]) == [65, 66,
                                                                          66]  # 200 tiles in runs of 3


def test_the_first_prompts_maps_come_first(profile):
    from sparsescope.profile import kept_calls

    calls = kept_calls(profile, "maps")
    chosen = choose_calls(calls, 5)
    assert len(chosen) == 5 and {(one.prompt, one.branch) for one in chosen} == {(0, 0)}
    assert chosen[0] == calls[0] and choose_calls(calls, len(calls)) == calls and choose_calls(calls, 0) == []


def test_the_page_holds_tiny_wan_whole(content, profile):
    assert len(json.dumps(content)) < MOST_BYTES
    for name, entry in content["fields"].items():
        assert entry["steps"] == recorded(profile, "step") and entry["branches"] == [0, 1], name
    assert all("means over prompts" in note for note in content["left_out"])


def test_levels_fall_until_they_fit():
    extents = Extents(4, 2, 50, 40, 40)
    sizes = {"curve": Size(12, 2.0), "map": Size(441, 1.0, False), "number": Size(1, 4.0)}
    for budget in (10 ** 10, 10 ** 8, 10 ** 7, 10 ** 6, 10 ** 5, 0):
        levels = choose_levels(sizes, extents, budget)
        assert sum(bytes_at(levels[name], sizes[name], extents) for name in sizes) <= budget
    assert choose_levels(sizes, extents, 10 ** 10) == dict.fromkeys(sizes, LEVELS[0])
    assert choose_levels(sizes, extents, 0) == dict.fromkeys(sizes, None)
    small = choose_levels(sizes, extents, 10 ** 7)
    assert LEVELS.index(small["number"]) < LEVELS.index(small["curve"]) < LEVELS.index(small["map"])


def test_bytes_are_what_packing_takes():
    extents, size = Extents(3, 2, 5, 4, 6), Size(7, 1.0)
    packed = pack(np.zeros((2, 3, 4, 6, 7)))
    level = Level(3, prompts=False, interval=False)
    assert bytes_at(level, size, extents) == len(packed["data"])
    assert bytes_at(Level(3, prompts=False), size, extents) == 3 * len(packed["data"])
    assert bytes_at(Level(3), size, extents) == 6 * len(packed["data"])


def test_spread_steps_keep_the_ends():
    assert spread_steps(list(range(50)), 3) == [0, 24, 49] and spread_steps([0, 4, 7], 8) == [0, 4, 7]
    assert spread_steps(list(range(50)), 1) == [25] and spread_steps(list(range(50)), None) == list(range(50))


def test_what_is_left_out_is_said():
    levels = {"a": Level(), "b": Level(3, both_branches=False, prompts=False, interval=False), "c": None}
    notes = left_out(levels, list(range(50)), 2, 4)
    assert notes == [
        "b: only at steps 0, 24, 49; only the conditional branch; means over prompts, no intervals.",
        "c: left out."
    ]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """50 steps of 40 layers of 40 heads, and what the page keeps of it in 4 MB."""
    lead = (1, 1, 50, 40, 40)
    rng = np.random.default_rng(8)
    statistics = {"coverage_tile": rising_curves(lead, 1), "coverage_pooled": rising_curves(lead, 2),
                  "entropy": rng.random(lead), "frame_mass": rng.random((*lead, 4, 4), dtype=np.float32)}
    statistics["entropy"][:, :, 3] = np.nan  # a step that no site was recorded of
    for name in statistics:
        statistics[name][:, :, 3] = np.nan
    path = write_profile(tmp_path_factory.mktemp("large") / "large.h5", statistics)
    with no_program():
        return statistics, report_data(open_sources(SourceFiles(str(path))), most_bytes=4_000_000)


def test_a_large_profile_fits(large):
    _, content = large
    assert len(json.dumps(content)) <= 4_000_000
    assert any("frame_mass" in note and "only" in note for note in content["left_out"])


def test_what_is_kept_of_a_large_profile_is_right(large):
    statistics, content = large
    seen = set()
    for name in ("coverage_tile", "entropy", "frame_mass"):
        entry = content["fields"][name]
        values = statistics[name][0, :1][:, entry["steps"]].astype(np.float64)
        expected = values if entry["heads"] else values.mean(axis=3, keepdims=True)
        np.testing.assert_allclose(unpack(entry["mean"]), expected, rtol=1e-5)
        assert 3 not in entry["steps"]
        seen.add(len(entry["steps"]))
    assert 49 in seen or len(seen) > 1  # not everything was cut alike
    over = content["fields"]["entropy/heads"]
    assert over["steps"] == [step for step in range(50) if step != 3]
    np.testing.assert_allclose(unpack(over["mean"])[0, 10, 7], np.quantile(statistics["entropy"][0, 0, 11, 7],
                                                                          [0.05, 0.5, 0.95]), rtol=1e-5)


def test_heads_that_were_not_recorded_leave_the_others_alone(tmp_path):
    entropy = np.arange(2 * 1 * 2 * 2 * 4, dtype=float).reshape(2, 1, 2, 2, 4)
    entropy[:, :, 1, 0, 2] = np.nan
    profile = open_profile(write_profile(tmp_path / "small.h5", {"entropy": entropy}))
    field = next(one for one in fields.site_fields(profile) if one.name == "entropy/heads")
    found = unpack(fields.reduce_field(profile, field, LEVELS[0])["mean"])
    known = np.quantile(entropy[:, 0, 1, 0][:, [0, 1, 3]], [0.05, 0.5, 0.95], axis=1).mean(axis=1)
    np.testing.assert_allclose(found[0, 1, 0], known, rtol=1e-6)


def test_text_keys_are_always_kept(tmp_path):
    lead = (2, 1, 2, 2, 3)
    curves, text = 0.8 * rising_curves(lead, 3), np.full(lead, 0.2)
    path = write_profile(tmp_path / "text.h5", {"coverage_tile": curves, "prefix_mass": text})
    profile = open_profile(path)
    field = next(one for one in fields.site_fields(profile) if one.name == "needed_tile")
    found = unpack(fields.reduce_field(profile, field, LEVELS[0])["prompts"])
    expected = fraction_for(curves + 0.2, F, 0.9)
    np.testing.assert_allclose(found[..., fields.TARGETS.index(0.9)], expected, rtol=1e-5)
