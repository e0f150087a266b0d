"""How much of the attention methods keep while denoising goes on."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.profile import Site
from sparsescope.reports import label, one_a_method, site_table
from sparsescope.sources import Validation
from sparsescope.statistics import prompt_band

MOST_BANDS = 4  # of layers


def layer_bands(layers: int) -> list[tuple[int, int]]:
    """First and last layer of up to four runs of layers, as alike in length as can be."""
    borders = np.linspace(0, layers, min(MOST_BANDS, layers) + 1).round().astype(int)
    return [(int(first), int(end) - 1) for first, end in zip(borders[:-1], borders[1:])]


def kept_by_step(table: pd.DataFrame, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and the mean density over the heads of layers first to last, [prompt, step]."""
    inside = table[table["layer"].between(first, last)]
    means = inside.groupby(["prompt", "step"])["density"].mean().unstack("step")
    return means.columns.to_numpy(), means.to_numpy()


@figure("routing-steps", "methods", "How does dynamic selection behave over steps?", needs=("validations",),
        panels=True, columns=2, height=2.5)
def routing_steps(figure: Figure, profile: xr.Dataset, *, validations: list[Validation],
                  branch: int = 0) -> Drawn:
    """Density that the kernels measured against the step, a line for each quarter of the layers, a panel for
    the sparsest report of each method."""
    shown = one_a_method(validations)[:3]
    panels = style.row_of_panels(figure, len(shown), sharey=True)
    rows = []
    for axes, validation in zip(panels, shown):
        table = site_table(validation, branch)
        bands = layer_bands(int(table["layer"].max()) + 1)
        for (first, last), colour, marker in zip(bands, style.COLOURS, style.MARKERS):
            steps, kept = kept_by_step(table, first, last)
            band = prompt_band(kept)
            name = f"layers {first} to {last}" if last > first else f"layer {first}"
            axes.plot(steps, band.mean, color=colour, marker=marker if len(steps) < 20 else None, label=name)
            axes.fill_between(steps, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
            rows += [{"report": validation.name, "layers": f"{first}-{last}", "step": s, "density": d,
                      "low": lo,
                      "high": hi} for s, d, lo, hi in zip(steps, band.mean, band.low, band.high)]
        axes.set_title(label(validation))
        style.step_axis(axes.xaxis, profile)
    panels[0].set_ylim(bottom=0)
    for axes in (panels if style.is_narrow(figure) else panels[:1]):
        axes.set_ylabel("density")
    style.legend_above(figure, MOST_BANDS, handles=panels[0].get_lines()[:len(bands)])
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Share of the query-key pairs that the kernels computed at each step of held-out prompts, "
        "by runs of layers; a panel for the sparsest report of each method", site=Site(branch=branch),
        axes=("prompt", "step", "layer", "head"), averaged="heads and layers of a run, and prompts",
        rows=False, notes=(band.meaning, expert_text(profile))))
