"""Whether what a profile promises holds elsewhere: on other prompts, another grid, another checkpoint."""
from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import REFERENCE_FRACTION
from sparsescope.plans import DENSE, rule_indices
from sparsescope.profile import manifest, source
from sparsescope.promise import misfit, promised_recall
from sparsescope.sources import Validation
from sparsescope.statistics import mean_recorded, value_at

ACROSS, ROW_HEIGHT = 4, 1.95  # panels in a row, inches a row
MOST_PANELS = 12
SAME, SOME = "same prompts", "some prompts in common"


@dataclass(frozen=True)
class Comparison:
    """One panel. Values [layer, head], NaN where there is nothing to compare."""

    title: str
    where: str  # other prompts, other grid, ...
    promised: np.ndarray
    found: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        gaps = (self.found - self.promised).ravel()
        return gaps[~np.isnan(gaps)]


@figure("transfer", "stability", "Does a plan made here hold there?", needs=("held_out",), panels=True,
        columns=2, height=ROW_HEIGHT)
def transfer(figure: Figure, profile: xr.Dataset, *, validations: list[Validation] = (),
             others: list[xr.Dataset] = (), fraction: float = REFERENCE_FRACTION) -> Drawn:
    """Promised against held-out recall of each report's plan, and coverage here against other profiles'."""
    kept, left_out = [], []
    for name, attempt in [(v.name, lambda v=v: judged_plan(profile, v)) for v in validations] + [
            (os.path.basename(source(other)), lambda other=other: other_profile(profile, other, fraction))
            for other in others]:
        made = attempt()
        if isinstance(made, Comparison):
            kept.append(made)
        else:
            left_out.append(f"{name} ({made})")
    left_out += [f"{len(kept) - MOST_PANELS} more"] if len(kept) > MOST_PANELS else []
    kept = kept[:MOST_PANELS]
    rows = draw_panels(figure, kept)
    text = caption(
        profile, "Promised by this profile against found elsewhere, a point a head (colour: layer). Plans: "
        "recall by the profile's curves at the plan's settings, against recall that validation measured, means "
        "over prompts, branches and those steps where the head runs sparse. Other profiles: coverage_tile at "
        f"f = {style.fraction_text(fraction)}, means over prompts, branches and steps", notes=(
            "Over each panel the mean and standard deviation over heads of found less promised; line: promise "
            "kept", f"Left out: {'; '.join(left_out)}" if left_out else ""))
    return Drawn(pd.DataFrame(rows), text)


def judged_plan(profile: xr.Dataset, validation: Validation) -> Comparison | str:
    """The comparison, or why there is none."""
    plan, report = validation.plan, validation.report
    if plan is None:
        return "its plan was not given"
    if plan["method"] == "dense" or not plan["rules"]:
        return "a dense plan"
    lack = misfit(profile, plan)
    if lack:
        return lack
    sparse = rule_indices(plan) != DENSE  # [step, layer, head]
    promised = mean_recorded(promised_recall(profile, plan), axis=(0, 1))
    found = report_means(report, "recall", sparse.shape)
    known = sparse & ~np.isnan(promised) & ~np.isnan(found)
    if not known.any():
        return "no site in common"
    means = [mean_recorded(np.where(known, values, np.nan), axis=0) for values in (promised, found)]
    where = same_or_other(profile, report["prompts"], report["sampling"]["grid"], report["checkpoint"])
    density = report["summary"]["density"]
    return Comparison(f"{style.METHODS[plan['method']][0]}, density {density:.2g}", where, *means)


def report_means(report: dict, name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Mean over prompts and branches of a number of a report's sites; NaN where none was judged.
    -> [step, layer, head]"""
    sites = pd.DataFrame(report["sites"], columns=["step", "layer", "head", name])
    means = np.full(shape, np.nan)
    grouped = sites.groupby(["step", "layer", "head"])[name].mean()
    means[tuple(grouped.index.get_level_values(level) for level in range(3))] = grouped.values
    return means


def other_profile(profile: xr.Dataset, other: xr.Dataset, fraction: float) -> Comparison | str:
    if any(profile.sizes[axis] != other.sizes[axis] for axis in ("layer", "head")):
        return "a model of other size"
    made = manifest(other)
    where = same_or_other(profile, made.get("prompts", []), made["grid"], made.get("checkpoint_hash", ""))
    if where in (SAME, SOME) and made.get("seed") != manifest(profile).get("seed"):
        where = "other noise"
    if where in (SAME, SOME, "other noise") and list(made["tile"]) != list(manifest(profile)["tile"]):
        where = f"tiles of {' x '.join(map(str, made['tile']))}"
    values = [mean_coverage(one, fraction) for one in (profile, other)]
    name = os.path.basename(source(other)).removesuffix(".h5")
    return Comparison(name, where, *values)


def mean_coverage(profile: xr.Dataset, fraction: float) -> np.ndarray:
    """coverage_tile at f, mean over prompts, branches and steps, [layer, head]; a step at a time."""
    fractions, sums, counts = profile["f"].values, 0.0, 0
    for step in range(profile.sizes["step"]):
        coverage = profile["coverage_tile"].isel(step=step).values.astype(np.float64)
        values = value_at(coverage, fractions, fraction)
        sums = sums + np.nansum(values, axis=(0, 1))
        counts = counts + (~np.isnan(values)).sum(axis=(0, 1))
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0)


def same_or_other(profile: xr.Dataset, prompts: list[str], grid: list[int], checkpoint: str) -> str:
    """How the held-out side differs most: checkpoint, then grid, then prompts."""
    here = manifest(profile)
    if checkpoint and here.get("checkpoint_hash") and checkpoint != here["checkpoint_hash"]:
        return "other checkpoint"
    if list(grid) != list(here["grid"]):
        return f"{' x '.join(map(str, grid))} tokens"
    shared = len(set(prompts) & set(here.get("prompts", [])))
    return "other prompts" if not shared else SAME if shared == len(set(prompts)) else SOME


def draw_panels(figure: Figure, comparisons: list[Comparison]) -> list[dict]:
    count = max(len(comparisons), 1)
    style.fit_height(figure, ROW_HEIGHT * -(-count // ACROSS) + 0.25)  # only here is the number known
    grid = style.panel_grid(figure, count, ACROSS, narrow=2, sharex=True, sharey=True)
    panels = grid.ravel()
    rows = []
    for axes, shown in zip(panels, comparisons):
        rows += draw_comparison(axes, shown)
    panels[0].set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.supxlabel("found (recall of plans, coverage of other profiles)", fontsize="medium")
    figure.supylabel("promised", fontsize="medium")
    if comparisons:
        ramp = style.line_ramp(len(comparisons[0].promised))
        style.line_bar(figure, ramp, list(panels), "layer", aspect=25 * len(grid))
    return rows


def draw_comparison(axes: Axes, shown: Comparison) -> list[dict]:
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=0.7, zorder=1)
    style.head_points(axes, shown.found, shown.promised)
    gaps = shown.gaps
    gap = f"{round(gaps.mean(), 3) + 0:+.3f} ± {gaps.std():.3f}".replace("-", "−")
    axes.set_title(f"{shown.title}\n{shown.where}\n{gap}", fontsize="small")
    return [{"comparison": f"{shown.title}, {shown.where}", "layer": layer, "head": head,
             "found": shown.found[layer, head], "promised": shown.promised[layer, head]}
            for layer, head in np.ndindex(shown.promised.shape) if np.isfinite(shown.promised[layer, head])]
