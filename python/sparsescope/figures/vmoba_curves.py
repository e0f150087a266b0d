"""VMoBA's selection under each partition: what it keeps and what it captures."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.partition_names import KINDS, PUBLISHED_SHARE, PUBLISHED_TAU, kind_of, nearest_count
from sparsescope.profile import Site, partitions, vmoba
from sparsescope.statistics import prompt_band

RULES = (("tau", "threshold"), ("topk", "top-k"))
KIND_LOOKS = {"temporal": (style.BLUE, "o"), "spatial": (style.ORANGE, "s"), "st": (style.GREEN, "^")}


@figure("vmoba-curves", "methods", "Which partition and threshold?", needs=("vmoba",), panels=True, columns=2,
        height=4.5)
def vmoba_curves(figure: Figure, profile: xr.Dataset, *, site: Site | None = None,
                 pool: str = "head_global") -> Drawn:
    """Density against tau and k, and recall against density, of one head; a line a partition. pool: of the
    threshold: query_head, head_global, block or overall."""
    site = site or default_site(profile)
    names = sorted(partitions(profile), key=lambda name: KINDS.index(kind_of(name)))
    panels = figure.subplots(2, 2)
    rows, meaning = [], ""
    for name in names:
        curves = vmoba(profile, name).isel(branch=site.branch, step=site.step, layer=site.layer,
                                           head=site.head)
        look = partition_style(name, names)
        for (suffix, rule), (settings, recalls) in zip(RULES, panels.T):
            chosen = curves[[f"density_{suffix}", f"recall_{suffix}"]]
            chosen = chosen.sel(pool=pool) if suffix == "tau" else chosen
            axis = "tau" if suffix == "tau" else "k"
            at = curves[axis].values
            density, recall = (prompt_band(chosen[what].transpose("prompt", axis).values)
                               for what in (f"density_{suffix}", f"recall_{suffix}"))
            meaning = recall.meaning
            shipped = PUBLISHED_TAU if suffix == "tau" else nearest_count(PUBLISHED_SHARE, len(at))
            place = [int(np.abs(at - shipped).argmin())]
            settings.plot(at, density.mean, **look, markevery=place, label=name)
            recalls.plot(density.mean, recall.mean, **look, markevery=place)
            recalls.fill_between(density.mean, recall.low, recall.high, color=look["color"], alpha=0.12,
                                 linewidth=0)
            rows += [{"partition": name, "rule": rule, "setting": s, "density": d, "recall": r, "low": lo,
                      "high": hi,
                      "shipped": i in place} for i, (s, d, r, lo, hi) in
                     enumerate(zip(at, density.mean, recall.mean, recall.low, recall.high))]
    _name_axes(panels, pool)
    style.legend_above(figure, 4, handles=panels[0, 0].get_lines(), handlelength=3.5)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Pairs that VMoBA keeps of one head, over its settings (above), and the attention mass that "
        f"they hold (below), under a threshold over the pool {pool} (left) and the k best blocks of each "
        "query, its own included (right); a line a partition",
        site=site, axes=("prompt",), averaged=f"{recall.prompts} prompts" if recall.prompts > 1 else "",
        notes=(f"markers: the published settings, tau {PUBLISHED_TAU:g} and k a quarter of the blocks",
               "grey: random choice", meaning)))


def partition_style(name: str, names: list[str]) -> dict:
    """Colour and marker by kind; within a kind the dash tells the sizes apart."""
    kind = kind_of(name)
    place = [other for other in names if kind_of(other) == kind].index(name)
    colour, marker = KIND_LOOKS[kind]
    return {"color": colour, "marker": marker, "markersize": 4.5, "markerfacecolor": "white",
            "linestyle": style.DASHES[place % len(style.DASHES)]}


def _name_axes(panels: np.ndarray, pool: str) -> None:
    (by_tau, by_k), below = panels
    by_tau.set_xlabel("threshold tau")
    by_tau.set_xlim(0, 1)
    by_k.set_xscale("log", base=2)
    by_k.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:g}"))
    by_k.set_xlabel("k (blocks of a query)")
    by_tau.set_ylabel("density")
    by_tau.set_ylim(0, 1.02)
    style.fraction_axis(by_k.yaxis, "density")
    by_tau.set_title(f"threshold, pool {pool}")
    by_k.set_title("top-k")
    share = np.geomspace(1 / 64, 1)
    for axes in below:
        axes.plot(share, share, color=style.QUIET, linewidth=0.8)
        style.fraction_axis(axes.xaxis, "density")
        axes.set_ylabel("attention mass kept")
        axes.set_ylim(0, 1.02)
