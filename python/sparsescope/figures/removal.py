"""What each layer, and each step, does to the video when it alone runs sparse."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.sweep_lines import interval_arms
from sparsescope.reports import label
from sparsescope.sources import Validation

ERROR = "latent_rel_l2"


@figure("layer-removal", "error", "Which layers must stay dense?", needs=("removal",), columns=2, height=2.3)
def layer_removal(axes: Axes, profile: xr.Dataset, *, validations: list[Validation]) -> Drawn:
    """Relative L2 of the final latents when one layer alone runs sparse, all others dense; a bar a layer."""
    style.layer_axis(axes.xaxis, profile)
    return _bars(axes, profile, validations, "layer")


@figure("step-removal", "error", "How many dense first steps?", needs=("removal",), columns=2, height=2.3)
def step_removal(axes: Axes, profile: xr.Dataset, *, validations: list[Validation]) -> Drawn:
    """Relative L2 of the final latents when one step alone runs sparse, all others dense; a bar a step."""
    style.step_axis(axes.xaxis, profile, most=16)
    return _bars(axes, profile, validations, "step")


def _bars(axes: Axes, profile: xr.Dataset, validations: list[Validation], unit: str) -> Drawn:
    """Of the first report that has them."""
    report = next((v for v in validations if v.report.get("removal", {}).get(unit + "s")), None)
    if report is None:
        raise UsageError(f"{unit}-removal: expected a report of validate --removal {unit}s, found none")
    found = sorted(report.report["removal"][unit + "s"], key=lambda entry: entry[unit])
    at, errors = [entry[unit] for entry in found], np.array([entry[ERROR] for entry in found])
    axes.bar(at, errors, width=0.8, color=style.BLUE)
    axes.errorbar(at, errors, interval_arms(found, ERROR), fmt="none", ecolor=style.INK, elinewidth=0.8,
                  capsize=1.5 if len(found) <= 40 else 0)
    for entry in found:
        values = entry["of_prompt"]
        if len(values) > 1:
            axes.plot([entry[unit] + 0.22] * len(values), values, "o", markersize=2, color=style.INK,
                      alpha=0.6,
                      markeredgewidth=0)
    axes.axhline(errors.mean(), color=style.ORANGE, linewidth=0.8, linestyle="--")
    axes.set_xlim(min(at) - 0.6, max(at) + 0.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("relative L2 of the latents")
    axes.grid(axis="x", visible=False)
    prompts = len(found[0]["of_prompt"])
    rows = [{unit: entry[unit], ERROR: entry[ERROR], "low": entry[ERROR + "_low"],
             "high": entry[ERROR + "_high"],
             "density": entry["density"]} for entry in found]
    density = np.mean([entry["density"] for entry in found])
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Relative L2 of the final latents against dense attention when one {unit} alone runs "
        f"sparse ({label(report)}: density {density:.3g} there on the mean) and everything else "
        "dense", rows=False, notes=(
            f"bars: mean over {prompts} prompts, with 95 % intervals; points: each prompt" if prompts > 1 else
            "one prompt, no interval", f"dashed: mean over {unit}s",
            expert_text(profile) if unit == "step" else "")))
