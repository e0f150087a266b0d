"""Numbers of the figures on queries, prompts, transfer and scores, against the file's own values."""
from __future__ import annotations

import h5py
import numpy as np
import pytest
from layout import problems
from made_profile import FRACTIONS, make_profile
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sparsescope import figures
from sparsescope.attention import pooled_scores
from sparsescope.figures.query_cosine import EDGES
from sparsescope.figures.score_normal import standardised_rows
from sparsescope.figures.select import default_site
from sparsescope.figures.spread_prompts import prompt_deviation, prompts_needed
from sparsescope.figures.style import new_figure
from sparsescope.figures.transfer import report_means
from sparsescope.grid import TileGrid, tile_grid
from sparsescope.profile import Captured, Site, captured
from sparsescope.render import RenderOptions, draw
from sparsescope.sources import Validation
from sparsescope.statistics import histogram_quantile, value_at

LAYER = 3


@pytest.fixture(scope="module")
def site(profile) -> Site:
    """A step of which q, k and v were kept too."""
    return default_site(profile, kept="qkv", layer=LAYER)


@pytest.fixture(scope="module")
def stats(data):
    """The file's own statistics, with the axes (prompt, branch, step, layer, head, ...)."""
    with h5py.File(data / "run.h5") as file:
        yield file["stats"]


def panels(figure, profile, **options):
    return figure(new_figure(2, 2.5), profile, **options).table


def axes_of(figure, profile, **options):
    return figure(new_figure(1, 2.5).subplots(), profile, **options).table


def test_quantiles_of_a_histogram_by_hand():
    edges = np.array([0.0, 1, 2, 3, 4])
    counts = np.array([[2, 0, 6, 2], [0, 0, 0, 0], [0, 4, 0, 0]])
    assert histogram_quantile(counts, edges, 0.5) == pytest.approx([2.5, np.nan, 1.5], nan_ok=True)
    assert histogram_quantile(counts[:1], edges, 0.1) == pytest.approx([0.5])
    assert histogram_quantile(counts[:1], edges, 0.2) == pytest.approx([1.0])
    assert histogram_quantile(counts[:1], edges, 1.0) == pytest.approx([4.0])


def test_quantiles_of_a_histogram_are_near_the_samples():
    samples = np.random.default_rng(0).normal(0.3, 0.2, 5000).clip(-1, 1)
    counts, _ = np.histogram(samples, EDGES)
    for share in (0.1, 0.5, 0.9):
        expected = np.quantile(samples, share)
        assert histogram_quantile(counts, EDGES, share) == pytest.approx(expected, abs=1 / 64)


def test_curve_values_between_fractions():
    curve, fractions = np.array([[0.2, 0.4, 0.8]]), np.array([0.25, 0.5, 1.0])
    assert value_at(curve, fractions, 0.5) == pytest.approx([0.4])
    assert value_at(curve, fractions, 0.5 * 2 ** 0.5) == pytest.approx([0.6])
    assert value_at(curve, fractions, 0.1) == pytest.approx([0.2])


def test_query_cosine_draws_the_recorded_histograms(profile, stats, site):
    table = panels(figures.query_cosine, profile, site=site)
    counts = stats["query_cosine"][:, 0, site.step, 3].sum(axis=(0, 1))
    drawn = table[(table["curve"] == "histogram") & (table["layer"] == 3)]
    assert drawn["rows_share"].values == pytest.approx(counts / counts.sum(), rel=1e-6)
    assert drawn["cosine"].values == pytest.approx((EDGES[:-1] + EDGES[1:]) / 2)
    histograms = stats["query_cosine"][:, 0, site.step, 3].sum(axis=1)  # [prompt, bin]
    of_prompt = list(histogram_quantile(histograms, EDGES, 0.5))
    median = table[(table["curve"] == "median") & (table["layer"] == 3)].iloc[0]
    assert median["cosine"] == pytest.approx(np.mean(of_prompt))
    assert min(of_prompt) <= median["low"] <= median["cosine"] <= median["high"] <= max(of_prompt)


def test_query_cosine_draws_every_window(profile, stats, site):
    table = panels(figures.query_cosine, profile, site=site).dropna(subset=["window"]).set_index("window")
    means = stats["window_cosine"][:, 0, site.step].mean(axis=(0, 1, 2))
    names = [str(name).replace(",", "x") for name in profile["window"].values]
    assert sorted(table.index) == sorted(names)
    assert [table.loc[name, "cosine"] for name in names] == pytest.approx(list(means), rel=1e-5)


def test_row_overlap_is_the_mean_over_prompts(profile, stats, site):
    table = axes_of(figures.row_overlap, profile, site=site).set_index(["layer", "head"])
    expected = stats["row_overlap"][:, 0, site.step].mean(axis=0)
    assert table["overlap"].values == pytest.approx(expected.ravel(), rel=1e-6)
    assert table.loc[(7, 1), "overlap"] == pytest.approx(expected[7, 1], rel=1e-6)


