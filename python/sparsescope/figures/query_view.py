"""One query on its frame, and where it looks over the frames."""
from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from sparsescope import profile as files
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import kept_site, spread_with
from sparsescope.profile import Site, kept_calls, kept_heads
from sparsescope.query_look import CANDIDATES, QueryLook, Token, look

MOST_PANELS = 16
TALLEST = 4.8  # inches
DIMMED = (0.08, 0.5)  # the grey that black and white of a video become, so that attention stands out


def glow() -> ListedColormap:
    """Clear at uniform attention, bright and nearly opaque at 100 times it; rises in lightness over a dimmed
    video, in print without colour too."""
    colours = mpl.colormaps["inferno"](np.linspace(0.42, 1, 256))
    colours[:, 3] = 0.95 * np.linspace(0, 1, 256) ** 0.6
    return ListedColormap(colours)


@figure("query-view", "maps", "What does this pixel look at?", needs=("qkv|maps",), panels=True, columns=2)
def query_view(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
               query: Token | None = None) -> Drawn:
    """The lift of one query's row on every latent frame, over the decoded video where there is one."""
    if site is None:
        site, kind = kept_site(profile, ("qkv", "maps"))
    else:
        call = site.with_(head=0)
        exact = call in kept_calls(profile, "qkv") and site.head in kept_heads(profile, "qkv", call)
        kind = "qkv" if exact else "maps"
    seen = look(profile, site, kind, query)
    video = files.video(profile, site.prompt)
    frames = spread_with(list(range(len(seen.mass))), MOST_PANELS, seen.query[0])
    page = _page(figure, len(frames), seen.mass.shape[2] / seen.mass.shape[1])
    for frame, axes in zip(frames, page.flat):
        image = _panel(axes, seen, frame, video)
        weight = "bold" if frame == seen.query[0] else "normal"
        axes.set_title(f"frame {frame}", loc="left", fontweight=weight)
        axes.set_title(_percent(seen.mass[frame].sum()), loc="right")
    _bar(figure, image, page, video is not None)
    return Drawn(_table(seen, frames), caption(
        profile, _shown(seen, video is not None), site=site,
        notes=(_choice(seen) if query is None else "", _panels_text(frames, seen),
               f"text tokens get {_percent(seen.text)} of its attention" if seen.text > 5e-4 else "")))


def _page(figure: Figure, panels: int, shape: float) -> np.ndarray:
    """Axes of frames of width/height `shape`, few in a row where the page stays low enough -> [row,
    column]."""
    width = style.width_of(figure)
    for columns in range(min(panels, 3 if style.is_narrow(figure) else 4), panels + 1):
        rows = -(-panels // columns)
        height = rows * (((width - 0.95) / columns - 0.085) / shape + 0.26) + 0.05
        if height <= TALLEST:
            break
    style.fit_height(figure, height)
    if isinstance(figure, Figure):
        figure.set_layout_engine("compressed")
    page = figure.subplots(rows, columns, squeeze=False)
    for axes in page.flat[panels:]:
        axes.set_axis_off()
    return page


def _panel(axes, seen: QueryLook, frame: int, video: np.ndarray | None):
    frames, height, width = seen.mass.shape
    place = {"extent": (-0.5, width - 0.5, height - 0.5, -0.5), "interpolation": "none", "rasterized": True}
    if video is None:
        image = axes.imshow(seen.lift[frame], cmap=style.RAMP, norm=style.lift_norm(), **place)
    else:
        axes.imshow(_dimmed(video, frame, frames), cmap="gray", vmin=0, vmax=1, **place)
        norm = LogNorm(1, style.LIFT_RANGE[1], clip=True)
        image = axes.imshow(seen.lift[frame], cmap=glow(), norm=norm, **place)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if seen.first[0] <= frame < seen.first[0] + seen.extent[0]:
        _mark(axes, seen, asked=frame == seen.query[0])
    return image


def _dimmed(video: np.ndarray, frame: int, frames: int) -> np.ndarray:
    """The video frame nearest in time to a latent frame, as grey in the range DIMMED."""
    nearest = round(frame * (len(video) - 1) / max(frames - 1, 1))
    grey = video[nearest] @ np.array([0.299, 0.587, 0.114]) / 255
    return DIMMED[0] + (DIMMED[1] - DIMMED[0]) * grey


def _mark(axes, seen: QueryLook, asked: bool) -> None:
    """The tile that asks on each of its frames; the token itself on its own."""
    halo = [withStroke(linewidth=2.6, foreground="black")]
    if not seen.exact:
        axes.add_patch(Rectangle((seen.first[2] - 0.5, seen.first[1] - 0.5), seen.extent[2], seen.extent[1],
                                 fill=False, edgecolor="white", linewidth=1.2, path_effects=halo))
    elif asked:
        axes.plot(seen.query[2], seen.query[1], marker="o", markersize=7, markerfacecolor="none",
                  markeredgecolor="white", markeredgewidth=1.2, path_effects=halo, clip_on=False)
    if asked:
        for spine in axes.spines.values():
            spine.set(visible=True, color=style.ORANGE, linewidth=1.6)


def _bar(figure: Figure, image, page: np.ndarray, over_video: bool) -> None:
    if not over_video:
        style.lift_bar(figure, image, list(page.flat))
        return
    bar = figure.colorbar(image, ax=list(page.flat), ticks=[1, 10, 100], pad=0.02, aspect=25)
    bar.ax.set_facecolor(str(sum(DIMMED) / 2))  # as over a grey video
    bar.ax.minorticks_off()
    bar.set_ticklabels(["≤ uniform", "10 x", "≥ 100 x"])
    bar.set_label("attention over uniform")
    bar.outline.set_visible(False)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"


def _table(seen: QueryLook, frames: list[int]) -> pd.DataFrame:
    frame, row, column = np.meshgrid(frames, *(np.arange(n) for n in seen.mass.shape[1:]), indexing="ij")
    return pd.DataFrame({"key_frame": frame.ravel(), "key_row": row.ravel(), "key_column": column.ravel(),
                         "mass": seen.mass[frames].ravel(), "lift": seen.lift[frames].ravel()})


def _shown(seen: QueryLook, over_video: bool) -> str:
    asks = "the token" if seen.exact else "the tile of tokens around"
    marked = "ringed" if seen.exact else "framed in white"
    where = "over the decoded video in dimmed grey" if over_video else "on each latent frame"
    return (f"Where {asks} ({', '.join(map(str, seen.query))}) (latent frame, row, column; {marked}, its "
            f"frame in orange) looks: attention over what uniform attention would give, log scale, {where}; "
            "percentages: each frame's share of its attention")


def _choice(seen: QueryLook) -> str:
    few = f" of {CANDIDATES} spread over" if seen.exact and seen.mass[0].size > 4 * CANDIDATES else " of"
    return f"the query is the one{few} the inner half of the middle frame whose attention has least entropy"


def _panels_text(frames: list[int], seen: QueryLook) -> str:
    every = len(seen.mass)
    return f"{len(frames)} of {every} latent frames, evenly chosen, the query's among them" \
        if len(frames) < every else ""
