"""Numbers of the figures of structure, against hand-worked cases, plain loops and the raw file."""
from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr
from in_memory import heads, made_profile

from sparsescope.figures import FIGURES, style
from sparsescope.figures.captions import expert_text
from sparsescope.figures.distance import distance_shares, fit_decay
from sparsescope.figures.entropy import most_entropy
from sparsescope.figures.head_class import class_grid
from sparsescope.figures.sinks import heaviest_keys, place_of
from sparsescope.grid import TileGrid
from sparsescope.profile import Site, value_norms
from sparsescope.render import RenderOptions, draw


@pytest.fixture(scope="module")
def raw(data):
    with h5py.File(data / "run.h5") as file:
        yield file


def table_of(name, sources, **options):
    return draw(FIGURES[name], sources, RenderOptions(**options))[1].table


def test_shares_of_distances_count_the_pairs():
    for extent in (1, 4, 7):
        apart = np.abs(np.arange(extent)[:, None] - np.arange(extent))
        np.testing.assert_allclose(distance_shares(extent), np.bincount(apart.ravel()) / extent**2)


def test_decay_is_found_where_it_is_exact():
    density = np.exp(0.7 - np.arange(12) / 3.5)
    density[0] = 99  # the own place is not fitted
    fit = fit_decay(density * distance_shares(12))
    assert (fit.length, fit.intercept, fit.r2) == pytest.approx((3.5, 0.7, 1))
    rising = fit_decay(np.exp(np.arange(5) / 2) * distance_shares(5))
    assert np.isinf(rising.length) and rising.slope == pytest.approx(0.5)
    assert fit_decay(np.array([0.5, 0.5, 0, 0])) is None


def test_decay_is_weighted_by_keys_and_mass():
    mass = np.random.default_rng(3).random(9)
    fit = fit_decay(mass)
    d, y, w = np.arange(1, 9), np.log(mass / distance_shares(9))[1:], (mass * distance_shares(9))[1:]
    slope, intercept = np.polyfit(d, y, 1, w=np.sqrt(w))
    assert (fit.slope, fit.intercept) == (pytest.approx(slope), pytest.approx(intercept))
    average = np.average(y, weights=w)
    explained = 1 - np.sum(w * (y - intercept - slope * d) ** 2) / np.sum(w * (y - average) ** 2)
    assert fit.r2 == pytest.approx(explained)


def test_distance_draws_mass_and_density_of_the_file(sources, raw):
    table = table_of("distance", sources, site={"step": 2, "layer": 4, "head": 1})
    for axis, extent in zip("thw", (8, 16, 16)):
        found = table[(table["head"] == 1) & (table["axis"] == axis)]
        mass = raw[f"stats/mass_d{axis}"][:, 0, 2, 4, 1].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(found["mass"], mass, rtol=1e-6)
        keys = [2 * (extent - d) / extent / (1 if d else 2) * 2048 / extent for d in range(extent)]
        np.testing.assert_allclose(found["lift"], mass * 2048 / keys, rtol=1e-6)


@pytest.mark.parametrize(("chosen", "place"), [
    ([0], "first frames"), ([5, 6, 7], "first frames"), ([12], "corner"), ([12, 15, 20], "corner"),
    ([13, 12], "elsewhere"), ([17], "elsewhere")])
def test_sinks_lie_in_the_first_frames_in_corners_or_elsewhere(chosen, place):
    assert place_of(TileGrid((3, 12, 16), (1, 4, 4)), np.array(chosen)) == place  # 3 x 3 x 4 tiles


def test_sinks_are_counted_above_their_even_share():
    # Two tiles, of 2 and of 1 tokens. Head 0 looks at the small one, head 1 evenly.
    masses = np.array([[0.2, 0.8], [2 / 3, 1 / 3]])
    two_prompts = np.stack([masses, masses[:, ::-1] * [[1, 1], [0, 0]] + masses * [[0, 0], [1, 1]]])
    profile = made_profile({"key_mass": (("tile",), two_prompts[:, None, None, None])}, grid=(1, 1, 3),
                           tile=(1, 1, 2))
    marks, excess = heaviest_keys(profile.isel(prompt=[0]), Site())
    np.testing.assert_array_equal(marks, [[False, True], [True, False]])
    np.testing.assert_allclose(excess, [[0.8 - 1 / 3, 0]], atol=1e-12)
    # By the mean over prompts both tiles of head 0 weigh the same: the first is chosen for both prompts.
    marks, excess = heaviest_keys(profile, Site())
    np.testing.assert_array_equal(marks[0], [True, False])
    np.testing.assert_allclose(excess[:, 0], [0.2 - 2 / 3, 0.8 - 2 / 3])


def test_sinks_table_has_the_norms_of_their_values(sources, raw):
    table = table_of("sinks", sources)
    middle = sources.profile.sizes["step"] // 2
    mass = raw["stats/key_mass"][:, 0, middle, 3, 2].astype(np.float64).mean(axis=0)
    found = table[(table["layer"] == 3) & (table["head"] == 2)].iloc[0]
    assert found["excess"] == pytest.approx(mass.max() - 1 / 32, rel=1e-5)
    tiles = TileGrid((8, 16, 16), (4, 4, 4))
    norms = np.linalg.norm(raw[f"qkv/p0_b0_s{middle}_l3/v"][2].astype(np.float64), axis=1)
    inside = tiles.tile_of_token() == mass.argmax()
    assert found["value_ratio"] == pytest.approx(norms[inside].mean() / norms.mean(), rel=1e-5)
    np.testing.assert_allclose(value_norms(sources.profile, Site(step=middle, layer=3, head=2)), norms, rtol=1e-5)


