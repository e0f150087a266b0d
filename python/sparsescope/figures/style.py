"""How figures look: sizes, fonts, colours, and the axes that many of them share.

Colours are told apart by colour-blind readers (Okabe and Ito) and carry a dash or a marker as well;
ramps rise in lightness, so that they read in grey.
"""
from __future__ import annotations

import re
from contextlib import contextmanager
from importlib import resources

import matplotlib as mpl
import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
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


def width_of(figure) -> float:
    """Inches that a Figure or SubFigure is wide."""
    return figure.bbox.width / figure.dpi


def fit_height(figure, inches: float) -> None:
    """For figures whose number of rows follows from the site; a SubFigure keeps the room it was given."""
    if isinstance(figure, Figure):
        figure.set_figheight(inches)


def is_narrow(figure) -> bool:
    """Of one column: at most two panels fit beside each other."""
    return width_of(figure) < 5


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


def line_ramp(count: int) -> ScalarMappable:
    """Colours of `count` lines in order, layers or steps, for lines and their colour bar: the ramp
    without its lightest end, which white paper swallows."""
    colours = ListedColormap(mpl.colormaps[RAMP](np.linspace(0, 0.88, count)))
    return ScalarMappable(BoundaryNorm(np.arange(count + 1) - 0.5, count), colours)


def line_bar(figure, ramp: ScalarMappable, axes, label: str, aspect: float = 25) -> None:
    """The colour bar of line_ramp, the first line at the top."""
    bar = figure.colorbar(ramp, ax=axes, pad=0.02, aspect=aspect)
    index_axis(bar.ax.yaxis, label)
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)


