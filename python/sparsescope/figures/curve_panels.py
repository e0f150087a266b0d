"""Small multiples of curves: a panel a head, a layer or a step."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.select import default_site, spread
from sparsescope.profile import Site, recorded
from sparsescope.statistics import Band, prompt_band

MOST_PANELS = 12
AXES = ("head", "layer", "step")


@dataclass(frozen=True)
class Place:
    """A head, or the mean over the heads of its layer."""

    site: Site
    title: str
    all_heads: bool = False

    def values(self, profile: xr.Dataset, name: str) -> np.ndarray:
        """[prompt, ...] of one statistic."""
        at = profile[name].isel(branch=self.site.branch, step=self.site.step, layer=self.site.layer)
        at = at.mean("head") if self.all_heads else at.isel(head=self.site.head)
        return at.transpose("prompt", ...).values

    def band(self, profile: xr.Dataset, name: str) -> Band:
        return prompt_band(self.values(profile, name))

    @property
    def columns(self) -> dict:
        """Where it is, for a table."""
        head = "all" if self.all_heads else self.site.head
        return {"step": self.site.step, "layer": self.site.layer, "head": head}


def sharp_and_diffuse(profile: xr.Dataset, site: Site | None, kept: str = "") -> list[Site]:
    """The site's head, else the sharpest of all, then the most diffuse head of the same layer. kept: as of
    select.default_site."""
    sharp = site or default_site(profile, kept=kept)
    diffuse = default_site(profile, kept=kept, diffuse=True, prompt=sharp.prompt, branch=sharp.branch,
                           step=sharp.step, layer=sharp.layer)
    return [sharp] if sharp == diffuse else [sharp, diffuse]


def head_names(heads: list[Site]) -> list[str]:
    """What sharp_and_diffuse found, for a legend."""
    return [f"head {heads[0].head}", *(f"head {head.head}, most diffuse" for head in heads[1:])]


def heads_text(heads: list[Site]) -> str:
    """The same for a caption."""
    names = [f"head {head.head}" for head in heads]
    return " and ".join(names) + (", the most diffuse of its layer" if len(heads) > 1 else "")


def colour_handles(names: list[str]) -> list[Line2D]:
    """Heads by colour, and random choice: a column of a legend."""
    return [*(Line2D([], [], color=colour, linewidth=2.2, label=name)
              for name, colour in zip(names, (style.ORANGE, style.BLUE))),
            Line2D([], [], color=style.QUIET, linewidth=0.8, label="random choice")]


def over_prompts(band: Band, *spanned: str) -> dict:
    """For caption: the axes that a figure of bands spans, and what it is averaged over. A single prompt is
    named with the site."""
    if band.prompts == 1:
        return {"axes": spanned}
    return {"axes": ("prompt", *spanned), "averaged": f"{band.prompts} prompts"}


def places_along(profile: xr.Dataset, site: Site, over: str) -> list[Place]:
    """The site's head at every step, every head of its layer, or every layer (mean over its heads)."""
    if over not in AXES:
        raise UsageError(f"over: expected one of {', '.join(AXES)}, found '{over}'")
    known = list(range(profile.sizes["head"])) if over == "head" else recorded(profile, over)
    titles = {"head": lambda i: f"head {i}", "layer": lambda i: f"layer {i}",
              "step": lambda i: _step_title(profile, i)}
    return [Place(site.with_(**{over: i}), titles[over](i), over == "layer")
            for i in spread(known, MOST_PANELS)]


def _step_title(profile: xr.Dataset, step: int) -> str:
    noise = float(profile["sigma"][step]) if "sigma" in profile else np.nan
    return f"step {step}" if np.isnan(noise) else f"step {step}, noise {noise:.2f}"


def along_text(profile: xr.Dataset, places: list[Place], over: str) -> str:
    """What the panels are, for a caption."""
    known = profile.sizes["head"] if over == "head" else len(recorded(profile, over))
    some = f"{len(places)} of {known}" if len(places) < known else f"all {known}"
    spread_out = ", evenly spread" if len(places) < known else ""
    mean = "; each the mean over the layer's heads" if over == "layer" else ""
    return f"A panel a {over}, {some} {over}s{spread_out}{mean}"


def panel_grid(figure: Figure, count: int) -> list[Axes]:
    """Panels with common axes, as many a row as the paper is wide; the figure becomes as high as they need."""
    per_row = min(count, 2 if style.is_narrow(figure) else 4)
    if count > per_row:
        style.fit_height(figure, (1.0 if style.is_narrow(figure) else 0.7) + 1.35 * -(-count // per_row))
    axes = figure.subplots(-(-count // per_row), per_row, sharex=True, sharey=True, squeeze=False)
    for spare in axes.flat[count:]:
        spare.set_axis_off()
    for above in axes.flat[max(0, count - per_row):count]:
        above.tick_params(labelbottom=True)
    return list(axes.flat[:count])


def label_edges(axes: list[Axes], ylabel: str) -> None:
    """Axis labels along the outside alone: x under the lowest panel of each column."""
    lowest = {a.get_subplotspec().colspan.start: a for a in axes}
    for panel in axes:
        if panel not in lowest.values():
            panel.set_xlabel("")
        panel.set_ylabel(ylabel if panel.get_subplotspec().is_first_col() else "")


def draw_band(axes: Axes, x: np.ndarray, band: Band, **keywords) -> None:
    """The mean as a line, its interval as a shade."""
    line, = axes.plot(x, band.mean, **keywords)
    axes.fill_between(x, band.low, band.high, color=line.get_color(), alpha=0.15, linewidth=0)


def band_rows(where: dict, curve: str, x_name: str, x: np.ndarray, band: Band) -> list[dict]:
    return [{**where, "curve": curve, x_name: value, "mass": m, "low": lo, "high": hi}
            for value, m, lo, hi in zip(x, band.mean, band.low, band.high)]


def random_choice(axes: Axes, fractions: np.ndarray, kept: np.ndarray) -> None:
    axes.plot(fractions, kept, color=style.QUIET, linewidth=0.8, label="random choice")
