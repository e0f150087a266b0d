"""How the attention of video rows divides between text, the own frame and other frames, over layers."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.profile import Site, recorded
from sparsescope.statistics import mean_recorded, prompt_band

SPREAD = (5, 95)  # percentiles over heads
SEGMENTS = (("own_frame", "own frame", style.BLUE, ""), ("other_frames", "other frames", style.SKY, ""),
            ("text", "text", style.YELLOW, "////"))


@figure("segment-mass", "maps", "How much attention stays in the frame, how much goes to text?", height=2.6)
def segment_mass(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """Stacked bars a layer, means over heads and prompts; lines span the heads' own-frame share, pale bands
    are its interval over prompts."""
    site = site or default_site(profile)
    layers = recorded(profile, "layer")
    shares = {layer: layer_shares(profile, site, layer) for layer in layers}
    text = any(shares[layer]["text"].max() > 0 for layer in layers)
    parts = [part for part in SEGMENTS if part[0] != "text" or text]
    rows, bottom = [], np.zeros(len(layers))
    for name, label, colour, hatch in parts:
        bands = [prompt_band(shares[layer][name].mean(axis=1)) for layer in layers]
        heights = np.array([float(band.mean) for band in bands])
        axes.bar(layers, heights, bottom=bottom, width=0.8, color=colour, label=label, hatch=hatch,
                 edgecolor="white", linewidth=0.3)
        bottom += heights
        for layer, band in zip(layers, bands):
            heads = np.percentile(mean_recorded(shares[layer][name], axis=0), SPREAD)
            rows.append({"layer": layer, "segment": name, "mass": float(band.mean), "low": float(band.low),
                         "high": float(band.high), "heads_low": heads[0], "heads_high": heads[1]})
    table = pd.DataFrame(rows)
    own = table[table["segment"] == "own_frame"]
    axes.bar(layers, own["high"] - own["low"], bottom=own["low"], width=0.8, color="white", alpha=0.6)
    axes.vlines(layers, own["heads_low"], own["heads_high"], color=style.INK, linewidth=0.8,
                label="own frame, 5-95 % of heads")
    frames = profile.sizes["frame_query"]
    axes.axhline(1 / frames, color=style.INK, linewidth=0.8, linestyle="--", label="own frame if uniform")
    axes.grid(False)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of attention")
    style.layer_axis(axes.xaxis, profile)
    handles, _ = axes.get_legend_handles_labels()
    handles.sort(key=lambda handle: isinstance(handle, Line2D | LineCollection))
    style.legend_above(axes, 2, handles=handles)
    return Drawn(table, caption(
        profile, "Where the attention of video tokens goes in each layer; thin lines span the 5th to 95th "
        "percentile of the heads' own-frame share, pale bands the interval of its mean; dashed, that share "
        f"under uniform attention, 1/{frames}", site=site, axes=("prompt", "layer", "head"),
        averaged=f"the heads of a layer and {prompts_text(profile)}", notes=(band.meaning,)))


def layer_shares(profile: xr.Dataset, site: Site, layer: int) -> dict[str, np.ndarray]:
    """Mean over a layer's video rows of the mass on each segment, [prompt, head]. Frames hold equally many
    rows, so that the mean over rows is the mean over frames."""
    at = profile.isel(branch=site.branch, step=site.step, layer=layer)
    frame_mass = at["frame_mass"].transpose("prompt", "head", "frame_query", "frame_key").values
    frame_mass = frame_mass.astype(np.float64)
    own = np.trace(frame_mass, axis1=2, axis2=3) / frame_mass.shape[2]
    return {"own_frame": own, "other_frames": frame_mass.sum(axis=3).mean(axis=2) - own,
            "text": at["prefix_mass"].transpose("prompt", "head").values.astype(np.float64)}
