"""How long a mask may be reused while denoising."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import REFERENCE_FRACTION, default_site
from sparsescope.profile import Site, kept_calls
from sparsescope.statistics import Band, above_chance, mean_recorded, prompt_band
from sparsescope.tile_sets import SetAgreement, set_agreement


def by_distance(found: SetAgreement, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over heads and over the pairs of a distance, older step first. values [place, old, new]
    -> distances [d], means [prompt, d]."""
    steps = np.array(found.along)
    apart = steps[None, :] - steps[:, None]  # [old, new]
    distances = np.unique(apart[apart >= 0])
    prompts = np.array([place.prompt for place in found.places])
    means = [[mean_recorded(values[prompts == prompt][:, apart == distance], axis=(0, 1))
              for distance in distances] for prompt in np.unique(prompts)]
    return distances, np.array(means, dtype=np.float64)


@figure("reuse-decay", "stability", "How long may a mask be reused?", needs=("maps", "map_steps"), panels=True,
        columns=2, height=2.4)
def reuse_decay(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
                fraction: float = REFERENCE_FRACTION) -> Drawn:
    """Agreement of an old step's tiles with a later step's, and the mass that they still hold there."""
    site = site or default_site(profile, kept="maps")
    calls = [call for call in kept_calls(profile, "maps") if call.branch == site.branch]
    found = set_agreement(profile, "step", calls, fraction)
    distances, agreement = by_distance(found, found.jaccard)
    _, recall = by_distance(found, found.recall)
    # What the new step's own mask holds, of the same pairs.
    own = np.broadcast_to(np.diagonal(found.recall, axis1=1, axis2=2)[:, None, :], found.recall.shape)
    _, fresh = by_distance(found, np.where(np.isnan(found.recall), np.nan, own))
    kept = found.kept / found.tiles
    left, right = style.row_of_panels(figure, 2)
    rows = draw_line(left, distances, prompt_band(agreement), "agreement", "old mask")
    for row in rows:
        row |= {"chance": found.chance, "above_chance": above_chance(row["y"], found.chance)}
    left.axhline(found.chance, color=style.QUIET, linewidth=0.8)
    left.set(ylim=(0, 1.02), ylabel="Jaccard index of the sets")
    band = prompt_band(recall)
    rows += draw_line(right, distances, band, "mass of the old mask", "old mask")
    rows += draw_line(right, distances, prompt_band(fresh), "mass of the new mask", "new mask")
    right.axhline(kept, color=style.QUIET, linewidth=0.8, label="chance")
    right.set(ylim=(0, 1.02), ylabel="mass that the mask holds")
    for axes in (left, right):
        style.index_axis(axes.xaxis, "steps between the maps")
        axes.set_xlim(-0.02 * distances[-1], 1.02 * distances[-1])
    style.legend_above(figure, 3, handles=right.get_legend_handles_labels()[0])
    pairs = len(found.along) * (len(found.along) - 1) // 2
    steps = ", ".join(map(str, found.along[:8])) + (", ..." if len(found.along) > 8 else "")
    text = caption(
        profile, "Tiles with most mass at one step, used at a later one, f = "
        f"{style.fraction_text(fraction)}. First panel: their agreement with the later step's own, the query "
        "tile's own tile left out. Second panel: the mass that they hold at the later step, own tile included, "
        "beside what that step's own tiles hold", site=site, axes=("prompt", "step", "layer", "head"),
        averaged="query tiles by their rows, heads, layers, prompts and the pairs of a distance "
        f"({pairs} pairs of steps {steps})",
        notes=(band.meaning, f"chance: {found.chance:.2f} and {kept:.2f}", excess_text(rows),
               found.sample_text()))
    return Drawn(pd.DataFrame(rows), text)


def excess_text(rows: list[dict]) -> str:
    first, last = rows[1], [row for row in rows if "above_chance" in row][-1]
    return (f"excess of the agreement over chance: {first['above_chance']:.2f} at {first['steps_apart']} steps"
            + (f", {last['above_chance']:.2f} at {last['steps_apart']}" if last is not first else ""))


def draw_line(axes: Axes, distances: np.ndarray, band: Band, curve: str, mask: str) -> list[dict]:
    place = ("old mask", "new mask").index(mask)
    colour = style.COLOURS[place]
    axes.plot(distances, band.mean, color=colour, linestyle=style.DASHES[place],
              marker=style.MARKERS[place], label=mask)
    axes.fill_between(distances, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
    return [{"curve": curve, "steps_apart": int(distance), "y": value,
             "low": low, "high": high}
            for distance, value, low, high in zip(distances, band.mean, band.low, band.high)]
