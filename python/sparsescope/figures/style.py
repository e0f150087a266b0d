"""How figures look: sizes, fonts, colours, and the axes that many of them share.

Colours are told apart by colour-blind readers (Okabe and Ito) and carry a dash or a marker as well;
ramps rise in lightness, so that they read in grey.
"""
from __future__ import annotations

from contextlib import contextmanager
from importlib import resources

import matplotlib as mpl
import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

WIDTHS = {1: 3.5, 2: 7.16}  # inches: one and two columns of a paper
FONT_SIZES = {1: 7.0, 2: 8.0}

INK, QUIET = "#222222", "#8a8a8a"
BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, INK)
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
METHODS = {"vsa": ("VSA", BLUE, "-", "o"), "bsa": ("BSA", ORANGE, "--", "s"),
           "vmoba": ("VMoBA", GREEN, ":", "^"), "dense": ("dense", INK, "-", "D")}

LIFT_RANGE = (0.01, 100.0)
RAMP = "cividis"


@contextmanager
def context(columns: int = 1):
    """The style for figures of one or two columns; draw inside it."""
    size = FONT_SIZES[columns]
    sheet = resources.files("sparsescope.figures") / "sparsescope.mplstyle"
    with resources.as_file(sheet) as path, mpl.rc_context():
        mpl.style.use(path)
        mpl.rcParams.update({
            "font.size": size, "axes.labelsize": size, "axes.titlesize": size,
            "xtick.labelsize": size - 1, "ytick.labelsize": size - 1,
            "legend.fontsize": size - 1, "figure.titlesize": size + 1,
        })
        yield


def new_figure(columns: int, height: float) -> Figure:
    """A figure of that many columns of a paper, height in inches; belongs to no window."""
    return Figure(figsize=(WIDTHS[columns], height), layout="constrained")


def fraction_axis(axis, label: str) -> None:
    """A kept fraction on a log axis (axes.xaxis or axes.yaxis): 1/64 to 1."""
    axes, name = axis.axes, axis.axis_name
    getattr(axes, f"set_{name}scale")("log", base=2)
    ticks = [1 / 64, 1 / 16, 1 / 4, 1]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(FixedLocator([1 / 32, 1 / 8, 1 / 2]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: fraction_text(value)))
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axis.set_label_text(label)


def fraction_text(value: float) -> str:
    """0.0625 -> "1/16"; other values with three digits."""
    if value >= 1:
        return f"{value:g}"
    inverse = 1 / value
    return f"1/{round(inverse)}" if abs(inverse - round(inverse)) < 1e-6 else f"{value:.3g}"


def index_axis(axis, label: str) -> None:
    """Layers, heads, tiles, frames: whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axis.set_minor_locator(NullLocator())
    axis.set_label_text(label)


def step_label(profile: xr.Dataset) -> str:
    """The label of an axis of step indices, which says where the noise is."""
    return "denoising step (0: noise)"


def legend_above(owner, columns: int, **keywords):
    """A legend over the plots, where no data can lie under it. owner: an Axes, or a Figure for the handles of
    all its panels (give handles= where panels share them)."""
    if isinstance(owner, Axes):
        keywords.setdefault("handles", owner.get_legend_handles_labels()[0])
        owner = owner.figure
    return owner.legend(loc="outside upper left", ncols=columns, **keywords)


def lift_norm() -> LogNorm:
    return LogNorm(*LIFT_RANGE, clip=True)


def lift_bar(figure, image, axes, label: str = "attention over uniform") -> None:
    """The colour bar of a map of lift."""
    bar = figure.colorbar(image, ax=axes, ticks=[0.01, 0.1, 1, 10, 100], pad=0.02, aspect=25)
    bar.ax.minorticks_off()
    bar.ax.set_yticklabels(["≤ 1/100", "1/10", "uniform", "10 x", "≥ 100 x"])
    bar.set_label(label)
    bar.outline.set_visible(False)


def grid_image(axes: Axes, values: np.ndarray, **keywords):
    """A small table as colours, row 0 at the top; values [row, column]. Cells keep their edges in print."""
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes.imshow(values, aspect="auto", interpolation="none", **keywords)
