"""Which latent frames draw attention."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import middle_step
from sparsescope.profile import Site, recorded
from sparsescope.statistics import Band, mean_recorded, prompt_band

LEAST_SPAN = 0.1  # of the axis on either side of uniform: smaller differences shall look small
MOST_BANDS = 10  # layers: more intervals cover each other


def received_by_frames(profile: xr.Dataset, site: Site) -> Band:
    """Lift of the mass that each key frame receives from all frames, mean over the layer's heads: [frame]."""
    at = profile["frame_mass"].isel(branch=site.branch, step=site.step, layer=site.layer)
    masses = at.transpose("prompt", "head", "frame_query", "frame_key").values
    return prompt_band(mean_recorded(masses, (1, 2)) * masses.shape[-1])


@figure("frame-key-mass", "structure", "Do certain frames draw attention?", height=2.5)
def frame_key_mass(axes: Axes, profile: xr.Dataset, *, branch: int = 0, step: int | None = None) -> Drawn:
    """A line a layer: attention that a latent frame receives, over what uniform attention gives it."""
    step = middle_step(profile) if step is None else step
    layers = recorded(profile, "layer")
    frames = np.arange(profile.sizes["frame_key"])
    ramp = style.line_ramp(profile.sizes["layer"])
    rows = []
    for layer in layers:
        band = received_by_frames(profile, Site(branch=branch, step=step, layer=layer))
        few = len(layers) <= MOST_BANDS
        colour = ramp.to_rgba(layer)
        axes.plot(frames, band.mean, color=colour, linewidth=1.1 if few else 0.8,
                  marker=style.MARKERS[layer % len(style.MARKERS)] if few else "", markersize=2.6)
        if few:
            axes.fill_between(frames, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
        rows += [{"layer": layer, "frame": frame, "lift": m, "low": lo, "high": hi}
                 for frame, m, lo, hi in zip(frames, band.mean, band.low, band.high)]
    axes.axhline(1, color=style.QUIET, linewidth=0.8, linestyle="--")
    style.index_axis(axes.xaxis, "key latent frame")
    axes.set_ylabel("attention received over uniform")
    low, high = axes.get_ylim()
    axes.set_ylim(max(0, min(low, 1 - LEAST_SPAN)), max(high, 1 + LEAST_SPAN))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    style.line_bar(axes.figure, ramp, axes, "layer")
    told = band.meaning if len(layers) <= MOST_BANDS else ""
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Attention that the keys of a latent frame receive from the queries of all frames, over what "
        "uniform attention gives (1, dashed), a line a layer", site=Site(branch=branch, step=step),
        axes=("prompt", "layer", "head"), averaged=f"all heads of a layer and {band.prompts} "
        f"prompt{'s' if band.prompts > 1 else ''}", notes=(told,)))