def test_mass_vs_redundancy_interpolates_in_log_f(profile, stats, site):
    table = panels(figures.mass_vs_redundancy, profile, site=site, recall=0.8).set_index(["layer", "head"])
    curve = stats["coverage_tile"][:, 0, site.step, 2, 1].astype(float).mean(axis=0)
    fractions = profile["f"].values
    above = next(i for i, mass in enumerate(curve) if mass >= 0.8)
    weight = (0.8 - curve[above - 1]) / (curve[above] - curve[above - 1])
    expected = fractions[above - 1] ** (1 - weight) * fractions[above] ** weight
    assert table.loc[(2, 1), "f"] == pytest.approx(expected)
    counts = stats["query_cosine"][:, 0, site.step, 2, 1].sum(axis=0)
    assert table.loc[(2, 1), "cosine"] == pytest.approx(float(histogram_quantile(counts, EDGES, 0.5)))


def test_spread_is_the_sample_deviation_in_ascending_order(profile, stats, site):
    table = axes_of(figures.spread_prompts, profile, site=site, fraction=0.25)
    at = list(profile["f"].values).index(0.25)
    last = stats["coverage_tile"].shape[2] - 1
    assert set(table["step"]) == {0, site.step, last}
    for step in (0, site.step, last):
        drawn = table[table["step"] == step]
        expected = np.std(stats["coverage_tile"][:, 0, step, :, :, at].astype(float), axis=0, ddof=1)
        assert list(drawn["deviation"]) == sorted(drawn["deviation"])
        for row in drawn.itertuples():
            assert row.deviation == pytest.approx(expected[row.layer, row.head])


def test_prompts_needed_by_hand():
    assert prompts_needed(0.05) == 25  # (1.96 * 0.05 / 0.02)^2 = 24.01
    assert prompts_needed(0.0) == 1
    unknown = np.array([[0.1, np.nan], [0.3, 0.5]])
    assert prompt_deviation(unknown) == pytest.approx([0.1 * 2 ** 0.5, np.nan], nan_ok=True)


def test_means_of_a_report_by_hand():
    sites = [{"prompt": p, "branch": b, "step": 1, "layer": 0, "head": 1, "recall": r}
             for p, b, r in ((0, 0, 0.2), (0, 1, 0.4), (1, 0, 0.6), (1, 1, 0.4))]
    means = report_means({"sites": sites}, "recall", (2, 1, 2))
    assert means[1, 0, 1] == pytest.approx(0.4)
    assert np.isnan(means[[0, 0, 1], 0, [0, 1, 0]]).all()


def test_transfer_shows_what_validation_found(profile, sources):
    validation = next(v for v in sources.validations if v.plan and v.method == "vsa")
    table = panels(figures.transfer, profile, validations=[validation])
    head = table.iloc[5]
    sparse = {step for rule in validation.plan["rules"]
              if rule["layers"][0] <= head["layer"] <= rule["layers"][1]
              and rule["heads"][0] <= head["head"] <= rule["heads"][1]
              for step in range(rule["steps"][0], rule["steps"][1] + 1)}
    found = [np.mean([site["recall"] for site in validation.report["sites"]
                      if (site["step"], site["layer"], site["head"]) == (step, head["layer"], head["head"])])
             for step in sorted(sparse)]
    assert head["found"] == pytest.approx(np.mean(found))


def test_a_profile_promises_itself(profile, stats):
    table = panels(figures.transfer, profile, others=[profile], fraction=0.25).set_index(["layer", "head"])
    assert table["found"].values == pytest.approx(table["promised"].values)
    at = list(profile["f"].values).index(0.25)
    expected = stats["coverage_tile"][:, :, :, 3, 2, at].mean()
    assert table.loc[(3, 2), "found"] == pytest.approx(expected, rel=1e-5)


def test_panels_name_what_is_different(tmp_path):
    sizes = {"prompt": 1, "branch": 1, "step": 1, "layer": 2, "head": 2}
    coverage = {"coverage_tile": (("f",), np.broadcast_to(FRACTIONS, (1, 1, 1, 2, 2, 12)))}

    def made(name, grid=(4, 4, 4), tile=(2, 2, 2), **manifest):
        return make_profile(tmp_path / f"{name}.h5", TileGrid(grid, tile), sizes, coverage, **manifest)

    others = [made("model", checkpoint_hash="b"), made("grid", grid=(8, 4, 4)), made("tile", tile=(1, 2, 2)),
              made("seed", seed=1), made("prompt", prompts=["another"]), made("again")]
    table = panels(figures.transfer, made("here"), others=others)
    assert list(table["comparison"].unique()) == [
        "model, other checkpoint", "grid, 8 x 4 x 4 tokens", "tile, tiles of 1 x 2 x 2", "seed, other noise",
        "prompt, other prompts", "again, same prompts"]