def test_frames_receive_what_the_others_give(sources, raw):
    table = table_of("frame-key-mass", sources)
    mass = raw["stats/frame_mass"][:, 0, sources.profile.sizes["step"] // 2].astype(np.float64).mean(axis=(0, 2))  # [layer, query, key]
    for layer, frame in ((0, 0), (5, 7)):
        found = table[(table["layer"] == layer) & (table["frame"] == frame)]["lift"].item()
        assert found == pytest.approx(8 * np.mean([mass[layer, a, frame] for a in range(8)]), rel=1e-6)
    np.testing.assert_allclose(table.groupby("layer")["lift"].mean(), 1,
                               atol=1e-4)  # all mass is on the video


def test_entropy_table_has_cells_heads_and_means(sources, raw):
    table = table_of("entropy", sources)
    stored = raw["stats/entropy"][:, 0].astype(np.float64).mean(axis=0)  # [step, layer, head]

    def found(**at):
        fits = np.logical_and.reduce([table[axis] == value for axis, value in at.items()])
        return table[fits]["entropy"].item()

    assert found(step=3, layer=2, head="all") == pytest.approx(stored[3, 2].mean(), rel=1e-6)
    assert found(step=3, layer=2, head=1) == pytest.approx(stored[3, 2, 1], rel=1e-6)
    assert found(step="all", layer=2, head=1) == pytest.approx(stored[:, 2, 1].mean(), rel=1e-6)
    assert found(step="all", layer=2, head="all") == pytest.approx(stored[:, 2].mean(), rel=1e-6)
    assert found(step=3, layer="all", head="all") == pytest.approx(stored[3].mean(), rel=1e-6)
    assert most_entropy(sources.profile) == pytest.approx(np.log(2048))
    assert stored.max() < np.log(2048)


def test_head_classes_are_those_of_the_summary(sources):
    found = sources.summary["findings"]["head_classes"]
    grid = class_grid(sources.summary, sources.profile, None)
    assert {name: int((grid == name).sum()) for name in found["counts"]} == found["counts"]
    last = class_grid(sources.summary, sources.profile, found["steps"][-1])
    assert all(last[head["layer"], head["head"]] == head["by_step"][-1] for head in found["heads"])
    figure, drawn = draw(FIGURES["head-class"], sources, RenderOptions())
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    share = found["counts"]["global"] / 24
    assert any("global" in label and f"{100 * share:.0f} %" in label for label in labels)
    assert any("frame-local" in label and "SVG spatial" in label and "1D temporal" in label
               for label in labels)
    assert len(drawn.table) == 24


def test_class_steps_has_the_shares_of_the_summary(sources):
    table = table_of("class-steps", sources)
    for step, shares in enumerate(sources.summary["findings"]["head_classes"]["shares_by_step"]):
        for name, share in shares.items():
            row = table[(table["step"] == step) & (table["class"] == name)].iloc[0]
            assert (row["share"], row["low"], row["high"]) == (share["mean"], share["low"], share["high"])
    np.testing.assert_allclose(table.groupby("step")["share"].sum(), 1)


def steps_of(**changes) -> xr.Dataset:
    profile = made_profile({"entropy": ((), np.zeros((1, 1, 4, 3, 1)))},
                           sigma=("step", [1.0, 0.9, 0.5, 0.004]))
    return profile.assign(**changes)


def drawn_axis(profile: xr.Dataset, make) -> tuple[list[str], list[str], list[float]]:
    """Labels of the ticks and of the borders in view, places of the borders."""
    with style.context(1):
        paper = style.new_figure(1, 2)
        axes = paper.subplots()
        axes.set_xlim(-0.5, 3.5)
        make(axes.xaxis, profile)
        paper.draw_without_rendering()
        return ([t.get_text() for t in axes.get_xticklabels() if 0 <= t.get_position()[0] <= 3],
                [t.get_text() for t in axes.get_xticklabels(minor=True)],
                [line.get_xdata()[0] for line in axes.lines])


def test_step_axis_names_noise_and_the_change_of_experts():
    plain = steps_of()
    assert drawn_axis(plain, style.step_axis) == (["0\n1.00", "1\n0.90", "2\n0.50", "3\n0.00"], [], [])
    assert expert_text(plain) == ""
    two = steps_of(expert=("step", [0, 0, 1, 1]))
    assert drawn_axis(two, style.step_axis)[1:] == (["high | low"], [1.5])
    assert "low-noise expert" in expert_text(two)
    captured = steps_of(sigma=("step", [np.nan] * 4))
    assert drawn_axis(captured, style.step_axis)[0] == ["0", "1", "2", "3"]


def test_layer_axis_parts_dual_and_single_blocks():
    names = ["transformer_blocks.0.attn", "transformer_blocks.1.attn", "single_transformer_blocks.0.attn"]
    profile = steps_of(layer_name=("layer", names))
    assert drawn_axis(profile, style.layer_axis)[1:] == (["dual | single"], [1.5])
    assert drawn_axis(profile.isel(layer=[0, 1]), style.layer_axis)[1:] == ([], [])


def test_heads_not_recorded_stay_blank():
    profile = made_profile({"key_mass": (("tile",), heads([0.5, 0.5], [np.nan, np.nan]))}, grid=(1, 1, 2))
    _, excess = heaviest_keys(profile, Site())
    np.testing.assert_allclose(excess, [[0, np.nan]])
