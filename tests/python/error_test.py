"""Numbers of the figures of error, quality and removal, from reports that loops can repeat."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import reports
from layout import problems
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sparsescope import figures
from sparsescope.errors import UsageError
from sparsescope.figures import FIGURES, style
from sparsescope.figures.mass_vs_error import error_bound
from sparsescope.figures.routing_steps import layer_bands
from sparsescope.figures.sweep_lines import interval_arms
from sparsescope.render import RenderOptions, draw, missing_needs
from sparsescope.reports import in_order, label, one_a_method
from sparsescope.statistics import rank_correlation

HEADS = [(layer, head) for layer in range(4) for head in range(2)]


def paper() -> Figure:
    return Figure(figsize=(7.16, 3), layout="constrained")


def mean_of(value, layer: int, head: int, branch: int = 0) -> float:
    return float(np.mean([value(p, branch, s, layer, head) for p in range(2) for s in range(2)]))


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    assert rank_correlation([1, 1, 2], [1, 2, 3]) == pytest.approx(np.sqrt(3) / 2)  # ties share their rank
    assert rank_correlation([3, 1, 2], np.exp([3.0, 1.0, 2.0])) == pytest.approx(1)
    assert rank_correlation([3, 1, 2], [-3, -1, -2]) == pytest.approx(-1)
    assert np.isnan(rank_correlation([1, 2], [5, 5]))


def test_mass_vs_error_is_of_one_branch_and_each_head(profile):
    drawn = figures.mass_vs_error(paper(), profile, validations=[reports.validation()], bound=0.3)
    rows = drawn.table.set_index(["layer", "head"])
    assert list(rows.index) == HEADS
    for layer, head in HEADS:
        error = mean_of(reports.rel_l2, layer, head)
        missed = 1 - mean_of(reports.recall, layer, head)
        assert rows.loc[(layer, head), "missed_mass"] == pytest.approx(missed)
        assert rows.loc[(layer, head), "rel_l2"] == pytest.approx(error)
        assert rows.loc[(layer, head), "above_bound"] == (error > 0.3)


def test_bound_is_the_required_one():
    required = {"name": "rel_l2", "comparison": "<=", "bound": 0.42, "value": 0.4, "holds": True}
    demanding = reports.validation(summary=reports.summary(0.25, requirements=[required]))
    assert error_bound(demanding, np.arange(101.0)) == (0.42, "required")
    assert error_bound(reports.validation(), np.arange(101.0))[0] == pytest.approx(95)


def test_mass_vs_error_of_the_real_reports(profile, sources):
    drawn = figures.mass_vs_error(paper(), profile, validations=sources.validations)
    for validation in one_a_method(sources.validations):
        rows = drawn.table[drawn.table["report"] == validation.name]
        for _, row in rows.iterrows():
            sites = [site for site in validation.report["sites"]
                     if (site["branch"], site["layer"], site["head"]) == (0, row["layer"], row["head"])]
            assert row["rel_l2"] == pytest.approx(sum(site["rel_l2"] for site in sites) / len(sites))
            assert row["missed_mass"] == pytest.approx(1 - sum(site["recall"] for site in sites) / len(sites))


def test_error_density_takes_quantiles_over_heads(profile):
    sparse = reports.validation("sparse")
    drawn = figures.error_density(paper(), profile, validations=[sparse, reports.validation("other", None)])
    errors = sorted(mean_of(reports.rel_l2, *place) for place in HEADS)
    rows = drawn.table.set_index(["report", "quantile"])
    for name in ("sparse", "other"):
        assert rows.loc[(name, 0.5), "rel_l2"] == pytest.approx((errors[3] + errors[4]) / 2)
        # between the two largest of 8: the 0.95 quantile lies at place 0.95 * 7
        assert rows.loc[(name, 0.95), "rel_l2"] == pytest.approx(errors[6] + 0.65 * (errors[7] - errors[6]))
        assert rows.loc[(name, 0.5), "density"] == pytest.approx(np.mean(
            [mean_of(reports.density, *place) for place in HEADS]))
    assert rows.loc[("other", 0.5), "method"] == "unknown"


def test_routing_steps_averages_runs_of_layers(profile):
    drawn = figures.routing_steps(paper(), profile, validations=[reports.validation()], branch=1)
    rows = drawn.table.set_index(["layers", "step"])
    for layer in range(4):
        for step in range(2):
            of_prompt = [np.mean([reports.density(p, 1, step, layer, h) for h in range(2)]) for p in range(2)]
            found = rows.loc[(f"{layer}-{layer}", step)]
            assert found["density"] == pytest.approx(np.mean(of_prompt))
            assert (found["low"], found["high"]) == pytest.approx((min(of_prompt), max(of_prompt)))


@pytest.mark.parametrize("layers", [1, 3, 4, 8, 30, 40, 57])
def test_layer_bands_cover_all_layers_once(layers):
    bands = layer_bands(layers)
    assert [layer for first, last in bands for layer in range(first, last + 1)] == list(range(layers))
    lengths = [last - first + 1 for first, last in bands]
    assert max(lengths) - min(lengths) <= 1 and len(bands) == min(4, layers)


def test_reports_are_named_and_ordered():
    made = [reports.validation("b", "vmoba"), reports.validation("a", "vsa", summary=reports.summary(0.5)),
            reports.validation("c", None), reports.validation("d", "vsa")]
    assert [v.name for v in in_order(made)] == ["d", "a", "b", "c"]
    assert [label(v) for v in in_order(made)] == ["VSA 0.25", "VSA 0.5", "VMoBA 0.25", "c"]
    assert [v.name for v in one_a_method(made)] == ["d", "b", "c"]


def test_interval_arms_are_zero_without_an_interval():
    points = [{"e": 0.3, "e_low": 0.25, "e_high": 0.4}, {"e": 0.3, "e_low": None, "e_high": None}, {"e": 0.3}]
    np.testing.assert_allclose(interval_arms(points, "e"), [[0.05, 0, 0], [0.1, 0, 0]], atol=1e-12)


def test_pareto_shows_sweep_reports_and_clips(profile, sources):
    clips = [reports.clip(0, 22.0), reports.clip(1, 27.0, speedup=2.0)]
    drawn = figures.pareto(paper(), profile, validations=[reports.validation(clips=clips)],
                           sweep=sources.sweep)
    table = drawn.table
    points = [point for point in sources.sweep["points"] if point["kind"] not in ("random", "oracle")]
    shown = table[table["kind"] != "report"]
    np.testing.assert_allclose(
        sorted(zip(shown["error"], shown["time_share"])),
        sorted((point["error"], point["sparse_ms"] / point["dense_ms"]) for point in points), rtol=1e-12)
    assert shown["knee"].sum() == sum(point["knee"] for point in points)
    of_clips = table.dropna(subset=["prompt"])
    assert list(zip(of_clips["psnr"], of_clips["time_share"])) == [(22.0, 0.4), (27.0, 0.5)]


def test_removal_takes_the_first_report_that_has_it(profile):
    steps_only = reports.validation("steps", removal={"steps": reports.removal("step", [[0.2, 0.4]] * 8)})
    both = reports.validation("both", removal={
        "layers": reports.removal("layer", [[0.1 * n] for n in range(8)]),
        "steps": reports.removal("step", [[0.9]] * 8)})
    layers = figures.layer_removal(paper().subplots(), profile, validations=[steps_only, both])
    np.testing.assert_allclose(layers.table["latent_rel_l2"], 0.1 * np.arange(8))
    assert layers.table["low"].isna().all() and "no interval" in layers.caption
    steps = figures.step_removal(paper().subplots(), profile, validations=[steps_only, both])
    np.testing.assert_allclose(steps.table["latent_rel_l2"], 0.3)
    np.testing.assert_allclose(steps.table["high"], 0.4)
    with pytest.raises(UsageError, match="layers"):
        figures.layer_removal(paper().subplots(), profile, validations=[steps_only])


def test_quality_bands_pair_clips_of_the_same_prompts(profile):
    same = [reports.validation(name, method, clips=[reports.clip(0, 20.0 + add), reports.clip(1, 26.0 + add)])
            for name, method, add in (("a", "vsa", 0.0), ("b", "bsa", 2.0))]
    other = reports.validation("c", "vmoba", clips=[reports.clip(0, 31.0)], prompts=["a square"])
    target = paper()
    drawn = figures.quality_bands(target, profile, validations=[*same, other])
    psnr = drawn.table[drawn.table["metric"] == "psnr_pixel"]
    assert list(zip(psnr["report"], psnr["prompt"], psnr["value"])) == [
        ("a", 0, 20.0), ("a", 1, 26.0), ("b", 0, 22.0), ("b", 1, 28.0), ("c", 0, 31.0)]
    joined = [line.get_xydata().tolist() for line in target.axes[0].lines
              if line.get_color() == style.QUIET and len(line.get_xydata()) == 2]
    assert joined == [[[0, 20.0], [1, 22.0]], [[0, 26.0], [1, 28.0]]]  # never to the other prompts of c
    assert "LPIPS was not measured" in drawn.caption


def test_quality_bands_show_lpips_where_it_was_measured(profile):
    clips = [reports.clip(0, 25.0, lpips_alex=0.2), reports.clip(1, 25.0, lpips_alex=0.4)]
    drawn = figures.quality_bands(paper(), profile, validations=[reports.validation(clips=clips)])
    assert list(drawn.table[drawn.table["metric"] == "lpips_alex"]["value"]) == [0.2, 0.4]
    assert "was not measured" not in drawn.caption


@pytest.mark.parametrize("columns", [1, 2])
def test_many_prompts_and_layers_keep_the_layout(profile, columns):
    draw = np.random.default_rng(0)
    validations = [reports.validation(
        f"{method}{kept}", method, summary=reports.summary(kept),
        clips=[reports.clip(p, float(draw.normal(24, 4))) for p in range(40)],
        removal={"layers": reports.removal("layer", draw.uniform(0, 1, (40, 40)).tolist()),
                 "steps": reports.removal("step", draw.uniform(0, 1, (50, 40)).tolist())})
        for method in ("vsa", "bsa", "vmoba") for kept in (0.25, 0.375, 0.5)]
    for draw_figure, panels in ((figures.quality_bands, True), (figures.layer_removal, False),
                                (figures.step_removal, False)):
        with style.context(columns):
            target = style.new_figure(columns, 2.9)
            FigureCanvasAgg(target)
            draw_figure(target if panels else target.subplots(), profile, validations=validations)
            assert problems(target) == []


@pytest.mark.parametrize("name", ["pareto", "error-density"])
def test_a_sweep_alone_is_enough(name, sources):
    """One panel, with the sweep's points and nothing of reports."""
    alone = dataclasses.replace(sources, validations=[])
    spec = FIGURES[name]
    assert not missing_needs(spec, alone)
    figure, drawn = draw(spec, alone, RenderOptions())
    assert len(figure.axes) == 1
    assert set(drawn.table["error"].dropna()) <= {point["error"] for point in sources.sweep["points"]}
    assert len(drawn.table["error"].dropna()) == len(drawn.table) > 0
    assert "report" not in drawn.caption