def test_reports_without_their_plan_are_named(profile, sources):
    report = sources.validations[0].report
    drawn = figures.transfer(new_figure(2, 2.5), profile, validations=[Validation("lost", report, None)],
                             others=[profile])
    assert "lost (its plan was not given)" in drawn.caption


def test_rows_are_standardised_by_population_moments():
    scores = np.array([[1.0, 2, 3, 6], [5, 5, 5, 5], [0, 0, 0, 4], [1, -1, 1, -1]])
    rows = standardised_rows(scores)
    assert rows[0] == pytest.approx(np.array([-2, -1, 0, 3]) / 14 ** 0.5 * 2)
    assert not rows[1].any()
    assert rows[3] == pytest.approx([1, -1, 1, -1])


def test_pooled_scores_equal_the_mean_over_all_pairs():
    """The dot product is bilinear: pooled scores are the mean score of the pairs of two tiles."""
    tiles = TileGrid((2, 3, 2), (2, 2, 2))
    q, k, v = np.random.default_rng(0).standard_normal((3, 14, 4)).astype(np.float32)
    head = Captured(q, k, v, prefix=2, suffix=0, scale=0.5)
    pairs = q[2:].astype(float) @ k[2:].T.astype(float) * 0.5
    of = tiles.tile_of_token()
    expected = [[pairs[np.ix_(of == i, of == j)].mean() for j in range(2)] for i in range(2)]
    assert pooled_scores(head, tiles) == pytest.approx(np.array(expected))


def test_score_moments_are_those_of_the_file(profile, stats, site):
    table = panels(figures.score_normal, profile, site=site)
    moments = table[table["curve"] == "moments"].set_index(["layer", "head"])
    expected = stats["score_moments"][:, 0, site.step, 5, 2].mean(axis=0)
    assert tuple(moments.loc[(5, 2), ["x", "y"]]) == pytest.approx((expected[2], expected[3]), rel=1e-5)
    # No distribution has less excess kurtosis than its squared skewness less 2.
    assert (moments["y"] >= moments["x"] ** 2 - 2 - 1e-6).all()


def test_captured_queries_and_keys_have_the_recorded_moments(profile, stats, site):
    """The figure's rows are those whose moments the profile holds."""
    scores = pooled_scores(captured(profile, site), tile_grid(profile))
    rows = standardised_rows(scores)
    found = [scores.mean(), scores.std(axis=1).mean(), (rows ** 3).mean(), (rows ** 4).mean() - 3]
    assert found == pytest.approx(stats["score_moments"][tuple(site.index.values())], abs=2e-5)


def test_score_histogram_is_a_density_and_quantiles_rise(profile, site):
    table = panels(figures.score_normal, profile, site=site)
    histogram = table[table["curve"] == "histogram"]
    width = histogram["x"].diff().iloc[1]
    assert histogram["y"].sum() * width == pytest.approx(1)
    quantiles = table[table["curve"] == "quantiles"]
    assert (quantiles["y"].diff().dropna() >= 0).all()
    assert (quantiles["y"] ** 2).mean() == pytest.approx(1, abs=0.1)  # standardised


def test_cutoff_draws_the_recorded_curves(profile, stats, site):
    table = panels(figures.bsa_cutoff, profile, site=site)
    for name in ("bsa_density", "bsa_recall"):
        curves = stats[name][:, 0, site.step].mean(axis=0)  # [layer, head, kappa]
        drawn = table[(table["curve"] == name) & (table["head"] == 1)]
        assert drawn["kappa"].values == pytest.approx(profile["kappa"].values)
        assert drawn["y"].values == pytest.approx(curves[LAYER, 1], rel=1e-6)
        spread = table[table["curve"] == f"{name}, median of all heads"]
        for column, share in (("low", 5), ("y", 50), ("high", 95)):
            expected = np.percentile(curves.reshape(-1, curves.shape[-1]), share, axis=0)
            assert spread[column].values == pytest.approx(expected, rel=1e-6)
    assert table[table["kappa"] == 1]["y"].values == pytest.approx(1)  # everything is kept


@pytest.mark.parametrize("name", ["query-cosine", "prune-error", "set-steps", "set-prompts", "reuse-decay",
                                  "transfer", "score-normal", "bsa-cutoff"])
def test_panels_hold_in_one_column(name, sources):
    """They stand one under the other there."""
    paper, _ = draw(figures.FIGURES[name], sources, RenderOptions(columns=1))
    FigureCanvasAgg(paper)
    assert problems(paper) == []
