"""Whether heads that attend to little have queries that are alike."""
from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.query_cosine import EDGES, cosine_counts
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.row_overlap import grid_table
from sparsescope.figures.select import default_site
from sparsescope.profile import Site
from sparsescope.statistics import fraction_for, histogram_quantile, mean_recorded, rank_correlation


@figure("mass-vs-redundancy", "queries", "Do sparse heads have redundant queries?", panels=True, height=2.6)
def mass_vs_redundancy(figure: Figure, profile: xr.Dataset, *, recall: float = 0.9,
                       site: Site | None = None) -> Drawn:
    """Per head: the smallest kept fraction whose best tiles hold the mass, and the median query cosine."""
    site = site or default_site(profile)
    curves = profile["coverage_tile"].isel(branch=site.branch, step=site.step)
    needed = fraction_for(mean_recorded(curves.values, axis=0), profile["f"].values, recall)  # [layer, head]
    cosine = histogram_quantile(cosine_counts(profile, site), EDGES, 0.5)
    axes = figure.subplots()
    style.line_bar(figure, style.head_points(axes, needed, cosine), axes, "layer")
    style.fraction_axis(axes.xaxis, f"tiles that hold {recall:.0%} of the mass (fraction)".replace("%", " %"))
    axes.set_xlim(min(0.22, np.nanmin(needed) / 1.3), 1.1)
    axes.set_ylim(top=1)
    axes.set_ylabel("median query cosine")
    table = grid_table(needed, "layer", "head", "f").assign(cosine=cosine.ravel())
    known = table.dropna()
    rank = rank_correlation(known["f"].values, known["cosine"].values) if len(known) > 2 else np.nan
    correlation = f"Rank correlation (Spearman) over {len(known)} heads: {rank:.2f}"
    text = caption(
        profile, "Each point a head: the smallest kept fraction at which the best tiles of each query tile "
        f"hold {recall:g} of the mass (linear in log f), against the median cosine between a row's query and "
        "its tile's centre", site=site, axes=("prompt", "layer", "head"),
        averaged=f"{prompts_text(profile)} (mass), rows of all of them (cosine)", notes=(correlation if np.isfinite(rank) else "",))
    return Drawn(table, text)
