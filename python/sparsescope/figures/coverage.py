"""How much of the attention the K(f) heaviest tiles hold."""
from __future__ import annotations

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.grid import tile_grid
from sparsescope.profile import Site
from sparsescope.statistics import kept_tiles, prompt_band

CURVES = (("coverage_row", "best per row", ":"), ("coverage_tile", "best per tile", "--"),
          ("coverage_pooled", "pooled scores", "-"))


@figure("coverage", "curves", "How sparse can this head be, and how much does the selector lose?", height=2.9)
def coverage(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """coverage_row, coverage_tile and coverage_pooled of a sharp head (or the site's) beside the most
    diffuse head of the same layer, against the kept fraction f; random choice keeps K(f) / N."""
    sharp = site or default_site(profile)
    diffuse = default_site(profile, diffuse=True, prompt=sharp.prompt, branch=sharp.branch, step=sharp.step,
                           layer=sharp.layer)
    fractions = profile["f"].values
    rows, meaning = [], ""
    heads = [sharp] if sharp.head == diffuse.head else [sharp, diffuse]
    for place, colour in zip(heads, (style.ORANGE, style.BLUE)):
        for name, label, dash in CURVES:
            curve = profile[name].isel(branch=place.branch, step=place.step, layer=place.layer, head=place.head)
            band = prompt_band(curve.transpose("prompt", "f").values)
            meaning = band.meaning
            axes.plot(fractions, band.mean, linestyle=dash, color=colour, label=f"head {place.head}, {label}")
            axes.fill_between(fractions, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
            rows += [{"head": place.head, "curve": name, "f": f, "mass": m, "low": lo, "high": hi}
                     for f, m, lo, hi in zip(fractions, band.mean, band.low, band.high)]
    tiles = tile_grid(profile).tiles
    axes.plot(fractions, kept_tiles(fractions, tiles) / tiles, color=style.QUIET, linewidth=0.8, label="random choice")
    style.fraction_axis(axes.xaxis, "tiles kept (fraction)")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("attention mass kept")
    style.legend_above(axes, 2)
    text = caption(
        profile, f"Attention mass that the kept tiles hold, for {_heads_text(heads)}: the best tiles of each row, "
        "the best of each query tile, and those that pooled scores pick", site=sharp, axes=("prompt", "head"),
        averaged=f"{band.prompts} prompts" if band.prompts > 1 else "", notes=(meaning,))
    return Drawn(pd.DataFrame(rows), text)


def _heads_text(heads: list[Site]) -> str:
    if len(heads) == 1:
        return f"head {heads[0].head}"
    return f"head {heads[0].head} and the most diffuse head of its layer"
