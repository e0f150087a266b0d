"""How far heads differ from prompt to prompt."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.figures import style
from sparsescope.figures.captions import caption, step_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import REFERENCE_FRACTION, default_site
from sparsescope.profile import Site, recorded
from sparsescope.statistics import value_at

HALF_WIDTH = 0.02  # of a mean's 95 % interval, to which the caption counts prompts
NORMAL_95 = 1.96


def prompt_deviation(values: np.ndarray) -> np.ndarray:
    """Sample standard deviation (n - 1) over prompts, NaN with less than two. values [prompt, ..] -> [..]."""
    count = (~np.isnan(values)).sum(axis=0)
    mean = np.divide(np.nansum(values, axis=0), count, out=np.full(values.shape[1:], np.nan), where=count > 0)
    squares = np.nansum(np.square(values - mean), axis=0)
    return np.sqrt(np.divide(squares, count - 1, out=np.full(values.shape[1:], np.nan), where=count > 1))


def prompts_needed(deviation: float) -> int:
    """Prompts whose mean has a 95 % interval of +- HALF_WIDTH, by the normal distribution."""
    return max(1, int(np.ceil(np.square(NORMAL_95 * deviation / HALF_WIDTH))))


@figure("spread-prompts", "stability", "How many prompts are needed?", needs=("prompts",), height=2.5)
def spread_prompts(axes: Axes, profile: xr.Dataset, *, site: Site | None = None,
                   fraction: float = REFERENCE_FRACTION) -> Drawn:
    """Standard deviation over prompts of coverage_tile, heads in ascending order, at the first, the middle and
    the last recorded step."""
    site = site or default_site(profile)
    steps = recorded(profile, "step")
    shown = sorted({steps[0], site.step, steps[-1]})
    rows, worst = [], 0.0
    for i, step in enumerate(shown):
        curves = profile["coverage_tile"].isel(branch=site.branch, step=step).values.astype(np.float64)
        deviation = prompt_deviation(value_at(curves, profile["f"].values, fraction))  # [layer, head]
        order = [place for place in np.argsort(deviation, axis=None, kind="stable")
                 if np.isfinite(deviation.flat[place])]
        sorted_ = deviation.flat[order]
        worst = max(worst, np.percentile(sorted_, 95))
        share = (np.arange(len(order)) + 0.5) / len(order)
        axes.plot(share, sorted_, color=style.COLOURS[i], linestyle=style.DASHES[i], marker=style.MARKERS[i],
                  markevery=max(1, len(order) // 12), label=f"step {step}")
        places = [np.unravel_index(place, deviation.shape) for place in order]
        rows += [{"step": step, "layer": int(layer), "head": int(head), "heads_below": s, "deviation": d}
                 for (layer, head), s, d in zip(places, share, sorted_)]
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="heads, ascending (share of all layers' heads)",
             ylabel=f"standard deviation of coverage\nat f = {style.fraction_text(fraction)}")
    style.legend_above(axes, 3)
    count = len(recorded(profile, "prompt"))
    doubt = f"{1 / np.sqrt(2 * (count - 1)):.0%}".replace("%", " %")
    text = caption(
        profile, f"Standard deviation over {count} prompts (n - 1) of coverage_tile at f = "
        f"{style.fraction_text(fraction)}, each head of each layer a point of the line", site=site,
        axes=("prompt", "step", "layer", "head"), notes=(
            ", ".join(step_text(profile, step) for step in shown),
            f"for 95 % of the heads, at every step shown, the mean over {prompts_needed(worst)} prompts has a "
            f"95 % interval within ±{HALF_WIDTH:g} (normal distribution)",
            f"a deviation of {count} values is itself uncertain by about {doubt}"))
    return Drawn(pd.DataFrame(rows), text)
