"""Which patterns the heads of a model follow, as `summary` classes them (head_classes of its findings)."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

from sparsescope.errors import UsageError
from sparsescope.figures import style
from sparsescope.figures.captions import caption, expert_text, prompts_text, step_text
from sparsescope.figures.registry import Drawn, figure

# Of summary -> letter, our name, what Sparse-VideoGen and VMoBA call it, colour. Lightness differs as well.
CLASSES = {
    "spatial": ("F", "frame-local", "SVG spatial, VMoBA 1D temporal", style.BLUE),
    "temporal": ("P", "place-local", "SVG temporal, VMoBA 2D spatial", style.ORANGE),
    "local_3d": ("3", "local in 3D", "VMoBA 3D", style.GREEN),
    "sink": ("S", "sink", "same keys for all queries", style.PURPLE),
    "global": ("G", "global", "everywhere alike", "#f0e6b2"),
    "none": ("·", "fits no class", "", "#d9d9d9"),
}
_ORDER = list(CLASSES)


def class_grid(summary: dict, profile: xr.Dataset, step: int | None) -> np.ndarray:
    """[layer, head] class names, "" where none was found; over all steps, or at one."""
    found = summary["findings"]["head_classes"]
    grid = np.full((profile.sizes["layer"], profile.sizes["head"]), "", dtype=object)
    if step is not None and step not in found["steps"]:
        raise UsageError(f"head-class: step {step} is not in the summary; it has {found['steps']}")
    for head in found["heads"]:
        name = head["class"] if step is None else head["by_step"][found["steps"].index(step)]
        grid[head["layer"], head["head"]] = name
    return grid


def rule_text(budget: float) -> str:
    """How heads are classed, for a caption."""
    return (f"Classes by where the mass falls at an equal budget of {budget:g} of the pairs: the class "
            "with the most mass names the head if its gain over chance, (mass - budget) / (1 - budget), is "
            "0.5 or more; global: the best gain is 0.1 or less; in between no class. Thresholds are ours")


@figure("head-class", "structure", "Which patterns does the model use?", needs=("summary",),
        height=lambda profile: 1.75 + min(4.4, 0.115 * profile.sizes["layer"]))
def head_class(axes: Axes, profile: xr.Dataset, *, summary: dict, step: int | None = None) -> Drawn:
    """A cell a head, coloured and lettered by its class; the shares are in the legend."""
    grid = class_grid(summary, profile, step)  # [layer, head]
    codes = np.array([[_ORDER.index(name) if name else np.nan for name in row] for row in grid], dtype=float)
    colours = ListedColormap([CLASSES[name][3] for name in _ORDER])
    style.grid_image(axes, codes, cmap=colours, vmin=-0.5, vmax=len(_ORDER) - 0.5)
    for border in range(1, grid.shape[0]):
        axes.axhline(border - 0.5, color="white", linewidth=0.5)
    for border in range(1, grid.shape[1]):
        axes.axvline(border - 0.5, color="white", linewidth=0.5)
    for (layer, head), name in np.ndenumerate(grid):
        if name:
            axes.text(head, layer, CLASSES[name][0], ha="center", va="center", fontsize=6,
                      color=ink_on(CLASSES[name][3]),
                      in_layout=False)
    style.index_axis(axes.xaxis, "head")
    style.layer_axis(axes.yaxis, profile)
    shares = {name: float((grid == name).sum() / (grid != "").sum()) for name in _ORDER}
    style.legend_above(axes, 1, handles=[
        Patch(color=colour, label=f"{letter}  {name} {100 * shares[key]:.0f} %" + _foreign(foreign))
        for key, (letter, name, foreign, colour) in CLASSES.items()])
    found = summary["findings"]["head_classes"]
    when = f"at {step_text(profile, step)}" if step is not None else "of the masses averaged over all steps"
    table = [{"layer": layer, "head": head, "class": name}
             for (layer, head), name in np.ndenumerate(grid) if name]
    return Drawn(pd.DataFrame(table), caption(
        profile, f"Class of every head, {when}; the share of heads in each class is in the legend, with "
        "the names that Sparse-VideoGen (SVG) and VMoBA give it", averaged=prompts_text(profile),
        notes=(rule_text(found["budget"]),)))


@figure("class-steps", "structure", "Do roles change while denoising?", needs=("summary",), height=2.6)
def class_steps(axes: Axes, profile: xr.Dataset, *, summary: dict) -> Drawn:
    """Share of the heads in each class against the step; classes that never occur are left out."""
    found = summary["findings"]["head_classes"]
    steps, by_step = found["steps"], found["shares_by_step"]
    rows = []
    looks = zip(_ORDER, style.MARKERS, style.DASHES)
    for key, marker, dash in looks:
        shares = [at[key] for at in by_step]
        mean, low, high = (np.array([np.nan if s.get(part) is None else s[part] for s in shares], dtype=float)
                           for part in ("mean", "low", "high"))
        rows += [{"step": step, "class": key, "share": m, "low": lo, "high": hi}
                 for step, m, lo, hi in zip(steps, mean, low, high)]
        if not np.nanmax(mean) > 0:
            continue
        colour = {"global": style.YELLOW, "none": style.QUIET}.get(key, CLASSES[key][3])
        axes.plot(steps, mean, color=colour, marker=marker, linestyle=dash,
                  markevery=max(1, len(steps) // 12),
                  label=CLASSES[key][1])
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    style.step_axis(axes.xaxis, profile)
    axes.set_ylim(bottom=0, top=min(1, axes.get_ylim()[1]))
    axes.set_ylabel("share of heads")
    style.legend_above(axes, 3)
    absent = [CLASSES[key][1] for key in _ORDER if not any(at[key]["mean"] > 0 for at in by_step)]
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Share of all heads in each class against the denoising step; heads are classed prompt by "
        "prompt, from masses averaged over branches",
        averaged=prompts_text(profile), notes=(
            f"{100 * found['heads_changing']:.0f} % of the heads change class over the steps",
            f"No head at any step: {', '.join(absent)}" if absent else "",
            f"Bands: {summary['confidence'] * 100:g} % intervals over prompts (Student's t)",
            rule_text(found["budget"]),
            expert_text(profile))))


def ink_on(colour: str) -> str:
    """Black or white, whichever is read on a colour."""
    red, green, blue = to_rgb(colour)
    return style.INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _foreign(names: str) -> str:
    return f" ({names})" if names else ""
