"""How far in time frames look: the mass between latent frames."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption, prompts_text
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.profile import Site
from sparsescope.statistics import mean_recorded

LIMITS = (3.0, 10.0, 30.0)
MOST_PRINTED = 24  # numbers in a column that can be read


@figure("frame-map", "maps", "How far in time do frames look?", panels=True)
def frame_map(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """frame_mass * T, mean over prompts; at the side what each frame gives to video and to text."""
    site = site or default_site(profile)
    mass = profile["frame_mass"].isel(branch=site.branch, step=site.step, layer=site.layer, head=site.head)
    mass = mean_recorded(mass.transpose("prompt", "frame_query", "frame_key").values, axis=0)
    frames = len(mass)
    lift = mass * frames
    style.fit_height(figure, 0.63 * style.width_of(figure) + 0.4)
    axes = figure.subplots()
    image = axes.imshow(lift, cmap=style.RAMP, norm=style.lift_norm(frame_limit(lift)), interpolation="none",
                        aspect="auto", rasterized=True)
    axes.grid(False)
    style.index_axis(axes.xaxis, "key latent frame")
    style.index_axis(axes.yaxis, "query latent frame")
    _print_sums(axes, mass)
    style.lift_bar(figure, image, axes)
    query, key = np.meshgrid(np.arange(frames), np.arange(frames), indexing="ij")
    table = pd.DataFrame({"query_frame": query.ravel(), "key_frame": key.ravel(), "mass": mass.ravel(),
                          "lift": lift.ravel(), "text": (1 - mass.sum(axis=1)).clip(0)[query.ravel()]})
    return Drawn(table, caption(
        profile, "Attention between latent frames over what uniform attention would give, log scale; at the "
        "side, the share of each frame's attention on video tokens and on text tokens", site=site,
        axes=("prompt",), averaged=prompts_text(profile)))


def frame_limit(lift: np.ndarray) -> float:
    """Where the ramp ends on both sides: the least of LIMITS that holds every pair, 100 where none does."""
    furthest = np.exp(np.abs(np.log(lift[lift > 0])).max(initial=0))
    return next((limit for limit in LIMITS if furthest <= limit), style.LIFT_RANGE[1])


def _print_sums(axes, mass: np.ndarray) -> None:
    video = mass.sum(axis=1)
    frames = len(mass)
    every = -(-frames // MOST_PRINTED)
    places = [(1.08, "video", video), (1.22, "text", (1 - video).clip(0))]
    for x, name, values in places:
        axes.text(x, 1.02, name, transform=axes.transAxes, ha="center", va="bottom", fontsize="small")
        for frame in range(0, frames, every):
            axes.text(x, frame, f"{values[frame]:.2f}", transform=axes.get_yaxis_transform(), ha="center",
                      va="center", fontsize="small")
