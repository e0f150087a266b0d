"""How alike the rows of a tile attend."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.profile import Site
from sparsescope.statistics import mean_recorded


def _height(profile: xr.Dataset) -> float:
    return float(np.clip(1.0 + 0.14 * profile.sizes["layer"], 2.0, 5.5))


@figure("row-overlap", "queries", "Can the rows of a tile share one list of key tiles?", height=_height)
def row_overlap(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Overlap of a row's tile masses with its tile's mean, layer by head."""
    site = site or default_site(profile)
    overlap = mean_recorded(profile["row_overlap"].isel(branch=site.branch, step=site.step).values, axis=0)
    least = np.floor(np.nanmin(overlap) * 10) / 10
    image = style.grid_image(axes, overlap, vmin=min(least, 0.9), vmax=1)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=25)
    bar.set_label("row overlap (1: all rows alike)")
    bar.outline.set_visible(False)
    if overlap.shape[1] <= 12 and overlap.shape[0] <= 24:
        style.cell_texts(axes, image, overlap, "{:.2f}")
    style.index_axis(axes.xaxis, "head")
    style.layer_axis(axes.yaxis, profile)
    text = caption(
        profile, "Overlap of a row's attention over the key tiles with the mean over its query tile: 1 less "
        "half the sum of absolute differences, mean over rows", site=site, axes=("prompt", "layer", "head"),
        averaged=prompts_text(profile))
    return Drawn(grid_table(overlap, "layer", "head", "overlap"), text)


def grid_table(values: np.ndarray, row: str, column: str, value: str) -> pd.DataFrame:
    """A row of the table for every cell; values [row, column]."""
    places = np.indices(values.shape)
    return pd.DataFrame({row: places[0].ravel(), column: places[1].ravel(), value: values.ravel()})
