"""Figures of time: against the ratios that the program wrote beside its times, and lines by hand."""
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sparsescope import figures
from sparsescope.benches import INSTRUMENTED, attention_benches, labels
from sparsescope.cost_lines import fit_series
from sparsescope.errors import UsageError
from sparsescope.figures.kernel_times import name_of
from sparsescope.figures.time_predicted import series_name, speedup_at


def paper() -> Figure:
    return Figure(figsize=(7.16, 4), layout="constrained")


def warm_forward(bench: dict) -> list[dict]:
    return [run for run in bench["runs"]
            if (run["pass"], run["cache"], run["threads"]) == ("forward", "warm", bench["threads"])]


def test_overhead_is_what_the_program_says(profile, sources):
    drawn = figures.overhead(paper().subplots(), profile, benches=sources.benches)
    rows = drawn.table.set_index(["bench", "run"])
    count = 0
    for bench in sources.benches:
        for run in warm_forward(bench):
            if run["method"] in INSTRUMENTED:
                assert rows.loc[(name_of(bench), run["method"]), "overhead"] == pytest.approx(run["overhead"])
                count += 1
    assert count == len(rows)


def test_efficiency_is_what_the_program_says(profile, sources):
    drawn = figures.kernel_efficiency(paper(), profile, benches=sources.benches)
    for bench in attention_benches(sources.benches)[:6]:
        rows = drawn.table[drawn.table["bench"] == name_of(bench)]
        ours = sorted(zip(rows["density"], rows["efficiency"], rows["with_selection"]))
        # speed-up takes the selection in: dense / (kernel + selection)
        theirs = sorted((run["density"], run["efficiency"], run["speedup"] * run["density"])
                        for run in warm_forward(bench) if "efficiency" in run)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_benches_of_profiles_are_no_attention(profile):
    assert attention_benches([{"kind": "profile"}]) == []
    with pytest.raises(UsageError, match="bench attention"):
        figures.overhead(paper().subplots(), profile, benches=[{"kind": "profile"}])


def test_labels_name_tiles_where_they_differ():
    benches = [{"shape": [1, 3, 2048, 64], "dtype": "fp32", "tile": [4, 4, 4]},
               {"shape": [1, 3, 2048, 64], "dtype": "fp32", "tile": [4, 8, 8]}]
    assert labels(benches[:1]) == ["2,048\nD64 fp32"]
    assert labels(benches) == ["2,048\nD64 fp32\ntile 4x4x4", "2,048\nD64 fp32\ntile 4x8x8"]


def series(*points, **kind) -> dict:
    return {"method": "vsa", **kind, "points": [
        dict(zip(("density", "selection_ms", "kernel_ms", "spread_ms"), point)) for point in points]}


def test_a_straight_line_is_found():
    line = fit_series(series((0.25, 1.0, 3.0, 0.2), (0.5, 1.0, 5.0, 0.2), (0.75, 1.0, 7.0, 0.4)), dense_ms=10)
    assert (line.at_zero, line.slope) == pytest.approx((0.2, 0.8))  # (1 + 1) / 10, 8 / 10
    assert line.spread == pytest.approx(0.02)  # half of the widest quartiles: nothing lies off the line
    assert line.crossover() == pytest.approx((1 - 0.02 - 0.2) / 0.8)
    np.testing.assert_allclose(line.at([0.0, 1.0]), [0.2, 1.0])


def test_slopes_do_not_fall():
    line = fit_series(series((0.25, 3.0, 2.0, 0.0), (0.75, 1.0, 6.0, 0.0)), dense_ms=10)
    # selection: its mean 2; kernel: 8 per density
    assert (line.at_zero, line.slope) == pytest.approx((0.2, 0.8))
    assert line.spread == pytest.approx(0.1)


def test_one_density_is_proportional():
    line = fit_series(series((0.2, 1.0, 4.0, 0.0), (0.2, 1.0, 4.0, 0.0)), dense_ms=10)
    assert (line.at_zero, line.slope) == pytest.approx((0.1, 2.0))


def test_crossover_is_bounded():
    assert fit_series(series((0.2, 10.0, 4.0, 0.0), (0.8, 10.0, 6.0, 0.0)), dense_ms=10).crossover() == 0
    assert fit_series(series((0.2, 0.0, 1.0, 0.0), (0.8, 0.0, 2.0, 0.0)), dense_ms=10).crossover() == 1


def test_predicted_times_lie_on_least_squares_lines(profile, sources):
    drawn = figures.time_predicted(paper(), profile, costs=sources.costs, benches=sources.benches)
    rows = drawn.table.dropna(subset=["predicted_ms"])
    assert len(rows) == sum(len(entry["points"]) for entry in sources.costs["series"])
    for entry in sources.costs["series"]:
        found = rows[rows["series"] == series_name(entry)]
        measured = [point["selection_ms"] + point["kernel_ms"] for point in entry["points"]]
        np.testing.assert_allclose(found["measured_ms"], measured)
        # Least squares goes through the mean point, also where a falling slope was held at 0.
        assert found["predicted_ms"].mean() == pytest.approx(np.mean(measured))


def test_speedup_between_measured_densities():
    found = pd.DataFrame({"density": [0.25, 0.5], "kernel_ms": [2.0, 4.0], "selection_ms": [1.0, 1.0],
                          "dense_ms": [10.0, 10.0]})
    assert speedup_at(found, 0.25) == pytest.approx(10 / 3)
    assert speedup_at(found, 0.375) == pytest.approx(10 / 4)
    assert np.isnan(speedup_at(found, 0.125)) and np.isnan(speedup_at(found.iloc[:0], 0.5))