def index_axis(axis, label: str) -> None:
    """Layers, heads, tiles, frames: whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_label_text(label)


def step_axis(axis, profile: xr.Dataset, label: str = "denoising step / noise level", most: int = 8) -> None:
    """Denoising steps (axes.xaxis or axes.yaxis) with the noise level under or behind each tick, at most
    about `most` ticks. Where a model changes experts a line crosses the plot (captions.expert_text)."""
    below = axis.axis_name == "x"
    noise = profile["sigma"].values if "sigma" in profile else np.full(profile.sizes["step"], np.nan)

    def text(value: float, _) -> str:
        step = round(value)
        if abs(value - step) > 1e-6 or not 0 <= step < len(noise):
            return ""
        if np.isnan(noise[step]):
            return str(step)
        return f"{step}\n{noise[step]:.2f}" if below else f"{step} / {noise[step]:.2f}"

    index_axis(axis, label if not np.isnan(noise).all() else "denoising step")
    axis.get_major_locator().set_params(nbins=most)
    axis.set_major_formatter(FuncFormatter(text))
    experts = profile["expert"].values if "expert" in profile else ()
    _border(axis, experts, "high | low" if below else "", lines=2)


def layer_axis(axis, profile: xr.Dataset, label: str = "layer") -> None:
    """Layers in execution order; a line parts blocks of different kinds (Hunyuan: dual, then single)."""
    index_axis(axis, label)
    names = profile["layer_name"].values if "layer_name" in profile else ()
    kinds = [re.sub(r"\d+", "", name.decode() if isinstance(name, bytes) else str(name)) for name in names]
    single = any(kind.startswith("single") for kind in kinds)
    _border(axis, kinds, "dual | single" if axis.axis_name == "x" and single else "", lines=1)


def _border(axis, kinds, text: str, lines: int) -> None:
    """A dashed line across the plot where kinds change, named by a tick of its own under `lines` of others."""
    borders = [i - 0.5 for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]]
    draw = axis.axes.axvline if axis.axis_name == "x" else axis.axes.axhline
    for border in borders:
        draw(border, color=INK, linewidth=0.8, linestyle=(0, (3, 2)),
             path_effects=[withStroke(linewidth=2, foreground="white")])
    if borders and text:
        axis.set_minor_locator(FixedLocator(borders))
        axis.set_minor_formatter(FuncFormatter(lambda *_: text))
        axis.set_tick_params(which="minor", pad=2 + 1.2 * lines * mpl.rcParams["xtick.labelsize"])


def panel_grid(figure, count: int, across: int, narrow: int = 1, **keywords) -> np.ndarray:
    """`count` panels, [row, column], `across` beside each other; only `narrow` on a narrow figure, which
    grows with the rows that this adds. Places beyond count are hidden."""
    wide, columns = min(across, count), min(narrow if is_narrow(figure) else across, count)
    rows = -(-count // columns)
    if columns < wide:
        keywords.pop("width_ratios", None)
        if isinstance(figure, Figure):
            figure.set_figheight(figure.get_figheight() * (0.2 + 0.8 * rows / -(-count // wide)))
    panels = figure.subplots(rows, columns, squeeze=False, **keywords)
    for place in range(count, panels.size):
        panels.flat[place].set_visible(False)
        # The one above is the lowest of its column now.
        panels.flat[place - columns].tick_params(which="both", labelbottom=True)
    return panels


def row_of_panels(figure, count: int, **keywords) -> np.ndarray:
    """Panels beside each other [count]; below each other on a narrow figure."""
    return panel_grid(figure, count, count, **keywords).ravel()


def legend_above(owner, columns: int, **keywords):
    """A legend over the plots, where no data can lie under it. owner: an Axes, or a Figure for the handles of
    all its panels (give handles= where panels share them)."""
    if isinstance(owner, Axes):
        keywords.setdefault("handles", owner.get_legend_handles_labels()[0])
        owner = owner.figure
    if is_narrow(owner) and columns > 3:
        columns = 2
    return owner.legend(loc="outside upper left", ncols=columns, **keywords)


def lift_norm(limit: float = LIFT_RANGE[1]) -> LogNorm:
    """1 in the middle. A smaller limit where no value can or does pass it, like T for T frames."""
    return LogNorm(1 / limit, limit, clip=True)


def lift_bar(figure, image, axes, label: str = "attention over uniform") -> None:
    """The colour bar of a map of lift."""
    limit = image.norm.vmax
    inside = [10.0**power for power in (-1, 0, 1) if 10.0**abs(power) < limit]
    bar = figure.colorbar(image, ax=axes, ticks=[1 / limit, *inside, limit], pad=0.02, aspect=25)
    bar.ax.minorticks_off()
    names = {0.1: "1/10", 1.0: "uniform", 10.0: "10 x"}
    bar.set_ticklabels([f"≤ 1/{limit:g}", *(names[value] for value in inside), f"≥ {limit:g} x"])
    bar.set_label(label)
    bar.outline.set_visible(False)


def grid_image(axes: Axes, values: np.ndarray, **keywords):
    """A small table as colours, row 0 at the top; values [row, column]. Cells keep their edges in print."""
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes.imshow(values, aspect="auto", interpolation="none", **keywords)


def head_points(axes: Axes, x: np.ndarray, y: np.ndarray) -> ScalarMappable:
    """A point for every head, coloured by layer; -> the colours for line_bar. x, y [layer, head]."""
    size = 3.4 if x.size <= 200 else 1.9
    ramp = line_ramp(len(x))
    for layer, colour in enumerate(ramp.to_rgba(range(len(x)))):
        axes.plot(x[layer], y[layer], "o", color=colour, markersize=size, alpha=0.9, markeredgecolor="white",
                  markeredgewidth=size / 11, zorder=3)
    return ramp


def cell_texts(axes: Axes, image, values: np.ndarray, texts) -> None:
    """Writes into the cells of a small table, white on dark cells. texts [row, column]: strings, or a format
    such as "{:.2f}" of the values. NaN stays blank."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            text = texts.format(value) if isinstance(texts, str) else texts[row][column]
            axes.text(column, row, text, ha="center", va="center", fontsize="small",
                      color="white" if dark else INK)
